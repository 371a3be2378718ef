// Classes of the program and their instances.
//
//     3.11       | values | dict | gc head | ob_refcnt ob_type weaklist      |  values: own block
//     3.12       | weaklist | dict or values + 1 | gc head | refcnt type     |  values: own block
//     3.13       | weaklist | dict | gc head | refcnt type | values … |         values embedded
//     __slots__  |                   gc head | refcnt type | slot | slot | … weaklist |
//     up to 3.10 |                   gc head | refcnt type | dict weaklist |
//
// Instances of a class share one table of attribute names. Each new instance takes one of the
// places that the table still has room for, so arrays of values shrink as a class shows what it
// needs; a name that finds no room, or any above thirty, turns the values of that instance into a
// dict.
//
// A class can have a finalizer (__del__). It runs once: when the count falls to zero, or in a
// cycle, and may make the object reachable again.
// Source: CPython 3.11 Objects/typeobject.c subtype_dealloc(), Objects/dictobject.c
// _PyObject_StoreInstanceAttribute(); 3.12 and 3.13 the same.

import { type ClassOptions, Classes, type PyClass } from './classes.ts';
import { DKIX_EMPTY } from './dict-keys.ts';
import type { Dicts } from './dictobject.ts';
import type { DictValues } from './dict-values.ts';
import { KIND_INSTANCE, KIND_STR, type Visitor } from './kinds.ts';
import type { ObjectCore } from './object.ts';
import type { Scalars } from './scalars.ts';
import type { Weakrefs } from './weakrefobject.ts';

/** A position past all members. */
const MEMBERS_GONE = 1 << 30;

export class Instances {
  private readonly core: ObjectCore;
  private readonly dicts: Dicts;
  private readonly values: DictValues;
  private readonly scalars: Scalars;
  private readonly weakrefs: Weakrefs;
  readonly classes: Classes;

  constructor(core: ObjectCore, dicts: Dicts, scalars: Scalars, weakrefs: Weakrefs) {
    this.core = core;
    this.dicts = dicts;
    this.values = dicts.values;
    this.classes = new Classes(core, dicts.keys);
    this.scalars = scalars;
    this.weakrefs = weakrefs;
    core.register(KIND_INSTANCE, {
      name: 'object',
      nameOf: (op) => this.classes.classOf(op).name,
      isGc: true,
      dealloc: (op, position) => this.dealloc(op, position),
      traverse: (op, visitor) => this.traverse(op, visitor),
      clear: (op) => this.clear(op),
      sizeOf: (op) => this.sizeOf(op),
      hasFinalizer: (op) => this.classes.classOf(op).finalizer !== null,
      finalize: (op) => this.classes.classOf(op).finalizer?.(op),
      weakrefs: (op) => this.weaklistOf(op),
    });
  }

  private weaklistOf(op: number): number {
    const { weaklist } = this.classes.classOf(op);
    return weaklist === 0 ? 0 : op + weaklist;
  }

  /** Makes a class of the program. */
  makeClass(options: ClassOptions): PyClass {
    return this.classes.makeClass(options);
  }

  // where an instance's attributes are ----------------------------------------------------------

  /** The values of an instance; 0 if it has a dict, or slots. */
  private valuesOf(op: number, cls: PyClass): number {
    if (cls.keys === 0) return 0;
    const m = this.core.mem;
    switch (this.core.profile.instanceLayout) {
      case 'dict':
        return 0;
      case 'values':
        return m.load64(op - 32);
      case 'dict-or-values': {
        const word = m.load64(op - 24);
        return (word & 1) !== 0 ? word - 1 : 0;
      }
      case 'inline':
        return this.values.isValid(op + cls.basicBytes) ? op + cls.basicBytes : 0;
    }
  }
  /** The dict of an instance; 0 if it has none. */
  private dictOf(op: number): number {
    const m = this.core.mem;
    if (this.core.profile.instanceLayout === 'dict') return m.load64(op + 16);
    const word = m.load64(op - 24);
    return (word & 1) !== 0 ? 0 : word;
  }
  private setDict(op: number, dict: number): void {
    const { mem, profile } = this.core;
    if (profile.instanceLayout === 'dict') mem.store64(op + 16, dict);
    else {
      if (profile.instanceLayout === 'values') mem.store64(op - 32, 0);
      mem.store64(op - 24, dict);
    }
  }

