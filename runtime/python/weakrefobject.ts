// Weak references: objects that are told when another dies.
//
//     +16 wr_object (None once cleared)  +24 wr_callback  +32 hash  +40 wr_prev  +48 wr_next
//
// Those of one object form a list that starts in the object. One without a callback is shared by
// all who ask and comes first; the others follow, the newest right behind it.
// Source: CPython 3.11 Objects/weakrefobject.c PyWeakref_NewRef(), PyObject_ClearWeakRefs().

import { KIND_WEAKREF } from './kinds.ts';
import type { ObjectCore } from './object.ts';
import type { Tuples } from './tupleobject.ts';

export class Weakrefs {
  /** Calls a callback, an object of the program's; set by whoever runs it. */
  call: (callback: number, ref: number) => void = () => undefined;
  private readonly core: ObjectCore;
  private readonly tuples: Tuples;
  private readonly type: number;
  private readonly none: number;
  private readonly bytes: number;

  constructor(core: ObjectCore, tuples: Tuples, none: number) {
    this.core = core;
    this.tuples = tuples;
    this.none = none;
    this.bytes = core.profile.weakrefBytes - core.profile.gcHeadBytes;
    this.type = core.register(KIND_WEAKREF, {
      name: 'weakref',
      isGc: true,
      dealloc: (op) => this.dealloc(op),
      traverse: (op, visitor) => {
        const callback = this.callbackOf(op);
        if (callback !== 0) core.visitOne(callback, visitor);
      },
      clear: (op) => this.clear(op),
      sizeOf: () => this.bytes,
    });
  }

  referent(ref: number): number {
    return this.core.mem.load64(ref + 16);
  }
  isAlive(ref: number): boolean {
    return this.referent(ref) !== this.none;
  }
  callbackOf(ref: number): number {
    return this.core.mem.load64(ref + 24);
  }
  private list(op: number): number {
    const { core } = this;
    return core.ops[core.kindOf(op)].weakrefs?.(op) ?? 0;
  }

  /** weakref.ref(op, callback); callback 0 for none. @returns a new reference to the weak
   * reference; 0 if the object supports none (TypeError). */
  make(op: number, callback: number): number {
    const { core } = this;
    const m = core.mem;
    const list = this.list(op);
    if (list === 0) return 0;
    let basic = this.basic(list);
    if (callback === 0 && basic !== 0) {
      core.incref(basic);
      return basic;
    }
    const ref = core.gc.alloc(this.bytes);
    core.init(ref, this.type);
    m.store64(ref + 16, op);
    if (callback !== 0) core.incref(callback);
    m.store64(ref + 24, callback);
    m.store64(ref + 32, -1);
    m.store64(ref + 40, 0);
    m.store64(ref + 48, 0);
    core.gc.track(ref);
    basic = this.basic(list); // the allocation may have collected
    if (callback === 0 || basic === 0) this.insertHead(ref, list);
    else this.insertAfter(ref, basic);
    return ref;
  }

  private basic(list: number): number {
    const first = this.core.mem.load64(list);
    return first !== 0 && this.callbackOf(first) === 0 ? first : 0;
  }
  private insertHead(ref: number, list: number): void {
    const m = this.core.mem;
    const next = m.load64(list);
    m.store64(ref + 48, next);
    if (next !== 0) m.store64(next + 40, ref);
    m.store64(list, ref);
  }
  private insertAfter(ref: number, before: number): void {
    const m = this.core.mem;
    const next = m.load64(before + 48);
    m.store64(ref + 40, before);
    m.store64(ref + 48, next);
    if (next !== 0) m.store64(next + 40, ref);
    m.store64(before + 48, ref);
  }

  /** Takes a weak reference off its object; its callback stays. */
  clearRef(ref: number): void {
    const m = this.core.mem;
    const op = this.referent(ref);
    if (op === this.none) return;
    const list = this.list(op);
    const prev = m.load64(ref + 40);
    const next = m.load64(ref + 48);
    if (m.load64(list) === ref) m.store64(list, next);
    m.store64(ref + 16, this.none);
    if (prev !== 0) m.store64(prev + 48, next);
    if (next !== 0) m.store64(next + 40, prev);
    m.store64(ref + 40, 0);
    m.store64(ref + 48, 0);
  }

  private clear(ref: number): void {
    const callback = this.callbackOf(ref);
    this.clearRef(ref);
    if (callback === 0) return;
    this.core.mem.store64(ref + 24, 0);
    this.core.decref(callback);
  }

  private dealloc(ref: number): number {
    this.core.gc.untrack(ref);
    this.clear(ref);
    this.core.gc.del(ref);
    return 0;
  }

  /** Tells all weak references that their object dies, and calls their callbacks. */
  clearAll(op: number): void {
    const { core, tuples } = this;
    const m = core.mem;
    const list = this.list(op);
    const basic = this.basic(list);
    if (basic !== 0) this.clear(basic);
    let ref = m.load64(list);
    if (ref === 0) return;
    let count = 0;
    for (let at = ref; at !== 0; at = m.load64(at + 48)) count++;
    if (count < core.profile.weakrefTupleFrom) {
      const callback = this.callbackOf(ref);
      m.store64(ref + 24, 0);
      this.clearRef(ref);
      if (core.refcount(ref) > 0) this.call(callback, ref);
      core.decref(callback);
      return;
    }
    const tuple = tuples.make(count * 2);
    for (let i = 0; i < count; i++) {
      const next = m.load64(ref + 48);
      const callback = this.callbackOf(ref);
      if (core.refcount(ref) > 0) {
        core.incref(ref);
        tuples.setItem(tuple, 2 * i, ref);
        tuples.setItem(tuple, 2 * i + 1, callback);
      } else core.decref(callback);
      m.store64(ref + 24, 0);
      this.clearRef(ref);
      ref = next;
    }
    for (let i = 0; i < count; i++) {
      const callback = tuples.item(tuple, 2 * i + 1);
      if (callback !== 0) this.call(callback, tuples.item(tuple, 2 * i));
    }
    core.decref(tuple);
  }

  /** Drops weak references without calling anybody: those made by the object's own finalizer. */
  dropAll(op: number): void {
    const list = this.list(op);
    for (let ref = this.core.mem.load64(list); ref !== 0; ref = this.core.mem.load64(list))
      this.clearRef(ref);
  }
}
