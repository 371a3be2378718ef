// Reclaim: frees frames when they run short, by what the pools' policies pick.
//
//     kswapd          woken below a zone's `low` watermark; works until all are above `high`
//     direct reclaim  an allocation that found nothing frees 32 pages itself
//     a group's       a charge beyond the group's limit frees 32 pages of that group
//     proactive       somebody asks a group for so many pages (memory.reclaim)
//
// All do the same: rounds of rising urgency (priority 12 down to 0). A round asks each pool's
// policy for victims, batch by batch; the upper layer evicts them: takes them out of page tables,
// writes them to swap, or drops them from their file. What could not go is given back.
//
// kswapd is no thread here: it runs at once, on behalf of whoever wakes it.
// Invariant: a page is picked by one reclaim at a time: reclaim does not enter itself.
// Source: Linux 6.18 mm/vmscan.c: do_try_to_free_pages(), shrink_node(), balance_pgdat(),
// shrink_folio_list(), try_to_free_mem_cgroup_pages(). Not modelled: throttling, demotion.

import { GFP_KERNEL } from '../gfp.ts';
import type { MemGroup, MemGroups } from '../memcg.ts';
import { protectionOf } from '../memcg_protection.ts';
import { PG_anon, PG_dirty, PG_lru, PG_mlocked, PG_swapbacked, type MemMap } from '../page.ts';
import { PAGE_IO_NS, Psi, SCAN_NS } from '../psi.ts';
import { EVICT_DIRTY, EVICT_DONE, type Evictor, type MemoryPressure } from '../ports.ts';
import type { Rmap } from '../rmap.ts';
import type { VmStat } from '../stats.ts';
import {
  ALLOCSTALL,
  KSWAPD_LOW_HIT,
  PAGEOUTRUN,
  PGSCAN_ANON,
  PGSCAN_DIRECT,
  PGSCAN_KSWAPD,
  PGSCAN_PROACTIVE,
  PGSTEAL_ANON,
  PGSTEAL_DIRECT,
  PGSTEAL_KSWAPD,
  PGSTEAL_PROACTIVE,
} from '../stats.ts';
import {
  mm_vmscan_direct_reclaim_begin,
  mm_vmscan_direct_reclaim_end,
  mm_vmscan_kswapd_sleep,
  mm_vmscan_kswapd_wake,
  mm_vmscan_lru_shrink_inactive,
  mm_vmscan_memcg_reclaim_begin,
  mm_vmscan_memcg_reclaim_end,
  type Trace,
} from '../trace.ts';
import type { Pfn } from '../types.ts';
import { WMARK_HIGH, type Zone } from '../zone.ts';
import { gfpZone } from '../zonelist.ts';
import {
  PGSCAN,
  PGSTEAL,
  RECLAIM_DIRECT,
  RECLAIM_KSWAPD,
  RECLAIM_PROACTIVE,
} from './page_events.ts';
import type { Lru, Pool } from './pools.ts';
import { DEF_PRIORITY, SWAP_CLUSTER_MAX, USED_EXEC, type ScanControl } from './policy.ts';
import { Shrinkers } from './shrinker.ts';
import { TwoList } from './two-list.ts';

/** What a reclaimer needs of the machine. */
export interface ReclaimContext {
  readonly pages: MemMap;
  readonly rmap: Rmap;
  readonly stat: VmStat;
  readonly trace: Trace;
  readonly zones: readonly Zone[];
}

/** Moves pages to make large blocks. Implemented by compaction. */
export type Compact = (zone: Zone, order: number) => boolean;

/** /proc/vmstat's rows by who reclaims. */
const SCAN_ROWS = [PGSCAN_KSWAPD, PGSCAN_DIRECT, PGSCAN_PROACTIVE];
const STEAL_ROWS = [PGSTEAL_KSWAPD, PGSTEAL_DIRECT, PGSTEAL_PROACTIVE];

/** kswapd naps that long before it sleeps: woken within, `low` was hit quickly. */
const NAP_NS = 1e8;

