// Pages of files: finding them in the page cache, reading them ahead, writing, truncating.
//
// A page of a disk file that is not cached is read together with its neighbours (readahead.ts).
// Shared memory (shmem) makes its pages of zeros, or has them in swap.
// Source: Linux 6.18 mm/filemap.c: filemap_fault(), filemap_read(); mm/shmem.c: shmem_fault();
// mm/truncate.c. Contents of disk files that were never written are zeros.
// Not modelled: the device's time.

import { PG_dirty, PG_readahead } from '../kernel/page.ts';
import { NR_FILE_MAPPED, NR_FILE_PAGES, NR_SHMEM, PGMAJFAULT } from '../kernel/stats.ts';
<<<<<<< Updated upstream
import { mm_filemap_delete_from_page_cache } from '../kernel/trace.ts';
import { NO_PFN, PAGE_SIZE, type Pfn } from '../kernel/types.ts';
import { addPage } from './add-page.ts';
=======
import {
  mm_filemap_add_to_page_cache,
  mm_filemap_delete_from_page_cache,
} from '../kernel/trace.ts';
import { NO_PFN, PAGE_SIZE, alignDown, type Pfn } from '../kernel/types.ts';
>>>>>>> Stashed changes
import { FAULT_TRIED } from './fault-flags.ts';
import type { File, Inode } from './file.ts';
import type { System } from './system.ts';
import type { Vma } from './vma.ts';
import { asyncReadAhead, readAround, readMarked, syncReadAhead } from './readahead.ts';
import { ZAP_KEEP_COWED, zapRange } from './zap.ts';

/** fetchPage() could not: beyond the end of the file; no memory; the disk was asked, try again. */
export const FETCH_SIGBUS = -2;
export const FETCH_OOM = -3;
export const FETCH_RETRY = -4;
/** The next window was asked for: try again, nothing was waited for. */
export const FETCH_AGAIN = -5;

<<<<<<< Updated upstream
=======
/** Misses more than hits after which a mapping's misses read nothing ahead (MMAP_LOTSAMISS). */
const LOTS_OF_MISSES = 100;

/** Pages in a node of the page cache's tree (XA_CHUNK_SIZE). */
const NODE_PAGES = 64;

/** Order of the largest folio that read-ahead makes (MAX_PAGECACHE_ORDER). */
const MAX_READ_ORDER = 9;

>>>>>>> Stashed changes
/** The frame of a page for a fault in a mapping of the file, or FETCH_*. */
export function fetchPage(vma: Vma, index: number, flags: number): number {
  const { system } = vma.mm;
  const file = vma.file!;
  const { inode } = file;
  if (index >= inode.sizePages) return FETCH_SIGBUS;
  const cached = inode.cache.get(index);
  if (inode.kind === 'shmem') {
    if (cached !== NO_PFN) return cached;
    if (inode.swapped.has(index)) {
      if ((flags & FAULT_TRIED) === 0) return FETCH_RETRY;
      const back = shmemPage(system, inode, index);
      return back === NO_PFN ? FETCH_OOM : back;
    }
    const pfn = addPage(system, inode, index, true);
    return pfn === NO_PFN ? FETCH_OOM : pfn;
  }
  if (cached !== NO_PFN) {
    const again = (flags & FAULT_TRIED) === 0 && readMarked(system, vma, file, index, cached);
    return again ? FETCH_AGAIN : cached;
  }
  system.machine.stat.counts[PGMAJFAULT]++;
  readAround(system, vma, file, index);
  if (inode.cache.get(index) === NO_PFN && addPage(system, inode, index, false) === NO_PFN) {
    return FETCH_OOM;
  }
  return FETCH_RETRY;
}

<<<<<<< Updated upstream
=======
/** A mapping found `hits` of the file's pages in the cache. */
export function cacheHit(file: File, hits: number): void {
  file.ra.mmapMiss = Math.max(0, file.ra.mmapMiss - hits);
}

/** A mapping's miss reads what lies around it (do_sync_mmap_readahead()). */
function readAround(system: System, vma: Vma, file: File, index: number): void {
  const { ra } = file;
  const window = system.sysctl.readAheadPages;
  if ((vma.flags & VM_RAND_READ) !== 0 || window === 0) return;
  if ((vma.flags & VM_SEQ_READ) !== 0) {
    ra.start = index;
    ra.size = window;
    ra.asyncSize = window >> 1;
  } else {
    if (ra.mmapMiss < LOTS_OF_MISSES * 10) ra.mmapMiss++;
    if (ra.mmapMiss > LOTS_OF_MISSES) return;
    ra.start = Math.max(0, index - window / 2);
    ra.size = window;
    ra.asyncSize = window / 4;
  }
  ra.order = 0;
  readWindow(system, file);
}

/**
 * A mapping met a cached page: if it is the marked one, the next window is read.
 * @returns true where it was: the fault let its locks go and starts again.
 */
