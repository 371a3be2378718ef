// A swap device: slots of one page, how often each is referred to, and which pages are cached.
//
//     slot   0 header      1        2        3       a page-table entry that was swapped out
//     map        -         2        1        0       names a slot; `map` counts such entries
//     cached     -       frame      -        -         the swap cache: a frame with that content
//
// States of a slot: free (map 0, not cached); in use (map > 0); cached (a frame holds the same
// content, with one reference of the cache). A slot that nobody refers to stays while it is cached.
// Invariants (check()): used = slots with map > 0 or a cached frame; a cached frame is PG_swapcache
// and its `private` word is the slot; a free slot has no content.
// Source: Linux 6.18 mm/swapfile.c (swap_map), mm/swap_state.c (the swap cache).
// Not modelled: clusters and per-CPU allocation of slots. The device is synchronous (a RAM disk),
// as SWP_SYNCHRONOUS_IO says of zram and brd.

import { assert } from './errors.ts';
import { PG_swapcache, type MemMap } from './page.ts';
import type { PhysMem } from './physmem.ts';
import { NO_PFN, PAGE_WORDS, type Pfn } from './types.ts';

/** No slot: the device is full. Slot 0 holds the header. */
export const NO_SLOT = 0;

export class SwapArea {
  /** Slots, the header's included. */
  readonly slots: number;
  /** Slots in use or cached. */
  used = 0;
  /** Entries that refer to each slot. */
  readonly map: Uint16Array;
  /** The frame in the swap cache, NO_PFN where there is none. */
  readonly cached: Int32Array;
  /** What reclaim remembers of the page in each slot (see two-list.ts). */
  readonly shadow: Int32Array;
  private readonly contents = new Map<number, Int32Array>();
  private readonly mem: PhysMem;
  private readonly pages: MemMap;
  private next = 1;

  /** @param slots size of the device in pages, 2 and more. */
  constructor(mem: PhysMem, pages: MemMap, slots: number) {
    assert(slots >= 2, 'SwapArea: room for the header and a page');
    this.mem = mem;
    this.pages = pages;
    this.slots = slots;
    this.map = new Uint16Array(slots);
    this.shadow = new Int32Array(slots);
    this.cached = new Int32Array(slots).fill(NO_PFN);
  }

  /** Slots that can hold a page: the header cannot. */
  get usable(): number {
    return this.slots - 1;
  }

  /** The content of a slot that was written; undefined where none was. For looking at alone. */
  peek(slot: number): Int32Array | undefined {
    return this.contents.get(slot);
  }

  /** A slot that nobody refers to yet, for a frame that goes into the cache; NO_SLOT if full. */
  alloc(pfn: Pfn): number {
    if (this.used === this.usable) return NO_SLOT;
    let slot = this.next;
    while (this.map[slot] !== 0 || this.cached[slot] !== NO_PFN) {
      slot = slot + 1 === this.slots ? 1 : slot + 1;
    }
    this.next = slot + 1 === this.slots ? 1 : slot + 1;
    this.used++;
    this.addToCache(slot, pfn);
    return slot;
  }

  /** Puts a frame into the cache of a slot that has none. The cache's reference is the caller's. */
  addToCache(slot: number, pfn: Pfn): void {
    assert(this.cached[slot] === NO_PFN, `slot ${slot} is not cached already`);
    this.cached[slot] = pfn;
    this.pages.setFlags(pfn, PG_swapcache);
    this.pages.setPrivate(pfn, slot);
  }

  /** Takes a frame out of the cache; its reference is the caller's to drop. */
  removeFromCache(pfn: Pfn): void {
    const slot = this.pages.privateOf(pfn);
    assert(this.cached[slot] === pfn, `frame ${pfn} is in the swap cache`);
    this.cached[slot] = NO_PFN;
    this.pages.clearFlags(pfn, PG_swapcache);
    this.pages.setPrivate(pfn, 0);
    this.release(slot);
  }

  /** One more entry refers to the slot. */
  dup(slot: number): void {
    this.map[slot]++;
  }

  /** One entry less. */
  put(slot: number): void {
    assert(this.map[slot] > 0, `slot ${slot} is referred to`);
    this.map[slot]--;
    this.release(slot);
  }

  /** Writes a frame's content to the device. */
  write(slot: number, pfn: Pfn): void {
    const at = this.mem.readable(pfn);
    this.contents.set(slot, this.mem.words.slice(at, at + PAGE_WORDS));
  }

  /** Reads the device's content into a frame. */
  read(slot: number, pfn: Pfn): void {
    const content = this.contents.get(slot);
    assert(content !== undefined, `slot ${slot} was written`);
    this.mem.words.set(content, this.mem.writable(pfn));
  }

  /** Throws KernelBug where an invariant does not hold. */
  check(): void {
    let used = 0;
    for (let slot = 1; slot < this.slots; slot++) {
      const pfn = this.cached[slot];
      if (this.map[slot] > 0 || pfn !== NO_PFN) used++;
      else assert(!this.contents.has(slot), `free slot ${slot} has content`);
      if (pfn === NO_PFN) continue;
      assert(
        this.pages.hasFlags(pfn, PG_swapcache),
        `frame ${pfn} of slot ${slot} is PG_swapcache`,
      );
      assert(this.pages.privateOf(pfn) === slot, `frame ${pfn} names slot ${slot}`);
    }
    assert(used === this.used, `swap: ${this.used} slots used, counted ${used}`);
  }

  private release(slot: number): void {
    if (this.map[slot] !== 0 || this.cached[slot] !== NO_PFN) return;
    this.used--;
    this.contents.delete(slot);
    this.shadow[slot] = 0;
  }
}
