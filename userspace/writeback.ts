// Writing dirty pages of disk files back, and forgetting what a truncated file had on its disk.
//
// The disk is a table of page contents by index; a page that was never written is zeros there.
// Source: Linux 6.18 mm/page-writeback.c. Not modelled: the time it takes, dirty limits.

import { PG_dirty } from '../kernel/page.ts';
import { PGPGOUT } from '../kernel/stats.ts';
import { PAGE_SIZE, PAGE_WORDS, type Pfn } from '../kernel/types.ts';
import type { Inode } from './file.ts';
import type { System } from './system.ts';

/** Writes a cached page to its file's disk: it is clean afterwards. */
export function writePage(system: System, inode: Inode, index: number, pfn: Pfn): void {
  const { mem, pages, stat } = system.machine;
  const at = mem.readable(pfn);
  inode.stored.set(index, mem.words.slice(at, at + PAGE_WORDS));
  const head = pages.head(pfn);
  if (head === pfn) pages.clearFlags(head, PG_dirty);
  stat.counts[PGPGOUT] += PAGE_SIZE / 1024;
}

/** The disk has nothing any more in [first, end). */
export function discardDisk(inode: Inode, first: number, end: number): void {
  for (const index of [...inode.stored.keys()]) {
    if (index >= first && index < end) inode.stored.delete(index);
  }
}

/** The file ends within page `index`, after `kept` bytes: the rest of it reads as zeros. */
export function zeroDiskTail(inode: Inode, index: number, kept: number): void {
  const stored = inode.stored.get(index);
  if (stored !== undefined)
    new Uint8Array(stored.buffer, stored.byteOffset).fill(0, kept, PAGE_SIZE);
}
