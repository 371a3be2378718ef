// Swapping anonymous pages and shared memory out and in.
//
//     out   the page gets a slot and enters the swap cache; every entry that maps it becomes a swap
//           entry; it is written; it leaves the cache and is freed
//     in    one entry refers to the slot     a new page is read, the slot is free again
//           several do                       pages around it are read into the swap cache; whoever
//                                            faults next finds them there (a minor fault)
//
// Pages go to the device of the highest priority that has room; devices of equal priority take
// turns, a cluster of slots each.
// A slot with one entry is read past the swap cache: devices are synchronous.
// Source: Linux 6.18 mm/memory.c: do_swap_page(), should_try_to_free_swap(); mm/swap_state.c:
// swap_vma_readahead(), swap_vma_ra_win(); mm/vmscan.c: shrink_folio_list(); mm/shmem.c:
// shmem_swapin_folio(), shmem_writeout().
// Not modelled: large folios in swap.

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
import { NO_ENTRY } from '../kernel/pgtable.ts';
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
import { PGMAJFAULT, SWAP_RA, SWAP_RA_HIT } from '../kernel/stats.ts';
import { NO_SLOT, type SwapArea } from '../kernel/swap.ts';
import { mm_vmscan_write_folio } from '../kernel/trace.ts';
import {
  NO_PFN,
  PAGE_SIZE,
  PMD_SIZE,
  alignDown,
  pageDown,
  type Pfn,
  type VirtAddr,
} from '../kernel/types.ts';
import { SwapDevices, slotOf } from '../kernel/swap_devices.ts';
import { insertPage } from './add-page.ts';
import { anonVmaPrepare, rootOf } from './anon.ts';
import { FAULT_MAJOR } from './fault-flags.ts';
import { DID_SWAPIN } from './fault-info.ts';
import { doWpPage } from './fault-wp.ts';
import type { Inode } from './file.ts';
import { mlockMapped } from './mlock-pages.ts';
import { mayWrite, protHi, protLo } from './prot.ts';
import { MM_ANONPAGES, MM_SWAPENTS } from './rss.ts';
import type { SwapPort } from './swap-port.ts';
import { swapWindow } from './swap-readahead.ts';
import type { System } from './system.ts';
import { VM_LOCKED, VM_WRITE, type Vma } from './vma.ts';

const MAX_HITS = 63;

/** Flags of mm_vmscan_write_folio. */
const RECLAIM_WB_ANON = 1;
const RECLAIM_WB_ASYNC = 8;

export class Swap extends SwapDevices implements SwapPort {
  /** Shared memory with swapped pages. */
  private readonly shmem = new Set<Inode>();
  private readonly system: System;

  constructor(system: System) {
    super(system.machine, system.totalRamPages);
    this.system = system;
  }

  dup(type: number, offset: number): void {
    this.device(type).dup(offset);
  }

  /** One entry less; a cached page that nobody maps goes with the last (free_swap_and_cache()). */
  free(type: number, offset: number): void {
    const area = this.device(type);
    const pfn = area.cached[offset] as Pfn;
    area.put(offset);
    if (pfn !== NO_PFN && area.map[offset] === 0) this.unmapped(pfn);
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
    const number = pages.privateOf(pfn);
    const area = this.areaOf(number);
    if (area.map[slotOf(number)] > 0) return false;
    area.removeFromCache(pfn);
    pages.setFlags(pfn, PG_dirty);
    rmap.put(pfn);
    return true;
  }

  /** Is the slot's page in the swap cache (for mincore)? */
  isCached(type: number, offset: number): boolean {
    return this.device(type).cached[offset] !== NO_PFN;
  }

  isShmemCached(number: number): boolean {
    return this.areaOf(number).cached[slotOf(number)] !== NO_PFN;
  }

