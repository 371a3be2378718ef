// Code, functions, cells and bound methods; slices, ranges and iterators.
//
//     def outer():            outer's frame ──> cell <── closure tuple <── inner's function object
//         n = 0                                  │
//         def inner(): …n…                       └──> the int that n names now
//
// A function object is made each time a `def` is executed; its code object once, by the compiler.
// Fields and sizes by version stand in the tables below, from the declarations of
// Include/cpython/funcobject.h and sys.getsizeof() of 2.7.18, 3.8.18, 3.11.7, 3.12.1 and 3.13.0;
// 3.14 from its declarations and a build for 32 bits.
// Not modelled: the fields of code objects but for size, locals and stack; annotations.

import {
  KIND_CELL,
  KIND_CODE,
  KIND_FUNCTION,
  KIND_ITERATOR,
  KIND_METHOD,
  KIND_RANGE,
  KIND_SLICE,
} from './kinds.ts';
import type { ObjectCore } from './object.ts';
import type { Profile } from './profile.ts';
import { Struct, type WeakClearer } from './structs.ts';

/** Where the fields of a function object lie. */
export interface FunctionLayout {
  readonly bytes: number;
  readonly code: number;
  readonly globals: number;
  readonly defaults: number;
  readonly closure: number;
  readonly name: number;
  readonly weaklist: number;
  /** All references, in the order in which a dying function gives them up. */
  readonly refs: readonly number[];
}

/** By the profile's functionLayout. */
export const functionLayouts: Readonly<Record<Profile['functionLayout'], FunctionLayout>> = {
  '2.7': {
    ...{ bytes: 88, code: 16, globals: 24, defaults: 32, closure: 40, name: 56, weaklist: 72 },
    refs: [16, 24, 80, 32, 48, 56, 64, 40],
  },
  '3.8': {
    ...{ bytes: 120, code: 16, globals: 24, defaults: 32, closure: 48, name: 64, weaklist: 80 },
    refs: [16, 24, 88, 64, 32, 40, 56, 72, 48, 96, 104],
  },
  '3.11': {
    ...{ bytes: 136, code: 48, globals: 16, defaults: 56, closure: 72, name: 32, weaklist: 96 },
    refs: [16, 24, 104, 56, 64, 80, 88, 72, 112, 48, 32, 40],
  },
  '3.12': {
    ...{ bytes: 144, code: 48, globals: 16, defaults: 56, closure: 72, name: 32, weaklist: 96 },
    refs: [16, 24, 104, 56, 64, 80, 88, 72, 112, 120, 48, 32, 40],
  },
  '3.14': {
    ...{ bytes: 152, code: 48, globals: 16, defaults: 56, closure: 72, name: 32, weaklist: 96 },
    refs: [16, 24, 104, 56, 64, 80, 88, 72, 112, 120, 128, 48, 32, 40],
  },
};

/** What the compiler knows of a function's code. */
export interface CodeOptions {
  /** Arguments and local variables, and cells: references that a frame holds by name. */
  readonly locals: number;
  /** Deepest the stack of values gets. */
  readonly stack: number;
  /** Code units of two bytes. */
  readonly instructions: number;
}

const CO_LOCALS = 16;
const CO_STACK = 20;
const CO_UNITS = 24;
const CELL_REF = 16;
const METHOD = { function: 16, self: 24, weaklist: 32 } as const;

export class Functions {
  readonly layout: FunctionLayout;
  private readonly core: ObjectCore;
  private readonly code: Struct;
  private readonly functions: Struct;
  private readonly cells: Struct;
  private readonly methods: Struct;
  private readonly slices: Struct;
  private readonly ranges: Struct;
  private readonly iterators: Struct;
  private readonly none: number;

