// Go's heap when main begins: what the runtime and the packages' init functions have allocated.
//
// The figures are runtime.MemStats of a program that does nothing (Go 1.26.11, GOMAXPROCS=1):
// objects by size, stacks, spans in use. The objects live for ever.

import type { GoRuntime } from '../go/runtime.ts';
import { S_BUCKHASH } from '../go/sys.ts';

/** Size and objects in use. */
const OBJECTS: readonly (readonly [number, number])[] = [
  [8, 11], [16, 12], [24, 6], [32, 3], [48, 7], [64, 4], [96, 4], [112, 2], [128, 2], [160, 1],
  [208, 3], [256, 1], [480, 11], [512, 1], [1152, 9], [2048, 2], [16384, 1],
]; // prettier-ignore
/** Sizes of which there are some without pointers, too. */
const MIXED = new Set([16, 24, 32, 48, 64, 480]);
/** Sizes of the stacks that spans of 32 KiB are cut into; the program's own (go-locals.ts) is as
 * large as two more. Free stacks are linked through their first words, so each is touched. */
const STACKS = [2048, 2048, 4096, 8192, 16384];
const STACK_SPAN_PAGES = 4;
const STACK_SPAN_BYTES = STACK_SPAN_PAGES * 8192;
/** The table of profile buckets and the first bucket. */
const BUCKET_TABLE_BYTES = 179999 * 8;
const BUCKET_BYTES = 336;
/** Bytes of data and bss, which the pacer expects to scan, and what scanning them comes to. */
const GLOBALS_SCAN = 270000;
const GLOBALS_WORK = 210000;
const STACK_SCAN = 2000;

export function startGoProgram(go: GoRuntime): void {
  for (const bytes of STACKS) {
    const span = go.newStack(STACK_SPAN_PAGES);
    const base = go.sys.addressOf(go.heap.spans.start[span]);
    for (let at = 0; at < STACK_SPAN_BYTES; at += bytes) go.mem.store64(base + at, 0);
  }
  const table = go.heap.persistent.alloc(BUCKET_TABLE_BYTES, 8, S_BUCKHASH);
  const bucket = go.heap.persistent.alloc(BUCKET_BYTES, 8, S_BUCKHASH);
  go.mem.zero(bucket, BUCKET_BYTES);
  go.mem.store64(table, bucket);
  for (const [bytes, n] of OBJECTS) {
    for (let i = 0; i < n; i++) {
      const noscan = bytes === 8 || (MIXED.has(bytes) && i % 2 === 0);
      const pointers = noscan ? 0 : bytes / 8;
      const at = go.new(bytes, go.types.leading(bytes, pointers));
      go.storePointer(go.newGlobal(), at);
      go.mem.zero(at, bytes);
    }
  }
  go.gc.roots = [
    ...go.gc.roots.map((r) => ({
      ...r,
      prepare: () => r.prepare(),
      scan: (job: number) => (r.scan(job), 0),
    })),
    { prepare: () => 1, scan: () => GLOBALS_WORK },
    { prepare: () => 1, scan: () => -STACK_SCAN },
  ];
  go.pacer.globalsScan = GLOBALS_SCAN;
  go.pacer.lastStackScan = STACK_SCAN;
  go.gc.commit();
}
