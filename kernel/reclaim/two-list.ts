// Linux's classical policy: an active and an inactive list each for anonymous and for file pages.
//
//     fault --> inactive anon --used twice--> active anon          read --> inactive file …
//                 |  oldest, unused                |  oldest, when inactive is short
//                 v                                v
//               victim                       inactive anon
//
// A page is looked at when it reaches the tail of its inactive list. Used for the first time since:
// it goes round again and is noted (PG_referenced). Used and noted, or by several mappings, or as a
// program's code: it becomes active. Otherwise it is a victim.
//
// Refault distance: `age` counts pages that left or became active. A page that goes leaves the age
// as its shadow; when it comes back, the difference is how many more frames it would have needed.
// If that is less than the active pages there are, they are in the wrong place: it starts active.
// How much of each kind is looked at follows from what its reclaim cost lately (anonCost, fileCost:
// writing, and looking at pages in vain) and from swappiness.
// A memory group's lists are judged by figures that are brought up to date every two seconds only
// (memcg rstat): whether inactive pages are few, how large the working set is, whether pages that
// came back were activated. How much is looked at follows from the true lengths.
// Invariants (check()): PG_active is set exactly on the active lists.
// Source: Linux 6.18 mm/vmscan.c: get_scan_count(), shrink_lruvec(), shrink_active_list(),
// folio_check_references(), prepare_scan_control(); mm/swap.c: lru_note_cost(); mm/workingset.c.
// Not modelled: pages isolated by several reclaimers at once, the per-CPU batches before the lists.

import { assert } from '../errors.ts';
import {
  PAGE_RECORD,
  PG_active,
  PG_referenced,
  PG_swapbacked,
  PG_workingset,
  type MemMap,
} from '../page.ts';
import * as event from './page_events.ts';
import {
  SWAP_CLUSTER_MAX,
  USED_EXEC,
  type PolicyContext,
  type ReplacementPolicy,
  type ScanControl,
} from './policy.ts';

export const LRU_INACTIVE_ANON = 0;
export const LRU_ACTIVE_ANON = 1;
export const LRU_INACTIVE_FILE = 2;
export const LRU_ACTIVE_FILE = 3;
const NR_LISTS = 4;
const ANON = 0;
const FILE = 1;

/** Bits of `age` in a shadow; bit 0 says that the page was part of the working set. */
const AGE_BITS = 21;
const AGE_MASK = (1 << AGE_BITS) - 1;

export class TwoList implements ReplacementPolicy {
  readonly name = 'two-list';
  /** First of the four lists, in the order of LRU_*. */
  readonly first: number;
  /** Pages that left or became active (nonresident_age), the low 32 bits. */
  age = 0;
  /** What reclaim of each kind cost, fading. */
  readonly cost = new Float64Array(2);
  /** What happened to the pool's pages (page_events.ts). */
  readonly events: Float64Array;
  /** Pages that came back and started active, by kind. */
  private readonly activated = new Float64Array(2);
  private readonly pages: MemMap;
  readonly lists: PolicyContext['lists'];
  private readonly left = new Float64Array(NR_LISTS);
  private readonly targets = new Float64Array(NR_LISTS);
  private readonly activatedBefore = new Float64Array(2);
  private readonly mayDeactivate = [false, false];
  private cursor = 0;
  private reclaimed = 0;
  private finished = true;
  // what the last batch of victims came to
  private batchKind = ANON;
  private batchScanned = 0;
  private batchReclaimed = 0;
  private batchWritten = 0;
  /** What the figures said when they were last brought up to date: four lengths, `activated`. */
  private readonly flushed = new Float64Array(NR_LISTS + 2);
  /** Figures are always up to date: the lists are not a group's. */
  private readonly exact: boolean;
  /** Set where active pages were spared: the last resort is a round with force. */
  skippedDeactivate = false;
  force = false;

  /** @param exact false for the lists of a memory group: see flushStats(). */
  constructor(context: PolicyContext, exact = true) {
    this.exact = exact;
    this.pages = context.pages;
    this.events = context.events;
    this.lists = context.lists;
    this.first = context.lists.make(NR_LISTS);
  }

  /** Pages on one of the four lists, LRU_*. */
  length(lru: number): number {
    return this.lists.length[this.first + lru];
  }