  constructor(core: ObjectCore, none: number, weakrefs: WeakClearer) {
    this.core = core;
    this.none = none;
    this.layout = functionLayouts[core.profile.functionLayout];
    const { bytes, refs, weaklist } = this.layout;
    const struct = (
      kind: number,
      name: string,
      size: number,
      at: readonly number[],
      more: object = {},
    ): Struct =>
      new Struct(core, { kind, name, isGc: true, bytes: size, refs: at, ...more }, weakrefs);
    this.code = struct(KIND_CODE, 'code', 0, [], {
      isGc: false,
      bytes: (op: number) => this.codeBytes(core.mem.load32(op + CO_UNITS)),
    });
    this.functions = struct(KIND_FUNCTION, 'function', bytes, refs, { weaklist });
    this.cells = struct(KIND_CELL, 'cell', 24, [CELL_REF]);
    const old = core.profile.functionLayout === '2.7';
    this.methods = old
      ? struct(KIND_METHOD, 'instancemethod', 48, [16, 24, 32], { weaklist: 40 })
      : struct(KIND_METHOD, 'method', 48, [16, 24], { weaklist: METHOD.weaklist });
    this.slices = struct(KIND_SLICE, 'slice', 40, [32, 16, 24], { clears: [] });
    this.ranges = struct(KIND_RANGE, 'range', 48, [16, 24, 32, 40], { isGc: false });
    this.iterators = struct(KIND_ITERATOR, 'iterator', 32, [24], { clears: [] });
  }

  private codeBytes(units: number): number {
    const { codeHeadBytes, codeInline } = this.core.profile;
    return codeHeadBytes + (codeInline ? Math.ceil(units / 4) * 8 : 0);
  }

  /** A code object. From 3.11 on its instructions follow it in one block. */
  makeCode(options: CodeOptions): number {
    const op = this.code.make(this.codeBytes(options.instructions));
    const { mem } = this.core;
    mem.store32(op + CO_LOCALS, options.locals);
    mem.store32(op + CO_STACK, options.stack);
    mem.store32(op + CO_UNITS, options.instructions);
    return op;
  }
  /** Slots that a frame of this code needs: locals and cells, then its stack. */
  localsOf(code: number): number {
    return this.core.mem.load32(code + CO_LOCALS);
  }
  stackOf(code: number): number {
    return this.core.mem.load32(code + CO_STACK);
  }

  /** `def`: a function over a code object. `closure` is a tuple of cells; 0 for none. */
  make(code: number, globals: number, name: number, closure = 0, defaults = 0): number {
    const { functions, layout } = this;
    const op = functions.make(layout.bytes);
    functions.set(op, layout.code, code);
    functions.set(op, layout.globals, globals);
    functions.set(op, layout.name, name);
    functions.set(op, layout.closure, closure);
    functions.set(op, layout.defaults, defaults);
    this.core.gc.track(op);
    return op;
  }
  codeOf(fn: number): number {
    return this.functions.get(fn, this.layout.code);
  }
  closureOf(fn: number): number {
    return this.functions.get(fn, this.layout.closure);
  }

  /** A variable that several functions share. */
  makeCell(value: number): number {
    const op = this.cells.make(24);
    this.cells.set(op, CELL_REF, value);
    this.core.gc.track(op);
    return op;
  }
  cellValue(cell: number): number {
    return this.cells.get(cell, CELL_REF);
  }
  setCell(cell: number, value: number): void {
    this.cells.set(cell, CELL_REF, value);
  }

  /** instance.method */
  makeMethod(fn: number, self: number): number {
    const op = this.methods.make(48);
    this.methods.set(op, METHOD.function, fn);
    this.methods.set(op, METHOD.self, self);
    this.core.gc.track(op);
    return op;
  }

  /** slice(start, stop, step); 0 stands for None. */
  makeSlice(start: number, stop: number, step = 0): number {
    const op = this.slices.make(40);
    for (const [i, value] of [start, stop, step].entries())
      this.slices.set(op, 16 + 8 * i, value === 0 ? this.none : value);
    this.core.gc.track(op);
    return op;
  }

  /** range(start, stop, step), of int objects; its length is one, too. */
  makeRange(start: number, stop: number, step: number, length: number): number {
    const op = this.ranges.make(48);
    for (const [i, value] of [start, stop, step, length].entries())
      this.ranges.set(op, 16 + 8 * i, value);
    return op;
  }

  /** iter() of a list or tuple: a place in it and a reference to it. */
  makeIterator(sequence: number): number {
    const op = this.iterators.make(32);
    this.iterators.set(op, 24, sequence);
    this.core.gc.track(op);
    return op;
  }
  /** The place that next() would look at; next() adds one and, at the end, gives the sequence up. */
  iteratorAt(iterator: number): number {
    return this.core.mem.load64(iterator + 16);
  }
  advance(iterator: number, length: number): boolean {
    const { core } = this;
    const at = this.iteratorAt(iterator);
    if (this.iterators.get(iterator, 24) === 0) return false;
    if (at < length) {
      core.mem.store64(iterator + 16, at + 1);
      return true;
    }
    this.iterators.set(iterator, 24, 0);
    return false;
  }
}
