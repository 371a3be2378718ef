// Watermarks, protection and per-CPU list sizes of all zones, from how much memory there is.
//
//     min_free_kbytes = sqrt(16 * lowmem KiB), 128..262144; with huge pages on, khugepaged raises
//                       it to (2 + 3 * 3) pageblocks a zone, at most 5 % of memory
//     min  = the zone's share of it        low, high = min + 1, 2 * max(min / 4, 0.1 % of the zone)
//     protection[j] = pages in the zones above, up to j / ratio
//     batch = 2^n - 1 around 0.025 % of the zone; high = low / CPUs of the node, at least 4 batches
//
// Source: Linux 6.1 mm/page_alloc.c calculate_min_free_kbytes(), __setup_per_zone_wmarks(),
// setup_per_zone_lowmem_reserve(), zone_batchsize(), zone_highsize(), mm/khugepaged.c
// set_recommended_min_free_kbytes(), mm/vmstat.c calculate_normal_threshold().

import { type FreeTables, PAGEBLOCK_PAGES } from './free_tables.ts';
import { assert } from './errors.ts';
import { MIGRATE_PCPTYPES } from './migrate_type.ts';
import { stackWordsOf } from './pcp.ts';
import {
  MAX_NR_ZONES,
  WMARK_HIGH,
  WMARK_LOW,
  WMARK_MIN,
  WMARK_PROMO,
  ZONE_NORMAL,
  type Zone,
} from './zone.ts';

/** What an administrator can set under /proc/sys/vm. */
export interface VmTunables {
  /** Instead of the computed value; khugepaged still raises it. */
  readonly minFreeKbytes?: number;
  /** Distance between the watermarks in 1/10000 of the zone. */
  readonly watermarkScaleFactor?: number;
  /** By zone type; 0 for no protection. */
  readonly lowmemReserveRatio?: readonly number[];
  /** Transparent huge pages on; off on machines below 512 MiB whatever this says. */
  readonly hugePages?: boolean;
}

/** What the figures of the whole machine came to. */
export interface VmFigures {
  readonly minFreeKbytes: number;
  /** Frames that processes cannot have: protection and high watermarks (totalreserve_pages). */
  readonly totalReserve: number;
  readonly hugePages: boolean;
}

/** sysctl_lowmem_reserve_ratio of x86-64 by zone type. */
export const LOWMEM_RESERVE_RATIO: readonly number[] = [256, 256, 32, 0, 0];
const MIN_FREE_LEAST = 128;
const MIN_FREE_MOST = 262144;
/** Largest batch of a per-CPU list, that of a zone of 1 GiB or more. */
const MOST_BATCH = 63;
/** Below this much memory transparent huge pages stay off (hugepage_init()): 512 MiB. */
const HUGEPAGE_MIN_FRAMES = 2 ** 17;

/** Position of the highest bit, counted from 1; 0 for 0 (fls()). */
export function fls(n: number): number {
  return 32 - Math.clz32(n);
}

/**
 * Sets all zones' watermarks, protection, per-CPU list sizes and counter thresholds.
 * @param managedOf frames a zone has for this purpose.
 * @param cpusOfNode CPUs that are local to each node.
 */
export function setupWatermarks(
  tables: FreeTables,
  zones: readonly Zone[],
  managedOf: (zone: Zone) => number,
  cpusOfNode: readonly number[],
  tunables: VmTunables = {},
): VmFigures {
  const cpus = cpusOfNode.reduce((a, b) => a + b, 0);
  const scale = tunables.watermarkScaleFactor ?? 10;
  let minFreeKbytes = tunables.minFreeKbytes ?? computedMinFree(zones, managedOf);
  setupProtection(zones, managedOf, tunables.lowmemReserveRatio ?? LOWMEM_RESERVE_RATIO);
  setMarks(zones, managedOf, minFreeKbytes, scale);
  const total = zones.reduce((sum, zone) => sum + managedOf(zone), 0);
  const hugePages = (tunables.hugePages ?? true) && total >= HUGEPAGE_MIN_FRAMES;
  if (hugePages) {
    minFreeKbytes = Math.max(minFreeKbytes, khugepagedMinFree(zones, managedOf));
    setMarks(zones, managedOf, minFreeKbytes, scale);
  }
  setPagesets(tables, zones, managedOf, cpusOfNode);
  for (const zone of zones) {
    const size = managedOf(zone) / 2 ** 15; // 128 MiB
    zone.statThreshold = Math.min(125, 2 * fls(cpus) * (1 + fls(Math.floor(size))));
    zone.groupByMobility = total >= PAGEBLOCK_PAGES * 4;
  }
  return { minFreeKbytes, totalReserve: totalReserve(zones, managedOf), hugePages };
}

/** Frames below the high watermark not counted, of zones that GFP_USER may use. */
function freeBufferPages(zones: readonly Zone[], managedOf: (zone: Zone) => number): number {
  let sum = 0;
  for (const zone of zones) {
    if (zone.type > ZONE_NORMAL) continue;
    sum += Math.max(0, managedOf(zone) - zone.mark(WMARK_HIGH));
  }
  return sum;
}

