// Objects that are a header and a row of references: functions, cells, bound methods, slices,
// ranges, iterators, code. What such a kind of object needs is the same for all of them.
//
//     op + 16 | reference | reference | other data | reference …      by the table of its kind
//
// Source: the tp_dealloc, tp_traverse and tp_clear of CPython's Objects/{func,cell,class,slice,
// range,iter,code}object.c, which differ in the fields alone.

import type { Visitor } from './kinds.ts';
import type { ObjectCore } from './object.ts';

/** What a kind of object looks like. */
export interface StructSpec {
  readonly kind: number;
  readonly name: string;
  readonly isGc: boolean;
  /** sys.getsizeof() without the collector's head. */
  readonly bytes: number | ((op: number) => number);
  /** Offsets of the references that every object of the kind has. */
  readonly refs: readonly number[];
  /** Where the list of weak references starts; 0 for none. */
  readonly weaklist?: number;
  /** References in a row behind the fixed ones, of this object: [address, how many]. */
  readonly row?: (op: number) => readonly [number, number];
  /** Called before an object is taken down. */
  readonly dying?: (op: number) => void;
  /** What tp_clear gives up; all references if left out, none if empty. */
  readonly clears?: readonly number[];
}

/** What clears the weak references of an object that dies. */
export interface WeakClearer {
  clearAll(op: number): void;
}

export class Struct {
  readonly type: number;
  readonly spec: StructSpec;
  private readonly core: ObjectCore;
  private readonly weakrefs: WeakClearer;

  constructor(core: ObjectCore, spec: StructSpec, weakrefs: WeakClearer) {
    this.core = core;
    this.spec = spec;
    this.weakrefs = weakrefs;
    const weaklist = spec.weaklist ?? 0;
    this.type = core.register(spec.kind, {
      name: spec.name,
      isGc: spec.isGc,
      dealloc: (op, position) => this.dealloc(op, position),
      traverse: (op, visitor) => this.traverse(op, visitor),
      clear: (op) => this.clear(op),
      sizeOf: (op) => this.bytesOf(op),
      ...(weaklist === 0 ? {} : { weakrefs: (op: number) => op + weaklist }),
    });
  }

  private bytesOf(op: number): number {
    const { bytes } = this.spec;
    return typeof bytes === 'number' ? bytes : bytes(op);
  }

  /** A new object of `bytes`, zeros behind its header; not tracked yet. */
  make(bytes: number): number {
    const { core, spec } = this;
    const head = core.profile.gcHeadBytes;
    const op = spec.isGc ? core.gc.alloc(bytes, head) : core.malloc(bytes);
    core.mem.zero(op, bytes & ~3);
    core.init(op, this.type);
    return op;
  }

  /** Stores a reference of the object's own; 0 stores NULL. */
  set(op: number, offset: number, value: number): void {
    const { core } = this;
    const old = core.mem.load64(op + offset);
    if (value !== 0) core.incref(value);
    core.mem.store64(op + offset, value);
    core.xdecref(old);
  }
  get(op: number, offset: number): number {
    return this.core.mem.load64(op + offset);
  }

  /** Address of the i-th reference, fixed ones first; 0 past the last. */
  private at(op: number, i: number): number {
    const { refs, row } = this.spec;
    if (i < refs.length) return op + refs[i];
    if (row === undefined) return 0;
    const [first, count] = row(op);
    return i - refs.length < count ? first + 8 * (i - refs.length) : 0;
  }

  /** @param position 1 + the next reference to give up. */
  private dealloc(op: number, position: number): number {
    const { core, spec } = this;
    if (position === 0) {
      if (spec.isGc) core.gc.untrack(op);
      spec.dying?.(op);
      if (spec.weaklist !== undefined && this.get(op, spec.weaklist) !== 0)
        this.weakrefs.clearAll(op);
    }
    let i = Math.max(0, position - 1);
    for (let at = this.at(op, i); at !== 0; at = this.at(op, i)) {
      i++;
      const value = core.mem.load64(at);
      core.mem.store64(at, 0);
      if (value !== 0 && core.drop(value)) return i + 1;
    }
    if (spec.isGc) core.gc.del(op, core.profile.gcHeadBytes);
    else core.free(op);
    return 0;
  }

  private traverse(op: number, visitor: Visitor): void {
    const { core, spec } = this;
    for (const offset of spec.refs) {
      const value = core.mem.load64(op + offset);
      if (value !== 0) core.visitOne(value, visitor);
    }
    if (spec.row === undefined) return;
    const [first, count] = spec.row(op);
    for (let i = 0; i < count; i++) {
      const value = core.mem.load64(first + 8 * i);
      if (value !== 0) core.visitOne(value, visitor);
    }
  }

  private clear(op: number): void {
    const { core, spec } = this;
    const drop = (at: number): void => {
      const value = core.mem.load64(at);
      core.mem.store64(at, 0);
      core.xdecref(value);
    };
    for (const offset of spec.clears ?? spec.refs) drop(op + offset);
    if (spec.row === undefined || spec.clears?.length === 0) return;
    const [first, count] = spec.row(op);
    for (let i = 0; i < count; i++) drop(first + 8 * i);
  }
}
