// Per-CPU page lists: free frames that one CPU keeps at hand, in front of a zone's buddy lists.
//
// A list for each migrate type and each small order (0..3, and 9 for huge pages). Freeing puts a
// block at the head of its list and allocating takes it from there, so frames are reused while they
// are still in the cache. An empty list is refilled with `batch` frames at once; when `high` frames
// have gathered, a batch goes back, oldest first, one list after the other. The longer a CPU only
// frees, the larger the batches (freeFactor).
//
// Single frames, nearly all of the traffic, are not linked: each type has a ring of frame numbers,
//
//     ring[base + (i & mask)],  i = bottom .. top-1      taken and put at top, given back at bottom
//
// and all of a CPU's state is one cache line of FreeTables.pcpState, which the fast paths of
// page_alloc.ts read and write themselves. Larger blocks are on lists threaded through mem_map.
//
// A frame on such a list has PG_pcp and is not counted as free in its zone.
// Invariants (check()): in - out is the number of frames on all lists, and at most `high`; each
// member has PG_pcp and is in no free block.
// Source: Linux 6.1 mm/page_alloc.c, free_unref_page_commit(), nr_pcp_free(), free_pcppages_bulk(),
// rmqueue_bulk(). Not modelled: 6.18's tuning of `high` between two bounds while running.

import { type Buddy, type FreeTables, NR_PCP_LISTS, PCP_STATE } from './buddy.ts';
import { assert } from './errors.ts';
import type { PageLists } from './list.ts';
import { MIGRATE_MOVABLE, MIGRATE_PCPTYPES } from './migrate_type.ts';
import { PAGE_INDEX, PAGE_RECORD, PG_pcp } from './page.ts';
import { HPAGE_PMD_ORDER, NO_PFN, type Pfn } from './types.ts';

/** Orders above this are "costly": nobody counts on getting them (PAGE_ALLOC_COSTLY_ORDER). */
export const COSTLY_ORDER = 3;
const PCP_BATCH_SCALE_MAX = 5;

// Words of a CPU's state. Frames ever put on and taken off these lists, as wrapping int32:
export const PCP_IN = 0;
export const PCP_OUT = 1;
export const PCP_HIGH = 2;
export const PCP_BATCH = 3;
export const PCP_FREE_FACTOR = 4;
/** Size of each of the three rings less one. */
export const PCP_MASK = 5;
/** base, top and bottom of the rings of Unmovable, Movable and Reclaimable frames. */
export const PCP_RINGS = 6;
export const RING_WORDS = 3;
export const RING_BASE = 0;
export const RING_TOP = 1;
export const RING_BOTTOM = 2;

/** Whether blocks of this order go through per-CPU lists (pcp_allowed_order()). */
export function isPcpOrder(order: number): boolean {
  return order <= COSTLY_ORDER || order === HPAGE_PMD_ORDER;
}

/** Which list of a CPU holds blocks of this order (1..3, 9) and type. */
function listIndex(order: number, type: number): number {
  if (order > COSTLY_ORDER) return NR_PCP_LISTS - (type === MIGRATE_MOVABLE ? 1 : 2);
  return (order - 1) * MIGRATE_PCPTYPES + type;
}

function orderOfIndex(index: number): number {
  return index >= NR_PCP_LISTS - 2 ? HPAGE_PMD_ORDER : 1 + Math.floor(index / MIGRATE_PCPTYPES);
}

export class PerCpuPages {
  /** Frames that came from and went back to the buddy lists. */
  appended = 0;
  returned = 0;
  /** Index of this CPU's state in FreeTables.pcpState. */
  readonly at: number;
  private readonly firstList: number;
  private readonly buddy: Buddy;
  private readonly tables: FreeTables;
  private readonly lists: PageLists;
  private readonly words: Int32Array;
  private readonly state: Int32Array;
  private outAtShrink = 0;

  constructor(tables: FreeTables, buddy: Buddy, cpu: number) {
    this.tables = tables;
    this.buddy = buddy;
    this.lists = tables.lists;
    this.words = tables.pages.words;
    this.state = tables.pcpState;
    const number = buddy.zone * tables.nrCpus + cpu;
    this.at = number * PCP_STATE;
    this.firstList = tables.firstPcpList + number * NR_PCP_LISTS;
    this.state[this.at + PCP_BATCH] = 1;
  }

