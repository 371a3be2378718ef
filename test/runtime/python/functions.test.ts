// Functions, cells, methods, frames and generators: sizes as the real interpreters tell them, and
// what the collector and the counts make of them.

import seedrandom from 'seedrandom';
import { describe, expect, test } from 'vitest';
import { checkReferences, type ProfileName, PythonRuntime } from '../../../runtime/index.ts';
import { FlatMemory } from '../../support/flat-memory.ts';

function python(version: ProfileName = '3.11'): PythonRuntime {
  return new PythonRuntime(new FlatMemory({ capacityBytes: 1 << 26 }), version);
}

/** A function of so many variables, and a stack so deep. */
function define(py: PythonRuntime, locals: number, stack: number, closure = 0): number {
  const { core, functions, scalars } = py;
  const code = functions.makeCode({ locals, stack, instructions: 8 });
  const name = scalars.str('f');
  const fn = functions.make(code, scalars.none, name, closure);
  core.decref(code);
  core.decref(name);
  return fn;
}

/** Counts agree with references; `roots` are what the test holds. */
function sound(py: PythonRuntime, roots: readonly number[]): void {
  py.check();
  checkReferences(py, roots, new Set([py.scalars.none]));
}

describe('sys.getsizeof()', () => {
  // function, cell, method, slice, range, iterator, and of 3.11 on: a generator with 2 variables
  // and a stack of 1 (2 from 3.12 on), a frame object with 3 variables and a stack of 2.
  test.each([
    ['2.7', [120, 56, 80, 72], null],
    ['3.8', [136, 40, 64, 56, 48, 48], null],
    ['3.11', [152, 40, 64, 56, 48, 48], [1, 192, 176]],
    ['3.12', [160, 40, 64, 56, 48, 48], [2, 192, 176]],
    ['3.13', [160, 40, 64, 56, 48, 48], [2, 192, 192]],
  ] as const)('of CPython %s', (version, sizes, calls) => {
    const py = python(version);
    const { functions, frames, generators, lists, scalars } = py;
    const none = scalars.none;
    const fn = define(py, 3, 2);
    const made = [
      fn,
      functions.makeCell(none),
      functions.makeMethod(fn, none),
      functions.makeSlice(none, none),
      functions.makeRange(scalars.int(0), scalars.int(3), scalars.int(1), scalars.int(3)),
      functions.makeIterator(lists.make(0)),
    ];
    expect(made.slice(0, sizes.length).map((op) => py.sizeof(op))).toEqual(sizes);
    if (calls === null) return;
    const [stack, generator, frame] = calls;
    expect(py.sizeof(generators.make(define(py, 2, stack), none))).toBe(generator);
    expect(py.sizeof(frames.object(frames.call(fn)))).toBe(frame);
  });

  test.each([
    ['3.11', [192, 208], [3, 11]],
    ['3.12', [200, 216], [2, 11]],
    ['3.13', [208, 224], [2, 9]],
  ] as const)('code of %s holds its instructions', (version, sizes, units) => {
    const { functions, core } = python(version);
    const found = units.map((instructions) => {
      const code = functions.makeCode({ locals: 0, stack: 1, instructions });
      return core.ops[core.kindOf(code)].sizeOf(code);
    });
    expect(found).toEqual(sizes);
  });
});

