// The hash table of a dict: a small array of indices, and the entries in order of insertion.
//
//     +0 dk_refcnt  +8 log2 of size, of index bytes, kind  +12 version  +16 dk_usable +24
//     dk_nentries
//     +32 | indices: size × 1, 2 or 4 bytes |      -1 empty, -2 deleted, else a number of an entry
//         | entries: 2/3 of size            |
//
// A table whose keys are all strings has entries of 16 bytes (key, value), any other of 24 (hash,
// key, value). Split tables share the keys among the dicts or instances of a class; their values
// lie elsewhere. Up to 3.10 the head has 40 bytes and all entries 24.
// Freed tables of the smallest size, for strings, wait on a list.
// Source: CPython 3.11 Objects/dictobject.c new_keys_object(), free_keys_object(), lookups.

import { KIND_STR } from './kinds.ts';
import type { ObjectCore } from './object.ts';
import type { Scalars } from './scalars.ts';

export const DKIX_EMPTY = -1;
const DKIX_DUMMY = -2;
export const DICT_KEYS_GENERAL = 0;
const DICT_KEYS_UNICODE = 1;
const DICT_KEYS_SPLIT = 2;
export const LOG_MINSIZE = 3;
const SHARED_KEYS_MAX_SIZE = 30;
const SHARED_KEYS_LOG = 6;

/** Hash and equality of any object; `hash` says whether there is one (else TypeError). */
export interface KeyOps {
  hash(op: number): boolean;
  equal(a: number, b: number): boolean;
}

export class DictKeys {
  /** The table of all empty dicts. */
  readonly empty: number;
  private readonly core: ObjectCore;
  private readonly scalars: Scalars;
  private readonly keyOps: KeyOps;
  private readonly head: number;
  private readonly freeList: number;
  /** Up to 3.10: entries of one size, kind in the place of dk_lookup. */
  private readonly isOld: boolean;

  constructor(core: ObjectCore, scalars: Scalars, keyOps: KeyOps) {
    this.core = core;
    this.scalars = scalars;
    this.keyOps = keyOps;
    this.isOld = core.profile.instanceLayout === 'dict';
    this.head = this.isOld ? 40 : 32;
    this.freeList = core.data.variable(8 * (core.profile.maxFreeLists.dictKeys + 1));
    this.empty = core.data.variable(64, 16);
    this.init(this.empty, 0, true);
    core.mem.store32(this.empty, 2);
    core.mem.store64(this.at(this.empty, 'usable'), 0);
  }

  private at(keys: number, field: 'usable' | 'nentries'): number {
    const usable = this.isOld ? 24 : 16;
    return keys + (field === 'usable' ? usable : usable + 8);
  }
  logSize(keys: number): number {
    return this.core.mem.load8(keys + 8);
  }
  kind(keys: number): number {
    return this.core.mem.load8(keys + 10);
  }
  isUnicode(keys: number): boolean {
    return this.kind(keys) !== DICT_KEYS_GENERAL;
  }
  usable(keys: number): number {
    return this.core.mem.load64(this.at(keys, 'usable'));
  }
  setUsable(keys: number, n: number): void {
    this.core.mem.store64(this.at(keys, 'usable'), n);
  }
  nentries(keys: number): number {
    return this.core.mem.load32(this.at(keys, 'nentries'));
  }
  private setNentries(keys: number, n: number): void {
    this.core.mem.store64(this.at(keys, 'nentries'), n);
  }
  refcount(keys: number): number {
    return this.core.mem.load32(keys);
  }
  incref(keys: number): void {
    this.core.mem.store32(keys, this.core.mem.load32(keys) + 1);
  }
  /** Values that an object with these shared keys needs room for. */
  sharedSize(keys: number): number {
    return this.nentries(keys) + this.usable(keys);
  }

  private indexBytes(log: number): number {
    return log < 8 ? 1 : log < 16 ? 2 : 4;
  }
  private entryBytes(unicode: boolean): number {
    return unicode && !this.isOld ? 16 : 24;
  }
  /** Bytes of a table. */
  bytes(keys: number): number {
    return this.bytesFor(this.logSize(keys), this.isUnicode(keys));
  }
  private bytesFor(log: number, unicode: boolean): number {
    const size = 2 ** log;
    return (
      this.head + size * this.indexBytes(log) + usableFraction(size) * this.entryBytes(unicode)
    );
  }

