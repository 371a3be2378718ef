// kmalloc: memory by size, from caches of fixed sizes, or whole pages above 8 KiB.
//
//     kmalloc-8, 16, 32, 64, 96, 128, 192, 256, ... 8k     no device and no cgroup cares
//     kmalloc-rcl-* __GFP_RECLAIMABLE    kmalloc-cg-* __GFP_ACCOUNT    dma-kmalloc-* __GFP_DMA
//
// Source: Linux 6.1 mm/slab_common.c kmalloc_slab(), kmalloc_type(), kmalloc_large().

import { KMALLOC_FAMILIES, KMALLOC_SIZES, kmallocSizeName } from './caches.ts';
import { KernelBug } from './errors.ts';
import { GFP_KERNEL, __GFP_ACCOUNT, __GFP_COMP, __GFP_DMA, __GFP_RECLAIMABLE } from './gfp.ts';
import type { SlabCache } from './slab.ts';
import type { SlabHeap } from './slab_common.ts';
import { orderOf } from './slab_layout.ts';
import { MAX_ORDER, PAGE_SIZE, type Pfn, type PhysAddr, physOf } from './types.ts';

/** Largest size with a cache; above it kmalloc takes pages. */
export const KMALLOC_MAX_CACHE_SIZE = 8192;
const FAMILY_NORMAL = 0;
const FAMILY_RECLAIM = 1;
const FAMILY_CGROUP = 2;
const FAMILY_DMA = 3;

export class Kmalloc {
  /** Frames in kmalloc's large blocks, which no cache has. */
  largePages = 0;
  private readonly heap: SlabHeap;
  private readonly caches: readonly (readonly SlabCache[])[];
  /** Index into KMALLOC_SIZES for (size + 7) / 8, sizes up to 192. */
  private readonly small: Uint8Array;

  constructor(heap: SlabHeap) {
    this.heap = heap;
    this.caches = KMALLOC_FAMILIES.map(([prefix]) =>
      KMALLOC_SIZES.map((size) => heap.cache(`${prefix}-${kmallocSizeName(size)}`)),
    );
    this.small = Uint8Array.from({ length: 25 }, (_, i) =>
      KMALLOC_SIZES.findIndex((size) => size >= Math.max(i, 1) * 8),
    );
  }

  /** The cache that serves a size (1..8192) under these flags. */
  cacheFor(size: number, gfp: number): SlabCache {
    let family = FAMILY_NORMAL;
    if ((gfp & __GFP_DMA) !== 0) family = FAMILY_DMA;
    else if ((gfp & __GFP_RECLAIMABLE) !== 0) family = FAMILY_RECLAIM;
    else if ((gfp & __GFP_ACCOUNT) !== 0) family = FAMILY_CGROUP;
    const index = size <= 192 ? this.small[(size + 7) >> 3] : 7 + (24 - Math.clz32(size - 1));
    return this.caches[family][index];
  }

  /**
   * `size` bytes, 1..4 MiB.
   * @returns their physical address, aligned to the size where that is a power of two, to 8 bytes
   *   otherwise; 0 where there is no memory.
   */
  alloc(size: number, gfp = GFP_KERNEL): PhysAddr {
    if (size <= KMALLOC_MAX_CACHE_SIZE) return this.cacheFor(size, gfp).alloc(gfp);
    const order = orderOf(size);
    if (order > MAX_ORDER) return 0 as PhysAddr;
    const pfn = this.heap.alloc.alloc(gfp | __GFP_COMP, order);
    if (pfn < 0) return 0 as PhysAddr;
    this.largePages += 1 << order;
    return physOf(pfn);
  }

  /** Gives back what alloc() returned. Throws KernelBug for anything else. */
  free(address: PhysAddr): void {
    const pfn = Math.floor(address / PAGE_SIZE);
    const cache = this.heap.cacheOf(pfn);
    if (cache !== undefined) {
      cache.free(address);
      return;
    }
    const order = this.heap.alloc.pages.compoundOrder(pfn);
    if (order === 0 || (address & 0xfff) !== 0) {
      throw new KernelBug(`kfree(0x${address.toString(16)}): nothing that kmalloc gave`);
    }
    this.largePages -= 1 << order;
    this.heap.alloc.free(pfn as Pfn, order);
  }

  /** Bytes that may be used at an address that alloc() returned (ksize()). */
  sizeOf(address: PhysAddr): number {
    const pfn = Math.floor(address / PAGE_SIZE);
    const cache = this.heap.cacheOf(pfn);
    if (cache !== undefined) return cache.layout.objectSize;
    return PAGE_SIZE * 2 ** this.heap.alloc.pages.compoundOrder(pfn);
  }
}
