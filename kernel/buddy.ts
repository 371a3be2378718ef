// Buddy allocator of one zone: runs of 2^order frames, aligned to their own size.
//
// Freeing a block merges it with its buddy, the block whose number differs from it in bit `order`
// alone, for as long as that buddy is free and whole:
//
//     order 2  |       0       |       4       |   buddy of 4 at order 2 is 4 ^ 4 = 0
//     order 1  |   0   |   2   |   4   |   6   |   buddy of 6 at order 1 is 6 ^ 2 = 4
//
// Each order has one list a migrate type. A pageblock (2^9 frames) has a type, and a free block is
// on the list of its pageblock's type. When a type has nothing left, takeBlock() (steal.ts)
// takes a block of another type, whole pageblocks first.
//
// A block of order 0..9 is free where its first frame's flags are PG_buddy | order; its links are
// words 6 and 7. Blocks of the largest order (4 MiB) are kept in a small table with one record a
// block instead: booting 1 TiB writes 2 MiB there and no mem_map at all.
//
// Invariants (check() verifies them; tests call it after every step):
//   1. A free block starts at a multiple of its size, and its first frame alone is marked.
//   2. A free block is on exactly one list, that of its order and its pageblock's migrate type.
//   3. No free block's buddy is a free block of the same order that it might merge with.
//   4. freePages is the number of frames in all free blocks.
// Source: Linux 6.18 mm/page_alloc.c, __rmqueue_smallest(), expand(), __free_one_page().

import { KernelBug, assert } from './errors.ts';
import {
  ZONE_FREE_LISTS,
  type FreeTables,
  MAX_BLOCK_PAGES,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
} from './free_tables.ts';
import type { FreeLists } from './free_list.ts';
import {
  MIGRATE_CMA,
  MIGRATE_HIGHATOMIC,
  MIGRATE_ISOLATE,
  MIGRATE_MOVABLE,
  MIGRATE_TYPES,
  isMergeable,
} from './migrate_type.ts';
import { PAGE_NEXT, PAGE_PREV, PAGE_RECORD, PG_buddy } from './page.ts';
import { MAX_ORDER, NO_PFN, type Pfn } from './types.ts';

// Copies for the hot paths, see page_alloc.ts; a record has 2^SHIFT words. Anchors may lie behind
// word 2^31, so indices that may be an anchor's are unsigned.
const SHIFT = 31 - Math.clz32(PAGE_RECORD);
const NEXT = PAGE_NEXT;
const PREV = PAGE_PREV;
const FREE = PG_buddy;
const TYPES = MIGRATE_TYPES;
const TOP = MAX_ORDER;
const BLOCK = PAGEBLOCK_ORDER;
const SPECIAL = MIGRATE_HIGHATOMIC;
/** More frames than there can be. */
const NEVER = 2 ** 30 - 1;

export class Buddy {
  /** Frames in free blocks (NR_FREE_PAGES), isolated ones not counted. */
  freePages = 0;
  /** Whether the allocator's fast path may be taken: while more than `fastLimit` frames are free. */
  fastOpen = false;
  private fastLimit = NEVER;
  /** That changes when frames are taken down to the one, or given back to above the other. */
  private closeAt = -1;
  private openAbove = NEVER;
  /** Free frames in CMA and in HighAtomic pageblocks. */
  freeCma = 0;
  freeHighAtomic = 0;
  readonly tables: FreeTables;
  /** Anchor of the first of the lists of orders 0..9, of the largest order; then by type. */
  private readonly firstList: number;
  private readonly firstBlockList: number;
  /** The zone's number. */
  readonly zone: number;
  private readonly words: Int32Array;
  private readonly lists: FreeLists;
  private readonly blocks: FreeLists;
  private readonly blockFree: Uint8Array;
  /** Zone and type of each pageblock, and more (FreeTables.hot). */
  private readonly hot: Int32Array;
  private readonly blocksAt: number;

  constructor(tables: FreeTables, zone: number) {
    this.tables = tables;
    this.zone = zone;
    this.words = tables.pages.words;
    this.lists = tables.free;
    this.blocks = tables.blocks;
    this.blockFree = tables.blockFree;
    this.hot = tables.hot;
    this.blocksAt = tables.blocksAt;
    this.firstList = this.lists.firstAnchor + zone * ZONE_FREE_LISTS;
    this.firstBlockList = this.blocks.firstAnchor + zone * TYPES;
  }

