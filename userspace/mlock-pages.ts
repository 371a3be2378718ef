// Which pages are locked in memory: a page is mlocked while a VM_LOCKED mapping maps it.
//
// A compound page that single entries map is another matter: it is locked only where mlock() meets
// all of its entries in a row, within one page table; a fault that maps a part of it does not lock
// it, but any entry that goes takes a lock away. Reclaim would see to what that leaves wrong.
// Source: Linux 6.18 mm/mlock.c: mlock_folio(), mlock_pte_range(), allow_mlock_munlock();
// mm/internal.h: munlock_vma_folio(); mm/rmap.c: __folio_add_anon_rmap().

import { NO_ENTRY } from '../kernel/pgtable.ts';
import { _PAGE_SPECIAL, ptePfnAny, ptePresent } from '../kernel/pte.ts';
import { NO_PFN, PAGE_SIZE, PMD_SIZE, alignDown, type Pfn } from '../kernel/types.ts';
import { VM_LOCKED, VM_SPECIAL, type Vma } from './vma.ts';

/** A page was mapped: where the mapping is locked, so is the page (mlock_vma_folio()). */
export function mlockMapped(vma: Vma, pfn: Pfn): void {
  if ((vma.flags & (VM_LOCKED | VM_SPECIAL)) !== VM_LOCKED) return;
  const { pages, rmap } = vma.mm.system.machine;
  const head = pages.head(pfn);
  if (pages.compoundOrder(head) === 0) rmap.setMlocked(head);
}

/** A huge page was mapped as a whole (mlock_new_folio()). */
export function mlockMappedHuge(vma: Vma, head: Pfn): void {
  if ((vma.flags & (VM_LOCKED | VM_SPECIAL)) !== VM_LOCKED) return;
  vma.mm.system.machine.rmap.setMlocked(head);
}

/** An entry of the mapping no longer maps the page (munlock_vma_folio()). */
export function munlockMapped(vma: Vma, pfn: Pfn): void {
  if ((vma.flags & VM_LOCKED) === 0) return;
  vma.mm.system.machine.rmap.clearMlocked(vma.mm.system.machine.pages.head(pfn));
}

/** Marks all mapped pages of [start, end) as mlocked, or as not (mlock_vma_pages_range()). */
export function markRange(vma: Vma, start: number, end: number, locked: boolean): void {
  const { pgt, system } = vma.mm;
  const { words } = system.machine.mem;
  for (let va = pgt.nextPmd(start, end); va < end; va = pgt.nextPmd(va, end)) {
    const next = Math.min(end, alignDown(va, PMD_SIZE) + PMD_SIZE);
    const pmd = pgt.pmdAt(va);
    if (pmd !== NO_ENTRY) {
      if (!pgt.isHuge(pmd)) markTable(vma, pgt.pteIn(pmd, va), (next - va) / PAGE_SIZE, locked);
      else if ((words[pmd] & _PAGE_SPECIAL) === 0) {
        setMlocked(vma, ptePfnAny(words[pmd], words[pmd + 1]), locked);
      }
    }
    va = next;
  }
}

/** The same for `count` entries of one table; a compound page counts once for each run of them. */
function markTable(vma: Vma, pte: number, count: number, locked: boolean): void {
  const { mem, pages } = vma.mm.system.machine;
  const { words } = mem;
  if (pte === NO_ENTRY) return;
  for (let i = 0; i < count;) {
    const at = pte + 2 * i;
    const step = runLength(vma, at, count - i);
    const head = step === 0 ? NO_PFN : pages.head(ptePfnAny(words[at], words[at + 1]));
    const whole = step === 1 << pages.compoundOrder(Math.max(0, head));
    if (step > 0 && (whole || !locked)) setMlocked(vma, head, locked);
    i += Math.max(1, step);
  }
}

/**
 * How many entries from `pte` on, `max` at most, map pages of one compound page in a row; 1 for a
 * page of its own, 0 for none.
 */
function runLength(vma: Vma, pte: number, max: number): number {
  const { mem, pages } = vma.mm.system.machine;
  const { words } = mem;
  if (!ptePresent(words[pte]) || (words[pte] & _PAGE_SPECIAL) !== 0) return 0;
  const pfn = ptePfnAny(words[pte], words[pte + 1]);
  const head = pages.head(pfn);
  const stop = Math.min(max, head + (1 << pages.compoundOrder(head)) - pfn);
  for (let i = 1; i < stop; i++) {
    const lo = words[pte + 2 * i];
    if (!ptePresent(lo) || ptePfnAny(lo, words[pte + 2 * i + 1]) !== pfn + i) return i;
  }
  return stop;
}

function setMlocked(vma: Vma, head: Pfn, locked: boolean): void {
  const { rmap } = vma.mm.system.machine;
  if (locked) rmap.setMlocked(head);
  else rmap.clearMlocked(head);
}
