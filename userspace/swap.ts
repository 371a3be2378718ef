// Swapping anonymous pages and shared memory out and in.
//
//     out   the page gets a slot and enters the swap cache; every entry that maps it becomes a swap
//           entry; it is written; it leaves the cache and is freed
//     in    one entry refers to the slot     a new page is read, the slot is free again
//           several do                       pages around it are read into the swap cache; whoever
//                                            faults next finds them there (a minor fault)
//
// The device is synchronous, so a slot with one entry is read past the swap cache. Read-ahead goes
// by address: up to 8 entries around the fault, fewer while what was read ahead is not used.
// Source: Linux 6.18 mm/memory.c: do_swap_page(), should_try_to_free_swap(); mm/swap_state.c:
// swap_vma_readahead(), swap_vma_ra_win(); mm/vmscan.c: shrink_folio_list(); mm/shmem.c:
// shmem_swapin_folio(), shmem_writeout().
// Not modelled: large folios in swap, zswap, several devices.

import { GFP_HIGHUSER_MOVABLE } from '../kernel/gfp.ts';
import {
  PG_anon,
  PG_anon_exclusive,
  PG_dirty,
  PG_readahead,
  PG_swapbacked,
  PG_swapcache,
  PG_uptodate,
} from '../kernel/page.ts';
import { FAULT_OK, FAULT_OOM, PF_WRITE, type FaultResult } from '../kernel/ports.ts';
import {
  MAX_SWAPFILES,
  SWP_EXCLUSIVE,
  _PAGE_DIRTY,
  pteHi,
  pteLo,
  pteNone,
  ptePresent,
  swapOffset,
  swapType,
} from '../kernel/pte.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import { PSWPIN, PSWPOUT } from '../kernel/stats.ts';
import { NO_SLOT, SwapArea } from '../kernel/swap.ts';
import {
  NO_PFN,
  PAGE_SIZE,
  PMD_SIZE,
  alignDown,
  pageDown,
  type Pfn,
  type VirtAddr,
} from '../kernel/types.ts';
import { insertPage } from './add-page.ts';
import { anonVmaPrepare, type AnonVma } from './anon.ts';
import { FAULT_MAJOR } from './fault-flags.ts';
import { DID_SWAPIN } from './fault-info.ts';
import { doWpPage } from './fault-wp.ts';
import type { Inode } from './file.ts';
import { mlockMapped } from './mlock-pages.ts';
import { mayWrite, protHi, protLo } from './prot.ts';
import { MM_ANONPAGES, MM_SWAPENTS } from './rss.ts';
import type { SwapPort } from './swap-port.ts';
import type { System } from './system.ts';
import { VM_LOCKED, VM_WRITE, type Vma } from './vma.ts';

/** Most pages that one fault reads ahead (2^page_cluster). */
const MAX_WINDOW = 8;
const MAX_HITS = 63;

export class Swap implements SwapPort {
  readonly area: SwapArea;
  private readonly system: System;

  /** @param bytes size of the device. */
  constructor(system: System, bytes: number) {
    const { mem, pages } = system.machine;
    this.system = system;
    this.area = new SwapArea(mem, pages, Math.floor(bytes / PAGE_SIZE));
  }

  dup(_type: number, offset: number): void {
    this.area.dup(offset);
  }

  /** One entry less; a cached page that nobody maps goes with the last (free_swap_and_cache()). */
  free(_type: number, offset: number): void {
    const pfn = this.area.cached[offset] as Pfn;
    this.area.put(offset);
    if (pfn !== NO_PFN && this.area.map[offset] === 0) this.unmapped(pfn);
  }

  /** A page of the swap cache lost a mapping: it is freed if nobody needs it any more. */
  unmapped(pfn: Pfn): void {
    const { pages } = this.system.machine;
    if (!pages.hasFlags(pfn, PG_swapcache) || pages.mapcount(pfn) > 0) return;
    this.tryToFree(pfn);
  }

  /** Takes a page out of the swap cache if no entry refers to its slot (folio_free_swap()). */
  tryToFree(pfn: Pfn): boolean {
    const { pages, rmap } = this.system.machine;
    if (!pages.hasFlags(pfn, PG_swapcache)) return false;
    if ((this.area.map[pages.privateOf(pfn)] ?? 0) > 0) return false;
    this.area.removeFromCache(pfn);
    pages.setFlags(pfn, PG_dirty);
    rmap.put(pfn);
    return true;
  }

