// Buddy allocator of one zone: runs of 2^order frames, aligned to their own size.
//
// Freeing a block merges it with its buddy, the block whose number differs from it in bit `order`
// alone, for as long as that buddy is free and whole:
//
//     order 2  |       0       |       4       |   buddy of 4 at order 2 is 4 ^ 4 = 0
//     order 1  |   0   |   2   |   4   |   6   |   buddy of 6 at order 1 is 6 ^ 2 = 4
//
// Each order has one list a migrate type. A pageblock (2^9 frames) has a type, and a free block is
// on the list of its pageblock's type. When a type has nothing left, takeFallback() (steal.ts)
// takes a block of another type, whole pageblocks first.
//
// A block of order 0..9 is free where its first frame's record has PG_buddy, the order in
// `private` and its links in words 5 and 6. Blocks of the largest order (4 MiB) are kept in a small
// table with one record a block instead: booting 1 TiB writes 2 MiB there and no mem_map at all.
//
// Invariants (check() verifies them; tests call it after every step):
//   1. A free block starts at a multiple of its size, and its first frame alone is marked.
//   2. A free block is on exactly one list, that of its order and its pageblock's migrate type.
//   3. No free block's buddy is a free block of the same order that it might merge with.
//   4. freePages is the number of frames in all free blocks; nrFree[order] counts blocks.
// Source: Linux 6.18 mm/page_alloc.c, __rmqueue_smallest(), expand(), __free_one_page().

import { KernelBug, assert } from './errors.ts';
import { PageLists } from './list.ts';
import {
  MIGRATE_CMA,
  MIGRATE_HIGHATOMIC,
  MIGRATE_ISOLATE,
  MIGRATE_MOVABLE,
  MIGRATE_TYPES,
  isMergeable,
} from './migrate_type.ts';
import { type MemMap, PAGE_PRIVATE, PAGE_RECORD, PG_buddy } from './page.ts';
import { MAX_ORDER, NO_PFN, type Pfn } from './types.ts';

/** Pageblocks are of the size of a huge page: 2 MiB. */
export const PAGEBLOCK_ORDER = 9;
export const PAGEBLOCK_PAGES = 1 << PAGEBLOCK_ORDER;
/** Frames of a block of the largest order. */
export const MAX_BLOCK_PAGES = 1 << MAX_ORDER;

/** Linked lists of one CPU: three types of orders 1..3, and two lists of huge pages. */
export const NR_PCP_LISTS = 11;
/** Words of a CPU's state in FreeTables.pcpState: one cache line. */
export const PCP_STATE = 16;
/** Words at the start of FreeTables.hot: four for each value of gfp's lowest five bits. */
export const FAST_WORDS = 128;

/** What the free lists of all zones share: tables about the whole of RAM. */
export class FreeTables {
  readonly pages: MemMap;
  /** Lists threaded through mem_map: buddy of orders 0..9, per-CPU lists, LRU. */
  readonly lists: PageLists;
  /** Lists of free blocks of the largest order; a member is pfn >> MAX_ORDER. */
  readonly blocks: PageLists;
  /** 1 where the block of the largest order is free as a whole. */
  readonly blockFree: Uint8Array;
  /** Of each pageblock: number of its zone plus 1 (0: none), shifted by 3, and its migrate type. */
  readonly blockInfo: Uint16Array;
  /**
   * What the allocator's fast paths look at, close together: FAST_WORDS of their own, free frames
   * of each zone, state of each CPU's lists. `freePages` and `pcpState` are views of it.
   */
  readonly hot: Int32Array;
  /** Free frames of each zone, by its number: those in buddy lists (NR_FREE_PAGES). */
  readonly freePages: Int32Array;
  /** State of each CPU's lists of each zone, PCP_STATE words each, see pcp.ts. */
  readonly pcpState: Int32Array;
  /** Single frames on per-CPU lists: a ring for each zone, CPU and type, see pcp.ts. */
  ring = new Int32Array(0);
  /** First of all per-CPU lists of larger blocks; NR_PCP_LISTS for each zone and CPU. */
  readonly firstPcpList: number;
  readonly nrCpus: number;

