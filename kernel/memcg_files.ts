// What a memory group shows of itself: the files memory.* of cgroup version 2.
// Source: Linux 6.18 mm/memcontrol.c memory_files[], memory_stats[], memcg_vm_event_stat[];
// Documentation/admin-guide/cgroup-v2.rst.
// Not modelled: of memory.stat what pages alone cannot tell (sockets, percpu, single slab objects):
// those lines are there and say 0.

import type { MemGroup, MemGroups } from './memcg.ts';
import {
  PG_active,
  PG_anon,
  PG_charged,
  PG_dirty,
  PG_head,
  PG_kmem,
  PG_lru,
  PG_swapbacked,
  PG_swapcache,
  PG_table,
  PG_unevictable,
  type MemMap,
} from './page.ts';
import { PAGE_EVENT_NAMES } from './reclaim/page_events.ts';
import type { Lru } from './reclaim/pools.ts';
import { PAGE_SIZE } from './types.ts';

/** What the files are made of. */
export interface GroupMachine {
  readonly pages: MemMap;
  readonly groups: MemGroups | null;
  readonly lru: Lru;
}

/** Name and content of each file. O(frames): memory.stat looks at every page. */
export function memoryFiles(group: MemGroup, machine: GroupMachine): [string, string][] {
  const bytes = (n: number): string => (n === Infinity ? 'max\n' : `${n * PAGE_SIZE}\n`);
  const counts = (of: object): string =>
    Object.entries(of)
      .map(([name, n]) => `${name} ${n}\n`)
      .join('');
  const files: [string, string][] = [['memory.stat', memoryStat(group, machine)]];
  if (group.parent === null) return files; // the root has no limits and no figures of its own
  return [
    ['memory.current', bytes(group.usage)],
    ['memory.peak', bytes(group.peak)],
    ['memory.min', bytes(group.min)],
    ['memory.low', bytes(group.low)],
    ['memory.high', bytes(group.high)],
    ['memory.max', bytes(group.max)],
    ['memory.events', counts(group.events)],
    ['memory.events.local', counts(group.localEvents)],
    ['memory.oom.group', `${group.oomGroup ? 1 : 0}\n`],
    ['memory.swap.current', bytes(group.swapUsage)],
    ['memory.swap.peak', bytes(group.swapPeak)],
    ['memory.swap.max', bytes(group.swapMax)],
    ['memory.swap.events', counts(group.swapEvents)],
    ...files,
  ];
}

/** The names of memory.stat in order: those in bytes, then those that count. */
const SIZES = `anon file kernel kernel_stack pagetables sec_pagetables percpu sock vmalloc shmem
  zswap zswapped file_mapped file_dirty file_writeback swapcached anon_thp file_thp shmem_thp
  inactive_anon active_anon inactive_file active_file unevictable slab_reclaimable
  slab_unreclaimable slab`.split(/\s+/);
const EVENTS = `workingset_refault_anon workingset_refault_file workingset_activate_anon
  workingset_activate_file workingset_restore_anon workingset_restore_file workingset_nodereclaim
  pgdemote_kswapd pgdemote_direct pgdemote_khugepaged pgdemote_proactive pswpin pswpout pgscan
  pgsteal pgscan_kswapd pgscan_direct pgscan_khugepaged pgscan_proactive pgsteal_kswapd
  pgsteal_direct pgsteal_khugepaged pgsteal_proactive pgfault pgmajfault pgrefill pgactivate
  pgdeactivate pglazyfree pglazyfreed swpin_zero swpout_zero zswpin zswpout zswpwb thp_fault_alloc
  thp_collapse_alloc thp_swpout thp_swpout_fallback numa_pages_migrated numa_pte_updates
  numa_hint_faults`.split(/\s+/);

/** memory.stat of the group and those below it. */
function memoryStat(group: MemGroup, machine: GroupMachine): string {
  const { pages, groups } = machine;
  const inside = new Set((groups?.groups ?? []).filter((g) => g.isIn(group)).map((g) => g.id));
  const sum = new Map<string, number>();
  for (let pfn = 0; pfn < pages.nrFrames; pfn++) {
    const flags = pages.flags(pfn);
    if ((flags & PG_charged) === 0 || !inside.has(groups!.groupOf[pfn])) continue;
    const nr = 1 << pages.compoundOrder(pfn);
    for (const use of usesOf(flags, pages.mapcount(pfn) > 0)) {
      sum.set(use, (sum.get(use) ?? 0) + nr);
    }
  }
  const events = eventsWithin(inside, machine.lru);
  events.set('pgfault', group.faults);
  events.set('pgmajfault', group.majorFaults);
  const sizes = SIZES.map((name) => `${name} ${(sum.get(name) ?? 0) * PAGE_SIZE}\n`);
  return [...sizes, ...EVENTS.map((name) => `${name} ${events.get(name) ?? 0}\n`)].join('');
}

/** What happened to the pages of some groups, by name. */
function eventsWithin(inside: ReadonlySet<number>, lru: Lru): Map<string, number> {
  const events = new Map<string, number>();
  for (const id of inside) {
    lru.eventsOf(id).forEach((n, event) => {
      const name = PAGE_EVENT_NAMES[event];
      events.set(name, (events.get(name) ?? 0) + n);
    });
  }
  for (const what of ['pgscan', 'pgsteal']) {
    const by = ['kswapd', 'direct', 'proactive'].map((who) => events.get(`${what}_${who}`) ?? 0);
    events.set(
      what,
      by.reduce((a, b) => a + b, 0),
    );
  }
  return events;
}

/** The lines of memory.stat that a page counts in. */
function usesOf(flags: number, mapped: boolean): string[] {
  if ((flags & PG_kmem) !== 0) {
    return (flags & PG_table) !== 0 ? ['kernel', 'pagetables'] : ['kernel'];
  }
  const uses: string[] = [];
  const anon = (flags & PG_anon) !== 0;
  const backed = (flags & PG_swapbacked) !== 0;
  if (anon) uses.push('anon');
  else {
    uses.push('file');
    if (backed) uses.push('shmem');
    if (mapped) uses.push('file_mapped');
    if ((flags & PG_dirty) !== 0 && !backed) uses.push('file_dirty');
  }
  if ((flags & PG_swapcache) !== 0) uses.push('swapcached');
  if (anon && (flags & PG_head) !== 0) uses.push('anon_thp');
  if ((flags & PG_unevictable) !== 0) uses.push('unevictable');
  else if ((flags & PG_lru) !== 0) {
    const state = (flags & PG_active) !== 0 ? 'active' : 'inactive';
    uses.push(`${state}_${backed ? 'anon' : 'file'}`);
  }
  return uses;
}
