// All slab caches of a machine: making, merging and finding them, and their memory in the accounts.
//
// Caches whose objects would lie in their slabs in the same way are one cache under several names
// (merging), unless debugging, a constructor or SLAB_NO_MERGE forbids it: fewer half-empty slabs.
// Source: Linux 6.1 mm/slab_common.c, find_mergeable(), kmem_cache_create_usercopy().

import {
  type CacheSpec,
  SLAB_ACCOUNT,
  SLAB_DEBUG,
  SLAB_DMA,
  SLAB_HARDENED,
  SLAB_NO_MERGE,
  SLAB_RANDOM,
  SLAB_RECLAIM,
  SLAB_TYPESAFE,
  standardCaches,
} from './caches.ts';
import { InputError, KernelBug, assert } from './errors.ts';
import type { PageLists } from './list.ts';
import { PAGE_OWNER, PAGE_RECORD, PG_slab } from './page.ts';
import type { PageAllocator } from './page_alloc.ts';
import type { Prng } from './prng.ts';
import { SlabCache } from './slab.ts';
import type { CacheOptions, SlabOwner } from './slab_owner.ts';
import { checkCache, forEachSlab, objectsInUse } from './slab_inspect.ts';
import { layoutOf } from './slab_layout.ts';
import { PAGE_SIZE, alignUp } from './types.ts';

/** How a machine's slab caches behave; boot options of Linux. */
export interface SlabOptions {
  /** SLAB_* bits that every cache gets: debugging (slub_debug), hardening, random order. */
  readonly flags?: number;
  /** slab_merge / slab_nomerge; merging is on by default. */
  readonly merge?: boolean;
  /** Needed with SLAB_HARDENED and SLAB_RANDOM. */
  readonly prng?: Prng;
}

const NEVER_MERGE = SLAB_DEBUG | SLAB_NO_MERGE | SLAB_TYPESAFE;
const MERGE_SAME = SLAB_RECLAIM | SLAB_DMA | SLAB_ACCOUNT;

export class SlabHeap implements SlabOwner {
  readonly alloc: PageAllocator;
  readonly lists: PageLists;
  readonly nrCpus: number;
  readonly nrNodes: number;
  readonly prng: Prng;
  /** Pages of slabs, in frames: those that shrinking may give back, and the others. */
  reclaimablePages = 0;
  unreclaimablePages = 0;
  private readonly options: SlabOptions;
  /** By id; id 0 is no cache. */
  private readonly byId: (SlabCache | undefined)[] = [undefined];
  private readonly byName = new Map<string, SlabCache>();

  constructor(alloc: PageAllocator, nrNodes: number, options: SlabOptions = {}) {
    const randomness = (options.flags ?? 0) & (SLAB_HARDENED | SLAB_RANDOM);
    assert(randomness === 0 || options.prng !== undefined, 'random free lists need a generator');
    this.alloc = alloc;
    this.lists = alloc.tables.lists;
    this.nrCpus = alloc.tables.nrCpus;
    this.nrNodes = nrNodes;
    this.options = options;
    this.prng = options.prng ?? ((): number => 0);
  }

  /** A heap with the caches of a kernel that has just booted. */
  static boot(alloc: PageAllocator, nrNodes: number, options: SlabOptions = {}): SlabHeap {
    const heap = new SlabHeap(alloc, nrNodes, options);
    for (const spec of standardCaches()) heap.createFrom(spec);
    return heap;
  }

  /** All caches in the order in which they were made; merged ones once. */
  get caches(): SlabCache[] {
    return this.byId.filter((cache) => cache !== undefined);
  }

  /**
   * Makes a cache, or finds one that does as well (kmem_cache_create()).
   * @throws InputError where the size or alignment is impossible.
   */
  create(options: CacheOptions): SlabCache {
    const { name, size } = options;
    const align = options.align ?? 8;
    if (!Number.isSafeInteger(size) || size < 1 || size > 2 ** 22) {
      throw new InputError('', `cache ${name}: an object has 1..4194304 bytes, not ${size}`);
    }
    if (align < 1 || (align & (align - 1)) !== 0 || align > PAGE_SIZE) {
      throw new InputError('', `cache ${name}: alignment ${align} is no power of two up to 4096`);
    }
    const flags = (options.flags ?? 0) | (this.options.flags ?? 0);
    let cache = options.ctor === undefined ? this.mergeable(size, align, flags) : undefined;
    if (cache === undefined) {
      cache = new SlabCache(this, this.byId.length, { ...options, flags });
      this.byId.push(cache);
    } else {
      cache.aliases.push(name);
      cache.refcount++;
    }
    this.byName.set(name, cache);
    return cache;
  }

