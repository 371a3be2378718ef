// One access of a task to its memory, as its CPU makes it: translate, fault, retry.
//
// This is the software form, which walks the page tables for every access; kernel/mmu.ts has the
// CPU with its TLB. Both see the same entries and call the same fault handler.

import { NO_ENTRY } from '../kernel/pgtable.ts';
import {
  FAULT_GP,
  FAULT_OK,
  PF_INSTR,
  PF_PROT,
  PF_USER,
  PF_WRITE,
  type FaultResult,
} from '../kernel/ports.ts';
import {
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  _PAGE_NX_HI,
  _PAGE_PRESENT,
  _PAGE_RW,
  ptePfn,
} from '../kernel/pte.ts';
import { TASK_SIZE, type VirtAddr } from '../kernel/types.ts';
import { faultIn, isPagePresent } from './gup.ts';
import type { Mm } from './mm.ts';
import type { Task } from './process.ts';

/**
 * Makes one access, faulting as often as it takes.
 * @param va any register value: not canonical is FAULT_GP.
 * @param kind PF_WRITE, PF_INSTR, PF_USER as the access has them.
 */
export function access(task: Task, va: number, kind: number): FaultResult {
  if (va < -(2 ** 47) || va >= 2 ** 47) return FAULT_GP;
  const { mm } = task;
  mm.system.current = task;
  for (;;) {
    const missing = tryAccess(mm, va, kind);
    if (missing < 0) return FAULT_OK;
    const result = mm.handleFault(va as VirtAddr, kind | missing);
    if (result !== FAULT_OK) return result;
  }
}

/** The byte's index in PhysMem.bytes after a successful access to va. */
export function byteAt(mm: Mm, va: number): number {
  const { mem } = mm.system.machine;
  const pmd = mm.pgt.pmdAt(va);
  if (pmd !== NO_ENTRY && mm.pgt.isHuge(pmd)) {
    const pfn = ptePfn(mem.words[pmd], mem.words[pmd + 1]) + ((va >>> 12) & 511);
    return mem.writable(pfn) * 4 + (va & 0xfff);
  }
  const pte = mm.pgt.pteAt(va);
  return mem.writable(ptePfn(mem.words[pte], mem.words[pte + 1])) * 4 + (va & 0xfff);
}

/** get_user_pages() of one page, for writing, as execve() does for its arguments. */
export function gupWrite(task: Task, va: number): FaultResult {
  const { mm } = task;
  mm.system.current = task;
  if (isPagePresent(mm, va, true)) return FAULT_OK;
  const vma = mm.vmas.at(va);
  return vma === undefined ? 1 : faultIn(vma, va as VirtAddr, true);
}

/** -1 where the access goes through; else 0 or PF_PROT: what the error code says of the entry. */
function tryAccess(mm: Mm, va: number, kind: number): number {
  if (va < 0 || va >= TASK_SIZE) return (kind & PF_USER) !== 0 ? PF_PROT : 0;
  const { words } = mm.system.machine.mem;
  const pmd = mm.pgt.pmdAt(va);
  if (pmd === NO_ENTRY) return 0;
  const entry = mm.pgt.isHuge(pmd) ? pmd : mm.pgt.pteIn(pmd, va);
  if (entry === NO_ENTRY) return 0;
  const lo = words[entry];
  if ((lo & _PAGE_PRESENT) === 0) return 0;
  if ((kind & PF_WRITE) !== 0 && (lo & _PAGE_RW) === 0) return PF_PROT;
  if ((kind & PF_INSTR) !== 0 && (words[entry + 1] & _PAGE_NX_HI) !== 0) return PF_PROT;
  words[entry] = lo | _PAGE_ACCESSED | ((kind & PF_WRITE) !== 0 ? _PAGE_DIRTY : 0);
  return -1;
}
