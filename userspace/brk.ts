// brk(2): the end of the heap that grows upwards from the program's data.
//
// It never fails loudly: it returns the break that holds afterwards. Growth needs a free page above
// the new break (and the guard gap of a stack that is in the way), room under the limits, and a
// commit charge; the heap's mapping grows, or a new one begins.
// Source: Linux 6.18 mm/mmap.c: SYSCALL_DEFINE1(brk), mm/vma.c: do_brk_flags().

import { ENOMEM, SysError } from '../kernel/errors.ts';
import { PAGE_SIZE, TASK_SIZE, pageUp, type VirtAddr } from '../kernel/types.ts';
import { chargeCommit, unchargeCommit } from './commit.ts';
import { mmPopulate } from './gup.ts';
import { insertVma, mergeNewRange } from './merge.ts';
import type { Mm } from './mm.ts';
import { mlockFutureOk, munmapRange } from './mmap.ts';
import {
  VM_ACCOUNT,
  VM_LOCKED,
  VM_MAYEXEC,
  VM_MAYREAD,
  VM_MAYWRITE,
  VM_READ,
  VM_WRITE,
  Vma,
} from './vma.ts';

/** Flags of the heap's mapping (VM_DATA_DEFAULT_FLAGS | VM_ACCOUNT). */
const HEAP_FLAGS = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_ACCOUNT;

/** Sets the break, where that is possible. @returns the break that holds afterwards. */
export function doBrk(mm: Mm, wanted: number): VirtAddr {
  if (wanted < mm.startBrk) return mm.brk;
  if (wanted - mm.startBrk > mm.limits.data) return mm.brk;
  const from = pageUp(mm.brk);
  const to = pageUp(wanted);
  if (from === to) {
    mm.brk = wanted as VirtAddr;
    return mm.brk;
  }
  try {
    if (wanted <= mm.brk) {
      if (mm.vmas.overlapping(to, mm.brk) === undefined) return mm.brk;
      munmapRange(mm, to, from);
    } else {
      const next = mm.vmas.find(from);
      if (next !== undefined && to + PAGE_SIZE > next.startGap) return mm.brk;
      growHeap(mm, from, to);
    }
  } catch (e) {
    if (e instanceof SysError) return mm.brk;
    throw e;
  }
  const grown = wanted > mm.brk;
  mm.brk = wanted as VirtAddr;
  if (grown && (mm.defFlags & VM_LOCKED) !== 0) mmPopulate(mm, from, to, true);
  return mm.brk;
}

function growHeap(mm: Mm, start: number, end: number): void {
  const flags = HEAP_FLAGS | mm.defFlags;
  const pages = (end - start) / PAGE_SIZE;
  if (end > TASK_SIZE || !mlockFutureOk(mm, flags, pages)) throw new SysError(ENOMEM);
  if (!mm.mayExpand(flags, pages) || mm.vmas.size > mm.system.sysctl.maxMapCount) {
    throw new SysError(ENOMEM);
  }
  chargeCommit(mm, pages);
  try {
    const pgoff = start / PAGE_SIZE;
    const range = { mm, start, end, pgoff, flags, file: null, anonVma: null, source: null };
    // Only a mapping of the heap itself grows: never the program's data just below it.
    const grown = start > mm.startBrk ? mergeNewRange(range, true) : null;
    if (grown === null) insertVma(new Vma(mm, start, end, flags, pgoff, null));
  } catch (e) {
    unchargeCommit(mm.system, pages);
    throw e;
  }
  mm.account(flags, pages);
  if ((flags & VM_LOCKED) !== 0) mm.lockedVm += pages;
}
