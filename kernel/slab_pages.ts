// The pages of a slab cache: making and dropping slabs, and the list of free objects inside them.
//
// A slab is a compound page with PG_slab, its cache's id as owner, and in its first record
//
//     index    inuse (bits 0-15) | objects (bits 16-30) | frozen (bit 31)
//     private  offset of the first free object in the slab, plus 1; 0 for none
//
// Each free object holds a direct-map pointer to the next, two words, zero at the end. A hardened
// cache stores pointer ^ secret ^ byte-swapped address of the pointer, so that an overwritten one
// leads nowhere (freelist_ptr()).
// Source: Linux 6.1 mm/slub.c, allocate_slab(), shuffle_freelist(), freelist_ptr().

import { SLAB_DMA, SLAB_HARDENED, SLAB_RANDOM, SLAB_RECLAIM } from './caches.ts';
import {
  __GFP_COMP,
  __GFP_DIRECT_RECLAIM,
  __GFP_DMA,
  __GFP_DMA32,
  __GFP_HIGHMEM,
  __GFP_MOVABLE,
  __GFP_NOFAIL,
  __GFP_NORETRY,
  __GFP_NOWARN,
  __GFP_RECLAIMABLE,
  __GFP_ZERO,
} from './gfp.ts';
import { KernelBug } from './errors.ts';
import { PAGE_INDEX, PAGE_OWNER, PAGE_PRIVATE, PAGE_RECORD, PG_slab } from './page.ts';
import type { PageAllocator } from './page_alloc.ts';
import { type Prng, shuffle } from './prng.ts';
import type { CacheLayout } from './slab_layout.ts';
import { NO_PFN, PAGE_SIZE, type PhysAddr, physOf } from './types.ts';

/** High word of the direct map's start, 0xffff888000000000. */
export const DIRECT_MAP_HI = 0xffff8880 | 0;

export const SLAB_FROZEN = 1 << 31;
export const SLAB_INUSE = 0xffff;
const OBJECTS_SHIFT = 16;
const OBJECTS = 0x7fff;

export class SlabPages {
  readonly layout: CacheLayout;
  private readonly id: number;
  private readonly flags: number;
  private readonly alloc: PageAllocator;
  private readonly records: Int32Array;
  private readonly prng: Prng;
  private readonly hardened: boolean;
  private readonly secretLo: number;
  private readonly secretHi: number;

  constructor(alloc: PageAllocator, layout: CacheLayout, id: number, flags: number, prng: Prng) {
    this.alloc = alloc;
    this.layout = layout;
    this.id = id;
    this.flags = flags;
    this.prng = prng;
    this.records = alloc.pages.words;
    this.hardened = (flags & SLAB_HARDENED) !== 0;
    this.secretLo = this.hardened ? Math.floor(prng() * 2 ** 32) | 0 : 0;
    this.secretHi = this.hardened ? Math.floor(prng() * 2 ** 32) | 0 : 0;
  }

  /** A slab with all its objects free; NO_PFN where there is no memory. */
  make(gfp: number): number {
    const { layout, alloc } = this;
    let flags = gfp & ~(__GFP_ZERO | __GFP_MOVABLE | __GFP_HIGHMEM | __GFP_RECLAIMABLE);
    if ((this.flags & SLAB_DMA) !== 0) flags = (flags & ~__GFP_DMA32) | __GFP_DMA;
    if ((this.flags & SLAB_RECLAIM) !== 0) flags |= __GFP_RECLAIMABLE;
    let order = layout.order;
    // without effort first: a smaller slab does as well
    let eager = (flags | __GFP_NOWARN | __GFP_NORETRY) & ~__GFP_NOFAIL;
    if (order > layout.minOrder) eager &= ~__GFP_DIRECT_RECLAIM;
    let slab = alloc.alloc(order > 0 ? eager | __GFP_COMP : eager, order);
    if (slab < 0) {
      order = layout.minOrder;
      slab = alloc.alloc(order > 0 ? flags | __GFP_COMP : flags, order);
      if (slab < 0) return NO_PFN;
    }
    const objects = Math.min(OBJECTS, Math.floor((PAGE_SIZE * 2 ** order) / layout.size));
    const at = slab * PAGE_RECORD;
    this.records[at] |= PG_slab;
    this.records[at + PAGE_OWNER] = this.id;
    this.records[at + PAGE_INDEX] = objects << OBJECTS_SHIFT;
    this.threadFree(slab, objects);
    return slab;
  }

  /** Gives a slab's pages back. */
  drop(slab: number): void {
    const order = this.alloc.pages.compoundOrder(slab);
    this.records[slab * PAGE_RECORD] &= ~PG_slab;
    this.alloc.free(slab as never, order);
  }

  /** Objects in a slab, free or not. */
  objectsOf(slab: number): number {
    return (this.records[slab * PAGE_RECORD + PAGE_INDEX] >> OBJECTS_SHIFT) & OBJECTS;
  }

  /** Objects that are handed out, or that a CPU has taken. */
  inUseOf(slab: number): number {
    return this.records[slab * PAGE_RECORD + PAGE_INDEX] & SLAB_INUSE;
  }

  /** Address of a slab's n-th object. */
  objectAt(slab: number, n: number): PhysAddr {
    return (physOf(slab as never) + this.layout.redLeft + n * this.layout.size) as PhysAddr;
  }

