// /proc/meminfo and /proc/vmstat: where all memory is, and what happened to it.
//
// Each frame that the allocator manages is counted once:
//
//     MemTotal = MemFree + per-CPU lists + AnonPages + Cached + SwapCached + Slab + KernelStack
//              + PageTables + what the kernel took in pages (vmalloc, large kmalloc, the zero page)
//
// memoryUse() says all of these; meminfo has no line for the last two, nor for the per-CPU lists.
// Source: Linux 6.18 fs/proc/meminfo.c, mm/show_mem.c si_mem_available(), mm/vmstat.c
// vmstat_text[].

import { directMapBytes } from '../kernel/proc-kernel.ts';
import type { Counter } from '../kernel/proc-zones.ts';
import { zoneCounters } from '../kernel/proc-zones.ts';
import {
  LRU_ACTIVE_ANON,
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
} from '../kernel/reclaim/two-list.ts';
import { PG_reserved, PG_swapcache } from '../kernel/page.ts';
import {
  NR_ANON_MAPPED,
  NR_ANON_THPS,
  NR_FILE_DIRTY,
  NR_FILE_MAPPED,
  NR_FILE_PAGES,
  NR_MLOCK,
  NR_SHMEM,
} from '../kernel/stats.ts';
import { PAGE_SIZE } from '../kernel/types.ts';
import { WMARK_LOW } from '../kernel/zone.ts';
import { commitLimitPages } from './commit.ts';
import { Swap } from './swap.ts';
import type { System } from './system.ts';

/** Frames by use; they add up to `total`. */
export interface MemoryUse {
  readonly total: number;
  readonly free: number;
  /** On per-CPU lists. */
  readonly pcp: number;
  readonly anon: number;
  /** In the page cache, shared memory included. */
  readonly file: number;
  readonly slab: number;
  readonly stacks: number;
  readonly pageTables: number;
  /** What is left: the kernel's own pages, and frames that are referred to but mapped nowhere. */
  readonly other: number;
}

/** Where all frames of the allocator are. */
export function memoryUse(system: System): MemoryUse {
  const { alloc, slab, stat, vmalloc } = system.machine;
  let pcp = 0;
  for (const zone of alloc.zones) for (const cpu of zone.pcp) pcp += cpu.count;
  const use = {
    total: alloc.managedPages,
    free: alloc.freePages,
    pcp,
    anon: stat.node[NR_ANON_MAPPED],
    file: stat.node[NR_FILE_PAGES],
    slab: slab.reclaimablePages + slab.unreclaimablePages,
    stacks: vmalloc.stackPages,
    pageTables: pageTablePages(system),
  };
  const known = use.free + pcp + use.anon + use.file + use.slab + use.stacks + use.pageTables;
  return { ...use, other: use.total - known };
}

function pageTablePages(system: System): number {
  let bytes = 0;
  // an address space's own count has its tables below the root
  for (const mm of system.mms) bytes += mm.pgt.bytes + PAGE_SIZE;
  return bytes / PAGE_SIZE + system.machine.vmalloc.tablePages;
}

/** Frames that a new program could have without swapping (MemAvailable). */
export function availablePages(system: System): number {
  const { alloc, booted, slab, stat } = system.machine;
  let low = 0;
  for (const zone of alloc.zones) low += zone.mark(WMARK_LOW);
  const cache = Math.max(0, stat.node[NR_FILE_PAGES] - stat.node[NR_SHMEM]);
  const reclaimable = slab.reclaimablePages;
  const available =
    alloc.freePages -
    booted.figures.totalReserve +
    (cache - Math.min(Math.floor(cache / 2), low)) +
    (reclaimable - Math.min(Math.floor(reclaimable / 2), low));
  return Math.max(0, available);
}

