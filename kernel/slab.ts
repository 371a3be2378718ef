// SLUB: caches of equal objects, cut from slabs of 2^order pages.
//
//     cache --per CPU--> [free objects] of the CPU's slab, and a few partial slabs
//           --per node-> partial slabs                    full slabs: on no list
//
// A free object holds the address of the next free one, in emulated RAM and in its true form: a
// 64-bit direct-map pointer, in the middle of the object (behind it where there is a constructor).
// Each slab has such a list; a CPU takes the whole list of its slab over and then allocates and
// frees without looking at the slab at all. An object freed from another slab goes to that slab's
// list. States of a slab, told by its record's `index` word (inuse | objects << 16 | frozen):
//
//     CPU slab      frozen, inuse = objects: the free ones are the CPU's; its list: freed by others
//     CPU partial   frozen, in one CPU's queue: a full slab that got its first free object
//     partial       on its node's list;  0 < inuse < objects, or empty while few slabs are
//     full          inuse = objects, no free object
//
//     new -> CPU slab -> full -> CPU partial -> (queue too long) partial -> CPU slab ...
//     partial, last object freed, more than minPartial slabs there -> pages go back
//
// Invariants (check()): the free list of a slab has objects - inuse members, all inside it and at
// object boundaries, none twice; each slab is in exactly one of the four places.
// Source: Linux 6.1 mm/slub.c, slab_alloc_node(), ___slab_alloc(), __slab_free(),
// put_cpu_partial(), calculate_sizes(). Not modelled: memory-cgroup object pointers, kfence.

import { SLAB_DEBUG, SLAB_HARDENED } from './caches.ts';
import { KernelBug } from './errors.ts';
import { GFP_KERNEL, __GFP_ZERO } from './gfp.ts';
import {
  PAGE_INDEX,
  PAGE_NEXT,
  PAGE_OWNER,
  PAGE_PRIVATE,
  PAGE_RECORD,
  PG_head,
  PG_slab,
  PG_tail,
} from './page.ts';
import type { PageAllocator } from './page_alloc.ts';
import { SlabDebug } from './slab_debug.ts';
import { type CacheLayout, layoutOf } from './slab_layout.ts';
import { DIRECT_MAP_HI, SLAB_FROZEN, SLAB_INUSE, SlabPages } from './slab_pages.ts';
import type { CacheOptions, SlabOwner } from './slab_owner.ts';
import {
  NR_PARTIAL_OF_CPU,
  PARTIAL_OF_CPU,
  SLAB_OF_CPU,
  SlabPlaces,
  WORDS_OF_CPU,
} from './slab_places.ts';
import { kmem_cache_alloc, kmem_cache_free } from './trace.ts';
import { NO_PFN, type PhysAddr } from './types.ts';

// Words of a CPU's state: its free list as a pointer, its slab, the mask that finds a slab's first
// frame, its partial slabs (linked by `next`) and how many they are.
const FREE_LO = 0;
const FREE_HI = 1;
const CPU_SLAB = SLAB_OF_CPU;
const CPU_MASK = 3;
const CPU_PARTIAL = PARTIAL_OF_CPU;
const NR_QUEUED = NR_PARTIAL_OF_CPU;
const CPU_WORDS = WORDS_OF_CPU;

// Copies for the fast paths, see page_alloc.ts.
const RECORD = PAGE_RECORD;
const SHIFT = 31 - Math.clz32(PAGE_RECORD);
const COUNTERS = PAGE_INDEX;
const NEXT = PAGE_NEXT;
const FREELIST = PAGE_PRIVATE;
const HI = DIRECT_MAP_HI;
const TAIL = PG_tail;
const SLAB = PG_slab;
const OWNER = PAGE_OWNER;
const FROZEN = SLAB_FROZEN;
const INUSE = SLAB_INUSE;
const HEAD = PG_head;
const ZERO = __GFP_ZERO;
const KERNEL = GFP_KERNEL;
const OBJECTS_SHIFT = 16;
const OBJECTS = 0x7fff;
const FOREIGN = 'not an object of this cache';

export class SlabCache {
  readonly name: string;
  /** Names of the caches that were merged into this one. */
  readonly aliases: string[] = [];
  /** Owner id in the records of its slabs. */
  readonly id: number;
  readonly flags: number;
  readonly align: number;
  readonly layout: CacheLayout;
  readonly ctor: ((object: PhysAddr) => void) | undefined;
  refcount = 1;
  readonly heap: SlabOwner;
  readonly cpus: Int32Array;
  private readonly words: Int32Array;
  private readonly slotOf: Int32Array;
  private readonly records: Int32Array;
  private readonly offset: number;
  private readonly pageAlloc: PageAllocator;
  /** 1 with debugging or hardening: the fast paths do not apply. */
  private readonly careful: number;
  /** Partial slabs that a CPU may queue. */
  private readonly mostQueued: number;
  readonly slabs: SlabPages;
  readonly places: SlabPlaces;
  readonly debug: SlabDebug | null;

