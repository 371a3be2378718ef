// Taking pages out of page tables: unmapping a range, and freeing what nobody maps any more.
//
// Whoever empties a range says which pages go: all of them, or (MADV_DONTNEED on file memory,
// truncation) whatever is mapped there, with private copies or without.
// Source: Linux 6.18 mm/memory.c: unmap_page_range(), zap_pte_range(), zap_huge_pmd();
// mm/pt_reclaim.c (page tables that stay empty after MADV_DONTNEED of 2 MiB go at once).

import { PAGE_RECORD, PG_anon, PG_swapcache, PG_swapbacked } from '../kernel/page.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import {
  MAX_SWAPFILES,
  PTE_MARKER_GUARD,
  SWP_PTE_MARKER,
  _PAGE_DIRTY,
  _PAGE_PRESENT,
  _PAGE_SPECIAL,
  ptePfnAny,
  ptePresent,
  swapOffset,
  swapType,
} from '../kernel/pte.ts';
import { PMD_SIZE, alignDown } from '../kernel/types.ts';
import { splitHugePmd, zapHugePmd } from './huge.ts';
import { munlockMapped } from './mlock-pages.ts';
import type { Mm } from './mm.ts';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES, MM_SWAPENTS } from './rss.ts';
import type { Vma } from './vma.ts';

/** Options of zapRange(). */
export const ZAP_KEEP_COWED = 1; // leave private copies of file pages (unmap_mapping_pages())
export const ZAP_KEEP_MARKERS = 2; // leave guard markers: MADV_DONTNEED, truncation
export const ZAP_RECLAIM_TABLES = 4; // give up PTE tables that cover only emptied memory

/** The rss counter of a mapped page, by its frame's flags (mm_counter()). */
export function rssKind(flags: number): number {
  if ((flags & PG_anon) !== 0) return MM_ANONPAGES;
  return (flags & PG_swapbacked) !== 0 ? MM_SHMEMPAGES : MM_FILEPAGES;
}

/** Unmaps the pages of [start, end), which lies in the mapping, and flushes the TLBs. */
export function zapRange(vma: Vma, start: number, end: number, options = 0): void {
  const { mm } = vma;
  const { pgt } = mm;
  for (let va = pgt.nextPmd(start, end); va < end; va = pgt.nextPmd(va, end)) {
    const next = Math.min(end, alignDown(va, PMD_SIZE) + PMD_SIZE);
    const pmd = pgt.pmdAt(va);
    if (pgt.isHuge(pmd)) {
      if (next - va === PMD_SIZE) {
        zapHugePmd(vma, pmd);
        va = next;
        continue;
      }
      splitHugePmd(mm, vma, pmd);
    }
    const kept = zapPtes(vma, pmd, va, next, options);
    const whole = next - va === PMD_SIZE;
    if ((options & ZAP_RECLAIM_TABLES) !== 0 && whole && !kept) reclaimTable(mm, pmd);
    va = next;
  }
  mm.system.flushTlb(mm, start, end);
}

/** Empties the entries of one table. @returns true where an entry had to stay. */
function zapPtes(vma: Vma, pmd: number, start: number, end: number, options: number): boolean {
  const { mm } = vma;
  const { mem, pages, rmap } = mm.system.machine;
  const { words } = mem;
  let at = mm.pgt.pteIn(pmd, start);
  if (at === NO_ENTRY) return false;
  let kept = false;
  const stop = at + ((end - start) / 4096) * 2;
  for (; at < stop; at += 2) {
    const lo = words[at];
    const hi = words[at + 1];
    if ((lo | hi) === 0) continue;
    if (!ptePresent(lo)) {
      if (zapNotPresent(mm, lo, hi, options)) words[at] = words[at + 1] = 0;
      else kept = true;
      continue;
    }
    if ((lo & _PAGE_SPECIAL) !== 0) {
      words[at] = words[at + 1] = 0;
      continue;
    }
    const pfn = ptePfnAny(lo, hi);
    const flags = pages.words[pfn * PAGE_RECORD];
    if ((options & ZAP_KEEP_COWED) !== 0 && (flags & PG_anon) !== 0) {
      kept = true;
      continue;
    }
    words[at] = words[at + 1] = 0;
    mm.rss[rssKind(flags)]--;
    if ((flags & PG_anon) === 0 && (lo & _PAGE_DIRTY) !== 0) mm.system.writeback.markDirty(pfn);
    munlockMapped(vma, pfn);
    rmap.remove(pfn);
    if ((flags & PG_swapcache) !== 0) mm.system.swap?.unmapped(pfn);
  }
  return kept;
}

function zapNotPresent(mm: Mm, lo: number, hi: number, options: number): boolean {
  const type = swapType(hi);
  if (type === SWP_PTE_MARKER) {
    const guard = (swapOffset(lo, hi) & PTE_MARKER_GUARD) !== 0;
    return !(guard && (options & (ZAP_KEEP_MARKERS | ZAP_KEEP_COWED)) !== 0);
  }
  if (type < MAX_SWAPFILES) {
    if ((options & ZAP_KEEP_COWED) !== 0) return false;
    mm.rss[MM_SWAPENTS]--;
    mm.system.swap?.free(type, swapOffset(lo, hi));
  }
  return true;
}

function reclaimTable(mm: Mm, pmd: number): void {
  if ((mm.system.machine.mem.words[pmd] & _PAGE_PRESENT) === 0) return;
  mm.pgt.freePteTable(mm.pgt.unhookPteTable(pmd));
}
