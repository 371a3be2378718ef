// Read-ahead of disk files: what is read together with a page that is not cached.
//
// An open file has a window [start, start + size); its last asyncSize pages are ahead of the
// reader, and the first of them is marked, so that whoever meets the mark reads the next window in
// time:
//
//     start                       start + size - asyncSize         start + size
//       |---------------- wanted -----------M--------- ahead ------|      M: PG_readahead
//
//     a mapping's miss    16 pages before and 16 from the page on, marked 8 before the end
//     read(2), in order   starts at 4 times the request, then doubles up to the maximum
//     read(2), random     just the request, without mark
//
// Source: Linux 6.18 mm/readahead.c: page_cache_sync_ra(), page_cache_async_ra(),
// page_cache_ra_unbounded(); mm/filemap.c: do_sync_mmap_readahead(), do_async_mmap_readahead().
// Where the file system has large folios, each window that a mark starts is made of folios four
// times as large as the one before it. Not modelled: FMODE_RANDOM, congestion.

import { PG_readahead } from '../kernel/page.ts';
import { NO_PFN, PAGE_SIZE, alignDown, alignUp, type Pfn } from '../kernel/types.ts';
import { addFolio, addPage } from './add-page.ts';
import type { File, Inode } from './file.ts';
import type { System } from './system.ts';
import { VM_RAND_READ, VM_SEQ_READ, type Vma } from './vma.ts';

/** Misses more than hits after which a mapping's misses read nothing ahead (MMAP_LOTSAMISS). */
const LOTS_OF_MISSES = 100;

/** Order of the largest folio that read-ahead makes (MAX_PAGECACHE_ORDER). */
const MAX_READ_ORDER = 9;

/** A mapping found `hits` of the file's pages in the cache. */
export function cacheHit(file: File, hits: number): void {
  file.ra.mmapMiss = Math.max(0, file.ra.mmapMiss - hits);
}

/** A mapping's miss reads what lies around it (do_sync_mmap_readahead()). */
export function readAround(system: System, vma: Vma, file: File, index: number): void {
  const { ra } = file;
  const max = system.sysctl.readAheadPages;
  if ((vma.flags & VM_RAND_READ) !== 0 || max === 0) return;
  if ((vma.flags & VM_SEQ_READ) !== 0) {
    syncReadAhead(system, file, index, max);
    return;
  }
  if (ra.mmapMiss < LOTS_OF_MISSES * 10) ra.mmapMiss++;
  if (ra.mmapMiss > LOTS_OF_MISSES) return;
  ra.start = Math.max(0, index - max / 2);
  ra.size = max;
  ra.asyncSize = max / 4;
  ra.order = 0;
  readWindow(system, file);
}

/** A mapping met a cached page: if it is the marked one, the next window is read. */
export function readMarked(system: System, vma: Vma, file: File, index: number, pfn: Pfn): void {
  const { ra } = file;
  const max = system.sysctl.readAheadPages;
  if ((vma.flags & VM_RAND_READ) !== 0 || max === 0) return;
  if (ra.mmapMiss > 0) ra.mmapMiss--;
  const { pages } = system.machine;
  if (pages.hasFlags(pages.head(pfn), PG_readahead)) asyncReadAhead(system, file, index, pfn, max);
}

/**
 * A reader misses page `index` and wants `count` pages (page_cache_sync_ra()): read in order, or
 * after a run of cached pages, it gets a window; else what it asked for.
 */
export function syncReadAhead(system: System, file: File, index: number, count: number): void {
  const { ra, inode } = file;
  const max = system.sysctl.readAheadPages;
  const previous = ra.prevPos < 0 ? -2 : Math.floor(ra.prevPos / PAGE_SIZE);
  const inOrder = index === previous || index === previous + 1;
  if (index === 0 || count > max || inOrder) {
    ra.start = index;
    ra.size = firstWindow(count, max);
    ra.asyncSize = ra.size > count ? ra.size - count : ra.size >> 1;
  } else {
    let first = index;
    while (first > 0 && index - first < max && inode.cache.get(first - 1) !== NO_PFN) first--;
    let run = index - first;
    if (run <= count) {
      readPages(system, inode, index, index + count);
      return;
    }
    if (run >= index) run *= 2;
    ra.start = index;
    ra.size = Math.min(run + count, max);
    ra.asyncSize = 1;
  }
  ra.order = 0;
  readWindow(system, file);
}

