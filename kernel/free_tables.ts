// Tables about the whole of RAM that the free lists of all zones share.
//
// Free blocks are listed through mem_map (`lists`), those of the largest order through a table of
// their own (`blocks`), see buddy.ts. All that the allocator's fast paths look at (page_alloc.ts,
// pcp.ts) is in one array, `hot`, since each further array costs a check of its kind and bounds:
//
//     of each CPU:  where allocations of each kind find frames (FAST_WORDS), then of "no zone" and
//                   of each zone PCP_STATE words, STACK_WORDS for each migrate type
//     stacks of frame numbers
//     of each pageblock (2^9 frames): number of its zone plus 1 (0: none), shifted by 3, and its
//                   migrate type; last, so that a frame that does not exist finds nothing
//
// So the state of the stack that a frame is freed to is at cpuAt + FAST_WORDS + (info << 2).
// Source: Linux 6.18 include/linux/mmzone.h struct zone, pageblock_flags; mm/internal.h.

import { FreeLists } from './free_list.ts';
import { PageLists } from './list.ts';
import { MIGRATE_MOVABLE, MIGRATE_TYPES } from './migrate_type.ts';
import { BUDDY_ORDER, type MemMap, PAGE_NEXT, PAGE_RECORD, PG_buddy } from './page.ts';
import { lazyTable } from './physmem.ts';
import { MAX_ORDER, NO_PFN, type Pfn } from './types.ts';

/** Pageblocks are of the size of a huge page: 2 MiB. */
export const PAGEBLOCK_ORDER = 9;
export const PAGEBLOCK_PAGES = 1 << PAGEBLOCK_ORDER;
/** Frames of a block of the largest order. */
export const MAX_BLOCK_PAGES = 1 << MAX_ORDER;

/** Lists of free blocks of orders 0..9 that a zone has. */
export const ZONE_FREE_LISTS = MAX_ORDER * MIGRATE_TYPES;
/** Linked lists of one CPU: three types of orders 1..3, and two lists of huge pages. */
export const NR_PCP_LISTS = 11;
/** Words of a stack's state in FreeTables.hot, and of a zone's: room for eight. */
export const STACK_WORDS = 4;
export const PCP_STATE = 8 * STACK_WORDS;
/** Words at the start of a CPU's part: a stack for each value of gfp's lowest five bits. */
export const FAST_WORDS = 32;

/** What the free lists of all zones share: tables about the whole of RAM. */
export class FreeTables {
  readonly pages: MemMap;
  /** Linked lists of frames through mem_map: larger blocks of per-CPU lists, slabs. */
  readonly lists: PageLists;
  /** Free blocks of orders 0..9 of all zones, by zone, order and type. */
  readonly free: FreeLists;
  /** Those of the largest order, by zone and type; a member is pfn >> MAX_ORDER. */
  readonly blocks: FreeLists;
  /** 1 where the block of the largest order is free as a whole. */
  readonly blockFree: Uint8Array;
  /** What the allocator's fast paths look at, see above. */
  readonly hot: Int32Array;
  /** Where the stacks start in `hot`, and the pageblocks. */
  readonly stacksAt: number;
  readonly blocksAt: number;
  private readonly cpuWords: number;
  /** Called when Buddy.fastOpen of a zone changed. */
  onFastOpen: () => void = () => undefined;
  /** First of all per-CPU lists of larger blocks; NR_PCP_LISTS for each zone and CPU. */
  readonly firstPcpList: number;
  readonly nrCpus: number;

  /** @param stackWords what the stacks of all zones and CPUs take. */
  constructor(pages: MemMap, nrZones: number, nrCpus: number, stackWords: number) {
    const nrBlocks = Math.ceil(pages.nrFrames / MAX_BLOCK_PAGES);
    this.pages = pages;
    this.lists = PageLists.ofFrames(pages);
    const shift = Math.log2(PAGE_RECORD);
    const first = pages.firstAnchor;
    this.free = new FreeLists(pages.words, shift, PAGE_NEXT, first, nrZones * ZONE_FREE_LISTS);
    const words = new Int32Array(2 * (nrBlocks + nrZones * MIGRATE_TYPES));
    this.blocks = new FreeLists(words, 1, 0, nrBlocks, nrZones * MIGRATE_TYPES);
    this.blockFree = new Uint8Array(nrBlocks);
    this.nrCpus = nrCpus;
    this.cpuWords = FAST_WORDS + (nrZones + 1) * PCP_STATE;
    this.stacksAt = nrCpus * this.cpuWords;
    this.blocksAt = this.stacksAt + stackWords;
    this.hot = lazyTable(this.blocksAt + nrBlocks * 2);
    this.firstPcpList = this.lists.make(nrZones * nrCpus * NR_PCP_LISTS);
  }

  /** Where a CPU's part of `hot` starts. */
  cpuAt(cpu: number): number {
    return cpu * this.cpuWords;
  }

  /** Where the state of a CPU's lists of a zone is in `hot`. */
  pcpAt(cpu: number, zone: number): number {
    return this.cpuAt(cpu) + FAST_WORDS + (zone + 1) * PCP_STATE;
  }

  /** Where the pageblock of a frame is in `hot`; behind its end for a frame that does not exist. */
  private blockAt(pfn: number): number {
    return this.blocksAt + (pfn >>> PAGEBLOCK_ORDER);
  }

  /** Migrate type of the pageblock that `pfn` is in. */
  typeOf(pfn: number): number {
    return this.hot[this.blockAt(pfn)] & 7;
  }

  setType(pfn: number, type: number): void {
    const at = this.blockAt(pfn);
    this.hot[at] = (this.hot[at] & ~7) | type;
  }

  /** Says which zone `blocks` pageblocks from that of `pfn` are in: Movable all of them. */
  setZone(pfn: number, blocks: number, zone: number): void {
    const first = this.blockAt(pfn);
    this.hot.fill(((zone + 1) << 3) | MIGRATE_MOVABLE, first, first + blocks);
  }

  /** Number of the zone that a frame is in; -1 for none. */
  zoneAt(pfn: number): number {
    return (this.hot[this.blockAt(pfn)] >> 3) - 1;
  }

  /** Whether `pfn` starts a free block, and of which order; -1 where it does not. */
  freeOrder(pfn: number): number {
    const at = pfn * PAGE_RECORD;
    const flags = this.pages.words[at];
    if ((flags & PG_buddy) !== 0) return flags & BUDDY_ORDER;
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