class Control implements ScanControl {
  priority = DEF_PRIORITY;
  swappiness = 60;
  maySwap = true;
  global = true;
  wanted = SWAP_CLUSTER_MAX;
  protectedShare = 0;
  private readonly context: ReclaimContext;

  constructor(context: ReclaimContext) {
    this.context = context;
  }

  wasUsed(pfn: number): number {
    let used = 0;
    let code = 0;
    this.context.rmap.walk(pfn as Pfn, (space, va) => {
      const how = space.clearYoung(va);
      if (how !== 0) used++;
      code |= how & USED_EXEC;
      return true;
    });
    return used | code;
  }

  /** Pages that the policy asked this of, and those that were dirty, since look() reset it. */
  looked = 0;
  dirty = 0;
  /** The same by kind, in frames. */
  readonly seen = new Float64Array(2);

  /** The next batch begins. */
  look(): void {
    this.looked = this.dirty = this.seen[0] = this.seen[1] = 0;
  }

  /** The policy looks at a page, or it picked a page without a look. */
  see(pfn: number): void {
    const { pages } = this.context;
    this.looked++;
    this.seen[pages.hasFlags(pfn, PG_swapbacked) ? 0 : 1] += 1 << pages.compoundOrder(pfn);
  }

  isDirty(pfn: number): boolean {
    this.see(pfn);
    const flags = this.context.pages.flags(pfn);
    const dirty = (flags & (PG_dirty | PG_swapbacked | PG_anon)) === PG_dirty;
    if (dirty) this.dirty++;
    return dirty;
  }
}

export class Reclaim implements MemoryPressure {
  /** The layer that takes pages out of page tables; nothing can go before there is one. */
  evictor: Evictor | null = null;
  compactor: Compact | null = null;
  /** 0..200, /proc/sys/vm/swappiness. */
  swappiness = 60;
  /** Caches of objects that shrink beside the pages, and the pages that slabs have. */
  readonly shrinkers: Shrinkers;
  slabPages: () => number = () => 0;
  private readonly context: ReclaimContext;
  private readonly lru: Lru;
  private readonly control: Control;
  private readonly victims = new Int32Array(SWAP_CLUSTER_MAX);
  readonly psi = new Psi();
  /** Memory groups, where there are any. */
  groups: MemGroups | null = null;
  /** Pages that memory.low protects are taken too, as nothing else was left; some were spared. */
  private lowReclaim = false;
  private lowSpared = false;
  private running = false;
  private scanned = 0;
  /** Who reclaims (RECLAIM_*), and when kswapd went to sleep last. */
  private who = RECLAIM_DIRECT;
  private sleptNs = -Infinity;

  constructor(context: ReclaimContext, lru: Lru) {
    this.context = context;
    this.lru = lru;
    this.control = new Control(context);
    this.shrinkers = new Shrinkers(context.stat);
  }

  reclaim(list: readonly Zone[], order: number, gfp: number): number {
    const { stat, trace } = this.context;
    if (this.running) return 0;
    stat.counts[ALLOCSTALL + gfpZone(gfp)]++;
    if (trace.on) trace.emit(mm_vmscan_direct_reclaim_begin, order, gfp);
    const wanted = Math.max(SWAP_CLUSTER_MAX, 1 << order);
    let freed = 0;
    this.who = RECLAIM_DIRECT;
    for (const zone of list) {
      const pools = this.lru.pools.filter((pool) => pool.node === zone.node);
      const got = this.rounds(pools, wanted, null, this.swappiness);
      this.psi.stall(this.scanned * SCAN_NS + got * PAGE_IO_NS);
      freed += got;
    }
    if (trace.on) trace.emit(mm_vmscan_direct_reclaim_end, freed);
    return freed;
  }