function computedMinFree(zones: readonly Zone[], managedOf: (zone: Zone) => number): number {
  for (const zone of zones) zone.watermark.fill(0);
  const lowmemKbytes = freeBufferPages(zones, managedOf) * 4;
  const root = Math.floor(Math.sqrt(lowmemKbytes * 16));
  return Math.max(MIN_FREE_LEAST, Math.min(MIN_FREE_MOST, root));
}

/** Room for a free pageblock of each type beside one of each other type, in KiB. */
function khugepagedMinFree(zones: readonly Zone[], managedOf: (zone: Zone) => number): number {
  const nrZones = zones.filter((z) => z.type <= ZONE_NORMAL && z.present > 0).length;
  const wanted = PAGEBLOCK_PAGES * nrZones * (2 + MIGRATE_PCPTYPES * MIGRATE_PCPTYPES);
  return Math.min(wanted, Math.floor(freeBufferPages(zones, managedOf) / 20)) * 4;
}

function setMarks(
  zones: readonly Zone[],
  managedOf: (zone: Zone) => number,
  minFreeKbytes: number,
  scale: number,
): void {
  const pagesMin = Math.floor(minFreeKbytes / 4);
  const total = zones.reduce((sum, zone) => sum + managedOf(zone), 0);
  for (const zone of zones) {
    const managed = managedOf(zone);
    const min = total === 0 ? 0 : Math.floor((pagesMin * managed) / total);
    const gap = Math.max(min >> 2, Math.floor((managed * scale) / 10000));
    zone.boost = 0;
    zone.watermark[WMARK_MIN] = min;
    zone.watermark[WMARK_LOW] = min + gap;
    zone.watermark[WMARK_HIGH] = min + 2 * gap;
    zone.watermark[WMARK_PROMO] = min + 3 * gap;
  }
}

function setupProtection(
  zones: readonly Zone[],
  managedOf: (zone: Zone) => number,
  ratios: readonly number[],
): void {
  for (const zone of zones) {
    zone.protection.fill(0);
    const ratio = ratios[zone.type];
    if (ratio === 0 || managedOf(zone) === 0) continue;
    let above = 0;
    for (let type = zone.type + 1; type < MAX_NR_ZONES; type++) {
      const upper = zones.find((z) => z.node === zone.node && z.type === type);
      if (upper !== undefined) above += managedOf(upper);
      zone.protection[type] = Math.floor(above / ratio);
    }
  }
}

/** `high` and `batch` of each CPU's lists, and the stacks of frames that they keep. */
function setPagesets(
  tables: FreeTables,
  zones: readonly Zone[],
  managedOf: (zone: Zone) => number,
  cpusOfNode: readonly number[],
): void {
  let base = tables.stacksAt;
  for (const zone of zones) {
    zone.drain();
    const local = cpusOfNode[zone.node];
    const batch = batchOf(managedOf(zone));
    const high = highOf(zone.mark(WMARK_LOW), local === 0 ? tables.nrCpus : local, batch);
    for (const pcp of zone.pcp) base = pcp.configure(high, batch, base);
  }
  assert(base <= tables.blocksAt, 'there is room for the stacks of frames');
}

/** zone_batchsize() */
function batchOf(managed: number): number {
  const quarter = Math.max(1, Math.min(managed >> 10, 256) >> 2);
  return Math.max(1, (1 << (fls(quarter + (quarter >> 1)) - 1)) - 1);
}

/** zone_highsize() */
function highOf(low: number, cpus: number, batch: number): number {
  return Math.max(Math.floor(low / cpus), batch << 2);
}

/** At most as many words as setupWatermarks() will give to stacks: from the zones' sizes alone. */
export function mostStackWords(
  spans: readonly { readonly node: number; readonly present: number }[],
  cpusOfNode: readonly number[],
  tunables: VmTunables = {},
  managed: Readonly<Record<string, number>> = {},
): number {
  const cpus = cpusOfNode.reduce((a, b) => a + b, 0);
  const khugepaged = PAGEBLOCK_PAGES * spans.length * (2 + MIGRATE_PCPTYPES * MIGRATE_PCPTYPES) * 4;
  const kbytes = Math.max(MIN_FREE_MOST, khugepaged, tunables.minFreeKbytes ?? 0);
  const given = Math.max(0, ...Object.values(managed));
  let words = 0;
  for (const { node, present } of spans) {
    const frames = Math.max(present, given);
    const gap = Math.max(kbytes >> 4, (frames * (tunables.watermarkScaleFactor ?? 10)) / 10000);
    const local = cpusOfNode[node] === 0 ? cpus : cpusOfNode[node];
    words += cpus * stackWordsOf(highOf((kbytes >> 2) + gap, local, MOST_BATCH), MOST_BATCH);
  }
  return words;
}

function totalReserve(zones: readonly Zone[], managedOf: (zone: Zone) => number): number {
  let sum = 0;
  for (const zone of zones) {
    const most = zone.protection.reduce((a, b) => Math.max(a, b), 0);
    sum += Math.min(most + zone.mark(WMARK_HIGH), managedOf(zone));
  }
  return sum;
}
