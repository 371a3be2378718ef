// Raw scripts (*.pyraw): malloc, calloc, realloc and free on an untouched pymalloc.
//
// A script is parsed as a whole, and its names are followed as a whole, before anything runs. With
// PYTHONMALLOC=debug there are two statements more: write(a, OFFSET, BYTE) stores a byte where the
// program has no business, dump(a) prints what the hooks know of a block.

import { Cursor, rangeOf, withoutComment } from './cursor.ts';
import type { AllocatorProbe, Place } from './probe.ts';

/** A name, one of a family, or a range of a family. */
export interface RawName {
  readonly text: string;
  readonly family: string;
  /** The indices, or null for a plain name. */
  readonly indices: Int32Array | null;
  readonly isRange: boolean;
  readonly at: number;
}

export interface RawStatement {
  readonly line: number;
  readonly call: 'malloc' | 'calloc' | 'realloc' | 'free' | 'stats' | 'arenas' | 'write' | 'dump';
  /** What is bound; null for free, stats and arenas. */
  readonly name: RawName | null;
  /** The block that realloc or free takes, or that is written to or dumped; null for NULL. */
  readonly from: RawName | null;
  /** Sizes in bytes, calloc's count first; the offset of arenas(); offset and byte of write(). */
  readonly count: number;
  readonly bytes: number;
}

/** Parses a script; InputError where it is not of the form. @param debug with write() and dump() */
export function parseRaw(file: string, text: string, debug = false): RawStatement[] {
  const statements: RawStatement[] = [];
  const held = new Set<string>();
  text.split('\n').forEach((raw, i) => {
    const line = withoutComment(raw.replace(/\r$/, ''));
    if (line.trim() === '') return;
    const cursor = new Cursor(file, i + 1, line);
    const statement = parseStatement(cursor, debug);
    cursor.end();
    if (statement.call === 'arenas' && statements.length > 0)
      cursor.fail('arenas(…) can only be the first statement', 0);
    followNames(cursor, statement, held);
    statements.push(statement);
  });
  return statements;
}

function parseStatement(c: Cursor, debug: boolean): RawStatement {
  const line = c.line;
  const none = { line, name: null, from: null, count: 0, bytes: 0 };
  c.blanks();
  const start = c.at;
  const word = c.name('a statement');
  if (word === 'stats' && c.take('(')) {
    c.expect(')');
    return { ...none, call: 'stats' };
  }
  if (word === 'arenas' && c.take('(')) {
    c.expect('offset');
    c.expect('=');
    const at = c.at;
    const bytes = c.size('an offset');
    if (![0, 4096, 8192, 12288].includes(bytes)) c.fail('the offset is 0, 4K, 8K or 12K', at);
    c.expect(')');
    return { ...none, call: 'arenas', bytes };
  }
  if (debug && (word === 'write' || word === 'dump') && c.take('(')) {
    const from = parseName(c, false);
    if (from?.isRange === true) c.fail(`${word}() takes one block`, from.at);
    const poke = word === 'write' ? parsePoke(c) : { count: 0, bytes: 0 };
    c.expect(')');
    return { ...none, call: word, from, ...poke };
  }
  if (word === 'free' && c.take('(')) {
    const from = parseName(c, true);
    c.expect(')');
    return { ...none, call: 'free', from };
  }
  c.at = start;
  const name = parseName(c, false);
  c.expect('=');
  return parseCall(c, line, name);
}

/** `, OFFSET, BYTE`; the offset may be negative. */
function parsePoke(c: Cursor): { count: number; bytes: number } {
  c.expect(',');
  c.blanks();
  const sign = c.take('-') ? -1 : 1;
  const count = sign * c.size('an offset');
  c.expect(',');
  c.blanks();
  const at = c.at;
  const bytes = c.size('a byte');
  if (bytes > 255) c.fail('a byte is 0 to 255', at);
  return { count, bytes };
}

function parseCall(c: Cursor, line: number, name: RawName | null): RawStatement {
  c.blanks();
  const at = c.at;
  const call = c.name('malloc, calloc or realloc');
  c.expect('(');
  let from: RawName | null = null;
  let count = 1;
  if (call === 'realloc') {
    from = parseName(c, true);
    c.expect(',');
  } else if (call === 'calloc') {
    count = c.size('a count');
    c.expect(',');
  } else if (call !== 'malloc') c.fail(`expected malloc, calloc or realloc, found '${call}'`, at);
  const bytes = c.size('a size');
  c.expect(')');
  const size = name?.indices?.length ?? 1;
  if (from !== null && (from.indices?.length ?? 1) !== size)
    c.fail('the two ranges of realloc have one length', from.at);
  return { line, call: call, name, from, count, bytes };
}

