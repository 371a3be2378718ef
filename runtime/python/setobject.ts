// Sets: an open hash table of (key, hash) pairs, the first eight in the set itself.
//
//     +16 fill (used and deleted)  +24 used  +32 mask  +40 table  +48 hash  +56 finger
//     +64 smalltable[8]  +192 weakreflist
//
// A probe looks at up to ten places in a row before it jumps. When fill passes three fifths, the
// table is copied to one for four times the elements (twice from 50,000 on), and deletions vanish.
// Source: CPython 3.11 Objects/setobject.c set_add_entry(), set_table_resize().

import type { KeyOps } from './dict-keys.ts';
import type { Hash } from './hash.ts';
import { KIND_SET, type Visitor } from './kinds.ts';
import type { ObjectCore } from './object.ts';
import type { Weakrefs } from './weakrefobject.ts';

const MINSIZE = 8;
const LINEAR_PROBES = 9;
const SET_BYTES = 200;
const WEAKREFS = 192;

export class Sets {
  private readonly core: ObjectCore;
  private readonly keyOps: KeyOps;
  private readonly hash: Hash;
  private readonly weakrefs: Weakrefs;
  private readonly type: number;
  /** Stands where a key was deleted. */
  private readonly dummy: number;
  private dummyAt = -1;
  private readonly copy: number;
  /** Places next to one that are looked at before a jump. */
  private readonly probes: number;

  constructor(core: ObjectCore, keyOps: KeyOps, hash: Hash, weakrefs: Weakrefs) {
    this.core = core;
    this.probes = core.profile.setProbes ? LINEAR_PROBES : 0;
    this.keyOps = keyOps;
    this.hash = hash;
    this.weakrefs = weakrefs;
    this.type = core.register(KIND_SET, {
      name: 'set',
      isGc: true,
      dealloc: (op, position) => this.dealloc(op, position),
      traverse: (op, visitor) => this.traverse(op, visitor),
      clear: (op) => this.clear(op),
      sizeOf: (op) => SET_BYTES + (this.isSmall(op) ? 0 : 16 * (this.mask(op) + 1)),
      weakrefs: (op) => op + WEAKREFS,
    });
    this.dummy = core.data.variable(16, 16);
    this.copy = core.data.variable(16 * MINSIZE, 16);
  }

  length(op: number): number {
    return this.core.mem.load32(op + 24);
  }
  private mask(op: number): number {
    return this.core.mem.load32(op + 32);
  }
  private table(op: number): number {
    return this.core.mem.load64(op + 40);
  }
  private isSmall(op: number): boolean {
    return this.table(op) === op + 64;
  }

  /** set() */
  make(): number {
    const { core } = this;
    const op = core.gc.alloc(SET_BYTES);
    core.mem.zero(op, SET_BYTES);
    core.init(op, this.type);
    core.gc.track(op);
    core.mem.store64(op + 32, MINSIZE - 1);
    core.mem.store64(op + 40, op + 64);
    core.mem.store64(op + 48, -1);
    return op;
  }

  /** The place of a key, or of the free place where its search ends, as a number; hash in `hash`.
   * The last place on the way that a deleted key left goes to `dummyAt`, -1 if there is none. */
  private find(op: number, key: number): number {
    const m = this.core.mem;
    const { lo, hi } = this.hash;
    const mask = this.mask(op);
    const table = this.table(op);
    let i = lo & mask;
    let [pLo, pHi] = [lo, hi];
    this.dummyAt = -1;
    for (;;) {
      const probes = i + this.probes <= mask ? this.probes : 0;
      for (let at = i; at <= i + probes; at++) {
        const entry = table + 16 * at;
        const other = m.load64(entry);
        const eLo = m.load32(entry + 8);
        const eHi = m.load32(entry + 12);
        if (other === 0 && (eLo | eHi) === 0) return at;
        if (other === this.dummy) this.dummyAt = at;
        if (eLo !== lo || eHi !== hi || other === this.dummy) continue;
        const same = other === key || this.keyOps.equal(other, key);
        this.hash.lo = lo;
        this.hash.hi = hi;
        if (same) return at;
      }
      pLo = (pLo >>> 5) | (pHi << 27);
      pHi >>>= 5;
      i = (Math.imul(i, 5) + 1 + pLo) & mask;
    }
  }

  /** Adds a key, with a reference of its own. @returns false if it has no hash (TypeError). */
  add(op: number, key: number): boolean {
    const { core, hash } = this;
    if (!this.keyOps.hash(key)) return false;
    const m = core.mem;
    let entry = this.table(op) + 16 * this.find(op, key);
    if (m.load64(entry) !== 0) return true;
    const isReuse = this.dummyAt >= 0;
    if (isReuse) entry = this.table(op) + 16 * this.dummyAt;
    core.incref(key);
    m.store64(entry, key);
    m.store32(entry + 8, hash.lo);
    m.store32(entry + 12, hash.hi);
    const used = this.length(op) + 1;
    m.store64(op + 24, used);
    if (isReuse) return true; // no place more is taken
    const fill = m.load32(op + 16) + 1;
    m.store64(op + 16, fill);
    if (this.isFull(fill, this.mask(op))) this.resize(op, used > 50000 ? used * 2 : used * 4);
    return true;
  }

  private isFull(fill: number, mask: number): boolean {
    return this.probes > 0 ? fill * 5 >= mask * 3 : fill * 3 >= (mask + 1) * 2;
  }

