// A collection seen from between its steps: gc_refs in the heads, the lists, the lines it prints.

import { describe, expect, test } from 'vitest';
import { PythonRuntime } from '../../../runtime/index.ts';
import { FlatMemory } from '../../support/flat-memory.ts';

function python(): PythonRuntime {
  const py = new PythonRuntime(new FlatMemory({ capacityBytes: 1 << 26 }));
  py.gc.enabled = false;
  return py;
}

/** Two lists that hold each other; nothing else holds them. */
function cycle(py: PythonRuntime): [number, number] {
  const a = py.lists.make(0);
  const b = py.lists.make(0);
  py.lists.append(a, b);
  py.lists.append(b, a);
  py.core.decref(a);
  py.core.decref(b);
  return [a, b];
}

describe('a collection in steps', () => {
  test('shows gc_refs copied, subtracted, and used up', () => {
    const py = python();
    const held = py.lists.make(0);
    const [a, b] = cycle(py);
    py.lists.append(held, a);
    py.lists.append(held, held); // 2 references, one of them its own
    const seen: Record<string, number[]> = {};
    const steps = py.gc.collectInSteps(2);
    for (let at = steps.next(); at.done !== true; at = steps.next())
      seen[at.value.step] ??= [held, a, b].map((op) => py.gc.gcRefs(op));
    expect(seen['copy']).toEqual([2, 2, 1]);
    expect(seen['subtract']).toEqual([1, 0, 0]);
    expect(seen['sort']).toEqual([-1, -1, -1]); // all reached: heads link again
    py.check();
  });

  test('tells each object that is finalized and cleared, and what the whole found', () => {
    const py = python();
    const said: string[] = [];
    const finalizer = (self: number): void => {
      said.push(py.core.typeName(self));
    };
    const cls = py.instances.makeClass({ name: 'Node', slots: null, weakref: true, finalizer });
    const name = py.scalars.str('next');
    const x = py.instances.make(cls);
    py.instances.setAttribute(x, name, x);
    py.core.decref(x);
    const steps: string[] = [];
    const run = py.gc.collectInSteps(2);
    let at = run.next();
    for (; at.done !== true; at = run.next()) {
      steps.push(at.value.step);
      if (at.value.step === 'finalizer') expect(at.value.op).toBe(x);
    }
    expect(said).toEqual(['Node']);
    expect(steps.filter((s) => s === 'finalizer' || s === 'clear')).toEqual(['finalizer', 'clear']);
    expect(steps.at(-1)).toBe('done');
    expect(at.value).toMatchObject({ generation: 2, collected: 1, uncollectable: 0 });
    expect(py.gc.stats[2]).toEqual({ collections: 1, collected: 1, uncollectable: 0 });
    py.check();
  });

  test('an object that its finalizer revives is sorted a second time and lives', () => {
    const py = python();
    let revived = 0;
    const finalizer = (self: number): void => {
      py.core.incref(self);
      revived = self;
    };
    const cls = py.instances.makeClass({ name: 'R', slots: null, weakref: true, finalizer });
    const name = py.scalars.str('next');
    const x = py.instances.make(cls);
    py.instances.setAttribute(x, name, x);
    py.core.decref(x);
    const sorts: string[] = [];
    for (const { step } of py.gc.collectInSteps(2)) if (step === 'sort') sorts.push(step);
    expect(sorts.length).toBe(2);
    expect(revived).toBe(x);
    expect(py.core.refcount(x)).toBe(2);
    expect(py.gc.isFinalized(x)).toBe(true);
    py.check();
  });
});

describe('gc.set_debug()', () => {
  test('DEBUG_STATS and DEBUG_COLLECTABLE print what CPython 3.11 prints', () => {
    const py = python();
    const lines: string[] = [];
    py.gc.log = (line) => lines.push(line);
    py.gc.debug = 1 | 2;
    const [a, b] = cycle(py);
    py.gc.collect(2);
    expect(lines).toEqual([
      'gc: collecting generation 2...',
      'gc: objects in each generation: 2 0 0',
      'gc: objects in permanent generation: 0',
      `gc: collectable <list 0x${a.toString(16)}>`,
      `gc: collectable <list 0x${b.toString(16)}>`,
      'gc: done, 2 unreachable, 0 uncollectable, 0.0000s elapsed',
    ]);
  });

  test('DEBUG_STATS of 2.7 ends with a full stop and knows no permanent generation', () => {
    const py = new PythonRuntime(new FlatMemory({ capacityBytes: 1 << 26 }), '2.7');
    const lines: string[] = [];
    py.gc.log = (line) => lines.push(line);
    py.gc.debug = 1;
    py.gc.collect(0);
    expect(lines).toEqual([
      'gc: collecting generation 0...',
      'gc: objects in each generation: 0 0 0',
      'gc: done, 0.0000s elapsed.',
    ]);
  });

  test('DEBUG_SAVEALL keeps what was found on gc.garbage', () => {
    const py = python();
    py.gc.debug = 32;
    const [a, b] = cycle(py);
    expect(py.gc.collect(2)).toBe(2);
    expect([0, 1].map((i) => py.lists.item(py.garbage, i))).toEqual([a, b]);
    py.check();
  });
});
