// Which pages can be reclaimed: every page that a process or a file may give up is on the lists of
// one pool, and each pool has a policy of its own.
//
//     pool = (node, memory group)       pool 0: node 0, no group
//     add --> policy lists (PG_lru) --> pick --> evict or keep        reclaim.ts
//     mlock --> off the lists (PG_unevictable)
//
// Invariants (check()): a page on a policy's list has PG_lru, and no page that is off the lists has
// it but tails of compound pages; free pages are never on a list.
// Source: Linux 6.18 mm/swap.c: folio_add_lru(), lru_add(); include/linux/mmzone.h struct lruvec.
// Not modelled: per-CPU batches; an unevictable list (such pages are only marked).

import { assert } from '../errors.ts';
import { PageLists } from '../list.ts';
import {
  PAGE_FLAGS,
  PAGE_RECORD,
  PG_active,
  PG_lru,
  PG_mlocked,
  PG_referenced,
  PG_unevictable,
  type MemMap,
} from '../page.ts';
import type { Prng } from '../prng.ts';
import { NR_PAGE_EVENTS, vmstatOf } from './page_events.ts';
import type { MakePolicy, PolicyContext, ReplacementPolicy } from './policy.ts';
import { TwoList, makeTwoList } from './two-list.ts';

/** A pool of pages that compete for frames. */
export interface Pool {
  readonly node: number;
  readonly group: number;
  readonly policy: ReplacementPolicy;
  /** What happened to its pages (page_events.ts), with all other pools of its group. */
  readonly events: Float64Array;
}

/** Time between two updates of the groups' figures (mm/memcontrol.c FLUSH_TIME). */
const FLUSH_NS = 2e9;

export class Lru {
  readonly pools: Pool[] = [];
  private readonly pages: MemMap;
  private readonly words: Int32Array;
  private readonly context: Omit<PolicyContext, 'events'>;
  /** Events by group. */
  private readonly events: Float64Array[] = [];
  private readonly make: MakePolicy;
  /** Where all pages are in one pool, its policy. */
  private only: ReplacementPolicy;
  private readonly nodeOf: ((pfn: number) => number) | null;
  private groupOf: Uint16Array | null = null;
  private flushedNs = 0;
  private shadowPfn = -1;
  private shadow = 0;

  /**
   * @param nodeOf the node of a frame; null where there is only one.
   * @param make the policy of every pool.
   */
  constructor(
    pages: MemMap,
    nodeOf: ((pfn: number) => number) | null,
    make: MakePolicy = makeTwoList,
    prng: Prng = () => 0.5,
  ) {
    this.pages = pages;
    this.words = pages.words;
    this.nodeOf = nodeOf;
    this.make = make;
    this.context = {
      pages,
      lists: PageLists.ofFrames(pages),
      note: new Uint8Array(pages.nrFrames),
      prng,
    };
    this.only = this.pool(0, 0).policy;
  }

  /** From now on pages belong to the pool of their group. @param groupOf group by frame. */
  useGroups(groupOf: Uint16Array): void {
    this.groupOf = groupOf;
  }

  /** The pool of a node and a group, made if need be. */
  pool(node: number, group: number): Pool {
    let pool = this.pools.find((p) => p.node === node && p.group === group);
    if (pool === undefined) {
      const events = this.eventsOf(group);
      pool = { node, group, events, policy: this.make({ ...this.context, events }, group) };
      this.pools.push(pool);
    }
    return pool;
  }

  /** What happened to the pages of a group, without those below it (page_events.ts). */
  eventsOf(group: number): Float64Array {
    return (this.events[group] ??= new Float64Array(NR_PAGE_EVENTS));
  }

  /** Counts an event for the group of a page. */
  count(pfn: number, event: number, n = 1): void {
    this.eventsOf(this.groupOf === null ? 0 : this.groupOf[pfn])[event] += n;
  }

  /** Brings the groups' figures up to date if it is time (flush_memcg_stats_dwork()). */
  tick(nowNs: number): void {
    if (nowNs - this.flushedNs < FLUSH_NS) return;
    this.flushedNs = nowNs;
    this.flushStats();
  }

  /** Brings the groups' figures up to date: somebody reads them. */
  flushStats(): void {
    for (const { policy } of this.pools) if (policy instanceof TwoList) policy.flushStats();
  }

