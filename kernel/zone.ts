// A zone: frames of one node that the same allocations may use, with its free lists, watermarks and
// per-CPU lists.
//
//     DMA      below 16 MiB: devices of the ISA bus       Movable  by configuration (movablecore=)
//     DMA32    below 4 GiB: devices with 32-bit addresses   Device   memory of devices, never free
//     Normal   the rest
//
// Three watermarks on the free frames steer reclaim: below `low` kswapd is woken and works until
// `high`; below `min` an ordinary allocation reclaims itself; what lies under `min` is for those
// that free memory or must not wait. `boost` raises all three for a while after a pageblock was
// stolen (steal.ts). An allocation that could have used a higher zone must also leave
// protection[that zone] frames here: memory that only this zone has is not spent on everyone.
//
// Invariants: 0 <= managed <= present <= spanned; min <= low <= high; free <= managed.
// Source: Linux 6.18 include/linux/mmzone.h struct zone, mm/page_alloc.c __zone_watermark_ok().

import { assert } from './errors.ts';
import { Buddy } from './buddy.ts';
import { type FreeTables } from './free_tables.ts';
import { PerCpuPages } from './pcp.ts';
import { MIGRATE_TYPES } from './migrate_type.ts';
import { MAX_ORDER } from './types.ts';

export const ZONE_DMA = 0;
export const ZONE_DMA32 = 1;
export const ZONE_NORMAL = 2;
export const ZONE_MOVABLE = 3;
export const ZONE_DEVICE = 4;
export const MAX_NR_ZONES = 5;

export const ZONE_NAMES: readonly string[] = ['DMA', 'DMA32', 'Normal', 'Movable', 'Device'];

export const WMARK_MIN = 0;
export const WMARK_LOW = 1;
export const WMARK_HIGH = 2;
/** Half way between low and high: where NUMA balancing stops demoting. */
export const WMARK_PROMO = 3;

// ALLOC_*: what one attempt may do (mm/internal.h). The lowest two bits choose a watermark.
export const ALLOC_WMARK_MIN = WMARK_MIN;
export const ALLOC_WMARK_LOW = WMARK_LOW;
export const ALLOC_WMARK_HIGH = WMARK_HIGH;
export const ALLOC_NO_WATERMARKS = 0x04;
export const ALLOC_WMARK_MASK = ALLOC_NO_WATERMARKS - 1;
export const ALLOC_OOM = 0x08;
/** May dip into half of `min` without blocking (__GFP_ATOMIC in old kernels). */
export const ALLOC_NON_BLOCK = 0x10;
export const ALLOC_MIN_RESERVE = 0x20;
export const ALLOC_CMA = 0x80;
export const ALLOC_NOFRAGMENT = 0x100;
export const ALLOC_HIGHATOMIC = 0x200;
export const ALLOC_KSWAPD = 0x800;
/** Any of these may use more than the watermark leaves. */
export const ALLOC_RESERVES = ALLOC_NON_BLOCK | ALLOC_MIN_RESERVE | ALLOC_HIGHATOMIC | ALLOC_OOM;

export class Zone {
  readonly node: number;
  readonly type: number;
  /** Place among all zones of the machine. */
  readonly number: number;
  readonly name: string;
  /** First frame, frames up to the last, those that are RAM, those that the allocator was given. */
  readonly startPfn: number;
  readonly spanned: number;
  readonly present: number;
  managed = 0;
  cma = 0;

  readonly buddy: Buddy;
  readonly pcp: readonly PerCpuPages[];

  /** min, low, high, promo without the boost. */
  readonly watermark = new Int32Array(4);
  boost = 0;
  /** Set with the boost: kswapd is to be woken to reclaim it. */
  boosted = false;
  /** Frames to leave for allocations that could use zones up to the index (lowmem_reserve). */
  readonly protection = new Int32Array(MAX_NR_ZONES);
  /** False on machines too small to keep pageblocks of a type apart. */
  groupByMobility = true;
  /** Frames in pageblocks that are reserved for atomic allocations of higher order. */
  highAtomic = 0;
  /** A CPU's own counter is folded into the zone's when it passes this. */
  statThreshold = 0;