function parseName(c: Cursor, allowNull: boolean): RawName | null {
  c.blanks();
  const at = c.at;
  const family = c.name('a name');
  if (family === 'NULL') {
    if (!allowNull) c.fail('NULL cannot be bound', at);
    return null;
  }
  let indices: Int32Array | null = null;
  let isRange = false;
  if (c.take('[')) {
    const from = c.size('an index');
    let to = from;
    let step = 1;
    if (c.take('..')) {
      isRange = true;
      to = c.size('an index');
      if (c.take(':')) {
        const stepAt = c.at;
        step = c.size('a step');
        if (step === 0) c.fail('a step is positive', stepAt);
      }
    }
    c.expect(']');
    indices = rangeOf(from, to, step);
  }
  const text = c.text.slice(at, c.at).trimEnd();
  return { text, family, indices, isRange, at };
}

/** Key of the i-th block of a name. */
export function keyOf(name: RawName, i: number): string {
  return name.indices === null ? name.family : `${name.family}[${name.indices[i] ?? 0}]`;
}

/** Refuses a binding of a held name and a use of an empty one. */
function followNames(c: Cursor, s: RawStatement, held: Set<string>): void {
  const times = (s.name ?? s.from)?.indices?.length ?? 1;
  for (let i = 0; i < times; i++) {
    if (s.from !== null) {
      const key = keyOf(s.from, i);
      if (!held.has(key)) c.fail(`${key} holds no block`, s.from.at);
      if (s.call === 'realloc' || s.call === 'free') held.delete(key);
    }
    if (s.name !== null) {
      const key = keyOf(s.name, i);
      if (held.has(key)) c.fail(`${key} still holds a block`, s.name.at);
      held.add(key);
    }
  }
}

type Run = [number, number, number, number] | [number, number, number, number, number];

/** Places folded into runs, as the format writes them. */
class Runs {
  readonly list: (Run | ['large', number])[] = [];

  add(place: Place): void {
    const last = this.list.at(-1);
    if (place === 'large') {
      if (last?.[0] === 'large') last[1]++;
      else this.list.push(['large', 1]);
      return;
    }
    const [arena, pool, block] = place;
    if (last !== undefined && last[0] !== 'large' && last[0] === arena && last[1] === pool) {
      const [, , first, count, step = 1] = last;
      if (count === 1) {
        const difference = block - first;
        this.list[this.list.length - 1] =
          difference === 1 ? [arena, pool, first, 2] : [arena, pool, first, 2, difference];
        return;
      }
      if (block === first + count * step) {
        last[3]++;
        return;
      }
    }
    this.list.push([arena, pool, block, 1]);
  }
}

/** Runs a parsed script and gives each statement's observation to `print`. */
export function runRaw(
  statements: readonly RawStatement[],
  probe: AllocatorProbe,
  print: (observation: object) => void,
): void {
  const blocks = new Map<string, number>();
  for (const s of statements) print(stepRaw(s, blocks, probe));
}

/** Runs one statement. @param blocks what each name holds @returns its observation */
export function stepRaw(
  s: RawStatement,
  blocks: Map<string, number>,
  probe: AllocatorProbe,
): object {
  const out: Record<string, unknown> = { line: s.line, call: s.call };
  if (s.call === 'stats') out['stats'] = probe.stats();
  else if (s.call === 'arenas') probe.setOffsets([s.bytes]);
  else if ((s.call === 'write' || s.call === 'dump') && s.from !== null) {
    const p = blocks.get(keyOf(s.from, 0)) ?? 0;
    out['name'] = s.from.text;
    if (s.call === 'write') probe.write(p + s.count, s.bytes);
    else out['debug'] = probe.dump(p).trimEnd().split('\n');
  } else {
    out['name'] = (s.name ?? s.from)?.text ?? 'NULL';
    const runs = new Runs();
    const times = (s.name ?? s.from)?.indices?.length ?? 1;
    for (let i = 0; i < times; i++) {
      const p = runOnce(s, i, blocks, probe);
      if (s.name === null) continue;
      if (s.name.isRange) runs.add(probe.place(p));
      else out['ret'] = probe.place(p);
    }
    if (s.name?.isRange === true) out['runs'] = runs.list;
  }
  const { mapped, unmapped } = probe.takeArenaEvents();
  if (mapped.length > 0) out['mmap'] = mapped;
  if (unmapped.length > 0) out['munmap'] = unmapped;
  return out;
}

function runOnce(
  s: RawStatement,
  i: number,
  blocks: Map<string, number>,
  probe: AllocatorProbe,
): number {
  let p = 0;
  if (s.from !== null) {
    const key = keyOf(s.from, i);
    p = blocks.get(key) ?? 0;
    blocks.delete(key);
  }
  const ob = probe.allocator;
  if (s.call === 'free') {
    ob.free(p);
    return 0;
  }
  if (s.call === 'realloc') p = ob.realloc(p, s.bytes);
  else p = s.call === 'calloc' ? ob.calloc(s.count, s.bytes) : ob.malloc(s.bytes);
  if (s.name !== null) blocks.set(keyOf(s.name, i), p);
  return p;
}
