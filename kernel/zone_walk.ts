// Finding frames when the fast path has none: the walk over the zone list, and the slow path.
//
//     find: each zone that stays above `low` afterwards: per-CPU list (refilled), buddy lists
//     slow: wake kswapd; down to `min`, or below for those that must not wait; compaction, direct
//           reclaim, again, as long as there is progress; atomic reserves last
//
// Source: Linux 6.18 mm/page_alloc.c, get_page_from_freelist(), rmqueue(), rmqueue_pcplist(),
// __alloc_pages_slowpath(), should_reclaim_retry().

import { assert } from './errors.ts';
import {
  __GFP_DIRECT_RECLAIM,
  __GFP_HIGH,
  __GFP_KSWAPD_RECLAIM,
  __GFP_MEMALLOC,
  __GFP_NOFAIL,
  __GFP_NOMEMALLOC,
  __GFP_NORETRY,
  __GFP_THISNODE,
} from './gfp.ts';
import { MIGRATE_HIGHATOMIC, MIGRATE_MOVABLE, migrateTypeOf } from './migrate_type.ts';
import { COSTLY_ORDER, isPcpOrder } from './pcp.ts';
import type { MemoryPressure } from './ports.ts';
import { reserveHighAtomic, takeBlock, unreserveHighAtomic } from './steal.ts';
import { HPAGE_PMD_ORDER, MAX_ORDER, NO_PFN, type Pfn } from './types.ts';
import {
  ALLOC_CMA,
  ALLOC_HIGHATOMIC,
  ALLOC_KSWAPD,
  ALLOC_MIN_RESERVE,
  ALLOC_NOFRAGMENT,
  ALLOC_NON_BLOCK,
  ALLOC_NO_WATERMARKS,
  ALLOC_OOM,
  ALLOC_WMARK_LOW,
  ALLOC_WMARK_MASK,
  ALLOC_WMARK_MIN,
  MAX_NR_ZONES,
  ZONE_DMA32,
  ZONE_NORMAL,
  type Zone,
} from './zone.ts';
import { type ZoneLists, gfpZone } from './zonelist.ts';

/** Rounds of reclaim and compaction before an allocation gives up. */
const MAX_RECLAIM_RETRIES = 16;

export class ZoneWalk {
  /** Reclaim, kswapd, compaction: set by the layers that implement them. */
  pressure: MemoryPressure | null = null;
  /** The CPU that allocates, and its node. */
  cpu = 0;
  node = 0;
  /** Allocations that entered the slow path, and direct reclaims (allocstall). */
  nrSlow = 0;
  nrStall = 0;
  private readonly zones: readonly Zone[];
  private readonly lists: ZoneLists;
  private readonly onBoost: () => void;

  /** @param onBoost called when a zone's watermarks were raised. */
  constructor(zones: readonly Zone[], lists: ZoneLists, onBoost: () => void) {
    this.zones = zones;
    this.lists = lists;
    this.onBoost = onBoost;
  }

  find(gfp: number, order: number): Pfn {
    assert(order >= 0 && order <= MAX_ORDER, 'alloc: 0 <= order <= MAX_ORDER');
    const flags = this.firstFlags(gfp);
    const pfn = this.fromZones(gfp, order, flags);
    return pfn >= 0 ? pfn : this.slowPath(gfp, order);
  }

  /** ALLOC_* of the first attempt: down to `low`, and no mixing of pageblocks if avoidable. */
  private firstFlags(gfp: number): number {
    let flags = ALLOC_WMARK_LOW;
    if ((gfp & __GFP_KSWAPD_RECLAIM) !== 0) flags |= ALLOC_KSWAPD;
    if (migrateTypeOf(gfp) === MIGRATE_MOVABLE) flags |= ALLOC_CMA;
    const preferred = this.lists.of(this.node, gfpZone(gfp))[0];
    const below = preferred.number > 0 ? this.zones[preferred.number - 1] : preferred;
    if (
      preferred.type === ZONE_NORMAL &&
      below.type === ZONE_DMA32 &&
      below.node === preferred.node
    )
      flags |= ALLOC_NOFRAGMENT;
    return flags;
  }

  /** Walks the zone list (get_page_from_freelist()). */
  private fromZones(gfp: number, order: number, flags: number): Pfn {
    const classzone = gfpZone(gfp);
    const node = this.node;
    const local = (gfp & __GFP_THISNODE) !== 0;
    const list = this.lists.of(node, classzone);
    for (;;) {
      for (const zone of list) {
        if (local && zone.node !== node) break;
        if ((flags & ALLOC_NO_WATERMARKS) === 0) {
          const mark = zone.mark(flags & ALLOC_WMARK_MASK);
          if (!zone.watermarkOk(order, mark, classzone, flags)) continue;
        }
        const pfn = this.fromZone(zone, gfp, order, flags);
        if (pfn < 0) continue;
        this.countNuma(zone, node);
        return pfn;
      }
      if ((flags & ALLOC_NOFRAGMENT) === 0) return NO_PFN;
      flags &= ~ALLOC_NOFRAGMENT; // mixing is better than failing
    }
  }

