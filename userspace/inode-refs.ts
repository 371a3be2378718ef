// Life and death of inodes: who still refers to them, and what goes when nobody does.
//
// A mapping and a descriptor refer to an open description (File.users), descriptions to the inode
// (Inode.users). An inode that nobody refers to and that has no name loses its pages.
// Source: Linux 6.18 fs/file_table.c (fput()), fs/inode.c (evict()).

import { truncateCache } from './filemap.ts';
import type { File, Inode } from './file.ts';
import type { System } from './system.ts';

/** Drops one reference on an open description. */
export function releaseFile(system: System, file: File): void {
  if (--file.users > 0) return;
  file.inode.users--;
  evictIfUnused(system, file.inode);
}

/** Frees an inode that has neither name nor users, with its pages. */
export function evictIfUnused(system: System, inode: Inode): void {
  if (!inode.unlinked || inode.users > 0) return;
  truncateCache(system, inode, 0);
  system.vmCommitted -= inode.committedPages;
  inode.committedPages = 0;
  system.rmap.owners.release(inode.id);
}
