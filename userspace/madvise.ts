// madvise(2): advice that changes memory, and advice that only marks the mapping.
//
// The range is walked mapping by mapping; holes are remembered and reported as ENOMEM at the end,
// after all that is mapped has been treated.
// Source: Linux 6.18 mm/madvise.c.
// Not modelled: MADV_HWPOISON, MADV_SOFT_OFFLINE, memory policies.

import { EACCES, EBADF, EFAULT, EINVAL, ENOMEM, SysError } from '../kernel/errors.ts';
import { PAGE_SIZE, pageUp, type VirtAddr } from '../kernel/types.ts';
import { FAULT_OK, FAULT_OOM } from '../kernel/ports.ts';
import { collapseRange } from './collapse.ts';
import { punchHole } from './filemap.ts';
import { faultIn, isPagePresent, touchForWrite } from './gup.ts';
import { installGuards, removeGuards } from './guard.ts';
import { coolDown, freeLazily, pageOut } from './madvise-pages.ts';
import { modifyVma } from './merge.ts';
import { rangeEnd, wrapsRound } from './range.ts';
import { readPages } from './readahead.ts';
import type { Mm } from './mm.ts';
import {
  MADV_COLD,
  MADV_COLLAPSE,
  MADV_DODUMP,
  MADV_DOFORK,
  MADV_DONTDUMP,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_GUARD_INSTALL,
  MADV_GUARD_REMOVE,
  MADV_HUGEPAGE,
  MADV_KEEPONFORK,
  MADV_MERGEABLE,
  MADV_NOHUGEPAGE,
  MADV_NORMAL,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_RANDOM,
  MADV_REMOVE,
  MADV_SEQUENTIAL,
  MADV_UNMERGEABLE,
  MADV_WILLNEED,
  MADV_WIPEONFORK,
} from './mman.ts';
import { UFFD_EVENT_REMOVE, UFFD_FEATURE_EVENT_REMOVE } from './uffd-abi.ts';
import {
  VM_DONTCOPY,
  VM_DONTDUMP,
  VM_HUGEPAGE,
  VM_HUGETLB,
  VM_IO,
  VM_LOCKED,
  VM_MAYWRITE,
  VM_MERGEABLE,
  VM_NOHUGEPAGE,
  VM_PFNMAP,
  VM_RAND_READ,
  VM_READ,
  VM_SEQ_READ,
  VM_SHARED,
  VM_SPECIAL,
  VM_WIPEONFORK,
  VM_WRITE,
  type Vma,
} from './vma.ts';
import { ZAP_KEEP_MARKERS, ZAP_RECLAIM_TABLES, zapRange } from './zap.ts';

const KNOWN = new Set([
  MADV_NORMAL,
  MADV_RANDOM,
  MADV_SEQUENTIAL,
  MADV_WILLNEED,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_REMOVE,
  MADV_DONTFORK,
  MADV_DOFORK,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
  MADV_COLLAPSE,
  MADV_DONTDUMP,
  MADV_DODUMP,
  MADV_WIPEONFORK,
  MADV_KEEPONFORK,
  MADV_COLD,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_GUARD_INSTALL,
  MADV_GUARD_REMOVE,
]);

/** madvise(2). @throws SysError EINVAL, ENOMEM, EACCES, EBADF, EFAULT, EAGAIN */
export function doMadvise(mm: Mm, start: number, length: number, advice: number): void {
  const ksm = advice === MADV_MERGEABLE || advice === MADV_UNMERGEABLE;
  if (!KNOWN.has(advice) && !(ksm && mm.system.sysctl.ksm)) throw new SysError(EINVAL);
  if (start % PAGE_SIZE !== 0) throw new SysError(EINVAL);
  const bytes = pageUp(length);
  if ((length !== 0 && bytes === 0) || wrapsRound(start, bytes)) throw new SysError(EINVAL);
  if (bytes === 0) return;
  if (start < 0) throw new SysError(ENOMEM);
  const end = rangeEnd(start, bytes);
  if (advice === MADV_POPULATE_READ || advice === MADV_POPULATE_WRITE) {
    populate(mm, start, end, advice === MADV_POPULATE_WRITE);
    return;
  }
  let hole = false;
  let at = start;
  for (const vma of mm.vmas.range(start, end)) {
    if (vma.end <= at) continue; // merged into what came before
    if (vma.start > at) {
      hole = true;
      at = vma.start;
    }
    const stop = Math.min(end, vma.end);
    adviseVma(vma, at, stop, advice);
    at = stop;
  }
  if (hole || at < end) throw new SysError(ENOMEM);
}

function adviseVma(vma: Vma, start: number, end: number, advice: number): void {
  switch (advice) {
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
      dontNeed(vma, start, end, advice === MADV_DONTNEED_LOCKED);
      return;
    case MADV_FREE:
      if (!vma.isAnonymous) throw new SysError(EINVAL);
      dropForbidden(vma, false);
      freeLazily(vma, start, end);
      return;
    case MADV_REMOVE:
      removePages(vma, start, end);
      return;
    case MADV_WILLNEED:
      willNeed(vma, start, end);
      return;
    case MADV_COLD:
    case MADV_PAGEOUT:
      if ((vma.flags & (VM_LOCKED | VM_PFNMAP | VM_HUGETLB)) !== 0) throw new SysError(EINVAL);
      if (advice === MADV_PAGEOUT) pageOut(vma, start, end);
      else coolDown(vma, start, end);
      return;
    case MADV_GUARD_INSTALL:
      installGuards(vma, start, end);
      return;
    case MADV_GUARD_REMOVE:
      removeGuards(vma, start, end);
      return;
    case MADV_COLLAPSE:
      collapseRange(vma, start, end);
      return;
    default: {
      const flags = advisedFlags(vma, advice);
      if (flags !== vma.flags) modifyVma(vma, start, end, flags);
    }
  }
}

