// sys.getsizeof() of each kind of object, and of containers as they grow and shrink, as the real
// interpreters have them (sizes.json: 2.7.18 but for its int, 3.8.18, 3.11.7, 3.12.1 and 3.13.0 on
// x86-64 Linux).

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type ProfileName, PythonRuntime } from '../../../runtime/index.ts';
import { ByteArrays } from '../../../runtime/python/bytearrayobject.ts';
import { Deques } from '../../../runtime/python/dequeobject.ts';
import { FlatMemory } from '../../support/flat-memory.ts';

type Course = [number, number][];
type Sizes = Record<string, number | Course>;

const recorded = JSON.parse(
  readFileSync(new URL('./sizes.json', import.meta.url), 'utf8'),
) as Record<string, Sizes>;

/** What the recorded script did, on our heap. */
class Sizer {
  readonly sizes: Sizes = {};
  private readonly py: PythonRuntime;

  constructor(version: ProfileName) {
    this.py = new PythonRuntime(new FlatMemory({ capacityBytes: 1 << 26 }), version);
  }

  private show(name: string, op: number): void {
    this.sizes[name] = this.py.sizeof(op);
  }

  private course(name: string, op: number, step: (i: number) => void): void {
    const course: Course = [[0, this.py.sizeof(op)]];
    for (let i = 0; i < 200; i++) {
      step(i);
      const size = this.py.sizeof(op);
      if (size !== course[course.length - 1][1]) course.push([i + 1, size]);
    }
    this.sizes[name] = course;
  }

  scalars(): void {
    const { py } = this;
    const { scalars } = py;
    const ints = { '0': 0, '1': 1, '-1': -1, '257': 257, '2**30-1': 2 ** 30 - 1 };
    if (py.profile.name !== '2.7')
      for (const [name, v] of Object.entries({ ...ints, '2**30': 2 ** 30, '2**45': 2 ** 45 }))
        this.show(`int ${name}`, scalars.int(v));
    this.show('float', scalars.float(1.5));
    for (const n of [0, 1, 2, 10, 100])
      this.show(`str ascii ${String(n)}`, scalars.repeat(0x61, n, 'ascii'));
    if (py.profile.name !== '2.7')
      for (const [kind, code] of [
        ['latin1', 0xe9],
        ['ucs2', 0x4e2d],
        ['ucs4', 0x1f600],
      ] as const)
        for (const n of [1, 2, 10])
          this.show(`str ${kind} ${String(n)}`, scalars.repeat(code, n, kind));
    for (const n of [0, 1, 10]) this.show(`bytes ${String(n)}`, scalars.bytes(n));
  }

  containers(): void {
    const { py } = this;
    const { dicts, lists, scalars, sets, tuples } = py;
    for (const n of [0, 1, 2, 20]) this.show(`tuple ${String(n)}`, tuples.make(n));
    const list = lists.make(0);
    this.course('list append', list, () => {
      lists.append(list, scalars.none);
    });
    this.course('list pop', list, () => {
      py.core.decref(lists.pop(list));
    });
    for (const n of [0, 1, 3, 8]) this.show(`list of ${String(n)}`, lists.make(n));
    const byInt = dicts.make();
    this.course('dict int', byInt, (i) => dicts.set(byInt, scalars.int(i), scalars.none));
    const byStr = dicts.make();
    this.course('dict str', byStr, (i) =>
      dicts.set(byStr, scalars.str(`k${String(i)}`), scalars.none),
    );
    const set = sets.make();
    this.course('set', set, (i) => sets.add(set, scalars.int(i)));
  }

  others(): void {
    const { py } = this;
    const { functions, instances, scalars, weakrefs } = py;
    const make = (slots: string[] | null, weakref: boolean): number =>
      instances.make(instances.makeClass({ name: 'C', slots, weakref, finalizer: null }));
    const instance = make(null, true);
    this.show('instance', instance);
    this.show('slots', make(['a', 'b'], false));
    this.show('slots weakref', make(['a'], true));
    this.show('weakref', weakrefs.make(instance, 0));
    const code = functions.makeCode({ locals: 1, stack: 1, instructions: 4 });
    const fn = functions.make(code, scalars.none, scalars.str('h'));
    this.show('function', fn);
    this.show('cell', functions.makeCell(scalars.none));
    this.show('method', functions.makeMethod(fn, instance));
    this.show('slice', functions.makeSlice(scalars.int(1), scalars.int(2)));
    this.show('deque', new Deques(py.core).make());
    const bytes = new ByteArrays(py.core);
    this.show('bytearray 0', bytes.make(0));
    this.show('bytearray 5', bytes.make(5));
  }
}

describe('sys.getsizeof()', () => {
  test.each(Object.entries(recorded))('of CPython %s', (release, sizes) => {
    const sizer = new Sizer(release.split('.').slice(0, 2).join('.') as ProfileName);
    sizer.scalars();
    sizer.containers();
    sizer.others();
    expect(sizer.sizes).toEqual(sizes);
  });
});
