// Files as memory sees them: an inode with its page cache and its mappings, and open descriptions.
//
// Two kinds: `disk` (ext4 as the reference machine has it: pages are read from a device, a shared
// page is write-protected until its first write is noted) and `shmem` (memfd and shared anonymous
// memory: pages come from nowhere, holes are zeros).
// Invariant (check()): `mappings` holds each mapping of the inode once; no cached page lies at or
// beyond the end of the file, but for shmem's last partial page.
// Source: Linux 6.18 include/linux/fs.h (struct inode, file, address_space), mm/shmem.c.

import type { AddressSpace, PageOwner } from '../kernel/ports.ts';
import type { SlabCache } from '../kernel/slab.ts';
import type { OwnerTable } from '../kernel/rmap.ts';
import { PageCache } from '../kernel/pagecache.ts';
import { PAGE_SIZE, type VirtAddr } from '../kernel/types.ts';
import type { ObjectList } from './kernel-objects.ts';
import type { Vma } from './vma.ts';

export type InodeKind = 'disk' | 'shmem';

/** The largest offset of any file, in whole pages (MAX_LFS_FILESIZE). */
export const MAX_FILE_OFFSET = 2 ** 63 - PAGE_SIZE;

/** The largest file that the kind of file system can hold (s_maxbytes). */
export function maxFileBytes(inode: Inode): number {
  return inode.kind === 'disk' ? 2 ** 44 - PAGE_SIZE : MAX_FILE_OFFSET;
}

export class Inode implements PageOwner {
  readonly id: number;
  readonly kind: InodeKind;
  path: string;
  /** Length in bytes. */
  size: number;
  unlinked = false;
  /** Its mappings may be filled around a fault; not so System V segments (shm_vm_ops). */
  mapsAround = true;
  /** Made empty: what was never written is holes, which are zeroed without asking a device. */
  sparse = false;
  readonly cache: PageCache;
  /** What the disk holds of pages that were written back; other pages are zeros there. */
  readonly stored = new Map<number, Int32Array>();
  /** First index of each cached folio that is dirty (disk files; see writeback.ts). */
  readonly dirty = new Set<number>();
  /** Pages of shared memory that are swapped out: index -> slot. */
  readonly swapped = new Map<number, number>();
  /** Mappings of the file (i_mmap). */
  readonly mappings: Vma[] = [];
  /** Pages of shared memory charged against the commit limit (shmem without NORESERVE). */
  committedPages = 0;
  /** Open descriptions and mappings that keep the inode. */
  users = 0;
  /** What it takes of the kernel's slab caches. */
  objects: ObjectList = [];

  /**
   * Called by newInode() (inode-refs.ts).
   * @param nodes the cache that nodes of the page cache come from.
   */
  constructor(
    owners: OwnerTable,
    kind: InodeKind,
    path: string,
    size: number,
    nodes: SlabCache | null = null,
  ) {
    this.cache = new PageCache(nodes);
    this.id = owners.reserve();
    owners.register(this);
    this.kind = kind;
    this.path = path;
    this.size = size;
  }

  /** Number of pages that lie, at least partly, below the end of the file. */
  get sizePages(): number {
    return Math.ceil(this.size / PAGE_SIZE);
  }

  forEachMapping(index: number, visit: (space: AddressSpace, va: VirtAddr) => boolean): void {
    for (const vma of this.mappings) {
      const page = (index - vma.pgoff) >>> 0;
      if (page < vma.pages && !visit(vma.mm, (vma.start + page * PAGE_SIZE) as VirtAddr)) return;
    }
  }
}

/** Read-ahead window of an open file (struct file_ra_state); sizes in pages. */
export interface ReadAhead {
  start: number;
  size: number;
  asyncSize: number;
  /** Where the last read(2) ended, in bytes; -1 before the first. */
  prevPos: number;
  /** How many more mmap accesses missed the cache than hit it. */
  mmapMiss: number;
  /** Order of the folios that the next window is made of. */
  order: number;
}

/** An open file description: what descriptors and mappings share. */
export class File {
  readonly inode: Inode;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly ra: ReadAhead = { start: 0, size: 0, asyncSize: 0, prevPos: -1, mmapMiss: 0, order: 0 };
  /** Offset of the next read or write without a position, in bytes. */
  position = 0;
  /** Descriptors and mappings that refer to it. */
  users = 0;
  /** What it takes of the kernel's slab caches. */
  objects: ObjectList = [];

  /** Called by openFile() (inode-refs.ts). */
  constructor(inode: Inode, readable: boolean, writable: boolean) {
    this.inode = inode;
    this.readable = readable;
    this.writable = writable;
    inode.users++;
  }
}