  constructor(pages: MemMap, nrZones: number, nrCpus: number) {
    const nrBlocks = Math.ceil(pages.nrFrames / MAX_BLOCK_PAGES);
    this.pages = pages;
    this.lists = PageLists.ofFrames(pages);
    this.blocks = new PageLists(new Int32Array(2 * nrBlocks), 2, 0);
    this.blockFree = new Uint8Array(nrBlocks);
    this.blockInfo = new Uint16Array(nrBlocks * 2);
    this.nrCpus = nrCpus;
    const pcpBase = FAST_WORDS + Math.ceil(nrZones / PCP_STATE) * PCP_STATE;
    this.hot = new Int32Array(pcpBase + nrZones * nrCpus * PCP_STATE);
    this.freePages = this.hot.subarray(FAST_WORDS, pcpBase);
    this.pcpState = this.hot.subarray(pcpBase);
    this.firstPcpList = this.lists.make(nrZones * nrCpus * NR_PCP_LISTS);
  }

  /** Migrate type of the pageblock that `pfn` is in. */
  typeOf(pfn: number): number {
    return this.blockInfo[pfn >> PAGEBLOCK_ORDER] & 7;
  }

  setType(pfn: number, type: number): void {
    const block = pfn >> PAGEBLOCK_ORDER;
    this.blockInfo[block] = (this.blockInfo[block] & ~7) | type;
  }

  /** Number of the zone that a frame is in; -1 for none. */
  zoneAt(pfn: number): number {
    return (this.blockInfo[pfn >> PAGEBLOCK_ORDER] >> 3) - 1;
  }

  /** Whether `pfn` starts a free block, and of which order; -1 where it does not. */
  freeOrder(pfn: number): number {
    const at = pfn * PAGE_RECORD;
    if ((this.pages.words[at] & PG_buddy) !== 0) return this.pages.words[at + PAGE_PRIVATE];
    if ((pfn & (MAX_BLOCK_PAGES - 1)) === 0 && this.blockFree[pfn >> MAX_ORDER] !== 0) {
      return MAX_ORDER;
    }
    return -1;
  }

  /** First frame of the free block that `pfn` lies in; NO_PFN where it is not free. */
  freeBlockOf(pfn: number): Pfn {
    for (let order = 0; order <= MAX_ORDER; order++) {
      const start = pfn - (pfn & ((1 << order) - 1));
      if (this.freeOrder(start) >= order) return start as Pfn;
    }
    return NO_PFN;
  }
}

export class Buddy {
  /** Free frames in CMA and in HighAtomic pageblocks. */
  freeCma = 0;
  freeHighAtomic = 0;
  /** Free blocks of each order. */
  readonly nrFree = new Int32Array(MAX_ORDER + 1);
  readonly tables: FreeTables;
  /** First of the lists of orders 0..9, by order and type; of the largest order, by type. */
  readonly firstList: number;
  readonly firstBlockList: number;
  /** The zone's number, the index into FreeTables.freePages. */
  readonly zone: number;
  private readonly pages: MemMap;
  private readonly lists: PageLists;
  private readonly blocks: PageLists;
  private readonly free: Int32Array;

  constructor(tables: FreeTables, zone: number) {
    this.tables = tables;
    this.zone = zone;
    this.free = tables.freePages;
    this.pages = tables.pages;
    this.lists = tables.lists;
    this.blocks = tables.blocks;
    this.firstList = this.lists.make(MAX_ORDER * MIGRATE_TYPES);
    this.firstBlockList = this.blocks.make(MIGRATE_TYPES);
  }

  /** Frames in free blocks (NR_FREE_PAGES), isolated ones not counted. */
  get freePages(): number {
    return this.free[this.zone];
  }

  /** Free blocks of one order and type. */
  countOf(order: number, type: number): number {
    return order === MAX_ORDER
      ? this.blocks.length[this.firstBlockList + type]
      : this.lists.length[this.firstList + order * MIGRATE_TYPES + type];
  }

  /** First block on the list of one order and type; NO_PFN where the list is empty. */
  first(order: number, type: number): Pfn {
    if (order === MAX_ORDER) {
      const block = this.blocks.head[this.firstBlockList + type];
      return block < 0 ? NO_PFN : ((block * MAX_BLOCK_PAGES) as Pfn);
    }
    const pfn = this.lists.head[this.firstList + order * MIGRATE_TYPES + type];
    return pfn < 0 ? NO_PFN : (pfn as Pfn);
  }

