// TLB: one CPU's memory of translations. Two forms, chosen by configuration:
//
//   direct (the default)   1024 entries, direct-mapped by page number: the front, and nothing else
//
//       front[k .. k+3] = read tag, write tag, hi, index of the frame's first word in the store
//       k = 4 * (page number mod 1024)     tag = low word of the page's address, or EMPTY
//       behind them, for fetches: tag, hi
//
//     mmu.ts compares an access with it before anything else, in its first line, and that is all a
//     hit costs. A tag says that the access is allowed by the tables and, for writes, that D is
//     set; a large page takes an entry for each 4 KiB of it that is used. One front for user
//     accesses, one for supervisor accesses. Hits are not counted; `misses` is exact for this
//     geometry. It keeps nothing across a CR3 load, which a TLB may do at any time.
//
//   levels   what a real CPU has, simulated access by access, some ten times slower
//
//     L1   4 KiB: 64 entries, 4 ways     2 MiB: 32, 4 ways     1 GiB: 4, 4 ways
//     L2   1536 entries, 12 ways, all three sizes; holds whatever L1 holds
//
//     The front stays empty, so that every counter and every victim is that of the modelled
//     hardware. An entry keeps the frame, the rights of all levels of the walk and the leaf's D
//     bit (tlb-array.ts).
//
// Both forms answer the same translations at all times but for entries that software failed to
// flush. An access that an entry does not allow, and the first write to a clean page, walk again.
//
// Invariants (check()): those of the arrays; L1 is a subset of L2; where there are levels, the
// fronts are empty.
// Source: Intel SDM volume 3, 4.10; sizes of Skylake-SP, Intel optimization manual, 2.6.
// Not modelled: separate instruction TLBs, speculative fills.

import { assert } from './errors.ts';
import { _PAGE_DIRTY, _PAGE_GLOBAL, _PAGE_RW } from './pte.ts';
import {
  SIZE_1G,
  SIZE_2M,
  SIZE_4K,
  SIZE_PAGES_MASK,
  sizeOf,
  tagOf,
  TlbArray,
  type TlbShape,
} from './tlb-array.ts';

export interface TlbConfig {
  /** First level by page size (4 KiB, 2 MiB, 1 GiB) and second level; null for the direct form. */
  readonly levels: {
    readonly l1: readonly [TlbShape, TlbShape, TlbShape];
    readonly l2: TlbShape;
  } | null;
  /** Entries of the PDE, PDPTE and PML4E caches (walker.ts); powers of two. */
  readonly structure: readonly [number, number, number];
}

export const DIRECT_TLB: TlbConfig = { levels: null, structure: [128, 16, 4] };

/** The sizes of the paging-structure caches are not published: guesses from measurements. */
export const SKYLAKE_TLB: TlbConfig = {
  levels: {
    l1: [
      { entries: 64, ways: 4 },
      { entries: 32, ways: 4 },
      { entries: 4, ways: 4 },
    ],
    l2: { entries: 1536, ways: 12 },
  },
  structure: [32, 4, 4],
};

/** Words of a front before the part for fetches, which is half as large. */
export const FRONT_WORDS = 1024 * 4;
/** Index of an entry from `lo >>> 10`. */
export const FRONT_MASK = FRONT_WORDS - 4;
/** A front tag that no address has. */
export const FRONT_EMPTY = 4;
/** Index of a fetch entry, behind FRONT_WORDS, from `lo >>> 11`. */
export const FETCH_MASK = FRONT_WORDS / 2 - 2;

const WRITABLE = _PAGE_RW | _PAGE_DIRTY;
export class Tlb {
  /** By page size; empty in the direct form. */
  readonly l1: readonly TlbArray[];
  /** Null in the direct form. */
  readonly l2: TlbArray | null;
  /** The fronts, user and supervisor, which mmu.ts reads; empty where there are levels. */
  readonly userFront = newFront();
  readonly kernelFront = newFront();

