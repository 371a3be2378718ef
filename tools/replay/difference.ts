// Where a replay and its recording part: the first line, both states, the rule, its place.
//
// Both states are sums: ours is what the address space holds after the line, the recorded one the
// sum of the recorded changes up to it. The rule is told from what the fault did (FaultInfo) or
// from the call's name; RULES says where each stands in the code, and a test holds that true.

import { hex } from '../../kernel/types.ts';
import {
  DID_ANON,
  DID_AROUND,
  DID_COPY,
  DID_COW_FILE,
  DID_FILE,
  DID_HUGE,
  DID_REUSE,
  DID_SPECIAL,
  DID_SWAPIN,
  DID_ZERO,
  type FaultInfo,
} from '../../userspace/fault-info.ts';
import { explain, explanationText } from '../explain.ts';
import type { CallRecord, Recording, TraceRecord } from '../trace/record.ts';
import { countersOf, type Counters } from './effects.ts';
import { differences, isComparable, type LineDifference, type LineReport } from './report.ts';
import type { Replayer } from './replayer.ts';

/** A rule of the emulated kernel: in words, and its place. */
export interface Rule {
  readonly text: string;
  readonly file: string;
  /** A name that stands in the file. */
  readonly name: string;
}

function rule(text: string, file: string, name: string): Rule {
  return { text, file, name };
}

/** What a fault did, most telling first. */
const FAULT_RULES: readonly (readonly [bits: number, rule: Rule])[] = [
  [DID_HUGE, rule('a huge page fits the mapping and is wanted', 'userspace/huge.ts', 'tryHuge')],
  [DID_SWAPIN, rule('the page was in swap', 'userspace/fault.ts', 'doNotPresent')],
  [DID_ZERO, rule('a read of untouched memory', 'userspace/fault.ts', 'doAnonymousPage')],
  [DID_ANON, rule('a write to untouched memory', 'userspace/fault.ts', 'doAnonymousPage')],
  [DID_SPECIAL, rule('a page of the kernel’s own', 'userspace/fault-file.ts', 'special')],
  [DID_COW_FILE, rule('a write to a private file page', 'userspace/fault-file.ts', 'Cow')],
  [DID_COPY, rule('a write to a page others share', 'userspace/fault-wp.ts', 'doWpPage')],
  [DID_REUSE, rule('a write to a page of its own', 'userspace/fault-wp.ts', 'doWpPage')],
  [DID_AROUND, rule('a read: pages around it too', 'userspace/fault-file.ts', 'round')],
  [DID_FILE, rule('a page of a file', 'userspace/fault-file.ts', 'doFileFault')],
];

const REFUSED = rule('no mapping, or one that forbids it', 'userspace/fault.ts', 'handleUserFault');
const PRESENT = rule('the entry already allowed it', 'tools/replay/kernel.ts', 'access');

/** Where each system call stands. */
const CALL_RULES: Readonly<Record<string, Rule>> = {
  mmap: rule('mmap: checks, place, merge', 'userspace/mmap.ts', 'doMmap'),
  munmap: rule('munmap: split, unmap, free tables', 'userspace/mmap.ts', 'doMunmap'),
  mremap: rule('mremap: shrink, grow, or move', 'userspace/mremap.ts', 'mremap'),
  mprotect: rule('mprotect: split, change, merge', 'userspace/mprotect.ts', 'mprotect'),
  madvise: rule('madvise: by advice', 'userspace/madvise.ts', 'madvise'),
  brk: rule('brk: grow or shrink the heap', 'userspace/brk.ts', 'brk'),
  mlock: rule('mlock: mark and populate', 'userspace/mlock.ts', 'mlock'),
  clone: rule('fork: copy mappings and entries', 'userspace/fork.ts', 'dupMm'),
};
const PLACE = rule('where a new mapping goes', 'userspace/placement.ts', 'getUnmappedArea');
const CALL = rule('the call’s handler', 'tools/replay/calls.ts', 'HANDLERS');

/** All rules, for the test that looks for each in its file. */
export const RULES: readonly Rule[] = [
  ...FAULT_RULES.map(([, r]) => r),
  REFUSED,
  PRESENT,
  ...Object.values(CALL_RULES),
  PLACE,
  CALL,
];

export interface Difference {
  readonly line: number;
  readonly record: TraceRecord;
  readonly differences: readonly LineDifference[];
  readonly rule: Rule;
  readonly ours: Counters | undefined;
  /** Undefined where the recording holds no changes. */
  readonly recorded: Counters | undefined;
  /** The chain from the address to the frame, after the line. */
  readonly chain: readonly string[];
}

/** Sums of the recorded changes by address space, as the recording's tasks share them. */
export class RecordedState {
  private readonly sums = new Map<number, Counters>();