  /** Made by SlabHeap.create(). */
  constructor(heap: SlabOwner, id: number, options: CacheOptions) {
    const flags = options.flags ?? 0;
    const keep = options.ctor !== undefined;
    this.heap = heap;
    this.pageAlloc = heap.alloc;
    this.id = id;
    this.name = options.name;
    this.flags = flags;
    this.ctor = options.ctor;
    this.layout = layoutOf(options.size, options.align ?? 8, flags, keep, heap.nrCpus);
    this.align = this.layout.align;
    this.offset = this.layout.offset;
    const debugging = (flags & SLAB_DEBUG) !== 0;
    this.cpus = new Int32Array(heap.nrCpus * CPU_WORDS);
    for (let c = 0; c < this.cpus.length; c += CPU_WORDS) {
      this.cpus[c + CPU_SLAB] = this.cpus[c + CPU_PARTIAL] = NO_PFN;
    }
    this.words = heap.alloc.mem.words;
    this.slotOf = heap.alloc.mem.slotOf;
    this.records = heap.alloc.pages.words;
    this.careful = debugging || (flags & SLAB_HARDENED) !== 0 ? 1 : 0;
    this.slabs = new SlabPages(heap.alloc, this.layout, id, flags, heap.prng);
    const debug = debugging ? new SlabDebug(this.name, flags, this.slabs, heap.alloc) : null;
    this.debug = debug;
    this.places = new SlabPlaces(
      heap.alloc,
      heap.nrNodes,
      this.slabs,
      this.cpus,
      !debugging,
      (slab, sign) => heap.account(flags, slab, sign),
      (object) => {
        debug?.prepare(object);
        options.ctor?.(object);
      },
    );
    this.mostQueued = this.places.cpuPartialSlabs;
  }

  /** Slabs, and objects in them, free ones included. */
  get nrSlabs(): number {
    return this.places.nrSlabs;
  }
  get nrObjects(): number {
    return this.places.nrObjects;
  }

  /**
   * One object; its contents are what was there (the pointer of the free list included).
   * @param gfp where the pages of a new slab may come from; __GFP_ZERO clears the object.
   * @returns its physical address; 0 where there is no memory.
   */
  alloc(gfp = KERNEL): PhysAddr {
    const { cpus } = this;
    const c = (this.pageAlloc.cpu * CPU_WORDS) | 0;
    const slow = (gfp & ZERO) | this.careful | this.pageAlloc.trace.listeners;
    if (slow !== 0) return this.allocSlow(c, gfp);
    if (cpus[c | FREE_HI] === 0 && !this.refill(c, gfp)) return 0 as PhysAddr;
    const lo = cpus[c | FREE_LO];
    const hi = cpus[c | FREE_HI];
    const at = (lo + this.offset) | 0;
    const w = (this.slotOf[(at >>> 12) | ((hi - HI) << 20)] << 10) | ((at & 0xfff) >> 2);
    cpus[c | FREE_LO] = this.words[w];
    cpus[c | FREE_HI] = this.words[w | 1];
    return (hi === HI ? lo >>> 0 : ((hi - HI) | 0) * 0x1_0000_0000 + (lo >>> 0)) as PhysAddr;
  }

