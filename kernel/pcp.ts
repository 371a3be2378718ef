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
//     start ... bottom <- oldest ... newest -> top ... limit ... end
//
// taken and put at top, given back from bottom; what has come to the end is moved down. Stacks and
// their state lie in FreeTables.hot, where the fast paths of page_alloc.ts take and put frames
// themselves: the fast free as long as top is below `limit`. What may still come until `high` is
// reached is divided among the limits; who meets its own divides the rest anew (divide()). Larger
// blocks are on lists threaded through mem_map.
//
// A frame on such a list has PG_pcp and is not counted as free in its zone.
// Invariants (check()): where a stack is below its limit, all of them up to their limits and the
// larger blocks are fewer than `high` frames; each member has PG_pcp and is in no free block.
// Source: Linux 6.1 mm/page_alloc.c, free_unref_page_commit(), nr_pcp_free(), free_pcppages_bulk(),
// rmqueue_bulk(). Not modelled: 6.18's tuning of `high` between two bounds while running.

import { type Buddy } from './buddy.ts';
import { type FreeTables, NR_PCP_LISTS, STACK_WORDS } from './free_tables.ts';
import { assert } from './errors.ts';
import type { PageLists } from './list.ts';
import { MIGRATE_MOVABLE, MIGRATE_PCPTYPES } from './migrate_type.ts';
import { PAGE_INDEX, PAGE_RECORD, PG_pcp } from './page.ts';
import { HPAGE_PMD_ORDER, NO_PFN, type Pfn } from './types.ts';

/** Orders above this are "costly": nobody counts on getting them (PAGE_ALLOC_COSTLY_ORDER). */
export const COSTLY_ORDER = 3;
const PCP_BATCH_SCALE_MAX = 5;