  /** Is the slot's page in the swap cache (for mincore)? */
  isCached(offset: number): boolean {
    return this.area.cached[offset] !== NO_PFN;
  }

  swapIn(vma: Vma, pte: number, va: VirtAddr, flags: number): FaultResult {
    const { system, area } = this;
    const { mem, pages, rmap, stat } = system.machine;
    const { words } = mem;
    const lo = words[pte];
    const offset = swapOffset(lo, words[pte + 1]);
    let exclusive = (lo & SWP_EXCLUSIVE) !== 0;
    const write = (flags & PF_WRITE) !== 0;
    let major = false;
    let pfn = area.cached[offset] as Pfn;
    if (pfn !== NO_PFN) this.hit(vma, va, pfn);
    else {
      major = true;
      stat.counts[PSWPIN]++;
      pfn = area.map[offset] === 1 ? this.readPast(offset) : this.readAround(vma, pte, va, offset);
      if (pfn === NO_PFN) return FAULT_OOM;
    }
    const cached = pages.hasFlags(pfn, PG_swapcache);
    // The slot loses this entry; the cache gives the page up where that makes it ours alone.
    area.put(offset);
    if (cached && this.shouldFree(vma, pfn, write)) {
      rmap.get(pfn);
      this.tryToFree(pfn);
    } else if (cached) rmap.get(pfn);
    const alone = pages.refcount(pfn) === 1 && pages.mapcount(pfn) === 0;
    let entry = protLo(vma);
    if (exclusive || alone) {
      exclusive = true;
      if ((vma.flags & VM_WRITE) !== 0) {
        entry |= mayWrite(vma);
        if (write) entry |= _PAGE_DIRTY;
      }
    }
    this.mapPage(vma, va, pfn, exclusive);
    words[pte + 1] = pteHi(pfn, entry, protHi(vma));
    words[pte] = pteLo(pfn, entry);
    system.fault.kinds |= DID_SWAPIN;
    if (write && (entry & _PAGE_DIRTY) === 0) {
      const result = doWpPage(vma, pte, va);
      if (result !== FAULT_OK) return result;
    }
    return major ? FAULT_MAJOR : FAULT_OK;
  }

  /** Counts the page in for the mapping and its family; its reference is the caller's. */
  private mapPage(vma: Vma, va: VirtAddr, pfn: Pfn, exclusive: boolean): void {
    const { pages, rmap } = this.system.machine;
    vma.mm.rss[MM_ANONPAGES]++;
    vma.mm.rss[MM_SWAPENTS]--;
    const own = anonVmaPrepare(vma, rmap.owners);
    if (pages.hasFlags(pfn, PG_anon)) {
      pages.setMapcount(pfn, pages.mapcount(pfn) + 1);
      mlockMapped(vma, pfn);
    } else {
      // As in Linux, a page that comes back new to its mapping is not locked by that.
      const keep = pages.flags(pfn);
      rmap.addNewAnon(pfn, exclusive ? own.id : rootOf(own).id, vma.indexOf(va));
      if ((keep & PG_swapcache) !== 0) pages.setFlags(pfn, PG_swapcache);
      pages.clearFlags(pfn, PG_anon_exclusive);
    }
    if (exclusive) {
      pages.setFlags(pfn, PG_anon_exclusive);
    }
  }

  /** Should the cache give the page up with this fault (should_try_to_free_swap())? */
  private shouldFree(vma: Vma, pfn: Pfn, write: boolean): boolean {
    const { pages } = this.system.machine;
    if (this.area.used * 2 > this.area.usable || (vma.flags & VM_LOCKED) !== 0) return true;
    return write && pages.refcount(pfn) === 1;
  }

  /** A page of its own for a slot that one entry alone refers to. */
  private readPast(offset: number): Pfn {
    const { alloc, lru, pages } = this.system.machine;
    const pfn = alloc.alloc(GFP_HIGHUSER_MOVABLE, 0);
    if (pfn === NO_PFN) return NO_PFN;
    this.area.read(offset, pfn);
    const shadow = this.area.shadow[offset];
    if (shadow !== 0) lru.refault(pfn, shadow);
    pages.setFlags(pfn, PG_swapbacked | PG_uptodate);
    return pfn;
  }