function readMarked(system: System, vma: Vma, file: File, index: number, pfn: Pfn): boolean {
  const { ra } = file;
  const { pages } = system.machine;
  if ((vma.flags & VM_RAND_READ) !== 0 || system.sysctl.readAheadPages === 0) return false;
  if (ra.mmapMiss > 0) ra.mmapMiss--;
  const head = pages.head(pfn);
  if (!pages.hasFlags(head, PG_readahead)) return false;
  pages.clearFlags(head, PG_readahead);
  const max = system.sysctl.readAheadPages;
  const nr = 1 << pages.compoundOrder(head);
  if (index === alignDown(ra.start + ra.size - ra.asyncSize, nr)) {
    ra.start += ra.size;
    ra.size = Math.max(ra.size, nextWindow(ra.size, max));
  } else {
    // The mark is of another window: the next hole after it starts a new one.
    const start = nextMiss(system, file.inode, index + 1, max);
    if (start - index > max) return true;
    ra.size = nextWindow(start - index + max, max);
    ra.start = start;
  }
  ra.order = Math.min(ra.order + 2, MAX_READ_ORDER);
  if (system.sysctl.largeFolios) {
    const end = alignDown(ra.start + ra.size, 1 << Math.min(ra.order, log2(max)));
    if (end > ra.start) ra.size = end - ra.start;
  }
  ra.asyncSize = ra.size;
  readWindow(system, file);
  // Nobody waits for this window: while the fault goes on, its pages are still on their way.
  system.inFlight.inode = file.inode;
  system.inFlight.start = ra.start;
  system.inFlight.end = ra.start + ra.size;
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
    readSingle(system, file, ra.start, end);
    return;
  }
  const mark = ra.start + ra.size - ra.asyncSize;
  ra.order = Math.min(ra.order, log2(ra.size));
  for (let i = ra.start; i < end;) {
    let { order } = ra;
    while (i % (1 << order) !== 0 || i + (1 << order) > end) order--;
    if (!isVacant(inode, i, order)) {
      readSingle(system, file, i, Math.min(ra.start + ra.size, inode.sizePages));
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

function isVacant(inode: Inode, index: number, order: number): boolean {
  for (let i = 0; i < 1 << order; i++) if (inode.cache.get(index + i) !== NO_PFN) return false;
  return true;
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

/** Brings [first, end) of a disk file into the cache, without marks: read(2), MADV_WILLNEED. */
export function readPages(system: System, inode: Inode, first: number, end: number): void {
  const stop = Math.min(end, inode.sizePages);
  for (let i = first; i < stop; i++) {
    if (inode.cache.get(i) === NO_PFN) addPage(system, inode, i, false);
  }
}

/** A new page of zeros in the cache. @returns its frame, NO_PFN without memory. */
export function addPage(system: System, inode: Inode, index: number, zeroed: boolean): Pfn {
  const { alloc, mem, pages, stat, trace } = system.machine;
  const pfn = alloc.alloc(GFP_HIGHUSER_MOVABLE | (zeroed ? __GFP_ZERO : 0), 0);
  if (pfn === NO_PFN) return NO_PFN;
  if (!zeroed) mem.zeroFrame(pfn); // what the disk holds
  const shmem = inode.kind === 'shmem';
  pages.setFlags(pfn, PG_uptodate | PG_lru | (shmem ? PG_swapbacked : 0));
  pages.setOwner(pfn, inode.id);
  pages.setIndex(pfn, index | 0);
  inode.cache.add(index, pfn);
  stat.node[NR_FILE_PAGES]++;
  if (shmem) stat.node[NR_SHMEM]++;
  if (trace.on) trace.emit(mm_filemap_add_to_page_cache, inode.id, index, pfn);
  return pfn;
}

/** A folio of 2^order pages in the cache, from page `index` on; false without memory. */
export function addFolio(system: System, inode: Inode, index: number, order: number): boolean {
  const { alloc, pages, stat } = system.machine;
  if (order === 0) return addPage(system, inode, index, false) !== NO_PFN;
  const head = alloc.alloc(GFP_HIGHUSER_MOVABLE | __GFP_ZERO | 0x40000, order);
  if (head === NO_PFN) return false;
  const nr = 1 << order;
  for (let i = 0; i < nr; i++) {
    pages.setFlags(head + i, PG_uptodate | PG_lru);
    pages.setOwner(head + i, inode.id);
    pages.setIndex(head + i, (index + i) | 0);
    inode.cache.add(index + i, (head + i) as Pfn);
  }
  pages.setRefcount(head, nr);
  stat.node[NR_FILE_PAGES] += nr;
  return true;
}

>>>>>>> Stashed changes
/** Writes one byte value over [offset, offset + length): extends the file, dirties its pages. */
export function writeFile(
  system: System,
  inode: Inode,
  offset: number,
  length: number,
  byte: number,
): void {
  const { mem, pages } = system.machine;
  const end = offset + length;
  if (length > 0 && end > inode.size) inode.size = end;
  for (let at = offset; at < end;) {
    const index = Math.floor(at / PAGE_SIZE);
    const stop = Math.min(end, (index + 1) * PAGE_SIZE);
    let pfn = inode.cache.get(index);
    if (pfn === NO_PFN) pfn = addPage(system, inode, index, true);
    if (pfn === NO_PFN) return;
    const base = mem.writable(pfn) * 4;
    mem.bytes.fill(byte, base + (at % PAGE_SIZE), base + (at % PAGE_SIZE) + stop - at);
    pages.setFlags(pages.head(pfn), PG_dirty);
    at = stop;
  }
}

/**
 * read(2) through the page cache, with read-ahead for disk files.
 * @returns the last byte of [offset, offset + length), which is cut at the end of the file by the
 *   caller; -1 without memory.
 */
export function readFile(
  system: System,
  file: File,
  offset: number,
  length: number,
  end: number,
): number {
  const { inode } = file;
  const last = end - 1;
  if (inode.kind === 'disk') {
    for (let at = offset; at < end;) at = readBatch(system, file, at, offset + length);
    file.ra.prevPos = end;
  }
  const index = Math.floor(last / PAGE_SIZE);
  const pfn = inode.kind === 'shmem' ? shmemPage(system, inode, index) : inode.cache.get(index);
  return pfn === NO_PFN ? 0 : system.machine.mem.readByte(pfn, last % PAGE_SIZE);
}

/** Reads the cached pages from `at` on, as far as they go, fetching if the first is missing. */
function readBatch(system: System, file: File, at: number, end: number): number {
  const { inode } = file;
  const { pages } = system.machine;
  const index = Math.floor(at / PAGE_SIZE);
  const stop = Math.ceil(end / PAGE_SIZE);
  if (inode.cache.get(index) === NO_PFN) {
    syncReadAhead(system, file, index, stop - index);
    if (inode.cache.get(index) === NO_PFN) addPage(system, inode, index, false);
  }
  // A batch ends behind the page that read-ahead marked.
  let i = index;
  let pfn = inode.cache.get(i);
  while (i + 1 < stop && pfn !== NO_PFN && !pages.hasFlags(pages.head(pfn), PG_readahead)) {
    const next = inode.cache.get(i + 1);
    if (next === NO_PFN) break;
    pfn = next;
    i++;
  }
  if (pfn !== NO_PFN && pages.hasFlags(pages.head(pfn), PG_readahead)) {
    asyncReadAhead(system, file, i, pfn, stop - i);
  }
  return (i + 1) * PAGE_SIZE;
}

/** The frame of a page of shared memory, brought back from swap; NO_PFN for a hole. */
export function shmemPage(system: System, inode: Inode, index: number): Pfn {
  const pfn = inode.cache.get(index);
  if (pfn !== NO_PFN || !inode.swapped.has(index)) return pfn;
  return system.swap?.shmemIn(inode, index) ?? NO_PFN;
}

/** Sets a file's length: pages beyond it are unmapped everywhere and dropped (truncate_setsize()). */
export function truncateFile(system: System, inode: Inode, size: number): void {
  const shrinks = size < inode.size;
  inode.size = size;
  if (!shrinks) return;
  truncateCache(system, inode, Math.ceil(size / PAGE_SIZE));
  const tail = inode.cache.get(Math.floor(size / PAGE_SIZE));
  const kept = size % PAGE_SIZE;
  if (kept !== 0 && tail !== NO_PFN) {
    const at = system.machine.mem.writable(tail) * 4;
    system.machine.mem.bytes.fill(0, at + kept, at + PAGE_SIZE);
  }
}

/** Drops the pages from `first` on, after unmapping them, private copies included. */
export function truncateCache(system: System, inode: Inode, first: number): void {
  unmapFileRange(inode, first, Infinity, 0);
  dropPages(system, inode, first, Infinity);
}

/** Makes [first, end) a hole: its pages are unmapped, private copies kept, and dropped. */
export function punchHole(system: System, inode: Inode, first: number, end: number): void {
  unmapFileRange(inode, first, end, ZAP_KEEP_COWED);
  dropPages(system, inode, first, end);
}

function dropPages(system: System, inode: Inode, first: number, end: number): void {
  const { pages, rmap, stat, trace } = system.machine;
  for (const index of inode.cache.indexes(first, end)) {
    const pfn = inode.cache.remove(index);
    stat.node[NR_FILE_PAGES]--;
    if (inode.kind === 'shmem') stat.node[NR_SHMEM]--;
    pages.clearFlags(pages.head(pfn), PG_dirty | PG_readahead);
    if (trace.on) trace.emit(mm_filemap_delete_from_page_cache, inode.id, index, pfn);
    rmap.put(pfn);
  }
}

/** Unmaps a range of a file's pages from every mapping (unmap_mapping_pages()). */
export function unmapFileRange(inode: Inode, first: number, end: number, options: number): void {
  for (const vma of inode.mappings) {
    const from = Math.max(first, vma.pgoff);
    const to = Math.min(end, vma.pgoff + vma.pages);
    if (from >= to) continue;
    const start = vma.start + (from - vma.pgoff) * PAGE_SIZE;
    zapRange(vma, start, start + (to - from) * PAGE_SIZE, options);
  }
}

/** Pages of files that are mapped, for /proc/meminfo. */
export function mappedFilePages(system: System): number {
  return system.machine.stat.node[NR_FILE_MAPPED];
}