/** A reader met the mark (page_cache_async_ra()): the next window is read. */
export function asyncReadAhead(
  system: System,
  file: File,
  index: number,
  pfn: Pfn,
  count: number,
): void {
  const { ra, inode } = file;
  const { pages } = system.machine;
  const max = system.sysctl.readAheadPages;
  const head = pages.head(pfn);
  pages.clearFlags(head, PG_readahead);
  const nr = 1 << pages.compoundOrder(head);
  if (index === alignDown(ra.start + ra.size - ra.asyncSize, nr)) {
    ra.start += ra.size;
    ra.size = Math.max(ra.size, nextWindow(ra.size, max));
  } else {
    // The mark is of another window: the next hole after it starts a new one.
    let start = index + 1;
    while (start - index <= max && inode.cache.get(start) !== NO_PFN) start++;
    if (start - index > max) return;
    ra.start = start;
    ra.size = nextWindow(start - index + count, max);
  }
  ra.order = Math.min(ra.order + 2, MAX_READ_ORDER);
  if (system.sysctl.largeFolios) {
    const end = alignDown(ra.start + ra.size, 1 << ra.order);
    if (end > ra.start) ra.size = end - ra.start;
  }
  ra.asyncSize = ra.size;
  readWindow(system, file);
}

/** Brings [first, end) of a disk file into the cache, without mark: MADV_WILLNEED. */
export function readPages(system: System, inode: Inode, first: number, end: number): void {
  const stop = Math.min(end, inode.sizePages);
  for (let i = first; i < stop; i++) {
    if (inode.cache.get(i) === NO_PFN) addPage(system, inode, i, false);
  }
}

/** Size of the first window for a request (get_init_ra_size()). */
function firstWindow(count: number, max: number): number {
  const size = 2 ** Math.ceil(Math.log2(count));
  if (size <= max / 32) return size * 4;
  return size <= max / 4 ? size * 2 : max;
}

/** Size of the window after one of this size (get_next_ra_size()). */
function nextWindow(size: number, max: number): number {
  if (size < max / 16) return size * 4;
  return size <= max / 2 ? size * 2 : max;
}

/** Reads the window of `file.ra`, up to the end of the file, and marks its page. */
function readWindow(system: System, file: File): void {
  const { inode, ra } = file;
  const count = Math.min(ra.size, inode.sizePages - ra.start);
  const mark = ra.start + count - ra.asyncSize;
  const end = ra.start + count;
  for (let i = ra.start; i < end;) {
    if (inode.cache.get(i) !== NO_PFN) {
      // Without large folios the rest is read around what is there; a run of folios ends here.
      if (system.sysctl.largeFolios && ra.order > 0) return;
      i++;
      continue;
    }
    let order = system.sysctl.largeFolios ? Math.min(ra.order, log2(ra.size)) : 0;
    while (order > 0 && (i % (1 << order) !== 0 || i + (1 << order) > end)) order--;
    while (order > 0 && anyCached(inode, i, 1 << order)) order--;
    if (!addFolio(system, inode, i, order)) return;
    if (i === alignUp(mark, 1 << order)) {
      system.machine.pages.setFlags(inode.cache.get(i), PG_readahead);
    }
    system.fault.order = Math.max(system.fault.order, order);
    i += 1 << order;
  }
}

function anyCached(inode: Inode, first: number, count: number): boolean {
  for (let i = first; i < first + count; i++) if (inode.cache.get(i) !== NO_PFN) return true;
  return false;
}

function log2(n: number): number {
  return 31 - Math.clz32(n);
}