  /** Calls `visit` for each block on the list of one order and type, until it returns false. */
  forEach(order: number, type: number, visit: (pfn: Pfn) => boolean): void {
    const max = order === MAX_ORDER;
    const lists = max ? this.blocks : this.lists;
    let id = max
      ? lists.head[this.firstBlockList + type]
      : lists.head[this.firstList + order * MIGRATE_TYPES + type];
    while (id >= 0) {
      const next = lists.next(id);
      if (!visit((max ? id * MAX_BLOCK_PAGES : id) as Pfn)) return;
      id = next;
    }
  }

  /**
   * Takes a block of `type` from the smallest order that has one, splitting it down to `order`.
   * @returns the first frame; NO_PFN when no block of this type is large enough.
   */
  take(order: number, type: number): Pfn {
    const head = this.lists.head;
    let list = this.firstList + order * MIGRATE_TYPES + type;
    for (let from = order; from < MAX_ORDER; from++, list += MIGRATE_TYPES) {
      const pfn = head[list];
      if (pfn < 0) continue;
      this.unlink(pfn, from, type);
      this.expand(pfn, order, from, type);
      return pfn as Pfn;
    }
    const pfn = this.first(MAX_ORDER, type);
    if (pfn < 0) return NO_PFN;
    this.unlink(pfn, MAX_ORDER, type);
    this.expand(pfn, order, MAX_ORDER, type);
    return pfn;
  }

  /** Gives the upper halves of a block of order `from` back until it is of order `to`. */
  expand(pfn: number, to: number, from: number, type: number): void {
    while (from > to) {
      from--;
      this.link(pfn + (1 << from), from, type, false);
    }
  }

  /**
   * Gives back a block. O(MAX_ORDER).
   * @param toTail puts it at the end of its list: it is the last to be taken again.
   */
  release(pfn: number, order: number, toTail = false): void {
    const tables = this.tables;
    const words = this.pages.words;
    assert((pfn & ((1 << order) - 1)) === 0, 'release: block is aligned to its size');
    if ((words[pfn * PAGE_RECORD] & PG_buddy) !== 0 || tables.blockFree[pfn >> MAX_ORDER] !== 0) {
      throw new KernelBug(`release: frame ${pfn} is free already`);
    }
    const type = tables.typeOf(pfn);
    while (order < MAX_ORDER) {
      const buddy = pfn ^ (1 << order);
      const at = buddy * PAGE_RECORD;
      if ((words[at] & PG_buddy) === 0 || words[at + PAGE_PRIVATE] !== order) break;
      if (order >= PAGEBLOCK_ORDER) {
        const other = tables.typeOf(buddy);
        if (other !== type && !(isMergeable(type) && isMergeable(other))) break;
        this.unlink(buddy, order, other);
        tables.setType(buddy, type);
      } else this.unlink(buddy, order, type);
      pfn &= buddy; // the merged block starts at the lower of the two
      order++;
    }
    this.link(pfn, order, type, toTail || this.mergeLikely(pfn, order));
  }

  /** Adds a free block to its list, as it is: no merging. */
  link(pfn: number, order: number, type: number, toTail: boolean): void {
    this.free[this.zone] += 1 << order;
    if (type >= MIGRATE_HIGHATOMIC) this.countSpecial(type, 1 << order);
    this.nrFree[order]++;
    if (order === MAX_ORDER) {
      const block = pfn >> MAX_ORDER;
      this.tables.blockFree[block] = 1;
      if (toTail) this.blocks.pushTail(this.firstBlockList + type, block);
      else this.blocks.pushHead(this.firstBlockList + type, block);
      return;
    }
    const at = pfn * PAGE_RECORD;
    this.pages.words[at] = PG_buddy;
    this.pages.words[at + PAGE_PRIVATE] = order;
    const list = this.firstList + order * MIGRATE_TYPES + type;
    if (toTail) this.lists.pushTail(list, pfn);
    else this.lists.pushHead(list, pfn);
  }

