// Faults on memory with a file behind it, or a page that the kernel itself provides.
//
//     read or fetch       pages around are mapped first, if they are cached (fault-around);
//                         else the page is fetched, and mapped read-only where a write has to be
//                         noticed
//     write, private      the page is copied to a new anonymous frame at once
//     write, shared       the page is fetched, marked dirty, mapped writable
//
// Fault-around looks at 16 pages: from the multiple of 16 in the page table below the address, or
// from the first page of the mapping in this table, to its end, cut at the end of the mapping, of
// the table and of the file. It maps what is cached, but for the page that the read-ahead marked;
// of a large folio that lies in the mapping, the table and the file as a whole, all its pages, also
// those outside the window.
// Source: Linux 6.18 mm/memory.c: do_read_fault(), do_cow_fault(), do_shared_fault(),
// do_fault_around(), finish_fault(); mm/filemap.c: filemap_map_pages().

import { GFP_HIGHUSER_MOVABLE } from '../kernel/gfp.ts';
import { PG_dirty, PG_readahead, PG_uptodate, PG_swapbacked } from '../kernel/page.ts';
import { FAULT_OK, FAULT_OOM, FAULT_SIGBUS, PF_WRITE, type FaultResult } from '../kernel/ports.ts';
import { _PAGE_DIRTY, _PAGE_SPECIAL, pteHi, pteLo, pteNone } from '../kernel/pte.ts';
import { mm_filemap_map_pages } from '../kernel/trace.ts';
import { NO_PFN, PAGE_SIZE, PTRS_PER_TABLE, type Pfn, type VirtAddr } from '../kernel/types.ts';
import { anonVmaPrepare } from './anon.ts';
import { FAULT_AGAIN, FAULT_FALLBACK, FAULT_MAJOR, FAULT_RETRY } from './fault-flags.ts';
import { DID_AROUND, DID_COW_FILE, DID_FILE, DID_SPECIAL } from './fault-info.ts';
import { FETCH_AGAIN, FETCH_OOM, FETCH_RETRY, fetchPage } from './filemap.ts';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES } from './rss.ts';
import { mlockMapped } from './mlock-pages.ts';
import { mayWrite, protHi, protLo } from './prot.ts';
import { cacheHit } from './readahead.ts';
import { VM_SHARED, VM_UFFD_MINOR, VM_UFFD_MISSING, VM_UFFD_WP, type Vma } from './vma.ts';

/** Mappings whose every fault is told (uffd_disable_fault_around()). */
const NO_AROUND = VM_UFFD_MINOR | VM_UFFD_WP;

/** A fault on an empty entry of a mapping that is not anonymous (do_fault()). */
export function doFileFault(vma: Vma, pmd: number, va: VirtAddr, flags: number): FaultResult {
  if (vma.special !== '') return doSpecialFault(vma, pmd, va, flags);
  if (vma.uffd !== null) {
    const told = tellSharedFault(vma, va, (flags & PF_WRITE) !== 0);
    if (told !== FAULT_FALLBACK) return told;
  }
  if ((flags & PF_WRITE) === 0) {
    const { faultAroundPages } = vma.mm.system.sysctl;
    const around =
      faultAroundPages > 1 && vma.file?.inode.mapsAround === true && (vma.flags & NO_AROUND) === 0;
    if (around && mapAround(vma, pmd, va, faultAroundPages)) return FAULT_OK;
    return doFetchFault(vma, pmd, va, flags);
  }
  return (vma.flags & VM_SHARED) === 0
    ? doCowFault(vma, pmd, va, flags)
    : doFetchFault(vma, pmd, va, flags);
}

/** A fault of registered shared memory; FAULT_FALLBACK where nobody asked to be told of its kind. */
function tellSharedFault(vma: Vma, va: VirtAddr, write: boolean): FaultResult {
  const { inode } = vma.file!;
  const index = vma.indexOf(va);
  if (index >= inode.sizePages) return FAULT_FALLBACK;
  const missing = inode.cache.get(index) === NO_PFN && !inode.swapped.has(index);
  const reason = missing ? VM_UFFD_MISSING : VM_UFFD_MINOR;
  return (vma.flags & reason) === 0 ? FAULT_FALLBACK : vma.uffd!.fault(va, write, reason);
}

/**
 * Maps cached pages around the address. @returns true where the address itself is mapped now.
 */
