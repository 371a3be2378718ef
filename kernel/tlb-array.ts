// One set-associative array of a TLB: tags, frames, rights; sets of any number of ways.
//
//     slot     0 .. ways-1 | ways .. 2*ways-1 | ...        set = slot / ways
//     tag      page address | size << 1 | 1                0 for an empty slot
//     rec      hi << 16 | PCID,  frame,  flags
//
// The set is the page number, in pages of the entry's own size, modulo the number of sets; so an
// array that holds several sizes is asked once for each. An entry whose flags have G answers under
// any PCID. Replacement is bit-PLRU: one "recently used" bit a way; the victim is the first way
// whose bit is clear; when all would be set, all but the newest are cleared.
//
// Invariants (check()): an entry is in its set; no two entries answer one address under one PCID;
// `used` counts the valid entries of each size.
// Source: Intel SDM volume 3, 4.10.2; Handy, "The Cache Memory Book", for bit-PLRU.

import { assert } from './errors.ts';
import { _PAGE_GLOBAL } from './pte.ts';

/** How many entries, and how many of them share a set; entries / ways is a power of two. */
export interface TlbShape {
  readonly entries: number;
  readonly ways: number;
}

/** Page sizes, as indexes: 4 KiB, 2 MiB, 1 GiB. */
export const SIZE_4K = 0;
export const SIZE_2M = 1;
export const SIZE_1G = 2;
/** Pages of 4 KiB in a page of each size, less one. */
export const SIZE_PAGES_MASK = [0, 0x1ff, 0x3ffff] as const;

const VALID = 1;
const SIZE_BITS = 3 << 1;

/** Tag of the page of `size` that holds address word `lo`: its address, size and a valid bit. */
export function tagOf(lo: number, size: number): number {
  if (size === SIZE_4K) return (lo & -0x1000) | VALID;
  return (size === SIZE_2M ? lo & -0x200000 : lo & -0x40000000) | (size << 1) | VALID;
}

/** The size of the page that a tag stands for. */
export function sizeOf(tag: number): number {
  return (tag & SIZE_BITS) >> 1;
}

export class TlbArray {
  readonly entries: number;
  readonly ways: number;
  /** By slot: tagOf(), 0 for an empty slot. */
  readonly tag: Int32Array;
  /** By slot, four words: hi << 16 | PCID, frame, flags, and one unused. */
  readonly rec: Int32Array;
  /** Valid entries, by size. */
  readonly used = new Int32Array(3);
  private readonly setMask: number;
  private readonly recent: Int32Array; // by set, a bit a way
  private readonly allWays: number;

  constructor(shape: TlbShape) {
    const { entries, ways } = shape;
    const sets = entries / ways;
    assert(ways >= 1 && ways <= 31, 'TLB: 1..31 ways');
    assert(sets >= 1 && (sets & (sets - 1)) === 0, 'TLB: entries / ways is a power of two');
    this.entries = entries;
    this.ways = ways;
    this.setMask = sets - 1;
    this.tag = new Int32Array(entries);
    this.rec = new Int32Array(entries * 4);
    this.recent = new Int32Array(sets);
    this.allWays = 2 ** ways - 1;
  }

  /** The slot that answers the address for pages of `size` under this PCID, or -1. */
  find(lo: number, hi: number, pcid: number, size: number): number {
    if (this.used[size] === 0) return -1;
    const { rec, tag: tags } = this;
    const tag = tagOf(lo, size);
    const key = (hi << 16) | pcid;
    const from = this.setOf(lo, hi, size) * this.ways;
    const end = from + this.ways;
    for (let slot = from; slot < end; slot++) {
      if (tags[slot] !== tag) continue;
      const x = rec[slot << 2] ^ key;
      if (x === 0 || (x >>> 16 === 0 && this.isGlobal(slot))) return slot;
    }
    return -1;
  }

  /**
   * The slot that answers a page of 4 KiB, or -1; it counts as recently used.
   * @param tag tagOf() of the page. @param key hi << 16 | PCID.
   */
  lookupSmall(tag: number, key: number): number {
    const { rec, recent, tag: tags, ways } = this;
    const set = (tag >>> 12) & this.setMask;
    const from = set * ways;
    for (let way = 0; way < ways; way++) {
      if (tags[from + way] !== tag) continue;
      const x = rec[(from + way) << 2] ^ key;
      if (x !== 0 && (x >>> 16 !== 0 || !this.isGlobal(from + way))) continue;
      const used = recent[set] | (1 << way);
      recent[set] = used !== this.allWays ? used : ways > 1 ? 1 << way : 0;
      return from + way;
    }
    return -1;
  }