  // What lookup() found, valid until the next call: the 4 KiB frame, and the entry's flags.
  pfn = 0;
  flags = 0;

  // The page that was used last, in L1: using it again changes nothing but the count of hits. The
  // levels' form of a front; mmu.ts keeps it.
  lastPage = FRONT_EMPTY;
  lastHi = 0;
  lastAt = 0;
  /** PF_* bits that its entry allows. */
  lastAllows = 0;

  // Counters. Hits are counted where there are levels.
  l1Hits = 0;
  l2Hits = 0;
  /** Accesses that no entry answered, less Cpu.quickWalks. */
  misses = 0;
  /** Walks because an entry lacked a right, or D for a write. Part of `misses` in direct form. */
  rewalks = 0;
  /** Entries of L2 that made room for others. */
  evictions = 0;
  /** Flushes of one page, and of more. */
  pageFlushes = 0;
  flushes = 0;
  private frontLarge = false; // a part of a large page is in a front

  constructor(config: TlbConfig) {
    this.l1 = config.levels === null ? [] : config.levels.l1.map((shape) => new TlbArray(shape));
    this.l2 = config.levels === null ? null : new TlbArray(config.levels.l2);
  }

  /** Looks the address up in the levels; true leaves pfn and flags behind. Counts. */
  lookup(lo: number, hi: number, pcid: number): boolean {
    const { l2 } = this;
    if (l2 === null) return false;
    const tag = tagOf(lo, SIZE_4K);
    const key = (hi << 16) | pcid;
    const small = this.l1[SIZE_4K];
    let slot = small.lookupSmall(tag, key);
    if (slot >= 0) {
      this.l1Hits++;
      this.pfn = small.rec[(slot << 2) + 1];
      this.flags = small.rec[(slot << 2) + 2];
      return true;
    }
    slot = l2.lookupSmall(tag, key);
    if (slot < 0 && l2.used[SIZE_2M] + l2.used[SIZE_1G] !== 0) {
      for (let size = SIZE_2M; size <= SIZE_1G; size++) {
        const large = this.l1[size].lookup(lo, hi, pcid);
        if (large < 0) continue;
        this.l1Hits++;
        this.take(this.l1[size], large, lo);
        return true;
      }
      slot = l2.lookup(lo, hi, pcid);
    }
    if (slot < 0) {
      this.misses++;
      return false;
    }
    this.l2Hits++;
    this.take(l2, slot, lo);
    this.fillL1(l2, slot);
    return true;
  }

  /**
   * Enters a walk's result into the levels; no entry may answer the address yet.
   * @param pfn first frame of the page. @param flags as Walker.flags.
   */
  insert(lo: number, hi: number, pcid: number, size: number, pfn: number, flags: number): void {
    const { l2 } = this;
    if (l2 === null) return;
    if ((flags & _PAGE_GLOBAL) !== 0) this.dropLevels(lo, hi, -1);
    const slot = l2.victim(lo, hi, size);
    if (l2.tag[slot] !== 0) {
      this.evictions++;
      const key = l2.rec[slot << 2];
      const old = sizeOf(l2.tag[slot]);
      const inL1 = this.l1[old].find(l2.tag[slot], key >> 16, key & 0xfff, old);
      if (inL1 >= 0) this.l1[old].drop(inL1);
    }
    l2.fill(slot, tagOf(lo, size), (hi << 16) | pcid, pfn, flags);
    this.fillL1(l2, slot);
  }

  /**
   * Enters 4 KiB of a page into a front.
   * @param at index of the frame's first word. @param size of the whole page.
   */
  fillFront(
    front: Int32Array,
    lo: number,
    hi: number,
    at: number,
    flags: number,
    size: number,
  ): void {
    const k = (lo >>> 10) & FRONT_MASK;
    const page = lo & -0x1000;
    front[k] = page;
    front[k + 1] = (flags & WRITABLE) === WRITABLE ? page : FRONT_EMPTY;
    front[k + 2] = hi;
    front[k + 3] = at;
    if (size !== SIZE_4K) this.frontLarge = true;
  }

