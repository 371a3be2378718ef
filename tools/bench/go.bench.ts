// The emulated Go runtime: allocation of small objects, churn with collections, marking.
//
// The yardstick is the real Go, where it is installed; all of it with one processor.

import { GoRuntime } from '../../runtime/go/runtime.ts';
import { newProcess, ProcessMemory } from '../../runtime/process-memory.ts';
import { System } from '../../userspace/system.ts';
import type { BenchCase, Size, Subject } from './bench.ts';
import { Xorshift } from './xorshift.ts';

function newRuntime(gcPercent: number): GoRuntime {
  const system = new System({ ram: 2 ** 31 });
  const memory = new ProcessMemory(system, newProcess(system, 'go'));
  return new GoRuntime(memory, { gcPercent, globalsBytes: 16 << 20 });
}

/** Objects without pointers, on spans that a collection before freed. */
function allocate(bytes: number, size: Size): Subject {
  const go = newRuntime(-1);
  const [p] = go.procs;
  if (p === undefined) throw new Error('a runtime has a processor');
  const ops = (size === 'small' ? 1 << 20 : 32 << 20) / bytes;
  let first = 0;
  return {
    ops,
    prepare: () => {
      go.collect();
      go.collect();
    },
    run: () => {
      let at = 0;
      for (let i = 0; i < ops; i++) at = go.malloc.alloc(p, bytes, 0);
      first ||= at;
      return at > 0 ? 1 : 0;
    },
  };
}

/** Live objects, a random one replaced each time; collections start by themselves. */
function churn(bytes: number, ptrWords: number, live: number): Subject {
  const go = newRuntime(100);
  const type = go.types.leading(bytes, ptrWords);
  const slots = Float64Array.from({ length: live }, () => go.newGlobal());
  for (const slot of slots) go.storePointer(slot, go.new(bytes, type));
  const random = new Xorshift(7);
  const ops = 1 << 16;
  return {
    ops,
    run: () => {
      for (let i = 0; i < ops; i++) {
        const slot = slots[random.next() & (live - 1)] ?? 0;
        go.storePointer(slot, go.new(bytes, type));
        if (go.gc.marking) go.gc.background(4096);
      }
      return 1;
    },
  };
}

/** A binary tree of 32-byte nodes, marked from its root; nodes in order of address, or shuffled. */
function mark(nodes: number, shuffled: boolean): Subject {
  const go = newRuntime(-1);
  const node = go.types.leading(32, 2);
  const root = go.newGlobal();
  const at = Float64Array.from({ length: nodes }, () => go.new(32, node));
  if (shuffled) {
    const random = new Xorshift(42);
    for (let i = nodes - 1; i > 0; i--) {
      const j = random.next() % (i + 1);
      [at[i], at[j]] = [at[j] ?? 0, at[i] ?? 0];
    }
  }
  go.storePointer(root, at[0] ?? 0);
  for (let i = 0; i < nodes; i++) {
    for (const [word, child] of [2 * i + 1, 2 * i + 2].entries())
      if (child < nodes) go.storePointer((at[i] ?? 0) + word * 8, at[child] ?? 0);
  }
  return {
    ops: nodes,
    prepare: () => {
      if (go.gc.marking) go.gc.complete();
      go.gc.sweepAll();
      go.gc.start(true);
    },
    run: () => {
      while (go.gc.markStep(Infinity));
      return go.marker.bytesMarked;
    },
  };
}

const NEW_GOALS: readonly (readonly [number, number, number])[] = [
  [16, 0.4, 0.8],
  [64, 0.4, 0.8],
  [512, 0.8, 1.2],
  [4096, 0.8, 1.2],
];

export const cases: readonly BenchCase[] = [
  ...NEW_GOALS.map(([bytes, goal, stretch]) => ({
    name: `go.new.${String(bytes)}`,
    what: `Go: new object of ${String(bytes)} bytes without pointers`,
    unit: 'objects/s',
    yardstick: `go:new.${String(bytes)}`,
    goal,
    stretch,
    make: (size: Size) => allocate(bytes, size),
  })),
  {
    name: 'go.churn.noscan64',
    what: 'Go: one of 2^20 objects of 64 bytes replaced, with collections',
    unit: 'objects/s',
    yardstick: 'go:churn.noscan64',
    goal: 0.25,
    stretch: 0.5,
    make: (size) => churn(64, 0, size === 'small' ? 2 ** 12 : 2 ** 20),
  },
  {
    name: 'go.churn.node32',
    what: 'Go: one of 2^20 nodes of 32 bytes replaced, with collections',
    unit: 'objects/s',
    yardstick: 'go:churn.node32',
    goal: 0.25,
    stretch: 0.5,
    make: (size) => churn(32, 2, size === 'small' ? 2 ** 12 : 2 ** 20),
  },
  {
    name: 'go.mark.ordered',
    what: 'Go: a tree of nodes marked, in order of address',
    unit: 'objects/s',
    yardstick: 'go:mark.ordered',
    goal: 0.5,
    stretch: 1,
    make: (size) => mark(size === 'small' ? 5000 : 1e6, false),
  },
  {
    name: 'go.mark.shuffled',
    what: 'Go: a tree of nodes marked, at random addresses',
    unit: 'objects/s',
    yardstick: 'go:mark.shuffled',
    goal: 0.4,
    stretch: 0.6,
    make: (size) => mark(size === 'small' ? 5000 : 1e6, true),
  },
];