  /** Gives an object back. Throws KernelBug where it is none of this cache's, or free already. */
  free(object: PhysAddr): void {
    const lo = object | 0;
    const hi = object < 0x1_0000_0000 ? 0 : Math.floor(object / 0x1_0000_0000) | 0;
    const pfn = (lo >>> 12) | (hi << 20);
    if ((this.careful | this.pageAlloc.trace.listeners) !== 0) {
      this.freeChecked(object, pfn);
      return;
    }
    const { cpus, words } = this;
    const c = (this.pageAlloc.cpu * CPU_WORDS) | 0;
    const at = (lo + this.offset) | 0;
    const w = (this.slotOf[(at >>> 12) | (hi << 20)] << 10) | ((at & 0xfff) >> 2);
    if ((pfn & cpus[c | CPU_MASK]) === cpus[c | CPU_SLAB]) {
      const first = cpus[c | FREE_LO];
      const firstHi = cpus[c | FREE_HI];
      if (lo === first && ((hi + HI) | 0) === firstHi) this.bad(object, 'double free');
      words[w] = first;
      words[w | 1] = firstHi;
      cpus[c | FREE_LO] = lo;
      cpus[c | FREE_HI] = (hi + HI) | 0;
      return;
    }
    // an object of another slab goes to that slab's own list (__slab_free())
    const { records } = this;
    const slab = (records[pfn << SHIFT] & TAIL) === 0 ? pfn : records[(pfn << SHIFT) | FREELIST];
    const r = slab << SHIFT;
    if ((records[r] & SLAB) === 0 || records[r | OWNER] !== this.id) this.bad(object, FOREIGN);
    const prior = records[r | FREELIST];
    const place = ((((pfn - slab) << 12) | (lo & 0xfff)) + 1) | 0;
    if (prior === place) this.bad(object, 'double free');
    records[r | FREELIST] = place;
    const counters = (records[r | COUNTERS] - 1) | 0;
    records[r | COUNTERS] = counters;
    if (prior === 0) {
      words[w] = words[w | 1] = 0;
      if (counters < 0) return; // frozen: its CPU will see it
      if (cpus[c | NR_QUEUED] >= this.mostQueued) {
        this.places.wasFull(c, slab);
        return;
      }
      // SlabPlaces.queue() by hand
      records[r | COUNTERS] = counters | FROZEN;
      records[r | NEXT] = cpus[c | CPU_PARTIAL];
      cpus[c | CPU_PARTIAL] = slab;
      cpus[c | NR_QUEUED] = (cpus[c | NR_QUEUED] + 1) | 0;
      return;
    }
    words[w] = ((slab << 12) + prior - 1) | 0;
    words[w | 1] = ((slab >>> 20) + HI) | 0;
    if (counters >= 0 && (counters & INUSE) === 0) this.places.becameEmpty(slab);
  }

  /** `count` objects into `into`, all or none: returns how many (kmem_cache_alloc_bulk()). */
  allocBulk(count: number, into: Float64Array, gfp = GFP_KERNEL): number {
    for (let i = 0; i < count; i++) {
      into[i] = this.alloc(gfp);
      if (into[i] !== 0) continue;
      while (i > 0) this.free(into[--i] as PhysAddr);
      return 0;
    }
    return count;
  }

  /**
   * Gives all empty slabs' pages back and sorts the partial ones, fullest first.
   * @returns how many slabs went.
   */
  shrink(): number {
    const before = this.places.nrSlabs;
    for (let c = 0; c < this.cpus.length; c += CPU_WORDS) this.flush(c);
    this.places.shrink();
    return before - this.places.nrSlabs;
  }

  private allocSlow(c: number, gfp: number): PhysAddr {
    let object = 0 as PhysAddr;
    if (this.debug !== null) object = this.allocSingle(this.debug, gfp);
    else if (this.cpus[c + FREE_HI] !== 0 || this.refill(c, gfp)) {
      object = this.cpuFirst(c);
      this.setCpuFirst(c, this.slabs.next(object));
    }
    if (object !== 0 && (gfp & __GFP_ZERO) !== 0) {
      this.heap.fill(object, this.layout.objectSize, 0);
    }
    const { trace } = this.pageAlloc;
    if (trace.on) trace.emit(kmem_cache_alloc, this.id, object);
    return object;
  }

  /** Finds a CPU a slab with free objects and takes them all over (get_freelist()). */
  private refill(c: number, gfp: number): boolean {
    const { cpus, records } = this;
    let slab = cpus[c | CPU_SLAB];
    if (slab >= 0 && records[(slab << SHIFT) | FREELIST] === 0) {
      // nobody freed into it meanwhile: the slab is full
      records[(slab << SHIFT) | COUNTERS] &= ~FROZEN;
      slab = -1;
    }
    if (slab < 0) {
      slab = cpus[c | CPU_PARTIAL];
      if (slab >= 0) {
        cpus[c | CPU_PARTIAL] = records[(slab << SHIFT) | NEXT];
        cpus[c | NR_QUEUED] = (cpus[c | NR_QUEUED] - 1) | 0;
      } else slab = this.places.next(c, gfp) | 0;
    }
    cpus[c | CPU_SLAB] = slab;
    if (slab < 0) return false;
    const r = slab << SHIFT;
    const counters = records[r | COUNTERS];
    cpus[c | FREE_LO] = ((slab << 12) + records[r | FREELIST] - 1) | 0;
    cpus[c | FREE_HI] = ((slab >>> 20) + HI) | 0;
    cpus[c | CPU_MASK] = (records[r] & HEAD) === 0 ? -1 : this.maskOf(slab);
    records[r | FREELIST] = 0;
    records[r | COUNTERS] = (counters & ~INUSE) | ((counters >> OBJECTS_SHIFT) & OBJECTS);
    return true;
  }