  private init(keys: number, log: number, unicode: boolean): void {
    const m = this.core.mem;
    m.zero(keys, this.head);
    m.store32(keys, 1);
    m.store8(keys + 8, log);
    m.store8(keys + 9, log + Math.log2(this.indexBytes(log)));
    m.store8(keys + 10, unicode ? DICT_KEYS_UNICODE : DICT_KEYS_GENERAL);
    this.setUsable(keys, usableFraction(2 ** log));
    const bytes = 2 ** log * this.indexBytes(log);
    for (let i = 0; i < bytes; i++) m.store8(keys + this.head + i, 0xff);
  }

  /** A new table with 2^log places. */
  make(log: number, unicode: boolean): number {
    const { core } = this;
    const m = core.mem;
    const free = m.load32(this.freeList);
    let keys: number;
    if (log === LOG_MINSIZE && (unicode || this.isOld) && free > 0) {
      m.store32(this.freeList, free - 1);
      keys = m.load64(this.freeList + 8 * free);
    } else keys = core.malloc(this.bytesFor(log, unicode));
    this.init(keys, log, unicode);
    const entries = this.entryAt(keys, 0);
    m.zero(entries, usableFraction(2 ** log) * this.entryBytes(unicode));
    return keys;
  }

  /** The keys that the instances of a class will share. */
  makeShared(): number {
    const keys = this.make(this.isOld ? LOG_MINSIZE : SHARED_KEYS_LOG, true);
    if (!this.isOld) this.setUsable(keys, SHARED_KEYS_MAX_SIZE);
    this.core.mem.store8(keys + 10, DICT_KEYS_SPLIT);
    return keys;
  }

  get freeTables(): number {
    return this.core.mem.load32(this.freeList);
  }

  decref(keys: number): void {
    const m = this.core.mem;
    const n = m.load32(keys) - 1;
    m.store32(keys, n);
    if (n > 0) return;
    const entries = this.nentries(keys);
    for (let i = 0; i < entries; i++) {
      this.core.xdecref(this.key(keys, i));
      this.core.xdecref(this.value(keys, i));
    }
    this.release(keys);
  }

  /** Gives the memory of a table back whose entries are gone. */
  release(keys: number): void {
    const { core } = this;
    const m = core.mem;
    const free = this.freeTables;
    const fits = this.logSize(keys) === LOG_MINSIZE && (this.isUnicode(keys) || this.isOld);
    if (fits && free < core.profile.maxFreeLists.dictKeys) {
      m.store32(this.freeList, free + 1);
      m.store64(this.freeList + 8 * free + 8, keys);
    } else core.free(keys);
  }

  clearFree(): void {
    const m = this.core.mem;
    for (let free = this.freeTables; free > 0; free--) {
      m.store32(this.freeList, free - 1);
      this.core.free(m.load64(this.freeList + 8 * free));
    }
  }

  // entries ----------------------------------------------------------------------------------

  private entryAt(keys: number, i: number): number {
    const log = this.logSize(keys);
    const indices = 2 ** log * this.indexBytes(log);
    return keys + this.head + indices + i * this.entryBytes(this.isUnicode(keys));
  }
  private keyAt(keys: number, i: number): number {
    const entry = this.entryAt(keys, i);
    return this.entryBytes(this.isUnicode(keys)) === 24 ? entry + 8 : entry;
  }
  key(keys: number, i: number): number {
    return this.core.mem.load64(this.keyAt(keys, i));
  }
  value(keys: number, i: number): number {
    return this.core.mem.load64(this.keyAt(keys, i) + 8);
  }
  setValue(keys: number, i: number, value: number): void {
    this.core.mem.store64(this.keyAt(keys, i) + 8, value);
  }

  private index(keys: number, slot: number): number {
    const m = this.core.mem;
    const bytes = this.indexBytes(this.logSize(keys));
    const at = keys + this.head + slot * bytes;
    if (bytes === 1) return (m.load8(at) << 24) >> 24;
    if (bytes === 2) return (m.load16(at) << 16) >> 16;
    return m.load32(at);
  }
  private setIndex(keys: number, slot: number, i: number): void {
    const m = this.core.mem;
    const bytes = this.indexBytes(this.logSize(keys));
    const at = keys + this.head + slot * bytes;
    if (bytes === 1) m.store8(at, i & 0xff);
    else if (bytes === 2) m.store16(at, i & 0xffff);
    else m.store32(at, i);
  }

