// Read-ahead of disk files: what is read together with a page that is not cached.
//
// An open file has a window [start, start + size); its last asyncSize pages are ahead of the
// reader, and the first of them is marked, so that whoever meets the mark reads the next window in
// time:
//
//     start                       start + size - asyncSize         start + size
//       |---------------- wanted -----------M--------- ahead ------|      M: PG_readahead
//
//     a mapping's miss    16 pages before and 16 from the page on, marked 8 before the end;
//                         in executable mappings from the page on
//     read(2), in order   starts at 4 times the request, then doubles up to the maximum
//     read(2), random     just the request, without mark
//
// Source: Linux 6.18 mm/readahead.c: page_cache_sync_ra(), page_cache_async_ra(),
// page_cache_ra_unbounded(); mm/filemap.c: do_sync_mmap_readahead(), do_async_mmap_readahead().
// Where the file system has large folios, each window that a mark starts is made of folios four
// times as large as the one before it. Not modelled: FMODE_RANDOM, congestion.

import { PG_readahead } from '../kernel/page.ts';
import { NO_PFN, PAGE_SIZE, alignDown, type Pfn } from '../kernel/types.ts';
import { addFolio, addPage } from './add-page.ts';
import type { File, Inode } from './file.ts';
import type { System } from './system.ts';
import { VM_EXEC, VM_RAND_READ, VM_SEQ_READ, type Vma } from './vma.ts';

/** Misses more than hits after which a mapping's misses read nothing ahead (MMAP_LOTSAMISS). */
const LOTS_OF_MISSES = 100;

/** Pages in a node of the page cache's tree (XA_CHUNK_SIZE). */
const NODE_PAGES = 64;

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
  if ((vma.flags & VM_EXEC) !== 0) {
    // Code runs forward: from the page on, within the mapping, without mark.
    ra.start = index;
    ra.size = Math.min(max, vma.pgoff + vma.pages - index);
    ra.asyncSize = 0;
  } else {
    ra.start = Math.max(0, index - max / 2);
    ra.size = max;
    ra.asyncSize = max / 4;
  }
  ra.order = 0;
  readWindow(system, file);
}

/**
 * A mapping met a cached page: if it is the marked one, the next window is read.
 * @returns true where it was: the fault let its locks go and starts again.
 */
export function readMarked(system: System, vma: Vma, file: File, index: number, pfn: Pfn): boolean {
  const { ra } = file;
  const max = system.sysctl.readAheadPages;
  if ((vma.flags & VM_RAND_READ) !== 0 || max === 0) return false;
  if (ra.mmapMiss > 0) ra.mmapMiss--;
  const { pages } = system.machine;
  if (!pages.hasFlags(pages.head(pfn), PG_readahead)) return false;
  if (asyncReadAhead(system, file, index, pfn, max)) {
    // Nobody waits for this window: while the fault goes on, its pages are still on their way.
    system.inFlight.inode = file.inode;
    system.inFlight.start = ra.start;
    system.inFlight.end = ra.start + ra.size;
  }
  return true;
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

/**
 * A reader met the mark (page_cache_async_ra()): the next window is read.
 * @returns false where nothing was left to read near by.
 */
export function asyncReadAhead(
  system: System,
  file: File,
  index: number,
  pfn: Pfn,
  count: number,
): boolean {
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
    const start = nextMiss(system, inode, index + 1, max);
    if (start - index > max) return false;
    ra.start = start;
    ra.size = nextWindow(start - index + count, max);
  }
  ra.order = Math.min(ra.order + 2, MAX_READ_ORDER);
  // The window ends where a folio of this order would, also where there are no such folios.
  const end = alignDown(ra.start + ra.size, 1 << Math.min(ra.order, log2(max)));
  if (end > ra.start) ra.size = end - ra.start;
  ra.asyncSize = ra.size;
  readWindow(system, file);
  return true;
}

/**
 * The first page from `index` on that is not cached, within `max` pages, as Linux finds it: its
 * walk starts at the head of the folio that holds `index` without correcting its count, and falls
 * into step where it enters the next node of 64 pages. Until then it misses holes, and read-ahead
 * leaves gaps (page_cache_next_miss(), xas_next()).
 */
function nextMiss(system: System, inode: Inode, index: number, max: number): number {
  const pfn = inode.cache.get(index);
  if (pfn === NO_PFN) return index;
  let at = index - (pfn - system.machine.pages.head(pfn));
  for (let i = index + 1; i < index + max; i++) {
    at++;
    if (at % NODE_PAGES === 0) at = i;
    if (inode.cache.get(at) === NO_PFN) return i;
  }
  return index + max;
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

/**
 * Reads the window of `file.ra` up to the end of the file, in folios of its order, and marks the
 * folio from which the next window is to start (page_cache_ra_order()). Where something is cached
 * already, the rest is read page by page.
 */
function readWindow(system: System, file: File): void {
  const { inode, ra } = file;
  const end = Math.min(ra.start + ra.size, inode.sizePages);
  if (!system.sysctl.largeFolios) {
    ra.order = 0;
    readSingle(system, file, ra.start, end);
    return;
  }
  const mark = ra.start + ra.size - ra.asyncSize;
  ra.order = Math.min(ra.order, log2(ra.size));
  for (let i = ra.start; i < end;) {
    let { order } = ra;
    while (i % (1 << order) !== 0 || i + (1 << order) > end) order--;
    if (anyCached(inode, i, 1 << order)) {
      readSingle(system, file, i, end);
      return;
    }
    if (!addFolio(system, inode, i, order)) return;
    if (i === alignDown(mark, 1 << order)) {
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

/** Reads what is missing of [start, end) page by page (do_page_cache_ra()). */
function readSingle(system: System, file: File, start: number, end: number): void {
  const { inode, ra } = file;
  const mark = end - start >= ra.asyncSize ? end - ra.asyncSize : -1;
  for (let i = start; i < end; i++) {
    if (inode.cache.get(i) !== NO_PFN) continue;
    const pfn = addPage(system, inode, i, false);
    if (pfn === NO_PFN) return;
    if (i === mark) system.machine.pages.setFlags(pfn, PG_readahead);
  }
}

function log2(n: number): number {
  return 31 - Math.clz32(n);
}
