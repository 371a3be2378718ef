// What the kernel logs of all memory when none is left: the block that begins with `Mem-Info:`.
//
//     Mem-Info:                                     all memory, in pages
//     Node 0 active_anon:0kB inactive_anon:…        a line a node
//     Node 0 DMA32 free:896kB boost:0kB min:…       a line a zone, and its lowmem_reserve[]
//     Node 0 DMA32: 2*4kB (UM) 1*8kB (U) … = 896kB  free blocks a zone, with their migrate types
//     Node 0 hugepages_total=0 …                    then page cache, swap, pages of RAM
//
// Which zone a page of a list is in, its frame says: all frames are looked at once, O(frames).
// Source: Linux 6.18 mm/show_mem.c __show_mem(), show_free_areas(); mm/swap_state.c
// show_swap_cache_info(); mm/hugetlb.c hugetlb_show_meminfo_node().
// Kernel stacks and page tables are counted for the machine, and shown with node 0.

import { MIGRATE_TYPES } from '../kernel/migrate_type.ts';
import {
  PG_active,
  PG_anon,
  PG_dirty,
  PG_lru,
  PG_mlocked,
  PG_swapbacked,
  PG_unevictable,
} from '../kernel/page.ts';
import { HPAGE_PMD_ORDER, MAX_ORDER } from '../kernel/types.ts';
import { WMARK_HIGH, WMARK_LOW, WMARK_MIN, type Zone } from '../kernel/zone.ts';
import { memoryUse, swapCached } from './proc-memory.ts';
import { Swap } from './swap.ts';
import type { System } from './system.ts';

// Columns of what is counted by zone.
const INACTIVE_ANON = 0; // + 1 active, + 2 file
const UNEVICTABLE = 4;
const DIRTY = 5;
const MLOCKED = 6;
const MAPPED = 7;
const SHMEM = 8;
const ANON_THP = 9;
const COLUMNS = 10;

const TYPE_LETTERS = 'UMEHCI';

/** The lines of the block. */
export function showMem(system: System): string[] {
  const { alloc } = system.machine;
  const zones = alloc.zones.filter((zone) => zone.present > 0);
  const counts = zones.map((zone) => countZone(system, zone));
  return [
    'Mem-Info:',
    ...machineLines(system, zones, counts),
    ...nodeLines(system, zones, counts),
    ...zones.flatMap((zone, i) => zoneLines(system, zone, counts[i])),
    ...zones.map(freeLine),
    ...lastLines(system, zones),
  ];
}

/** Pages of one zone by what they are, in the columns above. */
function countZone(system: System, zone: Zone): Float64Array {
  const { pages } = system.machine;
  const count = new Float64Array(COLUMNS);
  for (let pfn = zone.startPfn; pfn < zone.endPfn; pfn++) {
    const flags = pages.flags(pfn);
    if (pages.refcount(pfn) === 0 || pages.head(pfn) !== pfn) continue;
    const order = pages.compoundOrder(pfn);
    const nr = 1 << order;
    if ((flags & PG_unevictable) !== 0) count[UNEVICTABLE] += nr;
    else if ((flags & PG_lru) !== 0) {
      const list = ((flags & PG_swapbacked) !== 0 ? 0 : 2) + ((flags & PG_active) !== 0 ? 1 : 0);
      count[INACTIVE_ANON + list] += nr;
    } else continue;
    if ((flags & PG_mlocked) !== 0) count[MLOCKED] += nr;
    if ((flags & PG_anon) !== 0) {
      if (order === HPAGE_PMD_ORDER && pages.entireMapcount(pfn) > 0) count[ANON_THP] += nr;
      continue;
    }
    if ((flags & PG_swapbacked) !== 0) count[SHMEM] += nr;
    else if ((flags & PG_dirty) !== 0) count[DIRTY] += nr;
    for (let i = 0; i < nr; i++) if (pages.mapcount(pfn + i) > 0) count[MAPPED]++;
  }
  return count;
}

function sum(rows: readonly Float64Array[]): Float64Array {
  const total = new Float64Array(COLUMNS);
  for (const row of rows) row.forEach((n, column) => (total[column] += n));
  return total;
}

function machineLines(
  system: System,
  zones: readonly Zone[],
  counts: readonly Float64Array[],
): string[] {
  const { slab } = system.machine;
  const use = memoryUse(system);
  const c = sum(counts);
  const cma = zones.reduce((n, zone) => n + zone.buddy.freeCma, 0);
  return [
    `active_anon:${c[1]} inactive_anon:${c[0]} isolated_anon:0`,
    ` active_file:${c[3]} inactive_file:${c[2]} isolated_file:0`,
    ` unevictable:${c[UNEVICTABLE]} dirty:${c[DIRTY]} writeback:0`,
    ` slab_reclaimable:${slab.reclaimablePages} slab_unreclaimable:${slab.unreclaimablePages}`,
    ` mapped:${c[MAPPED]} shmem:${c[SHMEM]} pagetables:${use.pageTables}`,
    ' sec_pagetables:0 bounce:0',
    ' kernel_misc_reclaimable:0',
    ` free:${use.free} free_pcp:${use.pcp} free_cma:${cma}`,
  ];
}

