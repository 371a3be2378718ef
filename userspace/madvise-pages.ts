// Advice that treats pages one by one: MADV_FREE marks them clean and disposable, MADV_PAGEOUT
// reclaims what this process alone maps.
// Source: Linux 6.18 mm/madvise.c: madvise_free_pte_range(), madvise_cold_or_pageout_pte_range().

import {
  PG_anon,
  PG_dirty,
  PG_referenced,
  PG_swapbacked,
  PG_swapcache,
  PG_unevictable,
} from '../kernel/page.ts';
import { EVICT_DONE } from '../kernel/ports.ts';
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
import { PGLAZYFREE } from '../kernel/reclaim/page_events.ts';
import { PAGE_SIZE, PMD_SIZE, alignDown, type Pfn } from '../kernel/types.ts';
import { MM_SWAPENTS } from './rss.ts';
import { isMappedElsewhere, splitFolio } from './split-folio.ts';
import { reclaimPage } from './unmap.ts';
import type { Vma } from './vma.ts';

/**
 * Calls `visit` with the place of every entry in [start, end) that is not empty. A huge page that
 * the range covers in part is split for good first, or left out where others map it too.
 */
function forEachPte(vma: Vma, start: number, end: number, visit: (entry: number) => void): void {
  const { mm } = vma;
  const { pgt } = mm;
  const { words } = mm.system.machine.mem;
  for (let va = pgt.nextPmd(start, end); va < end; va = pgt.nextPmd(va, end)) {
    const next = Math.min(end, alignDown(va, PMD_SIZE) + PMD_SIZE);
    const pmd = pgt.pmdAt(va);
    if (pgt.isHuge(pmd)) {
      const whole = next - va === PMD_SIZE;
      if (whole) visit(pmd);
      if (whole || !splitForPart(vma, pmd)) {
        va = next;
        continue;
      }
    }
    let pte = pgt.pteIn(pmd, va);
    if (pte !== NO_ENTRY) {
      for (let at = va; at < next; at += PAGE_SIZE, pte += 2) {
        if ((words[pte] | words[pte + 1]) === 0) continue;
        if (splitIfPart(vma, pte, at, va, next)) visit(pte);
      }
    }
    va = next;
  }
}

/** Splits the huge page at `pmd` for good, a part of which is treated; false where it is shared. */
function splitForPart(vma: Vma, pmd: number): boolean {
  const { mm } = vma;
  const { words } = mm.system.machine.mem;
  if ((words[pmd] & _PAGE_SPECIAL) !== 0) return false;
  const head = ptePfnAny(words[pmd], words[pmd + 1]);
  return !isMappedElsewhere(mm, head) && splitFolio(mm.system, head, true);
}

/**
 * The entry at `pte` may map a page of a compound one: that is split for good, unless the range
 * [start, end) covers all of it. @returns false where the page is to be left alone.
 */
function splitIfPart(vma: Vma, pte: number, va: number, start: number, end: number): boolean {
  const { mm } = vma;
  const { pages, mem } = mm.system.machine;
  const lo = mem.words[pte];
  if (!ptePresent(lo) || (lo & _PAGE_SPECIAL) !== 0) return true;
  const pfn = ptePfnAny(lo, mem.words[pte + 1]);
  const head = pages.head(pfn);
  const nr = 1 << pages.compoundOrder(head);
  if (nr === 1 || !pages.hasFlags(head, PG_anon)) return true;
  if (isMappedElsewhere(mm, head)) return false;
  const before = pfn - head;
  if (before === 0 && va + nr * PAGE_SIZE <= end && isRun(vma, pte, head, nr)) return true;
  const visited = before > 0 && va - before * PAGE_SIZE >= start;
  // Its head was visited, so the range covers all of it.
  if (visited && isRun(vma, pte - before * 2, head, nr)) return true;
  return splitFolio(mm.system, head, true);
}