  /** Adds a run of free blocks of the largest order, Movable all of them, at the list's end. */
  linkRun(pfn: number, count: number): void {
    const first = pfn >> MAX_ORDER;
    this.tables.blockFree.fill(1, first, first + count);
    this.blocks.appendRun(this.firstBlockList + MIGRATE_MOVABLE, first, count);
    this.free[this.zone] += count << MAX_ORDER;
    this.nrFree[MAX_ORDER] += count;
  }

  /** Takes a free block off its list: its frames belong to the caller. */
  unlink(pfn: number, order: number, type: number): void {
    this.free[this.zone] -= 1 << order;
    if (type >= MIGRATE_HIGHATOMIC) this.countSpecial(type, -(1 << order));
    this.nrFree[order]--;
    if (order === MAX_ORDER) {
      const block = pfn >> MAX_ORDER;
      this.tables.blockFree[block] = 0;
      this.blocks.remove(this.firstBlockList + type, block);
      return;
    }
    const at = pfn * PAGE_RECORD;
    this.pages.words[at] = 0;
    this.pages.words[at + PAGE_PRIVATE] = 0;
    this.lists.remove(this.firstList + order * MIGRATE_TYPES + type, pfn);
  }

  /** Throws KernelBug where an invariant does not hold. O(free blocks). */
  check(): void {
    let frames = 0;
    for (let order = 0; order <= MAX_ORDER; order++) {
      let blocks = 0;
      for (let type = 0; type < MIGRATE_TYPES; type++) {
        const max = order === MAX_ORDER;
        const list = max
          ? this.firstBlockList + type
          : this.firstList + order * MIGRATE_TYPES + type;
        (max ? this.blocks : this.lists).check(list, (id) => {
          this.checkBlock(max ? id * MAX_BLOCK_PAGES : id, order, type);
          blocks++;
        });
      }
      assert(blocks === this.nrFree[order], `nrFree[${order}] is ${this.nrFree[order]}: ${blocks}`);
      frames += blocks * (1 << order);
    }
    // an isolated block is on a list but nobody's to allocate: Linux does not count it either
    for (let order = 0; order <= MAX_ORDER; order++) {
      frames -= this.countOf(order, MIGRATE_ISOLATE) * (1 << order);
    }
    assert(frames === this.freePages, `freePages is ${this.freePages}, in blocks ${frames}`);
  }

  private checkBlock(pfn: number, order: number, type: number): void {
    const { tables } = this;
    const what = `free block ${pfn} of order ${order}`;
    assert((pfn & ((1 << order) - 1)) === 0, `${what} is aligned`);
    assert(tables.freeOrder(pfn) === order, `${what} is marked as order ${tables.freeOrder(pfn)}`);
    for (let p = pfn; p < pfn + (1 << order); p += PAGEBLOCK_PAGES) {
      assert(tables.typeOf(p) === type, `${what}, type ${type}, is in a block of another type`);
    }
    for (let p = pfn + 1; p < pfn + (1 << order) && order < MAX_ORDER; p++) {
      assert((tables.pages.words[p * PAGE_RECORD] & PG_buddy) === 0, `${what}: ${p} marked too`);
    }
    if (order === MAX_ORDER) return;
    const buddy = pfn ^ (1 << order);
    if (tables.freeOrder(buddy) !== order) return;
    const other = tables.typeOf(buddy);
    const mergeable = other === type || (isMergeable(type) && isMergeable(other));
    assert(!mergeable, `${what} and its buddy are both free`);
  }

  /** The buddy of the next larger block is free: waiting a little may merge both with this one. */
  private mergeLikely(pfn: number, order: number): boolean {
    if (order >= MAX_ORDER - 1) return false;
    const size = 1 << order;
    const at = ((pfn - (pfn & size)) ^ (size << 1)) * PAGE_RECORD;
    const words = this.pages.words;
    return (words[at] & PG_buddy) !== 0 && words[at + PAGE_PRIVATE] === order + 1;
  }

  private countSpecial(type: number, frames: number): void {
    if (type === MIGRATE_CMA) this.freeCma += frames;
    else if (type === MIGRATE_HIGHATOMIC) this.freeHighAtomic += frames;
    else if (type === MIGRATE_ISOLATE) this.free[this.zone] -= frames; // nobody's to allocate
  }
}
