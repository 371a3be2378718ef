// CPython's heap on the emulated kernel: pairs and churn of small blocks, the cycle collector.
//
// The yardstick is the real CPython, embedded, where python3-config names a library to link with.

import { PythonRuntime } from '../../runtime/python/runtime.ts';
import { newProcess, ProcessMemory } from '../../runtime/process-memory.ts';
import { System } from '../../userspace/system.ts';
import type { BenchCase, Subject } from './bench.ts';
import { Xorshift } from './xorshift.ts';

const PAIRS = 1 << 16;

function newRuntime(): PythonRuntime {
  const system = new System({ ram: 2 ** 31 });
  const py = new PythonRuntime(new ProcessMemory(system, newProcess(system, 'python')));
  py.gc.enabled = false;
  return py;
}

function pairs(bytes: number): Subject {
  const { obmalloc } = newRuntime();
  obmalloc.malloc(bytes);
  return {
    ops: PAIRS,
    run: () => {
      let at = 0;
      for (let i = 0; i < PAIRS; i++) {
        at = obmalloc.malloc(bytes);
        obmalloc.free(at);
      }
      return at > 0 ? 1 : 0;
    },
  };
}

/** Live blocks of 16 to 512 bytes, a random one replaced by one of another size. */
function churn(live: number): Subject {
  const { mem, obmalloc } = newRuntime();
  const random = new Xorshift(42);
  const slots = Float64Array.from({ length: live }, () =>
    obmalloc.malloc(16 + (random.next() & 31) * 16),
  );
  return {
    ops: PAIRS,
    run: () => {
      for (let i = 0; i < PAIRS; i++) {
        const x = random.next();
        const j = x & (live - 1);
        obmalloc.free(slots[j] ?? 0);
        const at = obmalloc.malloc((((x >>> 13) & 31) + 1) * 16);
        slots[j] = at;
        mem.store8(at, 1);
      }
      return 1;
    },
  };
}

/** Lists of two: node i refers to i + 1 and to a random one, so all hang together. */
function graph(py: PythonRuntime, nodes: number): number {
  const { core, lists } = py;
  const random = new Xorshift(42);
  const at = Float64Array.from({ length: nodes }, () => lists.make(2));
  for (let i = 0; i < nodes; i++) {
    for (const [k, to] of [(i + 1) % nodes, (random.next() >>> 0) % nodes].entries()) {
      core.incref(at[to] ?? 0);
      lists.initItem(at[i] ?? 0, k, at[to] ?? 0);
    }
  }
  for (let i = 1; i < nodes; i++) core.decref(at[i] ?? 0);
  return at[0] ?? 0;
}

function live(nodes: number): Subject {
  const py = newRuntime();
  graph(py, nodes);
  return { ops: nodes, run: () => py.gc.collect(2) };
}

function garbage(nodes: number): Subject {
  const py = newRuntime();
  return {
    ops: nodes,
    prepare: () => {
      py.core.decref(graph(py, nodes));
    },
    run: () => py.gc.collect(2),
  };
}

export const cases: readonly BenchCase[] = [
  {
    name: 'python.pair.64',
    what: 'Python: a block of 64 bytes allocated and freed',
    unit: 'pairs/s',
    yardstick: 'python:pymalloc.pair',
    goal: 0.08,
    stretch: 0.15,
    make: () => pairs(64),
  },
  {
    name: 'python.churn',
    what: 'Python: one of 8192 blocks of 16 to 512 bytes replaced',
    unit: 'pairs/s',
    yardstick: 'python:pymalloc.churn',
    goal: 0.25,
    stretch: 0.4,
    make: (size) => churn(size === 'small' ? 512 : 8192),
  },
  {
    name: 'python.gc.live',
    what: 'Python: a full collection over 10^6 lists that live',
    unit: 'objects/s',
    yardstick: 'python:gc.live',
    goal: 0.3,
    stretch: 0.6,
    make: (size) => live(size === 'small' ? 5000 : 1e6),
  },
  {
    name: 'python.gc.garbage',
    what: 'Python: a full collection that frees 10^6 lists',
    unit: 'objects/s',
    yardstick: 'python:gc.garbage',
    goal: 0.3,
    stretch: 0.6,
    make: (size) => garbage(size === 'small' ? 5000 : 1e6),
  },
];