  /** Enters into a front that a page may be executed. */
  fillFetch(front: Int32Array, lo: number, hi: number, size: number): void {
    const k = FRONT_WORDS + ((lo >>> 11) & FETCH_MASK);
    front[k] = lo & -0x1000;
    front[k + 1] = hi;
    if (size !== SIZE_4K) this.frontLarge = true;
  }

  /** Drops what answers this address under the PCID; in direct form perhaps more. */
  dropPage(lo: number, hi: number, pcid: number): void {
    this.lastPage = FRONT_EMPTY;
    if (this.l2 !== null) this.dropLevels(lo, hi, pcid);
    else if (this.frontLarge) this.flushFront();
    else {
      dropFrontPage(this.userFront, lo, hi);
      dropFrontPage(this.kernelFront, lo, hi);
    }
  }

  /** Empties the fronts. */
  flushFront(): void {
    this.lastPage = FRONT_EMPTY;
    if (this.l2 !== null) return;
    this.userFront.fill(FRONT_EMPTY);
    this.kernelFront.fill(FRONT_EMPTY);
    this.frontLarge = false;
  }

  /** Drops all entries of a PCID, or of all PCIDs (-1); global ones only where `global`. */
  flush(pcid: number, global: boolean): void {
    this.flushes++;
    this.flushFront();
    for (const l1 of this.l1) l1.flush(pcid, global);
    this.l2?.flush(pcid, global);
  }

  /** Throws KernelBug where an invariant of the top comment does not hold. */
  check(): void {
    const { l2 } = this;
    if (l2 === null) return;
    for (const front of [this.userFront, this.kernelFront]) {
      assert(
        front.every((word) => word === FRONT_EMPTY),
        'TLB: no front where there are levels',
      );
    }
    l2.check();
    for (const l1 of this.l1) {
      l1.check();
      for (let slot = 0; slot < l1.entries; slot++) {
        const tag = l1.tag[slot];
        const key = l1.rec[slot * 4];
        const found = l2.find(tag, key >> 16, key & 0xfff, sizeOf(tag)) >= 0;
        assert(tag === 0 || found, `L1 slot ${slot} has its entry in L2`);
      }
    }
  }

  private take(array: TlbArray, slot: number, lo: number): void {
    const size = sizeOf(array.tag[slot]);
    this.pfn = array.rec[(slot << 2) + 1] + ((lo >>> 12) & SIZE_PAGES_MASK[size]);
    this.flags = array.rec[(slot << 2) + 2];
  }

  private fillL1(l2: TlbArray, slot: number): void {
    const tag = l2.tag[slot];
    const size = sizeOf(tag);
    const l1 = this.l1[size];
    const r = slot << 2;
    const victim = l1.victim(tag, l2.rec[r] >> 16, size);
    l1.fill(victim, tag, l2.rec[r], l2.rec[r + 1], l2.rec[r + 2]);
  }

  private dropLevels(lo: number, hi: number, pcid: number): void {
    for (const l1 of this.l1) l1.dropPage(lo, hi, pcid);
    this.l2?.dropPage(lo, hi, pcid);
  }
}

function newFront(): Int32Array {
  return new Int32Array(FRONT_WORDS + FRONT_WORDS / 2).fill(FRONT_EMPTY);
}

function dropFrontPage(front: Int32Array, lo: number, hi: number): void {
  const page = lo & -0x1000;
  const k = (lo >>> 10) & FRONT_MASK;
  if (front[k] === page && front[k + 2] === hi) {
    front[k] = FRONT_EMPTY;
    front[k + 1] = FRONT_EMPTY;
  }
  const x = FRONT_WORDS + ((lo >>> 11) & FETCH_MASK);
  if (front[x] === page && front[x + 1] === hi) front[x] = FRONT_EMPTY;
}
