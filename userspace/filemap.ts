// Pages of files: finding them in the page cache, reading them ahead, writing, truncating.
//
// A page of a disk file that is not cached is read together with its neighbours (readahead.ts).
// Shared memory (shmem) makes its pages of zeros, or has them in swap.
// Source: Linux 6.18 mm/filemap.c: filemap_fault(), filemap_read(); mm/shmem.c: shmem_fault();
// mm/truncate.c. Contents of disk files that were never written are zeros.
// Not modelled: the device's time.

import { PG_readahead, PG_uptodate } from '../kernel/page.ts';
import { NR_FILE_PAGES, NR_SHMEM, PGMAJFAULT } from '../kernel/stats.ts';
import { mm_filemap_delete_from_page_cache } from '../kernel/trace.ts';
import { NO_PFN, PAGE_SIZE, type Pfn } from '../kernel/types.ts';
import { addPage } from './add-page.ts';
import { FAULT_TRIED } from './fault-flags.ts';
import { DID_SWAPIN } from './fault-info.ts';
import type { File, Inode } from './file.ts';
import type { System } from './system.ts';
import type { Vma } from './vma.ts';
import { asyncReadAhead, readAround, readMarked, syncReadAhead } from './readahead.ts';
import { discardDisk, zeroDiskTail } from './writeback.ts';
import { ZAP_KEEP_COWED, ZAP_KEEP_MARKERS, zapRange } from './zap.ts';

/** fetchPage() could not: beyond the end of the file; no memory; the disk was asked, try again. */
export const FETCH_SIGBUS = -2;
export const FETCH_OOM = -3;
export const FETCH_RETRY = -4;
/** The next window was asked for: try again, nothing was waited for. */
export const FETCH_AGAIN = -5;

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
      system.fault.kinds |= DID_SWAPIN;
      const back = shmemPage(system, inode, index);
      return back === NO_PFN ? FETCH_OOM : back;
    }
    const pfn = addPage(system, inode, index, true);
    return pfn === NO_PFN ? FETCH_OOM : pfn;
  }
  if (cached !== NO_PFN) {
    const again = (flags & FAULT_TRIED) === 0 && readMarked(system, vma, file, index, cached);
    // A page that is in the cache but was never read is read now; that counts as minor.
    if (!again) system.machine.pages.setFlags(cached, PG_uptodate);
    return again ? FETCH_AGAIN : cached;
  }
  system.machine.stat.counts[PGMAJFAULT]++;
  readAround(system, vma, file, index);
  if (inode.cache.get(index) === NO_PFN && addPage(system, inode, index, false) === NO_PFN) {
    return FETCH_OOM;
  }
  return FETCH_RETRY;
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
  if (length > 0 && end > inode.size) {
    const edge = Math.floor(inode.size / PAGE_SIZE);
    if (edge < Math.floor(offset / PAGE_SIZE)) touchEdge(system, inode, inode.size);
    inode.size = end;
  }
  for (let at = offset; at < end;) {
    const index = Math.floor(at / PAGE_SIZE);
    const stop = Math.min(end, (index + 1) * PAGE_SIZE);
    let pfn = shmemPage(system, inode, index);
    if (pfn === NO_PFN) pfn = addPage(system, inode, index, inode.kind === 'shmem');
    if (pfn === NO_PFN) return;
    const base = mem.writable(pfn) * 4;
    mem.bytes.fill(byte, base + (at % PAGE_SIZE), base + (at % PAGE_SIZE) + stop - at);
    pages.setFlags(pages.head(pfn), PG_uptodate);
    pages.clearFlags(pages.head(pfn), PG_readahead); // the same bit as PG_reclaim
    system.writeback.markDirty(pfn);
    at = stop;
  }
  system.writeback.balance();
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
  if (pfn !== NO_PFN) pages.setFlags(pages.head(pfn), PG_uptodate);
  while (i + 1 < stop && pfn !== NO_PFN && !pages.hasFlags(pages.head(pfn), PG_readahead)) {
    const next = inode.cache.get(i + 1);
    if (next === NO_PFN || !pages.hasFlags(pages.head(next), PG_uptodate)) break;
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

/**
 * Sets a file's length: pages beyond it are unmapped everywhere and dropped (truncate_setsize()).
 */
export function truncateFile(system: System, inode: Inode, size: number): void {
  const old = inode.size;
  inode.size = size;
  if (size > old) touchEdge(system, inode, old);
  if (size >= old) return;
  truncateCache(system, inode, Math.ceil(size / PAGE_SIZE));
  touchEdge(system, inode, size);
  const tail = inode.cache.get(Math.floor(size / PAGE_SIZE));
  const kept = size % PAGE_SIZE;
  if (kept !== 0) zeroDiskTail(inode, Math.floor(size / PAGE_SIZE), kept);
  if (kept !== 0 && tail !== NO_PFN) {
    const at = system.machine.mem.writable(tail) * 4;
    system.machine.mem.bytes.fill(0, at + kept, at + PAGE_SIZE);
  }
}

/**
 * The end of a disk file moves from or to the middle of a page: the rest of the block is to be
 * zeros, so the page enters the cache. Over a hole it is not read (ext4_block_zero_page_range()).
 */
function touchEdge(system: System, inode: Inode, size: number): void {
  const index = Math.floor(size / PAGE_SIZE);
  if (inode.kind !== 'disk' || size % PAGE_SIZE === 0) return;
  if (inode.cache.get(index) !== NO_PFN) return;
  const pfn = addPage(system, inode, index, true);
  if (pfn !== NO_PFN) system.machine.pages.clearFlags(pfn, PG_uptodate);
}

/** Drops the pages from `first` on, after unmapping them, private copies included. */
export function truncateCache(system: System, inode: Inode, first: number): void {
  unmapFileRange(inode, first, Infinity, ZAP_KEEP_MARKERS);
  dropPages(system, inode, first, Infinity);
}

/** Makes [first, end) a hole: its pages are unmapped, private copies kept, and dropped. */
export function punchHole(system: System, inode: Inode, first: number, end: number): void {
  unmapFileRange(inode, first, end, ZAP_KEEP_COWED);
  dropPages(system, inode, first, end);
}

function dropPages(system: System, inode: Inode, first: number, end: number): void {
  discardDisk(inode, first, end);
  for (const index of [...inode.swapped.keys()]) {
    if (index >= first && index < end) system.swap?.shmemDrop(inode, index);
  }
  const { pages, rmap, stat, trace } = system.machine;
  for (const index of inode.cache.indexes(first, end)) {
    system.writeback.markClean(inode, inode.cache.get(index));
    const pfn = inode.cache.remove(index);
    stat.node[NR_FILE_PAGES]--;
    if (inode.kind === 'shmem') stat.node[NR_SHMEM]--;
    pages.clearFlags(pages.head(pfn), PG_readahead);
    if (trace.on) trace.emit(mm_filemap_delete_from_page_cache, inode.id, index, pfn);
    rmap.put(pfn);
  }
  inode.cache.dropShadows(first, end);
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