  /** Calls the class: a new instance without attributes. */
  make(cls: PyClass): number {
    const { core, values } = this;
    const { keys } = this.dicts;
    const m = core.mem;
    const layout = core.profile.instanceLayout;
    const isInline = layout === 'inline' && cls.keys !== 0;
    const inline = isInline ? values.inlineBytes(keys.sharedSize(cls.keys)) : 0;
    const op = core.gc.alloc(cls.basicBytes + inline, cls.presize);
    if (cls.presize > core.profile.gcHeadBytes) m.zero(op - cls.presize, 16);
    m.zero(op, cls.basicBytes);
    core.init(op, cls.type);
    core.incref(cls.type);
    if (cls.keys !== 0 && layout !== 'dict') {
      if (!isInline) core.gc.track(op);
      const usable = keys.usable(cls.keys);
      if (usable > 1) keys.setUsable(cls.keys, usable - 1);
      const size = keys.sharedSize(cls.keys);
      if (layout === 'values') m.store64(op - 32, values.make(size));
      else if (layout === 'dict-or-values') m.store64(op - 24, values.make(size) + 1);
      else values.initInline(op + cls.basicBytes, size);
      if (isInline) core.gc.track(op);
    } else core.gc.track(op);
    return op;
  }

  /** instance.name, borrowed; 0 if there is none (AttributeError). */
  getAttribute(op: number, name: number): number {
    const cls = this.classes.classOf(op);
    if (cls.keys === 0) {
      const slot = cls.slotNames.get(this.scalars.text(name));
      return slot === undefined ? 0 : this.core.mem.load64(op + slot);
    }
    const values = this.valuesOf(op, cls);
    if (values !== 0) {
      this.scalars.hashOf(name, KIND_STR);
      const i = this.dicts.keys.lookup(cls.keys, name);
      return i === DKIX_EMPTY || !this.hasRoom(values, i) ? 0 : this.values.get(values, i);
    }
    const dict = this.dictOf(op);
    return dict === 0 ? 0 : this.dicts.get(dict, name);
  }

  /** 3.13 values can be shorter than the table of names has become. */
  private hasRoom(values: number, i: number): boolean {
    return this.core.profile.instanceLayout !== 'inline' || i < this.values.capacity(values);
  }

  /** instance.name = value; value 0 deletes. @returns false for AttributeError. */
  setAttribute(op: number, name: number, value: number): boolean {
    const { core } = this;
    const cls = this.classes.classOf(op);
    if (cls.keys === 0) return this.setSlot(op, cls, name, value);
    const values = this.valuesOf(op, cls);
    if (values === 0) return this.setInDict(op, cls, name, value);
    let i = this.dicts.keys.intern(cls.keys, name);
    if (i !== DKIX_EMPTY && !this.hasRoom(values, i)) i = DKIX_EMPTY;
    if (i === DKIX_EMPTY) {
      if (value === 0 && core.profile.instanceLayout === 'inline') return false;
      const dict = this.dictFromValues(cls, values);
      if (core.profile.instanceLayout !== 'inline') this.setDict(op, dict);
      const done = value === 0 ? this.dicts.delete(dict, name) : this.dicts.set(dict, name, value);
      if (core.profile.instanceLayout === 'inline') this.setDict(op, dict);
      return done;
    }
    const old = this.values.get(values, i);
    if (value !== 0) core.incref(value);
    this.values.set(values, i, value);
    if (old === 0) {
      if (value === 0) return false;
      this.values.addToOrder(values, i);
      return true;
    }
    if (value === 0) this.values.removeFromOrder(values, i);
    core.decref(old);
    return true;
  }

