// mem_map: what the kernel knows of each physical frame, one `struct page` of 8 words a frame.
//
//     word 0  flags      PG_* bits
//          1  refcount   references; 0 for a free frame
//          2  mapcount   page-table entries that map it (Linux stores this less one)
//          3  owner      who it belongs to, by use: id of an anon_vma or an address_space (rmap),
//                        of a slab cache, of the mm whose page table it is; 0 for nobody
//          4  index      place in its owner: page offset in the file, or vma page offset modulo
//                        2^32 (see rmap.ts); for a slab page what slab.ts says
//          5  private    swap cache: swap entry; tail page: pfn of the head
//          6  next       links of the one list the page is on (LRU, buddy, per-CPU, slab);
//          7  prev         pfn or list id, see list.ts
//
// The flags of a free block's first frame are PG_buddy and, in their lowest bits, its order.
//
// A compound page is a run of 2^order frames used as one. Its first frame, the head, has PG_head;
// all others PG_tail and the head in `private`. The order lies in word 6 of the first tail and the
// count of whole (PMD) mappings in its word 7, as Linux keeps both in `struct folio`'s second page.
//
// Linux's record is 64 bytes, and that is what is taken out of RAM for it (vmemmap, see boot);
// the records themselves are host state: no hardware reads them.
// Invariants (check() of the allocators verifies them): a free frame has refcount 0 and mapcount 0;
// mapcount <= refcount for a page that is mapped by page-table entries alone.
// Source: Linux 6.18 include/linux/mm_types.h, page-flags.h.

import { lazyTable } from './physmem.ts';
import { MAX_ORDER, NO_PFN, type Pfn, alignUp } from './types.ts';

/** Bytes of RAM that each frame's record costs the machine (sizeof(struct page)). */
export const STRUCT_PAGE_SIZE = 64;

/** Words of a record in MemMap.words. */
export const PAGE_RECORD = 8;
export const PAGE_FLAGS = 0;
export const PAGE_REFCOUNT = 1;
export const PAGE_MAPCOUNT = 2;
export const PAGE_OWNER = 3;
export const PAGE_INDEX = 4;
export const PAGE_PRIVATE = 5;
export const PAGE_NEXT = 6;
export const PAGE_PREV = 7;

/** Bits of a free block's flags that are its order. */
export const BUDDY_ORDER = 15;

export const PG_locked = 1 << 0;
export const PG_referenced = 1 << 1;
export const PG_uptodate = 1 << 2;
export const PG_dirty = 1 << 3;
export const PG_lru = 1 << 4;
export const PG_active = 1 << 5;
export const PG_workingset = 1 << 6;
export const PG_writeback = 1 << 7;
export const PG_head = 1 << 8;
export const PG_tail = 1 << 9;
export const PG_reserved = 1 << 10;
export const PG_swapcache = 1 << 11;
export const PG_swapbacked = 1 << 12;
export const PG_unevictable = 1 << 13;
export const PG_mlocked = 1 << 14;
/** Anonymous and owned by one process alone: a write need not copy (PG_anon_exclusive). */
export const PG_anon_exclusive = 1 << 15;
/** `owner` is an anon_vma (PAGE_MAPPING_ANON). */
export const PG_anon = 1 << 16;
export const PG_ksm = 1 << 17;
/** Read ahead up to here: the access that finds it starts the next read (PG_readahead). */
export const PG_readahead = 1 << 18;
/** The page was freed lazily by its owner: clean anonymous memory may be dropped (MADV_FREE). */
export const PG_reclaim = 1 << 19;
/** Page types, mutually exclusive (PGTY_*). */
export const PG_buddy = 1 << 20;
export const PG_table = 1 << 21;
export const PG_slab = 1 << 22;
export const PG_pcp = 1 << 23;
export const PG_vmalloc = 1 << 24;
export const PG_hugetlb = 1 << 25;
/** The shared page of zeros, small or huge. */
export const PG_zero = 1 << 26;
/** Charged to a memory group (memcg_data); as the kernel's own memory (MEMCG_DATA_KMEM). */
export const PG_charged = 1 << 27;
export const PG_kmem = 1 << 28;

const NAMES: readonly (readonly [number, string])[] = [
  [PG_locked, 'locked'],
  [PG_referenced, 'referenced'],
  [PG_uptodate, 'uptodate'],
  [PG_dirty, 'dirty'],
  [PG_lru, 'lru'],
  [PG_active, 'active'],
  [PG_workingset, 'workingset'],
  [PG_writeback, 'writeback'],
  [PG_head, 'head'],
  [PG_tail, 'tail'],
  [PG_reserved, 'reserved'],
  [PG_swapcache, 'swapcache'],
  [PG_swapbacked, 'swapbacked'],
  [PG_unevictable, 'unevictable'],
  [PG_mlocked, 'mlocked'],
  [PG_anon_exclusive, 'anon_exclusive'],
  [PG_anon, 'anon'],
  [PG_ksm, 'ksm'],
  [PG_readahead, 'readahead'],
  [PG_reclaim, 'reclaim'],
  [PG_buddy, 'buddy'],
  [PG_table, 'table'],
  [PG_slab, 'slab'],
  [PG_pcp, 'pcp'],
  [PG_vmalloc, 'vmalloc'],
  [PG_hugetlb, 'hugetlb'],
  [PG_zero, 'zero'],
  [PG_charged, 'charged'],
  [PG_kmem, 'kmem'],
];

