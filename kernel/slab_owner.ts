// What a slab cache is made from, and what it needs of the heap that owns it (slab_common.ts).
// Source: Linux 6.1 include/linux/slab.h kmem_cache_create().

import type { PageLists } from './list.ts';
import type { PageAllocator } from './page_alloc.ts';
import type { Prng } from './prng.ts';
import type { PhysAddr } from './types.ts';

/** What a cache needs of the heap that it belongs to. */
export interface SlabOwner {
  readonly alloc: PageAllocator;
  readonly lists: PageLists;
  readonly nrCpus: number;
  readonly nrNodes: number;
  readonly prng: Prng;
  /** Counts a slab's pages in (1) or out (-1). */
  account(flags: number, slab: number, sign: number): void;
  /** Fills bytes of physical memory. */
  fill(address: number, length: number, byte: number): void;
}

export interface CacheOptions {
  readonly name: string;
  /** Bytes of an object. */
  readonly size: number;
  /** Power of two; 8 at least. */
  readonly align?: number;
  /** SLAB_* bits. */
  readonly flags?: number;
  /** Called once for each object when its slab is made. */
  readonly ctor?: (object: PhysAddr) => void;
}
