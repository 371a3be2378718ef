// What a Go program has done before its main begins: goroutines' stacks, what the runtime and the
// packages allocate when they are initialised, the first sample of the heap profile.
//
// The figures are a small program's, seen on the real runtimes; see profile.ts.
// Source: Go 1.26.8 src/runtime/proc.go (schedinit, main), mprof.go (newBucket, stkbucket).

import type { GoRuntime } from './runtime.ts';
import { S_BUCKHASH, S_GCMISC, S_OTHER } from './sys.ts';

/** Pages of a span that stacks are cut from. */
const STACK_SPAN_PAGES = 4;
/** Table of profile buckets: 179,999 pointers. A bucket with its stack and record. */
const BUCKET_TABLE_BYTES = 179999 * 8;
const BUCKET_BYTES = 336;
/** Records of sampled objects, a first chunk of them, and other small records of the runtime. */
const SPECIALS_BYTES = 16360 + 8192;

/** Pointers of one page, which each processor's marker collects before it follows them. */
const POINTER_BUFFER_BYTES = 8192;
/** What starting the first mark worker allocates, and its class had none before. */
const WORKER_BYTES = 384;

/** Runs the start of a program on a runtime that has just been made. */
export function bootProgram(go: GoRuntime): void {
  const { profile } = go;
  let sampled = !profile.firstSample;
  profile.bootObjects.forEach(([count, bytes, ptrWords, kept], kind) => {
    if (kind === profile.bootBeforeStacks)
      newStacks(go, profile.bootStacks - profile.bootStacksLate);
    for (let i = 0; i < count; i++) {
      const at = go.new(bytes, go.types.leading(bytes, ptrWords));
      if (kept) go.storePointer(go.newGlobal(), at);
      if (kind < profile.bootWithoutProcessor) continue;
      go.heap.persistent.haveProcessor();
      if (sampled) continue;
      sampled = true;
      go.heap.persistent.alloc(BUCKET_TABLE_BYTES, 8, S_BUCKHASH);
      go.heap.persistent.alloc(BUCKET_BYTES, 8, S_BUCKHASH);
      go.heap.persistent.alloc(SPECIALS_BYTES, 8, S_OTHER);
    }
  });
  newStacks(go, profile.bootStacksLate);
  go.programRoots();
  startWorkerOnce(go);
}

function newStacks(go: GoRuntime, count: number): void {
  for (let i = 0; i < count; i++) go.bootStack = go.newStack(STACK_SPAN_PAGES);
}

/** The first collection starts its worker: an object and a buffer. */
function startWorkerOnce(go: GoRuntime): void {
  let started = false;
  go.gc.beforeStart.push(() => {
    if (started) return;
    started = true;
    go.storePointer(go.newGlobal(), go.new(WORKER_BYTES));
    if (go.profile.inlineMarks) go.heap.persistent.alloc(POINTER_BUFFER_BYTES, 8, S_GCMISC);
  });
}