  /** Sets how many frames must be free, and one more, for the allocator's fast path to be taken. */
  setFastLimit(limit: number): void {
    this.fastLimit = limit;
    this.fastOpen = this.freePages > limit;
    this.closeAt = this.fastOpen ? limit : -1;
    this.openAbove = this.fastOpen ? NEVER : limit;
  }

  /** Free blocks of one order and type. O(blocks). */
  countOf(order: number, type: number): number {
    if (order === TOP) return this.blocks.length(this.firstBlockList + type);
    return this.lists.length(this.firstList + order * TYPES + type);
  }

  /** Free blocks of one order, of all types. O(blocks). */
  nrFree(order: number): number {
    let n = 0;
    for (let type = 0; type < TYPES; type++) n += this.countOf(order, type);
    return n;
  }

  /** Whether there is none of one order and type. */
  isEmpty(order: number, type: number): boolean {
    return this.first(order, type) < 0;
  }

  /** First block on the list of one order and type; NO_PFN where the list is empty. */
  first(order: number, type: number): Pfn {
    if (order < TOP) return this.lists.next(this.firstList + order * TYPES + type) as Pfn;
    const block = this.blocks.next(this.firstBlockList + type);
    return (block < 0 ? -1 : block << TOP) as Pfn;
  }

  /** Calls `visit` for each block on the list of one order and type, until it returns false. */
  forEach(order: number, type: number, visit: (pfn: Pfn) => boolean): void {
    const lists = order === TOP ? this.blocks : this.lists;
    const shift = order === TOP ? TOP : 0;
    const { firstBlockList, firstList } = this;
    let id = lists.next(order === TOP ? firstBlockList + type : firstList + order * TYPES + type);
    while (id >= 0) {
      const next = lists.next(id);
      if (!visit((id << shift) as Pfn)) return;
      id = next;
    }
  }

  /**
   * Takes a block of `type` from the smallest order that has one, splitting it down to `order`.
   * @returns the first frame; NO_PFN when no block of this type is large enough.
   */
  take(order: number, type: number): Pfn {
    const { words } = this;
    const shift = SHIFT;
    const links = NEXT; // PREV is the next word
    let list = (this.firstList + order * TYPES + type) | 0;
    let from = order;
    let pfn = list;
    while (from < TOP) {
      pfn = words[((list << shift) | links) >>> 0];
      if (pfn !== list) break;
      list = (list + TYPES) | 0;
      from++;
    }
    pfn = from < TOP ? this.takeFirst(pfn, list) : this.takeTop(type);
    if (pfn < 0) return NO_PFN;
    const left = this.freePages - (1 << order);
    if (type < SPECIAL && left > this.closeAt) this.freePages = left;
    else this.count(-(1 << order), type);
    // splits it; the lists of all lower orders are empty, as was just seen
    while (from > order) {
      from--;
      list = (list - TYPES) | 0;
      const half = pfn + (1 << from);
      const at = (half << shift) | links;
      const anchor = (list << shift) | links;
      words[at ^ links] = FREE | from;
      words[at] = list;
      words[at | 1] = list;
      words[anchor >>> 0] = half;
      words[(anchor | 1) >>> 0] = half;
    }
    return pfn as Pfn;
  }

  /** Takes the first block of a list of orders 0..9 off it: FreeLists.remove() by hand. */
  private takeFirst(pfn: number, list: number): number {
    const { words } = this;
    const at = pfn << SHIFT;
    const next = words[at | NEXT];
    words[((list << SHIFT) | NEXT) >>> 0] = next;
    words[((next << SHIFT) | PREV) >>> 0] = list;
    words[at] = 0;
    return pfn;
  }

  /** Takes the first block of the largest order off its list; NO_PFN where there is none. */
  private takeTop(type: number): number {
    const block = this.blocks.next(this.firstBlockList + type);
    if (block < 0) return -1;
    this.blockFree[block] = 0;
    this.blocks.remove(block);
    return block << TOP;
  }