  private setSlot(op: number, cls: PyClass, name: number, value: number): boolean {
    const { core } = this;
    const slot = cls.slotNames.get(this.scalars.text(name));
    if (slot === undefined) return false;
    const old = core.mem.load64(op + slot);
    if (value === 0 && old === 0) return false;
    if (value !== 0) core.incref(value);
    core.mem.store64(op + slot, value);
    core.xdecref(old);
    return true;
  }

  private setInDict(op: number, cls: PyClass, name: number, value: number): boolean {
    const { dicts } = this;
    let dict = this.dictOf(op);
    if (dict === 0) {
      if (value === 0) return false;
      if (this.core.profile.dictTables) {
        dict = dicts.make();
        this.setDict(op, dict);
        return dicts.set(dict, name, value);
      }
      dicts.keys.incref(cls.keys);
      const isOld = this.core.profile.instanceLayout === 'dict';
      const size = isOld ? 5 : dicts.keys.sharedSize(cls.keys);
      dict = dicts.make(cls.keys, this.values.make(size), 0);
      this.setDict(op, dict);
    }
    return value === 0 ? dicts.delete(dict, name) : dicts.set(dict, name, value);
  }

  /** A dict over the values that an instance has, sharing the names. */
  private dictFromValues(cls: PyClass, values: number): number {
    const { core } = this;
    const { keys } = this.dicts;
    keys.incref(cls.keys);
    let used = 0;
    let track = false;
    for (let i = this.nrValues(cls, values) - 1; i >= 0; i--) {
      const value = this.values.get(values, i);
      if (value === 0) continue;
      used++;
      track ||= core.gc.mayBeTracked(value);
    }
    const dict = this.dicts.make(cls.keys, values, used);
    if (track) core.gc.track(dict);
    return dict;
  }

  /** Values that may be set: one for each name, as far as there is room. */
  private nrValues(cls: PyClass, values: number): number {
    const n = this.dicts.keys.nentries(cls.keys);
    if (this.core.profile.instanceLayout !== 'inline') return n;
    return Math.min(n, this.values.capacity(values));
  }

  // life and death -----------------------------------------------------------------------------

  private dropValues(cls: PyClass, values: number): void {
    const n = this.nrValues(cls, values);
    for (let i = 0; i < n; i++) {
      const value = this.values.get(values, i);
      this.values.set(values, i, 0);
      this.core.xdecref(value);
    }
  }

  /** @param position 1 + the next of slots, values and the dict, in that order. */
  private dealloc(op: number, position: number): number {
    const { core } = this;
    const { gc } = core;
    if (position === 0) {
      gc.untrack(op);
      if (!core.trashBegin(op)) return 0;
      if (!this.sayGoodbye(op)) {
        core.trashEnd();
        return 0; // it lives
      }
    }
    const cls = this.classes.classOf(op);
    const next = this.dropMembers(op, cls, Math.max(0, position - 1));
    if (next !== 0) return next;
    gc.del(op, cls.presize);
    core.decref(cls.type);
    core.trashEnd();
    return 0;
  }

  /** Finalizer and weak references. @returns false if the finalizer made the object live on. */
  private sayGoodbye(op: number): boolean {
    const { core } = this;
    const cls = this.classes.classOf(op);
    if (cls.finalizer !== null) {
      core.gc.track(op);
      if (this.finalizeFromDealloc(op)) return false;
      core.gc.untrack(op);
    }
    if (cls.weaklist !== 0) {
      if (core.mem.load64(op + cls.weaklist) !== 0) this.weakrefs.clearAll(op);
      if (cls.finalizer !== null) this.weakrefs.dropAll(op);
    }
    return true;
  }