  /** Frames on all lists. */
  get count(): number {
    return (this.state[this.at + PCP_IN] - this.state[this.at + PCP_OUT]) | 0;
  }
  /** When this many have gathered, a batch goes back. */
  get high(): number {
    return this.state[this.at + PCP_HIGH];
  }
  get batch(): number {
    return this.state[this.at + PCP_BATCH];
  }
  /** Frames that were handed out from these lists, and that were freed to them. */
  get handedOut(): number {
    return (this.state[this.at + PCP_OUT] >>> 0) - this.returned;
  }
  get takenBack(): number {
    return (this.state[this.at + PCP_IN] >>> 0) - this.appended;
  }

  /**
   * Entries that each ring needs: all frames of all lists at the worst, which is `high` after a
   * free, and a batch more for each list that was refilled since (two huge pages at the most).
   */
  static ringSize(high: number, batch: number): number {
    return 2 ** (32 - Math.clz32(mostFrames(high, batch)));
  }

  /** Sets the limits and where the three rings lie; the lists are empty. Returns the rings' end. */
  configure(high: number, batch: number, base: number): number {
    assert(this.count === 0, 'per-CPU lists are empty while they are set up');
    const size = PerCpuPages.ringSize(high, batch);
    this.state[this.at + PCP_HIGH] = high;
    this.state[this.at + PCP_BATCH] = batch;
    this.state[this.at + PCP_MASK] = size - 1;
    for (let type = 0; type < MIGRATE_PCPTYPES; type++) {
      const ring = this.at + PCP_RINGS + type * RING_WORDS;
      this.state[ring + RING_BASE] = base + type * size;
      this.state[ring + RING_TOP] = this.state[ring + RING_BOTTOM] = 0;
    }
    return base + MIGRATE_PCPTYPES * size;
  }

  /** Whether there is no block of this order and type. */
  isEmpty(order: number, type: number): boolean {
    if (order > 0) return this.lists.head[this.firstList + listIndex(order, type)] < 0;
    const ring = this.at + PCP_RINGS + type * RING_WORDS;
    return this.state[ring + RING_TOP] === this.state[ring + RING_BOTTOM];
  }

  /** Takes the newest block of a list that is not empty, its flags cleared. */
  pop(order: number, type: number): Pfn {
    let pfn: number;
    if (order === 0) {
      const ring = this.at + PCP_RINGS + type * RING_WORDS;
      pfn = this.slot(ring, --this.state[ring + RING_TOP]);
    } else {
      const list = this.firstList + listIndex(order, type);
      pfn = this.lists.head[list];
      this.lists.remove(list, pfn);
      this.words[pfn * PAGE_RECORD + PAGE_INDEX] = 0;
    }
    this.state[this.at + PCP_OUT] += 1 << order;
    this.words[pfn * PAGE_RECORD] = 0;
    return pfn as Pfn;
  }

  /** Adds a block that the buddy lists gave, behind those that are there. */
  append(pfn: number, order: number, type: number): void {
    this.words[pfn * PAGE_RECORD] = PG_pcp;
    if (order === 0) {
      const ring = this.at + PCP_RINGS + type * RING_WORDS;
      const i = --this.state[ring + RING_BOTTOM];
      this.tables.ring[this.state[ring] + (i & this.state[this.at + PCP_MASK])] = pfn;
    } else {
      this.words[pfn * PAGE_RECORD + PAGE_INDEX] = type;
      this.lists.pushTail(this.firstList + listIndex(order, type), pfn);
    }
    this.appended += 1 << order;
    this.state[this.at + PCP_IN] += 1 << order;
  }

  /** Puts a freed block at the head of its list; gives a batch back when `high` is reached. */
  push(pfn: number, order: number, type: number): void {
    this.words[pfn * PAGE_RECORD] = PG_pcp;
    if (order === 0) {
      const ring = this.at + PCP_RINGS + type * RING_WORDS;
      const i = this.state[ring + RING_TOP]++;
      this.tables.ring[this.state[ring] + (i & this.state[this.at + PCP_MASK])] = pfn;
    } else {
      this.words[pfn * PAGE_RECORD + PAGE_INDEX] = type;
      this.lists.pushHead(this.firstList + listIndex(order, type), pfn);
    }
    this.state[this.at + PCP_IN] += 1 << order;
    if (this.count >= this.high) this.shrink();
  }

