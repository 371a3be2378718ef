// What a booted machine's memory looks like, as plain data: zones, watermarks, slab layouts.
// The names are those of /proc/zoneinfo and /proc/slabinfo; zones of a machine's first node come
// under their own name, those of others as `1/Normal`.

import type { BootedMemory } from './boot.ts';
import { PAGEBLOCK_PAGES } from './free_tables.ts';
import type { PfnRange } from './memory_map.ts';
import { MIGRATE_TYPES } from './migrate_type.ts';
import { calculateOrder, orderObjects } from './slab_layout.ts';
import { MAX_NR_ZONES, WMARK_HIGH, WMARK_LOW, WMARK_MIN, ZONE_NAMES, type Zone } from './zone.ts';

export interface ZoneReport {
  readonly start_pfn: number;
  readonly spanned: number;
  readonly present: number;
  readonly managed: number;
  readonly min: number;
  readonly low: number;
  readonly high: number;
  readonly protection: readonly number[];
  readonly pageset: { readonly high: number; readonly batch: number };
  readonly stat_threshold: number;
  readonly pageblocks: number;
}

export interface SlabReport {
  readonly objsize: number;
  readonly objperslab: number;
  readonly pagesperslab: number;
}

/** A zone without pages. */
const EMPTY: ZoneReport = {
  start_pfn: 0,
  spanned: 0,
  present: 0,
  managed: 0,
  min: 0,
  low: 0,
  high: 0,
  protection: [0, 0, 0, 0, 0],
  pageset: { high: 0, batch: 0 },
  stat_threshold: 0,
  pageblocks: 0,
};

/** All zones of all nodes by name, those without pages too. */
export function zoneReports(machine: BootedMemory): Record<string, ZoneReport> {
  const reports: Record<string, ZoneReport> = {};
  for (let node = 0; node < machine.nrNodes; node++) {
    for (let type = 0; type < MAX_NR_ZONES; type++) {
      const zone = machine.alloc.zones.find((z) => z.node === node && z.type === type);
      const name = node === 0 ? ZONE_NAMES[type] : `${node}/${ZONE_NAMES[type]}`;
      reports[name] = zone === undefined ? EMPTY : zoneReport(machine, zone);
    }
  }
  return reports;
}

function zoneReport(machine: BootedMemory, zone: Zone): ZoneReport {
  return {
    start_pfn: zone.startPfn,
    spanned: zone.spanned,
    present: zone.present,
    managed: machine.managedOf(zone),
    min: zone.watermark[WMARK_MIN],
    low: zone.watermark[WMARK_LOW],
    high: zone.watermark[WMARK_HIGH],
    protection: Array.from(zone.protection),
    pageset: { high: zone.pcp[0].high, batch: zone.pcp[0].batch },
    stat_threshold: zone.statThreshold,
    pageblocks: pageblocksByType(machine, zone).reduce((a, b) => a + b, 0),
  };
}

/**
 * Pageblocks by migrate type as pagetypeinfo counts them. Linux steps from the zone's first frame
 * on; a frame counts where its 2 MiB have any RAM and its record is this zone's: one in a hole
 * belongs to the zone of the RAM that follows (memmap_init(), subsection_map_init()).
 */
export function pageblocksByType(machine: BootedMemory, zone: Zone): number[] {
  const { memory } = machine.memblock;
  const counts = new Array<number>(MIGRATE_TYPES).fill(0);
  let i = 0;
  for (let pfn = zone.startPfn; pfn < zone.endPfn; pfn += PAGEBLOCK_PAGES) {
    while (i < memory.length && memory[i].endPfn <= pfn) i++;
    const next = memory.at(i);
    if (next === undefined || next.startPfn > pfn) {
      if (!hasRecord(memory, pfn)) continue;
      const owner = next === undefined ? zone.endPfn - 1 : next.startPfn;
      if (owner < zone.startPfn || owner >= zone.endPfn) continue;
    }
    counts[machine.alloc.tables.typeOf(pfn)]++;
  }
  return counts;
}

/** Whether the 2 MiB that a frame lies in have any RAM. */
function hasRecord(memory: readonly PfnRange[], pfn: number): boolean {
  const first = pfn - (pfn % PAGEBLOCK_PAGES);
  return memory.some((r) => r.startPfn < first + PAGEBLOCK_PAGES && r.endPfn > first);
}

/** How a cache of objects of `objsize` bytes is laid out on a machine of so many CPUs. */
export function slabReport(objsize: number, cpus: number): SlabReport {
  const order = calculateOrder(objsize, cpus);
  return { objsize, objperslab: orderObjects(order, objsize), pagesperslab: 2 ** order };
}
