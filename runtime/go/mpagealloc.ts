// The page allocator: which pages of the heap are free, found first-fit by address.
//
// The 48-bit address space is cut into chunks of 4 MiB. For each chunk in use there are two bitmaps
// of 512 pages, "in use" and "scavenged", in the process's memory:
//
//   chunk -> table of 8192 chunks -> | in use: 64 bytes | scavenged: 64 bytes |
//
// Over them stands the radix tree of msummary.ts, down which find() walks to the first place where
// a run fits.
//
// Invariants: no page below searchAddr is free; a chunk's summary is what its bitmap gives;
// "scavenged" is only meaningful for free pages. check() proves the first two.
// Source: Go 1.26.8 src/runtime/mpagealloc.go, mpagealloc_64bit.go, mpallocbits.go, mranges.go.

import { assert } from '../../kernel/errors.ts';
import {
  CHUNK_PAGES,
  clearRange,
  countRange,
  find,
  found,
  setRange,
  sum,
  summarize,
} from './pallocbits.ts';
import type { PersistentAlloc } from './persistent.ts';
import { ScavengeIndex } from './scavindex.ts';
import { PAGE_BYTES, S_GCMISC, type Sys } from './sys.ts';
import {
  endOf,
  LEVEL_BITS,
  LEVEL_LOG_PAGES,
  LEVEL_SHIFT,
  LEVELS,
  maxOf,
  startOf,
  SummaryTree,
  type Range,
} from './msummary.ts';

export const CHUNK_BYTES = CHUNK_PAGES * PAGE_BYTES;
/** Chunk numbers count from the bottom of the kernel half: canonical addresses in order. */
const CHUNK_BIAS = 2 ** 47 / CHUNK_BYTES;
const NO_ADDRESS = Infinity;
const CHUNK_RECORD_BYTES = 128;
const CHUNKS_L2_BITS = 13;

export function chunkIndex(addr: number): number {
  return Math.floor(addr / CHUNK_BYTES) + CHUNK_BIAS;
}

export function chunkBase(ci: number): number {
  return (ci - CHUNK_BIAS) * CHUNK_BYTES;
}

export function chunkPage(addr: number): number {
  return (addr % CHUNK_BYTES) / PAGE_BYTES;
}

export class PageAlloc {
  /** No page below is free; Infinity when none is free at all. */
  searchAddr = NO_ADDRESS;
  /** One past the last chunk in use. */
  end = 0;
  /** What the last alloc took that was scavenged, in bytes. */
  scavenged = 0;
  readonly scav: ScavengeIndex;
  private readonly sys: Sys;
  private readonly tree: SummaryTree;
  /** Address of the second-level table of chunk bitmaps, by chunk / 8192. */
  private readonly l2 = new Map<number, number>();
  private readonly inUse: Range[] = [];
  // Results of the walk that find() does.
  private firstFreeBase = 0;
  private firstFreeBound = 0;

  constructor(sys: Sys, persistent: PersistentAlloc) {
    this.sys = sys;
    persistent.alloc(16 * 16, 8, S_GCMISC); // the list of ranges in use, kept on the host
    this.tree = new SummaryTree(sys);
    this.scav = new ScavengeIndex(sys);
  }

  /** Ranges of addresses that the heap has grown to. */
  get ranges(): readonly Readonly<Range>[] {
    return this.inUse;
  }

  /** Index in mem.words of the "in use" bits of chunk `ci`; "scavenged" is 16 words on. */
  chunkAt(ci: number): number {
    const table = this.l2.get(Math.floor(ci / 2 ** CHUNKS_L2_BITS)) ?? 0;
    const at = table + (ci % 2 ** CHUNKS_L2_BITS) * CHUNK_RECORD_BYTES;
    return this.sys.mem.touch(at, true);
  }

  /** Longest free run that the summary of a chunk promises. */
  chunkMax(ci: number): number {
    const at = this.tree.at(LEVELS - 1, ci);
    const { words } = this.sys.mem;
    return maxOf(words[at], words[at + 1]);
  }

  // Growing.

  /** [base, base + bytes) becomes part of the heap: free and scavenged. Prepared by the caller. */
  grow(base: number, bytes: number): void {
    const limit = Math.ceil((base + bytes) / CHUNK_BYTES) * CHUNK_BYTES;
    base -= base % CHUNK_BYTES;
    this.tree.grow(base, limit, this.inUse);
    this.scav.grow(chunkIndex(base), chunkIndex(limit));
    this.end = Math.max(this.end, chunkIndex(limit));
    this.addRange(base, limit);
    if (base < this.searchAddr) this.searchAddr = base;
    for (let ci = chunkIndex(base); ci < chunkIndex(limit); ci++) this.newChunk(ci);
    this.update(base, bytes / PAGE_BYTES, true, false);
  }

