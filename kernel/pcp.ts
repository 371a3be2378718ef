// Per-CPU page lists: free frames that one CPU keeps at hand, in front of a zone's buddy lists.
//
// A list for each migrate type and each small order (0..3, and 9 for huge pages). Freeing puts a
// block at the head of its list and allocating takes it from there, so frames are reused while they
// are still in the cache. An empty list is refilled with `batch` frames at once; when `high` frames
// have gathered, a batch goes back, oldest first, one list after the other. The longer a CPU only
// frees, the larger the batches (freeFactor).
//
// A frame on such a list has PG_pcp and is not counted as free in its zone. Blocks keep the type
// that their pageblock had when they came, in word `index`.
// Invariants (check()): count is the number of frames on all lists; each member has PG_pcp.
// Source: Linux 6.1 mm/page_alloc.c, free_unref_page_commit(), nr_pcp_free(), free_pcppages_bulk(),
// rmqueue_bulk(). Not modelled: 6.18's tuning of `high` between two bounds while running.

import { assert } from './errors.ts';
import type { Buddy, FreeTables } from './buddy.ts';
import type { PageLists } from './list.ts';
import { MIGRATE_MOVABLE, MIGRATE_PCPTYPES } from './migrate_type.ts';
import { PAGE_INDEX, PAGE_RECORD, PG_pcp } from './page.ts';
import { HPAGE_PMD_ORDER, NO_PFN, type Pfn } from './types.ts';

/** Orders above this are "costly": nobody counts on getting them (PAGE_ALLOC_COSTLY_ORDER). */
export const COSTLY_ORDER = 3;
/** Lists of one CPU: three types of orders 0..3 and two lists of huge pages. */
export const NR_PCP_LISTS = MIGRATE_PCPTYPES * (COSTLY_ORDER + 1) + 2;
const PCP_BATCH_SCALE_MAX = 5;

/** Whether blocks of this order go through per-CPU lists (pcp_allowed_order()). */
export function isPcpOrder(order: number): boolean {
  return order <= COSTLY_ORDER || order === HPAGE_PMD_ORDER;
}

/** Which list of a CPU holds blocks of this order and type (order_to_pindex()). */
export function pcpIndex(order: number, type: number): number {
  if (order > COSTLY_ORDER) return NR_PCP_LISTS - (type === MIGRATE_MOVABLE ? 1 : 2);
  return order * MIGRATE_PCPTYPES + type;
}

function orderOfIndex(index: number): number {
  return index >= NR_PCP_LISTS - 2 ? HPAGE_PMD_ORDER : Math.floor(index / MIGRATE_PCPTYPES);
}

export class PerCpuPages {
  /** Frames on all lists. */
  count = 0;
  /** When this many have gathered, a batch goes back; 0 at boot, set by watermarks.ts. */
  high = 0;
  batch = 1;
  /** log2 of how many batches go back at once. */
  freeFactor = 0;
  /** First of NR_PCP_LISTS lists. */
  readonly firstList: number;
  private readonly buddy: Buddy;
  private readonly tables: FreeTables;
  private readonly lists: PageLists;
  private readonly words: Int32Array;

  constructor(tables: FreeTables, buddy: Buddy) {
    this.tables = tables;
    this.buddy = buddy;
    this.lists = tables.lists;
    this.words = tables.pages.words;
    this.firstList = this.lists.make(NR_PCP_LISTS);
  }

  /** Takes the first block of a list that is not empty, its flags cleared. */
  pop(index: number, order: number): Pfn {
    const list = this.firstList + index;
    const pfn = this.lists.head[list];
    this.lists.remove(list, pfn);
    this.count -= 1 << order;
    this.words[pfn * PAGE_RECORD] = 0;
    return pfn as Pfn;
  }

  /** Adds a block that the buddy lists gave, behind those that are there. */
  append(pfn: number, order: number, type: number): void {
    const at = pfn * PAGE_RECORD;
    this.words[at] = PG_pcp;
    this.words[at + PAGE_INDEX] = type;
    this.lists.pushTail(this.firstList + pcpIndex(order, type), pfn);
    this.count += 1 << order;
  }

  /** Puts a freed block at the head of its list; gives a batch back when `high` is reached. */
  push(pfn: number, order: number, type: number): void {
    const at = pfn * PAGE_RECORD;
    this.words[at] = PG_pcp;
    this.words[at + PAGE_INDEX] = type;
    const index = pcpIndex(order, type);
    this.lists.pushHead(this.firstList + index, pfn);
    this.count += 1 << order;
    if (this.count >= this.high) this.giveBack(this.batchToFree(), index);
  }

  /** Gives all frames back. */
  drain(): void {
    this.giveBack(this.count, 0);
  }

  /**
   * Gives at least `nrPages` frames back, the last of each list first, list after list.
   * @param index the list to begin with.
   */
  giveBack(nrPages: number, index: number): void {
    let left = Math.min(nrPages, this.count);
    while (left > 0) {
      const pfn = this.lists.tail[this.firstList + index];
      if (pfn >= 0) {
        const order = orderOfIndex(index);
        this.lists.remove(this.firstList + index, pfn);
        this.words[pfn * PAGE_RECORD] = 0;
        this.words[pfn * PAGE_RECORD + PAGE_INDEX] = 0;
        this.buddy.release(pfn, order);
        this.count -= 1 << order;
        left -= 1 << order;
      }
      index = index === NR_PCP_LISTS - 1 ? 0 : index + 1;
    }
  }

  /** Takes one block of a free frame's list: the frame must be on this CPU's lists. */
  remove(pfn: number, order: number): void {
    const type = this.words[pfn * PAGE_RECORD + PAGE_INDEX];
    this.lists.remove(this.firstList + pcpIndex(order, type), pfn);
    this.count -= 1 << order;
    this.words[pfn * PAGE_RECORD] = 0;
    this.words[pfn * PAGE_RECORD + PAGE_INDEX] = 0;
  }

  /** Calls `visit` with each block on the lists. */
  forEach(visit: (pfn: Pfn, order: number) => void): void {
    for (let index = 0; index < NR_PCP_LISTS; index++) {
      let pfn = this.lists.head[this.firstList + index];
      while (pfn >= 0) {
        visit(pfn as Pfn, orderOfIndex(index));
        pfn = this.lists.next(pfn);
      }
    }
  }

  /** Throws KernelBug where an invariant does not hold. */
  check(): void {
    let frames = 0;
    for (let index = 0; index < NR_PCP_LISTS; index++) {
      const order = orderOfIndex(index);
      this.lists.check(this.firstList + index, (pfn) => {
        assert(this.words[pfn * PAGE_RECORD] === PG_pcp, `frame ${pfn} on a CPU's list: PG_pcp`);
        assert(this.tables.freeBlockOf(pfn) === NO_PFN, `frame ${pfn} is in a free block too`);
        frames += 1 << order;
      });
    }
    assert(frames === this.count, `per-CPU lists hold ${frames} frames, count says ${this.count}`);
  }

  private batchToFree(): number {
    if (this.high < this.batch) return 1;
    const most = this.high - this.batch;
    const scaled = this.batch << this.freeFactor;
    if (scaled < most && this.freeFactor < PCP_BATCH_SCALE_MAX) this.freeFactor++;
    return Math.max(this.batch, Math.min(scaled, most));
  }
}
