// The kernel's own objects behind processes and mappings: what each takes from the slab caches.
//
//     a task      task_struct, pid, cred_jar, a 16 KiB stack;  the first of a process also
//                 signal_cache, sighand_cache;  with descriptors of its own files_cache, fs_cache
//     a space     mm_struct          a mapping   vm_area_struct, and an anon_vma_chain for each
//     a family    anon_vma                       anonymous family that it is linked to
//     an open file  filp, lsm_file_cache
//     an inode    ext4_inode_cache or shmem_inode_cache, lsm_inode_cache
//     a name      dentry, see dentry-cache.ts
//     cached pages  radix_tree_node, see kernel/radix_nodes.ts
//
// They are allocated and freed where Linux does it, so /proc/slabinfo moves with what processes do
// and their memory is gone from MemFree. Contents are not written: what Linux keeps in them lies in
// our own tables.
// Source: Linux 6.18 kernel/fork.c dup_task_struct(), copy_process(), proc_caches_init(),
// mm/rmap.c.
// Not modelled: maple nodes, the xarray of swap entries, directories.

import { Kmalloc } from '../kernel/kmalloc.ts';
import type { Machine } from '../kernel/machine.ts';
import type { SlabCache } from '../kernel/slab.ts';
import type { PhysAddr, VirtAddr } from '../kernel/types.ts';
import { DentryCache } from './dentry-cache.ts';
import type { Inode } from './file.ts';

/** Objects with the caches that they came from. */
export type ObjectList = readonly (readonly [SlabCache, PhysAddr])[];

/** What a task has of the kernel's memory. */
export interface TaskObjects {
  readonly objects: ObjectList;
  readonly stack: VirtAddr;
}

export class KernelObjects {
  readonly kmalloc: Kmalloc;
  readonly vma: SlabCache;
  readonly mm: SlabCache;
  readonly anonVma: SlabCache;
  readonly anonVmaChain: SlabCache;
  readonly radixNode: SlabCache;
  private readonly machine: Machine;
  private readonly ofFile: readonly SlabCache[];
  private readonly ofMemoryFile: readonly SlabCache[];
  /** Names and inodes of files on disk. */
  readonly dentries: DentryCache;

  /** @param files all files that have a name. */
  constructor(machine: Machine, files: ReadonlyMap<string, Inode>) {
    const { slab } = machine;
    this.machine = machine;
    this.kmalloc = new Kmalloc(slab);
    this.vma = slab.cache('vm_area_struct');
    this.mm = slab.cache('mm_struct');
    this.anonVma = slab.cache('anon_vma');
    this.anonVmaChain = slab.cache('anon_vma_chain');
    this.radixNode = slab.cache('radix_tree_node');
    this.ofFile = [slab.cache('filp'), slab.cache('lsm_file_cache')];
    const lsm = slab.cache('lsm_inode_cache');
    const dentry = slab.cache('dentry');
    this.ofMemoryFile = [slab.cache('shmem_inode_cache'), lsm, dentry];
    this.dentries = new DentryCache(files, dentry, [slab.cache('ext4_inode_cache'), lsm]);
    machine.reclaim.shrinkers.register(this.dentries);
  }

  /**
   * Takes what a new task needs; undefined where there is no memory.
   * @param leader it is the first task of its process.
   * @param ownFiles it has descriptors of its own.
   */
  newTask(leader: boolean, ownFiles: boolean): TaskObjects | undefined {
    const names = ['task_struct', 'pid', 'cred_jar'];
    if (leader) names.push('signal_cache', 'sighand_cache');
    if (ownFiles) names.push('files_cache', 'fs_cache');
    const stack = this.machine.vmalloc.allocStack();
    const objects: (readonly [SlabCache, PhysAddr])[] = [];
    for (const name of names) {
      const cache = this.machine.slab.cache(name);
      const object = cache.alloc();
      if (object !== 0) objects.push([cache, object]);
    }
    const made = { objects, stack };
    if (stack !== 0 && objects.length === names.length) return made;
    this.freeTask(made);
    return undefined;
  }

  /** The task has ended. */
  freeTask(task: TaskObjects): void {
    for (const [cache, object] of task.objects) cache.free(object);
    if (task.stack !== 0) this.machine.vmalloc.freeStack(task.stack);
  }

  /** What an open description takes. */
  newFile(): ObjectList {
    return this.takeAll(this.ofFile);
  }

  /** What an inode takes, and its name where it has one. Memory files have a name of their own. */
  newInode(kind: 'disk' | 'shmem', path: string): ObjectList {
    return kind === 'disk' ? this.dentries.newInode(path) : this.takeAll(this.ofMemoryFile);
  }

  /** Gives back what newFile() or newInode() took. */
  giveAll(objects: ObjectList): void {
    for (const [cache, object] of objects) this.give(cache, object);
  }

  private takeAll(caches: readonly SlabCache[]): ObjectList {
    return caches.map((cache) => [cache, this.take(cache)] as const);
  }

  /** An object of a cache; 0 where there is no memory, which costs nobody but the count. */
  take(cache: SlabCache): PhysAddr {
    return cache.alloc();
  }

  /** Gives one back that take() returned; 0 is passed over. */
  give(cache: SlabCache, object: PhysAddr): void {
    if (object !== 0) cache.free(object);
  }
}
