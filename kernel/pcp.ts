// Per-CPU page lists: free frames that one CPU keeps at hand, in front of a zone's buddy lists.
//
// A list for each migrate type and each small order (0..3, and 9 for huge pages). Freeing puts a
// block at the head of its list and allocating takes it from there, so frames are reused while they
// are still in the cache. An empty list is refilled with `batch` frames at once; when `high` frames
// have gathered, a batch goes back, oldest first, one list after the other. The longer a CPU only
// frees, the larger the batches (freeFactor).
//
// Single frames, nearly all of the traffic, are not linked: each type has a stack of frame numbers,
//
//     FreeTables.stacks:  start ... bottom <- oldest ... newest -> top ... end
//
// taken and put at top, given back from bottom; what has come to the end is moved down. All of a
// CPU's state is one cache line of FreeTables.pcpState, which the fast paths of page_alloc.ts read
// and write themselves. Larger blocks are on lists threaded through mem_map.
//
// A frame on such a list has PG_pcp and is not counted as free in its zone.
// Invariants (check()): in - out is the number of frames on all lists, and at most `high`; each
// member has PG_pcp and is in no free block.
// Source: Linux 6.1 mm/page_alloc.c, free_unref_page_commit(), nr_pcp_free(), free_pcppages_bulk(),
// rmqueue_bulk(). Not modelled: 6.18's tuning of `high` between two bounds while running.

import { type Buddy } from './buddy.ts';
import { type FreeTables, NR_PCP_LISTS, PCP_STATE } from './free_tables.ts';
import { assert } from './errors.ts';
import type { PageLists } from './list.ts';
import { MIGRATE_MOVABLE, MIGRATE_PCPTYPES } from './migrate_type.ts';
import { PAGE_INDEX, PAGE_RECORD, PG_pcp } from './page.ts';
import { HPAGE_PMD_ORDER, NO_PFN, type Pfn } from './types.ts';

/** Orders above this are "costly": nobody counts on getting them (PAGE_ALLOC_COSTLY_ORDER). */
export const COSTLY_ORDER = 3;
const PCP_BATCH_SCALE_MAX = 5;

