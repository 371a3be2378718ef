// Page faults: find the mapping, check the access, then zero, read, swap in or copy.
//
//     handleUserFault   the mapping? may it grow down? does it allow the access?   -> signal
//       handleMmFault   tables; huge pages (huge.ts)
//         none          anonymous: zero page for a read, a zeroed frame for a write
//                       file: fault-file.ts (around, private copy, shared)
//         not present   swap entry, guard marker
//         read-only     a write: fault-wp.ts (reuse or copy)
//
// A fault that had to wait for the disk is tried again from the start, as in Linux: what was read
// meanwhile is mapped by the second try, and the fault counts as major.
// Source: Linux 6.18 arch/x86/mm/fault.c: do_user_addr_fault(), access_error(); mm/memory.c:
// handle_mm_fault(), handle_pte_fault(), do_anonymous_page(); mm/mmap.c: expand_stack().

import { GFP_HIGHUSER_MOVABLE, __GFP_ZERO } from '../kernel/gfp.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import {
  FAULT_ACCERR,
  FAULT_MAPERR,
  FAULT_OK,
  FAULT_OOM,
  FAULT_SIGBUS,
  PF_INSTR,
  PF_PROT,
  PF_USER,
  PF_WRITE,
  type FaultResult,
} from '../kernel/ports.ts';
import {
  PTE_MARKER_GUARD,
  SWP_PTE_MARKER,
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  _PAGE_RW,
  _PAGE_SPECIAL,
  pteHi,
  pteLo,
  ptePresent,
  swapOffset,
  swapType,
} from '../kernel/pte.ts';
import { PGFAULT } from '../kernel/stats.ts';
import {
  mm_fault_anon,
  mm_fault_zero,
  page_fault_kernel,
  page_fault_user,
} from '../kernel/trace.ts';
import { NO_PFN, PAGE_SIZE, TASK_SIZE, pageDown, type VirtAddr } from '../kernel/types.ts';
import { anonVmaPrepare } from './anon.ts';
import { chargeCommit } from './commit.ts';
import {
  FAULT_AGAIN,
  FAULT_FALLBACK,
  FAULT_MAJOR,
  FAULT_RETRY,
  FAULT_TRIED,
} from './fault-flags.ts';
import { DID_ANON, DID_SPURIOUS, DID_ZERO } from './fault-info.ts';
import { doFileFault } from './fault-file.ts';
import { doWpPage } from './fault-wp.ts';
import { faultHugePmd, tryHugeAnonymous } from './huge.ts';
import type { Mm } from './mm.ts';
import { MM_ANONPAGES } from './rss.ts';
import { mlockFutureOk } from './mmap.ts';
import { outOfMemory } from './oom.ts';
import type { MemGroup } from '../kernel/memcg.ts';
import { mlockMapped } from './mlock-pages.ts';
import { mayWrite, protHi, protLo } from './prot.ts';
import {
  STACK_GUARD_GAP,
  VM_ACCESS_FLAGS,
  VM_ACCOUNT,
  VM_EXEC,
  VM_GROWSDOWN,
  VM_LOCKED,
  VM_UFFD_MISSING,
  VM_WRITE,
  type Vma,
} from './vma.ts';