  /** Reads the slot and its neighbours by address into the swap cache. @returns the slot's page. */
  private readAround(vma: Vma, pte: number, va: VirtAddr, offset: number): Pfn {
    const { words } = this.system.machine.mem;
    const at = pageDown(va);
    const window = swapWindow(vma, at);
    for (let near = window.start; near < window.end; near += PAGE_SIZE) {
      const entry = pte + ((near - at) / PAGE_SIZE) * 2;
      const lo = words[entry];
      const hi = words[entry + 1];
      if (near === at || pteNone(lo, hi) || ptePresent(lo)) continue;
      if (swapType(hi) >= MAX_SWAPFILES) continue;
      this.readCached(swapOffset(lo, hi), true);
    }
    return this.readCached(offset, false);
  }

  private readCached(offset: number, ahead: boolean): Pfn {
    const { area } = this;
    const cached = area.cached[offset] as Pfn;
    if (cached !== NO_PFN) return cached;
    const pfn = this.readPast(offset);
    if (pfn === NO_PFN) return NO_PFN;
    area.addToCache(offset, pfn);
    this.system.machine.lru.add(pfn);
    if (ahead) this.system.machine.pages.setFlags(pfn, PG_readahead);
    return pfn;
  }

  /** Reads what is swapped out of [start, end) into the swap cache (MADV_WILLNEED). */
  prefetch(vma: Vma, start: number, end: number): void {
    const { pgt } = vma.mm;
    const { words } = this.system.machine.mem;
    if (vma.file !== null) {
      const first = vma.indexOf(start);
      const stop = first + (end - start) / PAGE_SIZE;
      for (const [index, offset] of vma.file.inode.swapped) {
        if (index >= first && index < stop) this.readCached(offset, false);
      }
      return;
    }
    for (let va = pgt.nextPmd(start, end); va < end; va = pgt.nextPmd(va, end)) {
      const next = Math.min(end, alignDown(va, PMD_SIZE) + PMD_SIZE);
      const pmd = pgt.pmdAt(va);
      let pte = pgt.isHuge(pmd) ? NO_ENTRY : pgt.pteIn(pmd, va);
      for (; pte !== NO_ENTRY && va < next; va += PAGE_SIZE, pte += 2) {
        const lo = words[pte];
        const hi = words[pte + 1];
        if (pteNone(lo, hi) || ptePresent(lo) || swapType(hi) >= MAX_SWAPFILES) continue;
        this.readCached(swapOffset(lo, hi), false);
      }
      va = next;
    }
  }

  /** A fault found its page in the swap cache: what was read ahead was of use. */
  private hit(vma: Vma, va: VirtAddr, pfn: Pfn): void {
    const { pages } = this.system.machine;
    const ra = vma.swapRa;
    let hits = ra === null ? 4 : ra.hits;
    if (pages.hasFlags(pfn, PG_readahead)) {
      pages.clearFlags(pfn, PG_readahead);
      hits = Math.min(hits + 1, MAX_HITS);
    }
    vma.swapRa = { addr: pageDown(va), window: ra === null ? 0 : ra.window, hits };
  }

  /** A slot for an anonymous page that is to go, which enters the swap cache; NO_SLOT if full. */
  reserve(pfn: Pfn): number {
    const { pages, rmap } = this.system.machine;
    if (pages.hasFlags(pfn, PG_swapcache)) return pages.privateOf(pfn);
    const slot = this.area.alloc(pfn);
    if (slot !== NO_SLOT) rmap.get(pfn);
    return slot;
  }

  /** Writes a page that reserve() gave a slot; nobody maps it any more, so it leaves the cache. */
  writeOut(pfn: Pfn, slot: number): void {
    const { lru, rmap, stat } = this.system.machine;
    this.area.write(slot, pfn);
    this.area.shadow[slot] = lru.evicted(pfn);
    stat.counts[PSWPOUT]++;
    this.area.removeFromCache(pfn);
    rmap.put(pfn);
  }