/** /proc/meminfo. */
export function procMeminfo(system: System): string {
  const { machine } = system;
  const { slab, stat, vmalloc } = machine;
  const use = memoryUse(system);
  const pool = system.swap instanceof Swap ? system.swap.pool : null;
  const locked = stat.node[NR_MLOCK];
  const shmem = stat.node[NR_SHMEM];
  const [inactiveAnon, activeAnon, inactiveFile, activeFile] = lruLengths(system);
  const rows: [string, number][] = [
    ['MemTotal', use.total],
    ['MemFree', use.free],
    ['MemAvailable', availablePages(system)],
    ['Buffers', 0],
    ['Cached', use.file],
    ['SwapCached', swapCached(system)],
    ['Active', activeAnon + activeFile],
    ['Inactive', inactiveAnon + inactiveFile],
    ['Active(anon)', activeAnon],
    ['Inactive(anon)', inactiveAnon],
    ['Active(file)', activeFile],
    ['Inactive(file)', inactiveFile],
    ['Unevictable', locked],
    ['Mlocked', locked],
    ['SwapTotal', system.totalSwapPages],
    ['SwapFree', Math.max(0, system.totalSwapPages - swapUsed(system))],
    ['Zswap', pool?.poolPages ?? 0],
    ['Zswapped', pool?.storedPages ?? 0],
    ['Dirty', stat.node[NR_FILE_DIRTY]],
    ['Writeback', 0],
    ['AnonPages', use.anon],
    ['Mapped', stat.node[NR_FILE_MAPPED]],
    ['Shmem', shmem],
    ['KReclaimable', slab.reclaimablePages],
    ['Slab', use.slab],
    ['SReclaimable', slab.reclaimablePages],
    ['SUnreclaim', slab.unreclaimablePages],
    ['KernelStack', use.stacks],
    ['PageTables', use.pageTables],
    ['SecPageTables', 0],
    ['NFS_Unstable', 0],
    ['Bounce', 0],
    ['WritebackTmp', 0],
    ['CommitLimit', commitLimitPages(system)],
    ['Committed_AS', system.vmCommitted],
    ['VmallocTotal', 34359738367 / 4],
    ['VmallocUsed', vmalloc.nrPages],
    ['VmallocChunk', 0],
    ['Percpu', 0],
    ['AnonHugePages', stat.node[NR_ANON_THPS] * 512],
    ['ShmemHugePages', 0],
    ['ShmemPmdMapped', 0],
    ['FileHugePages', 0],
    ['FilePmdMapped', 0],
  ];
  const text = rows.map(([name, pages]) => line(name, pages * 4, ' kB')).join('');
  const huge = ['Total', 'Free', 'Rsvd', 'Surp'].map((n) => line(`HugePages_${n}`, 0, ''));
  const direct = directMapBytes(machine.booted).map((bytes, i) =>
    line(`DirectMap${['4k', '2M', '1G'][i]}`, bytes / 1024, ' kB'),
  );
  const sizes = line('Hugepagesize', 2048, ' kB') + line('Hugetlb', 0, ' kB');
  return text + huge.join('') + sizes + direct.join('');
}

function line(name: string, value: number, unit: string): string {
  return `${`${name}:`.padEnd(15)} ${String(value).padStart(8)}${unit}\n`;
}

/** Pages of the LRU lists: inactive and active anonymous, inactive and active file pages. */
function lruLengths(system: System): number[] {
  const { lru } = system.machine;
  const lists = [LRU_INACTIVE_ANON, LRU_ACTIVE_ANON, LRU_INACTIVE_FILE, LRU_ACTIVE_FILE];
  return lists.map((list) => lru.length(list));
}

/** Slots in use on all devices. */
function swapUsed(system: System): number {
  if (!(system.swap instanceof Swap)) return 0;
  return system.swap.areas.reduce((sum, area) => sum + (area?.used ?? 0), 0);
}

/** Pages in the swap cache. */
export function swapCached(system: System): number {
  if (system.swap === null) return 0;
  const { pages } = system.machine;
  let n = 0;
  for (let pfn = 0; pfn < pages.nrFrames; pfn++) if (pages.hasFlags(pfn, PG_swapcache)) n++;
  return n;
}

