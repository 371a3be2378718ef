// New pages in a file's page cache.
// Source: Linux 6.18 mm/filemap.c: filemap_add_folio(); mm/shmem.c: shmem_add_to_page_cache().

import { GFP_HIGHUSER_MOVABLE, __GFP_ZERO } from '../kernel/gfp.ts';
import { PG_lru, PG_swapbacked, PG_uptodate } from '../kernel/page.ts';
import { NR_FILE_PAGES, NR_SHMEM } from '../kernel/stats.ts';
import { mm_filemap_add_to_page_cache } from '../kernel/trace.ts';
import { NO_PFN, type Pfn } from '../kernel/types.ts';
import type { Inode } from './file.ts';
import type { System } from './system.ts';

/** A new page of zeros in the cache. @returns its frame, NO_PFN without memory. */
export function addPage(system: System, inode: Inode, index: number, zeroed: boolean): Pfn {
  const { alloc } = system.machine;
  const pfn = alloc.alloc(GFP_HIGHUSER_MOVABLE | (zeroed ? __GFP_ZERO : 0), 0);
  if (pfn === NO_PFN) return NO_PFN;
  if (!zeroed) readDisk(system, inode, index, pfn);
  insertPage(system, inode, index, pfn);
  return pfn;
}

/** What the disk holds: what was written back, else zeros. */
function readDisk(system: System, inode: Inode, index: number, pfn: Pfn): void {
  const { mem } = system.machine;
  const stored = inode.stored.get(index);
  if (stored === undefined) mem.zeroFrame(pfn);
  else mem.words.set(stored, mem.writable(pfn));
}

/** Puts a page with content into the cache; the cache's reference is the caller's. */
export function insertPage(system: System, inode: Inode, index: number, pfn: Pfn): void {
  const { lru, pages, stat, trace } = system.machine;
  const shmem = inode.kind === 'shmem';
  pages.setFlags(pfn, PG_uptodate | (shmem ? PG_swapbacked : 0));
  pages.setOwner(pfn, inode.id);
  pages.setIndex(pfn, index | 0);
  const shadow = inode.cache.add(index, pfn);
  if (shadow !== 0) lru.refault(pfn, shadow);
  lru.add(pfn);
  stat.node[NR_FILE_PAGES]++;
  if (shmem) stat.node[NR_SHMEM]++;
  if (trace.on) trace.emit(mm_filemap_add_to_page_cache, inode.id, index, pfn);
}

/** A folio of 2^order pages in the cache, from page `index` on; false without memory. */
export function addFolio(system: System, inode: Inode, index: number, order: number): boolean {
  const { alloc, lru, pages, stat } = system.machine;
  if (order === 0) return addPage(system, inode, index, false) !== NO_PFN;
  const head = alloc.alloc(GFP_HIGHUSER_MOVABLE | __GFP_ZERO | 0x40000, order);
  if (head === NO_PFN) return false;
  const nr = 1 << order;
  for (let i = 0; i < nr; i++) {
    pages.setFlags(head + i, PG_uptodate | (i > 0 ? PG_lru : 0));
    pages.setOwner(head + i, inode.id);
    pages.setIndex(head + i, (index + i) | 0);
    if (inode.stored.size > 0) readDisk(system, inode, index + i, (head + i) as Pfn);
    inode.cache.add(index + i, (head + i) as Pfn, order);
  }
  pages.setRefcount(head, nr);
  lru.add(head);
  stat.node[NR_FILE_PAGES] += nr;
  return true;
}
