// The slab caches that a kernel has from boot: its own objects, by name and size, and kmalloc's.
//
// Sizes are those of a Linux 6.18 (x86-64, 2 CPUs): bytes from one object to the next, as the
// column objsize of /proc/slabinfo shows them. `flags` say what the memory is for: SLAB_ACCOUNT is
// charged to the memory cgroup, SLAB_RECLAIM can be given back by shrinking (dentries, inodes).
// Source: /proc/slabinfo of Linux 6.18; kernel/fork.c proc_caches_init(), fs/dcache.c, fs/inode.c,
// mm/slab_common.c create_kmalloc_caches().

/** Objects are charged to the memory cgroup of whoever allocates them. */
export const SLAB_ACCOUNT = 1;
/** Slabs are of migrate type Reclaimable and count as SReclaimable. */
export const SLAB_RECLAIM = 2;
/** Objects start at a cache line (SLAB_HWCACHE_ALIGN). */
export const SLAB_HWCACHE = 4;
/** Slabs come from ZONE_DMA. */
export const SLAB_DMA = 8;
/** Freed objects keep their contents until the next RCU grace period (SLAB_TYPESAFE_BY_RCU). */
export const SLAB_TYPESAFE = 16;
/** Never merged with another cache. */
export const SLAB_NO_MERGE = 32;
/** On an allocation that may not reclaim, and so on: the debug options. */
export const SLAB_RED_ZONE = 64;
export const SLAB_POISON = 128;
export const SLAB_STORE_USER = 256;
/** Free pointers are XORed with a secret, and slabs' free lists are in random order. */
export const SLAB_HARDENED = 512;
export const SLAB_RANDOM = 1024;
export const SLAB_DEBUG = SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER;

/** A cache to be made at boot. */
export interface CacheSpec {
  readonly name: string;
  readonly objsize: number;
  readonly flags: number;
}

const A = SLAB_ACCOUNT;
const R = SLAB_RECLAIM;

const KERNEL_CACHES: readonly (readonly [string, number, number])[] = [
  ['kmem_cache', 256, SLAB_NO_MERGE],
  ['kmem_cache_node', 128, SLAB_NO_MERGE],
  ['task_struct', 5888, A],
  ['signal_cache', 1152, A],
  ['sighand_cache', 2112, A | SLAB_TYPESAFE],
  ['files_cache', 704, A],
  ['fs_cache', 64, A],
  ['mm_struct', 1600, A],
  ['vm_area_struct', 192, A | SLAB_TYPESAFE],
  ['maple_node', 256, 0],
  ['anon_vma', 104, A | SLAB_TYPESAFE],
  ['anon_vma_chain', 64, A],
  ['vmap_area', 72, 0],
  ['pid', 192, A],
  ['cred_jar', 192, A],
  ['nsproxy', 72, A],
  ['uts_namespace', 488, A],
  ['user_namespace', 672, A],
  ['task_group', 704, A],
  ['pool_workqueue', 512, 0],
  ['sigqueue', 80, A],
  ['filp', 192, A | SLAB_TYPESAFE],
  ['file_lock_cache', 192, A],
  ['names_cache', 4096, 0],
  ['dentry', 192, A | R],
  ['inode_cache', 624, A | R],
  ['shmem_inode_cache', 752, A | R],
  ['proc_inode_cache', 696, A | R],
  ['sock_inode_cache', 832, A | R],
  ['hugetlbfs_inode_cache', 632, A | R],
  ['ext4_inode_cache', 1128, A | R],
  ['bdev_cache', 1536, A | R],
  ['kernfs_node_cache', 136, 0],
  ['mnt_cache', 384, A],
  ['radix_tree_node', 584, R],
  ['buffer_head', 104, A | R],
  ['proc_dir_entry', 192, A],
  ['seq_file', 120, A],
  ['eventpoll_epi', 128, A],
  ['net_namespace', 4288, 0],
  ['skbuff_head_cache', 256, 0],
  ['TCP', 2368, A],
  ['UDP', 1344, A],
  ['biovec-max', 4096, 0],
  ['request_queue', 984, 0],
  ['blkdev_ioc', 88, 0],
  ['perf_event', 1352, 0],
  ['trace_event_file', 96, 0],
  ['ftrace_event_field', 56, 0],
  ['Acpi-State', 80, 0],
  ['numa_policy', 288, 0],
  ['shared_policy_node', 48, 0],
  ['mm_slot', 40, 0],
  ['khugepaged_mm_slot', 112, 0],
  ['lsm_inode_cache', 32, A],
  ['lsm_file_cache', 24, A],
  ['key_jar', 256, 0],
  ['mem_cgroup', 2240, 0],
];

/** Sizes of a kmalloc family, smallest first (kmalloc_info[]). */
export const KMALLOC_SIZES: readonly number[] = [
  8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192,
];

/** Prefix and flags of each kmalloc family (enum kmalloc_cache_type). */
export const KMALLOC_FAMILIES: readonly (readonly [string, number])[] = [
  ['kmalloc', 0],
  ['kmalloc-rcl', R],
  ['kmalloc-cg', A],
  ['dma-kmalloc', SLAB_DMA],
];

/** `8k` for 8192, `96` for 96. */
export function kmallocSizeName(size: number): string {
  return size >= 1024 ? `${size / 1024}k` : String(size);
}

/** The kernel's own caches in the order in which boot makes them. */
export function kernelCaches(): CacheSpec[] {
  return KERNEL_CACHES.map(([name, objsize, flags]) => ({ name, objsize, flags }));
}

/** The caches of all kmalloc families. */
export function kmallocCaches(): CacheSpec[] {
  return KMALLOC_FAMILIES.flatMap(([prefix, flags]) =>
    KMALLOC_SIZES.map((size) => ({
      name: `${prefix}-${kmallocSizeName(size)}`,
      objsize: size,
      flags,
    })),
  );
}

/** All caches of a kernel that has just booted. */
export function standardCaches(): CacheSpec[] {
  return kernelCaches().concat(kmallocCaches());
}
