// /proc/buddyinfo, /proc/pagetypeinfo and /proc/zoneinfo: the zones as text.
// Source: Linux 6.18 mm/vmstat.c frag_show_print(), pagetypeinfo_show(), zoneinfo_show_print().

import type { BootedMemory } from './boot.ts';
import { pageblocksByType } from './boot_report.ts';
import { PAGEBLOCK_ORDER, PAGEBLOCK_PAGES } from './free_tables.ts';
import { MIGRATE_CMA, MIGRATE_NAMES } from './migrate_type.ts';
import { MAX_ORDER } from './types.ts';
import {
  MAX_NR_ZONES,
  WMARK_HIGH,
  WMARK_LOW,
  WMARK_MIN,
  WMARK_PROMO,
  ZONE_NAMES,
  type Zone,
} from './zone.ts';

const ORDERS = Array.from({ length: MAX_ORDER + 1 }, (_, order) => order);

/** Name and value of a counter. */
export type Counter = readonly [string, number];

/** /proc/buddyinfo: free blocks of each order. */
export function procBuddyinfo(machine: BootedMemory): string {
  return populated(machine)
    .map((zone) => {
      const counts = ORDERS.map((o) => `${String(zone.buddy.nrFree(o)).padStart(6)} `);
      return `Node ${zone.node}, zone ${zone.name.padStart(8)} ${counts.join('')}\n`;
    })
    .join('');
}

/** /proc/pagetypeinfo: free blocks by migrate type, and pageblocks, of one node after the other. */
export function procPagetypeinfo(machine: BootedMemory): string {
  const zones = populated(machine);
  const cma = zones.some((zone) => zone.cma > 0);
  const types = MIGRATE_NAMES.map((_, i) => i).filter((type) => cma || type !== MIGRATE_CMA);
  const nodes = [...new Set(zones.map((zone) => zone.node))];
  return nodes
    .map((node) =>
      pagetypesOfNode(
        machine,
        zones.filter((zone) => zone.node === node),
        types,
      ),
    )
    .join('');
}

function pagetypesOfNode(
  machine: BootedMemory,
  zones: readonly Zone[],
  types: readonly number[],
): string {
  const lines = [
    `Page block order: ${PAGEBLOCK_ORDER}`,
    `Pages per block:  ${PAGEBLOCK_PAGES}`,
    '',
    'Free pages count per migrate type at order ' +
      ORDERS.map((order) => `${String(order).padStart(6)} `).join(''),
  ];
  for (const zone of zones) {
    for (const type of types) {
      const counts = ORDERS.map((o) => `${String(zone.buddy.countOf(o, type)).padStart(6)} `);
      lines.push(
        `Node ${String(zone.node).padStart(4)}, zone ${zone.name.padStart(8)}, ` +
          `type ${MIGRATE_NAMES[type].padStart(12)} ${counts.join('')}`,
      );
    }
  }
  const names = types.map((type) => `${MIGRATE_NAMES[type].padStart(12)} `).join('');
  lines.push('', `Number of blocks type ${names}`);
  for (const zone of zones) {
    const counts = pageblocksByType(machine, zone);
    const columns = types.map((type) => `${String(counts[type]).padStart(12)} `).join('');
    lines.push(`Node ${zone.node}, zone ${zone.name.padStart(8)} ${columns}`);
  }
  return lines.join('\n') + '\n';
}

/**
 * /proc/zoneinfo.
 * @param nodeStats counters of a node, printed with its first populated zone.
 */
export function procZoneinfo(
  machine: BootedMemory,
  nodeStats: (node: number) => readonly Counter[],
): string {
  let text = '';
  for (let node = 0; node < machine.nrNodes; node++) {
    let first = true;
    for (let type = 0; type < MAX_NR_ZONES; type++) {
      const zone = machine.alloc.zones.find((z) => z.node === node && z.type === type);
      text += `Node ${node}, zone ${ZONE_NAMES[type].padStart(8)}\n`;
      if (zone !== undefined && zone.present > 0 && first) {
        first = false;
        text += '  per-node stats\n' + counters(nodeStats(node));
      }
      text += zoneText(machine, zone);
    }
  }
  return text;
}

function zoneText(machine: BootedMemory, zone: Zone | undefined): string {
  const marks = zone === undefined ? [0, 0, 0, 0] : markValues(zone);
  const rows: Counter[] = [
    ['boost', zone?.boost ?? 0],
    ['min', marks[0]],
    ['low', marks[1]],
    ['high', marks[2]],
    ['promo', marks[3]],
    ['spanned', zone?.spanned ?? 0],
    ['present', zone?.present ?? 0],
    ['managed', zone?.managed ?? 0],
    ['cma', zone?.cma ?? 0],
  ];
  const protection = zone === undefined ? [0, 0, 0, 0, 0] : Array.from(zone.protection);
  let text = `  pages free     ${zone?.free ?? 0}\n`;
  for (const [name, value] of rows) text += `        ${name.padEnd(8)} ${value}\n`;
  text += `        protection: (${protection.join(', ')})\n`;
  if (zone === undefined || zone.present === 0) return text;
  text += counters(zoneCounters(machine, zone)) + '  pagesets\n';
  for (const [cpu, pcp] of zone.pcp.entries()) {
    text += `    cpu: ${cpu}\n`;
    text += `              count:    ${pcp.count}\n`;
    text += `              high:     ${pcp.high}\n`;
    text += `              batch:    ${pcp.batch}\n`;
    text += `              high_min: ${pcp.high}\n`;
    text += `              high_max: ${pcp.high}\n`;
    text += `  vm stats threshold: ${zone.statThreshold}\n`;
  }
  return text + `  node_unreclaimable:  0\n  start_pfn:           ${zone.startPfn}\n`;
}

function markValues(zone: Zone): number[] {
  return [WMARK_MIN, WMARK_LOW, WMARK_HIGH, WMARK_PROMO].map((which) => zone.mark(which));
}

/** Counters that a zone keeps itself (enum zone_stat_item and numa_stat_item). */
export function zoneCounters(machine: BootedMemory, zone: Zone): Counter[] {
  const { allocated } = machine.alloc.eventsOf(zone);
  const hit = allocated - zone.numaMiss;
  return [
    ['nr_free_pages', zone.free],
    ['nr_zone_unevictable', 0],
    ['nr_free_cma', zone.buddy.freeCma],
    ['numa_hit', hit],
    ['numa_miss', zone.numaMiss],
    ['numa_foreign', zone.numaForeign],
    ['numa_interleave', 0],
    ['numa_local', hit],
    ['numa_other', zone.numaMiss],
  ];
}

function counters(rows: readonly Counter[]): string {
  return rows.map(([name, value]) => `      ${name.padEnd(12)} ${value}\n`).join('');
}

function populated(machine: BootedMemory): Zone[] {
  return machine.alloc.zones.filter((zone) => zone.present > 0);
}
