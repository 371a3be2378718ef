// Which chunks of the heap hold free pages that could be given back to the system.
//
// Two generations of the same index, both one entry a chunk in reserved address space:
//   1.19  a bit, set when pages are freed, cleared when nothing was found to release;
//   1.21+ eight bytes: pages in use now and in the last cycle, the cycle, and whether any is free.
// A cursor says from where downwards to look; it moves up when pages are freed above it. The newer
// index has two, one for the background scavenger, which leaves densely used chunks alone, and one
// for forced work, which does not.
//
//   record:  inUse:16 | lastInUse:10 flags:6 | generation:32        flags bit 0 = has free pages
//
// Source: Go 1.26.8 and Go 1.19.8 src/runtime/mgcscavenge.go (scavengeIndex), mpagealloc_64bit.go.

import { assert } from '../../kernel/errors.ts';
import { CHUNK_PAGES } from './pallocbits.ts';
import { PAGE_BYTES, PHYS_PAGE, S_GCMISC, type Sys } from './sys.ts';

const CHUNK_BYTES = CHUNK_PAGES * PAGE_BYTES;
const CHUNK_BIAS = 2 ** 47 / CHUNK_BYTES;
const NONE = -Infinity;
const HAS_FREE = 1 << 26;
/** Chunks fuller than 31/32 are left alone by the background scavenger. */
const DENSE_PAGES = 496;

interface Cursor {
  addr: number;
  /** Raised since the last search: the next lowering starts a new one. */
  marked: boolean;
}

export class ScavengeIndex {
  /** Result of find(): the page in its chunk from which to look downwards. */
  foundPage = 0;
  private readonly sys: Sys;
  private readonly base: number;
  private readonly counts: boolean;
  private min = 0;
  private max = 0;
  private minChunk = 0;
  private generation = 0;
  private freeHigh = NONE;
  private readonly background: Cursor = { addr: NONE, marked: false };
  private readonly forced: Cursor = { addr: NONE, marked: false };

  constructor(sys: Sys) {
    this.sys = sys;
    this.counts = sys.profile.scavCounts;
    this.base = sys.reserve(0, sys.profile.scavIndexBytes);
    assert(this.base > 0, 'failed to reserve the scavenge index');
  }

  /** Makes the entries of chunks [first, limit) ready. */
  grow(first: number, limit: number): void {
    const low = this.counts ? first : Math.floor(first / 8);
    if (this.minChunk === 0 || first < this.minChunk) this.minChunk = first;
    const size = this.counts ? 8 : 1;
    const high = this.counts ? limit : Math.floor((limit + 7) / 8);
    const page = PHYS_PAGE / size;
    let needMin = Math.floor(low / page) * page;
    let needMax = Math.ceil(high / page) * page;
    if (needMax < this.min) needMax = this.min;
    // The older index compares with a maximum that is 0 before the first growth.
    if (needMin > this.max && (!this.counts || this.max !== 0)) needMin = this.max;
    const from = Math.max(needMin, needMin < this.min ? needMin : this.max);
    const to = needMin < this.min && this.min !== 0 ? Math.min(needMax, this.min) : needMax;
    if (to > from) {
      const bytes = (to - from) * size;
      this.sys.map(this.base + from * size, bytes, S_GCMISC);
      this.sys.used(this.base + from * size, bytes, bytes);
      if (this.min === 0 || needMin < this.min) this.min = needMin;
      if (needMax > this.max) this.max = needMax;
    }
  }

  private record(ci: number): number {
    return this.sys.mem.touch(this.base + ci * 8, true);
  }

  /** Begins a new cycle's figures in a record that is of an older one. */
  private renew(at: number): void {
    const { words } = this.sys.mem;
    if (words[at + 1] === this.generation) return;
    const inUse = words[at] & 0xffff;
    words[at] = inUse | (inUse << 16) | (words[at] & ~0x3ffffff);
    words[at + 1] = this.generation;
  }

  /** `count` pages of chunk `ci` are taken. */
  alloc(ci: number, count: number): void {
    if (!this.counts) return;
    const at = this.record(ci);
    this.renew(at);
    const { words } = this.sys.mem;
    words[at] += count;
    if ((words[at] & 0xffff) === CHUNK_PAGES) words[at] &= ~HAS_FREE;
    assert((words[at] & 0xffff) <= CHUNK_PAGES, 'too many pages allocated in chunk?');
  }

  /** Pages [first, first + count) of chunk `ci` are free again. */
  free(ci: number, first: number, count: number): void {
    const addr = (ci - CHUNK_BIAS) * CHUNK_BYTES + (first + count - 1) * PAGE_BYTES;
    if (this.counts) {
      const at = this.record(ci);
      this.renew(at);
      const { words } = this.sys.mem;
      assert((words[at] & 0xffff) >= count, 'allocated pages below zero?');
      words[at] = (words[at] - count) | HAS_FREE;
      this.freeHigh = Math.max(this.freeHigh, addr);
    } else this.sys.setBits8(this.base + Math.floor(ci / 8), 1 << (ci % 8), true);
    if (this.forced.addr < addr) {
      this.forced.addr = addr;
      this.forced.marked = true;
    }
  }

  /** A new cycle: its frees become visible to the background scavenger. */
  nextGeneration(): void {
    if (!this.counts) return;
    this.generation++;
    if (this.background.addr < this.freeHigh) {
      this.background.addr = this.freeHigh;
      this.background.marked = true;
    }
    this.freeHigh = NONE;
  }

  /** Nothing to release was found in chunk `ci`. */
  setEmpty(ci: number): void {
    if (this.counts) this.sys.mem.words[this.record(ci)] &= ~HAS_FREE;
    else this.sys.setBits8(this.base + Math.floor(ci / 8), 1 << (ci % 8), false);
  }

  private shouldScavenge(ci: number, force: boolean): boolean {
    if (!this.counts) {
      const byte = this.sys.mem.load8(this.base + Math.floor(ci / 8));
      return (byte & (1 << (ci % 8))) !== 0;
    }
    const at = this.record(ci);
    const word = this.sys.mem.words[at];
    if ((word & HAS_FREE) === 0) return false;
    if (force) return true;
    const last = (word >>> 16) & 0x3ff;
    const dense = (word & 0xffff) >= DENSE_PAGES;
    return !dense && (this.sys.mem.words[at + 1] !== this.generation || last < DENSE_PAGES);
  }

  /** The highest chunk to try, -1 for none; foundPage says from where in it. */
  find(force: boolean): number {
    const cursor = this.counts && !force ? this.background : this.forced;
    if (cursor.addr === NONE) return -1;
    const start = Math.floor(cursor.addr / CHUNK_BYTES) + CHUNK_BIAS;
    const least = this.counts ? this.minChunk : Math.floor(this.minChunk / 8) * 8;
    for (let ci = start; ci >= least; ci--) {
      if (!this.shouldScavenge(ci, force)) continue;
      // The older scavenger looks at a chunk from its end, wherever the cursor stands.
      if (ci === start) {
        this.foundPage = this.counts ? (cursor.addr % CHUNK_BYTES) / PAGE_BYTES : CHUNK_PAGES - 1;
        return ci;
      }
      const addr = (ci - CHUNK_BIAS) * CHUNK_BYTES + CHUNK_BYTES - PAGE_BYTES;
      if (cursor.marked || addr < cursor.addr) cursor.addr = addr;
      cursor.marked = false;
      this.foundPage = CHUNK_PAGES - 1;
      return ci;
    }
    cursor.addr = NONE;
    return -1;
  }
}
