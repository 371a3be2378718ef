// get_user_pages(): the kernel brings a process's pages in without a hardware fault.
//
// Used by MAP_POPULATE, mlock, MADV_POPULATE_*. Each page that is missing, or not writable though
// the mapping is private and writable, takes one fault that counts as minor, also where the disk
// was asked: only what a CPU waited for is major.
// Source: Linux 6.18 mm/gup.c: populate_vma_page_range(), faultin_page(), follow_page_mask().

import { ENOMEM, SysError } from '../kernel/errors.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import { FAULT_OK, PF_WRITE, type FaultResult } from '../kernel/ports.ts';
import { _PAGE_DIRTY, _PAGE_PRESENT, _PAGE_RW, _PAGE_SPECIAL, ptePfn } from '../kernel/pte.ts';
import { PAGE_SIZE, type VirtAddr } from '../kernel/types.ts';
import { countFault, handleMmFault } from './fault.ts';
import { FAULT_AGAIN, FAULT_MAJOR, FAULT_RETRY, FAULT_TRIED } from './fault-flags.ts';
import type { Mm } from './mm.ts';
import {
  VM_ACCESS_FLAGS,
  VM_IO,
  VM_LOCKONFAULT,
  VM_PFNMAP,
  VM_SHARED,
  VM_WRITE,
  type Vma,
} from './vma.ts';

/** Does a walk find the page of va, present and (if `write`) writable? */
export function isPagePresent(mm: Mm, va: number, write: boolean): boolean {
  const { words } = mm.system.machine.mem;
  const pmd = mm.pgt.pmdAt(va);
  if (pmd === NO_ENTRY) return false;
  const entry = mm.pgt.isHuge(pmd) ? pmd : mm.pgt.pteIn(pmd, va);
  if (entry === NO_ENTRY) return false;
  const lo = words[entry];
  if ((lo & _PAGE_PRESENT) === 0) return false;
  return !write || (lo & _PAGE_RW) !== 0;
}

/** The kernel is to write the page: it is dirty, if its entry does not say so (FOLL_TOUCH). */
export function touchForWrite(mm: Mm, va: number): void {
  const { mem } = mm.system.machine;
  const pmd = mm.pgt.pmdAt(va);
  const entry = pmd === NO_ENTRY || mm.pgt.isHuge(pmd) ? NO_ENTRY : mm.pgt.pteIn(pmd, va);
  if (entry === NO_ENTRY) return;
  const lo = mem.words[entry];
  if ((lo & (_PAGE_DIRTY | _PAGE_SPECIAL)) !== 0) return;
  mm.system.writeback.markDirty(ptePfn(lo, mem.words[entry + 1]));
}

/**
 * One fault on behalf of the kernel.
 * @param waits whether a second try, after the disk was asked, counts as major, as it does for
 *   MADV_POPULATE_*.
 * @returns FAULT_*
 */
export function faultIn(vma: Vma, va: VirtAddr, write: boolean, waits = false): FaultResult {
  for (let tried = false; ;) {
    const result = handleMmFault(vma, va, (write ? PF_WRITE : 0) | (tried ? FAULT_TRIED : 0));
    if (result === FAULT_RETRY || result === FAULT_AGAIN) {
      tried ||= waits || result === FAULT_RETRY;
      continue;
    }
    vma.mm.system.inFlight.inode = null;
    if (result !== FAULT_OK && result !== FAULT_MAJOR) return result;
    countFault(vma.mm, result === FAULT_MAJOR || (tried && waits));
    return FAULT_OK;
  }
}

/**
 * Brings in every page of [start, end), which lies in the mapping, as its kind wants: private
 * writable memory is written, so that nothing is left to copy (populate_vma_page_range()).
 * @returns the first address that could not be brought in; `end` where all is well.
 */
export function populateVma(vma: Vma, start: number, end: number): number {
  if ((vma.flags & VM_LOCKONFAULT) !== 0) return end;
  const write = (vma.flags & (VM_WRITE | VM_SHARED)) === VM_WRITE;
  if ((vma.flags & VM_ACCESS_FLAGS) === 0) return start;
  for (let va = start; va < end; va += PAGE_SIZE) {
    if (!isPagePresent(vma.mm, va, write)) {
      const result = faultIn(vma, va as VirtAddr, write);
      if (result !== FAULT_OK) return va;
    }
    if (write) touchForWrite(vma.mm, va);
  }
  return end;
}

/**
 * Brings in [start, end) over all its mappings, after MAP_POPULATE or mlock (__mm_populate()).
 * @param ignoreErrors as MAP_POPULATE does: go on behind what cannot be brought in.
 * @throws SysError ENOMEM, EFAULT
 */
export function mmPopulate(mm: Mm, start: number, end: number, ignoreErrors: boolean): void {
  for (const vma of mm.vmas.range(start, end)) {
    if ((vma.flags & (VM_IO | VM_PFNMAP)) !== 0) continue;
    const from = Math.max(start, vma.start);
    const to = Math.min(end, vma.end);
    const reached = populateVma(vma, from, to);
    // mlock() reports a page that cannot be brought in as ENOMEM (__mlock_posix_error_return()).
    if (reached < to && !ignoreErrors) throw new SysError(ENOMEM);
  }
}
