// A scenario told to a person: for each statement what was done, each fault's kind and cause, the
// page-table entry before and after, the frames, and what changed in the counters.
//
//     3  store(a + 4K)
//          write to 0x7ffff7ff4000 (a + 4K) in 7ffff7ff3000-7ffff7ff7000 rw-p anonymous
//            minor fault: the zero page was mapped, write-protected: a new frame, zeroed
//            entry   frame 0x1 (zero page) r- user accessed  ->  frame 0x2f0a rw user … dirty
//          1 minor fault; resident 4 -> 8 KiB
//
// What happened is collected by emulated.ts as plain data (Notes); this file only words it.

import type { MemoryUse, Observation, Refusal } from './observe.ts';
import type { Statement } from './syntax.ts';

/** One access that did not simply succeed. */
export interface FaultNote {
  readonly va: bigint;
  readonly write: boolean;
  /** The mapping: `start-end perms what`; '' where there is none. */
  readonly mapping: string;
  /** The entry that stopped the walk and what stood there afterwards, in words. */
  readonly before: string;
  readonly after: string;
  readonly cause: string;
  readonly major: number;
  readonly minor: number;
  readonly refused?: Refusal;
}

/** What one statement did, collected while it ran. */
export interface Notes {
  readonly faults: FaultNote[];
  /** Bytes accessed, faults or not. */
  readonly accesses: number;
  readonly before: MemoryUse;
  readonly after: MemoryUse;
  /** Mappings, as `start-end perms what`. */
  readonly mapsBefore: readonly string[];
  readonly mapsAfter: readonly string[];
}

/** How to print: colours, or none. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
}

/** Faults of one statement that are told one by one; the rest is counted by kind. */
const TOLD = 4;

/** @param nameOf an address as `name + offset`, where a name is near; else ''. */
export function tell(
  statement: Statement,
  observation: Observation,
  notes: Notes,
  nameOf: (va: bigint) => string,
  paint: Paint,
): string {
  const out: string[] = [];
  out.push(`${String(statement.line).padStart(4)}  ${paint.bold(statement.text)}`);
  const say = (text: string): void => {
    out.push(`        ${text}`);
  };
  result(observation, paint).forEach(say);
  notes.faults.slice(0, TOLD).forEach((f) => fault(f, nameOf, paint).forEach(say));
  rest(notes.faults.slice(TOLD)).forEach(say);
  mappings(notes).forEach(say);
  const sums = counters(observation, notes);
  if (sums !== '') say(paint.dim(sums));
  return out.join('\n');
}

function result(o: Observation, paint: Paint): string[] {
  const out: string[] = [];
  if (o['errno'] !== undefined) out.push(paint.red(`refused: ${text(o['errno'])}`));
  else if (o['ret'] !== undefined) out.push(`= ${text(o['ret'])}`);
  if (o['value'] !== undefined) out.push(`byte ${text(o['value'])}`);
  if (o['vec'] !== undefined) out.push(`resident ${text(o['vec'])}`);
  for (const key of ['maps', 'pages'] as const) {
    const list = o[key];
    if (!Array.isArray(list)) continue;
    if (list.length === 0) out.push(key === 'maps' ? 'no mapping' : 'no page present');
    for (const item of list) out.push(key === 'maps' ? mapText(item) : pageText(item));
  }
  const usage = o['usage'] as Readonly<Record<string, number>> | undefined;
  if (usage !== undefined) {
    const parts = Object.entries(usage).map(([k, v]) => `${k} ${v}`);
    out.push(parts.slice(0, 6).join('  '), parts.slice(6).join('  '));
  }
  return out;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function mapText(item: unknown): string {
  const m = item as Readonly<Record<string, string | number>>;
  const path = m['path'] === '' ? 'anonymous' : String(m['path']);
  const parts = ['rss', 'anonymous', 'private_dirty', 'shared_dirty', 'anon_huge', 'swap', 'locked']
    .filter((k) => m[k] !== 0)
    .map((k) => `${k} ${String(m[k])}`);
  const range = `${String(m['start'])}-${String(m['end'])} ${String(m['perms'])}`;
  return `${range} ${path}  ${parts.join('  ')}`;
}

function pageText(item: unknown): string {
  const p = item as Readonly<Record<string, unknown>>;
  if (p['present'] === 0) return `${String(p['addr'])}  swapped out, or a guard page`;
  const flags = (p['flags'] as readonly string[]).join(' ').toLowerCase();
  const owner = p['exclusive'] === 1 ? 'exclusive' : 'shared';
  const count = String(p['mapcount']);
  return `${String(p['addr'])}  ${String(p['frame'])}  mapped ${count}x  ${owner}  ${flags}`;
}

function fault(f: FaultNote, nameOf: (va: bigint) => string, paint: Paint): string[] {
  const name = nameOf(f.va);
  const verb = f.write ? 'write to' : 'read of';
  const place = f.mapping === '' ? 'where nothing is mapped' : `in ${f.mapping}`;
  const head = `${verb} 0x${f.va.toString(16)}${name === '' ? '' : ` (${name})`} ${place}`;
  if (f.refused !== undefined) {
    return [head, paint.red(`  ${f.refused.signal}, ${f.refused.code}: ${f.cause}`)];
  }
  const kind = f.major > 0 ? 'major fault' : 'minor fault';
  return [head, `  ${kind}: ${f.cause}`, `  entry  ${f.before}  ->  ${f.after}`];
}

/** The faults that are not told one by one, counted by cause. */
function rest(faults: readonly FaultNote[]): string[] {
  const byCause = new Map<string, number>();
  for (const f of faults) {
    const cause = `${f.write ? 'write' : 'read'}, ${f.cause}`;
    byCause.set(cause, (byCause.get(cause) ?? 0) + 1);
  }
  return [...byCause].map(([cause, n]) => `and ${n} more: ${cause}`);
}

/** Mappings that the statement ended, changed or made. */
function mappings(notes: Notes): string[] {
  const before = new Set(notes.mapsBefore);
  const after = new Set(notes.mapsAfter);
  const out: string[] = [];
  for (const m of before) if (!after.has(m)) out.push(`- ${m}`);
  for (const m of after) if (!before.has(m)) out.push(`+ ${m}`);
  return out;
}

function counters(o: Observation, notes: Notes): string {
  const parts: string[] = [];
  const plural = (n: unknown, what: string): void => {
    if (typeof n === 'number' && n > 0) parts.push(`${n} ${what} fault${n === 1 ? '' : 's'}`);
  };
  plural(o['minflt'], 'minor');
  plural(o['majflt'], 'major');
  const labels: readonly (readonly [keyof MemoryUse, string])[] = [
    ['vm_size', 'mapped'],
    ['vm_rss', 'resident'],
    ['vm_swap', 'swapped'],
    ['vm_lck', 'locked'],
    ['vm_pte', 'page tables'],
  ];
  for (const [key, label] of labels) {
    const [a, b] = [notes.before[key], notes.after[key]];
    if (a !== b) parts.push(`${label} ${a} -> ${b} KiB`);
  }
  return parts.join('; ');
}