  /** The policy that decides about a page. */
  policyOf(pfn: number): ReplacementPolicy {
    if (this.groupOf === null && this.nodeOf === null) return this.only;
    const node = this.nodeOf === null ? 0 : this.nodeOf(pfn);
    return this.pool(node, this.groupOf === null ? 0 : this.groupOf[pfn]).policy;
  }

  /** A page that can be reclaimed from now on: the head, of a compound one. */
  add(pfn: number): void {
    const at = pfn * PAGE_RECORD + PAGE_FLAGS;
    const flags = this.words[at];
    if ((flags & (PG_lru | PG_mlocked | PG_unevictable)) !== 0) return;
    let shadow = 0;
    if (this.shadowPfn === pfn) {
      shadow = this.shadow;
      this.shadowPfn = -1;
    }
    this.words[at] = flags | PG_lru;
    if (this.groupOf === null && this.nodeOf === null) this.only.onAdd(pfn, shadow);
    else this.policyOf(pfn).onAdd(pfn, shadow);
  }

  /** The page is to be freed, or locked, or changes its kind: off its list. */
  remove(pfn: number): void {
    const at = pfn * PAGE_RECORD + PAGE_FLAGS;
    if ((this.words[at] & PG_lru) === 0) return;
    this.policyOf(pfn).onRemove(pfn);
    this.words[at] &= ~(PG_lru | PG_active);
  }

  /** The page that the next add() brings back left this shadow when it went. */
  refault(pfn: number, shadow: number): void {
    this.shadowPfn = pfn;
    this.shadow = shadow;
  }

  /** The page's content leaves memory now. @returns the shadow to remember in its place. */
  evicted(pfn: number): number {
    return this.policyOf(pfn).onEvict(pfn);
  }

  /** Marks use of a page that no entry shows: read(2) and the like. */
  markAccessed(pfn: number): void {
    if (!this.pages.hasFlags(pfn, PG_lru)) return;
    const policy = this.policyOf(pfn);
    if (policy instanceof TwoList) policy.markAccessed(pfn);
    else this.pages.setFlags(pfn, PG_referenced);
  }

  /** The page was written after reclaim met it dirty: it goes first (folio_rotate_reclaimable()). */
  rotate(pfn: number): void {
    if (!this.pages.hasFlags(pfn, PG_lru)) return;
    const policy = this.policyOf(pfn);
    if (policy instanceof TwoList) policy.rotate(pfn);
  }

  /** The page is not needed soon (MADV_COLD). */
  deactivate(pfn: number): void {
    if (!this.pages.hasFlags(pfn, PG_lru)) return;
    const policy = this.policyOf(pfn);
    if (policy instanceof TwoList) policy.deactivate(pfn);
  }

  /** What /proc/vmstat says of the lists and of pages that came back, all pools together. */
  *counters(): IterableIterator<[string, number]> {
    const names = ['inactive_anon', 'active_anon', 'inactive_file', 'active_file'];
    for (const [lru, name] of names.entries()) yield [`nr_${name}`, this.length(lru)];
    const sum = new Float64Array(NR_PAGE_EVENTS);
    // a group that had no pages yet has none
    this.events.forEach((events) => events.forEach((n, event) => (sum[event] += n)));
    yield* vmstatOf(sum);
  }

  /** Pages on one LRU_* list of all two-list pools; O(pages), for /proc. */
  length(lru: number): number {
    let n = 0;
    for (const { policy } of this.pools) {
      if (policy instanceof TwoList) {
        const list = policy.first + lru;
        for (let pfn = this.context.lists.head[list]; pfn >= 0;) {
          n += 1 << this.pages.compoundOrder(pfn);
          pfn = this.context.lists.next(pfn);
        }
      } else if (lru === 0) n += policy.size;
    }
    return n;
  }

  /** Throws KernelBug where a list is broken or a page's marks are wrong. */
  check(): void {
    let listed = 0;
    for (const { policy } of this.pools) {
      policy.check();
      listed += policy.size;
    }
    let marked = 0;
    const { words } = this;
    for (let pfn = 0; pfn < this.pages.nrFrames; pfn++) {
      const flags = words[pfn * PAGE_RECORD];
      if ((flags & PG_lru) === 0 || this.pages.head(pfn) !== pfn) continue;
      marked++;
      assert(this.pages.refcount(pfn) > 0, `frame ${pfn} is free and on an LRU list`);
    }
    assert(marked === listed, `LRU: ${listed} pages on lists, ${marked} marked`);
  }
}
