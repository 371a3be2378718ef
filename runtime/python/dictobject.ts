// Dicts: a header over a table of keys (dict-keys.ts), which also holds the values (combined) or is
// shared with others and has them elsewhere (split, dict-values.ts).
//
//     +16 ma_used  +24 version  +32 ma_keys  +40 ma_values (NULL: combined)
//
// A dict starts with the empty table that all share; the first key makes one of eight places, and a
// full one is copied to a table for three times the entries in use: deletions leave gaps that only
// such a copy closes. A split table that cannot take a key becomes a combined one.
// Not tracked by the collector before a value (or key) comes in that may be part of a cycle; full
// collections untrack dicts again. Values are dropped first to last.
// Source: CPython 3.11 Objects/dictobject.c insertdict(), dictresize(), PyDict_Clear().

import {
  DKIX_EMPTY,
  DICT_KEYS_GENERAL,
  type DictKeys,
  type KeyOps,
  LOG_MINSIZE,
} from './dict-keys.ts';
import type { DictValues } from './dict-values.ts';
import { KIND_DICT, KIND_STR, type Visitor } from './kinds.ts';
import type { ObjectCore } from './object.ts';

export class Dicts {
  readonly keys: DictKeys;
  readonly values: DictValues;
  protected readonly core: ObjectCore;
  protected readonly keyOps: KeyOps;
  protected readonly type: number;
  private readonly freeList: number;
  private versions = 0;

  constructor(core: ObjectCore, keys: DictKeys, values: DictValues, keyOps: KeyOps) {
    this.core = core;
    this.keys = keys;
    this.values = values;
    this.keyOps = keyOps;
    this.type = core.register(KIND_DICT, {
      name: 'dict',
      isGc: true,
      dealloc: (op, position) => this.dealloc(op, position),
      traverse: (op, visitor) => this.traverse(op, visitor),
      clear: (op) => this.clear(op),
      sizeOf: (op) => this.sizeOf(op),
    });
    this.freeList = core.data.variable(8 * (core.profile.maxFreeLists.dict + 1));
  }

  get free(): number {
    return this.core.mem.load32(this.freeList);
  }
  length(op: number): number {
    return this.core.mem.load32(op + 16);
  }
  keysOf(op: number): number {
    return this.core.mem.load64(op + 32);
  }
  /** Whether the keys are shared and the values elsewhere. */
  isSplit(op: number): boolean {
    return this.valuesOf(op) !== 0;
  }
  private valuesOf(op: number): number {
    return this.core.mem.load64(op + 40);
  }
  private setUsed(op: number, n: number): void {
    this.core.mem.store64(op + 16, n);
    this.core.mem.store64(op + 24, ++this.versions);
  }

  /** A header that waits, or a new one. */
  protected takeFree(bytes: number): number {
    const m = this.core.mem;
    const free = this.free;
    if (free === 0) return this.core.gc.alloc(bytes);
    m.store32(this.freeList, free - 1);
    return m.load64(this.freeList + 8 * free);
  }
  /** A header that is not needed any more waits, or is freed. */
  protected giveBack(op: number): void {
    const { core } = this;
    const free = this.free;
    if (free >= core.profile.maxFreeLists.dict) {
      core.gc.del(op);
      return;
    }
    core.mem.store32(this.freeList, free + 1);
    core.mem.store64(this.freeList + 8 * free + 8, op);
  }

  /** A new dict: {} as it stands; or over shared keys and values, whose references it takes. */
  make(keys = this.keys.empty, values = 0, used = 0): number {
    const { core } = this;
    const m = core.mem;
    const op = this.takeFree(48);
    core.init(op, this.type);
    m.store64(op + 32, keys);
    m.store64(op + 40, values);
    this.setUsed(op, used);
    if (core.profile.tracksDicts) core.gc.track(op);
    return op;
  }

  /** The value of a key, borrowed; 0 if it is not there, -1 if it has no hash (TypeError). */
  get(op: number, key: number): number {
    if (!this.keyOps.hash(key)) return -1;
    const keys = this.keysOf(op);
    const i = this.keys.lookup(keys, key);
    return i === DKIX_EMPTY ? 0 : this.valueAt(op, keys, i);
  }

  private valueAt(op: number, keys: number, i: number): number {
    const values = this.valuesOf(op);
    return values === 0 ? this.keys.value(keys, i) : this.values.get(values, i);
  }