/** Do `nr` entries from `pte` on map the compound page from its head on? */
function isRun(vma: Vma, pte: number, head: Pfn, nr: number): boolean {
  const { words } = vma.mm.system.machine.mem;
  if ((pte & 1023) + nr * 2 > 1024) return false;
  for (let i = 0; i < nr; i++) {
    const lo = words[pte + 2 * i];
    if (!ptePresent(lo) || ptePfnAny(lo, words[pte + 2 * i + 1]) !== head + i) return false;
  }
  return true;
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
    const huge = mm.pgt.isHuge(pte) && pages.compoundOrder(pfn) > 0;
    if (huge && isMappedElsewhere(mm, pfn)) return;
    if (pages.hasFlags(pfn, PG_swapcache | PG_dirty)) {
      if (machine.rmap.mapcount(pfn) !== 1) return;
      if (pages.hasFlags(pfn, PG_swapcache) && swap?.tryToFree(pfn) !== true) return;
      pages.clearFlags(pfn, PG_dirty);
    }
    words[pte] = lo & ~(_PAGE_DIRTY | _PAGE_ACCESSED);
    const head = pages.head(pfn);
    if (pages.hasFlags(head, PG_unevictable) || !pages.hasFlags(head, PG_swapbacked)) return;
    // It moves to the inactive file list, whose pages go first (lru_lazyfree()).
    machine.lru.count(head, PGLAZYFREE, 1 << pages.compoundOrder(head));
    machine.lru.remove(head);
    pages.clearFlags(head, PG_swapbacked | PG_referenced);
    machine.lru.add(head);
  });
  mm.system.flushTlb(mm, start, end);
}

/** MADV_COLD: pages that this mapping alone uses look as if nobody had, and go first. */
export function coolDown(vma: Vma, start: number, end: number): void {
  const { lru, mem, pages } = vma.mm.system.machine;
  forEachPte(vma, start, end, (pte) => {
    const lo = mem.words[pte];
    if (!ptePresent(lo) || (lo & _PAGE_SPECIAL) !== 0) return;
    const pfn = ptePfnAny(lo, mem.words[pte + 1]);
    if (pages.head(pfn) !== pfn || pages.mapcount(pfn) > 1) return;
    mem.words[pte] = lo & ~_PAGE_ACCESSED;
    lru.deactivate(pfn);
  });
  vma.mm.system.flushTlb(vma.mm, start, end);
}

/** MADV_PAGEOUT: pages that one entry alone maps are reclaimed, where they can be. */
export function pageOut(vma: Vma, start: number, end: number): void {
  const { mm } = vma;
  const { system } = mm;
  const { words } = system.machine.mem;
  const { pages } = system.machine;
  const list: Pfn[] = [];
  forEachPte(vma, start, end, (pte) => {
    const lo = words[pte];
    if (!ptePresent(lo) || (lo & _PAGE_SPECIAL) !== 0) return;
    const pfn = ptePfnAny(lo, words[pte + 1]);
    const head = pages.head(pfn);
    if (pages.hasFlags(head, PG_unevictable)) return;
    if (pages.compoundOrder(head) > 0) {
      if (head === pfn && pages.hasFlags(head, PG_anon) && !isMappedElsewhere(mm, head)) {
        list.push(pfn);
      }
    } else if (pages.mapcount(pfn) === 1) list.push(pfn);
  });
  const { lru } = system.machine;
  for (const pfn of list) {
    const nr = 1 << pages.compoundOrder(pfn);
    // Swap takes a huge page as it is; without swap it is split, and its zeros are dropped.
    if (nr > 1 && !splitFolio(system, pfn, system.swap === null)) continue;
    for (let i = 0; i < nr; i++) {
      const page = (pfn + i) as Pfn;
      if (pages.mapcount(page) !== 1) continue;
      lru.remove(page);
      if (reclaimPage(system, page) !== EVICT_DONE) lru.add(page);
    }
  }
}
