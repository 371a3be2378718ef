// A processor's cache of pages: the free ones of an aligned block of 64, taken all at once.
//
// Spans under 16 pages come from here without the heap's lock; the block is the one that holds the
// first free page. One bit a page, 1 = free, in two 32-bit halves; a second pair says which of the
// free pages are scavenged.
//
// Source: Go 1.26.8 src/runtime/mpagecache.go.

import { ctz, popcount } from './pallocbits.ts';
import { chunkBase, chunkIndex, chunkPage, type PageAlloc } from './mpagealloc.ts';
import { find } from './pallocbits.ts';
import { PAGE_BYTES, type Sys } from './sys.ts';

export const CACHE_PAGES = 64;

export class PageCache {
  base = 0;
  lo = 0;
  hi = 0;
  scavLo = 0;
  scavHi = 0;
  /** Bytes of the last alloc() that were scavenged. */
  scavenged = 0;

  get empty(): boolean {
    return (this.lo | this.hi) === 0;
  }

  /** Free pages in it. */
  get count(): number {
    return popcount(this.lo) + popcount(this.hi);
  }

  /** Takes all free pages of the block with the heap's first free page. */
  fill(sys: Sys, pages: PageAlloc): void {
    if (pages.searchAddr === Infinity || chunkIndex(pages.searchAddr) >= pages.end) return;
    let ci = chunkIndex(pages.searchAddr);
    let j: number;
    if (pages.chunkMax(ci) > 0) {
      j = find(sys.mem.words, pages.chunkAt(ci), 1, chunkPage(pages.searchAddr));
    } else {
      const addr = pages.find(1);
      if (addr === 0) {
        pages.searchAddr = Infinity;
        return;
      }
      ci = chunkIndex(addr);
      j = chunkPage(addr);
    }
    const first = j & ~63;
    this.base = chunkBase(ci) + first * PAGE_BYTES;
    const { words } = sys.mem;
    const at = pages.chunkAt(ci) + (first >> 5);
    this.lo = ~words[at];
    this.hi = ~words[at + 1];
    this.scavLo = words[at + 16] & this.lo;
    this.scavHi = words[at + 17] & this.hi;
    words[at] = -1;
    words[at + 1] = -1;
    words[at + 16] &= ~this.scavLo;
    words[at + 17] &= ~this.scavHi;
    pages.update(this.base, CACHE_PAGES, false, true);
    pages.scav.alloc(ci, popcount(this.lo) + popcount(this.hi));
    pages.searchAddr = this.base + PAGE_BYTES * (CACHE_PAGES - 1);
  }

  /** `npages` adjacent pages, lowest first. @returns their address, or 0. */
  alloc(npages: number): number {
    const i = this.findRun(npages);
    if (i < 0) return 0;
    let scav = 0;
    for (let bit = i; bit < i + npages; bit++) {
      const mask = 1 << (bit & 31);
      if (bit < 32) {
        if ((this.scavLo & mask) !== 0) scav++;
        this.lo &= ~mask;
        this.scavLo &= ~mask;
      } else {
        if ((this.scavHi & mask) !== 0) scav++;
        this.hi &= ~mask;
        this.scavHi &= ~mask;
      }
    }
    this.scavenged = scav * PAGE_BYTES;
    return this.base + i * PAGE_BYTES;
  }

  private findRun(npages: number): number {
    if (npages === 1) {
      if (this.lo !== 0) return ctz(this.lo);
      return this.hi !== 0 ? 32 + ctz(this.hi) : -1;
    }
    let run = 0;
    for (let bit = 0; bit < CACHE_PAGES; bit++) {
      const half = bit < 32 ? this.lo : this.hi;
      run = (half & (1 << (bit & 31))) !== 0 ? run + 1 : 0;
      if (run === npages) return bit - npages + 1;
    }
    return -1;
  }

  /** Gives the pages back to the heap. */
  flush(sys: Sys, pages: PageAlloc): void {
    if (this.empty) return;
    const ci = chunkIndex(this.base);
    const first = chunkPage(this.base);
    const { words } = sys.mem;
    for (let bit = 0; bit < CACHE_PAGES; bit++) {
      const mask = 1 << (bit & 31);
      const free = ((bit < 32 ? this.lo : this.hi) & mask) !== 0;
      const scav = ((bit < 32 ? this.scavLo : this.scavHi) & mask) !== 0;
      const at = pages.chunkAt(ci) + ((first + bit) >> 5);
      if (free) {
        words[at] &= ~mask;
        pages.scav.free(ci, first + bit, 1);
      }
      if (scav) words[at + 16] |= mask;
    }
    if (this.base < pages.searchAddr) pages.searchAddr = this.base;
    pages.update(this.base, CACHE_PAGES, false, false);
    this.lo = this.hi = this.scavLo = this.scavHi = this.base = 0;
  }
}