/** A fault taken by the CPU at a user address. @param errorCode PF_* bits. */
export function handleUserFault(mm: Mm, va: VirtAddr, errorCode: number): FaultResult {
  const { machine } = mm.system;
  machine.stat.counts[PGFAULT]++;
  if (machine.trace.on) {
    const point = (errorCode & PF_USER) !== 0 ? page_fault_user : page_fault_kernel;
    machine.trace.emit(point, va, errorCode);
  }
  if (va < 0 || va >= TASK_SIZE) return FAULT_MAPERR;
  let vma = mm.vmas.find(va);
  if (vma === undefined) return FAULT_MAPERR;
  if (vma.start > va) {
    if ((vma.flags & VM_GROWSDOWN) === 0 || !expandStack(vma, va)) return FAULT_MAPERR;
  }
  if (isAccessError(vma, errorCode)) return FAULT_ACCERR;
  if (machine.groups !== null) machine.groups.run(mm.group);
  for (let flags = errorCode; ;) {
    const result = handleMmFault(vma, va, flags);
    if (result === FAULT_RETRY || result === FAULT_AGAIN) {
      if (result === FAULT_RETRY) flags |= FAULT_TRIED;
      vma = mm.vmas.at(va) ?? vma;
      continue;
    }
    mm.system.inFlight.inode = null;
    if (result === FAULT_OOM && outOfMemory(mm.system, mm)) continue;
    if (result !== FAULT_OK && result !== FAULT_MAJOR) return result;
    const { writeback } = mm.system;
    if (writeback.unbalanced || machine.trace.timeNs >= writeback.nextNs) writeback.balance();
    const major = result === FAULT_MAJOR || (flags & FAULT_TRIED) !== 0;
    countFault(mm, major);
    if (mm.group !== null) countInGroups(mm.group, major);
    return FAULT_OK;
  }
}

/** Counts a fault for the group of a process and those above it (count_memcg_event_mm()). */
function countInGroups(group: MemGroup, major: boolean): void {
  for (let g: MemGroup | null = group; g !== null; g = g.parent) {
    g.faults++;
    if (major) g.majorFaults++;
  }
}

/** Counts a resolved fault for the running task (mm_account_fault()). */
export function countFault(mm: Mm, major: boolean): void {
  const { system } = mm;
  if (major) system.fault.major++;
  else system.fault.minor++;
  const task = system.current;
  if (task === null) return;
  if (major) task.majflt++;
  else task.minflt++;
}

/** Does the mapping forbid the access (access_error())? */
function isAccessError(vma: Vma, errorCode: number): boolean {
  if ((errorCode & PF_WRITE) !== 0) return (vma.flags & VM_WRITE) === 0;
  if ((errorCode & PF_INSTR) !== 0 && (vma.flags & VM_EXEC) === 0) return true;
  if ((errorCode & PF_PROT) !== 0) return true;
  return (vma.flags & VM_ACCESS_FLAGS) === 0;
}

/**
 * Grows a mapping that grows down, to the page of `va`: not past RLIMIT_STACK, nor closer than the
 * guard gap to an accessible mapping below (expand_downwards()).
 */
export function expandStack(vma: Vma, va: number): boolean {
  const { mm } = vma;
  const start = pageDown(va);
  if (start < mm.system.sysctl.mmapMinAddr) return false;
  const prev = mm.vmas.prev(vma);
  if (prev !== undefined) {
    const grows = (prev.flags & VM_GROWSDOWN) !== 0;
    const accessible = (prev.flags & VM_ACCESS_FLAGS) !== 0;
    if (!grows && accessible && start - prev.end < STACK_GUARD_GAP) return false;
    if (prev.end > start) return false;
  }
  anonVmaPrepare(vma, mm.system.machine.rmap.owners);
  const grow = (vma.start - start) / PAGE_SIZE;
  if (grow > vma.pgoff) return false;
  if (!mm.mayExpand(vma.flags, grow)) return false;
  if (vma.end - start > mm.limits.stack) return false;
  if (!mlockFutureOk(mm, vma.flags, grow)) return false;
  try {
    if ((vma.flags & VM_ACCOUNT) !== 0) chargeCommit(mm, grow);
  } catch {
    return false;
  }
  if ((vma.flags & VM_LOCKED) !== 0) mm.lockedVm += grow;
  mm.account(vma.flags, grow);
  vma.pgoff -= grow;
  mm.vmas.resize(vma, start, vma.end);
  return true;
}

