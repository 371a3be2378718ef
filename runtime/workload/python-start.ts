// CPython's heap when a program's first line runs: what the interpreter and `site` have allocated.
//
// The figures are sys._debugmallocstats() of a program that does nothing, in an empty virtual
// environment (3.11.7): blocks by size, blocks too large for pools, containers that the collector
// knows, collections so far. The state is made by allocating as much, through the same functions;
// so arenas, pools, the C library's heap and the collector's lists are all in use as they would be.
// The contents of the objects are not modelled; which blocks of a pool are free is not, either.

import type { PythonRuntime } from '../python/runtime.ts';

/** Block size and blocks in use. */
const BLOCKS: readonly (readonly [number, number])[] = [
  [16, 22], [32, 444], [48, 477], [64, 3876], [80, 3034], [96, 180], [112, 53], [128, 255],
  [144, 12], [160, 626], [176, 15], [192, 12], [208, 104], [224, 85], [240, 14], [256, 21],
  [272, 18], [288, 5], [304, 4], [320, 3], [336, 1], [352, 2], [368, 2], [400, 79], [416, 1],
  [432, 3], [448, 1], [480, 9], [512, 11],
]; // prettier-ignore
/** Blocks above 512 bytes, and the resident size of the C library's heap with them. */
const LARGE_BLOCKS = 258;
const HEAP_BYTES = 476 << 10;
const CHUNK_HEAD = 8;
/** Blocks that were freed again leave holes between those that stay, as many and as large. */
const HOLES = 8;
const HOLE_BYTES = 4096;
/** Containers that are tracked. */
const CONTAINERS = 4752;
const COLLECTIONS = 7;
/** gc.get_count()[0] when the program's first line runs. */
const COUNT = 640;

/** Brings a runtime that has just begun to where the program starts. */
export function startInterpreter(py: PythonRuntime): void {
  const { core, lists, gc } = py;
  const large = Math.floor((HEAP_BYTES - HOLES * HOLE_BYTES) / LARGE_BLOCKS) - CHUNK_HEAD;
  const size = Math.floor(large / 16) * 16 + 8;
  const holes: number[] = [];
  for (let i = 0; i < LARGE_BLOCKS; i++) {
    core.mem.zero(core.malloc(size), size & ~7);
    if (i % Math.floor(LARGE_BLOCKS / HOLES) === 0) holes.push(core.malloc(HOLE_BYTES));
  }
  for (const hole of holes) {
    core.mem.zero(hole, HOLE_BYTES);
    core.free(hole);
  }
  const left = new Map(BLOCKS);
  let containers = 0;
  const take = (bytes: number, n: number): void => {
    left.set(bytes, (left.get(bytes) ?? 0) - n);
    containers += n;
  };
  // Containers: lists of one block each, and tuples of five items, the first a list.
  const nrLists = Math.min(3000, CONTAINERS);
  const first = lists.make(0);
  for (let i = 1; i < nrLists; i++) lists.make(0);
  take(64, nrLists);
  for (let i = containers; i < CONTAINERS; i++) {
    const tuple = py.tuples.make(5);
    core.incref(first);
    py.tuples.setItem(tuple, 0, first);
  }
  take(80, CONTAINERS - containers);
  for (const [bytes, n] of left) for (let i = 0; i < n; i++) use(py, bytes);
  // Containers that came and went meanwhile show in the number of collections and in the count.
  while ((gc.stats[0]?.collections ?? 0) < COLLECTIONS) gc.collect(0);
  core.mem.store32(gc.head(0) + 20, COUNT);
}

function use(py: PythonRuntime, bytes: number): void {
  py.core.mem.zero(py.core.malloc(bytes), bytes);
}