  /** Gives up slots, values and dict from a position on. @returns as dealloc(). */
  private dropMembers(op: number, cls: PyClass, from: number): number {
    const { core } = this;
    const m = core.mem;
    let at = from;
    if (cls.keys === 0) {
      for (const slots = cls.slotNames.size; at < slots;) {
        const value = m.load64(op + 16 + 8 * at);
        m.store64(op + 16 + 8 * at++, 0);
        if (value !== 0 && core.drop(value)) return at + 1;
      }
      return 0;
    }
    const isInline = core.profile.instanceLayout === 'inline';
    const dict = this.dictOf(op);
    const values = isInline && dict !== 0 ? 0 : this.valuesOf(op, cls);
    if (values !== 0) {
      for (const n = this.nrValues(cls, values); at < n;) {
        const value = this.values.get(values, at);
        this.values.set(values, at++, 0);
        if (value !== 0 && core.drop(value)) return at + 1;
      }
      if (!isInline) {
        this.values.free(values);
        m.store64(op - (core.profile.instanceLayout === 'values' ? 32 : 24), 0);
      }
    }
    if (dict === 0) return 0;
    this.setDict(op, 0);
    return core.drop(dict) ? MEMBERS_GONE : 0;
  }

  /** Calls the finalizer of an object with no references. @returns whether it has some now. */
  private finalizeFromDealloc(op: number): boolean {
    const { core } = this;
    core.mem.store32(op, 1);
    if (!core.gc.isFinalized(op)) {
      core.gc.setFinalized(op);
      this.classes.classOf(op).finalizer?.(op);
    }
    const left = core.mem.load32(op) - 1;
    core.mem.store32(op, left);
    return left > 0;
  }

  private traverse(op: number, visitor: Visitor): void {
    const { core } = this;
    const cls = this.classes.classOf(op);
    if (cls.keys === 0) {
      core.visitArray(op + 16, cls.slotNames.size, false, visitor);
      return;
    }
    const values = this.valuesOf(op, cls);
    if (values !== 0)
      core.visitArray(this.values.at(values, 0), this.nrValues(cls, values), false, visitor);
    const dict = this.dictOf(op);
    if (dict !== 0) core.visitOne(dict, visitor);
  }

  /** Calls visit for each reference that an instance owns, but for its class. */
  forEachMember(op: number, visit: (to: number) => void): void {
    const m = this.core.mem;
    const cls = this.classes.classOf(op);
    for (const slot of cls.slotNames.values()) {
      const value = m.load64(op + slot);
      if (value !== 0) visit(value);
    }
    if (cls.keys === 0) return;
    const dict = this.dictOf(op);
    const isInline = this.core.profile.instanceLayout === 'inline';
    const values = isInline && dict !== 0 ? 0 : this.valuesOf(op, cls);
    for (let i = values === 0 ? 0 : this.nrValues(cls, values); i > 0; i--) {
      const value = this.values.get(values, i - 1);
      if (value !== 0) visit(value);
    }
    if (dict !== 0) visit(dict);
  }

  private clear(op: number): void {
    const { core } = this;
    const cls = this.classes.classOf(op);
    for (const slot of cls.slotNames.values()) {
      const value = core.mem.load64(op + slot);
      core.mem.store64(op + slot, 0);
      core.xdecref(value);
    }
    if (cls.keys === 0) return;
    const values = this.valuesOf(op, cls);
    const layout = core.profile.instanceLayout;
    if (values !== 0) {
      this.dropValues(cls, values);
      if (layout === 'dict-or-values') {
        core.mem.store64(op - 24, 0);
        this.values.free(values);
      } else if (layout === 'inline') this.values.invalidate(values);
    }
    const dict = this.dictOf(op);
    if (dict !== 0) {
      this.setDict(op, 0);
      core.decref(dict);
    }
  }

  private sizeOf(op: number): number {
    const { core } = this;
    const cls = this.classes.classOf(op);
    return cls.basicBytes + cls.presize - core.profile.gcHeadBytes;
  }
}
