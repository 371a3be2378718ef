// Life and death of inodes: who still refers to them, and what goes when nobody does.
//
// A mapping and a descriptor refer to an open description (File.users), descriptions to the inode
// (Inode.users). An inode that nobody refers to and that has no name loses its pages.
// Source: Linux 6.18 fs/file_table.c (fput()), fs/inode.c (evict()).

import { truncateCache } from './filemap.ts';
import { File, Inode, type InodeKind } from './file.ts';
import type { System } from './system.ts';

/** A new inode of `size` bytes, with what it takes of the kernel's memory. */
export function newInode(system: System, kind: InodeKind, path: string, size: number): Inode {
  const inode = new Inode(system.rmap.owners, kind, path, size, system.objects.radixNode);
  inode.objects = system.objects.newInode(kind, path);
  return inode;
}

/** A new open description of an inode; nobody refers to it yet. */
export function openFile(system: System, inode: Inode, readable: boolean, writable: boolean): File {
  if (inode.kind === 'disk') system.objects.dentries.open(inode);
  const file = new File(inode, readable, writable);
  file.objects = system.objects.newFile();
  return file;
}

/** Drops one reference on an open description. */
export function releaseFile(system: System, file: File): void {
  if (--file.users > 0) return;
  system.objects.giveAll(file.objects);
  file.objects = [];
  if (--file.inode.users === 0) system.objects.dentries.close(file.inode);
  evictIfUnused(system, file.inode);
}

/** Frees an inode that has neither name nor users, with its pages. */
export function evictIfUnused(system: System, inode: Inode): void {
  if (!inode.unlinked || inode.users > 0) return;
  truncateCache(system, inode, 0);
  inode.cache.destroy();
  system.vmCommitted -= inode.committedPages;
  inode.committedPages = 0;
  system.rmap.owners.release(inode.id);
  system.objects.giveAll(inode.objects);
  inode.objects = [];
}
