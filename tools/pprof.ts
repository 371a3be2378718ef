// A Go heap as a profile for pprof: what was allocated and what is in use, by size of slot.
//
//     pagewalk export --pprof heap.pb.gz MACHINE      go tool pprof -top heap.pb.gz
//
// Nothing is sampled: the figures are those of the allocator's own counters, and exact. The leaf of
// each stack is a size class (or the large objects of one type), its caller the kind of allocation;
// the label `bytes` carries the size, as in the runtime's profiles.
//
// Format: profile.proto of github.com/google/pprof, gzip. Its messages are written by hand: fields
// are numbered, lengths come first, integers are in groups of seven bits.

import { gzipSync } from 'node:zlib';
import { IN_USE } from '../runtime/go/mspan.ts';
import type { GoRuntime } from '../runtime/go/runtime.ts';

/** A row of the profile. */
export interface HeapSample {
  /** Function names, the innermost first. */
  readonly stack: readonly string[];
  readonly bytes: number;
  readonly allocObjects: number;
  readonly allocBytes: number;
  readonly inuseObjects: number;
  readonly inuseBytes: number;
}

/** The rows: every size class that was used, and the large objects in use and freed. */
export function heapSamples(go: GoRuntime): HeapSample[] {
  const { stats, profile, heap } = go;
  const { spans } = heap;
  for (const p of go.procs) p.syncAll(p.fast);
  const classes = profile.classes.count;
  const inuse = new Float64Array(classes);
  // What caches have handed out is counted when their spans go back.
  const cached = new Float64Array(classes);
  const large = { objects: 0, bytes: 0 };
  const inCache = new Set(go.procs.flatMap((p) => [...p.alloc]));
  for (let s = 1; s < spans.count; s++) {
    if (spans.state[s] !== IN_USE) continue;
    const c = (spans.spanclass[s] ?? 0) >> 1;
    const used = spans.allocCount[s] ?? 0;
    if (c === 0) {
      large.objects += used;
      large.bytes += used * (spans.elemsize[s] ?? 0);
      continue;
    }
    inuse[c] = (inuse[c] ?? 0) + used;
    if (inCache.has(s)) cached[c] = (cached[c] ?? 0) + used - (spans.cachedCount[s] ?? 0);
  }
  const rows: HeapSample[] = [];
  for (let c = 1; c < classes; c++) {
    const bytes = profile.classes.size[c] ?? 0;
    const allocObjects = (stats.smallAlloc[c] ?? 0) + (cached[c] ?? 0);
    if (allocObjects === 0) continue;
    const inuseObjects = inuse[c] ?? 0;
    rows.push({
      stack: [`${String(bytes)} bytes`, 'small objects', `${profile.name} heap`],
      bytes,
      allocObjects,
      allocBytes: allocObjects * bytes,
      inuseObjects,
      inuseBytes: inuseObjects * bytes,
    });
  }
  if (stats.largeAllocCount > 0)
    rows.push({
      stack: ['large objects', `${profile.name} heap`],
      bytes: 0,
      allocObjects: stats.largeAllocCount,
      allocBytes: stats.largeAlloc,
      inuseObjects: large.objects,
      inuseBytes: large.bytes,
    });
  return rows;
}

/** The profile of a heap, gzip. @param timeNanos when it was taken. */
export function heapProfile(go: GoRuntime, timeNanos = 0): Uint8Array {
  return gzipSync(encode(heapSamples(go), timeNanos));
}

// profile.proto.

class Message {
  readonly bytes: number[] = [];

  /** A whole number from 0 to 2^53 - 1, in groups of seven bits, lowest first. */
  private varint(n: number): void {
    for (; n >= 128; n = Math.floor(n / 128)) this.bytes.push((n % 128) | 128);
    this.bytes.push(n);
  }

  int(field: number, value: number): this {
    this.varint(field * 8);
    this.varint(value);
    return this;
  }

  block(field: number, content: ArrayLike<number>): this {
    this.varint(field * 8 + 2);
    this.varint(content.length);
    for (let i = 0; i < content.length; i++) this.bytes.push(content[i] ?? 0);
    return this;
  }

  packed(field: number, values: readonly number[]): this {
    const inner = new Message();
    for (const v of values) inner.varint(v);
    return this.block(field, inner.bytes);
  }
}

/** Numbers for strings, from 0 for the empty one; or for functions. */
class Table {
  readonly items: string[];
  private readonly index = new Map<string, number>();

  constructor(first: readonly string[]) {
    this.items = [];
    for (const text of first) this.of(text);
  }

  of(text: string): number {
    let i = this.index.get(text);
    if (i === undefined) {
      i = this.items.push(text) - 1;
      this.index.set(text, i);
    }
    return i;
  }
}

const VALUES: readonly (readonly [string, string])[] = [
  ['alloc_objects', 'count'],
  ['alloc_space', 'bytes'],
  ['inuse_objects', 'count'],
  ['inuse_space', 'bytes'],
];

function encode(samples: readonly HeapSample[], timeNanos: number): Uint8Array {
  const strings = new Table(['']);
  const functions = new Table([]);
  const profile = new Message();
  const valueType = (type: string, unit: string): number[] =>
    new Message().int(1, strings.of(type)).int(2, strings.of(unit)).bytes;
  for (const [type, unit] of VALUES) profile.block(1, valueType(type, unit));
  for (const s of samples) {
    const values = [s.allocObjects, s.allocBytes, s.inuseObjects, s.inuseBytes];
    const sample = new Message()
      .packed(
        1,
        s.stack.map((name) => functions.of(name) + 1),
      )
      .packed(2, values);
    const unit = strings.of('bytes');
    if (s.bytes > 0) sample.block(3, new Message().int(1, unit).int(3, s.bytes).int(4, unit).bytes);
    profile.block(2, sample.bytes);
  }
  // One location a function: there is no code that they lie in.
  functions.items.forEach((name, i) => {
    const line = new Message().int(1, i + 1);
    profile.block(4, new Message().int(1, i + 1).block(4, line.bytes).bytes);
    const text = strings.of(name);
    profile.block(
      5,
      new Message()
        .int(1, i + 1)
        .int(2, text)
        .int(3, text).bytes,
    );
  });
  const period = valueType('space', 'bytes');
  const byDefault = strings.of('inuse_space');
  const utf8 = new TextEncoder();
  for (const text of strings.items) profile.block(6, utf8.encode(text));
  profile.int(9, timeNanos).block(11, period).int(12, 1).int(14, byDefault);
  return Uint8Array.from(profile.bytes);
}
