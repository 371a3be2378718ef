// mlock(2), munlock(2), mlockall(2): memory that stays resident.
//
// Mappings get VM_LOCKED (with VM_LOCKONFAULT: pages as they come), and their pages are brought in.
// Source: Linux 6.18 mm/mlock.c.

import { EINVAL, ENOMEM, EPERM, SysError } from '../kernel/errors.ts';
import { PAGE_SIZE, TASK_SIZE, pageDown, pageUp } from '../kernel/types.ts';
import { mmPopulate } from './gup.ts';
import { modifyVma } from './merge.ts';
import { markRange } from './mlock-pages.ts';
import type { Mm } from './mm.ts';
import { MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT, MLOCK_ONFAULT } from './mman.ts';
import { rangeEnd, wrapsRound } from './range.ts';
import {
  VM_HUGETLB,
  VM_LOCKED,
  VM_LOCKED_MASK,
  VM_LOCKONFAULT,
  VM_SPECIAL,
  type Vma,
} from './vma.ts';

/** mlock2(2). @throws SysError EINVAL, EPERM, ENOMEM, EAGAIN */
export function doMlock(mm: Mm, start: number, length: number, flags: number): void {
  if ((flags & ~MLOCK_ONFAULT) !== 0) throw new SysError(EINVAL);
  if (!canLock(mm)) throw new SysError(EPERM);
  const from = pageDown(start);
  const bytes = pageUp(length + (start - from));
  if (!mm.system.privileged && locksTooMuch(mm, from, bytes)) throw new SysError(ENOMEM);
  const vmFlags = VM_LOCKED | ((flags & MLOCK_ONFAULT) !== 0 ? VM_LOCKONFAULT : 0);
  applyToRange(mm, from, bytes, vmFlags);
  if (bytes !== 0) mmPopulate(mm, from, from + bytes, false);
}

/** munlock(2). @throws SysError EINVAL, ENOMEM */
export function doMunlock(mm: Mm, start: number, length: number): void {
  const from = pageDown(start);
  applyToRange(mm, from, pageUp(length + (start - from)), 0);
}

/** mlockall(2). @throws SysError EINVAL, EPERM, ENOMEM */
export function doMlockall(mm: Mm, flags: number): void {
  const unknown = flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
  if (flags === 0 || unknown !== 0 || flags === MCL_ONFAULT) throw new SysError(EINVAL);
  if (!canLock(mm)) throw new SysError(EPERM);
  const tooMuch = mm.totalVm * PAGE_SIZE > mm.limits.memlock;
  if ((flags & MCL_CURRENT) !== 0 && tooMuch && !mm.system.privileged) throw new SysError(ENOMEM);
  lockAll(mm, flags);
  if ((flags & MCL_CURRENT) !== 0) mmPopulate(mm, 0, TASK_SIZE, true);
}

/** munlockall(2). */
export function doMunlockall(mm: Mm): void {
  lockAll(mm, 0);
}

function lockAll(mm: Mm, flags: number): void {
  const onFault = (flags & MCL_ONFAULT) !== 0 ? VM_LOCKONFAULT : 0;
  mm.defFlags &= ~VM_LOCKED_MASK;
  if ((flags & MCL_FUTURE) !== 0) {
    mm.defFlags |= VM_LOCKED | onFault;
    if ((flags & MCL_CURRENT) === 0) return;
  }
  const add = (flags & MCL_CURRENT) !== 0 ? VM_LOCKED | onFault : 0;
  for (const vma of [...mm.vmas]) {
    if (mm.vmas.at(vma.start) !== vma) continue; // merged away meanwhile
    lockVma(vma, vma.start, vma.end, (vma.flags & ~VM_LOCKED_MASK) | add);
  }
}

function applyToRange(mm: Mm, start: number, bytes: number, lock: number): void {
  if (bytes === 0) return;
  if (wrapsRound(start, bytes)) throw new SysError(EINVAL);
  if (start < 0) throw new SysError(ENOMEM);
  const end = rangeEnd(start, bytes);
  const all = mm.vmas.range(start, end);
  if (all.length === 0 || all[0].start > start) throw new SysError(ENOMEM);
  let at = start;
  for (const vma of all) {
    if (vma.end <= at) continue; // merged into what came before
    if (vma.start > at) throw new SysError(ENOMEM);
    const stop = Math.min(end, vma.end);
    lockVma(vma, at, stop, (vma.flags & ~VM_LOCKED_MASK) | lock);
    at = stop;
  }
  if (at < end) throw new SysError(ENOMEM);
}

/** Gives a part of a mapping its lock flags (mlock_fixup()). */
function lockVma(vma: Vma, start: number, end: number, flags: number): void {
  const old = vma.flags;
  if (flags === old || (old & (VM_SPECIAL | VM_HUGETLB)) !== 0) return;
  const { mm } = vma;
  const changed = modifyVma(vma, start, end, flags);
  const pages = (end - start) / PAGE_SIZE;
  const was = (old & VM_LOCKED) !== 0;
  const is = (flags & VM_LOCKED) !== 0;
  if (is && !was) mm.lockedVm += pages;
  if (was && !is) mm.lockedVm -= pages;
  if (is !== was) markRange(changed, start, end, is);
}

function canLock(mm: Mm): boolean {
  return mm.limits.memlock > 0 || mm.system.privileged;
}

function locksTooMuch(mm: Mm, start: number, bytes: number): boolean {
  if (bytes < 0) return true;
  const limit = Math.floor(mm.limits.memlock / PAGE_SIZE);
  let pages = bytes / PAGE_SIZE + mm.lockedVm;
  if (pages <= limit) return false;
  // What the range has locked already does not count twice.
  for (const vma of mm.vmas.range(start, start + bytes)) {
    if ((vma.flags & VM_LOCKED) === 0) continue;
    pages -= (Math.min(vma.end, start + bytes) - Math.max(vma.start, start)) / PAGE_SIZE;
  }
  return pages > limit;
}