  /**
   * Frees at least `pages` of a group's own pages, 32 at least. @returns how many.
   * @param asked somebody wrote memory.reclaim; else the group is over a limit.
   */
  reclaimGroup(group: MemGroup, pages: number, asked = false): number {
    const { trace } = this.context;
    if (this.running) return 0;
    this.lru.tick(trace.timeNs);
    if (trace.on) trace.emit(mm_vmscan_memcg_reclaim_begin, 0, GFP_KERNEL);
    const pools = this.lru.pools.filter((pool) => this.groupOf(pool)?.isIn(group));
    const wanted = Math.max(SWAP_CLUSTER_MAX, pages);
    this.who = asked ? RECLAIM_PROACTIVE : RECLAIM_DIRECT;
    const freed = this.rounds(pools, wanted, group, group.swappiness);
    this.psi.stall(this.scanned * SCAN_NS + freed * PAGE_IO_NS);
    if (trace.on) trace.emit(mm_vmscan_memcg_reclaim_end, freed);
    return freed;
  }

  wakeKswapd(zone: Zone, order: number, classzone: number): void {
    const { zones, stat, trace } = this.context;
    if (this.running || this.evictor === null) return;
    const own = zones.filter((z) => z.node === zone.node && z.managed > 0);
    const balanced = (): boolean =>
      own.some((z) => z.free >= z.mark(WMARK_HIGH) + z.protection[classzone]);
    if (balanced()) return;
    stat.counts[PAGEOUTRUN]++;
    if (trace.timeNs - this.sleptNs < NAP_NS) stat.counts[KSWAPD_LOW_HIT]++;
    this.who = RECLAIM_KSWAPD;
    if (trace.on) trace.emit(mm_vmscan_kswapd_wake, zone.node, zone.number, order);
    const pools = this.lru.pools.filter((pool) => pool.node === zone.node);
    for (let priority = DEF_PRIORITY; priority > 0 && !balanced();) {
      const freed = this.round(pools, SWAP_CLUSTER_MAX, null, this.swappiness, priority);
      for (const z of own) z.drain();
      if (freed === 0) priority--;
    }
    this.sleptNs = trace.timeNs;
    if (trace.on) trace.emit(mm_vmscan_kswapd_sleep, zone.node);
  }

  compact(zone: Zone, order: number): boolean {
    return this.compactor?.(zone, order) ?? false;
  }

  /**
   * Rounds of rising urgency until `wanted` pages are free. Where nothing was: a second time with
   * the active pages that were spared, and one with what memory.low protects.
   * @param target the group whose limit it is; null where memory itself is short.
   */
  private rounds(
    pools: readonly Pool[],
    wanted: number,
    target: MemGroup | null,
    swappiness: number,
  ): number {
    let freed = 0;
    let scanned = 0;
    this.lowReclaim = this.lowSpared = false;
    for (;;) {
      for (let priority = DEF_PRIORITY; priority >= 0 && freed < wanted; priority--) {
        freed += this.round(pools, wanted - freed, target, swappiness, priority);
        scanned += this.scanned;
      }
      if (freed > 0) break;
      if (this.spareActive(pools)) continue;
      if (!this.takeLow()) break;
    }
    this.lowReclaim = false;
    for (const { policy } of pools) if (policy instanceof TwoList) policy.endReclaim();
    this.scanned = scanned;
    return freed;
  }

  /** Nothing was freed, and memory.low protected pages: they are not spared any more. */
  private takeLow(): boolean {
    if (!this.lowSpared) return false;
    this.lowSpared = false;
    this.lowReclaim = true;
    return true;
  }

  /** Nothing was freed, and active pages were spared: they are not, in a last try. */
  private spareActive(pools: readonly Pool[]): boolean {
    let any = false;
    for (const { policy } of pools) {
      if (!(policy instanceof TwoList) || !policy.skippedDeactivate || policy.force) continue;
      policy.force = any = true;
    }
    return any;
  }

  private groupOf(pool: Pool): MemGroup | null {
    return this.groups?.groups[pool.group] ?? null;
  }

