// mremap(2): a mapping that grows, shrinks or moves, with its pages.
//
//     in place      shrink: the tail is unmapped; grow: if the space above is free
//     elsewhere     a copy of the mapping is made (or a neighbour there grows), the page-table
//                   entries move, whole tables where both ends are 2 MiB aligned, and the old
//                   mapping ends (but with MREMAP_DONTUNMAP, where it stays, empty)
//
// With MREMAP_FIXED at equal size the range may hold several mappings: each moves by itself.
// Source: Linux 6.18 mm/mremap.c: do_mremap(), mremap_to(), move_vma(), move_page_tables().

import { EAGAIN, EFAULT, EINVAL, ENOMEM, SysError } from '../kernel/errors.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import {
  PAGE_SIZE,
  PMD_SIZE,
  TASK_SIZE,
  alignDown,
  pageAlign,
  pageDown,
  type VirtAddr,
} from '../kernel/types.ts';
import { unlinkAnonVmas, anonVmaClone } from './anon.ts';
import { chargeCommit } from './commit.ts';
import { mmPopulate } from './gup.ts';
import { moveHugePmd, splitHugePmd } from './huge.ts';
import { insertVma, mergeNewRange } from './merge.ts';
import type { Mm } from './mm.ts';
import { doMunmap, mlockFutureOk, munmapRange } from './mmap.ts';
import { MAP_FIXED, MAP_SHARED, MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE } from './mman.ts';
import { getUnmappedArea } from './placement.ts';
import { writeProtectRange } from './uffd-fill.ts';
import { UFFD_EVENT_REMAP, UFFD_FEATURE_EVENT_REMAP } from './uffd-abi.ts';
import {
  VM_ACCOUNT,
  VM_DONTEXPAND,
  VM_LOCKED,
  VM_LOCKED_MASK,
  VM_MAYSHARE,
  VM_PFNMAP,
  VM_SHARED,
  VM_UFFD_MASK,
  Vma,
} from './vma.ts';

/** What a call asks for, its lengths rounded up to pages. */
interface Remap {
  readonly mm: Mm;
  readonly addr: number;
  oldLen: number;
  readonly newLen: number;
  readonly flags: number;
  readonly wanted: number;
}

/**
 * mremap(2).
 * @param newAddr only with MREMAP_FIXED or MREMAP_DONTUNMAP.
 * @returns the address of the mapping afterwards.
 * @throws SysError EINVAL, EFAULT, ENOMEM, EAGAIN
 */
