// What exists before an object script starts: its literals, attribute names and classes.
//
// They are like the constants of compiled code: made once, equal ones are one object, and using one
// costs nothing.

import type { PyClass, PythonRuntime } from '../../runtime/index.ts';
import type { Action, Expression, InstanceOptions } from './object-ast.ts';

/** The character that str(n, KIND) repeats. */
export const characters = { ascii: 0x61, latin1: 0xe9, ucs2: 0x4e2d, ucs4: 0x1f600 } as const;

type StrExpression = Extract<Expression, { is: 'str' }>;

export class Before {
  /** Objects that the script shares with whatever was there before it. */
  readonly literals = new Set<number>();
  private readonly py: PythonRuntime;
  private readonly finalize: (self: number) => void;
  private readonly strings = new Map<string, number>();
  private readonly integers = new Map<number, number>();
  private readonly classes = new Map<string, PyClass>();

  /** @param finalize what the __del__ of every class that has one calls. */
  constructor(py: PythonRuntime, finalize: (self: number) => void) {
    this.py = py;
    this.finalize = finalize;
  }

  /** Makes what a statement will need. */
  prepare(action: Action): void {
    const visit = (value: unknown): void => {
      if (Array.isArray(value)) value.forEach(visit);
      else if (typeof value === 'object' && value !== null) {
        const o = value as { is?: string; value?: unknown; text?: string; attribute?: string };
        if (o.is === 'string' && o.text !== undefined) this.string(o.text);
        else if (o.is === 'int' && typeof o.value === 'number') this.integer(o.value);
        if (o.attribute !== undefined) this.string(o.attribute);
        if (o.is === 'str')
          this.string(String.fromCodePoint(characters[(o as StrExpression).kind]));
        if (o.is === 'instance') this.classOf((o as { options: InstanceOptions }).options);
        if (!ArrayBuffer.isView(value)) Object.values(value).forEach(visit);
      }
    };
    visit(action);
  }

  /** The string of a text, borrowed. */
  string(text: string): number {
    let op = this.strings.get(text);
    if (op === undefined) {
      op = this.py.scalars.str(text);
      this.keep(op);
      this.strings.set(text, op);
    }
    return op;
  }

  /** The integer of a value, borrowed. */
  integer(value: number): number {
    let op = this.integers.get(value);
    if (op === undefined) {
      op = this.py.scalars.int(value);
      this.keep(op);
      this.integers.set(value, op);
    }
    return op;
  }

  /** int(literal): what fits in one digit as C makes it, more as parsed from decimal digits. */
  number(literal: string): number {
    const value = BigInt(literal);
    const size = value < 0n ? -value : value;
    if (size < 2n ** 30n) return this.py.scalars.int(Number(value));
    const digits: number[] = [];
    for (let rest = size; rest > 0n; rest >>= 30n) digits.push(Number(rest & 0x3fffffffn));
    const decimals = literal.replace('-', '').length;
    const room = Math.floor((decimals * Math.log(10)) / (30 * Math.LN2) + 1);
    return this.py.scalars.intOf(digits, value < 0n, 24 + 4 * Math.max(room, digits.length));
  }

  /** Gives a literal enough references for any script. */
  private keep(op: number): void {
    this.literals.add(op);
    if (!this.py.isShared(op)) this.py.mem.store32(op, 0x20000000);
  }

  /** The class for a set of options; the name that resurrect binds is the instance's affair. */
  classOf(o: InstanceOptions): PyClass {
    const key = [o.class, o.slots, o.weakref, o.finalizer || o.resurrect !== null].join('|');
    let cls = this.classes.get(key);
    if (cls !== undefined) return cls;
    const slots = o.slots === null ? null : Array.from({ length: o.slots }, (_, i) => `s${i}`);
    const finalizer = o.finalizer || o.resurrect !== null ? this.finalize : null;
    cls = this.py.instances.makeClass({ name: o.class, slots, weakref: o.weakref, finalizer });
    this.classes.set(key, cls);
    return cls;
  }
}