  /** dict[key] = value, with references of its own. @returns false if the key has no hash. */
  set(op: number, key: number, value: number): boolean {
    const { core, keys } = this;
    if (!this.keyOps.hash(key)) return false;
    core.incref(key);
    core.incref(value);
    const isStr = core.kindOf(key) === KIND_STR;
    let table = this.keysOf(op);
    if (table === keys.empty) {
      table = keys.make(LOG_MINSIZE, isStr);
      core.mem.store64(op + 32, table);
      core.mem.store64(op + 40, 0);
      this.track(op, key, value);
      keys.add(table, key, value);
      this.setUsed(op, 1);
      return true;
    }
    if (keys.isUnicode(table) && !isStr) {
      table = this.grow(op, false);
      this.keyOps.hash(key);
    }
    const i = keys.lookup(table, key);
    this.track(op, key, value);
    if (i === DKIX_EMPTY || this.isOutOfOrder(op, table, i)) this.insert(op, table, key, value);
    else this.replace(op, table, i, key, value);
    return true;
  }

  private insert(op: number, table: number, key: number, value: number): void {
    const { keys } = this;
    if (keys.usable(table) <= 0 || this.isOutOfOrder(op, table, keys.nentries(table))) {
      table = this.grow(op, true);
      this.keyOps.hash(key);
    }
    const values = this.valuesOf(op);
    if (values === 0) keys.add(table, key, value);
    else {
      const i = keys.add(table, key, 0);
      this.values.addToOrder(values, i);
      this.values.set(values, i, value);
    }
    this.setUsed(op, this.length(op) + 1);
  }

  /** Up to 3.10 a split table is only filled in the order of its keys. */
  private isOutOfOrder(op: number, table: number, i: number): boolean {
    const values = this.valuesOf(op);
    if (values === 0 || this.core.profile.instanceLayout !== 'dict') return false;
    const isSet = i < this.keys.nentries(table) && this.values.get(values, i) !== 0;
    return !isSet && this.length(op) !== i;
  }

  private replace(op: number, table: number, i: number, key: number, value: number): void {
    const old = this.valueAt(op, table, i);
    const values = this.valuesOf(op);
    if (values === 0) this.keys.setValue(table, i, value);
    else {
      this.values.set(values, i, value);
      if (old === 0) {
        this.values.addToOrder(values, i);
        this.setUsed(op, this.length(op) + 1);
      }
    }
    this.core.xdecref(old);
    this.core.decref(key);
  }

  protected track(op: number, key: number, value: number): void {
    const { gc } = this.core;
    if (!gc.isTracked(op) && (gc.mayBeTracked(key) || gc.mayBeTracked(value))) gc.track(op);
  }

  /** del dict[key]. @returns false if it was not there. The key has a hash. */
  delete(op: number, key: number): boolean {
    const { core, keys } = this;
    if (!this.keyOps.hash(key)) return false;
    let table = this.keysOf(op);
    const i = keys.lookup(table, key);
    if (i === DKIX_EMPTY) return false;
    if (this.isSplit(op) && core.profile.instanceLayout === 'dict') {
      // Up to 3.10 a split table loses no value: it is combined first, in the order of its keys.
      if (this.valueAt(op, table, i) === 0) return false;
      table = this.grow(op, true, keys.logSize(table));
      this.keyOps.hash(key);
    }
    const old = this.valueAt(op, table, i);
    if (old === 0) return false;
    const values = this.valuesOf(op);
    if (values !== 0) {
      this.setUsed(op, this.length(op) - 1);
      this.values.set(values, i, 0);
      this.values.removeFromOrder(values, i);
    } else {
      const oldKey = keys.key(table, i);
      this.setUsed(op, this.length(op) - 1);
      keys.remove(table, i);
      core.decref(oldKey);
    }
    core.decref(old);
    return true;
  }

  /** Copies the entries to a new table with room to grow. @returns the table. */
  private grow(op: number, unicode: boolean, log = this.grownBy(op)): number {
    const { keys } = this;
    const old = this.keysOf(op);
    const used = this.length(op);
    const values = this.valuesOf(op);
    const table = keys.make(log, unicode && keys.isUnicode(old));
    this.core.mem.store64(op + 32, table);
    if (values !== 0) {
      for (let n = 0; n < used; n++) {
        const i = this.values.order(values, n);
        this.core.incref(keys.key(old, i));
        keys.transfer(old, i, table, this.values.get(values, i));
      }
      keys.decref(old);
      this.core.mem.store64(op + 40, 0);
      this.dropValues(values);
    } else {
      for (let i = 0, left = used; left > 0; i++) {
        const value = keys.value(old, i);
        if (value === 0) continue;
        keys.transfer(old, i, table, value);
        left--;
      }
      if (old !== keys.empty) keys.release(old);
    }
    return table;
  }

