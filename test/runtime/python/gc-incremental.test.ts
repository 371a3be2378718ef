// The incremental collector of 3.14.0 to 3.14.4: the course of its increments against a real
// 3.14.2, and what of its state can be seen from outside.

import { describe, expect, test } from 'vitest';
import { newProcess, ProcessMemory } from '../../../runtime/process-memory.ts';
import { IncrementalCollector } from '../../../runtime/python/gc-incremental.ts';
import { PythonRuntime } from '../../../runtime/python/runtime.ts';
import { System } from '../../../userspace/system.ts';

/** Containers that the real interpreter had before the program. */
const FROZEN = 20430;

function python(version: '3.14' | '3.14.5' = '3.14'): PythonRuntime {
  const system = new System({ ram: 2 ** 30 });
  return new PythonRuntime(new ProcessMemory(system, newProcess(system, 'python')), version);
}
function incremental(py: PythonRuntime): IncrementalCollector {
  if (!(py.gc instanceof IncrementalCollector)) throw new Error('not incremental');
  return py.gc;
}

interface Event {
  /** gc.get_stats() counted it; else it marked, or there was no work to do. */
  readonly counted: boolean;
  readonly collected: number;
  readonly young: number;
}

/** `a = []; a.append(a)`, n times, each kept in a list or not; the running frame holds `a`. */
function makeCycles(py: PythonRuntime, n: number, kept: boolean): Event[] {
  const { core, gc, lists } = py;
  const events: Event[] = [];
  const out = lists.make(0);
  let a = 0;
  gc.forEachRoot = (visit) => {
    visit(out);
    if (a !== 0) visit(a);
  };
  gc.onCollection = ({ collected, counted }) => {
    events.push({ counted, collected, young: gc.lists.size(gc.head(0)) });
  };
  for (let i = 0; i < n; i++) {
    const b = lists.make(0);
    gc.runRequested();
    core.xdecref(a);
    a = b;
    lists.append(a, a);
    if (kept) lists.append(out, a);
  }
  core.xdecref(a);
  gc.forEachRoot = () => undefined;
  return events;
}

/** M for what was not counted, C for what was. */
const course = (events: readonly Event[]): string =>
  events.map((e) => (e.counted ? 'C' : 'M')).join('');
const near = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((x, i) => Math.abs(x - b[i]) <= 4);

describe('increments', () => {
  test('mark, collect and wait as those of 3.14.2', () => {
    const py = python();
    const gc = incremental(py);
    py.lists.make(0);
    gc.freeze();
    // A real interpreter has more that is frozen: it counts as heap.
    const missing = FROZEN - gc.heapSize;
    gc.heapSize += missing;
    for (let i = 0; i < 4; i++) py.lists.make(0); // of the script itself
    const kept = makeCycles(py, 20000, true);
    expect(course(kept)).toBe('MCMMMMMCM');
    expect(
      near(
        kept.map((e) => e.young),
        [4, 1, 1, 2002, 4003, 6004, 8005, 1, 2002],
      ),
    ).toBe(true);
    expect(kept.every((e) => e.collected === 0)).toBe(true);
    const dropped = makeCycles(py, 20000, false);
    expect(course(dropped)).toBe('MMCMMCMMCM');
    const collected = dropped.filter((e) => e.counted).map((e) => e.collected);
    expect(near(collected, [4000, 6002, 6002])).toBe(true);
    const again = makeCycles(py, 20000, false);
    expect(course(again)).toBe('CMCCCCCCMC');
    const more = again.filter((e) => e.counted).map((e) => e.collected);
    expect(near(more, [4001, 4001, 2000, 2000, 2000, 2000, 2000, 4000])).toBe(true);
    gc.heapSize -= missing;
    py.check();
  });

  test('come from a cycle that is held by nothing, however old', () => {
    const py = python();
    const gc = incremental(py);
    const a = py.lists.make(0);
    py.lists.append(a, a);
    gc.collect(0);
    expect(gc.generationOf(a)).toBe(1);
    py.core.decref(a);
    let found = 0;
    gc.onCollection = ({ collected }) => {
      found += collected;
    };
    for (let i = 0; i < 12000; i++) {
      py.lists.make(0);
      gc.runRequested();
    }
    expect(found).toBe(1);
    py.check();
  });
});

describe('what a program sees', () => {
  test('counts, thresholds and statistics', () => {
    const py = python();
    const { gc } = py;
    expect([0, 1, 2].map((i) => gc.threshold(i))).toEqual([2000, 10, 0]);
    [1500, 7, 9].forEach((n, i) => {
      gc.setThreshold(i, n);
    });
    expect([0, 1, 2].map((i) => gc.threshold(i))).toEqual([1500, 7, 0]);
    for (let i = 0; i < 3; i++) gc.collect(0);
    expect(gc.counts()).toEqual([0, 3, 0]);
    gc.collect(2);
    expect(gc.counts()).toEqual([0, 0, 0]);
    gc.collect(1); // marks
    gc.collect(1);
    expect(gc.stats.map((s) => s.collections)).toEqual([3, 1, 1]);
  });

  test('the count is of tracked objects, free lists or not', () => {
    const py = python();
    const make = (): number[] => Array.from({ length: 300 }, () => py.lists.make(0));
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 4; i += 2) {
      const lists = make();
      counts[i] = py.gc.count(0);
      for (const op of lists) py.core.decref(op);
      counts[i + 1] = py.gc.count(0);
    }
    expect(counts).toEqual([300, 0, 300, 0]);
  });

  test('dicts are tracked at once, tuples of numbers never', () => {
    const py = python();
    const { gc, scalars, tuples } = py;
    expect(gc.isTracked(py.dicts.make())).toBe(true);
    const pair = tuples.make(2);
    for (let i = 0; i < 2; i++) tuples.setItem(pair, i, scalars.int(1000 + i));
    tuples.made(pair);
    expect(gc.isTracked(pair)).toBe(false);
    expect(py.sizeof(pair)).toBe(64);
  });

  test('an object of the pending space has the bit in its head', () => {
    const py = python();
    const gc = incremental(py);
    const a = py.lists.make(0);
    expect([gc.generationOf(a), gc.spaceOf(a), gc.visitedSpace]).toEqual([0, 1, 0]);
    gc.collect(0);
    expect([gc.generationOf(a), gc.spaceOf(a), gc.visitedSpace]).toEqual([1, 0, 0]);
    gc.collect(2); // the spaces change places
    expect([gc.generationOf(a), gc.spaceOf(a), gc.visitedSpace]).toEqual([2, 0, 1]);
  });

  test('3.14.5 has three generations again', () => {
    const { gc } = python('3.14.5');
    expect([0, 1, 2].map((i) => gc.threshold(i))).toEqual([2000, 10, 10]);
    expect(gc instanceof IncrementalCollector).toBe(false);
  });
});
