// A swap device: slots of one page, how often each is referred to, and which pages are cached.
//
//     slot   0 header      1        2        3       a page-table entry that was swapped out
//     map        -         2        1        0       names a slot; `map` counts such entries
//     cached     -       frame      -        -         the swap cache: a frame with that content
//     zero       -         0        1        0       the page was zeros: nothing is stored
//
// States of a slot: free (map 0, not cached); in use (map > 0); cached (a frame holds the same
// content, with one reference of the cache). A slot that nobody refers to stays while it is cached.
//
// Slots are given out in clusters of 512: from the cluster in hand, in order; then from one that
// was full once and has free slots again, the longest waiting first; then from an empty one.
//
// A slot has a number in the machine, `base + slot`: its device is in the bits above SLOT_BITS.
// Content goes to the compressed pool (zswap.ts) first where there is one, else to the device.
// Invariants (check()): used = slots with map > 0 or a cached frame; a cached frame is PG_swapcache
// and its `private` word is the slot's number; a free slot has no content; a cluster's count is
// that of its used slots.
// Source: Linux 6.18 mm/swapfile.c: cluster_alloc_swap_entry(), swap_alloc_slow(), swap_map;
// mm/swap_state.c (the swap cache); mm/page_io.c (is_folio_zero_filled(), zeromap).
// Not modelled: clusters per CPU, discarding. The device is synchronous (a RAM disk), as
// SWP_SYNCHRONOUS_IO says of zram and brd.

import { assert } from './errors.ts';
import type { MemGroups } from './memcg.ts';
import { PG_swapcache, type MemMap } from './page.ts';
import type { PhysMem } from './physmem.ts';
import { NO_PFN, PAGE_WORDS, type Pfn } from './types.ts';
import type { Zswap } from './zswap.ts';

/** No slot: the device is full. Slot 0 holds the header. */
export const NO_SLOT = 0;
/** Bits of a slot's number that say where on its device it is; the rest is the device. */
export const SLOT_BITS = 26;
/** Slots that are given out together (SWAPFILE_CLUSTER). */
export const CLUSTER_SLOTS = 512;

const MAX_SLOTS = 1 << SLOT_BITS;
/** What became of a page that was written or read. */
export const SWAP_DEVICE = 0;
export const SWAP_ZERO = 1;
export const SWAP_POOL = 2;

export interface SwapOptions {
  /** Its number among the devices, 0..31. */
  readonly type: number;
  /** Higher is used first. */
  readonly priority: number;
  /** What /proc/swaps calls it. */
  readonly name: string;
}

export class SwapArea {
  readonly type: number;
  readonly priority: number;
  readonly name: string;
  /** Number of its slot 0. */
  readonly base: number;
  /** Slots, the header's included. */
  readonly slots: number;
  /** Slots in use or cached. */
  used = 0;
  /** Pages that the device itself holds: not zeros, not in the pool. */
  onDevice = 0;
  /** No new pages: the device is being switched off. */
  closing = false;
  /** Entries that refer to each slot. */
  readonly map: Uint16Array;
  /** The frame in the swap cache, NO_PFN where there is none. */
  readonly cached: Int32Array;
  /** Memory group that each slot is charged to. */
  readonly groupOf: Uint16Array;
  /** What reclaim remembers of the page in each slot (see two-list.ts). */
  readonly shadow: Int32Array;
  /** 1 where the page was zeros. */
  private readonly zero: Uint8Array;
  /** Memory groups, where there are any: they pay for slots. */
  groups: MemGroups | null = null;
  /** The compressed pool, where there is one. */
  pool: Zswap | null = null;
  private readonly contents = new Map<number, Int32Array>();
  private readonly mem: PhysMem;
  private readonly pages: MemMap;
  // clusters: used slots of each; those that were full and are not; the first never used; in hand
  private readonly usedIn: Uint16Array;
  private readonly partial: number[] = [];
  private fresh = 0;
  private hand = 0;
  private next = 1;

  /** @param slots size of the device in pages, 2 and more. */
  constructor(mem: PhysMem, pages: MemMap, slots: number, options?: Partial<SwapOptions>) {
    assert(slots >= 2 && slots <= MAX_SLOTS, 'SwapArea: room for the header and a page');
    this.type = options?.type ?? 0;
    this.priority = options?.priority ?? -2;
    this.name = options?.name ?? '/dev/ram0';
    this.base = this.type * MAX_SLOTS;
    this.mem = mem;
    this.pages = pages;
    this.slots = slots;
    this.map = new Uint16Array(slots);
    this.shadow = new Int32Array(slots);
    this.groupOf = new Uint16Array(slots);
    this.zero = new Uint8Array(slots);
    this.cached = new Int32Array(slots).fill(NO_PFN);
    this.usedIn = new Uint16Array(Math.ceil(slots / CLUSTER_SLOTS));
    this.fresh = 1;
  }

  /** Slots that can hold a page: the header cannot. */
  get usable(): number {
    return this.slots - 1;
  }

  /** What the device itself holds of a slot; undefined for nothing. For looking at alone. */
  peek(slot: number): Int32Array | undefined {
    return this.contents.get(slot);
  }

  /** Is the cluster in hand used up? Then another device of the same priority has its turn. */
  get clusterDone(): boolean {
    return this.next >= Math.min(this.slots, (this.hand + 1) * CLUSTER_SLOTS);
  }