  private newChunk(ci: number): void {
    const l1 = Math.floor(ci / 2 ** CHUNKS_L2_BITS);
    if (!this.l2.has(l1)) {
      const bytes = 2 ** CHUNKS_L2_BITS * CHUNK_RECORD_BYTES;
      const at = this.sys.alloc(bytes, S_GCMISC);
      if (this.sys.profile.metadataNoHuge) this.sys.noHugePage(at, bytes);
      this.l2.set(l1, at);
    }
    setRange(this.sys.mem.words, this.chunkAt(ci) + 16, 0, CHUNK_PAGES);
  }

  private addRange(base: number, limit: number): void {
    const i = this.inUse.findIndex((r) => r.base > base);
    const at = i < 0 ? this.inUse.length : i;
    const below = at > 0 ? this.inUse[at - 1] : null;
    const above = at < this.inUse.length ? this.inUse[at] : null;
    const joinsBelow = below?.limit === base;
    const joinsAbove = above?.base === limit;
    if (below !== null && joinsBelow) {
      below.limit = above !== null && joinsAbove ? above.limit : limit;
      if (joinsAbove) this.inUse.splice(at, 1);
    } else if (above !== null && joinsAbove) above.base = base;
    else this.inUse.splice(at, 0, { base, limit });
  }

  // Summaries.

  private storeChunkSum(ci: number): boolean {
    const { words } = this.sys.mem;
    summarize(words, this.chunkAt(ci));
    return this.tree.store(LEVELS - 1, ci, sum.start, sum.max, sum.end);
  }

  /**
   * Brings the summaries up to date after pages [base, base + npages) changed.
   * @param contig all of them changed the same way; `alloc` says which.
   */
  update(base: number, npages: number, contig: boolean, alloc: boolean): void {
    const limit = base + npages * PAGE_BYTES - 1;
    const sc = chunkIndex(base);
    const ec = chunkIndex(limit);
    if (sc === ec) {
      if (!this.storeChunkSum(sc)) return;
    } else {
      const whole = alloc ? 0 : CHUNK_PAGES;
      for (let ci = sc; ci <= ec; ci++) {
        if (contig && ci > sc && ci < ec) this.tree.store(LEVELS - 1, ci, whole, whole, whole);
        else this.storeChunkSum(ci);
      }
    }
    this.tree.propagate(base, limit);
  }

  // Allocation.

  /** Marks a range in use. @returns how many bytes of it were scavenged. */
  allocRange(base: number, npages: number): number {
    let scav = 0;
    this.eachChunk(base, npages, (ci, first, count) => {
      const { words } = this.sys.mem;
      const at = this.chunkAt(ci);
      scav += countRange(words, at + 16, first, count);
      setRange(words, at, first, count);
      clearRange(words, at + 16, first, count);
      this.scav.alloc(ci, count);
    });
    this.update(base, npages, true, true);
    return scav * PAGE_BYTES;
  }

  private eachChunk(
    base: number,
    npages: number,
    visit: (ci: number, first: number, count: number) => void,
  ): void {
    for (let addr = base, left = npages; left > 0;) {
      const first = chunkPage(addr);
      const count = Math.min(left, CHUNK_PAGES - first);
      visit(chunkIndex(addr), first, count);
      addr += count * PAGE_BYTES;
      left -= count;
    }
  }

  /** `npages` pages, lowest address first; `scavenged` says how much of them was. 0: none fit. */
  alloc(npages: number): number {
    this.scavenged = 0;
    if (this.searchAddr === NO_ADDRESS || chunkIndex(this.searchAddr) >= this.end) return 0;
    let addr: number;
    let search: number;
    const ci = chunkIndex(this.searchAddr);
    const from = chunkPage(this.searchAddr);
    if (CHUNK_PAGES - from >= npages && this.chunkMax(ci) >= npages) {
      const j = find(this.sys.mem.words, this.chunkAt(ci), npages, from);
      assert(j >= 0, 'bad summary data');
      addr = chunkBase(ci) + j * PAGE_BYTES;
      search = chunkBase(ci) + found.firstFree * PAGE_BYTES;
    } else {
      addr = this.find(npages);
      if (addr === 0) {
        if (npages === 1) this.searchAddr = NO_ADDRESS;
        return 0;
      }
      search = this.findMapped(this.firstFreeBase);
    }
    this.scavenged = this.allocRange(addr, npages);
    if (this.searchAddr < search) this.searchAddr = search;
    return addr;
  }

  private findMapped(addr: number): number {
    for (const r of this.inUse) if (addr < r.limit) return Math.max(addr, r.base);
    return NO_ADDRESS;
  }