/** The names of the flags that are set, lowest bit first. */
export function pageFlagNames(flags: number): string[] {
  if ((flags & PG_buddy) !== 0) flags &= ~BUDDY_ORDER;
  return NAMES.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
}

export class MemMap {
  readonly nrFrames: number;
  /** First record behind the frames': the others of a block that ends there are all zeros. */
  readonly firstAnchor: number;
  /** All records; a hot path reads words[pfn * PAGE_RECORD + PAGE_FLAGS] and so on directly. */
  readonly words: Int32Array;

  /**
   * @param nrFrames frames of the physical address space, at most 2^28.
   * @param nrAnchors records behind them, for lists (free_list.ts).
   */
  constructor(nrFrames: number, nrAnchors = 0) {
    this.nrFrames = nrFrames;
    this.firstAnchor = alignUp(nrFrames, 1 << MAX_ORDER);
    this.words = lazyTable((this.firstAnchor + nrAnchors) * PAGE_RECORD);
  }

  flags(pfn: number): number {
    return this.words[pfn * PAGE_RECORD];
  }
  hasFlags(pfn: number, mask: number): boolean {
    return (this.words[pfn * PAGE_RECORD] & mask) !== 0;
  }
  setFlags(pfn: number, mask: number): void {
    this.words[pfn * PAGE_RECORD] |= mask;
  }
  clearFlags(pfn: number, mask: number): void {
    this.words[pfn * PAGE_RECORD] &= ~mask;
  }
  refcount(pfn: number): number {
    return this.words[pfn * PAGE_RECORD + PAGE_REFCOUNT];
  }
  setRefcount(pfn: number, n: number): void {
    this.words[pfn * PAGE_RECORD + PAGE_REFCOUNT] = n;
  }
  mapcount(pfn: number): number {
    return this.words[pfn * PAGE_RECORD + PAGE_MAPCOUNT];
  }
  setMapcount(pfn: number, n: number): void {
    this.words[pfn * PAGE_RECORD + PAGE_MAPCOUNT] = n;
  }
  owner(pfn: number): number {
    return this.words[pfn * PAGE_RECORD + PAGE_OWNER];
  }
  setOwner(pfn: number, id: number): void {
    this.words[pfn * PAGE_RECORD + PAGE_OWNER] = id;
  }
  index(pfn: number): number {
    return this.words[pfn * PAGE_RECORD + PAGE_INDEX];
  }
  setIndex(pfn: number, index: number): void {
    this.words[pfn * PAGE_RECORD + PAGE_INDEX] = index;
  }
  privateOf(pfn: number): number {
    return this.words[pfn * PAGE_RECORD + PAGE_PRIVATE];
  }
  setPrivate(pfn: number, value: number): void {
    this.words[pfn * PAGE_RECORD + PAGE_PRIVATE] = value;
  }

  /** The head of the compound page that `pfn` is part of; `pfn` itself where it is not a tail. */
  head(pfn: number): Pfn {
    const at = pfn * PAGE_RECORD;
    if ((this.words[at] & PG_tail) === 0) return pfn as Pfn;
    return this.words[at + PAGE_PRIVATE] as Pfn;
  }

  /** Order of the compound page whose head is `pfn`; 0 for a page that is not compound. */
  compoundOrder(pfn: number): number {
    const at = pfn * PAGE_RECORD;
    if ((this.words[at] & PG_head) === 0) return 0;
    return this.words[at + PAGE_RECORD + PAGE_NEXT];
  }

  /** How many page-table entries map a compound page as a whole (a PMD each). */
  entireMapcount(head: number): number {
    return this.words[(head + 1) * PAGE_RECORD + PAGE_PREV];
  }
  setEntireMapcount(head: number, n: number): void {
    this.words[(head + 1) * PAGE_RECORD + PAGE_PREV] = n;
  }

  /** Makes 2^order frames from `pfn` one compound page (prep_compound_page()); order >= 1. */
  makeCompound(pfn: number, order: number): void {
    const words = this.words;
    words[pfn * PAGE_RECORD] |= PG_head;
    const end = pfn + (1 << order);
    for (let p = pfn + 1; p < end; p++) {
      words[p * PAGE_RECORD] |= PG_tail;
      words[p * PAGE_RECORD + PAGE_PRIVATE] = pfn;
    }
    words[(pfn + 1) * PAGE_RECORD + PAGE_NEXT] = order;
    words[(pfn + 1) * PAGE_RECORD + PAGE_PREV] = 0;
  }

  /** Undoes makeCompound(). */
  splitCompound(pfn: number): void {
    const words = this.words;
    const end = pfn + (1 << this.compoundOrder(pfn));
    words[pfn * PAGE_RECORD] &= ~PG_head;
    for (let p = pfn + 1; p < end; p++) {
      words[p * PAGE_RECORD] &= ~PG_tail;
      words[p * PAGE_RECORD + PAGE_PRIVATE] = 0;
      words[p * PAGE_RECORD + PAGE_NEXT] = NO_PFN;
      words[p * PAGE_RECORD + PAGE_PREV] = NO_PFN;
    }
  }
}