  /**
   * A slot that nobody refers to yet, for a frame that goes into the cache.
   * @returns NO_SLOT where the device is full, or the page's group may not have one.
   */
  alloc(pfn: Pfn): number {
    if (this.used === this.usable || this.closing) return NO_SLOT;
    if (this.groups !== null && !this.groups.chargeSwap(pfn)) return NO_SLOT;
    const slot = this.findSlot();
    this.used++;
    this.usedIn[Math.floor(slot / CLUSTER_SLOTS)]++;
    this.groupOf[slot] = this.groups?.groupOf[pfn] ?? 0;
    this.addToCache(slot, pfn);
    return slot;
  }

  private isFree(slot: number): boolean {
    return this.map[slot] === 0 && this.cached[slot] === NO_PFN;
  }

  /** There is a free slot. */
  private findSlot(): number {
    for (;;) {
      const end = Math.min(this.slots, (this.hand + 1) * CLUSTER_SLOTS);
      for (; this.next < end; this.next++) if (this.isFree(this.next)) return this.next++;
      this.takeCluster();
    }
  }

  private takeCluster(): void {
    const again = this.partial.shift();
    if (again !== undefined) this.hand = again;
    else if (this.fresh < this.usedIn.length) this.hand = this.fresh++;
    else this.hand = this.usedIn.findIndex((n, i) => n < this.slotsIn(i));
    this.next = Math.max(1, this.hand * CLUSTER_SLOTS);
  }

  /** Slots of a cluster that can hold a page. */
  private slotsIn(cluster: number): number {
    const first = Math.max(1, cluster * CLUSTER_SLOTS);
    return Math.min(this.slots, (cluster + 1) * CLUSTER_SLOTS) - first;
  }

  /** Puts a frame into the cache of a slot that has none. The cache's reference is the caller's. */
  addToCache(slot: number, pfn: Pfn): void {
    assert(this.cached[slot] === NO_PFN, `slot ${slot} is not cached already`);
    this.cached[slot] = pfn;
    this.pages.setFlags(pfn, PG_swapcache);
    this.pages.setPrivate(pfn, this.base + slot);
  }

  /** Takes a frame out of the cache; its reference is the caller's to drop. */
  removeFromCache(pfn: Pfn): void {
    const slot = this.pages.privateOf(pfn) - this.base;
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

  /** Writes a frame's content. @returns SWAP_ZERO, SWAP_POOL or SWAP_DEVICE: where it went. */
  write(slot: number, pfn: Pfn): number {
    this.forget(slot);
    const at = this.mem.readable(pfn);
    const { words } = this.mem;
    let i = 0;
    while (i < PAGE_WORDS && words[at + i] === 0) i++;
    if (i === PAGE_WORDS) {
      this.zero[slot] = 1;
      return SWAP_ZERO;
    }
    if (this.pool?.store(this.base + slot, pfn) === true) return SWAP_POOL;
    this.writeDevice(slot, words.slice(at, at + PAGE_WORDS));
    return SWAP_DEVICE;
  }

  /** Puts content on the device itself: the pool writes it back. */
  writeDevice(slot: number, content: Int32Array): void {
    if (!this.contents.has(slot)) this.onDevice++;
    this.contents.set(slot, content);
  }

  /** Reads a slot's content into a frame. @returns where it was. */
  read(slot: number, pfn: Pfn): number {
    const at = this.mem.writable(pfn);
    if (this.zero[slot] === 1) {
      this.mem.words.fill(0, at, at + PAGE_WORDS);
      return SWAP_ZERO;
    }
    if (this.pool?.load(this.base + slot, pfn) === true) return SWAP_POOL;
    const content = this.contents.get(slot);
    assert(content !== undefined, `slot ${slot} was written`);
    this.mem.words.set(content, at);
    return SWAP_DEVICE;
  }

  /** Throws KernelBug where an invariant does not hold. */
  check(): void {
    let used = 0;
    const usedIn = new Uint16Array(this.usedIn.length);
    for (let slot = 1; slot < this.slots; slot++) {
      const pfn = this.cached[slot];
      if (!this.isFree(slot)) {
        used++;
        usedIn[Math.floor(slot / CLUSTER_SLOTS)]++;
      } else {
        assert(!this.contents.has(slot), `free slot ${slot} has content`);
        assert(this.zero[slot] === 0, `free slot ${slot} is known to be zeros`);
      }
      if (pfn === NO_PFN) continue;
      assert(
        this.pages.hasFlags(pfn, PG_swapcache),
        `frame ${pfn} of slot ${slot} is PG_swapcache`,
      );
      assert(
        this.pages.privateOf(pfn) === this.base + slot,
        `frame ${pfn} names slot ${slot} of ${this.name}`,
      );
    }
    assert(used === this.used, `swap: ${this.used} slots used, counted ${used}`);
    usedIn.forEach((n, i) => assert(n === this.usedIn[i], `cluster ${i}: ${n} slots are used`));
  }

  private release(slot: number): void {
    if (!this.isFree(slot)) return;
    const cluster = Math.floor(slot / CLUSTER_SLOTS);
    const wasFull = this.usedIn[cluster] === this.slotsIn(cluster);
    this.used--;
    this.usedIn[cluster]--;
    if (wasFull && cluster !== this.hand) this.partial.push(cluster);
    this.groups?.unchargeSwap(this.groupOf[slot]);
    this.groupOf[slot] = 0;
    this.forget(slot);
    this.shadow[slot] = 0;
  }

  /** The slot's content is of no use any more. */
  private forget(slot: number): void {
    if (this.contents.delete(slot)) this.onDevice--;
    this.zero[slot] = 0;
    this.pool?.drop(this.base + slot);
  }
}