  /** Brings the figures of a group's lists up to date (mem_cgroup_flush_stats()). */
  flushStats(): void {
    for (let lru = 0; lru < NR_LISTS; lru++) this.flushed[lru] = this.length(lru);
    this.flushed.set(this.activated, NR_LISTS);
  }

  /** Length of a list as the figures have it (lruvec_page_state()). */
  private known(lru: number): number {
    return this.exact ? this.length(lru) : this.flushed[lru];
  }

  private knownActivated(kind: number): number {
    return this.exact ? this.activated[kind] : this.flushed[NR_LISTS + kind];
  }

  get size(): number {
    return this.length(0) + this.length(1) + this.length(2) + this.length(3);
  }

  onAdd(pfn: number, shadow: number): void {
    if (shadow !== 0) this.refault(pfn, shadow);
    this.lists.pushHead(this.first + this.listOf(pfn), pfn);
  }

  onRemove(pfn: number): void {
    this.lists.remove(this.first + this.listOf(pfn), pfn);
  }

  /** The page was used, and its user says so without an entry (mark_page_accessed()). */
  markAccessed(pfn: number): void {
    const flags = this.pages.flags(pfn);
    if ((flags & PG_referenced) === 0) this.pages.setFlags(pfn, PG_referenced);
    else if ((flags & PG_active) === 0) {
      this.onRemove(pfn);
      this.activate(pfn, event.PGACTIVATE);
      this.lists.pushHead(this.first + this.listOf(pfn), pfn);
      this.pages.clearFlags(pfn, PG_referenced);
    }
  }

  /** Moves an active page to the inactive list's head (MADV_COLD, folio_deactivate()). */
  deactivate(pfn: number): void {
    if (!this.pages.hasFlags(pfn, PG_active)) return;
    this.onRemove(pfn);
    this.events[event.PGDEACTIVATE]++;
    this.pages.setFlags(pfn, PG_workingset);
    this.pages.clearFlags(pfn, PG_active | PG_referenced);
    this.lists.pushHead(this.first + this.listOf(pfn), pfn);
  }

  /** Moves a page that was written out to the tail of its inactive list. */
  rotate(pfn: number): void {
    this.onRemove(pfn);
    this.pages.clearFlags(pfn, PG_active);
    this.lists.pushTail(this.first + this.listOf(pfn), pfn);
    this.events[event.PGROTATED]++;
  }

  begin(control: ScanControl): void {
    for (let kind = ANON; kind <= FILE; kind++) {
      this.mayDeactivate[kind] =
        this.force ||
        this.knownActivated(kind) !== this.activatedBefore[kind] ||
        this.inactiveIsLow(kind);
    }
    this.setScanCounts(control);
    this.cursor = 0;
    this.reclaimed = 0;
    this.batchScanned = 0;
    this.finished = false;
  }

  pick(victims: Int32Array, control: ScanControl): number {
    this.settleBatch();
    while (!this.finished) {
      if (this.cursor === NR_LISTS) {
        this.cursor = 0;
        if (this.left[0] + this.left[2] + this.left[3] === 0 || !this.goOn(control)) break;
      }
      const lru = this.cursor++;
      const n = Math.min(this.left[lru], SWAP_CLUSTER_MAX, victims.length);
      if (n === 0) continue;
      this.left[lru] -= n;
      if ((lru & 1) === 0) return this.takeInactive(lru, n, victims, control);
      if (this.mayDeactivate[lru >> 1]) this.shrinkActive(lru, n, control);
      else this.skippedDeactivate = true;
    }
    if (!this.finished && control.maySwap && this.inactiveIsLow(ANON)) {
      this.shrinkActive(LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX, control);
    }
    this.finished = true;
    return -1;
  }

  onKeep(pfn: number): void {
    this.activate(pfn, event.PGACTIVATE);
    this.lists.pushHead(this.first + this.listOf(pfn), pfn);
  }

  onEvict(pfn: number): number {
    const flags = this.pages.flags(pfn);
    this.reclaimed++;
    this.batchReclaimed++;
    if ((flags & PG_swapbacked) !== 0) this.batchWritten++;
    const age = this.age & AGE_MASK;
    this.age = (this.age + 1) | 0;
    return (age << 1) | ((flags & PG_workingset) !== 0 ? 1 : 0) | (1 << (AGE_BITS + 1));
  }