  /** Gives the upper halves of a block of order `from` back until it is of order `to`. */
  expand(pfn: number, to: number, from: number, type: number): void {
    this.count((1 << from) - (1 << to), type);
    this.split(pfn, to, from, this.firstList + from * TYPES + type);
  }

  /**
   * Gives back a block. O(MAX_ORDER).
   * @param toTail puts it at the end of its list: it is the last to be taken again.
   */
  release(pfn: number, order: number, toTail = false): void {
    const { words } = this;
    const free = (words[pfn << SHIFT] & FREE) | this.blockFree[pfn >> TOP];
    if ((free | (pfn & ((1 << order) - 1))) !== 0) badRelease(pfn, order);
    const type = this.hot[(this.blocksAt + (pfn >>> BLOCK)) | 0] & 7;
    const now = this.freePages + (1 << order);
    if (type < SPECIAL && now <= this.openAbove) this.freePages = now;
    else this.count(1 << order, type);
    const shift = SHIFT;
    const links = NEXT; // PREV is the next word
    let start = pfn | 0;
    let o = order;
    while (o < BLOCK) {
      const buddy = start ^ (1 << o);
      const at = (buddy << shift) | links;
      if (words[at ^ links] !== (FREE | o)) break;
      // FreeLists.remove() by hand
      const next = words[at];
      const prev = words[at | 1];
      words[((prev << shift) | links) >>> 0] = next;
      words[((next << shift) | links | 1) >>> 0] = prev;
      words[at ^ links] = 0;
      start &= buddy; // the merged block starts at the lower of the two
      o++;
    }
    this.enlistMerged(start, o, type, toTail);
  }

  /** Lists a block that no smaller one is left to merge with. */
  private enlistMerged(pfn: number, order: number, type: number, toTail: boolean): void {
    if (order >= BLOCK) this.enlistLarge(pfn, order, type, toTail);
    else this.enlist(pfn, order, type, toTail || this.mergeLikely(pfn, order));
  }

  /** Lists a pageblock or larger; merges two pageblocks where their types allow it. */
  private enlistLarge(pfn: number, order: number, type: number, toTail: boolean): void {
    const { tables, words } = this;
    const buddy = pfn ^ (1 << BLOCK);
    let start = pfn;
    let top = order === TOP;
    if (!top && words[buddy << SHIFT] === (FREE | BLOCK)) {
      const other = tables.typeOf(buddy);
      if (other === type || (isMergeable(type) && isMergeable(other))) {
        this.lists.remove(buddy);
        words[buddy << SHIFT] = 0;
        if (other !== type) tables.setType(buddy, type);
        start = pfn & buddy;
        top = true;
      }
    }
    this.enlist(start, top ? TOP : order, type, toTail);
  }

  /** Adds a free block to its list, as it is: no merging. */
  link(pfn: number, order: number, type: number, toTail: boolean): void {
    this.count(1 << order, type);
    this.enlist(pfn, order, type, toTail);
  }

  /** Adds a run of free blocks of the largest order, Movable all of them, at the list's end. */
  linkRun(pfn: number, count: number): void {
    const first = pfn >> TOP;
    this.blockFree.fill(1, first, first + count);
    this.blocks.addRun(this.firstBlockList + MIGRATE_MOVABLE, first, count);
    this.count(count << TOP, MIGRATE_MOVABLE);
  }

  /** Takes a free block off its list: its frames belong to the caller. */
  unlink(pfn: number, order: number, type: number): void {
    this.count(-(1 << order), type);
    if (order === TOP) {
      const block = pfn >> TOP;
      this.blockFree[block] = 0;
      this.blocks.remove(block);
      return;
    }
    this.words[pfn << SHIFT] = 0;
    this.lists.remove(pfn);
  }

  /** Throws KernelBug where an invariant does not hold. O(free blocks). */
  check(): void {
    let frames = 0;
    for (let order = 0; order <= MAX_ORDER; order++) {
      for (let type = 0; type < MIGRATE_TYPES; type++) {
        const visit = (pfn: number): void => {
          this.checkBlock(pfn, order, type);
          frames += 1 << order;
        };
        if (order < TOP) this.lists.check(this.firstList + order * TYPES + type, visit);
        else this.blocks.check(this.firstBlockList + type, (b) => visit(b * MAX_BLOCK_PAGES));
      }
    }
    // an isolated block is on a list but nobody's to allocate: Linux does not count it either
    for (let order = 0; order <= MAX_ORDER; order++) {
      frames -= this.countOf(order, MIGRATE_ISOLATE) * (1 << order);
    }
    assert(frames === this.freePages, `freePages is ${this.freePages}, in blocks ${frames}`);
  }