  /** The first free object of a slab's own list; 0 for none. */
  firstFree(slab: number): PhysAddr {
    const first = this.records[slab * PAGE_RECORD + PAGE_PRIVATE];
    return (first === 0 ? 0 : slab * PAGE_SIZE + first - 1) as PhysAddr;
  }

  setFirstFree(slab: number, object: PhysAddr): void {
    this.records[slab * PAGE_RECORD + PAGE_PRIVATE] =
      object === 0 ? 0 : object - slab * PAGE_SIZE + 1;
  }

  /**
   * The object after a free one; 0 at the end. Throws KernelBug where the pointer leads nowhere.
   */
  next(object: PhysAddr): PhysAddr {
    const at = object + this.layout.offset;
    const w = this.wordOf(at);
    const { words } = this.alloc.mem;
    let lo = words[w];
    let hi = words[w + 1];
    lo ^= this.maskLo((Math.floor(at / 2 ** 32) + DIRECT_MAP_HI) | 0);
    hi ^= this.maskHi(at | 0);
    if (hi === 0 && lo === 0) return 0 as PhysAddr;
    const address = ((hi - DIRECT_MAP_HI) | 0) * 2 ** 32 + (lo >>> 0);
    if (address < 0 || address >= this.alloc.mem.nrFrames * PAGE_SIZE) {
      throw new KernelBug(`free object 0x${object.toString(16)}: its pointer is corrupt`);
    }
    return address as PhysAddr;
  }

  /** Sets the object after a free one; 0 for none. */
  setNext(object: PhysAddr, next: PhysAddr): void {
    const at = object + this.layout.offset;
    const w = this.wordOf(at);
    const { words } = this.alloc.mem;
    let lo = next === 0 ? 0 : next | 0;
    let hi = next === 0 ? 0 : (Math.floor(next / 2 ** 32) + DIRECT_MAP_HI) | 0;
    lo ^= this.maskLo((Math.floor(at / 2 ** 32) + DIRECT_MAP_HI) | 0);
    hi ^= this.maskHi(at | 0);
    words[w] = lo;
    words[w + 1] = hi;
  }

  /** All objects of a chain of free ones. Throws KernelBug where it leaves the slab or circles. */
  chain(first: PhysAddr, slab: number): PhysAddr[] {
    const found: PhysAddr[] = [];
    this.walk(first, slab, (object) => found.push(object));
    return found;
  }

  /** How many they are. Throws likewise. */
  chainLength(first: PhysAddr, slab: number): number {
    return this.walk(first, slab, () => undefined);
  }

  /** Visits a chain of free objects; returns how many there were. */
  private walk(first: PhysAddr, slab: number, visit: (object: PhysAddr) => void): number {
    if (first === 0) return 0;
    const { words, slotOf } = this.alloc.mem;
    const { offset, redLeft, size } = this.layout;
    const objects = this.objectsOf(slab);
    const start = slab * PAGE_SIZE;
    const startLo = (slab << 12) | 0;
    const hi = ((slab >>> 20) + DIRECT_MAP_HI) | 0;
    const last = objects * size + redLeft;
    // `at` is an object's place in its slab
    let at = (first - start) | 0;
    for (let n = 1; ; n++) {
      const object = (start + at) as PhysAddr;
      if (at < redLeft || at >= last || (at - redLeft) % size !== 0) this.leaves(slab, object);
      if (n > objects) throw new KernelBug(`free list of slab ${slab} is a circle`);
      visit(object);
      const pointer = at + offset;
      const w = (slotOf[slab + (pointer >> 12)] << 10) | ((pointer & 0xfff) >> 2);
      const place = (startLo + pointer) | 0;
      const nextLo = words[w] ^ this.maskLo(hi);
      const nextHi = words[w + 1] ^ this.maskHi(place);
      if (nextHi === 0 && nextLo === 0) return n;
      at = (nextLo - startLo) | 0;
      if (nextHi !== hi) this.leaves(slab, this.next(object));
    }
  }

  private leaves(slab: number, object: number): never {
    throw new KernelBug(`free list of slab ${slab} leads to 0x${object.toString(16)}`);
  }

  /** What a pointer's words are stored XORed with: 0, or a hardened cache's secret. */
  private maskLo(addressHi: number): number {
    return this.hardened ? this.secretLo ^ byteSwap(addressHi) : 0;
  }
  private maskHi(addressLo: number): number {
    return this.hardened ? this.secretHi ^ byteSwap(addressLo) : 0;
  }

  /** Threads a new slab's objects, in order or shuffled (SLAB_RANDOM). */
  private threadFree(slab: number, objects: number): void {
    const order = Array.from({ length: objects }, (_, i) => i);
    if ((this.flags & SLAB_RANDOM) !== 0) shuffle(this.prng, order);
    let next = 0 as PhysAddr;
    for (let i = objects - 1; i >= 0; i--) {
      const object = this.objectAt(slab, order[i]);
      this.setNext(object, next);
      next = object;
    }
    this.setFirstFree(slab, next);
  }

  private wordOf(at: number): number {
    return this.alloc.mem.writable(Math.floor(at / PAGE_SIZE)) + ((at & 0xfff) >> 2);
  }
}

function byteSwap(x: number): number {
  return (x << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24) | 0;
}