  private resize(op: number, minUsed: number): void {
    const { core } = this;
    const m = core.mem;
    let size = MINSIZE;
    while (size <= minUsed) size *= 2;
    const oldMask = this.mask(op);
    const wasSmall = this.isSmall(op);
    let old = this.table(op);
    let table: number;
    if (size === MINSIZE) {
      table = op + 64;
      if (wasSmall) {
        if (m.load32(op + 16) === this.length(op)) return;
        old = this.copy; // C copies to its stack
        m.copy(old, table, 16 * MINSIZE);
      }
    } else table = core.memMalloc(16 * size);
    m.zero(table, 16 * size);
    m.store64(op + 32, size - 1);
    m.store64(op + 40, table);
    for (let i = 0; i <= oldMask; i++) {
      const key = m.load64(old + 16 * i);
      if (key === 0 || key === this.dummy) continue;
      this.insertClean(
        table,
        size - 1,
        key,
        m.load32(old + 16 * i + 8),
        m.load32(old + 16 * i + 12),
      );
    }
    m.store64(op + 16, this.length(op));
    if (!wasSmall) core.memFree(old);
  }

  private insertClean(table: number, mask: number, key: number, lo: number, hi: number): void {
    const m = this.core.mem;
    let i = lo & mask;
    let [pLo, pHi] = [lo, hi];
    for (;;) {
      const probes = i + this.probes <= mask ? this.probes : 0;
      for (let at = i; at <= i + probes; at++) {
        const entry = table + 16 * at;
        if (m.load64(entry) !== 0) continue;
        m.store64(entry, key);
        m.store32(entry + 8, lo);
        m.store32(entry + 12, hi);
        return;
      }
      pLo = (pLo >>> 5) | (pHi << 27);
      pHi >>>= 5;
      i = (Math.imul(i, 5) + 1 + pLo) & mask;
    }
  }

  /** Removes a key, if it is there. @returns false if it has no hash (TypeError). */
  discard(op: number, key: number): boolean {
    if (!this.keyOps.hash(key)) return false;
    const entry = this.table(op) + 16 * this.find(op, key);
    const old = this.core.mem.load64(entry);
    if (old !== 0) this.remove(op, entry, old);
    return true;
  }

  private remove(op: number, entry: number, key: number): void {
    const m = this.core.mem;
    m.store64(entry, this.dummy);
    m.store64(entry + 8, -1);
    m.store64(op + 24, this.length(op) - 1);
    this.core.decref(key);
  }

  /** Whether a key is in the set; it has a hash. */
  has(op: number, key: number): boolean {
    if (!this.keyOps.hash(key)) return false;
    return this.core.mem.load64(this.table(op) + 16 * this.find(op, key)) !== 0;
  }

  /** set.pop(): some element, with the set's reference; 0 if there is none. */
  pop(op: number): number {
    const m = this.core.mem;
    if (this.length(op) === 0) return 0;
    const mask = this.mask(op);
    let i = m.load32(op + 56) & mask;
    for (;;) {
      const entry = this.table(op) + 16 * i;
      const key = m.load64(entry);
      i = i === mask ? 0 : i + 1;
      if (key === 0 || key === this.dummy) continue;
      m.store64(entry, this.dummy);
      m.store64(entry + 8, -1);
      m.store64(op + 24, this.length(op) - 1);
      m.store64(op + 56, i);
      return key;
    }
  }

  /** Calls visit for each element, in order of places. */
  forEach(op: number, visit: (key: number) => void): void {
    const table = this.table(op);
    const mask = this.mask(op);
    for (let i = 0; i <= mask; i++) {
      const key = this.core.mem.load64(table + 16 * i);
      if (key !== 0 && key !== this.dummy) visit(key);
    }
  }

  /** Drops all elements and the table. */
  clear(op: number): void {
    const { core } = this;
    const m = core.mem;
    const fill = m.load32(op + 16);
    const wasSmall = this.isSmall(op);
    if (fill === 0 && wasSmall) return;
    const keys: number[] = [];
    this.forEach(op, (key) => keys.push(key));
    const old = this.table(op);
    m.zero(op + 16, SET_BYTES - 16 - 8);
    m.store64(op + 32, MINSIZE - 1);
    m.store64(op + 40, op + 64);
    m.store64(op + 48, -1);
    for (const key of keys) core.decref(key);
    if (!wasSmall) core.memFree(old);
  }

  /** @param position 1 + the next place to look at. */
  private dealloc(op: number, position: number): number {
    const { core } = this;
    let at = position - 1;
    if (position === 0) {
      core.gc.untrack(op);
      if (!core.trashBegin(op)) return 0;
      if (core.mem.load64(op + WEAKREFS) !== 0) this.weakrefs.clearAll(op);
      at = 0;
    }
    const table = this.table(op);
    for (const mask = this.mask(op); at <= mask; at++) {
      const key = core.mem.load64(table + 16 * at);
      if (key !== 0 && key !== this.dummy && core.drop(key)) return at + 2;
    }
    if (!this.isSmall(op)) core.memFree(this.table(op));
    core.gc.del(op);
    core.trashEnd();
    return 0;
  }

  private traverse(op: number, visitor: Visitor): void {
    this.forEach(op, (key) => this.core.visitOne(key, visitor));
  }
}