  /** The number of the entry that holds a key; DKIX_EMPTY if none does. The key's hash must be in
   * scalars.hash, and is there afterwards. */
  lookup(keys: number, key: number): number {
    const { lo, hi } = this.scalars.hash;
    const mask = 2 ** this.logSize(keys) - 1;
    let slot = lo & mask;
    let [pLo, pHi] = [lo, hi];
    for (;;) {
      const i = this.index(keys, slot);
      if (i === DKIX_EMPTY) return DKIX_EMPTY;
      if (i >= 0 && this.matches(keys, i, key, lo, hi)) return i;
      pLo = (pLo >>> 5) | (pHi << 27);
      pHi >>>= 5;
      slot = (slot * 5 + pLo + 1) & mask;
    }
  }

  private matches(keys: number, i: number, key: number, lo: number, hi: number): boolean {
    const m = this.core.mem;
    const at = this.keyAt(keys, i);
    const other = m.load64(at);
    if (other === key) return true;
    // A string remembers its hash; other entries have it before the key.
    const hashAt = this.entryBytes(this.isUnicode(keys)) === 24 ? at - 8 : other + 24;
    if (m.load32(hashAt) !== lo || m.load32(hashAt + 4) !== hi) return false;
    const same = this.keyOps.equal(other, key);
    this.scalars.hash.lo = lo;
    this.scalars.hash.hi = hi;
    return same;
  }

  private emptySlot(keys: number, lo: number, hi: number): number {
    const mask = 2 ** this.logSize(keys) - 1;
    let slot = lo & mask;
    while (this.index(keys, slot) >= 0) {
      lo = (lo >>> 5) | (hi << 27);
      hi >>>= 5;
      slot = (slot * 5 + lo + 1) & mask;
    }
    return slot;
  }

  /** Adds an entry for a key that is not there, hash in scalars.hash. Takes over both references.
   * @returns the entry's number. */
  add(keys: number, key: number, value: number): number {
    const { lo, hi } = this.scalars.hash;
    const m = this.core.mem;
    const i = this.nentries(keys);
    this.setIndex(keys, this.emptySlot(keys, lo, hi), i);
    const at = this.keyAt(keys, i);
    if (at !== this.entryAt(keys, i)) {
      m.store32(at - 8, lo);
      m.store32(at - 4, hi);
    }
    m.store64(at, key);
    m.store64(at + 8, value);
    this.setUsable(keys, this.usable(keys) - 1);
    this.setNentries(keys, i + 1);
    return i;
  }

  /** Takes an entry out: its slot stays as deleted, its place in the order too. Hash as above. */
  remove(keys: number, i: number): void {
    const mask = 2 ** this.logSize(keys) - 1;
    let { lo, hi } = this.scalars.hash;
    let slot = lo & mask;
    while (this.index(keys, slot) !== i) {
      lo = (lo >>> 5) | (hi << 27);
      hi >>>= 5;
      slot = (slot * 5 + lo + 1) & mask;
    }
    this.setIndex(keys, slot, DKIX_DUMMY);
    const at = this.keyAt(keys, i);
    this.core.mem.store64(at, 0);
    this.core.mem.store64(at + 8, 0);
  }

  /** Copies an entry's key and a value to another table; the references go with them. */
  transfer(from: number, i: number, to: number, value: number): void {
    const key = this.key(from, i);
    const at = this.keyAt(from, i);
    const m = this.core.mem;
    const { hash } = this.scalars;
    const hashAt = this.entryBytes(this.isUnicode(from)) === 24 ? at - 8 : key + 24;
    hash.lo = m.load32(hashAt);
    hash.hi = m.load32(hashAt + 4);
    this.add(to, key, value);
  }

  /** The number of a name's entry in shared keys, added if there is room; else DKIX_EMPTY. */
  intern(keys: number, name: number): number {
    this.scalars.hashOf(name, KIND_STR);
    const i = this.lookup(keys, name);
    if (i !== DKIX_EMPTY || this.usable(keys) <= 0) return i;
    this.core.incref(name);
    return this.add(keys, name, 0);
  }

  /** log2 of the size for a dict that grows from `used` entries. */
  grownLog(used: number): number {
    const wanted = used * 3;
    if (this.isOld) {
      let log = LOG_MINSIZE;
      while (2 ** log < wanted) log++;
      return log;
    }
    return 32 - Math.clz32(((wanted | 8) - 1) | 7);
  }
}

/** Entries that a table of a size has room for. */
function usableFraction(size: number): number {
  return Math.floor((size * 2) / 3);
}
