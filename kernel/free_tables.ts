// Tables about the whole of RAM that the free lists of all zones share.
//
// A pageblock (2^9 frames) has a zone and a migrate type, both in one entry of `blockInfo`. Free
// blocks are listed through mem_map (`lists`), those of the largest order through a table of their
// own (`blocks`), see buddy.ts. `hot` is what the allocator's fast paths read, see page_alloc.ts.
// Source: Linux 6.18 include/linux/mmzone.h struct zone, pageblock_flags; mm/internal.h.

import { FreeLists } from './free_list.ts';
import { PageLists } from './list.ts';
import { MIGRATE_TYPES } from './migrate_type.ts';
import { BUDDY_ORDER, type MemMap, PAGE_NEXT, PAGE_RECORD, PG_buddy } from './page.ts';
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
/** Words of a CPU's state in FreeTables.pcpState: one cache line. */
export const PCP_STATE = 16;
/** Words at the start of FreeTables.hot: four for each value of gfp's lowest five bits. */
export const FAST_WORDS = 128;

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
  /** Single frames on per-CPU lists: a stack for each zone, CPU and type, see pcp.ts. */
  stacks = new Int32Array(0);
  /** First of all per-CPU lists of larger blocks; NR_PCP_LISTS for each zone and CPU. */
  readonly firstPcpList: number;
  readonly nrCpus: number;

  constructor(pages: MemMap, nrZones: number, nrCpus: number) {
    const nrBlocks = Math.ceil(pages.nrFrames / MAX_BLOCK_PAGES);
    this.pages = pages;
    this.lists = PageLists.ofFrames(pages);
    const shift = Math.log2(PAGE_RECORD);
    const first = pages.firstAnchor;
    this.free = new FreeLists(pages.words, shift, PAGE_NEXT, first, nrZones * ZONE_FREE_LISTS);
    const words = new Int32Array(2 * (nrBlocks + nrZones * MIGRATE_TYPES));
    this.blocks = new FreeLists(words, 1, 0, nrBlocks, nrZones * MIGRATE_TYPES);
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
