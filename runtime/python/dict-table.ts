// Dicts up to 3.2: one open hash table of (hash, key, value), the first eight places in the dict.
//
//     +16 ma_fill (used and deleted)  +24 ma_used  +32 ma_mask  +40 ma_table  +48 ma_lookup
//     +56 ma_smalltable[8], 24 bytes each                                         248 bytes
//
// When fill reaches two thirds, the table is copied to one for four times the entries in use (twice
// from 50,000 on), and deletions vanish. A larger table comes from the C library. Items are visited
// in the order of the table. Instances have plain dicts: no keys are shared.
// Invariant: used <= fill < mask + 1; a place with a hash and no value has the dummy key.
// Source: CPython 2.7.18 Objects/dictobject.c lookdict(), insertdict(), dictresize().
// Not modelled: 2.7's own hash of strings, so the order of string keys is another.

import { Dicts } from './dictobject.ts';
import type { DictKeys, KeyOps } from './dict-keys.ts';
import type { DictValues } from './dict-values.ts';
import type { Hash } from './hash.ts';
import type { Visitor } from './kinds.ts';
import type { ObjectCore } from './object.ts';

const MINSIZE = 8;
const ENTRY = 24;
const SMALL = 56;
const BYTES = SMALL + MINSIZE * ENTRY;

export class TableDicts extends Dicts {
  private readonly hash: Hash;
  /** The key that stands where one was deleted. */
  private readonly dummy: number;
  private readonly copy: number;

  constructor(core: ObjectCore, keys: DictKeys, values: DictValues, keyOps: KeyOps, hash: Hash) {
    super(core, keys, values, keyOps);
    this.hash = hash;
    this.dummy = core.data.variable(40, 16);
    this.copy = core.data.variable(MINSIZE * ENTRY, 16);
  }

  override length(op: number): number {
    return this.core.mem.load32(op + 24);
  }
  override isSplit(): boolean {
    return false;
  }
  private mask(op: number): number {
    return this.core.mem.load32(op + 32);
  }
  private table(op: number): number {
    return this.core.mem.load64(op + 40);
  }
  private isSmall(op: number): boolean {
    return this.table(op) === op + SMALL;
  }

  override make(): number {
    const { core } = this;
    const op = this.takeFree(BYTES);
    this.reset(op);
    core.init(op, this.type);
    return op;
  }

  /** EMPTY_TO_MINSIZE() */
  private reset(op: number): void {
    const m = this.core.mem;
    m.zero(op + 16, BYTES - 16);
    m.store64(op + 32, MINSIZE - 1);
    m.store64(op + 40, op + SMALL);
  }

  /** The entry of a key, or where it would go; its hash is in `hash`. */
  private find(op: number, key: number): number {
    const { hash, keyOps } = this;
    const m = this.core.mem;
    const [lo, hi] = [hash.lo, hash.hi];
    const mask = this.mask(op);
    const table = this.table(op);
    let free = 0;
    let i = lo;
    let [pLo, pHi] = [lo, hi];
    for (;;) {
      const entry = table + ENTRY * (i & mask);
      const other = m.load64(entry + 8);
      if (other === 0) return free === 0 ? entry : free;
      if (other === key) return entry;
      if (other === this.dummy) free = free === 0 ? entry : free;
      else if (m.load32(entry) === lo && m.load32(entry + 4) === hi) {
        const isSame = keyOps.equal(other, key);
        hash.lo = lo;
        hash.hi = hi;
        if (isSame) return entry;
      }
      i = (Math.imul(i, 5) + pLo + 1) | 0;
      pLo = (pLo >>> 5) | (pHi << 27);
      pHi >>>= 5;
    }
  }

  override get(op: number, key: number): number {
    if (!this.keyOps.hash(key)) return -1;
    return this.core.mem.load64(this.find(op, key) + 16);
  }

  override set(op: number, key: number, value: number): boolean {
    const { core, hash } = this;
    const m = core.mem;
    if (!this.keyOps.hash(key)) return false;
    core.incref(value);
    this.track(op, key, value);
    const entry = this.find(op, key);
    const old = m.load64(entry + 16);
    m.store64(entry + 16, value);
    if (old !== 0) {
      core.decref(old);
      return true;
    }
    core.incref(key);
    if (m.load64(entry + 8) === 0) m.store64(op + 16, m.load32(op + 16) + 1);
    m.store64(entry + 8, key);
    m.store32(entry, hash.lo);
    m.store32(entry + 4, hash.hi);
    const used = this.length(op) + 1;
    m.store64(op + 24, used);
    if (m.load32(op + 16) * 3 >= (this.mask(op) + 1) * 2)
      this.resize(op, (used > 50000 ? 2 : 4) * used);
    return true;
  }