  /** reserve() was for nothing: somebody still maps the page. */
  cancel(pfn: Pfn): void {
    this.tryToFree(pfn);
  }

  /** Drops a page that was read ahead and that nobody took: its slot still has the content. */
  dropCached(pfn: Pfn): boolean {
    const { lru, pages, rmap } = this.system.machine;
    if (pages.refcount(pfn) !== 1) return false;
    this.area.shadow[pages.privateOf(pfn)] = lru.evicted(pfn);
    this.area.removeFromCache(pfn);
    rmap.put(pfn);
    return true;
  }

  /** Slots that are free. */
  get available(): number {
    return this.area.usable - this.area.used;
  }

  /** Brings a swapped page of shared memory back into its file's cache. */
  shmemIn(inode: Inode, index: number): Pfn {
    const offset = inode.swapped.get(index) ?? NO_SLOT;
    const cached = this.area.cached[offset] as Pfn;
    const pfn = cached === NO_PFN ? this.readPast(offset) : cached;
    if (pfn === NO_PFN) return NO_PFN;
    if (cached !== NO_PFN) {
      this.area.removeFromCache(pfn);
      this.system.machine.lru.remove(pfn); // the file's cache puts it on a list again
    }
    inode.swapped.delete(index);
    this.area.put(offset);
    insertPage(this.system, inode, index, pfn);
    this.system.machine.pages.setFlags(pfn, PG_dirty);
    this.system.machine.stat.counts[PSWPIN]++;
    return pfn;
  }

  /** Writes a page of shared memory, which nobody maps any more, out of its file's cache. */
  shmemOut(inode: Inode, index: number, pfn: Pfn): boolean {
    const { area, system } = this;
    const slot = area.alloc(pfn);
    if (slot === NO_SLOT) return false;
    area.dup(slot);
    inode.swapped.set(index, slot);
    area.write(slot, pfn);
    area.shadow[slot] = system.machine.lru.evicted(pfn);
    area.removeFromCache(pfn);
    system.machine.stat.counts[PSWPOUT]++;
    return true;
  }

  /** Drops a swapped page of shared memory: truncated, or a hole now. */
  shmemDrop(inode: Inode, index: number): void {
    const slot = inode.swapped.get(index);
    if (slot === undefined) return;
    inode.swapped.delete(index);
    this.area.put(slot);
  }

  check(): void {
    this.area.check();
  }
}

/** The addresses whose entries a fault at `at` reads (swap_vma_ra_win()). */
function swapWindow(vma: Vma, at: number): { start: number; end: number } {
  const ra = vma.swapRa ?? { addr: 0, window: 0, hits: 4 };
  const page = at / PAGE_SIZE;
  const before = ra.addr / PAGE_SIZE;
  const window = windowSize(before, page, ra.hits, ra.window);
  vma.swapRa = { addr: at, window, hits: 0 };
  if (window === 1) return { start: at, end: at + PAGE_SIZE };
  let first: number;
  if (page === before + 1) first = page;
  else if (before === page + 1) first = page - window + 1;
  else first = page - ((window - 1) >> 1);
  const table = alignDown(at, PMD_SIZE);
  return {
    start: Math.max(first * PAGE_SIZE, vma.start, table),
    end: Math.min((first + window) * PAGE_SIZE, vma.end, table + PMD_SIZE),
  };
}

/** Pages to read, from how many of the last were used (__swapin_nr_pages()). */
function windowSize(before: number, page: number, hits: number, last: number): number {
  let pages = hits + 2;
  if (pages === 2) {
    if (page !== before + 1 && page !== before - 1) pages = 1;
  } else pages = Math.max(4, 2 ** Math.ceil(Math.log2(pages)));
  return Math.max(Math.min(pages, MAX_WINDOW), last >> 1);
}

function rootOf(anon: AnonVma): AnonVma {
  let root = anon;
  while (root.parent !== root) root = root.parent;
  return root;
}

/** Switches swapping on: a device of so many bytes (swapon(2)). */
export function addSwap(system: System, bytes: number): void {
  const swap = new Swap(system, bytes);
  system.swap = swap;
  system.totalSwapPages = swap.area.usable;
}
