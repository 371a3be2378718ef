// A Go heap as a profile for pprof: what was allocated and what is in use, by size of slot.
//
//     pagewalk export --pprof heap.pb.gz MACHINE      go tool pprof -top heap.pb.gz
//
// Nothing is sampled: the figures are those of the allocator's own counters, and exact. The leaf of
// each stack is a size class (or the large objects of one type), its caller the kind of allocation;
// the label `bytes` carries the size, as in the runtime's profiles.
//
// Format: profile.proto of github.com/google/pprof, gzip.

import { gzipSync } from 'node:zlib';
import { IN_USE } from '../runtime/go/mspan.ts';
import type { GoRuntime } from '../runtime/go/runtime.ts';
import { Message } from './perfetto/protobuf.ts';

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

function valueType(strings: Table, type: string, unit: string): Message {
  return new Message().int(1, strings.of(type)).int(2, strings.of(unit));
}

function encode(samples: readonly HeapSample[], timeNanos: number): Uint8Array {
  const strings = new Table(['']);
  const functions = new Table([]);
  const profile = new Message();
  for (const [type, unit] of VALUES) profile.message(1, valueType(strings, type, unit));
  for (const s of samples) {
    const sample = new Message();
    for (const name of s.stack) sample.int(1, functions.of(name) + 1);
    for (const n of [s.allocObjects, s.allocBytes, s.inuseObjects, s.inuseBytes]) sample.int(2, n);
    const unit = strings.of('bytes');
    if (s.bytes > 0) sample.message(3, new Message().int(1, unit).int(3, s.bytes).int(4, unit));
    profile.message(2, sample);
  }
  // One location a function: there is no code that they lie in.
  functions.items.forEach((name, i) => {
    const line = new Message().int(1, i + 1);
    profile.message(4, new Message().int(1, i + 1).message(4, line));
    const text = strings.of(name);
    profile.message(
      5,
      new Message()
        .int(1, i + 1)
        .int(2, text)
        .int(3, text),
    );
  });
  const period = valueType(strings, 'space', 'bytes');
  const byDefault = strings.of('inuse_space');
  for (const text of strings.items) profile.text(6, text);
  profile.int(9, timeNanos).message(11, period).int(12, 1).int(14, byDefault);
  return profile.bytes;
}