/** /proc/swaps: each device, its size and what of it is used, in KiB. */
export function procSwaps(system: System): string {
  const head = 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n';
  if (!(system.swap instanceof Swap)) return head;
  const tab = (n: number): string => (n < 1e7 ? '\t' : '');
  const rows = system.swap.areas.map((area) => {
    if (area === undefined) return '';
    const [size, used] = [area.usable * 4, area.used * 4];
    const sizes = `${size}\t${tab(size)}${used}\t${tab(used)}`;
    return `${`${area.name} `.padEnd(40)}partition\t${sizes}${area.priority}\n`;
  });
  return head + rows.join('');
}

/** /proc/pressure/memory. */
export function procPressure(system: System): string {
  const { reclaim, trace } = system.machine;
  return reclaim.psi.show(trace.timeNs);
}

/** Counters of one node, as zoneinfo shows them with its first zone. */
export function nodeCounters(system: System, node: number): Counter[] {
  if (node > 0) return []; // counters are kept for the machine, and shown with node 0
  const values = vmstatValues(system);
  return NODE_NAMES.map((name) => [name, values.get(name) ?? 0] as const);
}

/** /proc/vmstat: every name that Linux has, 0 where nothing here counts it. */
export function procVmstat(system: System): string {
  const values = vmstatValues(system);
  return VMSTAT_NAMES.map((name) => `${name} ${values.get(name) ?? 0}\n`).join('');
}

function vmstatValues(system: System): Map<string, number> {
  const { alloc, booted, compaction, slab, stat } = system.machine;
  const values = new Map<string, number>(stat.entries());
  const add = (name: string, n: number): void => {
    values.set(name, (values.get(name) ?? 0) + n);
  };
  for (const name of ['pgalloc', 'pgfree']) values.delete(name);
  for (const zone of alloc.zones) {
    for (const [name, n] of zoneCounters(booted, zone)) add(name, n);
    const { allocated, freed } = alloc.eventsOf(zone);
    add(`pgalloc_${zone.name.toLowerCase()}`, allocated);
    add('pgfree', freed);
  }
  const use = memoryUse(system);
  const locked = stat.node[NR_MLOCK];
  for (const [name, n] of system.machine.lru.counters()) values.set(name, n);
  const { background, limit } = system.writeback.limits();
  values.set('nr_dirty_threshold', limit);
  values.set('nr_dirty_background_threshold', background);
  values.set('nr_unevictable', locked);
  values.set('nr_mlock', locked);
  values.set('nr_slab_reclaimable', slab.reclaimablePages);
  values.set('nr_slab_unreclaimable', slab.unreclaimablePages);
  values.set('nr_kernel_stack', use.stacks * 4);
  values.set('nr_page_table_pages', use.pageTables);
  values.set('nr_swapcached', swapCached(system));
  if (system.swap instanceof Swap) values.set('nr_zspages', system.swap.pool?.poolPages ?? 0);
  values.set('compact_migrate_scanned', compaction.migrateScanned);
  values.set('compact_free_scanned', compaction.freeScanned);
  add('pgmigrate_success', compaction.pagesMigrated);
  add('pgmigrate_fail', compaction.migrateFailed);
  return values;
}

/** Whether a frame is the kernel's own, never to be freed (PG_reserved or an area of boot). */
export function isKernelFrame(system: System, pfn: number): boolean {
  const { booted, pages } = system.machine;
  return pages.hasFlags(pfn, PG_reserved) || booted.memblock.areaOf(pfn) !== undefined;
}