  /** `high` was reached: gives a batch back, the larger the longer nothing was taken. */
  shrink(): void {
    const out = this.state[this.at + PCP_OUT];
    const taken = Math.min((out - this.outAtShrink) >>> 0, 31);
    this.state[this.at + PCP_FREE_FACTOR] >>= taken;
    this.giveBack(this.batchToFree());
    this.outAtShrink = this.state[this.at + PCP_OUT];
  }

  /** Gives all frames back. */
  drain(): void {
    this.giveBack(this.count);
  }

  /** Gives at least `nrPages` frames back, the oldest of each list first, list after list. */
  giveBack(nrPages: number): void {
    let left = Math.min(nrPages, this.count);
    for (let index = 0; left > 0; index = (index + 1) % (MIGRATE_PCPTYPES + NR_PCP_LISTS)) {
      let order = 0;
      let pfn: number;
      if (index < MIGRATE_PCPTYPES) {
        const ring = this.at + PCP_RINGS + index * RING_WORDS;
        if (this.state[ring + RING_TOP] === this.state[ring + RING_BOTTOM]) continue;
        pfn = this.slot(ring, this.state[ring + RING_BOTTOM]++);
      } else {
        const list = this.firstList + index - MIGRATE_PCPTYPES;
        pfn = this.lists.tail[list];
        if (pfn < 0) continue;
        order = orderOfIndex(index - MIGRATE_PCPTYPES);
        this.lists.remove(list, pfn);
        this.words[pfn * PAGE_RECORD + PAGE_INDEX] = 0;
      }
      this.words[pfn * PAGE_RECORD] = 0;
      this.state[this.at + PCP_OUT] += 1 << order;
      this.returned += 1 << order;
      this.buddy.release(pfn, order);
      left -= 1 << order;
    }
  }

  /** Calls `visit` with each block on the lists. */
  forEach(visit: (pfn: Pfn, order: number) => void): void {
    for (let type = 0; type < MIGRATE_PCPTYPES; type++) {
      const ring = this.at + PCP_RINGS + type * RING_WORDS;
      for (let i = this.state[ring + RING_BOTTOM]; i !== this.state[ring + RING_TOP]; i++) {
        visit(this.slot(ring, i) as Pfn, 0);
      }
    }
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
    for (let index = 0; index < NR_PCP_LISTS; index++) this.lists.check(this.firstList + index);
    let frames = 0;
    this.forEach((pfn, order) => {
      frames += 1 << order;
      if (this.words[pfn * PAGE_RECORD] === PG_pcp && this.tables.freeBlockOf(pfn) === NO_PFN) {
        return;
      }
      assert(false, `frame ${pfn} on a CPU's list has PG_pcp and is in no free block`);
    });
    assert(frames === this.count, `per-CPU lists hold ${frames} frames, count says ${this.count}`);
    assert(this.count <= mostFrames(this.high, this.batch), 'per-CPU lists are not overfull');
  }

  private slot(ring: number, i: number): number {
    const at = this.state[ring + RING_BASE] + (i & this.state[this.at + PCP_MASK]);
    return this.tables.ring[at];
  }

  private batchToFree(): number {
    const { high, batch } = this;
    if (high < batch) return 1;
    const most = high - batch;
    const scaled = batch << this.state[this.at + PCP_FREE_FACTOR];
    if (scaled < most && this.state[this.at + PCP_FREE_FACTOR] < PCP_BATCH_SCALE_MAX) {
      this.state[this.at + PCP_FREE_FACTOR]++;
    }
    return Math.max(batch, Math.min(scaled, most));
  }
}

function mostFrames(high: number, batch: number): number {
  return high + (MIGRATE_PCPTYPES + NR_PCP_LISTS) * Math.max(batch, 2 << COSTLY_ORDER) + 2048;
}
