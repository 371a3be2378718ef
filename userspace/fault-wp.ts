// A write to a page that is present and write-protected (do_wp_page()).
//
//     shared mapping      note the write (disk files), make the entry writable
//     anonymous, mine     nobody else has it: make the entry writable ("reuse")
//     anything else       copy it to a new anonymous frame, and map that
//
// A page is mine if it is marked exclusive, or if this entry's is the only reference left.
// Source: Linux 6.18 mm/memory.c: do_wp_page(), wp_page_copy(), wp_can_reuse_anon_folio().

import { GFP_HIGHUSER_MOVABLE } from '../kernel/gfp.ts';
import { PG_anon, PG_anon_exclusive, PG_ksm, PG_swapcache } from '../kernel/page.ts';
import { FAULT_OK, FAULT_OOM, type FaultResult } from '../kernel/ports.ts';
import {
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  _PAGE_SPECIAL,
  _PAGE_UFFD_WP,
  pteHi,
  pteLo,
  ptePfn,
} from '../kernel/pte.ts';
import { mm_fault_copy, mm_fault_reuse } from '../kernel/trace.ts';
import { NO_PFN, type Pfn, type VirtAddr } from '../kernel/types.ts';
import { anonVmaPrepare } from './anon.ts';
import { DID_COPY, DID_COW_FILE, DID_REUSE } from './fault-info.ts';
import { MM_ANONPAGES } from './rss.ts';
import { mlockMapped, munlockMapped } from './mlock-pages.ts';
import { mayWrite, protHi, protLo } from './prot.ts';
import { VM_MAYSHARE, VM_SHARED, VM_UFFD_WP, type Vma } from './vma.ts';
import { rssKind } from './zap.ts';

/** Resolves a write to the write-protected entry at `pte`. */
export function doWpPage(vma: Vma, pte: number, va: VirtAddr): FaultResult {
  const { machine } = vma.mm.system;
  const { words } = machine.mem;
  const { pages } = machine;
  const lo = words[pte];
  const special = (lo & _PAGE_SPECIAL) !== 0;
  const pfn = ptePfn(lo, words[pte + 1]);
  if ((lo & _PAGE_UFFD_WP) !== 0 && vma.uffd !== null) return vma.uffd.fault(va, true, VM_UFFD_WP);
  if ((vma.flags & (VM_SHARED | VM_MAYSHARE)) !== 0) {
    if (!special) vma.mm.system.writeback.markDirty(pfn);
    return reuse(vma, pte, va, pfn);
  }
  if (!special && pages.hasFlags(pfn, PG_anon) && canReuse(vma, pfn)) {
    pages.setFlags(pfn, PG_anon_exclusive);
    return reuse(vma, pte, va, pfn);
  }
  return copy(vma, pte, va, special ? NO_PFN : pfn);
}

/** Is this entry the only one that can reach the anonymous page (wp_can_reuse_anon_folio())? */
function canReuse(vma: Vma, pfn: Pfn): boolean {
  const { pages, rmap } = vma.mm.system.machine;
  if (pages.hasFlags(pfn, PG_anon_exclusive)) return true;
  const head = pages.head(pfn);
  if (pages.hasFlags(head, PG_ksm)) return false;
  const { swap } = vma.mm.system;
  if (pages.hasFlags(head, PG_swapcache) && pages.refcount(head) === 2) swap?.tryToFree(head);
  const order = pages.compoundOrder(head);
  if (order > 0) return canReuseLarge(vma, head, 1 << order);
  if (pages.refcount(pfn) !== 1) return false;
  // The frame moves to the family of the one mapping that is left (folio_move_anon_rmap()).
  const anon = vma.anonVma ?? anonVmaPrepare(vma, rmap.owners);
  pages.setOwner(pfn, anon.id);
  return true;
}

/** All entries that map the large folio are this mm's, each with its one reference. */
function canReuseLarge(vma: Vma, head: Pfn, nr: number): boolean {
  const { pages } = vma.mm.system.machine;
  if (pages.entireMapcount(head) > 0) return false;
  let mapped = 0;
  for (let i = 0; i < nr; i++) {
    const n = pages.mapcount(head + i);
    if (n > 1) return false;
    mapped += n;
  }
  if (mapped !== pages.refcount(head)) return false;
  // Mapped once each: all by this address space, if the folio is not partly another's.
  return vma.mm.system.mapsAllOf(vma.mm, head, nr, mapped);
}

function reuse(vma: Vma, pte: number, va: VirtAddr, pfn: Pfn): FaultResult {
  const { system } = vma.mm;
  const { words } = system.machine.mem;
  words[pte] |= _PAGE_DIRTY | _PAGE_ACCESSED | mayWrite(vma);
  system.flushTlbPage(vma.mm, va);
  system.fault.kinds |= DID_REUSE;
  if (system.machine.trace.on) system.machine.trace.emit(mm_fault_reuse, va, pfn);
  return FAULT_OK;
}

/** @param old the page to copy; NO_PFN for the zero page. */
function copy(vma: Vma, pte: number, va: VirtAddr, old: Pfn): FaultResult {
  const { mm } = vma;
  const { system } = mm;
  const { mem, alloc, rmap, pages, trace } = system.machine;
  const anon = anonVmaPrepare(vma, rmap.owners);
  const before = mem.words[pte];
  const pfn = alloc.alloc(GFP_HIGHUSER_MOVABLE, 0);
  if (pfn === NO_PFN) return FAULT_OOM;
  if (((mem.words[pte] ^ before) & ~_PAGE_ACCESSED) !== 0) {
    // The allocation reclaimed the very page: the access is tried again.
    alloc.free(pfn, 0);
    return FAULT_OK;
  }
  if (old === NO_PFN) mem.zeroFrame(pfn);
  else mem.copyFrame(pfn, old);
  const lo = protLo(vma) | _PAGE_DIRTY | mayWrite(vma);
  rmap.addNewAnon(pfn, anon.id, vma.indexOf(va));
  mlockMapped(vma, pfn);
  mem.words[pte + 1] = pteHi(pfn, lo, protHi(vma));
  mem.words[pte] = pteLo(pfn, lo);
  mm.rss[MM_ANONPAGES]++;
  if (old !== NO_PFN) {
    const flags = pages.flags(old);
    mm.rss[rssKind(flags)]--;
    munlockMapped(vma, old);
    rmap.remove(old);
    if ((flags & PG_swapcache) !== 0) system.swap?.unmapped(old);
    system.fault.kinds |= (flags & PG_anon) !== 0 ? DID_COPY : DID_COW_FILE;
  }
  system.flushTlbPage(mm, va);
  if (trace.on) trace.emit(mm_fault_copy, va, old, pfn);
  return FAULT_OK;
}