  /** Drops a cache under one of its names; the last name drops its memory. */
  destroy(name: string): void {
    const cache = this.cache(name);
    if (cache.refcount > 1) cache.refcount--;
    else {
      cache.shrink();
      const left = objectsInUse(cache);
      if (left > 0) throw new KernelBug(`cache ${name} destroyed with ${left} objects in use`);
      this.byId[cache.id] = undefined;
    }
    this.byName.delete(name);
  }

  /** The cache of that name; throws KernelBug where there is none. */
  cache(name: string): SlabCache {
    const cache = this.byName.get(name);
    assert(cache !== undefined, `there is a slab cache ${name}`);
    return cache;
  }

  /** The cache that a frame's slab belongs to; undefined for other frames. */
  cacheOf(pfn: number): SlabCache | undefined {
    const at = this.alloc.pages.head(pfn) * PAGE_RECORD;
    const { words } = this.alloc.pages;
    return (words[at] & PG_slab) === 0 ? undefined : this.byId[words[at + PAGE_OWNER]];
  }

  /** Gives all empty slabs back; what shrinking gained in frames. */
  shrinkAll(): number {
    const before = this.reclaimablePages + this.unreclaimablePages;
    for (const cache of this.caches) cache.shrink();
    return before - this.reclaimablePages - this.unreclaimablePages;
  }

  /** Counts a slab's pages in (1) or out (-1). Called by SlabCache. */
  account(flags: number, slab: number, sign: number): void {
    const frames = sign << this.alloc.pages.compoundOrder(slab);
    if ((flags & SLAB_RECLAIM) !== 0) this.reclaimablePages += frames;
    else this.unreclaimablePages += frames;
  }

  /** Fills bytes of physical memory. */
  fill(address: number, length: number, byte: number): void {
    const { mem } = this.alloc;
    let at = address;
    const end = address + length;
    while (at < end) {
      const n = Math.min(end - at, PAGE_SIZE - (at & 0xfff));
      const first = mem.writable(Math.floor(at / PAGE_SIZE)) * 4 + (at & 0xfff);
      mem.bytes.fill(byte, first, first + n);
      at += n;
    }
  }

  /**
   * Throws KernelBug where a cache or the accounts are wrong.
   * @param bytesOf the one slab whose red zones and poison are looked at; all where it is absent.
   */
  check(bytesOf?: number): void {
    let frames = 0;
    for (const cache of this.caches) {
      checkCache(cache, bytesOf);
      forEachSlab(cache, (slab) => {
        frames += 1 << this.alloc.pages.compoundOrder(slab);
      });
    }
    const counted = this.reclaimablePages + this.unreclaimablePages;
    assert(frames === counted, `slabs have ${frames} frames, counted ${counted}`);
  }

  private createFrom(spec: CacheSpec): void {
    const kmalloc = spec.name.includes('kmalloc-');
    const power = (spec.objsize & (spec.objsize - 1)) === 0;
    const align = kmalloc && power ? Math.min(spec.objsize, PAGE_SIZE) : 8;
    // sizes in the table are those with everything included
    const size = spec.objsize - ((spec.flags & SLAB_TYPESAFE) !== 0 ? 8 : 0); // the pointer behind
    this.create({ name: spec.name, size, align, flags: spec.flags | SLAB_NO_MERGE });
  }

  private mergeable(size: number, align: number, flags: number): SlabCache | undefined {
    if (this.options.merge === false || (flags & NEVER_MERGE) !== 0) return undefined;
    const wanted = layoutOf(size, align, flags, false, this.nrCpus);
    const least = alignUp(alignUp(size, 8), wanted.align);
    return this.caches.reverse().find((cache) => {
      const { layout } = cache;
      if ((cache.flags & NEVER_MERGE) !== 0 || cache.ctor !== undefined) return false;
      if ((cache.flags & MERGE_SAME) !== (flags & MERGE_SAME)) return false;
      if (least > layout.size || layout.size % wanted.align !== 0) return false;
      return layout.size - least < 8;
    });
  }
}
