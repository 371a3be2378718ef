// CPython's heap when a program's first line runs: what the interpreter and `site` have allocated,
// and what a module that the program imports adds.
//
// The figures are sys._debugmallocstats() of programs that do nothing (3.11.7): blocks by size,
// blocks too large for pools, containers that the collector knows, collections so far. The state is
// made by allocating as much, through the same functions; so arenas, pools, the C library's heap
// and the collector's lists are all in use as they would be. The contents of the objects are not
// modelled; which blocks of a pool are free is not, either.

import type { PythonRuntime } from '../python/runtime.ts';

/** What is in use at the end of a start, or more of it after an import. */
interface Contents {
  /** Block size and blocks in use. */
  readonly blocks: readonly (readonly [number, number])[];
  /** Blocks above 512 bytes, and the resident size of the C library's heap with them. */
  readonly largeBlocks: number;
  readonly heapBytes: number;
  /** Containers that are tracked. */
  readonly containers: number;
  /** Collections of generation 0 and of generation 1. */
  readonly collections: readonly [number, number];
  /** gc.get_count()[0] at the end. */
  readonly count: number;
}

/** How the interpreter was started: in an empty virtual environment, or `python -I -S`. */
export type StartKind = 'site' | 'bare';

const starts: Readonly<Record<StartKind, Contents>> = {
  site: {
    // prettier-ignore
    blocks: [
      [16, 22], [32, 444], [48, 477], [64, 3876], [80, 3034], [96, 180], [112, 53], [128, 255],
      [144, 12], [160, 626], [176, 15], [192, 12], [208, 104], [224, 85], [240, 14], [256, 21],
      [272, 18], [288, 5], [304, 4], [320, 3], [336, 1], [352, 2], [368, 2], [400, 79], [416, 1],
      [432, 3], [448, 1], [480, 9], [512, 11],
    ],
    largeBlocks: 258,
    heapBytes: 476 << 10,
    containers: 4752,
    collections: [7, 0],
    count: 640,
  },
  bare: {
    // prettier-ignore
    blocks: [
      [16, 18], [32, 377], [48, 382], [64, 3390], [80, 2839], [96, 78], [112, 28], [128, 195],
      [144, 11], [160, 369], [176, 14], [192, 12], [208, 81], [224, 25], [240, 9], [256, 14],
      [272, 13], [288, 4], [304, 3], [320, 2], [336, 1], [352, 1], [368, 2], [400, 64], [416, 1],
      [432, 3], [448, 1], [480, 8], [512, 4],
    ],
    largeBlocks: 197,
    heapBytes: 460 << 10,
    containers: 4030,
    collections: [6, 0],
    count: 455,
  },
};

const modules: Readonly<Record<string, Contents>> = {
  json: {
    // prettier-ignore
    blocks: [
      [16, 26], [32, 220], [48, 967], [64, 2938], [80, 1406], [96, 401], [112, 205], [128, 295],
      [144, 66], [160, 639], [176, 53], [192, 35], [208, 131], [224, 151], [240, 121], [256, 87],
      [272, 54], [288, 62], [304, 38], [320, 27], [336, 24], [352, 14], [368, 18], [384, 17],
      [400, 48], [416, 18], [432, 12], [448, 12], [464, 16], [480, 11], [496, 11], [512, 19],
    ],
    largeBlocks: 291,
    heapBytes: 376 << 10,
    containers: 2215,
    collections: [5, 1],
    count: 97,
  },
  heapq: {
    // prettier-ignore
    blocks: [
      [48, 29], [64, 63], [80, 31], [96, 75], [112, 9], [128, 4], [144, 2], [160, 12], [208, 4],
      [224, 6], [240, 2], [256, 1], [272, 1], [304, 3], [320, 1], [400, 1], [432, 2],
    ],
    largeBlocks: 16,
    heapBytes: 48 << 10,
    containers: 60,
    collections: [0, 0],
    count: 515,
  },
};
const CHUNK_HEAD = 8;
/** Blocks that were freed again leave holes between those that stay, as many and as large. */
const HOLES = 8;
const HOLE_BYTES = 4096;
/** A tuple of five items is a block of 80 bytes, a list one of 64. */
const TUPLE_LENGTH = 5;

/** Brings a runtime that has just begun to where the program starts. */
export function startInterpreter(py: PythonRuntime, kind: StartKind = 'site'): void {
  add(py, starts[kind], kind === 'site' ? 3000 : 3300);
}

/** What `import name` leaves behind, the first time; modules not in the table leave nothing. */
export function importModule(py: PythonRuntime, name: string): void {
  if (!(name in modules)) return;
  const contents = modules[name];
  add(py, contents, contents.containers);
}

/** @param maxLists of the containers; the others are tuples. */
function add(py: PythonRuntime, contents: Contents, maxLists: number): void {
  const { core, lists, gc } = py;
  const before = gc.stats.map((s) => s.collections);
  addLarge(py, contents);
  const left = new Map(contents.blocks);
  // Containers: lists of one block each, and tuples of five items, the first a list.
  const nrLists = Math.min(maxLists, contents.containers, left.get(64) ?? 0);
  const first = lists.make(0);
  for (let i = 1; i < nrLists; i++) lists.make(0);
  left.set(64, (left.get(64) ?? 0) - nrLists);
  const nrTuples = Math.min(contents.containers - nrLists, left.get(80) ?? 0);
  for (let i = 0; i < nrTuples; i++) {
    const tuple = py.tuples.make(TUPLE_LENGTH);
    core.incref(first);
    py.tuples.setItem(tuple, 0, first);
  }
  left.set(80, (left.get(80) ?? 0) - nrTuples);
  for (const [bytes, n] of left)
    for (let i = 0; i < n; i++) core.mem.zero(core.malloc(bytes), bytes);
  // Containers that came and went meanwhile show in the number of collections and in the count.
  contents.collections.forEach((n, generation) => {
    const wanted = (before[generation] ?? 0) + n;
    while ((gc.stats[generation]?.collections ?? 0) < wanted) gc.collect(generation);
  });
  core.mem.store32(gc.head(0) + 20, contents.count);
}

/** Blocks in the C library's heap, of one size. */
function addLarge(py: PythonRuntime, { largeBlocks, heapBytes }: Contents): void {
  const { core } = py;
  const bytes = Math.floor((heapBytes - HOLES * HOLE_BYTES) / largeBlocks) - CHUNK_HEAD;
  const size = Math.floor(bytes / 16) * 16 + 8;
  const holes: number[] = [];
  for (let i = 0; i < largeBlocks; i++) {
    core.mem.zero(core.malloc(size), size & ~7);
    if (i % Math.floor(largeBlocks / HOLES) === 0) holes.push(core.malloc(HOLE_BYTES));
  }
  for (const hole of holes) {
    core.mem.zero(hole, HOLE_BYTES);
    core.free(hole);
  }
}