  /**
   * Remembers how many returned pages started active: more by next time means a new working set.
   */
  endReclaim(): void {
    for (let kind = ANON; kind <= FILE; kind++) {
      this.activatedBefore[kind] = this.knownActivated(kind);
    }
    this.force = false;
    this.skippedDeactivate = false;
  }

  /** True where inactive pages of a kind are too few to see use of pages in time. */
  inactiveIsLow(kind: number): boolean {
    const inactive = this.known(2 * kind);
    const active = this.known(2 * kind + 1);
    const gib = Math.floor((inactive + active) / 2 ** 18);
    const ratio = gib > 0 ? Math.floor(Math.sqrt(10 * gib)) : 1;
    return inactive * ratio < active;
  }

  check(): void {
    for (let lru = 0; lru < NR_LISTS; lru++) {
      this.lists.check(this.first + lru, (pfn) => {
        assert(this.listOf(pfn) === lru, `two-list: frame ${pfn} is on list ${lru}`);
      });
    }
  }

  private listOf(pfn: number): number {
    const flags = this.pages.words[pfn * PAGE_RECORD];
    const file = (flags & PG_swapbacked) !== 0 ? 0 : 2;
    return (flags & PG_active) !== 0 ? file + 1 : file;
  }

  private activate(pfn: number, why: number): void {
    this.pages.setFlags(pfn, PG_active);
    this.age = (this.age + 1) | 0;
    this.events[why]++;
  }

  /** A page comes back: was it gone for less than the active pages keep others out? */
  private refault(pfn: number, shadow: number): void {
    const kind = (this.pages.flags(pfn) & PG_swapbacked) !== 0 ? ANON : FILE;
    this.events[event.WORKINGSET_REFAULT + kind]++;
    const distance = ((this.age & AGE_MASK) - ((shadow >> 1) & AGE_MASK)) & AGE_MASK;
    let workingset = this.known(LRU_ACTIVE_FILE);
    if (kind === ANON) workingset += this.known(LRU_INACTIVE_FILE);
    workingset += this.known(LRU_ACTIVE_ANON);
    if (kind === FILE) workingset += this.known(LRU_INACTIVE_ANON);
    if (distance > workingset) return;
    this.activate(pfn, event.WORKINGSET_ACTIVATE + kind);
    this.activated[kind]++;
    if ((shadow & 1) !== 0) {
      this.pages.setFlags(pfn, PG_workingset);
      this.events[event.WORKINGSET_RESTORE + kind]++;
      this.noteCost(kind, SWAP_CLUSTER_MAX);
    }
  }

  /** How much of each list this round looks at (get_scan_count()). */
  private setScanCounts(control: ScanControl): void {
    const { swappiness, priority } = control;
    const total = this.cost[ANON] + this.cost[FILE];
    const anonCost = total + this.cost[ANON];
    const fileCost = total + this.cost[FILE];
    let anon = Math.floor((swappiness * (anonCost + fileCost + 1)) / (anonCost + 1));
    let file = Math.floor(((200 - swappiness) * (anonCost + fileCost + 1)) / (fileCost + 1));
    let denominator = anon + file;
    const trim = Math.floor(this.known(LRU_INACTIVE_FILE) / 2 ** priority) > 0;
    if (!control.maySwap || (!control.global && swappiness === 0)) {
      anon = 0;
      file = denominator = 1;
    } else if (priority === 0 && swappiness > 0) anon = file = denominator = 1;
    else if (trim && !this.mayDeactivate[FILE]) {
      anon = 0;
      file = denominator = 1;
    }
    const share = control.protectedShare ?? 0;
    for (let lru = 0; lru < NR_LISTS; lru++) {
      let scan = this.length(lru);
      if (share > 0) scan = Math.max(scan - Math.floor(scan * share), SWAP_CLUSTER_MAX);
      scan = Math.floor(scan / 2 ** priority);
      this.targets[lru] = Math.floor((scan * (lru < 2 ? anon : file)) / denominator);
      this.left[lru] = this.targets[lru];
    }
  }