  /** One block of a zone, from this CPU's lists or the buddy lists (rmqueue()). */
  private fromZone(zone: Zone, gfp: number, order: number, flags: number): Pfn {
    const type = migrateTypeOf(gfp);
    let pfn = NO_PFN;
    if (isPcpOrder(order) && (order !== HPAGE_PMD_ORDER || type === MIGRATE_MOVABLE)) {
      pfn = this.fromPcp(zone, order, type, flags);
    }
    if (pfn < 0) {
      if ((flags & ALLOC_HIGHATOMIC) !== 0) pfn = zone.buddy.take(order, MIGRATE_HIGHATOMIC);
      if (pfn < 0) pfn = takeBlock(zone, order, type, flags);
      if (pfn < 0 && (flags & (ALLOC_OOM | ALLOC_NON_BLOCK)) !== 0) {
        pfn = zone.buddy.take(order, MIGRATE_HIGHATOMIC);
      }
      if (pfn >= 0) zone.allocated += 1 << order;
    }
    if (pfn >= 0 && order > 0 && (flags & ALLOC_HIGHATOMIC) !== 0) {
      reserveHighAtomic(zone, pfn, order);
      this.onBoost(); // the fast path leaves what is reserved
    }
    if (zone.boosted) this.boosted(zone);
    return pfn;
  }

  private fromPcp(zone: Zone, order: number, type: number, flags: number): Pfn {
    const pcp = zone.pcp[this.cpu];
    if (pcp.isEmpty(order, type)) {
      const batch = pcp.batch > 1 ? Math.max(pcp.batch >> order, 2) : pcp.batch;
      pcp.refill(order, type, batch, () => takeBlock(zone, order, type, flags));
      if (pcp.isEmpty(order, type)) return NO_PFN;
    }
    return pcp.pop(order, type);
  }

  /** A claim raised the watermarks: the fast path must see it and kswapd must work it off. */
  private boosted(zone: Zone): void {
    zone.boosted = false;
    this.onBoost();
    this.pressure?.wakeKswapd(zone, 0, zone.type);
  }

  private countNuma(zone: Zone, wanted: number): void {
    if (zone.node === wanted) zone.numaHit++;
    else {
      zone.numaMiss++;
      this.lists.of(wanted, MAX_NR_ZONES - 1)[0].numaForeign++;
    }
  }

  /** The first attempt failed (__alloc_pages_slowpath()). */
  private slowPath(gfp: number, order: number): Pfn {
    this.nrSlow++;
    const { pressure } = this;
    const mayReclaim = (gfp & __GFP_DIRECT_RECLAIM) !== 0;
    let flags = slowFlags(gfp, order);
    if ((flags & ALLOC_KSWAPD) !== 0) this.wakeKswapds(gfp, order);
    let pfn = this.fromZones(gfp, order, flags);
    if (pfn >= 0) return pfn;
    if ((gfp & __GFP_MEMALLOC) !== 0 && (gfp & __GFP_NOMEMALLOC) === 0)
      flags |= ALLOC_NO_WATERMARKS;
    for (let round = 0; round < MAX_RECLAIM_RETRIES; round++) {
      pfn = this.fromZones(gfp, order, flags);
      if (pfn >= 0 || !mayReclaim || pressure === null) break;
      const progress = this.reclaimOnce(gfp, order, round);
      pfn = this.fromZones(gfp, order, flags);
      if (pfn >= 0) return pfn;
      if (progress === 0 && !this.dropReserves(gfp, true)) break;
      if ((gfp & __GFP_NORETRY) !== 0 || (order > COSTLY_ORDER && round > 0)) break;
    }
    if (pfn < 0 && (gfp & __GFP_NOFAIL) !== 0) pfn = this.fromZones(gfp, order, ALLOC_OOM | flags);
    return pfn;
  }

  /** Compaction for a larger block, then direct reclaim. Returns what progress there was. */
  private reclaimOnce(gfp: number, order: number, round: number): number {
    const pressure = this.pressure;
    if (pressure === null) return 0;
    this.nrStall++;
    for (const zone of this.zones) zone.drain();
    const zones = this.lists.of(this.node, gfpZone(gfp));
    let progress = 0;
    if (order > 0 && round === 0) {
      for (const zone of zones) progress += pressure.compact(zone, order) ? 1 << order : 0;
      if (progress > 0) return progress;
    }
    progress += pressure.reclaim(zones, order, gfp);
    if (order > 0 && progress > 0) for (const zone of zones) pressure.compact(zone, order);
    return progress;
  }

  private dropReserves(gfp: number, force: boolean): boolean {
    const zones = this.lists.of(this.node, gfpZone(gfp));
    for (const zone of zones) {
      if (unreserveHighAtomic(zone, migrateTypeOf(gfp), force)) return true;
    }
    return false;
  }

  private wakeKswapds(gfp: number, order: number): void {
    const { pressure } = this;
    if (pressure === null) return;
    const classzone = gfpZone(gfp);
    for (const zone of this.lists.of(this.node, classzone)) {
      pressure.wakeKswapd(zone, order, classzone);
    }
  }
}

/** ALLOC_* of the slow path: down to `min`, and below for those that must not wait. */
function slowFlags(gfp: number, order: number): number {
  let flags = ALLOC_WMARK_MIN;
  if ((gfp & __GFP_HIGH) !== 0) flags |= ALLOC_MIN_RESERVE;
  if ((gfp & __GFP_KSWAPD_RECLAIM) !== 0) flags |= ALLOC_KSWAPD;
  if ((gfp & __GFP_DIRECT_RECLAIM) === 0) {
    if ((gfp & __GFP_NOMEMALLOC) === 0) {
      flags |= ALLOC_NON_BLOCK;
      if (order > 0 && (gfp & __GFP_HIGH) !== 0) flags |= ALLOC_HIGHATOMIC;
    }
  }
  if (migrateTypeOf(gfp) === MIGRATE_MOVABLE) flags |= ALLOC_CMA;
  return flags;
}