const VMSTAT_NAMES: readonly string[] = `
  nr_free_pages nr_free_pages_blocks nr_zone_inactive_anon nr_zone_active_anon
  nr_zone_inactive_file nr_zone_active_file nr_zone_unevictable nr_zone_write_pending nr_mlock
  nr_zspages nr_free_cma numa_hit numa_miss numa_foreign numa_interleave numa_local numa_other
  nr_inactive_anon nr_active_anon nr_inactive_file nr_active_file nr_unevictable
  nr_slab_reclaimable nr_slab_unreclaimable nr_isolated_anon nr_isolated_file workingset_nodes
  workingset_refault_anon workingset_refault_file workingset_activate_anon
  workingset_activate_file workingset_restore_anon workingset_restore_file
  workingset_nodereclaim nr_anon_pages nr_mapped nr_file_pages nr_dirty nr_writeback nr_shmem
  nr_shmem_hugepages nr_shmem_pmdmapped nr_file_hugepages nr_file_pmdmapped
  nr_anon_transparent_hugepages nr_vmscan_write nr_vmscan_immediate_reclaim nr_dirtied
  nr_written nr_throttled_written nr_kernel_misc_reclaimable nr_foll_pin_acquired
  nr_foll_pin_released nr_kernel_stack nr_page_table_pages nr_sec_page_table_pages
  nr_iommu_pages nr_swapcached pgpromote_success pgpromote_candidate pgpromote_candidate_nrl
  pgdemote_kswapd pgdemote_direct pgdemote_khugepaged pgdemote_proactive nr_hugetlb
  nr_balloon_pages nr_kernel_file_pages nr_dirty_threshold nr_dirty_background_threshold
  nr_memmap_pages nr_memmap_boot_pages pgpgin pgpgout pswpin pswpout pgalloc_dma pgalloc_dma32
  pgalloc_normal pgalloc_movable pgalloc_device allocstall_dma allocstall_dma32
  allocstall_normal allocstall_movable allocstall_device pgskip_dma pgskip_dma32 pgskip_normal
  pgskip_movable pgskip_device pgfree pgactivate pgdeactivate pglazyfree pgfault pgmajfault
  pglazyfreed pgrefill pgreuse pgsteal_kswapd pgsteal_direct pgsteal_khugepaged
  pgsteal_proactive pgscan_kswapd pgscan_direct pgscan_khugepaged pgscan_proactive
  pgscan_direct_throttle pgscan_anon pgscan_file pgsteal_anon pgsteal_file zone_reclaim_success
  zone_reclaim_failed pginodesteal slabs_scanned kswapd_inodesteal kswapd_low_wmark_hit_quickly
  kswapd_high_wmark_hit_quickly pageoutrun pgrotated drop_pagecache drop_slab oom_kill
  numa_pte_updates numa_huge_pte_updates numa_hint_faults numa_hint_faults_local
  numa_pages_migrated pgmigrate_success pgmigrate_fail thp_migration_success thp_migration_fail
  thp_migration_split compact_migrate_scanned compact_free_scanned compact_isolated
  compact_stall compact_fail compact_success compact_daemon_wake compact_daemon_migrate_scanned
  compact_daemon_free_scanned htlb_buddy_alloc_success htlb_buddy_alloc_fail
  unevictable_pgs_culled unevictable_pgs_scanned unevictable_pgs_rescued unevictable_pgs_mlocked
  unevictable_pgs_munlocked unevictable_pgs_cleared unevictable_pgs_stranded thp_fault_alloc
  thp_fault_fallback thp_fault_fallback_charge thp_collapse_alloc thp_collapse_alloc_failed
  thp_file_alloc thp_file_fallback thp_file_fallback_charge thp_file_mapped thp_split_page
  thp_split_page_failed thp_deferred_split_page thp_underused_split_page thp_split_pmd
  thp_scan_exceed_none_pte thp_scan_exceed_swap_pte thp_scan_exceed_share_pte thp_split_pud
  thp_zero_page_alloc thp_zero_page_alloc_failed thp_swpout thp_swpout_fallback balloon_inflate
  balloon_deflate balloon_migrate swap_ra swap_ra_hit swpin_zero swpout_zero ksm_swpin_copy
  cow_ksm zswpin zswpout zswpwb direct_map_level2_splits direct_map_level3_splits
  direct_map_level2_collapses direct_map_level3_collapses nr_unstable
`
  .trim()
  .split(/\s+/);

/** Those that a node keeps, in zoneinfo's order. */
const NODE_NAMES = VMSTAT_NAMES.slice(
  VMSTAT_NAMES.indexOf('nr_inactive_anon'),
  VMSTAT_NAMES.indexOf('nr_dirty_threshold'),
);
