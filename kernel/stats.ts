// Event counters, named as in /proc/vmstat: one array, indexed by the constants below.
// Source: Linux 6.18 include/linux/vm_event_item.h, mm/vmstat.c (vmstat_text).

export const PGFAULT = 0;
export const PGMAJFAULT = 1;
export const PGALLOC = 2;
export const PGFREE = 3;
export const PGPGIN = 4;
export const PGPGOUT = 5;
export const PSWPIN = 6;
export const PSWPOUT = 7;
export const THP_FAULT_ALLOC = 8;
export const THP_COLLAPSE_ALLOC = 9;
export const THP_SPLIT_PMD = 10;
export const THP_ZERO_PAGE_ALLOC = 11;
export const UNEVICTABLE_PGMLOCKED = 12;
export const UNEVICTABLE_PGMUNLOCKED = 13;
export const NR_TLB_REMOTE_FLUSH = 14;
export const NR_TLB_LOCAL_FLUSH_ALL = 15;
export const NR_TLB_LOCAL_FLUSH_ONE = 16;
export const OOM_KILL = 17;
export const PGSCAN_KSWAPD = 18;
export const PGSCAN_DIRECT = 19;
export const PGSTEAL_KSWAPD = 20;
export const PGSTEAL_DIRECT = 21;
export const PGSCAN_PROACTIVE = 22;
/** kswapd set to work. */
export const PAGEOUTRUN = 23;
export const NR_VMSCAN_WRITE = 24;
export const NR_VMSCAN_IMMEDIATE = 25;
export const NR_DIRTIED = 26;
export const NR_WRITTEN = 27;
export const PGSCAN_ANON = 28;
export const PGSCAN_FILE = 29;
export const PGSTEAL_ANON = 30;
export const PGSTEAL_FILE = 31;
export const PGSTEAL_PROACTIVE = 32;
export const SWAP_RA = 33;
export const SWAP_RA_HIT = 34;
export const SWPIN_ZERO = 35;
export const SWPOUT_ZERO = 36;
export const KSM_SWPIN_COPY = 37;
export const COW_KSM = 38;
export const ZSWPIN = 39;
export const ZSWPOUT = 40;
export const ZSWPWB = 41;
export const SLABS_SCANNED = 42;
export const KSWAPD_LOW_HIT = 43;
/** Direct reclaims, by the type of the highest zone that would do: + ZONE_DMA .. ZONE_MOVABLE. */
export const ALLOCSTALL = 44;

const NAMES: readonly string[] = [
  'pgfault',
  'pgmajfault',
  'pgalloc',
  'pgfree',
  'pgpgin',
  'pgpgout',
  'pswpin',
  'pswpout',
  'thp_fault_alloc',
  'thp_collapse_alloc',
  'thp_split_pmd',
  'thp_zero_page_alloc',
  'unevictable_pgs_mlocked',
  'unevictable_pgs_munlocked',
  'nr_tlb_remote_flush',
  'nr_tlb_local_flush_all',
  'nr_tlb_local_flush_one',
  'oom_kill',
  'pgscan_kswapd',
  'pgscan_direct',
  'pgsteal_kswapd',
  'pgsteal_direct',
  'pgscan_proactive',
  'pageoutrun',
  'nr_vmscan_write',
  'nr_vmscan_immediate_reclaim',
  'nr_dirtied',
  'nr_written',
  'pgscan_anon',
  'pgscan_file',
  'pgsteal_anon',
  'pgsteal_file',
  'pgsteal_proactive',
  'swap_ra',
  'swap_ra_hit',
  'swpin_zero',
  'swpout_zero',
  'ksm_swpin_copy',
  'cow_ksm',
  'zswpin',
  'zswpout',
  'zswpwb',
  'slabs_scanned',
  'kswapd_low_wmark_hit_quickly',
  'allocstall_dma',
  'allocstall_dma32',
  'allocstall_normal',
  'allocstall_movable',
];

// Pages by use, as /proc/meminfo and /proc/vmstat count them (enum node_stat_item).
export const NR_ANON_MAPPED = 0;
export const NR_FILE_PAGES = 1;
export const NR_FILE_MAPPED = 2;
export const NR_SHMEM = 3;
export const NR_PAGETABLE = 4;
export const NR_MLOCK = 5;
export const NR_ANON_THPS = 6;
export const NR_FILE_DIRTY = 7;
export const NR_KERNEL_STACK_KB = 8;

const NODE_NAMES: readonly string[] = [
  'nr_anon_pages',
  'nr_file_pages',
  'nr_mapped',
  'nr_shmem',
  'nr_page_table_pages',
  'nr_mlock',
  'nr_anon_transparent_hugepages',
  'nr_dirty',
  'nr_kernel_stack',
];

/** Counters of one machine. Exact to 2^53. */
export class VmStat {
  readonly counts = new Float64Array(NAMES.length);
  /** Pages in use now, by NR_*. */
  readonly node = new Float64Array(NODE_NAMES.length);

  /** Name in /proc/vmstat and value of every counter. */
  *entries(): IterableIterator<[string, number]> {
    for (let i = 0; i < NODE_NAMES.length; i++) yield [NODE_NAMES[i], this.node[i]];
    for (let i = 0; i < NAMES.length; i++) yield [NAMES[i], this.counts[i]];
  }
}