/** `name:value` of each with kB behind, from pages. */
function kilobytes(rows: readonly (readonly [string, number])[]): string {
  return rows.map(([name, pages]) => ` ${name}:${pages * 4}kB`).join('');
}

function lists(c: Float64Array): (readonly [string, number])[] {
  return [
    ['active_anon', c[1]],
    ['inactive_anon', c[0]],
    ['active_file', c[3]],
    ['inactive_file', c[2]],
    ['unevictable', c[UNEVICTABLE]],
  ];
}

function nodeLines(
  system: System,
  zones: readonly Zone[],
  counts: readonly Float64Array[],
): string[] {
  const use = memoryUse(system);
  return [...new Set(zones.map((zone) => zone.node))].map((node) => {
    const c = sum(counts.filter((_, i) => zones[i].node === node));
    const first = node === 0 ? 1 : 0;
    const rows = kilobytes([
      ...lists(c),
      ['isolated(anon)', 0],
      ['isolated(file)', 0],
      ['mapped', c[MAPPED]],
      ['dirty', c[DIRTY]],
      ['writeback', 0],
      ['shmem', c[SHMEM]],
      ['shmem_thp', 0],
      ['shmem_pmdmapped', 0],
      ['anon_thp', c[ANON_THP]],
      ['kernel_stack', use.stacks * first],
      ['pagetables', use.pageTables * first],
      ['sec_pagetables', 0],
    ]);
    return `Node ${node}${rows} all_unreclaimable? no Balloon:0kB`;
  });
}

function zoneLines(system: System, zone: Zone, c: Float64Array): string[] {
  const { cpu } = system.machine.alloc.walk;
  const rows = kilobytes([
    ['free', zone.free],
    ['boost', zone.boost],
    ['min', zone.mark(WMARK_MIN)],
    ['low', zone.mark(WMARK_LOW)],
    ['high', zone.mark(WMARK_HIGH)],
    ['reserved_highatomic', zone.highAtomic],
    ['free_highatomic', zone.buddy.freeHighAtomic],
    ...lists(c),
    ['writepending', c[DIRTY]],
    ['zspages', zspages(system, zone)],
    ['present', zone.present],
    ['managed', zone.managed],
    ['mlocked', c[MLOCKED]],
    ['bounce', 0],
    ['free_pcp', zone.pcp.reduce((n, pcp) => n + pcp.count, 0)],
    ['local_pcp', zone.pcp[cpu].count],
    ['free_cma', zone.buddy.freeCma],
  ]);
  return [
    `Node ${zone.node} ${zone.name}${rows}`,
    `lowmem_reserve[]: ${Array.from(zone.protection).join(' ')}`,
  ];
}

/** Frames of the compressed pool in a zone. */
function zspages(system: System, zone: Zone): number {
  if (!(system.swap instanceof Swap)) return 0;
  return system.swap.pool?.poolPagesIn(zone.startPfn, zone.endPfn) ?? 0;
}

/** Free blocks of each order, with the letters of the migrate types that have some. */
function freeLine(zone: Zone): string {
  const { buddy } = zone;
  let text = `Node ${zone.node} ${zone.name}: `;
  let total = 0;
  for (let order = 0; order <= MAX_ORDER; order++) {
    const blocks = buddy.nrFree(order);
    total += blocks << order;
    text += `${blocks}*${4 << order}kB `;
    if (blocks === 0) continue;
    let types = '';
    for (let type = 0; type < MIGRATE_TYPES; type++) {
      if (!buddy.isEmpty(order, type)) types += TYPE_LETTERS[type];
    }
    text += `(${types}) `;
  }
  return `${text}= ${total * 4}kB`;
}

function lastLines(system: System, zones: readonly Zone[]): string[] {
  const nodes = [...new Set(zones.map((zone) => zone.node))];
  const huge = nodes.flatMap((node) =>
    [1048576, 2048].map(
      (kB) =>
        `Node ${node} hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size=${kB}kB`,
    ),
  );
  const ram = zones.reduce((n, zone) => n + zone.present, 0);
  const managed = zones.reduce((n, zone) => n + zone.managed, 0);
  return [
    ...huge,
    `${memoryUse(system).file + swapCached(system)} total pagecache pages`,
    `${swapCached(system)} pages in swap cache`,
    `Free swap  = ${(system.swap?.available ?? 0) * 4}kB`,
    `Total swap = ${system.totalSwapPages * 4}kB`,
    `${ram} pages RAM`,
    '0 pages HighMem/MovableOnly',
    `${ram - managed} pages reserved`,
    `${zones.reduce((n, zone) => n + zone.cma, 0)} pages cma reserved`,
    '0 pages hwpoisoned',
  ];
}
