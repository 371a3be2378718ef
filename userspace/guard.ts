// Guard regions: page-table markers that make every access fail, without a mapping of their own.
// Source: Linux 6.18 mm/madvise.c: madvise_guard_install(), madvise_guard_remove().

import { EINVAL, ENOMEM, SysError } from '../kernel/errors.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import {
  PTE_MARKER_GUARD,
  SWP_PTE_MARKER,
  isMarker,
  pteNone,
  swapHi,
  swapLo,
} from '../kernel/pte.ts';
import { PAGE_SIZE } from '../kernel/types.ts';
import { anonVmaPrepare } from './anon.ts';
import { VM_HUGETLB, VM_LOCKED, VM_MAYBE_GUARD, VM_SPECIAL, type Vma } from './vma.ts';
import { zapRange } from './zap.ts';

/** MADV_GUARD_INSTALL: what is there goes, and every page of [start, end) gets a marker. */
export function installGuards(vma: Vma, start: number, end: number): void {
  if ((vma.flags & (VM_SPECIAL | VM_HUGETLB | VM_LOCKED)) !== 0) throw new SysError(EINVAL);
  const { mm } = vma;
  const { words } = mm.system.machine.mem;
  vma.flags |= VM_MAYBE_GUARD;
  // Private memory whose tables are not empty has a family.
  if (vma.isAnonymous) anonVmaPrepare(vma, mm.system.machine.rmap.owners);
  for (let va = start; va < end; va += PAGE_SIZE) {
    let pte = mm.pgt.pteAt(va);
    const taken = pte === NO_ENTRY ? !pmdIsFree(vma, va) : !pteNone(words[pte], words[pte + 1]);
    if (taken) {
      if (pte !== NO_ENTRY && isMarker(words[pte], words[pte + 1], PTE_MARKER_GUARD)) continue;
      zapRange(vma, va, va + PAGE_SIZE);
    }
    pte = mm.pgt.allocPte(va);
    if (pte === NO_ENTRY) throw new SysError(ENOMEM);
    words[pte] = swapLo(PTE_MARKER_GUARD);
    words[pte + 1] = swapHi(SWP_PTE_MARKER, PTE_MARKER_GUARD);
  }
}

/** MADV_GUARD_REMOVE: markers in [start, end) go, everything else stays. */
export function removeGuards(vma: Vma, start: number, end: number): void {
  if ((vma.flags & (VM_SPECIAL | VM_HUGETLB)) !== 0) throw new SysError(EINVAL);
  const { mm } = vma;
  const { words } = mm.system.machine.mem;
  for (let va = start; va < end; va += PAGE_SIZE) {
    const pte = mm.pgt.pteAt(va);
    if (pte === NO_ENTRY || !isMarker(words[pte], words[pte + 1], PTE_MARKER_GUARD)) continue;
    words[pte] = words[pte + 1] = 0;
  }
}

function pmdIsFree(vma: Vma, va: number): boolean {
  const pmd = vma.mm.pgt.pmdAt(va);
  return pmd === NO_ENTRY || vma.mm.pgt.isNone(pmd);
}
