// Random object scripts: every kind of object, every statement, names that are bound.
//
// A script may still have statements that raise; whoever runs it takes those out.

import seedrandom from 'seedrandom';

const THRESHOLDS = ['40, 5, 5', '7, 2, 2', '700, 10, 10', '1, 1, 1', '20, 3'];
const CLASSES = [
  '',
  '',
  'finalizer',
  'class=D',
  'resurrect=r@0',
  'class=F, finalizer',
  'class=S, slots=0',
  'class=S, slots=5, weakref',
  'class=S, slots=1, finalizer',
  'class=T, slots=2, weakref, resurrect=r@2',
];
const INTEGERS = [
  '5',
  '300',
  '-6',
  '1073741823',
  '1073741824',
  '-99999999999',
  '12345678901234567',
];
const LITERALS = ['None', '7', '100000', '-3', '"word"', '"a"', '"é"', '""', '1073741824'];
/** What a script makes most of. */
const THEMES: readonly (readonly string[])[] = [
  ['list', 'tuple', 'dict', 'set', 'instance', 'slots', 'float', 'str', 'ref', 'int', 'bytes'],
  ['float', 'str', 'int', 'bytes', 'tuple', 'list', 'dict', 'range'],
  ['set', 'set', 'int', 'str', 'dict', 'alias'],
  ['instance', 'instance', 'instance', 'float', 'ref', 'range'],
];

export class Programs {
  private readonly random: () => number;
  private readonly kinds = new Map<string, string>();
  private readonly theme: readonly string[];
  private readonly nrNames: number;

  constructor(seed: string) {
    this.random = seedrandom(seed);
    this.theme = this.pick(THEMES);
    this.nrNames = this.pick([8, 14, 30]);
  }

  /** A script of about so many statements. */
  lines(length: number): string[] {
    const lines = [`gc.set_threshold(${this.pick(THRESHOLDS)})`];
    for (let i = 0; i < length; i++) {
      const roll = this.random();
      if (this.kinds.size === 0 || roll < 0.35)
        lines.push(this.make(`x@${this.below(this.nrNames)}`));
      else if (roll < 0.45) {
        const name = this.pick(this.names());
        this.kinds.delete(name);
        lines.push(`del ${name}`);
      } else if (roll < 0.49) lines.push(`collect(${this.below(3)})`);
      else lines.push(this.change(this.pick(this.names())));
    }
    return bound(lines);
  }