describe('functions', () => {
  test('a closure keeps its cell and the cell its value', () => {
    const py = python();
    const { core, functions, tuples } = py;
    const value = py.lists.make(0);
    const cell = functions.makeCell(value);
    core.decref(value);
    const closure = tuples.make(1);
    tuples.setItem(closure, 0, cell);
    const inner = define(py, 0, 1, closure);
    core.decref(closure);
    sound(py, [inner]);
    expect(core.refcount(value)).toBe(1);
    const blocks = py.obmalloc.allocatedBlocks();
    core.decref(inner); // function, code, cell, list; the closure's tuple waits on a free list
    expect(blocks - py.obmalloc.allocatedBlocks()).toBe(3);
    py.check();
  });

  test('a recursive inner function is a cycle that the collector breaks', () => {
    const py = python();
    const { core, functions, tuples } = py;
    const cell = functions.makeCell(0);
    const closure = tuples.make(1);
    tuples.setItem(closure, 0, cell);
    const inner = define(py, 0, 1, closure);
    core.decref(closure);
    functions.setCell(cell, inner);
    core.decref(inner);
    expect(py.gc.collect(2)).toBe(3);
    sound(py, []);
  });

  test('an iterator gives its list up at the end', () => {
    const py = python();
    const { core, functions } = py;
    const list = py.lists.make(2);
    const iterator = functions.makeIterator(list);
    expect([0, 1, 2, 3].map(() => functions.advance(iterator, 2))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(core.refcount(list)).toBe(1);
  });
});

describe('frames', () => {
  test('calls take no object; the data stack grows by chunks of 16 KiB and gives them back', () => {
    const py = python();
    const { frames, obmalloc } = py;
    const sizes: number[] = [];
    const { source } = obmalloc.arenas;
    obmalloc.arenas.source = {
      alloc: (bytes) => (sizes.push(bytes), source.alloc(bytes)),
      free: (at, bytes) => {
        sizes.push(-bytes);
        source.free(at, bytes);
      },
    };
    const fn = define(py, 4, 4);
    sizes.length = 0;
    const blocks = obmalloc.allocatedBlocks();
    for (let depth = 0; depth < 300; depth++) frames.call(fn); // 136 bytes each
    py.check();
    expect(obmalloc.allocatedBlocks()).toBe(blocks);
    expect(sizes).toEqual([16384, 16384, 16384]);
    for (let depth = 0; depth < 300; depth++) frames.ret();
    expect(sizes.slice(3)).toEqual([-16384, -16384]); // the first stays
    expect(py.core.refcount(fn)).toBe(1);
    sound(py, [fn]);
  });

  test('a frame whose object is held moves into it, with its callers', () => {
    const py = python();
    const { core, frames } = py;
    const fn = define(py, 2, 1);
    frames.call(fn);
    const list = py.lists.make(0);
    const frame = frames.call(fn);
    frames.setLocal(frame, 0, list);
    const object = frames.object(frame);
    core.incref(object);
    sound(py, [fn, object]);
    frames.ret();
    expect(core.refcount(list)).toBe(1);
    sound(py, [fn, object]);
    frames.ret();
    sound(py, [fn, object]);
    core.decref(object);
    expect(core.refcount(fn)).toBe(1);
    sound(py, [fn]);
  });
});

describe('generators', () => {
  test('one that waits in a cycle with its own variable is found', () => {
    const py = python();
    const { core, frames, generators } = py;
    const fn = define(py, 1, 1);
    const gen = generators.make(fn, py.scalars.none);
    generators.resume(gen);
    const list = py.lists.make(0);
    py.lists.append(list, gen);
    frames.setLocal(generators.frameOf(gen), 0, list);
    sound(py, [fn, gen]);
    generators.yield_(gen);
    sound(py, [fn, gen]);
    core.decref(gen);
    expect(py.gc.collect(2)).toBe(2);
    sound(py, [fn]);
  });

  test.each(['3.11', '3.12', '3.13'] as const)('random calls and yields in %s', (version) => {
    const py = python(version);
    const random = seedrandom(`frames/${version}`);
    const { core, frames, generators } = py;
    py.gc.setThreshold(0, 20);
    const fns = [define(py, 3, 2), define(py, 20, 30), define(py, 0, 900)];
    const gens: number[] = [];
    const running: number[] = []; // generators by depth; 0 for a plain call
    const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(random() * from.length)];
    for (let step = 0; step < 1500; step++) {
      const roll = random();
      const top = running.at(-1) ?? 0;
      if (roll < 0.3) {
        running.push(0);
        frames.call(pick(fns) ?? 0);
      } else if (roll < 0.4) gens.push(generators.make(pick(fns) ?? 0, py.scalars.none));
      else if (roll < 0.55) {
        const gen = pick(gens);
        if (gen !== undefined && generators.isAlive(gen) && !running.includes(gen)) {
          generators.resume(gen);
          running.push(gen);
        }
      } else if (roll < 0.7 && running.length > 0) {
        const value = pick([py.lists.make(1), ...gens]) ?? 0;
        if (gens.includes(value)) core.incref(value);
        if (core.kindOf(value) !== core.kindOf(gens[0] ?? value)) py.lists.initItem(value, 0, 0);
        frames.setLocal(frames.current, 0, value);
      } else if (running.length > 0) {
        running.pop();
        if (top === 0) frames.ret();
        else if (random() < 0.7) generators.yield_(top);
        else generators.finish(top);
      } else if (gens.length > 0) core.decref(gens.pop() ?? 0);
      py.gc.runRequested();
    }
    py.check();
    expect(gens.length).toBeGreaterThan(0);
  });
});