  /** After all four lists had a turn: is there more to do, and of what? */
  private goOn(control: ScanControl): boolean {
    const proportional = control.global && control.priority === 12;
    if (this.reclaimed < control.wanted || proportional) return true;
    const anon = this.left[0] + this.left[1];
    const file = this.left[2] + this.left[3];
    if (anon === 0 || file === 0) return false;
    // The smaller rest is dropped, and the larger scaled down by the same part.
    const small = file > anon ? 0 : 2;
    const target = this.targets[small] + this.targets[small + 1] + 1;
    const percent = Math.floor((Math.min(anon, file) * 100) / target);
    this.left[small] = this.left[small + 1] = 0;
    for (let lru = 2 - small; lru < 4 - small; lru++) {
      const seen = this.targets[lru] - this.left[lru];
      const rest = Math.floor((this.targets[lru] * (100 - percent)) / 100);
      this.left[lru] = rest - Math.min(rest, seen);
    }
    return true;
  }

  /** Looks at `n` pages at the tail of an inactive list. @returns how many are victims. */
  private takeInactive(lru: number, n: number, victims: Int32Array, control: ScanControl): number {
    const { lists, pages } = this;
    const list = this.first + lru;
    let found = 0;
    let seen = 0;
    const size = lists.length[list];
    for (; seen < n && seen < size; seen++) {
      const pfn = lists.tail[list];
      lists.remove(list, pfn);
      control.isDirty(pfn);
      const used = control.wasUsed(pfn);
      const entries = used & ~USED_EXEC;
      const noted = pages.hasFlags(pfn, PG_referenced);
      if (entries === 0) {
        pages.clearFlags(pfn, PG_referenced);
        victims[found++] = pfn;
        continue;
      }
      pages.setFlags(pfn, PG_referenced);
      const code = (used & USED_EXEC) !== 0 && lru === LRU_INACTIVE_FILE;
      if (noted || entries > 1 || code) this.activate(pfn, event.PGACTIVATE);
      lists.pushHead(this.first + this.listOf(pfn), pfn);
    }
    this.batchKind = lru >> 1;
    this.batchScanned = seen;
    this.batchReclaimed = 0;
    this.batchWritten = 0;
    return found;
  }

  /** Moves up to `n` pages from an active list's tail to the inactive one; code may stay. */
  private shrinkActive(lru: number, n: number, control: ScanControl): void {
    const { lists, pages } = this;
    const list = this.first + lru;
    let rotated = 0;
    let seen = Math.min(n, lists.length[list]);
    this.events[event.PGREFILL] += seen;
    if (control.global) this.events[event.PGREFILL_GLOBAL] += seen;
    for (; seen > 0; seen--) {
      const pfn = lists.tail[list];
      lists.remove(list, pfn);
      const used = control.wasUsed(pfn);
      if ((used & USED_EXEC) !== 0 && lru === LRU_ACTIVE_FILE) {
        rotated++;
        lists.pushHead(list, pfn);
        continue;
      }
      pages.clearFlags(pfn, PG_active);
      pages.setFlags(pfn, PG_workingset);
      lists.pushHead(list - 1, pfn);
      this.events[event.PGDEACTIVATE]++;
    }
    this.noteCost(lru >> 1, rotated);
  }

  private settleBatch(): void {
    if (this.batchScanned === 0) return;
    const inVain = this.batchScanned - this.batchReclaimed;
    this.noteCost(this.batchKind, this.batchWritten * SWAP_CLUSTER_MAX + inVain);
    this.batchScanned = 0;
  }

  private noteCost(kind: number, cost: number): void {
    if (cost === 0) return;
    this.cost[kind] += cost;
    let pages = 0;
    for (let lru = 0; lru < NR_LISTS; lru++) pages += this.known(lru);
    if (this.cost[ANON] + this.cost[FILE] > Math.floor(pages / 4)) {
      this.cost[ANON] = Math.floor(this.cost[ANON] / 2);
      this.cost[FILE] = Math.floor(this.cost[FILE] / 2);
    }
  }
}

/** Linux's own choice: the figures of a memory group's lists lag, those of the root's do not. */
export function makeTwoList(context: PolicyContext, group: number): TwoList {
  return new TwoList(context, group === 0);
}
