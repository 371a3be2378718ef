// What happened to the pages of one pool or memory group, counted where Linux counts it.
//
// Every pool of reclaimable pages has an array of these; pools of one group on several nodes share
// theirs. memory.stat of a group shows the sum over it and the groups below; /proc/vmstat the sum
// over all, but for what reclaim on behalf of a group did: that is left out of vmstat's pgscan_*,
// pgsteal_* by reclaimer and pgrefill, as cgroup_reclaim() demands.
// Source: Linux 6.18 mm/memcontrol.c memcg_vm_event_stat[]; mm/vmscan.c shrink_inactive_list(),
// shrink_active_list(); mm/workingset.c workingset_refault().

export const WORKINGSET_REFAULT = 0; // + 1 for file pages
export const WORKINGSET_ACTIVATE = 2;
export const WORKINGSET_RESTORE = 4;
/** Pages that were looked at, by who reclaims: RECLAIM_*. */
export const PGSCAN = 6;
export const PGSTEAL = 9;
export const PGREFILL = 12;
/** Of pgrefill, what no group's limit made necessary. */
export const PGREFILL_GLOBAL = 13;
export const PGACTIVATE = 14;
export const PGDEACTIVATE = 15;
export const PGROTATED = 16;
export const PGLAZYFREE = 17;
export const PGLAZYFREED = 18;
export const PG_SWPIN = 19;
export const PG_SWPOUT = 20;
export const PG_SWPIN_ZERO = 21;
export const PG_SWPOUT_ZERO = 22;
export const PG_ZSWPIN = 23;
export const PG_ZSWPOUT = 24;
export const PG_ZSWPWB = 25;
export const PG_THP_FAULT = 26;
export const PG_THP_COLLAPSE = 27;
export const NR_PAGE_EVENTS = 28;

/** Who reclaims. */
export const RECLAIM_KSWAPD = 0;
export const RECLAIM_DIRECT = 1;
/** Somebody asked for it (memory.reclaim). */
export const RECLAIM_PROACTIVE = 2;

/** Names by index, as in memory.stat. */
export const PAGE_EVENT_NAMES: readonly string[] = `workingset_refault_anon
  workingset_refault_file workingset_activate_anon workingset_activate_file workingset_restore_anon
  workingset_restore_file pgscan_kswapd pgscan_direct pgscan_proactive pgsteal_kswapd
  pgsteal_direct pgsteal_proactive pgrefill pgrefill_global pgactivate pgdeactivate pgrotated
  pglazyfree pglazyfreed pswpin pswpout swpin_zero swpout_zero zswpin zswpout zswpwb
  thp_fault_alloc thp_collapse_alloc`.split(/\s+/);

/** What /proc/vmstat shows of the sum over all pools; the rest is counted for the machine. */
const VMSTAT: readonly (readonly [number, string])[] = [
  ...[0, 1, 2, 3, 4, 5].map((event) => [event, PAGE_EVENT_NAMES[event]] as const),
  [PGREFILL_GLOBAL, 'pgrefill'],
  ...[PGACTIVATE, PGDEACTIVATE, PGROTATED, PGLAZYFREE, PGLAZYFREED].map(
    (event) => [event, PAGE_EVENT_NAMES[event]] as const,
  ),
];

/** Rows of /proc/vmstat of the sum of several pools' events. */
export function* vmstatOf(sum: Float64Array): IterableIterator<[string, number]> {
  for (const [event, name] of VMSTAT) yield [name, sum[event]];
}