  /** @param process the process whose memory the line changed; of a fork also the child's. */
  add(record: TraceRecord, process: number, child: number | undefined): void {
    if (record.type === 'call' && record.name.startsWith('execve') && record.result === '0') {
      this.sums.delete(process);
    }
    if (!('effect' in record) || record.effect === '') return;
    const [own = '', of = ''] = record.effect.split('child:');
    this.sums.set(process, plus(this.of(process), own));
    if (child !== undefined) this.sums.set(child, plus(this.of(child), of));
  }

  of(process: number): Counters {
    return this.sums.get(process) ?? { anon: 0, file: 0, shmem: 0, swap: 0, pt: 0 };
  }
}

function plus(counters: Counters, effect: string): Counters {
  const sum: Record<string, number> = { ...counters };
  for (const m of effect.matchAll(/(anon|file|shmem|swap|pt)([+-]\d+)/g)) {
    sum[m[1]!] = (sum[m[1]!] ?? 0) + Number(m[2]);
  }
  return sum as unknown as Counters;
}

/** Does the recording hold what the real kernel changed? */
export function hasEffects(recording: Recording): boolean {
  return recording.records.some((r) => 'effect' in r && r.effect !== '');
}

/**
 * Runs the replayer until a line differs from the recording.
 * @returns the first difference; undefined where there is none.
 */
export function firstDifference(replayer: Replayer): Difference | undefined {
  const { recording } = replayer;
  const effects = hasEffects(recording);
  const state = new RecordedState();
  while (!replayer.done) {
    const record = recording.records[replayer.next]!;
    const before = 'task' in record ? replayer.tasks.get(record.task) : undefined;
    const report = replayer.step();
    if (!('task' in record)) continue;
    const task = replayer.tasks.get(record.task) ?? before;
    const process = task?.process.id ?? record.task;
    const child = record.type === 'call' && record.effect.includes('child:') ? record.result : '';
    state.add(record, process, child === '' ? undefined : Number(child));
    if (!isComparable(record) && (report?.effect ?? '') === '') continue;
    const found = differences(record, report, effects);
    if (found.length === 0) continue;
    return {
      line: record.line,
      record,
      differences: found,
      rule: ruleOf(record, report, replayer.kernel.fault),
      ours: task === undefined ? undefined : countersOf(task.task.mm),
      recorded: effects ? state.of(process) : undefined,
      chain:
        record.type === 'fault' && task !== undefined
          ? explanationText(explain(task.task.mm, record.address), task.task.mm.root)
          : [],
    };
  }
  return undefined;
}

function ruleOf(record: TraceRecord, report: LineReport | undefined, info: FaultInfo): Rule {
  if (record.type !== 'fault') return callRule(record, report);
  if (report?.fault === 'refused') return REFUSED;
  if (report?.fault === 'none') return PRESENT;
  return FAULT_RULES.find(([bit]) => (info.kinds & bit) !== 0)?.[1] ?? PRESENT;
}

function callRule(record: TraceRecord, report: LineReport | undefined): Rule {
  if (record.type !== 'call') return CALL;
  const name = (record satisfies CallRecord).name;
  if (name === 'mmap' && report?.errno === undefined) {
    if (!record.args.some((a) => a.includes('MAP_FIXED')) && report?.ret !== record.result) {
      return PLACE;
    }
  }
  return CALL_RULES[name.replace(/^(clone3|fork|vfork)$/, 'clone')] ?? CALL;
}

/** The difference as text for people. */
export function differenceText(path: string, d: Difference): string[] {
  const lines = [`${path}:${d.line}: the machine and the recording part here`];
  lines.push(`  ${recordText(d.record)}`);
  for (const { what, ours, recorded } of d.differences) {
    lines.push(`  ${what.padEnd(8)} here ${ours}; recorded ${recorded}`);
  }
  const state = (c: Counters): string =>
    `anon ${c.anon}, file ${c.file}, shmem ${c.shmem}, swap ${c.swap} pages; tables ${c.pt} bytes`;
  if (d.ours !== undefined) lines.push(`  ours     ${state(d.ours)}`);
  if (d.recorded !== undefined) lines.push(`  recorded ${state(d.recorded)}`);
  lines.push(`  rule     ${d.rule.text}`);
  lines.push(`           ${d.rule.file}, ${d.rule.name}`);
  if (d.chain.length > 0) lines.push('  the address, after the line:', ...d.chain);
  return lines;
}

function recordText(record: TraceRecord): string {
  switch (record.type) {
    case 'fault':
      return `${record.task} fault ${hex(record.address)} ${record.access} ${record.by}`;
    case 'call':
      return `${record.task} ${record.name}(${record.args.join(', ')}) = ${record.result}`.slice(
        0,
        76,
      );
    default:
      return record.type;
  }
}