  private checkBlock(pfn: number, order: number, type: number): void {
    const { tables, words } = this;
    const size = 1 << order;
    if ((pfn & (size - 1)) !== 0) badBlock(pfn, order, 'is not aligned');
    if (tables.freeOrder(pfn) !== order) badBlock(pfn, order, `is marked ${tables.freeOrder(pfn)}`);
    for (let p = pfn; p < pfn + size; p += PAGEBLOCK_PAGES) {
      if (tables.typeOf(p) !== type) badBlock(pfn, order, `of type ${type} is in another's block`);
    }
    for (let p = pfn + 1; p < pfn + size && order < TOP; p++) {
      if ((words[p << SHIFT] & FREE) !== 0) badBlock(pfn, order, `has frame ${p} marked too`);
    }
    if (order === TOP) return;
    const buddy = pfn ^ size;
    if (tables.freeOrder(buddy) !== order) return;
    const other = tables.typeOf(buddy);
    if (other === type || (isMergeable(type) && isMergeable(other))) {
      badBlock(pfn, order, 'and its buddy are both free');
    }
  }

  /** Does expand(), all frames being counted already; `list` is that of order `from`. */
  private split(pfn: number, to: number, from: number, list: number): void {
    const { words } = this;
    let anchor = list | 0;
    const last = to | 0;
    let order = from | 0;
    while (order > last) {
      order = (order - 1) | 0;
      anchor = (anchor - TYPES) | 0;
      // FreeLists.add() by hand
      const half = (pfn + (1 << order)) | 0;
      const at = half << SHIFT;
      const next = words[((anchor << SHIFT) | NEXT) >>> 0];
      words[at] = FREE | order;
      words[at | NEXT] = next;
      words[at | PREV] = anchor;
      words[((anchor << SHIFT) | NEXT) >>> 0] = half;
      words[((next << SHIFT) | PREV) >>> 0] = half;
    }
  }

  /** Marks a block as free and puts it on its list; it is counted already. */
  private enlist(pfn: number, order: number, type: number, toTail: boolean): void {
    if (order === TOP) {
      const block = pfn >> TOP;
      this.blockFree[block] = 1;
      this.blocks.add(this.firstBlockList + type, block, toTail);
      return;
    }
    this.words[pfn << SHIFT] = FREE | order;
    this.lists.add(this.firstList + order * TYPES + type, pfn, toTail);
  }

  /** The buddy of the next larger block is free: waiting a little may merge both with this one. */
  private mergeLikely(pfn: number, order: number): boolean {
    if (order >= TOP - 1) return false;
    const size = 1 << order;
    const next = (pfn - (pfn & size)) ^ (size << 1);
    return this.words[next << SHIFT] === (FREE | (order + 1));
  }

  /** Counts frames of blocks of a type that became free; a negative number are taken. */
  private count(frames: number, type: number): void {
    if (type >= SPECIAL) {
      if (type === MIGRATE_ISOLATE) return; // nobody's to allocate
      this.countSpecial(frames, type);
    }
    this.freePages += frames;
    if (this.freePages > this.fastLimit === this.fastOpen) return;
    this.setFastLimit(this.fastLimit);
    this.tables.onFastOpen();
  }

  private countSpecial(frames: number, type: number): void {
    if (type === MIGRATE_CMA) this.freeCma += frames;
    else this.freeHighAtomic += frames;
  }
}

function badRelease(pfn: number, order: number): never {
  if ((pfn & ((1 << order) - 1)) !== 0) {
    throw new KernelBug(`release: block ${pfn} of order ${order} is not aligned to its size`);
  }
  throw new KernelBug(`release: frame ${pfn} is free already`);
}

function badBlock(pfn: number, order: number, what: string): never {
  throw new KernelBug(`free block ${pfn} of order ${order} ${what}`);
}