  private resize(op: number, least: number): void {
    const { core } = this;
    const m = core.mem;
    let size = MINSIZE;
    while (size <= least) size *= 2;
    const oldMask = this.mask(op);
    const wasSmall = this.isSmall(op);
    let old = this.table(op);
    let table: number;
    if (size > MINSIZE) table = core.memMalloc(ENTRY * size);
    else {
      table = op + SMALL;
      if (wasSmall) {
        if (m.load32(op + 16) === this.length(op)) return;
        old = this.copy; // C copies to its stack
        m.copy(old, table, MINSIZE * ENTRY);
      }
    }
    m.zero(table, ENTRY * size);
    m.store64(op + 32, size - 1);
    m.store64(op + 40, table);
    for (let i = 0; i <= oldMask; i++) {
      const from = old + ENTRY * i;
      if (m.load64(from + 16) !== 0) this.insertClean(table, size - 1, from);
    }
    m.store64(op + 16, this.length(op));
    if (!wasSmall) core.memFree(old);
  }

  private insertClean(table: number, mask: number, from: number): void {
    const m = this.core.mem;
    let i = m.load32(from);
    let [pLo, pHi] = [m.load32(from), m.load32(from + 4)];
    for (;;) {
      const entry = table + ENTRY * (i & mask);
      if (m.load64(entry + 8) === 0) {
        m.copy(entry, from, ENTRY);
        return;
      }
      i = (Math.imul(i, 5) + pLo + 1) | 0;
      pLo = (pLo >>> 5) | (pHi << 27);
      pHi >>>= 5;
    }
  }

  override delete(op: number, key: number): boolean {
    const { core } = this;
    const m = core.mem;
    if (!this.keyOps.hash(key)) return false;
    const entry = this.find(op, key);
    const value = m.load64(entry + 16);
    if (value === 0) return false;
    const old = m.load64(entry + 8);
    m.store64(entry + 8, this.dummy);
    m.store64(entry + 16, 0);
    m.store64(op + 24, this.length(op) - 1);
    core.decref(value);
    core.decref(old);
    return true;
  }

  /** The dict is empty before the first of its items is dropped. */
  override clear(op: number): void {
    const { core } = this;
    const m = core.mem;
    const wasSmall = this.isSmall(op);
    if (m.load32(op + 16) === 0 && wasSmall) return;
    const items: number[] = [];
    this.forEach(op, (key, value) => items.push(key, value));
    const table = this.table(op);
    this.reset(op);
    for (const item of items) core.decref(item);
    if (!wasSmall) core.memFree(table);
  }

  /** @param position 1 + the next member; the key and the value of a place are counted apart. */
  protected override dealloc(op: number, position: number): number {
    const { core } = this;
    const m = core.mem;
    if (position === 0) {
      core.gc.untrack(op);
      if (!core.trashBegin(op)) return 0;
    }
    const table = this.table(op);
    const n = 2 * (this.mask(op) + 1);
    for (let at = Math.max(0, position - 1); at < n;) {
      const entry = table + ENTRY * (at >> 1);
      const member = m.load64(entry + (at & 1 ? 16 : 8));
      at++;
      if (member !== 0 && member !== this.dummy && core.drop(member)) return at + 1;
    }
    if (!this.isSmall(op)) core.memFree(table);
    this.giveBack(op);
    core.trashEnd();
    return 0;
  }

  protected override traverse(op: number, visitor: Visitor): void {
    this.forEach(op, (key, value) => {
      this.core.visitOne(key, visitor);
      this.core.visitOne(value, visitor);
    });
  }

  protected override sizeOf(op: number): number {
    return BYTES + (this.isSmall(op) ? 0 : ENTRY * (this.mask(op) + 1));
  }

  override forEach(op: number, visit: (key: number, value: number) => void): void {
    const m = this.core.mem;
    const table = this.table(op);
    const mask = this.mask(op);
    for (let i = 0; i <= mask; i++) {
      const value = m.load64(table + ENTRY * i + 16);
      if (value !== 0) visit(m.load64(table + ENTRY * i + 8), value);
    }
  }

  override maybeUntrack(op: number): void {
    const { gc } = this.core;
    if (!gc.isTracked(op)) return;
    let held = 0;
    this.forEach(op, (key, value) => {
      if (gc.mayBeTracked(value) || gc.mayBeTracked(key)) held++;
    });
    if (held === 0) gc.untrack(op);
  }
}
