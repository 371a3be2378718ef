// Where the slabs of a cache wait: a CPU's queue of partial slabs, a node's list, the full ones.
//
// slab.ts tells the states; here are the moves between them, and the making and dropping of slabs.
// Source: Linux 6.1 mm/slub.c get_partial_node(), put_cpu_partial(), unfreeze_partials(),
// set_cpu_partial(), discard_slab().

import type { PageLists } from './list.ts';
import { PAGE_INDEX, PAGE_NEXT, PAGE_RECORD } from './page.ts';
import type { PageAllocator } from './page_alloc.ts';
import { NR_PARTIAL_OF_CPU, PARTIAL_OF_CPU } from './slab_inspect.ts';
import { SLAB_FROZEN, type SlabPages } from './slab_pages.ts';
import { NO_PFN, PAGE_SIZE, type PhysAddr } from './types.ts';

export class SlabPlaces {
  nrSlabs = 0;
  nrObjects = 0;
  /** Lists of partial slabs, one a node; the one after them is of full slabs. */
  readonly firstPartial: number;
  readonly full: number;
  /** Partial slabs that a node keeps even when they are empty. */
  readonly minPartial: number;
  /** Partial slabs that a CPU may queue; 0 for none. */
  readonly cpuPartialSlabs: number;
  private readonly alloc: PageAllocator;
  private readonly lists: PageLists;
  private readonly slabs: SlabPages;
  private readonly cpus: Int32Array;
  private readonly records: Int32Array;
  private readonly account: (slab: number, sign: number) => void;
  private readonly init: (object: PhysAddr) => void;

  /**
   * @param cpus the CPUs' state, see slab.ts.
   * @param account counts a slab's pages in (1) or out (-1).
   * @param init called for each object of a new slab.
   */
  constructor(
    alloc: PageAllocator,
    nrNodes: number,
    slabs: SlabPages,
    cpus: Int32Array,
    queues: boolean,
    account: (slab: number, sign: number) => void,
    init: (object: PhysAddr) => void,
  ) {
    this.alloc = alloc;
    this.lists = alloc.tables.lists;
    this.records = alloc.pages.words;
    this.slabs = slabs;
    this.cpus = cpus;
    this.account = account;
    this.init = init;
    this.firstPartial = this.lists.make(nrNodes + 1);
    this.full = this.firstPartial + nrNodes;
    const { size, objects } = slabs.layout;
    this.minPartial = Math.max(5, Math.min(10, (31 - Math.clz32(size)) >> 1));
    this.cpuPartialSlabs = queues ? Math.ceil((cpuPartialObjects(size) * 2) / objects) : 0;
  }

  /** A frozen slab with free objects: this CPU's, its node's, a new one, another node's. */
  next(c: number, gfp: number): number {
    const { lists } = this;
    const queued = this.cpus[c + PARTIAL_OF_CPU];
    if (queued >= 0) {
      this.cpus[c + PARTIAL_OF_CPU] = this.records[queued * PAGE_RECORD + PAGE_NEXT];
      this.cpus[c + NR_PARTIAL_OF_CPU]--;
      return queued;
    }
    const list = this.firstPartial + this.alloc.currentNode;
    const slab = lists.head[list];
    if (slab >= 0) {
      lists.remove(list, slab);
      this.records[slab * PAGE_RECORD + PAGE_INDEX] |= SLAB_FROZEN;
      // some more for later, while we are at it
      for (let n = 0; n < this.cpuPartialSlabs >> 1 && lists.head[list] >= 0; n++) {
        const more = lists.head[list];
        lists.remove(list, more);
        this.queue(c, more);
      }
      return slab;
    }
    const made = this.make(gfp);
    if (made >= 0) this.records[made * PAGE_RECORD + PAGE_INDEX] |= SLAB_FROZEN;
    return made;
  }

  /** Puts a slab into a CPU's queue of partial slabs. */
  private queue(c: number, slab: number): void {
    const at = slab * PAGE_RECORD;
    this.records[at + PAGE_INDEX] |= SLAB_FROZEN;
    this.records[at + PAGE_NEXT] = this.cpus[c + PARTIAL_OF_CPU];
    this.cpus[c + PARTIAL_OF_CPU] = slab;
    this.cpus[c + NR_PARTIAL_OF_CPU]++;
  }

  make(gfp: number): number {
    const slab = this.slabs.make(gfp);
    if (slab < 0) return NO_PFN;
    const objects = this.slabs.objectsOf(slab);
    this.nrSlabs++;
    this.nrObjects += objects;
    this.account(slab, 1);
    for (let i = 0; i < objects; i++) this.init(this.slabs.objectAt(slab, i));
    return slab;
  }

  discard(slab: number): void {
    this.nrSlabs--;
    this.nrObjects -= this.slabs.objectsOf(slab);
    this.account(slab, -1);
    this.slabs.drop(slab);
  }

  /** The first free object of a full slab. */
  wasFull(c: number, slab: number): void {
    this.lists.remove(this.full, slab);
    if (this.cpuPartialSlabs === 0) {
      this.lists.pushTail(this.partialListOf(slab), slab);
      if (this.slabs.inUseOf(slab) === 0) this.becameEmpty(slab);
      return;
    }
    if (this.cpus[c + NR_PARTIAL_OF_CPU] >= this.cpuPartialSlabs) this.unqueue(c);
    this.queue(c, slab);
  }

  /** The last object of a partial slab was freed: keep a few empty slabs, no more. */
  becameEmpty(slab: number): void {
    const list = this.partialListOf(slab);
    if (this.lists.length[list] < this.minPartial) return;
    this.lists.remove(list, slab);
    this.discard(slab);
  }

  /** Moves a CPU's queue of partial slabs to the nodes' lists (unfreeze_partials()). */
  unqueue(c: number): void {
    let slab = this.cpus[c + PARTIAL_OF_CPU];
    while (slab >= 0) {
      const next = this.records[slab * PAGE_RECORD + PAGE_NEXT];
      this.unfreeze(slab);
      slab = next;
    }
    this.cpus[c + PARTIAL_OF_CPU] = NO_PFN;
    this.cpus[c + NR_PARTIAL_OF_CPU] = 0;
  }

  unfreeze(slab: number): void {
    this.records[slab * PAGE_RECORD + PAGE_INDEX] &= ~SLAB_FROZEN;
    const list = this.partialListOf(slab);
    const inUse = this.slabs.inUseOf(slab);
    if (inUse === 0 && this.lists.length[list] >= this.minPartial) this.discard(slab);
    else if (inUse === this.slabs.objectsOf(slab)) this.lists.pushHead(this.full, slab);
    else this.lists.pushTail(list, slab);
  }

  partialListOf(slab: number): number {
    return this.firstPartial + this.alloc.zoneOf(slab).node;
  }
}

/** Objects that one CPU's partial slabs may hold. */
function cpuPartialObjects(size: number): number {
  if (size >= PAGE_SIZE) return 6;
  if (size >= 1024) return 24;
  return size >= 256 ? 52 : 120;
}
