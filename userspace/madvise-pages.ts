// Advice that treats pages one by one: MADV_FREE marks them clean and disposable, MADV_PAGEOUT
// reclaims what this process alone maps.
// Source: Linux 6.18 mm/madvise.c: madvise_free_pte_range(), madvise_cold_or_pageout_pte_range().

import {
  PG_dirty,
  PG_referenced,
  PG_swapbacked,
  PG_swapcache,
  PG_unevictable,
} from '../kernel/page.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import {
  MAX_SWAPFILES,
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  _PAGE_SPECIAL,
  ptePfnAny,
  ptePresent,
  swapOffset,
  swapType,
} from '../kernel/pte.ts';
import { PAGE_SIZE, PMD_SIZE, alignDown, type Pfn } from '../kernel/types.ts';
import { splitHugePmd } from './huge.ts';
import { MM_SWAPENTS } from './rss.ts';
import { reclaimPage } from './unmap.ts';
import type { Vma } from './vma.ts';

/** Calls `visit` with the place of every entry in [start, end) that is not empty. */
function forEachPte(
  vma: Vma,
  start: number,
  end: number,
  visit: (pte: number, va: number) => void,
): void {
  const { mm } = vma;
  const { pgt } = mm;
  const { words } = mm.system.machine.mem;
  for (let va = pgt.nextPmd(start, end); va < end; va = pgt.nextPmd(va, end)) {
    const next = Math.min(end, alignDown(va, PMD_SIZE) + PMD_SIZE);
    const pmd = pgt.pmdAt(va);
    if (pgt.isHuge(pmd)) {
      if (next - va === PMD_SIZE) {
        visit(pmd, va);
        va = next;
        continue;
      }
      splitHugePmd(mm, vma, pmd);
    }
    let pte = pgt.pteIn(pmd, va);
    if (pte !== NO_ENTRY) {
      for (; va < next; va += PAGE_SIZE, pte += 2) {
        if ((words[pte] | words[pte + 1]) !== 0) visit(pte, va);
      }
    }
    va = next;
  }
}

/** MADV_FREE: clean from now on; dropped under pressure unless written again. */
export function freeLazily(vma: Vma, start: number, end: number): void {
  const { mm } = vma;
  const { machine, swap } = mm.system;
  const { words } = machine.mem;
  const { pages } = machine;
  mm.updateHiwater();
  forEachPte(vma, start, end, (pte) => {
    const lo = words[pte];
    const hi = words[pte + 1];
    if (!ptePresent(lo)) {
      if (swapType(hi) >= MAX_SWAPFILES) return;
      swap?.free(swapType(hi), swapOffset(lo, hi));
      mm.rss[MM_SWAPENTS]--;
      words[pte] = words[pte + 1] = 0;
      return;
    }
    if ((lo & _PAGE_SPECIAL) !== 0) return;
    const pfn = ptePfnAny(lo, hi);
    if (pages.hasFlags(pfn, PG_swapcache | PG_dirty)) {
      if (machine.rmap.mapcount(pfn) !== 1) return;
      if (pages.hasFlags(pfn, PG_swapcache) && swap?.tryToFree(pfn) !== true) return;
      pages.clearFlags(pfn, PG_dirty);
    }
    words[pte] = lo & ~(_PAGE_DIRTY | _PAGE_ACCESSED);
    if (pages.hasFlags(pfn, PG_unevictable) || !pages.hasFlags(pfn, PG_swapbacked)) return;
    // It moves to the inactive file list, whose pages go first (lru_lazyfree()).
    const head = pages.head(pfn);
    machine.lru.remove(head);
    pages.clearFlags(pfn, PG_swapbacked | PG_referenced);
    machine.lru.add(head);
  });
  mm.system.flushTlb(mm, start, end);
}

/** MADV_PAGEOUT: pages that one entry alone maps are reclaimed, where they can be. */
export function pageOut(vma: Vma, start: number, end: number): void {
  const { mm } = vma;
  const { words } = mm.system.machine.mem;
  const { pages } = mm.system.machine;
  const list: Pfn[] = [];
  forEachPte(vma, start, end, (pte) => {
    const lo = words[pte];
    if (!ptePresent(lo) || (lo & _PAGE_SPECIAL) !== 0) return;
    const pfn = ptePfnAny(lo, words[pte + 1]);
    if (pages.head(pfn) !== pfn || pages.mapcount(pfn) !== 1) return;
    if (!pages.hasFlags(pfn, PG_unevictable)) list.push(pfn);
  });
  const { lru } = mm.system.machine;
  for (const pfn of list) {
    lru.remove(pfn);
    if (!reclaimPage(mm.system, pfn)) lru.add(pfn);
  }
}