function mapAround(vma: Vma, pmd: number, va: VirtAddr, window: number): boolean {
  const { mm } = vma;
  const { pages, trace } = mm.system.machine;
  const inode = vma.file!.inode;
  const index = vma.indexOf(va);
  const slot = (va >>> 12) & (PTRS_PER_TABLE - 1);
  const inVma = index - vma.pgoff;
  const first = Math.max(slot & -window, slot - Math.min(slot, inVma));
  const last = Math.min(first + window, PTRS_PER_TABLE, slot + vma.pages - inVma) - 1;
  const from = index + first - slot;
  const to = Math.min(index + last - slot, inode.sizePages - 1);
  const { fault } = mm.system;
  if (to >= from) {
    fault.kinds |= DID_AROUND;
    fault.aroundFirst = from;
    fault.aroundLast = to;
  }
  let done = false;
  let hits = 0;
  for (let i = from; i <= to;) {
    const pfn = inode.cache.get(i);
    const head = pfn === NO_PFN ? NO_PFN : pages.head(pfn);
    const skip =
      head === NO_PFN || (pages.flags(head) & (PG_readahead | PG_uptodate)) !== PG_uptodate;
    if (skip || isInFlight(vma, i)) {
      i++;
      continue;
    }
    const nr = 1 << pages.compoundOrder(head);
    const start = i - (pfn - head);
    if (mm.pgt.isNone(pmd)) {
      // A folio that ends the file makes no table (filemap_map_pages(), can_map_large).
      if (inode.kind === 'disk' && start + nr >= inode.sizePages) return false;
      if (!allocTablePinned(vma, pmd, pfn)) return false;
    }
    const whole = nr > 1 && folioFits(vma, va - (index - start) * PAGE_SIZE, start, nr);
    const first = whole ? start : i;
    const stop = whole ? start + nr : Math.min(start + nr, to + 1);
    for (i = first; i < stop; i++) {
      if (!mapIfEmpty(vma, pmd, va - (index - i) * PAGE_SIZE, (head + i - start) as Pfn)) continue;
      hits++;
      if (i === index) done = true;
    }
  }
  cacheHit(vma.file!, hits);
  if (trace.on) trace.emit(mm_filemap_map_pages, inode.id, from, to);
  return done;
}

/** Makes a PTE table while the page of the fault must stay where it is. */
function allocTablePinned(vma: Vma, pmd: number, pfn: Pfn): boolean {
  const { rmap } = vma.mm.system.machine;
  rmap.get(pfn);
  const done = vma.mm.pgt.allocPteTable(pmd);
  rmap.put(pfn);
  return done;
}

/** Was the page asked for in this very fault, without waiting for it? */
function isInFlight(vma: Vma, index: number): boolean {
  const { inFlight } = vma.mm.system;
  const { inode } = vma.file!;
  if (inode.sparse && !inode.stored.has(index)) return false;
  return inFlight.inode === inode && index >= inFlight.start && index < inFlight.end;
}

/** Maps a cached page unless something is there already. */
function mapIfEmpty(vma: Vma, pmd: number, va: number, pfn: Pfn): boolean {
  const { words } = vma.mm.system.machine.mem;
  const pte = vma.mm.pgt.pteIn(pmd, va);
  if (!pteNone(words[pte], words[pte + 1])) return false;
  mapFilePage(vma, pte, pfn, false);
  return true;
}

/** Do `nr` pages from va on, pages `first` … of the file, lie in one table, mapping and file? */
function folioFits(vma: Vma, va: number, first: number, nr: number): boolean {
  if (va < vma.start || va + nr * PAGE_SIZE > vma.end) return false;
  if (((va >>> 12) & (PTRS_PER_TABLE - 1)) + nr > PTRS_PER_TABLE) return false;
  return first + nr <= vma.file!.inode.sizePages;
}

/** Fetches the page and maps it: a read, or a write to shared memory. */
function doFetchFault(vma: Vma, pmd: number, va: VirtAddr, flags: number): FaultResult {
  const { mm } = vma;
  const { pages } = mm.system.machine;
  const index = vma.indexOf(va);
  const swapped = mustSwapIn(vma, index);
  const pfn = fetchPage(vma, index, flags);
  if (pfn < 0) return fetchFailure(pfn);
  if (mm.pgt.isNone(pmd) && !allocTablePinned(vma, pmd, pfn as Pfn)) return FAULT_OOM;
  const write = (flags & PF_WRITE) !== 0;
  const head = pages.head(pfn);
  const whole = fitsWhole(vma, va, pfn, head);
  const first = whole ? head : (pfn as Pfn);
  const count = whole ? 1 << pages.compoundOrder(head) : 1;
  mapRun(vma, pmd, va - (pfn - first) * PAGE_SIZE, first, count, write);
  if (write) mm.system.writeback.markDirty(head);
  return swapped ? FAULT_MAJOR : FAULT_OK;
}

/** Is the page of shared memory on the swap device alone, so that the fault has to wait for it? */
function mustSwapIn(vma: Vma, index: number): boolean {
  const slot = vma.file!.inode.swapped.get(index);
  return slot !== undefined && vma.mm.system.swap?.isShmemCached(slot) !== true;
}

function fetchFailure(code: number): FaultResult {
  if (code === FETCH_RETRY) return FAULT_RETRY;
  if (code === FETCH_AGAIN) return FAULT_AGAIN;
  return code === FETCH_OOM ? FAULT_OOM : FAULT_SIGBUS;
}