  /** Notes that the first free page lies in [addr, addr + bytes). */
  private narrow(addr: number, bytes: number): void {
    if (this.firstFreeBase <= addr && addr + bytes - 1 <= this.firstFreeBound) {
      this.firstFreeBase = addr;
      this.firstFreeBound = addr + bytes - 1;
    }
  }

  /** The first address where `npages` fit, down the tree from the root; 0 when they do not. */
  find(npages: number): number {
    this.firstFreeBase = -(2 ** 47);
    this.firstFreeBound = 2 ** 47;
    const { words } = this.sys.mem;
    let i = 0;
    for (let l = 0; l < LEVELS; l++) {
      const entries = 1 << LEVEL_BITS[l];
      const log = LEVEL_LOG_PAGES[l];
      const size = 2 ** LEVEL_SHIFT[l];
      const bias = 2 ** 47 / size;
      i *= entries;
      const searchIndex = Math.floor(this.searchAddr / size) + bias;
      const from = searchIndex - (searchIndex % entries) === i ? searchIndex % entries : 0;
      let base = 0;
      let run = 0;
      let down = -1;
      // Level 0 is reserved whole but only ready around the heap: begin where pages may be free.
      for (let j = from; j < entries; j++) {
        if (l === 0 && j > from && (j - 2 ** 13) * size > this.inUse[this.inUse.length - 1].limit)
          break;
        const at = this.tree.at(l, i + j);
        const lo = words[at];
        const hi = words[at + 1];
        if (lo === 0 && hi === 0) {
          run = 0;
          continue;
        }
        this.narrow((i + j - bias) * size, size);
        const s = startOf(lo, hi);
        if (run + s >= npages) {
          if (run === 0) base = j * (1 << log);
          run += s;
          break;
        }
        if (maxOf(lo, hi) >= npages) {
          down = j;
          break;
        }
        if (run === 0 || s < 1 << log) {
          run = endOf(lo, hi);
          base = (j + 1) * (1 << log) - run;
          continue;
        }
        run += 1 << log;
      }
      if (down >= 0) {
        i += down;
        continue;
      }
      if (run >= npages) return (i - bias) * size + base * PAGE_BYTES;
      assert(l === 0, 'bad summary data');
      return 0;
    }
    const j = find(words, this.chunkAt(i), npages, 0);
    assert(j >= 0, 'bad summary data');
    const free = chunkBase(i) + found.firstFree * PAGE_BYTES;
    this.narrow(free, chunkBase(i + 1) - free);
    return chunkBase(i) + j * PAGE_BYTES;
  }

  /** Gives pages back; they keep their contents and count as not scavenged. */
  free(base: number, npages: number): void {
    if (base < this.searchAddr) this.searchAddr = base;
    this.eachChunk(base, npages, (ci, first, count) => {
      clearRange(this.sys.mem.words, this.chunkAt(ci), first, count);
      this.scav.free(ci, first, count);
    });
    this.update(base, npages, true, false);
  }

  // Proof.

  /** The page at an address is in use. */
  checkInUse(addr: number): void {
    const page = chunkPage(addr);
    const bit =
      this.sys.mem.words[this.chunkAt(chunkIndex(addr)) + (page >> 5)] & (1 << (page & 31));
    assert(bit !== 0, 'Heap: a page of a span is in use in the page allocator');
  }

  /** Free pages in all chunks. */
  countFree(): number {
    let n = 0;
    for (const r of this.inUse)
      for (let ci = chunkIndex(r.base); ci < chunkIndex(r.limit); ci++)
        n += CHUNK_PAGES - countRange(this.sys.mem.words, this.chunkAt(ci), 0, CHUNK_PAGES);
    return n;
  }

  /** Summaries agree with bitmaps and with each other, nothing free lies below searchAddr. */
  check(): void {
    const { words } = this.sys.mem;
    for (const r of this.inUse) {
      for (let ci = chunkIndex(r.base); ci < chunkIndex(r.limit); ci++) {
        const bits = this.chunkAt(ci);
        summarize(words, bits);
        const at = this.tree.at(LEVELS - 1, ci);
        const same =
          startOf(words[at], words[at + 1]) === sum.start &&
          maxOf(words[at], words[at + 1]) === sum.max &&
          endOf(words[at], words[at + 1]) === sum.end;
        assert(same, `PageAlloc: summary of chunk ${String(ci)} agrees with its bitmap`);
        const first = find(words, bits, 1, 0);
        const ok = first < 0 || chunkBase(ci) + first * PAGE_BYTES >= this.searchAddr;
        assert(ok, 'PageAlloc: no page below searchAddr is free');
      }
      this.tree.check(r.base, r.limit);
    }
  }
}