/** The mapping's flags after advice that only marks it. */
function advisedFlags(vma: Vma, advice: number): number {
  const { flags } = vma;
  const isSpecial = (flags & VM_SPECIAL) !== 0;
  switch (advice) {
    case MADV_NORMAL:
      return flags & ~(VM_RAND_READ | VM_SEQ_READ);
    case MADV_SEQUENTIAL:
      return (flags & ~VM_RAND_READ) | VM_SEQ_READ;
    case MADV_RANDOM:
      return (flags & ~VM_SEQ_READ) | VM_RAND_READ;
    case MADV_DONTFORK:
      return flags | VM_DONTCOPY;
    case MADV_DOFORK:
      if ((flags & VM_IO) !== 0 || isSpecial) throw new SysError(EINVAL);
      return flags & ~VM_DONTCOPY;
    case MADV_WIPEONFORK:
      if (vma.file !== null || (flags & VM_SHARED) !== 0) throw new SysError(EINVAL);
      return flags | VM_WIPEONFORK;
    case MADV_KEEPONFORK:
      return flags & ~VM_WIPEONFORK;
    case MADV_DONTDUMP:
      return flags | VM_DONTDUMP;
    case MADV_DODUMP:
      if (isSpecial) throw new SysError(EINVAL);
      return flags & ~VM_DONTDUMP;
    case MADV_MERGEABLE:
      return isSpecial || (flags & VM_SHARED) !== 0 ? flags : flags | VM_MERGEABLE;
    case MADV_UNMERGEABLE:
      return flags & ~VM_MERGEABLE;
    case MADV_HUGEPAGE:
      return (flags & ~VM_NOHUGEPAGE) | VM_HUGEPAGE;
    default: // MADV_NOHUGEPAGE
      return (flags & ~VM_HUGEPAGE) | VM_NOHUGEPAGE;
  }
}

function dropForbidden(vma: Vma, lockedToo: boolean): void {
  const forbidden = VM_PFNMAP | VM_HUGETLB | (lockedToo ? 0 : VM_LOCKED);
  if ((vma.flags & forbidden) !== 0) throw new SysError(EINVAL);
}

function dontNeed(vma: Vma, start: number, end: number, lockedToo: boolean): void {
  dropForbidden(vma, lockedToo);
  vma.uffd?.tellEvent(UFFD_EVENT_REMOVE, UFFD_FEATURE_EVENT_REMOVE, start, end);
  vma.mm.updateHiwater();
  zapRange(vma, start, end, ZAP_KEEP_MARKERS | ZAP_RECLAIM_TABLES);
}

function removePages(vma: Vma, start: number, end: number): void {
  if ((vma.flags & VM_LOCKED) !== 0 || vma.file === null) throw new SysError(EINVAL);
  const writableShared = VM_SHARED | VM_MAYWRITE;
  if ((vma.flags & writableShared) !== writableShared) throw new SysError(EACCES);
  const first = vma.indexOf(start);
  punchHole(vma.mm.system, vma.file.inode, first, first + (end - start) / PAGE_SIZE);
}

function willNeed(vma: Vma, start: number, end: number): void {
  const { system } = vma.mm;
  if (vma.file === null) {
    if (!system.sysctl.swapConfigured) throw new SysError(EBADF);
    system.swap?.prefetch(vma, start, end);
    return;
  }
  if (vma.file.inode.kind !== 'disk') {
    system.swap?.prefetch(vma, start, end);
    return;
  }
  const first = vma.indexOf(start);
  readPages(system, vma.file.inode, first, first + (end - start) / PAGE_SIZE);
}

/** MADV_POPULATE_*: brings pages in, whatever the mapping's own habit would be. */
function populate(mm: Mm, start: number, end: number, write: boolean): void {
  let at = start;
  for (const vma of mm.vmas.range(start, end)) {
    if (vma.start > at) throw new SysError(ENOMEM);
    const stop = Math.min(end, vma.end);
    const wanted = write ? VM_WRITE : VM_READ;
    if ((vma.flags & wanted) === 0 || (vma.flags & (VM_IO | VM_PFNMAP)) !== 0) {
      throw new SysError(EINVAL);
    }
    for (let va = at; va < stop; va += PAGE_SIZE) {
      const result = isPagePresent(mm, va, write)
        ? FAULT_OK
        : faultIn(vma, va as VirtAddr, write, true);
      if (result === FAULT_OK && write) touchForWrite(mm, va);
      if (result !== FAULT_OK) throw new SysError(result === FAULT_OOM ? ENOMEM : EFAULT);
    }
    at = stop;
  }
  if (at < end) throw new SysError(ENOMEM);
}
