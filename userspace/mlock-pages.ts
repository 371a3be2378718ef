// Which pages are locked in memory: a page is mlocked while a VM_LOCKED mapping maps it.
// Source: Linux 6.18 mm/mlock.c: mlock_folio(), mlock_pte_range().
// Not modelled: large folios that are mapped by single entries are not locked in Linux.

import { NO_ENTRY } from '../kernel/pgtable.ts';
import { _PAGE_SPECIAL, ptePfnAny, ptePresent } from '../kernel/pte.ts';
import { PAGE_SIZE, type Pfn } from '../kernel/types.ts';
import { VM_LOCKED, VM_SPECIAL, type Vma } from './vma.ts';

/** A page was mapped: where the mapping is locked, so is the page (mlock_vma_folio()). */
export function mlockMapped(vma: Vma, pfn: Pfn): void {
  if ((vma.flags & (VM_LOCKED | VM_SPECIAL)) !== VM_LOCKED) return;
  vma.mm.system.machine.rmap.setMlocked(vma.mm.system.machine.pages.head(pfn));
}

/** An entry of the mapping no longer maps the page (munlock_vma_folio()). */
export function munlockMapped(vma: Vma, pfn: Pfn): void {
  if ((vma.flags & VM_LOCKED) === 0) return;
  vma.mm.system.machine.rmap.clearMlocked(vma.mm.system.machine.pages.head(pfn));
}

/** Marks all mapped pages of [start, end) as mlocked, or as not. */
export function markRange(vma: Vma, start: number, end: number, locked: boolean): void {
  const { pgt } = vma.mm;
  for (let va = pgt.nextPmd(start, end); va < end; va = pgt.nextPmd(va, end)) {
    setMlocked(vma, va, locked);
    va = va - (va & 0xfff) + PAGE_SIZE;
  }
}

function setMlocked(vma: Vma, va: number, locked: boolean): void {
  const { machine } = vma.mm.system;
  const { words } = machine.mem;
  const pmd = vma.mm.pgt.pmdAt(va);
  if (pmd === NO_ENTRY) return;
  const entry = vma.mm.pgt.isHuge(pmd) ? pmd : vma.mm.pgt.pteIn(pmd, va);
  if (entry === NO_ENTRY) return;
  const lo = words[entry];
  if (!ptePresent(lo) || (lo & _PAGE_SPECIAL) !== 0) return;
  const head = machine.pages.head(ptePfnAny(lo, words[entry + 1]));
  if (locked) machine.rmap.setMlocked(head);
  else machine.rmap.clearMlocked(head);
}