  swapIn(vma: Vma, pte: number, va: VirtAddr, flags: number): FaultResult {
    const { system } = this;
    const { mem, pages, rmap } = system.machine;
    const { words } = mem;
    const lo = words[pte];
    const area = this.device(swapType(words[pte + 1]));
    const offset = swapOffset(lo, words[pte + 1]);
    let exclusive = (lo & SWP_EXCLUSIVE) !== 0;
    const write = (flags & PF_WRITE) !== 0;
    let major = false;
    let pfn = area.cached[offset] as Pfn;
    if (pfn !== NO_PFN) this.hit(vma, va, pfn);
    else {
      major = true;
      pfn = area.map[offset] === 1 ? this.readPast(area, offset) : this.readAround(vma, pte, va);
      if (pfn === NO_PFN) return FAULT_OOM;
      system.machine.stat.counts[PGMAJFAULT]++;
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
    if (exclusive) pages.setFlags(pfn, PG_anon_exclusive);
  }

  /** Should the cache give the page up with this fault (should_try_to_free_swap())? */
  private shouldFree(vma: Vma, pfn: Pfn, write: boolean): boolean {
    const { pages } = this.system.machine;
    if (this.available * 2 < this.system.totalSwapPages || (vma.flags & VM_LOCKED) !== 0)
      return true;
    return write && pages.refcount(pfn) === 1;
  }

  /** A page of its own for a slot that one entry alone refers to. */
  private readPast(area: SwapArea, offset: number): Pfn {
    const { alloc, lru, pages } = this.system.machine;
    const pfn = alloc.alloc(GFP_HIGHUSER_MOVABLE, 0);
    if (pfn === NO_PFN) return NO_PFN;
    const from = area.read(offset, pfn);
    this.countIn(pfn, from);
    const shadow = area.shadow[offset];
    if (shadow !== 0) lru.refault(pfn, shadow);
    pages.setFlags(pfn, PG_swapbacked | PG_uptodate);
    return pfn;
  }

  /** Reads the slot and its neighbours by address into the swap cache. @returns the slot's page. */
  private readAround(vma: Vma, pte: number, va: VirtAddr): Pfn {
    const { words } = this.system.machine.mem;
    const at = pageDown(va);
    const window = swapWindow(vma, at);
    for (let near = window.start; near < window.end; near += PAGE_SIZE) {
      const entry = pte + ((near - at) / PAGE_SIZE) * 2;
      const lo = words[entry];
      const hi = words[entry + 1];
      if (near === at || pteNone(lo, hi) || ptePresent(lo)) continue;
      if (swapType(hi) >= MAX_SWAPFILES) continue;
      this.readCached(this.device(swapType(hi)), swapOffset(lo, hi), true);
    }
    const hi = words[pte + 1];
    return this.readCached(this.device(swapType(hi)), swapOffset(words[pte], hi), false);
  }

  private readCached(area: SwapArea, offset: number, ahead: boolean): Pfn {
    const cached = area.cached[offset] as Pfn;
    if (cached !== NO_PFN) return cached;
    const pfn = this.readPast(area, offset);
    if (pfn === NO_PFN) return NO_PFN;
    area.addToCache(offset, pfn);
    this.system.machine.lru.add(pfn);
    if (ahead) {
      this.system.machine.pages.setFlags(pfn, PG_readahead);
      this.system.machine.stat.counts[SWAP_RA]++;
    }
    return pfn;
  }

  /** Reads what is swapped out of [start, end) into the swap cache (MADV_WILLNEED). */
  prefetch(vma: Vma, start: number, end: number): void {
    const { pgt } = vma.mm;
    const { words } = this.system.machine.mem;
    if (vma.file !== null) {
      const first = vma.indexOf(start);
      const stop = first + (end - start) / PAGE_SIZE;
      for (const [index, number] of [...vma.file.inode.swapped]) {
        if (index < first || index >= stop) continue;
        this.readCached(this.areaOf(number), slotOf(number), false);
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
        this.readCached(this.device(swapType(hi)), swapOffset(lo, hi), false);
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
      this.system.machine.stat.counts[SWAP_RA_HIT]++;
      hits = Math.min(hits + 1, MAX_HITS);
    }
    vma.swapRa = { addr: pageDown(va), window: ra === null ? 0 : ra.window, hits };
  }

  /** A slot for an anonymous page that is to go, which enters the swap cache; NO_SLOT if full. */
  reserve(pfn: Pfn): number {
    const { pages, rmap } = this.system.machine;
    if (pages.hasFlags(pfn, PG_swapcache)) return pages.privateOf(pfn);
    const number = this.allocSlot(pfn);
    if (number !== NO_SLOT) rmap.get(pfn);
    return number;
  }

  /** Writes a page that reserve() gave a slot; nobody maps it any more, so it leaves the cache. */
  writeOut(pfn: Pfn, number: number): void {
    const area = this.areaOf(number);
    this.write(area, slotOf(number), pfn);
    area.removeFromCache(pfn);
    this.system.machine.rmap.put(pfn);
  }

  private write(area: SwapArea, slot: number, pfn: Pfn): void {
    const { lru, trace } = this.system.machine;
    const where = area.write(slot, pfn);
    area.shadow[slot] = lru.evicted(pfn);
    this.countOut(pfn, where);
    if (trace.on) trace.emit(mm_vmscan_write_folio, pfn, RECLAIM_WB_ANON | RECLAIM_WB_ASYNC);
  }

  /** reserve() was for nothing: somebody still maps the page. */
  cancel(pfn: Pfn): void {
    this.tryToFree(pfn);
  }

  /** Drops a page that was read ahead and that nobody took: its slot still has the content. */
  dropCached(pfn: Pfn): boolean {
    const { lru, pages, rmap } = this.system.machine;
    if (pages.refcount(pfn) !== 1) return false;
    const number = pages.privateOf(pfn);
    const area = this.areaOf(number);
    area.shadow[slotOf(number)] = lru.evicted(pfn);
    area.removeFromCache(pfn);
    rmap.put(pfn);
    return true;
  }

  /** Brings a swapped page of shared memory back into its file's cache. */
  shmemIn(inode: Inode, index: number): Pfn {
    const number = inode.swapped.get(index) ?? NO_SLOT;
    const area = this.areaOf(number);
    const cached = area.cached[slotOf(number)] as Pfn;
    const pfn = cached === NO_PFN ? this.readPast(area, slotOf(number)) : cached;
    if (pfn === NO_PFN) return NO_PFN;
    if (cached !== NO_PFN) {
      area.removeFromCache(pfn);
      this.system.machine.lru.remove(pfn); // the file's cache puts it on a list again
    }
    this.forgetShmem(inode, index);
    area.put(slotOf(number));
    insertPage(this.system, inode, index, pfn);
    this.system.machine.pages.setFlags(pfn, PG_dirty);
    return pfn;
  }

  private forgetShmem(inode: Inode, index: number): void {
    inode.swapped.delete(index);
    if (inode.swapped.size === 0) this.shmem.delete(inode);
  }

  /** Brings all shared memory back that is on a device; false without memory. */
  unuseShmem(area: SwapArea): boolean {
    for (const inode of [...this.shmem]) {
      for (const [index, number] of [...inode.swapped]) {
        if (this.areaOf(number) !== area) continue;
        if (this.shmemIn(inode, index) === NO_PFN) return false;
      }
    }
    return true;
  }

  /** Writes a page of shared memory, which nobody maps any more, out of its file's cache. */
  shmemOut(inode: Inode, index: number, pfn: Pfn): boolean {
    const number = this.allocSlot(pfn);
    if (number === NO_SLOT) return false;
    const area = this.areaOf(number);
    area.dup(slotOf(number));
    inode.swapped.set(index, number);
    this.shmem.add(inode);
    this.write(area, slotOf(number), pfn);
    area.removeFromCache(pfn);
    return true;
  }

  /** Drops a swapped page of shared memory: truncated, or a hole now. */
  shmemDrop(inode: Inode, index: number): void {
    const number = inode.swapped.get(index);
    if (number === undefined) return;
    this.forgetShmem(inode, index);
    this.areaOf(number).put(slotOf(number));
  }
}

/**
 * Switches swapping on to a device of so many bytes (swapon(2)).
 * @param options its name, and its priority: the highest is used first.
 */
export function addSwap(
  system: System,
  bytes: number,
  options: { readonly name?: string; readonly priority?: number } = {},
): SwapArea {
  const swap = system.swap instanceof Swap ? system.swap : new Swap(system);
  system.swap = swap;
  const area = swap.add(bytes, options);
  system.totalSwapPages += area.usable;
  return area;
}