// Words of a CPU's state: top, bottom and end of the stacks of Unmovable, Movable and Reclaimable
// frames, STACK_WORDS apart; then frames ever put on and taken off all lists, as wrapping int32,
// and the limits.
export const STACK_WORDS = 4;
export const STACK_TOP = 0;
export const STACK_BOTTOM = 1;
export const STACK_END = 2;
export const PCP_IN = 12;
export const PCP_OUT = 13;
export const PCP_HIGH = 14;
export const PCP_BATCH = 15;

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
  /** Doublings of a batch: one more each time that frees alone fill the lists. */
  private freeFactor = 0;
  private outAtShrink = 0;
  /** Entries of each stack. */
  private stackSize = 0;

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

  /** Sets the limits and where the three stacks lie; the lists are empty. Returns their end. */
  configure(high: number, batch: number, base: number): number {
    assert(this.count === 0, 'per-CPU lists are empty while they are set up');
    this.state[this.at + PCP_HIGH] = high;
    this.state[this.at + PCP_BATCH] = batch;
    // twice what all lists can hold: what comes to the end is moved by half of the stack
    this.stackSize = 2 * mostFrames(high, batch);
    let end = base;
    for (let type = 0; type < MIGRATE_PCPTYPES; type++) {
      end += this.stackSize;
      const stack = this.at + type * STACK_WORDS;
      this.state[stack + STACK_TOP] = this.state[stack + STACK_BOTTOM] = end - this.stackSize;
      this.state[stack + STACK_END] = end;
    }
    return end;
  }

  /** Whether there is no block of this order and type. */
  isEmpty(order: number, type: number): boolean {
    if (order > 0) return this.lists.head[this.firstList + listIndex(order, type)] < 0;
    const stack = this.at + type * STACK_WORDS;
    return this.state[stack + STACK_TOP] === this.state[stack + STACK_BOTTOM];
  }

  /** Takes the newest block of a list that is not empty, its flags cleared. */
  pop(order: number, type: number): Pfn {
    let pfn: number;
    if (order === 0) {
      pfn = this.tables.stacks[--this.state[this.at + type * STACK_WORDS + STACK_TOP]];
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

  /**
   * Fills an empty list with `blocks` blocks that `take` gives, the first to be handed out first
   * (rmqueue_bulk()); fewer where it gives NO_PFN.
   */
  refill(order: number, type: number, blocks: number, take: () => Pfn): void {
    const stack = this.at + type * STACK_WORDS;
    const start = this.state[stack + STACK_END] - this.stackSize;
    let n = 0;
    for (; n < blocks; n++) {
      const pfn = take();
      if (pfn < 0) break;
      this.words[pfn * PAGE_RECORD] = PG_pcp;
      if (order === 0) this.tables.stacks[start + blocks - 1 - n] = pfn;
      else {
        this.words[pfn * PAGE_RECORD + PAGE_INDEX] = type;
        this.lists.pushTail(this.firstList + listIndex(order, type), pfn);
      }
    }
    if (order === 0) {
      this.state[stack + STACK_TOP] = start + blocks;
      this.state[stack + STACK_BOTTOM] = start + blocks - n;
    }
    this.appended += n << order;
    this.state[this.at + PCP_IN] += n << order;
  }

  /** Puts a freed block at the head of its list; gives a batch back when `high` is reached. */
  push(pfn: number, order: number, type: number): void {
    this.words[pfn * PAGE_RECORD] = PG_pcp;
    if (order === 0) {
      const stack = this.at + type * STACK_WORDS;
      if (this.state[stack + STACK_TOP] === this.state[stack + STACK_END]) this.moveDown(stack);
      this.tables.stacks[this.state[stack + STACK_TOP]++] = pfn;
    } else {
      this.words[pfn * PAGE_RECORD + PAGE_INDEX] = type;
      this.lists.pushHead(this.firstList + listIndex(order, type), pfn);
    }
    this.state[this.at + PCP_IN] += 1 << order;
    const index = order === 0 ? type : MIGRATE_PCPTYPES + listIndex(order, type);
    if (order > 0 && order <= COSTLY_ORDER && this.decayedFactor() > 0) {
      this.giveBack(this.count, index); // frees alone, of larger blocks: let them merge
    } else if (this.count >= this.high) this.shrink(index);
  }

  /**
   * `high` was reached: gives a batch back, the larger the longer nothing was taken.
   * @param index of the list that was freed to: the three stacks, then the lists of larger blocks.
   */
  shrink(index: number): void {
    this.freeFactor = this.decayedFactor();
    this.giveBack(this.batchToFree(), index);
    this.outAtShrink = this.state[this.at + PCP_OUT];
  }

  /** Gives all frames back. */
  drain(): void {
    this.giveBack(this.count, 0);
  }

  /** Gives at least `nrPages` frames back, the oldest first: list `index`, then those after it. */
  giveBack(nrPages: number, index: number): void {
    let left = Math.min(nrPages, this.count);
    for (; left > 0; index = (index + 1) % (MIGRATE_PCPTYPES + NR_PCP_LISTS)) {
      left -=
        index < MIGRATE_PCPTYPES ? this.freeSingles(index, left) : this.freeBlocks(index, left);
    }
  }

  /** Gives up to `most` frames of a stack back; how many. */
  private freeSingles(type: number, most: number): number {
    const { state, words, buddy } = this;
    const { stacks } = this.tables;
    const stack = this.at + type * STACK_WORDS;
    const bottom = state[stack + STACK_BOTTOM];
    const end = Math.min(state[stack + STACK_TOP], bottom + most);
    for (let i = bottom; i < end; i++) {
      words[stacks[i] * PAGE_RECORD] = 0;
      buddy.release(stacks[i], 0);
    }
    state[stack + STACK_BOTTOM] = end;
    state[this.at + PCP_OUT] += end - bottom;
    this.returned += end - bottom;
    return end - bottom;
  }

  /** Gives blocks of a list of larger ones back until `most` frames are reached; how many. */
  private freeBlocks(index: number, most: number): number {
    const list = this.firstList + index - MIGRATE_PCPTYPES;
    const order = orderOfIndex(index - MIGRATE_PCPTYPES);
    let freed = 0;
    while (freed < most && this.lists.tail[list] >= 0) {
      const pfn = this.lists.tail[list];
      this.lists.remove(list, pfn);
      this.words[pfn * PAGE_RECORD + PAGE_INDEX] = 0;
      this.words[pfn * PAGE_RECORD] = 0;
      this.buddy.release(pfn, order);
      freed += 1 << order;
    }
    this.state[this.at + PCP_OUT] += freed;
    this.returned += freed;
    return freed;
  }

  /** Moves a stack's frames from its end to its start. */
  moveDown(stack: number): void {
    const { state } = this;
    const start = state[stack + STACK_END] - this.stackSize;
    const bottom = state[stack + STACK_BOTTOM];
    const top = state[stack + STACK_TOP];
    this.tables.stacks.copyWithin(start, bottom, top);
    state[stack + STACK_BOTTOM] = start;
    state[stack + STACK_TOP] = start + top - bottom;
  }

  /** Calls `visit` with each block on the lists. */
  forEach(visit: (pfn: Pfn, order: number) => void): void {
    for (let type = 0; type < MIGRATE_PCPTYPES; type++) {
      const stack = this.at + type * STACK_WORDS;
      const top = this.state[stack + STACK_TOP];
      for (let i = this.state[stack + STACK_BOTTOM]; i < top; i++) {
        visit(this.tables.stacks[i] as Pfn, 0);
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
    for (let stack = this.at; stack < this.at + PCP_IN; stack += STACK_WORDS) {
      const [top, bottom, end] = this.state.subarray(stack, stack + STACK_WORDS);
      assert(end - this.stackSize <= bottom && bottom <= top && top <= end, 'stacks are in place');
    }
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

  /** Each frame taken since has halved the factor (rmqueue_pcplist()). */
  private decayedFactor(): number {
    const taken = (this.state[this.at + PCP_OUT] - this.outAtShrink) >>> 0;
    return this.freeFactor >> Math.min(taken, 31);
  }

  private batchToFree(): number {
    const { high, batch } = this;
    if (high < batch) return 1;
    const most = high - batch;
    const scaled = batch << this.freeFactor;
    if (scaled < most && this.freeFactor < PCP_BATCH_SCALE_MAX) this.freeFactor++;
    return Math.max(batch, Math.min(scaled, most));
  }
}

function mostFrames(high: number, batch: number): number {
  return high + (MIGRATE_PCPTYPES + NR_PCP_LISTS) * Math.max(batch, 2 << COSTLY_ORDER) + 2048;
}
