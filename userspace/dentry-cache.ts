// Names and inodes of files on disk that the kernel keeps in case they are wanted again.
//
//     name in use      its file is open or mapped              stays
//     name unused      a closed file's, or one that says that there is no such file
//     inode unused     its name is gone, nobody has the file open, none of its pages is cached
//
// Unused ones stay until reclaim asks for them, the longest unused first. A file whose name and
// inode went is read from disk again when it is opened: it takes new objects.
// Source: Linux 6.18 fs/super.c super_cache_count(), super_cache_scan(), fs/dcache.c
// prune_dcache_sb(), fs/inode.c prune_icache_sb(), __inode_add_lru().
// Not modelled: names used again while they wait get a second round (DCACHE_REFERENCED).

import type { Shrinker } from '../kernel/reclaim/shrinker.ts';
import type { SlabCache } from '../kernel/slab.ts';
import type { PhysAddr } from '../kernel/types.ts';
import type { Inode } from './file.ts';
import type { ObjectList } from './kernel-objects.ts';

export class DentryCache implements Shrinker {
  readonly name = 'sb-ext4';
  readonly seeks = 2;
  readonly batch = 1024;
  private readonly files: ReadonlyMap<string, Inode>;
  private readonly dentry: SlabCache;
  private readonly ofInode: readonly SlabCache[];
  /** Names and their objects, the longest unused first. */
  private readonly names = new Map<string, PhysAddr>();

  /**
   * @param files all files that have a name.
   * @param ofInode caches that an inode takes an object of each from.
   */
  constructor(files: ReadonlyMap<string, Inode>, dentry: SlabCache, ofInode: readonly SlabCache[]) {
    this.files = files;
    this.dentry = dentry;
    this.ofInode = ofInode;
  }

  /** A name is looked up: it is known from now on. */
  lookUp(path: string): void {
    if (!this.names.has(path)) this.names.set(path, this.dentry.alloc());
  }

  /** What an inode that is read from disk takes; its name is known as well. */
  newInode(path: string): ObjectList {
    this.lookUp(path);
    return this.ofInode.map((cache) => [cache, cache.alloc()] as const);
  }

  /** An inode is opened: one that had been given up takes its objects again. */
  open(inode: Inode): void {
    if (inode.unlinked) return;
    if (inode.objects.length === 0) inode.objects = this.newInode(inode.path);
    else this.lookUp(inode.path);
  }

  /** Its last user has closed an inode: its name is the one used last. */
  close(inode: Inode): void {
    const object = this.names.get(inode.path);
    if (object === undefined || inode.unlinked) return;
    this.names.delete(inode.path);
    this.names.set(inode.path, object);
  }

  /** Unused names, and unused inodes. */
  count(): number {
    let n = 0;
    for (const path of this.names.keys()) if (this.isUnused(path)) n++;
    return n + this.unusedInodes().length;
  }

  /** Gives up names and inodes, as many of each as their parts of all unused ones. */
  scan(n: number): number {
    const inodes = this.unusedInodes().length;
    const all = this.count();
    if (all === 0) return 0;
    const part = (of: number): number => Math.floor((n * of) / all) + 1;
    return this.pruneNames(part(all - inodes)) + this.pruneInodes(part(inodes));
  }

  /** Forgets the names that are no file's: nothing but reclaim gives them back. */
  pruneNegative(): void {
    for (const path of this.names.keys()) if (!this.files.has(path)) this.forget(path);
  }

  private pruneNames(n: number): number {
    let freed = 0;
    for (const path of this.names.keys()) {
      if (freed === n) break;
      if (!this.isUnused(path)) continue;
      this.forget(path);
      freed++;
    }
    return freed;
  }

  private pruneInodes(n: number): number {
    const unused = this.unusedInodes().slice(0, n);
    for (const inode of unused) {
      for (const [cache, object] of inode.objects) if (object !== 0) cache.free(object);
      inode.objects = [];
    }
    return unused.length;
  }

  private forget(path: string): void {
    const object = this.names.get(path) ?? 0;
    if (object !== 0) this.dentry.free(object);
    this.names.delete(path);
  }

  private isUnused(path: string): boolean {
    const inode = this.files.get(path);
    return inode === undefined || inode.users === 0;
  }

  private unusedInodes(): Inode[] {
    return [...this.files.values()].filter(
      (inode) =>
        inode.users === 0 &&
        inode.objects.length > 0 &&
        !this.names.has(inode.path) &&
        inode.cache.nrPages === 0,
    );
  }
}
