// Pages of files: finding them in the page cache, reading them ahead, writing, truncating.
//
// A page of a disk file that is not cached is read together with its neighbours: a mapping's miss
// reads 32 pages around it, and marks the page 8 before the end of the window, so that whoever
// meets the mark reads the next window in time. Shared memory (shmem) makes its pages of zeros.
//
//     pgoff-16                        pgoff+7  pgoff+15
//        |-------------- window ---------M--------|          M: PG_readahead
//
// Source: Linux 6.18 mm/filemap.c: filemap_fault(), do_sync_mmap_readahead(); mm/readahead.c;
// mm/shmem.c: shmem_fault(); mm/truncate.c. Contents of disk files that were never written are
// zeros. Each window that a mark starts is made of folios four times as large as the one before it,
// where the file system has large folios. Not modelled: the device's time.

import { GFP_HIGHUSER_MOVABLE, __GFP_ZERO } from '../kernel/gfp.ts';
import { PG_dirty, PG_lru, PG_readahead, PG_swapbacked, PG_uptodate } from '../kernel/page.ts';
import { NR_FILE_MAPPED, NR_FILE_PAGES, NR_SHMEM, PGMAJFAULT } from '../kernel/stats.ts';
import {
  mm_filemap_add_to_page_cache,
  mm_filemap_delete_from_page_cache,
} from '../kernel/trace.ts';
import { NO_PFN, PAGE_SIZE, alignDown, alignUp, type Pfn } from '../kernel/types.ts';
import { FAULT_TRIED } from './fault-flags.ts';
import type { File, Inode } from './file.ts';
import type { System } from './system.ts';
import { VM_RAND_READ, VM_SEQ_READ, type Vma } from './vma.ts';
import { ZAP_KEEP_COWED, zapRange } from './zap.ts';

/** fetchPage() could not: beyond the end of the file; no memory; the disk was asked, try again. */
export const FETCH_SIGBUS = -2;
export const FETCH_OOM = -3;
export const FETCH_RETRY = -4;

/** Misses more than hits after which a mapping's misses read nothing ahead (MMAP_LOTSAMISS). */
const LOTS_OF_MISSES = 100;

/** Order of the largest folio that read-ahead makes (MAX_PAGECACHE_ORDER). */
const MAX_READ_ORDER = 9;

/** The frame of a page for a fault in a mapping of the file, or FETCH_*. */
export function fetchPage(vma: Vma, index: number, flags: number): number {
  const { system } = vma.mm;
  const file = vma.file!;
  const { inode } = file;
  if (index >= inode.sizePages) return FETCH_SIGBUS;
  const cached = inode.cache.get(index);
  if (inode.kind === 'shmem') {
    if (cached !== NO_PFN) return cached;
    const pfn = addPage(system, inode, index, true);
    return pfn === NO_PFN ? FETCH_OOM : pfn;
  }
  if (cached !== NO_PFN) {
    if ((flags & FAULT_TRIED) === 0) readMarked(system, vma, file, index, cached);
    return cached;
  }
  system.machine.stat.counts[PGMAJFAULT]++;
  readAround(system, vma, file, index);
  if (inode.cache.get(index) === NO_PFN && addPage(system, inode, index, false) === NO_PFN) {
    return FETCH_OOM;
  }
  return FETCH_RETRY;
}

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

/** A mapping met a cached page: if it is the marked one, the next window is read. */
function readMarked(system: System, vma: Vma, file: File, index: number, pfn: Pfn): void {
  const { ra } = file;
  const { pages } = system.machine;
  if ((vma.flags & VM_RAND_READ) !== 0 || system.sysctl.readAheadPages === 0) return;
  if (ra.mmapMiss > 0) ra.mmapMiss--;
  const head = pages.head(pfn);
  if (!pages.hasFlags(head, PG_readahead)) return;
  pages.clearFlags(head, PG_readahead);
  const max = system.sysctl.readAheadPages;
  const nr = 1 << pages.compoundOrder(head);
  if (index === alignDown(ra.start + ra.size - ra.asyncSize, nr)) {
    ra.start += ra.size;
    ra.size = Math.max(ra.size, nextWindow(ra.size, max));
  } else {
    // The mark is of another window: the next hole after it starts a new one.
    let start = index + 1;
    while (start - index <= max && file.inode.cache.get(start) !== NO_PFN) start++;
    if (start - index > max) return;
    ra.size = nextWindow(start - index + 1, max);
    ra.start = start;
  }
  ra.order = Math.min(ra.order + 2, MAX_READ_ORDER);
  if (system.sysctl.largeFolios) {
    const end = alignDown(ra.start + ra.size, 1 << ra.order);
    if (end > ra.start) ra.size = end - ra.start;
  }
  ra.asyncSize = ra.size;
  readWindow(system, file);
}

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
    if (!addFolio(system, inode, i, order)) return;
    if (i === alignUp(mark, 1 << order)) {
      system.machine.pages.setFlags(inode.cache.get(i), PG_readahead);
    }
    system.fault.order = Math.max(system.fault.order, order);
    i += 1 << order;
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

/** The byte at an offset below the end of the file, through the cache. */
export function readFileByte(system: System, inode: Inode, offset: number): number {
  const index = Math.floor(offset / PAGE_SIZE);
  const pfn = inode.cache.get(index);
  return pfn === NO_PFN ? 0 : system.machine.mem.readByte(pfn, offset % PAGE_SIZE);
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