  private maskOf(slab: number): number {
    return -(1 << this.pageAlloc.pages.compoundOrder(slab));
  }

  /** An object of a cache with debugging or hardening, or while events are traced. */
  private freeChecked(object: PhysAddr, pfn: number): void {
    const { trace } = this.pageAlloc;
    if (trace.on) trace.emit(kmem_cache_free, this.id, object);
    const c = this.pageAlloc.cpu * CPU_WORDS;
    if ((pfn & this.cpus[c + CPU_MASK]) === this.cpus[c + CPU_SLAB] && this.debug === null) {
      if (object === this.cpuFirst(c)) this.bad(object, 'double free');
      this.slabs.setNext(object, this.cpuFirst(c));
      this.setCpuFirst(c, object);
      return;
    }
    const slab = this.pageAlloc.pages.head(pfn);
    const r = slab * RECORD;
    if ((this.records[r] & SLAB) === 0 || this.records[r + OWNER] !== this.id) {
      this.bad(object, FOREIGN);
    }
    if (this.debug !== null && !this.debug.mayFree(object, slab)) return;
    const prior = this.slabs.firstFree(slab);
    if (prior === object) this.bad(object, 'double free');
    this.slabs.setNext(object, prior);
    this.slabs.setFirstFree(slab, object);
    const counters = this.records[r + COUNTERS] - 1;
    this.records[r + COUNTERS] = counters;
    if (counters < 0) return;
    if (prior === 0) this.places.wasFull(c, slab);
    else if ((counters & INUSE) === 0) this.places.becameEmpty(slab);
  }

  /** Takes a CPU's slab and queue away from it (flush_slab()). */
  private flush(c: number): void {
    const slab = this.cpus[c + CPU_SLAB];
    if (slab >= 0) {
      for (const object of this.cpuFree(c)) {
        this.slabs.setNext(object, this.slabs.firstFree(slab));
        this.slabs.setFirstFree(slab, object);
        this.records[slab * RECORD + COUNTERS]--;
      }
      this.cpus[c + FREE_LO] = this.cpus[c + FREE_HI] = 0;
      this.cpus[c + CPU_SLAB] = NO_PFN;
      this.cpus[c + CPU_MASK] = 0;
      this.places.unfreeze(slab);
    }
    this.places.unqueue(c);
  }

  /** With debugging each object is taken from its slab's list, and checked. */
  private allocSingle(debug: SlabDebug, gfp: number): PhysAddr {
    const { lists } = this.heap;
    const list = this.places.firstPartial + this.heap.alloc.currentNode;
    let slab = lists.head[list];
    if (slab < 0) {
      slab = this.places.make(gfp);
      if (slab < 0) return 0 as PhysAddr;
      lists.pushTail(this.places.partialListOf(slab), slab);
    }
    const object = this.slabs.firstFree(slab);
    this.slabs.setFirstFree(slab, this.slabs.next(object));
    this.records[slab * RECORD + COUNTERS]++;
    if (this.slabs.firstFree(slab) === 0) {
      lists.remove(this.places.partialListOf(slab), slab);
    }
    debug.onAlloc(object, slab);
    return object;
  }

  private cpuFirst(c: number): PhysAddr {
    const hi = this.cpus[c + FREE_HI];
    if (hi === 0) return 0 as PhysAddr;
    return ((hi - HI) * 0x1_0000_0000 + (this.cpus[c + FREE_LO] >>> 0)) as PhysAddr;
  }

  private setCpuFirst(c: number, object: PhysAddr): void {
    this.cpus[c + FREE_LO] = object | 0;
    this.cpus[c + FREE_HI] = object === 0 ? 0 : Math.floor(object / 0x1_0000_0000) + HI;
  }

  /** The free objects that a CPU (index into `cpus`) has at hand. */
  cpuFree(c: number): PhysAddr[] {
    const slab = this.cpus[c + CPU_SLAB];
    return slab < 0 ? [] : this.slabs.chain(this.cpuFirst(c), slab);
  }

  /** How many they are. */
  nrCpuFree(c: number): number {
    const slab = this.cpus[c + CPU_SLAB];
    return slab < 0 ? 0 : this.slabs.chainLength(this.cpuFirst(c), slab);
  }

  private bad(object: PhysAddr, what: string): never {
    throw new KernelBug(`kmem_cache_free(${this.name}, 0x${object.toString(16)}): ${what}`);
  }
}