/**
 * True where the page is part of a large folio that fits as a whole into the mapping, the table and
 * the file, and none of its entries is taken.
 */
function fitsWhole(vma: Vma, va: VirtAddr, pfn: number, head: Pfn): boolean {
  const { mm } = vma;
  const { pages, mem } = mm.system.machine;
  const nr = 1 << pages.compoundOrder(head);
  if (nr === 1) return false;
  const before = pfn - head;
  if (!folioFits(vma, va - before * PAGE_SIZE, vma.indexOf(va) - before, nr)) return false;
  const pte = mm.pgt.pteAt(va) - before * 2;
  for (let i = 0; i < nr; i++) {
    if (!pteNone(mem.words[pte + 2 * i], mem.words[pte + 2 * i + 1])) return false;
  }
  return true;
}

function mapRun(
  vma: Vma,
  pmd: number,
  start: number,
  first: Pfn,
  count: number,
  write: boolean,
): void {
  for (let i = 0; i < count; i++) {
    const pte = vma.mm.pgt.pteIn(pmd, start + i * PAGE_SIZE);
    mapFilePage(vma, pte, (first + i) as Pfn, write);
  }
}

/** Writes an entry for a page of the cache (set_pte_range()). */
function mapFilePage(vma: Vma, pte: number, pfn: Pfn, write: boolean): void {
  const { mm } = vma;
  const { machine, fault } = mm.system;
  const { words } = machine.mem;
  let lo = protLo(vma);
  if (write) lo |= _PAGE_DIRTY | mayWrite(vma);
  else if ((lo & 2) !== 0 && machine.pages.hasFlags(machine.pages.head(pfn), PG_dirty)) {
    lo |= _PAGE_DIRTY;
  }
  words[pte + 1] = pteHi(pfn, lo, protHi(vma));
  words[pte] = pteLo(pfn, lo);
  machine.rmap.dup(pfn);
  mlockMapped(vma, pfn);
  mm.rss[machine.pages.hasFlags(pfn, PG_swapbacked) ? MM_SHMEMPAGES : MM_FILEPAGES]++;
  fault.kinds |= DID_FILE;
  fault.mapped++;
}

/** A write to private file memory: a copy at once (do_cow_fault()). */
function doCowFault(vma: Vma, pmd: number, va: VirtAddr, flags: number): FaultResult {
  const { mm } = vma;
  const { mem, alloc, rmap } = mm.system.machine;
  const anon = anonVmaPrepare(vma, rmap.owners);
  const index = vma.indexOf(va);
  const swapped = mustSwapIn(vma, index);
  const source = fetchPage(vma, index, flags);
  if (source < 0) return fetchFailure(source);
  rmap.get(source as Pfn); // the allocation may reclaim
  const pfn = alloc.alloc(GFP_HIGHUSER_MOVABLE, 0);
  if (pfn !== NO_PFN) mem.copyFrame(pfn, source);
  rmap.put(source as Pfn);
  if (pfn === NO_PFN) return FAULT_OOM;
  if (mm.pgt.isNone(pmd) && !mm.pgt.allocPteTable(pmd)) {
    alloc.free(pfn, 0);
    return FAULT_OOM;
  }
  const pte = mm.pgt.pteIn(pmd, va);
  const lo = protLo(vma) | _PAGE_DIRTY | mayWrite(vma);
  rmap.addNewAnon(pfn, anon.id, vma.indexOf(va));
  mlockMapped(vma, pfn);
  mem.words[pte + 1] = pteHi(pfn, lo, protHi(vma));
  mem.words[pte] = pteLo(pfn, lo);
  mm.rss[MM_ANONPAGES]++;
  mm.system.fault.kinds |= DID_COW_FILE;
  return swapped ? FAULT_MAJOR : FAULT_OK;
}

/** [vdso] has pages of its own; [vvar] entries have no struct page behind them. */
function doSpecialFault(vma: Vma, pmd: number, va: VirtAddr, flags: number): FaultResult {
  const { mm } = vma;
  const { system } = mm;
  const { mem, rmap } = system.machine;
  if ((flags & PF_WRITE) !== 0) return FAULT_SIGBUS;
  const pfn = system.specialPage(vma.special, vma.indexOf(va));
  if (pfn === NO_PFN) return FAULT_SIGBUS;
  if (mm.pgt.isNone(pmd) && !mm.pgt.allocPteTable(pmd)) return FAULT_OOM;
  const pte = mm.pgt.pteIn(pmd, va);
  const counted = vma.special === '[vdso]';
  const lo = protLo(vma) | (counted ? 0 : _PAGE_SPECIAL);
  mem.words[pte + 1] = pteHi(pfn, lo, protHi(vma));
  mem.words[pte] = pteLo(pfn, lo);
  if (counted) {
    rmap.dup(pfn);
    mm.rss[MM_FILEPAGES]++;
    system.fault.mapped++;
  }
  system.fault.kinds |= counted ? DID_FILE : DID_SPECIAL;
  return FAULT_OK;
}