  /** find() in all sizes; what is found counts as recently used. */
  lookup(lo: number, hi: number, pcid: number): number {
    for (let size = SIZE_4K; size <= SIZE_1G; size++) {
      const slot = this.find(lo, hi, pcid, size);
      if (slot < 0) continue;
      this.use(this.setOf(lo, hi, size), slot);
      return slot;
    }
    return -1;
  }

  /** The slot that the next entry for this page takes, full or empty. */
  victim(lo: number, hi: number, size: number): number {
    const set = this.setOf(lo, hi, size);
    const clear = ~this.recent[set] & this.allWays;
    return set * this.ways + 31 - Math.clz32(clear & -clear);
  }

  /** Writes an entry over a slot that victim() named. */
  fill(slot: number, tag: number, key: number, pfn: number, flags: number): void {
    const size = sizeOf(tag);
    const old = this.tag[slot];
    if (old !== 0) this.used[sizeOf(old)]--;
    const r = slot << 2;
    this.tag[slot] = tag;
    this.rec[r] = key;
    this.rec[r + 1] = pfn;
    this.rec[r + 2] = flags;
    this.used[size]++;
    this.use(this.setOf(tag, key >> 16, size), slot);
  }

  /** Empties a slot. */
  drop(slot: number): void {
    const tag = this.tag[slot];
    if (tag === 0) return;
    const size = sizeOf(tag);
    const set = this.setOf(tag, this.rec[slot << 2] >> 16, size);
    this.used[size]--;
    this.tag[slot] = 0;
    this.recent[set] &= ~(1 << (slot - set * this.ways));
  }

  /** Empties what answers the address, in any size; with PCID -1 under any. */
  dropPage(lo: number, hi: number, pcid: number): void {
    for (let size = SIZE_4K; size <= SIZE_1G; size++) {
      if (this.used[size] === 0) continue;
      const tag = tagOf(lo, size);
      const from = this.setOf(lo, hi, size) * this.ways;
      for (let slot = from; slot < from + this.ways; slot++) {
        if (this.tag[slot] !== tag) continue;
        const same = pcid < 0 ? this.rec[slot << 2] >> 16 === hi : this.answers(slot, hi, pcid);
        if (same) this.drop(slot);
      }
    }
  }

  /** Empties the slots of one PCID, or of all (-1); global entries only where `global`. */
  flush(pcid: number, global: boolean): void {
    if (this.used[0] + this.used[1] + this.used[2] === 0) return;
    for (let slot = 0; slot < this.entries; slot++) {
      const isGlobal = (this.rec[(slot << 2) + 2] & _PAGE_GLOBAL) !== 0;
      const matches = pcid < 0 || (this.rec[slot << 2] & 0xfff) === pcid;
      if (isGlobal ? global : matches) this.drop(slot);
    }
  }

  /** Throws KernelBug where counts are wrong or two entries answer one address. */
  check(): void {
    const used = [0, 0, 0];
    for (let slot = 0; slot < this.entries; slot++) {
      const tag = this.tag[slot];
      if (tag === 0) continue;
      const size = sizeOf(tag);
      const key = this.rec[slot << 2];
      const set = Math.floor(slot / this.ways);
      assert(this.setOf(tag, key >> 16, size) === set, `TLB slot ${slot} is in its set`);
      const first = this.find(tag, key >> 16, key & 0xfff, size);
      assert(first === slot, `TLB slots ${first} and ${slot} answer the same address`);
      used[size]++;
    }
    assert(
      used.every((n, size) => this.used[size] === n),
      'TLB: valid entries are counted',
    );
  }

  private setOf(lo: number, hi: number, size: number): number {
    if (size === SIZE_4K) return (lo >>> 12) & this.setMask;
    return (size === SIZE_2M ? lo >>> 21 : (lo >>> 30) | (hi << 2)) & this.setMask;
  }

  private use(set: number, slot: number): void {
    const bit = 1 << (slot - set * this.ways);
    const recent = this.recent[set] | bit;
    this.recent[set] = recent !== this.allWays ? recent : this.ways > 1 ? bit : 0;
  }

  private answers(slot: number, hi: number, pcid: number): boolean {
    const x = this.rec[slot << 2] ^ ((hi << 16) | pcid);
    return x === 0 || (x >>> 16 === 0 && this.isGlobal(slot));
  }

  private isGlobal(slot: number): boolean {
    return (this.rec[(slot << 2) + 2] & _PAGE_GLOBAL) !== 0;
  }
}