/** One try at a fault in a mapping that allows the access. @returns FAULT_* */
export function handleMmFault(vma: Vma, va: VirtAddr, flags: number): FaultResult {
  const { pgt } = vma.mm;
  const pmd = pgt.allocPmd(va);
  if (pmd === NO_ENTRY) return FAULT_OOM;
  if (pgt.isNone(pmd)) {
    if (vma.isAnonymous) {
      const result = tryHugeAnonymous(vma, pmd, va, flags);
      if (result !== FAULT_FALLBACK) return result;
    }
  } else if (pgt.isHuge(pmd)) {
    const result = faultHugePmd(vma, pmd, va, flags);
    if (result !== FAULT_FALLBACK) return result;
  }
  return handlePteFault(vma, pmd, va, flags);
}

function handlePteFault(vma: Vma, pmd: number, va: VirtAddr, flags: number): FaultResult {
  const { mm } = vma;
  const { words } = mm.system.machine.mem;
  const pte = mm.pgt.pteIn(pmd, va);
  if (pte === NO_ENTRY || (words[pte] | words[pte + 1]) === 0) {
    if (vma.isAnonymous) return doAnonymousPage(vma, pmd, va, flags);
    return doFileFault(vma, pmd, va, flags);
  }
  const lo = words[pte];
  if (!ptePresent(lo)) return doNotPresent(vma, pte, va, flags);
  if ((flags & PF_WRITE) !== 0) {
    if ((lo & _PAGE_RW) === 0) return doWpPage(vma, pte, va);
    words[pte] = lo | _PAGE_DIRTY | _PAGE_ACCESSED;
  } else words[pte] = lo | _PAGE_ACCESSED;
  mm.system.fault.kinds |= DID_SPURIOUS;
  return FAULT_OK;
}

function doNotPresent(vma: Vma, pte: number, va: VirtAddr, flags: number): FaultResult {
  const { system } = vma.mm;
  const { words } = system.machine.mem;
  const lo = words[pte];
  const hi = words[pte + 1];
  if (swapType(hi) === SWP_PTE_MARKER) {
    return (swapOffset(lo, hi) & PTE_MARKER_GUARD) !== 0 ? FAULT_MAPERR : FAULT_SIGBUS;
  }
  if (system.swap === null) return FAULT_SIGBUS;
  return system.swap.swapIn(vma, pte, va, flags);
}

/** A page of anonymous memory that nobody touched yet (do_anonymous_page()). */
function doAnonymousPage(vma: Vma, pmd: number, va: VirtAddr, flags: number): FaultResult {
  const { mm } = vma;
  const { system, pgt } = mm;
  const { machine } = system;
  const { words } = machine.mem;
  if (pgt.isNone(pmd) && !pgt.allocPteTable(pmd)) return FAULT_OOM;
  const pte = pgt.pteIn(pmd, va);
  const write = (flags & PF_WRITE) !== 0;
  if ((vma.flags & VM_UFFD_MISSING) !== 0) return vma.uffd!.fault(va, write, VM_UFFD_MISSING);
  const protFlags = protLo(vma);
  if (!write) {
    words[pte + 1] = pteHi(system.zeroPfn, protFlags, protHi(vma));
    words[pte] = pteLo(system.zeroPfn, protFlags | _PAGE_SPECIAL);
    system.fault.kinds |= DID_ZERO;
    if (machine.trace.on) machine.trace.emit(mm_fault_zero, va);
    return FAULT_OK;
  }
  const anon = anonVmaPrepare(vma, machine.rmap.owners);
  const pfn = machine.alloc.alloc(GFP_HIGHUSER_MOVABLE | __GFP_ZERO, 0);
  if (pfn === NO_PFN) return FAULT_OOM;
  machine.rmap.addNewAnon(pfn, anon.id, vma.indexOf(va));
  mlockMapped(vma, pfn);
  const lo = protFlags | ((vma.flags & VM_WRITE) !== 0 ? _PAGE_DIRTY | mayWrite(vma) : 0);
  words[pte + 1] = pteHi(pfn, lo, protHi(vma));
  words[pte] = pteLo(pfn, lo);
  mm.rss[MM_ANONPAGES]++;
  system.fault.kinds |= DID_ANON;
  if (machine.trace.on) machine.trace.emit(mm_fault_anon, va, pfn, 0);
  return FAULT_OK;
}