export function doMremap(
  mm: Mm,
  addr: number,
  oldLength: number,
  newLength: number,
  flags: number,
  newAddr: number,
): VirtAddr {
  const known = MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP;
  if ((flags & ~known) !== 0 || addr % PAGE_SIZE !== 0) throw new SysError(EINVAL);
  const oldLen = pageAlign(oldLength);
  const newLen = pageAlign(newLength);
  if (newLen === 0 || newLen > TASK_SIZE) throw new SysError(EINVAL);
  const r: Remap = { mm, addr, oldLen, newLen, flags, wanted: newAddr };
  const elsewhere = (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0;
  if (elsewhere) checkTarget(r, oldLength);
  if ((flags & MREMAP_FIXED) !== 0 && oldLen === newLen) {
    return moveAll(r);
  }
  const vma = mm.vmas.at(addr);
  checkSource(r, vma);
  return elsewhere ? remapTo(r) : remapInPlace(r, vma);
}

function checkTarget(r: Remap, oldLength: number): void {
  const { mm, addr, oldLen, newLen, flags, wanted } = r;
  if (wanted < 0 || wanted > TASK_SIZE - newLen || wanted % PAGE_SIZE !== 0) {
    throw new SysError(EINVAL);
  }
  if ((flags & MREMAP_MAYMOVE) === 0) throw new SysError(EINVAL);
  if ((flags & MREMAP_DONTUNMAP) !== 0 && oldLen !== newLen) throw new SysError(EINVAL);
  // The end of the old range as 64 bits have it: a huge length wraps round.
  const oldEnd = addr + (oldLength < 0 ? pageDown(oldLength + 4095) : oldLen);
  const overlaps = (oldEnd < 0 || oldEnd > wanted) && addr >= 0 && wanted + newLen > addr;
  if (overlaps) throw new SysError(EINVAL);
  if (mm.vmas.size + 2 >= mm.system.sysctl.maxMapCount - 3) throw new SysError(ENOMEM);
}

function checkSource(r: Remap, vma: Vma | undefined): asserts vma is Vma {
  const { mm, addr, newLen, flags } = r;
  if (vma === undefined || addr < 0) throw new SysError(EFAULT);
  // What stays or shrinks in its place may reach beyond the mapping.
  const elsewhere = (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0;
  if (!elsewhere && newLen <= r.oldLen) return;
  if (r.oldLen === 0 && (vma.flags & (VM_SHARED | VM_MAYSHARE)) === 0) throw new SysError(EINVAL);
  const fixedSize = (vma.flags & (VM_DONTEXPAND | VM_PFNMAP)) !== 0;
  if ((flags & MREMAP_DONTUNMAP) !== 0 && fixedSize) throw new SysError(EINVAL);
  const needed = Math.min(r.oldLen, newLen < r.oldLen ? newLen : r.oldLen);
  if (needed > vma.end - addr) throw new SysError(EFAULT);
  if (newLen <= r.oldLen) return;
  if (fixedSize) throw new SysError(EFAULT);
  const more = (newLen - r.oldLen) / PAGE_SIZE;
  if (!mlockFutureOk(mm, vma.flags, more)) throw new SysError(EAGAIN);
  if (!mm.mayExpand(vma.flags, more)) throw new SysError(ENOMEM);
}

/** To a new place: MREMAP_FIXED's, or with MREMAP_DONTUNMAP alone one that is free. */
function remapTo(r: Remap): VirtAddr {
  const { mm, addr, newLen, flags, wanted } = r;
  if ((flags & MREMAP_FIXED) !== 0) doMunmap(mm, wanted, newLen);
  let vma = mm.vmas.at(addr);
  if (vma === undefined) throw new SysError(EFAULT);
  if (newLen < r.oldLen) {
    doMunmap(mm, addr + newLen, r.oldLen - newLen);
    r.oldLen = newLen;
    vma = mm.vmas.at(addr);
    if (vma === undefined) throw new SysError(EFAULT);
  }
  if ((flags & MREMAP_DONTUNMAP) !== 0 && !mm.mayExpand(vma.flags, r.oldLen / PAGE_SIZE)) {
    throw new SysError(ENOMEM);
  }
  const locked = (vma.flags & VM_LOCKED) !== 0;
  const at = moveVma(r, vma, placeFor(r, vma));
  if (locked && newLen > r.oldLen) mmPopulate(mm, at + r.oldLen, at + newLen, true);
  return at;
}

/** Where the mapping is to go. */
function placeFor(r: Remap, vma: Vma): VirtAddr {
  const fixed = (r.flags & MREMAP_FIXED) !== 0 ? MAP_FIXED : 0;
  const shared = (vma.flags & VM_MAYSHARE) !== 0 ? MAP_SHARED : 0;
  const hint = (r.flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0 ? r.wanted : 0;
  return getUnmappedArea(r.mm, vma.file, hint, r.newLen, vma.indexOf(r.addr), fixed | shared);
}

function remapInPlace(r: Remap, vma: Vma): VirtAddr {
  const { mm, addr, newLen } = r;
  if (newLen === r.oldLen) return addr as VirtAddr;
  if (newLen < r.oldLen) {
    doMunmap(mm, addr + newLen, r.oldLen - newLen);
    return addr as VirtAddr;
  }
  const locked = (vma.flags & VM_LOCKED) !== 0;
  if (r.oldLen === vma.end - addr && canGrow(vma, newLen - r.oldLen)) {
    growInPlace(vma, newLen - r.oldLen);
    if (locked) mmPopulate(mm, addr + r.oldLen, addr + newLen, true);
    return addr as VirtAddr;
  }
  if ((r.flags & MREMAP_MAYMOVE) === 0) throw new SysError(ENOMEM);
  const at = moveVma(r, vma, placeFor(r, vma));
  if (locked) mmPopulate(mm, at + r.oldLen, at + newLen, true);
  return at;
}

function canGrow(vma: Vma, delta: number): boolean {
  const { mm } = vma;
  if (mm.vmas.overlapping(vma.end, vma.end + delta) !== undefined) return false;
  return vma.end + delta <= TASK_SIZE;
}

function growInPlace(vma: Vma, delta: number): void {
  const { mm } = vma;
  const pages = delta / PAGE_SIZE;
  if ((vma.flags & VM_ACCOUNT) !== 0) chargeCommit(mm, pages);
  const { start, end, flags } = vma;
  const merged = mergeNewRange({
    mm,
    start: end,
    end: end + delta,
    pgoff: vma.pgoff + (end - start) / PAGE_SIZE,
    flags,
    file: vma.file,
    uffd: vma.uffd,
    anonVma: vma.anonVma,
    source: vma,
  });
  if (merged === null) mm.vmas.resize(vma, start, end + delta);
  mm.account(flags, pages);
  if ((flags & VM_LOCKED) !== 0) mm.lockedVm += pages;
}

/** Makes the mapping at its new place, moves the entries, ends the old one. */
function moveVma(r: Remap, old: Vma, to: VirtAddr): VirtAddr {
  const { mm, addr, oldLen, newLen } = r;
  const keep = (r.flags & MREMAP_DONTUNMAP) !== 0;
  if (mm.vmas.size >= mm.system.sysctl.maxMapCount - 3) throw new SysError(ENOMEM);
  const charged = (keep ? newLen : newLen - oldLen) / PAGE_SIZE;
  const accounted = (old.flags & VM_ACCOUNT) !== 0;
  if (accounted) chargeCommit(mm, charged);
  const flags = old.flags;
  const made = copyVma(old, addr, to, newLen);
  movePageTables(old, addr, to, oldLen);
  if (old.uffd !== null && made.uffd === null) {
    writeProtectRange(made, to, to + oldLen, false); // its marks mean nothing there
  }
  made.uffd?.tellEvent(UFFD_EVENT_REMAP, UFFD_FEATURE_EVENT_REMAP, addr, to);
  mm.account(flags, newLen / PAGE_SIZE);
  if ((flags & VM_LOCKED) !== 0) mm.lockedVm += newLen / PAGE_SIZE;
  if (keep) {
    if ((flags & VM_LOCKED) !== 0) mm.lockedVm -= old.pages;
    old.flags &= ~VM_LOCKED_MASK;
    if (made !== old && old.start === addr && old.end === addr + oldLen) {
      unlinkAnonVmas(old, mm.system.machine.rmap.owners);
    }
  } else if (oldLen > 0) {
    // The charge moves along: what munmap takes back is given first.
    if (accounted) mm.system.vmCommitted += oldLen / PAGE_SIZE;
    munmapRange(mm, addr, addr + oldLen);
  }
  return to;
}

/** The mapping at the new place: a neighbour that grew, or a copy (copy_vma()). */
function copyVma(old: Vma, addr: number, to: number, length: number): Vma {
  const { mm } = old;
  // Anonymous memory that was never written is numbered anew, so that it may merge there.
  const untouched = old.isAnonymous && old.anonVma === null;
  const pgoff = untouched ? to / PAGE_SIZE : old.indexOf(addr);
  // A userfaultfd that did not ask to be told of moves loses what moves.
  const uffd = old.uffd?.hears(UFFD_FEATURE_EVENT_REMAP) === true ? old.uffd : null;
  const flags = uffd === null ? old.flags & ~VM_UFFD_MASK : old.flags;
  const merged = mergeNewRange({
    mm,
    start: to,
    end: to + length,
    pgoff,
    flags,
    file: old.file,
    uffd,
    anonVma: old.anonVma,
    source: old,
  });
  if (merged !== null) return merged;
  const made = new Vma(mm, to, to + length, flags, pgoff, old.file, old.special);
  made.uffd = uffd;
  made.anonVma = old.anonVma;
  made.swapRa = old.swapRa;
  anonVmaClone(made, old);
  insertVma(made);
  return made;
}

/** Moves the entries of [from, from + length) to [to, …); whole tables where both are aligned. */
function movePageTables(old: Vma, from: number, to: number, length: number): void {
  const { mm } = old;
  const { pgt } = mm;
  const end = from + length;
  for (let va = from; va < end;) {
    const target = to + (va - from);
    const step = Math.min(
      end - va,
      alignDown(va, PMD_SIZE) + PMD_SIZE - va,
      alignDown(target, PMD_SIZE) + PMD_SIZE - target,
    );
    const source = pgt.pmdAt(va);
    if (source !== NO_ENTRY) {
      // A table of the second level is made wherever the source has one, the lower ones if needed.
      if (!pgt.allocPud(target)) throw new SysError(ENOMEM);
      if (!pgt.isNone(source)) {
        const pmd = pgt.allocPmd(target);
        if (pmd === NO_ENTRY) throw new SysError(ENOMEM);
        moveExtent(mm, old, source, pmd, va, target, step);
      }
    }
    va += step;
  }
  mm.system.flushTlb(mm, from, end);
  mm.system.flushTlb(mm, to, to + length);
}

function moveExtent(
  mm: Mm,
  old: Vma,
  source: number,
  target: number,
  va: number,
  to: number,
  bytes: number,
): void {
  const { pgt } = mm;
  const { words } = mm.system.machine.mem;
  const whole = bytes === PMD_SIZE;
  if (pgt.isHuge(source)) {
    if (whole && pgt.isNone(target)) {
      moveHugePmd(mm, source, target);
      return;
    }
    splitHugePmd(mm, old, source);
  }
  if (whole && pgt.isNone(target)) {
    words[target] = words[source];
    words[target + 1] = words[source + 1];
    words[source] = words[source + 1] = 0;
    return;
  }
  if (pgt.isNone(target) && !pgt.allocPteTable(target)) throw new SysError(ENOMEM);
  let from = pgt.pteIn(source, va);
  let at = pgt.pteIn(target, to);
  for (const stop = from + (bytes / PAGE_SIZE) * 2; from < stop; from += 2, at += 2) {
    if ((words[from] | words[from + 1]) === 0) continue;
    words[at] = words[from];
    words[at + 1] = words[from + 1];
    words[from] = words[from + 1] = 0;
  }
}

/** MREMAP_FIXED at equal size: each mapping of the range moves, gaps stay gaps (remap_move()). */
function moveAll(r: Remap): VirtAddr {
  const { mm, addr, oldLen, wanted } = r;
  const first = mm.vmas.at(addr);
  if (first === undefined || addr < 0) throw new SysError(EFAULT);
  const spans = mm.vmas.range(addr, addr + oldLen).map((vma) => ({
    start: Math.max(addr, vma.start),
    end: Math.min(addr + oldLen, vma.end),
  }));
  for (const { start, end } of spans) {
    const length = end - start;
    const part: Remap = {
      mm,
      addr: start,
      oldLen: length,
      newLen: length,
      flags: r.flags,
      wanted: wanted + (start - addr),
    };
    const vma = mm.vmas.at(start);
    checkSource(part, vma);
    remapTo(part);
  }
  return wanted as VirtAddr;
}