// Words of the state of a stack of Unmovable, Movable or Reclaimable frames; the last counts frames
// that were ever freed to it, as a wrapping int32. Nothing can be put on the stacks of other types,
// whose words are all 0.
export const STACK_TOP = 0;
export const STACK_BOTTOM = 1;
export const STACK_LIMIT = 2;
export const STACK_FREED = 3;
/** Words of the three stacks' states. */
const STACKS = MIGRATE_PCPTYPES * STACK_WORDS;
/** The stack that was freed to last gets all but two of so many parts of the room. */
const ROOM_SHIFT = 3;

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
  /** When this many have gathered, a batch goes back. */
  high = 0;
  batch = 1;
  /** Index of this CPU's state in FreeTables.hot. */
  readonly at: number;
  private readonly firstList: number;
  private readonly buddy: Buddy;
  private readonly tables: FreeTables;
  private readonly lists: PageLists;
  private readonly words: Int32Array;
  private readonly hot: Int32Array;
  /** Doublings of a batch: one more each time that frees alone fill the lists. */
  private freeFactor = 0;
  private outAtShrink = 0;
  /** Frames in larger blocks that are on the lists, and that were ever freed to them. */
  private inBlocks = 0;
  private freedBlocks = 0;
  /** Where the stacks start, and entries of each. */
  private stacksAt = 0;
  private stackSize = 0;

  constructor(tables: FreeTables, buddy: Buddy, cpu: number) {
    this.tables = tables;
    this.buddy = buddy;
    this.lists = tables.lists;
    this.words = tables.pages.words;
    this.hot = tables.hot;
    this.at = tables.pcpAt(cpu, buddy.zone);
    const number = buddy.zone * tables.nrCpus + cpu;
    this.firstList = tables.firstPcpList + number * NR_PCP_LISTS;
  }

  /** Frames on all lists. */
  get count(): number {
    const { hot, at } = this;
    let n = this.inBlocks;
    for (let stack = at; stack < at + STACKS; stack += STACK_WORDS) {
      n += hot[stack + STACK_TOP] - hot[stack + STACK_BOTTOM];
    }
    return n;
  }
  /** Frames that were handed out from these lists, and that were freed to them. */
  get handedOut(): number {
    return this.appended + this.takenBack - this.returned - this.count;
  }
  get takenBack(): number {
    const { hot, at } = this;
    let n = this.freedBlocks;
    for (let stack = at; stack < at + STACKS; stack += STACK_WORDS) {
      n += hot[stack + STACK_FREED] >>> 0;
    }
    return n;
  }

  /** Sets the limits and where the three stacks lie; the lists are empty. Returns their end. */
  configure(high: number, batch: number, base: number): number {
    assert(this.count === 0, 'per-CPU lists are empty while they are set up');
    this.high = high;
    this.batch = batch;
    this.stacksAt = base;
    this.stackSize = stackWordsOf(high, batch) / MIGRATE_PCPTYPES;
    for (let type = 0; type < MIGRATE_PCPTYPES; type++) {
      const stack = this.at + type * STACK_WORDS;
      this.hot[stack + STACK_TOP] = this.hot[stack + STACK_BOTTOM] = this.startOf(type);
    }
    this.divide(MIGRATE_MOVABLE);
    return base + MIGRATE_PCPTYPES * this.stackSize;
  }

  /** Whether there is no block of this order and type. */
  isEmpty(order: number, type: number): boolean {
    if (order > 0) return this.lists.head[this.firstList + listIndex(order, type)] < 0;
    const stack = this.at + type * STACK_WORDS;
    return this.hot[stack + STACK_TOP] === this.hot[stack + STACK_BOTTOM];
  }

  /** Takes the newest block of a list that is not empty, its flags cleared. */
  pop(order: number, type: number): Pfn {
    let pfn: number;
    if (order === 0) {
      pfn = this.hot[--this.hot[this.at + type * STACK_WORDS + STACK_TOP]];
    } else {
      const list = this.firstList + listIndex(order, type);
      pfn = this.lists.head[list];
      this.lists.remove(list, pfn);
      this.words[pfn * PAGE_RECORD + PAGE_INDEX] = 0;
      this.inBlocks -= 1 << order;
    }
    this.words[pfn * PAGE_RECORD] = 0;
    return pfn as Pfn;
  }

  /**
   * Fills an empty list with `blocks` blocks that `take` gives, the first to be handed out first
   * (rmqueue_bulk()); fewer where it gives NO_PFN.
   */
  refill(order: number, type: number, blocks: number, take: () => Pfn): void {
    const { hot } = this;
    const start = this.startOf(type);
    let n = 0;
    for (; n < blocks; n++) {
      const pfn = take();
      if (pfn < 0) break;
      this.words[pfn * PAGE_RECORD] = PG_pcp;
      if (order === 0) hot[start + blocks - 1 - n] = pfn;
      else {
        this.words[pfn * PAGE_RECORD + PAGE_INDEX] = type;
        this.lists.pushTail(this.firstList + listIndex(order, type), pfn);
      }
    }
    if (order === 0) {
      const stack = this.at + type * STACK_WORDS;
      hot[stack + STACK_TOP] = start + blocks;
      hot[stack + STACK_BOTTOM] = start + blocks - n;
    } else this.inBlocks += n << order;
    this.appended += n << order;
    this.divide(type);
  }

  /** Puts a freed block at the head of its list; gives a batch back when `high` is reached. */
  push(pfn: number, order: number, type: number): void {
    this.words[pfn * PAGE_RECORD] = PG_pcp;
    if (order === 0) {
      const { hot } = this;
      const stack = this.at + type * STACK_WORDS;
      if (hot[stack + STACK_TOP] === this.startOf(type) + this.stackSize) this.moveDown(type);
      hot[hot[stack + STACK_TOP]++] = pfn;
      hot[stack + STACK_FREED]++;
    } else {
      this.words[pfn * PAGE_RECORD + PAGE_INDEX] = type;
      this.lists.pushHead(this.firstList + listIndex(order, type), pfn);
      this.inBlocks += 1 << order;
      this.freedBlocks += 1 << order;
    }
    const index = order === 0 ? type : MIGRATE_PCPTYPES + listIndex(order, type);
    if (order > 0 && order <= COSTLY_ORDER && this.decayedFactor() > 0) {
      this.giveBack(this.count, index); // frees alone, of larger blocks: let them merge
    } else if (this.count >= this.high) this.shrink(index);
    this.divide(type);
  }

  /**
   * `high` was reached: gives a batch back, the larger the longer nothing was taken.
   * @param index of the list that was freed to: the three stacks, then the lists of larger blocks.
   */
  private shrink(index: number): void {
    this.freeFactor = this.decayedFactor();
    this.giveBack(this.batchToFree(), index);
    this.outAtShrink = this.out;
  }

  /** Gives all frames back. */
  drain(): void {
    this.giveBack(this.count, 0);
    this.divide(MIGRATE_MOVABLE);
  }

  /** Divides the room that is left below `high` among the stacks: most of it to that of `type`. */
  private divide(type: number): void {
    const { hot } = this;
    const room = this.high - 1 - this.count; // negative where a refill has passed `high`
    const others = room < 0 ? room : room >> ROOM_SHIFT;
    for (let t = 0; t < MIGRATE_PCPTYPES; t++) {
      const stack = this.at + t * STACK_WORDS;
      const end = this.startOf(t) + this.stackSize;
      const own = t === type && room > 0 ? room - (MIGRATE_PCPTYPES - 1) * others : others;
      hot[stack + STACK_LIMIT] = Math.min(hot[stack + STACK_TOP] + own, end);
    }
  }

  /** Gives at least `nrPages` frames back, the oldest first: list `index`, then those after it. */
  private giveBack(nrPages: number, index: number): void {
    let left = Math.min(nrPages, this.count);
    for (; left > 0; index = (index + 1) % (MIGRATE_PCPTYPES + NR_PCP_LISTS)) {
      left -=
        index < MIGRATE_PCPTYPES ? this.freeSingles(index, left) : this.freeBlocks(index, left);
    }
  }

  /** Gives up to `most` frames of a stack back; how many. */
  private freeSingles(type: number, most: number): number {
    const { hot, words, buddy } = this;
    const stack = this.at + type * STACK_WORDS;
    const bottom = hot[stack + STACK_BOTTOM];
    const end = Math.min(hot[stack + STACK_TOP], bottom + most);
    for (let i = bottom; i < end; i++) {
      words[hot[i] * PAGE_RECORD] = 0;
      buddy.release(hot[i], 0);
    }
    hot[stack + STACK_BOTTOM] = end;
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
    this.inBlocks -= freed;
    this.returned += freed;
    return freed;
  }

  /** Where the stack of a type starts. */
  private startOf(type: number): number {
    return this.stacksAt + type * this.stackSize;
  }

  /** Moves a stack's frames from its end to its start. */
  private moveDown(type: number): void {
    const { hot } = this;
    const start = this.startOf(type);
    const stack = this.at + type * STACK_WORDS;
    const bottom = hot[stack + STACK_BOTTOM];
    const top = hot[stack + STACK_TOP];
    hot.copyWithin(start, bottom, top);
    hot[stack + STACK_BOTTOM] = start;
    hot[stack + STACK_TOP] = start + top - bottom;
  }

  /** Calls `visit` with each block on the lists. */
  forEach(visit: (pfn: Pfn, order: number) => void): void {
    for (let type = 0; type < MIGRATE_PCPTYPES; type++) {
      const stack = this.at + type * STACK_WORDS;
      const top = this.hot[stack + STACK_TOP];
      for (let i = this.hot[stack + STACK_BOTTOM]; i < top; i++) visit(this.hot[i] as Pfn, 0);
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
    let most = this.inBlocks;
    let closed = true;
    for (let type = 0; type < MIGRATE_PCPTYPES; type++) {
      const stack = this.at + type * STACK_WORDS;
      const [top, bottom, limit] = this.hot.subarray(stack, stack + STACK_WORDS);
      const start = this.startOf(type);
      const end = start + this.stackSize;
      assert(start <= bottom && bottom <= top && top <= end, 'stacks are in place');
      assert(limit <= end, 'limits of stacks are in place');
      closed &&= top >= limit;
      most += Math.max(top, limit) - bottom;
    }
    if (!closed && most >= this.high) assert(false, `${most} frames up to the limits of stacks`);
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

  /** Frames ever taken off the lists. */
  private get out(): number {
    return this.handedOut + this.returned;
  }

  /** Each frame taken since has halved the factor (rmqueue_pcplist()). */
  private decayedFactor(): number {
    if (this.freeFactor === 0) return 0;
    return this.freeFactor >> Math.min((this.out - this.outAtShrink) >>> 0, 31);
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

/**
 * Words that the three stacks of a CPU's lists take: each twice what all lists can hold, so that
 * what comes to the end is moved by half of the stack.
 */
export function stackWordsOf(high: number, batch: number): number {
  return MIGRATE_PCPTYPES * 2 * mostFrames(high, batch);
}

function mostFrames(high: number, batch: number): number {
  return high + (MIGRATE_PCPTYPES + NR_PCP_LISTS) * Math.max(batch, 2 << COSTLY_ORDER) + 2048;
}