  private grownBy(op: number): number {
    return this.keys.grownLog(this.length(op));
  }

  /** Frees values that a dict no longer needs; embedded ones become invalid. */
  private dropValues(values: number): void {
    if (this.core.profile.instanceLayout === 'inline') this.values.invalidate(values);
    else this.values.free(values);
  }

  /** Empties the dict. */
  clear(op: number): void {
    const { core, keys } = this;
    const table = this.keysOf(op);
    const values = this.valuesOf(op);
    if (table === keys.empty) return;
    core.mem.store64(op + 32, keys.empty);
    core.mem.store64(op + 40, 0);
    this.setUsed(op, 0);
    if (values !== 0) {
      this.dropEach(table, values);
      this.dropValues(values);
    }
    keys.decref(table);
  }

  private dropEach(table: number, values: number): void {
    const n = this.keys.nentries(table);
    for (let i = 0; i < n; i++) {
      const value = this.values.get(values, i);
      this.values.set(values, i, 0);
      this.core.xdecref(value);
    }
  }

  clearFree(): void {
    const m = this.core.mem;
    for (let free = this.free; free > 0; free--) {
      m.store32(this.freeList, free - 1);
      this.core.gc.del(m.load64(this.freeList + 8 * free));
    }
    this.keys.clearFree();
  }

  /** @param position 1 + the next value of a split table; or of a combined one, key and value
   * counted apart. */
  protected dealloc(op: number, position: number): number {
    const { core, keys } = this;
    if (position === 0) {
      core.gc.untrack(op);
      if (!core.trashBegin(op)) return 0;
    }
    const table = this.keysOf(op);
    const values = this.valuesOf(op);
    const n = table === keys.empty ? 0 : keys.nentries(table);
    let at = Math.max(0, position - 1);
    if (values !== 0) {
      while (at < n) {
        const value = this.values.get(values, at++);
        if (value !== 0 && core.drop(value)) return at + 1;
      }
      this.dropValues(values);
      keys.decref(table);
    } else {
      while (at < 2 * n) {
        const i = at >> 1;
        const member = (at & 1) === 0 ? keys.key(table, i) : keys.value(table, i);
        at++;
        if (member !== 0 && core.drop(member)) return at + 1;
      }
      if (table !== keys.empty) keys.release(table);
    }
    this.giveBack(op);
    core.trashEnd();
    return 0;
  }

  protected traverse(op: number, visitor: Visitor): void {
    const { keys } = this;
    const table = this.keysOf(op);
    const n = keys.nentries(table);
    const withKeys = keys.kind(table) === DICT_KEYS_GENERAL;
    for (let i = 0; i < n; i++) {
      const value = this.valueAt(op, table, i);
      if (value === 0) continue;
      this.core.visitOne(value, visitor);
      if (withKeys) this.core.visitOne(keys.key(table, i), visitor);
    }
  }

  protected sizeOf(op: number): number {
    const table = this.keysOf(op);
    const split = this.valuesOf(op) === 0 ? 0 : 8 * this.keys.sharedSize(table);
    const own = this.keys.refcount(table) === 1 ? this.keys.bytes(table) : 0;
    return 48 + split + own;
  }

  /** Calls visit for each key and value, in order; both borrowed. */
  forEach(op: number, visit: (key: number, value: number) => void): void {
    const table = this.keysOf(op);
    const values = this.valuesOf(op);
    if (values !== 0) {
      const used = this.length(op);
      for (let n = 0; n < used; n++) {
        const i = this.values.order(values, n);
        visit(this.keys.key(table, i), this.values.get(values, i));
      }
      return;
    }
    const n = this.keys.nentries(table);
    for (let i = 0; i < n; i++) {
      const value = this.keys.value(table, i);
      if (value !== 0) visit(this.keys.key(table, i), value);
    }
  }

  /** Takes a dict off its generation if nothing in it can be part of a cycle. */
  maybeUntrack(op: number): void {
    const { gc } = this.core;
    if (!gc.isTracked(op)) return;
    const table = this.keysOf(op);
    const withKeys = this.keys.kind(table) === DICT_KEYS_GENERAL;
    const n = this.keys.nentries(table);
    for (let i = 0; i < n; i++) {
      const value = this.valueAt(op, table, i);
      if (value === 0) continue;
      if (gc.mayBeTracked(value)) return;
      if (withKeys && gc.mayBeTracked(this.keys.key(table, i))) return;
    }
    gc.untrack(op);
  }
}