  /** One round over all pools. @returns pages freed; `scanned` is set. */
  private round(
    pools: readonly Pool[],
    wanted: number,
    target: MemGroup | null,
    swappiness: number,
    priority: number,
  ): number {
    const { control, evictor } = this;
    this.scanned = 0;
    if (evictor === null) return 0;
    this.running = true;
    let freed = 0;
    control.priority = priority;
    control.wanted = wanted;
    control.global = target === null;
    control.swappiness = swappiness;
    for (const pool of pools) {
      const group = this.groupOf(pool);
      if (group !== null && !this.mayReclaim(group, target)) continue;
      control.maySwap = evictor.swapFree() > 0 && (group === null || group.swapRoom > 0);
      freed += this.shrinkPool(pool, evictor);
    }
    if (target === null) freed += this.shrinkSlabs(priority);
    this.running = false;
    return freed;
  }

  /** Does its protection let pages of a group go? Sets the part of them that does not count. */
  private mayReclaim(group: MemGroup, target: MemGroup | null): boolean {
    const { control, groups } = this;
    control.protectedShare = 0;
    if (groups === null) return true;
    const { min, low } = protectionOf(group, target ?? groups.root, groups.recursiveProtection);
    if (min === 0 && low === 0) return true;
    if (group.usage <= min) return false;
    if (group.usage <= low) {
      if (!this.lowReclaim) {
        this.lowSpared = true;
        return false;
      }
      group.count('low');
    }
    if (!this.lowReclaim && low > min) this.lowSpared = true;
    const kept = !this.lowReclaim && low > min ? low : min;
    control.protectedShare = kept / (Math.max(group.usage, kept) + 1);
    return true;
  }

  private shrinkPool({ policy, node, events }: Pool, evictor: Evictor): number {
    const { pages, stat, trace } = this.context;
    const { control, victims } = this;
    let freed = 0;
    policy.begin(control);
    for (;;) {
      control.look();
      const n = policy.pick(victims, control);
      if (n < 0) break;
      for (let i = 0; i < n; i++) pages.clearFlags(victims[i], PG_lru);
      if (control.looked < n) {
        control.look();
        for (let i = 0; i < n; i++) control.see(victims[i]);
      }
      this.countScan(events);
      let gone = 0;
      let left = 0;
      for (let i = 0; i < n; i++) {
        const pfn = victims[i] as Pfn;
        const file = pages.hasFlags(pfn, PG_swapbacked) ? 0 : 1;
        const nr = 1 << pages.compoundOrder(pfn);
        const result = evictor.evict(pfn);
        if (result === EVICT_DIRTY) left++;
        if (result === EVICT_DONE) {
          gone += nr;
          stat.counts[PGSTEAL_ANON + file] += nr;
        } else if (!pages.hasFlags(pfn, PG_mlocked)) {
          policy.onKeep(pfn);
          pages.setFlags(pfn, PG_lru);
        }
      }
      freed += gone;
      events[PGSTEAL + this.who] += gone;
      if (control.global) stat.counts[STEAL_ROWS[this.who]] += gone;
      const { looked } = control;
      this.scanned += looked;
      this.wakeFlusher(evictor, looked, Math.max(left, control.dirty));
      if (trace.on) trace.emit(mm_vmscan_lru_shrink_inactive, node, looked, gone);
    }
    return freed;
  }

  /** Counts the pages that a batch looked at; vmstat knows no reclaimer where a limit made it. */
  private countScan(events: Float64Array): void {
    const { seen, global } = this.control;
    const { counts } = this.context.stat;
    const nr = seen[0] + seen[1];
    events[PGSCAN + this.who] += nr;
    if (global) counts[SCAN_ROWS[this.who]] += nr;
    counts[PGSCAN_ANON] += seen[0];
    counts[PGSCAN_ANON + 1] += seen[1];
  }

  /** All that was looked at is dirty: the flusher writes, and reclaim waits for it. */
  private wakeFlusher(evictor: Evictor, looked: number, dirty: number): void {
    if (dirty > 0 && dirty === looked) evictor.writeDirty();
  }

  /** Caches of objects give up their share of a round. @returns pages that slabs gave back. */
  private shrinkSlabs(priority: number): number {
    const before = this.slabPages();
    if (this.shrinkers.shrink(priority) === 0) return 0;
    return Math.max(0, before - this.slabPages());
  }
}