  // what /proc/vmstat and zoneinfo count; the allocator's fast path counts apart
  numaHit = 0;
  numaMiss = 0;
  numaForeign = 0;
  /** Frames handed out by the slow path, frames freed in blocks (see PageAllocator.eventsOf). */
  allocated = 0;
  freed = 0;

  constructor(
    tables: FreeTables,
    number: number,
    span: { node: number; type: number; startPfn: number; spanned: number; present: number },
  ) {
    this.node = span.node;
    this.type = span.type;
    this.number = number;
    this.name = ZONE_NAMES[span.type];
    this.startPfn = span.startPfn;
    this.spanned = span.spanned;
    this.present = span.present;
    this.buddy = new Buddy(tables, number);
    const pcp: PerCpuPages[] = [];
    for (let cpu = 0; cpu < tables.nrCpus; cpu++) {
      pcp.push(new PerCpuPages(tables, this.buddy, cpu));
    }
    this.pcp = pcp;
  }

  /** Free frames, those on per-CPU lists not counted (NR_FREE_PAGES). */
  get free(): number {
    return this.buddy.freePages;
  }

  get endPfn(): number {
    return this.startPfn + this.spanned;
  }

  /** A watermark with the boost. */
  mark(which: number): number {
    return this.watermark[which] + this.boost;
  }

  /**
   * Whether 2^order frames may be taken and `mark` still holds afterwards, and a block of that
   * order exists (__zone_watermark_ok()).
   * @param classzone highest zone that the allocation may use.
   * @param allocFlags ALLOC_* bits.
   */
  watermarkOk(order: number, mark: number, classzone: number, allocFlags: number): boolean {
    const reserves = (allocFlags & ALLOC_RESERVES) !== 0;
    let min = mark;
    let free = this.buddy.freePages - (1 << order) + 1;
    if (!reserves) free -= this.buddy.freeHighAtomic;
    if ((allocFlags & ALLOC_CMA) === 0) free -= this.buddy.freeCma;
    if (reserves) {
      if ((allocFlags & ALLOC_MIN_RESERVE) !== 0) {
        min -= min >> 1;
        if ((allocFlags & ALLOC_NON_BLOCK) !== 0) min -= min >> 2;
      }
      if ((allocFlags & ALLOC_OOM) !== 0) min -= min >> 1;
    }
    if (free <= min + this.protection[classzone]) return false;
    return order === 0 || this.hasBlock(order, allocFlags);
  }

  /** Gives the frames on all per-CPU lists back to the free lists (drain_zone_pages()). */
  drain(): void {
    for (const pcp of this.pcp) pcp.drain();
  }

  /** Throws KernelBug where an invariant does not hold. */
  check(): void {
    const what = `zone ${this.name}`;
    assert(this.managed <= this.present && this.present <= this.spanned, `${what}: page counts`);
    assert(this.watermark[0] <= this.watermark[1], `${what}: min <= low`);
    assert(this.watermark[1] <= this.watermark[2], `${what}: low <= high`);
    this.buddy.check();
    let onLists = 0;
    for (const pcp of this.pcp) {
      pcp.check();
      onLists += pcp.count;
    }
    const free = this.buddy.freePages + onLists;
    assert(free <= this.managed, `${what}: ${free} free of ${this.managed} managed`);
  }

  private hasBlock(order: number, allocFlags: number): boolean {
    const buddy = this.buddy;
    for (let o = order; o <= MAX_ORDER; o++) {
      for (let type = 0; type < MIGRATE_TYPES; type++) {
        if (!buddy.isEmpty(o, type) && mayUse(type, allocFlags)) return true;
      }
    }
    return false;
  }
}

/** Whether an allocation with these flags may take a block of this type at all. */
function mayUse(type: number, allocFlags: number): boolean {
  if (type < 3) return true;
  if (type === 3) return (allocFlags & (ALLOC_HIGHATOMIC | ALLOC_OOM)) !== 0;
  return type === 4 && (allocFlags & ALLOC_CMA) !== 0;
}
