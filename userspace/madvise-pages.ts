// Advice that treats pages one by one: MADV_FREE marks them clean and disposable, MADV_PAGEOUT
// reclaims what this process alone maps.
// Source: Linux 6.18 mm/madvise.c: madvise_free_pte_range(), madvise_cold_or_pageout_pte_range().

import { PG_anon, PG_dirty, PG_mlocked, PG_reclaim, PG_swapbacked } from '../kernel/page.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import {
  MAX_SWAPFILES,
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  _PAGE_PRESENT,
  _PAGE_SPECIAL,
  ptePfn,
  ptePresent,
  swapOffset,
  swapType,
} from '../kernel/pte.ts';
import { PAGE_SIZE, PMD_SIZE, alignDown } from '../kernel/types.ts';
import { splitHugePmd } from './huge.ts';
import { MM_FILEPAGES, MM_SWAPENTS } from './rss.ts';
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
    if ((lo & _PAGE_SPECIAL) !== 0 || (lo & _PAGE_PRESENT) === 0) return;
    const pfn = ptePfn(lo, hi);
    if (pages.refcount(pages.head(pfn)) !== 1 && pages.mapcount(pfn) > 1) return;
    pages.clearFlags(pfn, PG_dirty | PG_swapbacked);
    pages.setFlags(pfn, PG_reclaim);
    words[pte] = lo & ~(_PAGE_DIRTY | _PAGE_ACCESSED);
  });
  mm.system.flushTlb(mm, start, end);
}

/** MADV_PAGEOUT: pages that this process alone maps leave its page table, where they can. */
export function pageOut(vma: Vma, start: number, end: number): void {
  const { mm } = vma;
  const { machine, swap } = mm.system;
  const { words } = machine.mem;
  const { pages, rmap } = machine;
  forEachPte(vma, start, end, (pte) => {
    const lo = words[pte];
    if ((lo & _PAGE_PRESENT) === 0 || (lo & _PAGE_SPECIAL) !== 0) return;
    const pfn = ptePfn(lo, words[pte + 1]);
    const head = pages.head(pfn);
    if (head !== pfn || pages.mapcount(pfn) !== 1 || pages.hasFlags(head, PG_mlocked)) return;
    if (pages.hasFlags(pfn, PG_anon)) {
      swap?.swapOut(vma, pte, pfn);
      return;
    }
    if (pages.hasFlags(pfn, PG_dirty | PG_swapbacked) || (lo & _PAGE_DIRTY) !== 0) return;
    const inode = vma.file?.inode;
    if (inode === undefined) return;
    words[pte] = words[pte + 1] = 0;
    mm.rss[MM_FILEPAGES]--;
    const index = pages.index(pfn);
    rmap.remove(pfn);
    inode.cache.remove(index);
    rmap.put(pfn);
  });
  mm.system.flushTlb(mm, start, end);
}
