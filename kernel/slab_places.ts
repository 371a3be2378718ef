// Where the slabs of a cache wait: a CPU's queue of partial slabs, a node's list. Full ones wait
// nowhere: the next object that is freed tells of them. `all` knows every slab, for those who look.
//
// slab.ts tells the states; here are the moves between them, and the making and dropping of slabs.
// Source: Linux 6.1 mm/slub.c get_partial_node(), put_cpu_partial(), unfreeze_partials(),
// set_cpu_partial(), discard_slab().

import type { PageLists } from './list.ts';
import { PAGE_INDEX, PAGE_NEXT, PAGE_RECORD } from './page.ts';
import type { PageAllocator } from './page_alloc.ts';
import { SLAB_FROZEN, SLAB_INUSE, type SlabPages } from './slab_pages.ts';
import { NO_PFN, PAGE_SIZE, type PhysAddr } from './types.ts';

// Words of a CPU's state: its slab, its queue of partial slabs, and their number; see slab.ts.
export const SLAB_OF_CPU = 2;
export const PARTIAL_OF_CPU = 4;
export const NR_PARTIAL_OF_CPU = 5;
export const WORDS_OF_CPU = 8;

// Copies for the fast paths, see page_alloc.ts.
const RECORD = PAGE_RECORD;
const SHIFT = 31 - Math.clz32(PAGE_RECORD);
const COUNTERS = PAGE_INDEX;
const NEXT = PAGE_NEXT;
const FROZEN = SLAB_FROZEN;
const INUSE = SLAB_INUSE;
const QUEUE = PARTIAL_OF_CPU;
const NR_QUEUED = NR_PARTIAL_OF_CPU;
const OBJECTS_SHIFT = 16;
const OBJECTS = 0x7fff;

export class SlabPlaces {
  nrSlabs = 0;
  nrObjects = 0;
  /** First frames of all slabs. */
  readonly all = new Set<number>();
  /** Lists of partial slabs, one a node. */
  readonly firstPartial: number;
  /** Partial slabs that a node keeps even when they are empty. */
  readonly minPartial: number;
  /** Partial slabs that a CPU may queue; 0 for none. */
  readonly cpuPartialSlabs: number;
  private readonly alloc: PageAllocator;
  private readonly nrNodes: number;
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
    this.nrNodes = nrNodes;
    this.lists = alloc.tables.lists;
    this.records = alloc.pages.words;
    this.slabs = slabs;
    this.cpus = cpus;
    this.account = account;
    this.init = init;
    this.firstPartial = this.lists.make(nrNodes);
    const { size, objects } = slabs.layout;
    this.minPartial = Math.max(5, Math.min(10, (31 - Math.clz32(size)) >> 1));
    this.cpuPartialSlabs = queues ? Math.ceil((cpuPartialObjects(size) * 2) / objects) : 0;
  }

  /** A frozen slab with free objects where a CPU has none: its node's, a new one, another node's. */
  next(c: number, gfp: number): number {
    const { lists } = this;
    const list = this.firstPartial + this.alloc.currentNode;
    const slab = lists.head[list];
    if (slab >= 0) {
      lists.remove(list, slab);
      this.records[slab * RECORD + COUNTERS] |= FROZEN;
      // some more for later, while we are at it
      for (let n = 0; n < this.cpuPartialSlabs >> 1 && lists.head[list] >= 0; n++) {
        const more = lists.head[list];
        lists.remove(list, more);
        this.queue(c, more);
      }
      return slab;
    }
    const made = this.make(gfp);
    if (made >= 0) this.records[made * RECORD + COUNTERS] |= FROZEN;
    return made;
  }

  /** Puts a slab into a CPU's queue of partial slabs. */
  private queue(c: number, slab: number): void {
    const { cpus, records } = this;
    const at = slab << SHIFT;
    records[at | COUNTERS] |= FROZEN;
    records[at | NEXT] = cpus[c | QUEUE];
    cpus[c | QUEUE] = slab;
    cpus[c | NR_QUEUED] = (cpus[c | NR_QUEUED] + 1) | 0;
  }

  make(gfp: number): number {
    const slab = this.slabs.make(gfp);
    if (slab < 0) return NO_PFN;
    const objects = this.slabs.objectsOf(slab);
    this.nrSlabs++;
    this.all.add(slab);
    this.nrObjects += objects;
    this.account(slab, 1);
    for (let i = 0; i < objects; i++) this.init(this.slabs.objectAt(slab, i));
    return slab;
  }

  discard(slab: number): void {
    this.nrSlabs--;
    this.all.delete(slab);
    this.nrObjects -= this.slabs.objectsOf(slab);
    this.account(slab, -1);
    this.slabs.drop(slab);
  }

  /** The first free object of a full slab. */
  wasFull(c: number, slab: number): void {
    if (this.cpuPartialSlabs === 0) {
      this.lists.pushTail(this.partialListOf(slab), slab);
      if (this.slabs.inUseOf(slab) === 0) this.becameEmpty(slab);
      return;
    }
    if (this.cpus[c + NR_QUEUED] >= this.cpuPartialSlabs) this.unqueue(c);
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
    let slab = this.cpus[c + QUEUE];
    while (slab >= 0) {
      const next = this.records[slab * RECORD + NEXT];
      this.unfreeze(slab);
      slab = next;
    }
    this.cpus[c + QUEUE] = NO_PFN;
    this.cpus[c + NR_QUEUED] = 0;
  }

  unfreeze(slab: number): void {
    const at = slab * RECORD + COUNTERS;
    const counters = this.records[at] & ~FROZEN;
    this.records[at] = counters;
    const inUse = counters & INUSE;
    if (inUse === ((counters >> OBJECTS_SHIFT) & OBJECTS)) return; // full
    const list = this.partialListOf(slab);
    if (inUse === 0 && this.lists.length[list] >= this.minPartial) this.discard(slab);
    else this.lists.pushTail(list, slab);
  }

  /** First frames of a node's partial slabs, in the order of the list. */
  partialSlabs(node: number): number[] {
    const found: number[] = [];
    let slab = this.lists.head[this.firstPartial + node];
    while (slab >= 0) {
      found.push(slab);
      slab = this.lists.next(slab);
    }
    return found;
  }

  /** Drops all empty slabs of the nodes' lists and sorts the others, fullest first. */
  shrink(): void {
    for (let node = 0; node < this.nrNodes; node++) {
      const partial = this.partialSlabs(node);
      for (const slab of partial) this.lists.remove(this.firstPartial + node, slab);
      partial.sort((a, b) => this.slabs.inUseOf(b) - this.slabs.inUseOf(a) || a - b);
      for (const slab of partial) {
        if (this.slabs.inUseOf(slab) === 0) this.discard(slab);
        else this.lists.pushTail(this.firstPartial + node, slab);
      }
    }
  }

  partialListOf(slab: number): number {
    if (this.nrNodes === 1) return this.firstPartial;
    return this.firstPartial + this.alloc.zoneOf(slab).node;
  }
}

/** Objects that one CPU's partial slabs may hold. */
function cpuPartialObjects(size: number): number {
  if (size >= PAGE_SIZE) return 6;
  if (size >= 1024) return 24;
  return size >= 256 ? 52 : 120;
}