  private below(n: number): number {
    return Math.floor(this.random() * n);
  }
  private pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }
  private names(...kinds: string[]): string[] {
    const all = [...this.kinds].filter(([, k]) => kinds.length === 0 || kinds.includes(k));
    return all.map(([name]) => name);
  }
  private operand(): string {
    return this.kinds.size > 0 && this.random() < 0.7
      ? this.pick(this.names())
      : this.pick(LITERALS);
  }
  /** Something that has a hash, and the same one in any process. */
  private key(): string {
    const names = this.names('scalar');
    const isName = names.length > 0 && this.random() < 0.5;
    return isName ? this.pick(names) : this.pick(['1', '2', '"k1"', '"k2"', '300', '-1']);
  }

  private make(name: string): string {
    const kind = this.pick(this.theme);
    const is = (what: string, text: string): string => {
      this.kinds.set(name, what);
      return `${name} = ${text}`;
    };
    switch (kind) {
      case 'list':
      case 'tuple': {
        const n = this.pick([2, 2, 3, 5, 9, 20, 21]);
        const items = Array.from({ length: n }, () => this.operand());
        return is(kind, `${kind}(${this.random() < 0.2 ? this.below(100) : items.join(', ')})`);
      }
      case 'instance':
        return is(kind, `instance(${this.pick(CLASSES)})`);
      case 'slots':
        return is(kind, 'instance(slots=3, weakref)');
      case 'float':
        return is('scalar', 'float(2.5)');
      case 'int':
        return is('scalar', `int(${this.pick(INTEGERS)})`);
      case 'bytes':
        return is('scalar', `bytes(${this.pick([0, 1, 2, 10, 479, 480, 5000])})`);
      case 'str': {
        const n = this.pick([0, 1, 2, this.below(50), this.below(600), 3000]);
        return is('scalar', `str(${n}, ${this.pick(['ascii', 'latin1', 'ucs2', 'ucs4'])})`);
      }
      case 'alias': {
        if (this.kinds.size === 0) return 'stats()';
        const of = this.pick(this.names());
        return is(this.kinds.get(of) ?? '', of);
      }
      case 'range':
        return this.makeRange();
      case 'ref': {
        const targets = this.names('instance', 'slots').filter((n) => n !== name);
        if (targets.length === 0) return 'stats()';
        return is('ref', `ref(${this.pick(targets)}${this.pick(['', ', callback'])})`);
      }
      default:
        return is(kind, `${kind}()`);
    }
  }

  private makeRange(): string {
    const family = this.pick(['p', 'q']);
    const last = 1 + this.below(12);
    const kind = this.pick(['list', 'dict', 'set', 'instance']);
    for (let i = 0; i <= last; i++) this.kinds.set(`${family}@${i}`, kind);
    return `${family}@0..${last} = ${kind}()`;
  }

  private change(name: string): string {
    const pick = <T>(from: readonly T[]): T => this.pick(from);
    const asked = ['sizeof', 'tracked', 'refcount', 'generation'];
    if (this.random() < 0.12) return `${pick(asked)}(${name})`;
    const value = this.operand();
    switch (this.kinds.get(name)) {
      case 'list':
        return pick([
          `${name}.append(${value})`,
          `${name}.insert(${pick([0, 1, -1, 100])}, ${value})`,
          `${name}.clear()`,
          `z@${this.below(4)} = ${name}.pop()`,
          `${name}[${pick([0, -1])}] = ${value}`,
          `del ${name}[${pick([0, -1])}]`,
          `grow(${name}, ${value}, ${this.below(pick([10, 40, 200]))})`,
          `drain(${name}, ${this.below(12)})`,
          `${name}.extend(${pick(this.names('list', 'tuple', 'dict', 'set'))})`,
        ]);
      case 'dict':
        return pick([
          `${name}[${this.below(9)}] = ${value}`,
          `${name}["k${this.below(9)}"] = ${value}`,
          `del ${name}[${this.below(9)}]`,
          `fill(${name}, "f", 0, ${this.below(pick([8, 150]))}, ${value})`,
          `fill(${name}, 0, ${this.below(pick([12, 100]))}, ${value})`,
          `${name}.clear()`,
          `${name}[${this.key()}] = ${value}`,
          `drain(${name}, "f", 0, ${this.below(9)})`,
        ]);
      case 'set':
        return pick([
          `${name}.add(${this.key()})`,
          `fill(${name}, 0, ${this.below(pick([8, 40, 700]))})`,
          `fill(${name}, "s", 0, ${this.below(30)})`,
          `${name}.discard(${this.key()})`,
          `${name}.clear()`,
          `drain(${name}, 0, ${this.below(60)})`,
          `drain(${name}, ${this.below(4)})`,
        ]);
      case 'instance':
        return pick([
          `${name}.${pick(['a', 'b', 'c', 'next', 's0'])} = ${value}`,
          `${name}.x${this.below(pick([4, 40]))} = ${value}`,
          `del ${name}.${pick(['a', 'b'])}`,
          `z@${this.below(4)} = ${name}.${pick(['a', 'next'])}`,
        ]);
      case 'slots':
        return pick([`${name}.s${this.below(3)} = ${value}`, `del ${name}.s0`]);
      case 'ref':
        return pick([`alive(${name})`, `z@${this.below(4)} = ${name}()`]);
      default:
        return pick(['collect(0)', 'stats()']);
    }
  }
}

/** The statements that use bound names only. */
export function bound(lines: readonly string[]): string[] {
  const names = new Set<string>();
  const expand = (name: string): string[] => {
    const range = /^(.)@0\.\.(\d+)$/.exec(name);
    if (range === null) return [name];
    return Array.from({ length: Number(range[2]) + 1 }, (_, i) => `${range[1]}@${i}`);
  };
  return lines.filter((line) => {
    const used = line.replace(/resurrect=\S+?(?=[,)])/, '').match(/[a-z]@\d+(?:\.\.\d+)?/g) ?? [];
    const isBinding = /^\S+ = /.test(line) && !/^\S+[.[]/.test(line.replace('..', ''));
    if (!(isBinding ? used.slice(1) : used).every((name) => names.has(name))) return false;
    if (line.includes('undefined')) return false;
    if (isBinding) for (const name of expand(used[0] ?? '')) names.add(name);
    if (/^del \S+@\d+$/.test(line)) names.delete(used[0] ?? '');
    return true;
  });
}
