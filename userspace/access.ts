// One access of a task to its memory, on the CPU that it runs on: translate, fault, retry.

import { NO_ENTRY } from '../kernel/pgtable.ts';
import { FAULT_GP, FAULT_MAPERR, FAULT_OK, PF_USER, type FaultResult } from '../kernel/ports.ts';
import { ptePfn } from '../kernel/pte.ts';
import type { VirtAddr } from '../kernel/types.ts';
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
  const cpu = mm.system.machine.smp.run(mm);
  // The kernel reaches user memory with EFLAGS.AC set, where CR4.SMAP forbids it otherwise.
  const kernel = (kind & PF_USER) === 0;
  if (kernel) cpu.ac = true;
  const result = cpu.access(va as VirtAddr, kind);
  if (kernel) cpu.ac = false;
  return result;
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
  return vma === undefined ? FAULT_MAPERR : faultIn(vma, va as VirtAddr, true);
}
