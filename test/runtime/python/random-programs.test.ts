// Random programs under fsck: after every few statements each count equals the references that a
// shadow graph finds, nothing reachable was freed, and all structures are sound.

import seedrandom from 'seedrandom';
import { describe, expect, test } from 'vitest';
import { type ProfileName, profiles, PythonRuntime } from '../../../runtime/index.ts';
import { ObjectScript } from '../../../tools/python/object-run.ts';
import { parseObjects } from '../../../tools/python/object-script.ts';
import { FlatMemory } from '../../support/flat-memory.ts';

const classes = ['', 'finalizer', 'class=D', 'resurrect=r@0', 'resurrect=r@1'];
const versions = Object.keys(profiles) as ProfileName[];

/** A script of `length` statements that uses bound names only. */
function program(seed: string, length: number): string {
  const random = seedrandom(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(from: readonly T[]): T => from[below(from.length)];
  const kinds = new Map<string, string>();
  const names = (kind?: string): string[] =>
    [...kinds].filter(([, k]) => kind === undefined || k === kind).map(([name]) => name);
  const operand = (): string => {
    if (kinds.size > 0 && random() < 0.7) return pick(names());
    return pick(['None', '7', '100000', '"word"', '"a"']);
  };
  const lines = ['gc.set_threshold(40, 5, 5)'];
  const make = (name: string): string => {
    const kind = pick(['list', 'tuple', 'dict', 'set', 'instance', 'slots', 'float', 'str', 'ref']);
    switch (kind) {
      case 'list':
      case 'tuple': {
        const text = `${name} = ${kind}(${operand()}, ${operand()})`;
        kinds.set(name, kind);
        return text;
      }
      case 'dict':
      case 'set':
        kinds.set(name, kind);
        return `${name} = ${kind}()`;
      case 'instance':
        kinds.set(name, kind);
        return `${name} = instance(${pick(classes)})`;
      case 'slots':
        kinds.set(name, kind);
        return `${name} = instance(slots=3, weakref)`;
      case 'float':
        kinds.set(name, 'scalar');
        return `${name} = float(2.5)`;
      case 'str':
        kinds.set(name, 'scalar');
        return `${name} = str(${String(below(20))}, ${pick(['ascii', 'latin1', 'ucs2'])})`;
      default: {
        const targets = [...names('instance'), ...names('slots')];
        if (targets.length === 0) return 'stats()';
        const of = pick(targets);
        kinds.set(name, 'ref');
        return `${name} = ref(${of}${random() < 0.5 ? ', callback' : ''})`;
      }
    }
  };
  const change = (): string => {
    const name = pick(names());
    switch (kinds.get(name)) {
      case 'list':
        return pick([
          `${name}.append(${operand()})`,
          `${name}.insert(0, ${operand()})`,
          `${name}.clear()`,
          `${name}.pop()`,
          `${name}[0] = ${operand()}`,
          `del ${name}[0]`,
          `grow(${name}, ${operand()}, ${String(below(30))})`,
        ]);
      case 'dict':
        return pick([
          `${name}[${String(below(9))}] = ${operand()}`,
          `${name}["k${String(below(9))}"] = ${operand()}`,
          `del ${name}[${String(below(9))}]`,
          `fill(${name}, "f", 0, ${String(below(40))}, ${operand()})`,
          `${name}.clear()`,
        ]);
      case 'set':
        return pick([
          `${name}.add("w${String(below(9))}")`,
          `fill(${name}, 0, ${String(below(40))})`,
          `${name}.discard(3)`,
          `${name}.clear()`,
        ]);
      case 'instance':
        return pick([
          `${name}.${pick(['a', 'b', 'c', 'next'])} = ${operand()}`,
          `${name}.x${String(below(40))} = ${operand()}`,
          `del ${name}.a`,
        ]);
      case 'slots':
        return pick([`${name}.s${String(below(3))} = ${operand()}`, `del ${name}.s0`]);
      default:
        return pick(['collect(0)', 'collect(1)', 'stats()']);
    }
  };
  for (let i = 0; i < length; i++) {
    const roll = random();
    if (kinds.size === 0 || roll < 0.35) lines.push(make(`x@${String(below(12))}`));
    else if (roll < 0.45) {
      const name = pick(names());
      kinds.delete(name);
      lines.push(`del ${name}`);
    } else if (roll < 0.49) lines.push('collect()');
    else lines.push(change());
  }
  return lines.join('\n');
}

describe.each(versions)('CPython %s', (version) => {
  test.each(['1', '2', '3'])('300 random statements, seed %s', (seed) => {
    const py = new PythonRuntime(new FlatMemory({ capacityBytes: 1 << 26 }), version);
    const script = new ObjectScript('random', py);
    let done = 0;
    script.run(parseObjects('random', program(`${version}/${seed}`, 300)), () => {
      if (++done % 10 === 0) script.check();
    });
    script.check();
    expect(done).toBeGreaterThan(300);
  });
});

describe('deep nesting', () => {
  test.each(versions)('100,000 levels die at once in CPython %s', (version) => {
    const py = new PythonRuntime(new FlatMemory({ capacityBytes: 1 << 27 }), version);
    const { core, dicts, lists, tuples } = py;
    py.gc.enabled = false;
    const key = py.scalars.str('next');
    const before = py.mallocStats().allocated_blocks;
    let top = lists.make(0);
    for (let i = 0; i < 100_000; i++) {
      const outer = i % 3 === 0 ? lists.make(1) : i % 3 === 1 ? tuples.make(1) : dicts.make();
      if (i % 3 === 0) lists.initItem(outer, 0, top);
      else if (i % 3 === 1) tuples.setItem(outer, 0, top);
      else {
        dicts.set(outer, key, top);
        core.decref(top);
      }
      top = outer;
    }
    expect(py.gc.collect(2)).toBe(0);
    core.decref(top);
    py.gc.collect(2);
    expect(py.mallocStats().allocated_blocks).toBe(before);
    py.check();
  });
});

describe('fsck finds', () => {
  test('a reference too few and one too many', () => {
    const py = new PythonRuntime(new FlatMemory({ capacityBytes: 1 << 26 }));
    const script = new ObjectScript('t', py);
    script.run(parseObjects('t', 'x = list()\ny = list(x)'), () => undefined);
    script.check();
    const first = py.gc.lists.next(py.gc.head(0)) + 16;
    py.core.incref(first);
    expect(() => script.check()).toThrow('count 3, but 2 references');
    py.mem.store32(first, 1);
    expect(() => script.check()).toThrow('count 1, but 2 references');
  });

  test('a reachable object that was freed', () => {
    const py = new PythonRuntime(new FlatMemory({ capacityBytes: 1 << 26 }));
    const script = new ObjectScript('t', py);
    script.run(parseObjects('t', 'x = float(1.5)'), () => undefined);
    script.check();
    const block = py.obmalloc.malloc(24);
    py.obmalloc.free(block); // the block behind the float's
    py.obmalloc.free(py.obmalloc.blockOf(block - 32));
    expect(() => script.check()).toThrow();
  });
});
