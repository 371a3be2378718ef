// mmap(2), munmap(2): new mappings, and the end of old ones.
//
// The order of the checks is the kernel's, because each has its own errno. A new mapping takes the
// place of what lies there (MAP_FIXED), joins neighbours that are alike (merge.ts), is charged
// against the commit limit if it is private and writable, and is filled at once where it is locked
// or MAP_POPULATE asks for it.
// Source: Linux 6.18 mm/mmap.c: do_mmap(); mm/vma.c: __mmap_region(), do_vmi_align_munmap().
// Not modelled: hugetlb; its pool is empty, so MAP_HUGETLB finds no memory.

import {
  EACCES,
  EAGAIN,
  EEXIST,
  EINVAL,
  ENOMEM,
  EOPNOTSUPP,
  EOVERFLOW,
  EPERM,
  SysError,
} from '../kernel/errors.ts';
import { PAGE_SIZE, PMD_SIZE, TASK_SIZE, alignUp, pageUp, type VirtAddr } from '../kernel/types.ts';
import { chargeCommit, unchargeCommit } from './commit.ts';
import { type File, MAX_FILE_OFFSET } from './file.ts';
import { newInode, openFile } from './inode-refs.ts';
import { insertVma, mergeNewRange, removeVma, splitVma } from './merge.ts';
import type { Mm } from './mm.ts';
import {
  MAP_ANONYMOUS,
  MAP_DROPPABLE,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_HUGETLB,
  MAP_LOCKED,
  MAP_NONBLOCK,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MAP_STACK,
  MAP_SYNC,
  MAP_TYPE,
  MAP_32BIT,
  MAP_ABOVE4G,
  MAP_DENYWRITE,
  MAP_EXECUTABLE,
  MAP_UNINITIALIZED,
  MAP_HUGE_SHIFT,
} from './mman.ts';
import { getUnmappedArea, roundHint } from './placement.ts';
import { UFFD_EVENT_UNMAP, UFFD_FEATURE_EVENT_UNMAP } from './uffd-abi.ts';
import {
  VM_ACCOUNT,
  VM_GROWSDOWN,
  VM_HUGETLB,
  VM_LOCKED,
  VM_LOCKED_MASK,
  VM_MAYEXEC,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_NOHUGEPAGE,
  VM_NORESERVE,
  VM_SHARED,
  VM_SPECIAL,
  VM_SYNC,
  VM_WRITE,
  Vma,
  vmFlagsOfProt,
} from './vma.ts';
import { zapRange } from './zap.ts';

/** Flags that MAP_SHARED_VALIDATE accepts (LEGACY_MAP_MASK). */
const LEGACY_MAP_MASK =
  MAP_SHARED |
  MAP_PRIVATE |
  MAP_FIXED |
  MAP_ANONYMOUS |
  MAP_DENYWRITE |
  MAP_EXECUTABLE |
  MAP_UNINITIALIZED |
  MAP_GROWSDOWN |
  MAP_LOCKED |
  MAP_NORESERVE |
  MAP_POPULATE |
  MAP_NONBLOCK |
  MAP_STACK |
  MAP_HUGETLB |
  MAP_32BIT |
  MAP_ABOVE4G |
  (0x1f << MAP_HUGE_SHIFT);

/** What mmap() made: its address, and how many bytes the caller has to populate. */
export interface Mapped {
  readonly addr: VirtAddr;
  readonly populateBytes: number;
}

/**
 * Makes a mapping (do_mmap()).
 * @param addr hint, or the place with MAP_FIXED; a register's value, signed.
 * @param length bytes; negative means 2^63 and more.
 * @param offset bytes into the file, a multiple of 4096 (the caller checks).
 * @throws SysError as mmap(2) says.
 */
export function doMmap(
  mm: Mm,
  file: File | null,
  addr: number,
  length: number,
  prot: number,
  flags: number,
  offset: number,
): Mapped {
  if (length === 0) throw new SysError(EINVAL);
  if ((flags & MAP_FIXED_NOREPLACE) !== 0) flags |= MAP_FIXED;
  if ((flags & MAP_FIXED) === 0) addr = roundHint(addr);
  const isHuge = (flags & MAP_HUGETLB) !== 0;
  const bytes = isHuge ? hugeLength(file, length, flags) : length < 0 ? Infinity : pageUp(length);
  if (length < 0 && pageUp(length) === 0) throw new SysError(ENOMEM);
  const pgoff = (offset < 0 ? offset + 2 ** 64 : offset) / PAGE_SIZE;
  if (mm.vmas.size > mm.system.sysctl.maxMapCount) throw new SysError(ENOMEM);
  let vmFlags =
    vmFlagsOfProt(prot) |
    ((flags & MAP_GROWSDOWN) !== 0 ? VM_GROWSDOWN : 0) |
    ((flags & MAP_LOCKED) !== 0 ? VM_LOCKED : 0) |
    ((flags & MAP_STACK) !== 0 ? VM_NOHUGEPAGE : 0) |
    ((flags & MAP_SYNC) !== 0 ? VM_SYNC : 0) |
    mm.defFlags |
    VM_MAYREAD |
    VM_MAYWRITE |
    VM_MAYEXEC;
  if (isHuge) addr = hugePlace(addr, bytes, flags);
  const at = getUnmappedArea(mm, file, addr, bytes, pgoff, flags);
  const end = at + bytes;
  if ((flags & MAP_FIXED_NOREPLACE) !== 0 && mm.vmas.overlapping(at, end) !== undefined) {
    throw new SysError(EEXIST);
  }
  if ((flags & MAP_LOCKED) !== 0 && mm.limits.memlock === 0 && !mm.system.privileged) {
    throw new SysError(EPERM);
  }
  if (!mlockFutureOk(mm, vmFlags, bytes / PAGE_SIZE)) throw new SysError(EAGAIN);
  // file_mmap_ok(): no file reaches so far.
  if ((file !== null || isHuge) && pgoff > (MAX_FILE_OFFSET - bytes) / PAGE_SIZE) {
    throw new SysError(EOVERFLOW);
  }
  if (isHuge) checkHugeType(vmFlags, flags);
  else vmFlags = file === null ? anonFlags(vmFlags, flags) : fileFlags(vmFlags, flags, prot, file);
  if ((flags & MAP_NORESERVE) !== 0 && mm.system.sysctl.overcommitMemory !== 2) {
    vmFlags |= VM_NORESERVE;
  }
  if (isHuge) reserveHuge(pgoff);
  const shared = (vmFlags & VM_MAYSHARE) !== 0;
  const start = file === null && !shared ? at / PAGE_SIZE : file === null ? 0 : pgoff;
  mmapRegion(mm, file, at, end, vmFlags, start);
  const wanted =
    (vmFlags & VM_LOCKED) !== 0 || (flags & (MAP_POPULATE | MAP_NONBLOCK)) === MAP_POPULATE;
  return { addr: at, populateBytes: wanted ? bytes : 0 };
}

/** The length of a MAP_HUGETLB mapping in whole huge pages. @throws SysError EINVAL no such size */
function hugeLength(file: File | null, length: number, flags: number): number {
  const size = (flags >>> MAP_HUGE_SHIFT) & 0x3f;
  if (file !== null || (size !== 0 && 2 ** size !== PMD_SIZE)) throw new SysError(EINVAL);
  const bytes = alignUp(length, PMD_SIZE);
  if (length < 0 && bytes === 0) throw new SysError(EINVAL);
  return bytes < 0 ? Infinity : bytes;
}

/**
 * Sets huge pages aside for a mapping: the pool (nr_hugepages) is empty (hugetlbfs_file_mmap()).
 * @throws SysError EINVAL what is not aligned to huge pages; ENOMEM
 */
function reserveHuge(pgoff: number): never {
  throw new SysError((pgoff * PAGE_SIZE) % PMD_SIZE !== 0 ? EINVAL : ENOMEM);
}

/** The hint rounded up to huge pages (hugetlb_get_unmapped_area()). @throws SysError EINVAL */
function hugePlace(addr: number, bytes: number, flags: number): number {
  const fixed = (flags & MAP_FIXED) !== 0;
  if (fixed && bytes <= TASK_SIZE && addr % PMD_SIZE !== 0) throw new SysError(EINVAL);
  return fixed ? addr : alignUp(addr, PMD_SIZE);
}

/** Huge pages are a file's, also where MAP_ANONYMOUS asked: a file's rules hold for the flags. */
function checkHugeType(vmFlags: number, flags: number): void {
  checkFileType(flags);
  if ((vmFlags & VM_GROWSDOWN) !== 0) throw new SysError(EINVAL);
}

/** @returns MAP_SHARED, MAP_SHARED_VALIDATE or MAP_PRIVATE. @throws SysError EINVAL, EOPNOTSUPP */
function checkFileType(flags: number): number {
  const type = flags & MAP_TYPE;
  if (type !== MAP_SHARED && type !== MAP_SHARED_VALIDATE && type !== MAP_PRIVATE) {
    throw new SysError(EINVAL);
  }
  if (type === MAP_SHARED_VALIDATE) {
    const unknown = flags & ~(LEGACY_MAP_MASK | MAP_SHARED_VALIDATE) & ~MAP_FIXED_NOREPLACE;
    if (unknown !== 0 || (flags & MAP_SYNC) !== 0) throw new SysError(EOPNOTSUPP);
  }
  return type;
}

function anonFlags(vmFlags: number, flags: number): number {
  switch (flags & MAP_TYPE) {
    case MAP_SHARED:
      if ((vmFlags & VM_GROWSDOWN) !== 0) throw new SysError(EINVAL);
      return vmFlags | VM_SHARED | VM_MAYSHARE;
    case MAP_PRIVATE:
      return vmFlags;
    case MAP_DROPPABLE:
      return vmFlags | VM_NORESERVE;
    default:
      throw new SysError(EINVAL);
  }
}

function fileFlags(vmFlags: number, flags: number, prot: number, file: File): number {
  const type = checkFileType(flags);
  if (type !== MAP_PRIVATE) {
    if ((prot & 2) !== 0 && !file.writable) throw new SysError(EACCES);
    vmFlags |= VM_SHARED | VM_MAYSHARE;
    if (!file.writable) vmFlags &= ~(VM_MAYWRITE | VM_SHARED);
  }
  if (!file.readable) throw new SysError(EACCES);
  // Synchronous faults are for memory that is its own disk (daxdev_mapping_supported()).
  if ((flags & MAP_SYNC) !== 0 && file.inode.kind === 'disk') throw new SysError(EOPNOTSUPP);
  if ((vmFlags & VM_GROWSDOWN) !== 0) throw new SysError(EINVAL);
  return vmFlags;
}

/** False where locking so many pages more would exceed RLIMIT_MEMLOCK (mlock_future_ok()). */
export function mlockFutureOk(mm: Mm, vmFlags: number, pages: number): boolean {
  if ((vmFlags & VM_LOCKED) === 0 || mm.system.privileged) return true;
  return mm.lockedVm + pages <= Math.floor(mm.limits.memlock / PAGE_SIZE);
}

/** Private and writable memory is charged, unless it asked not to be (accountable_mapping()). */
export function isAccountable(vmFlags: number): boolean {
  return (
    (vmFlags & VM_HUGETLB) === 0 && (vmFlags & (VM_NORESERVE | VM_SHARED | VM_WRITE)) === VM_WRITE
  );
}

/** Puts a mapping at [start, end) in place of what is there. */
export function mmapRegion(
  mm: Mm,
  file: File | null,
  start: number,
  end: number,
  vmFlags: number,
  pgoff: number,
  special = '',
): Vma {
  const pages = (end - start) / PAGE_SIZE;
  const old = gatherForMunmap(mm, start, end);
  let oldPages = 0;
  let oldAccounted = 0;
  for (const vma of old) {
    oldPages += vma.pages;
    if ((vma.flags & VM_ACCOUNT) !== 0) oldAccounted += vma.pages;
  }
  if (!mm.mayExpand(vmFlags, pages - oldPages)) throw new SysError(ENOMEM);
  if (isAccountable(vmFlags)) {
    if (pages > oldAccounted) chargeCommit(mm, pages - oldAccounted);
    else unchargeCommit(mm.system, oldAccounted - pages);
    vmFlags |= VM_ACCOUNT;
  } else unchargeCommit(mm.system, oldAccounted);
  dropMappings(mm, old);
  let merged: Vma | null = null;
  if (special === '') {
    merged = mergeNewRange({
      mm,
      start,
      end,
      pgoff,
      flags: vmFlags,
      file,
      anonVma: null,
      source: null,
    });
  }
  const vma = merged ?? newVma(mm, file, start, end, vmFlags, pgoff, special);
  mm.account(vmFlags, pages);
  if ((vmFlags & VM_LOCKED) !== 0) {
    if ((vma.flags & VM_SPECIAL) !== 0) vma.flags &= ~VM_LOCKED_MASK;
    else mm.lockedVm += pages;
  }
  return vma;
}

function newVma(
  mm: Mm,
  file: File | null,
  start: number,
  end: number,
  vmFlags: number,
  pgoff: number,
  special: string,
): Vma {
  const { system } = mm;
  let backing = file;
  if (file === null && (vmFlags & VM_SHARED) !== 0 && special === '') {
    // Shared anonymous memory is a file of its own that nobody can open (shmem_zero_setup()).
    const inode = newInode(system, 'shmem', '/dev/zero', end - start);
    inode.unlinked = true;
    if ((vmFlags & VM_NORESERVE) === 0) {
      chargeCommit(mm, (end - start) / PAGE_SIZE);
      inode.committedPages = (end - start) / PAGE_SIZE;
    }
    backing = openFile(system, inode, true, true);
  }
  const vma = new Vma(mm, start, end, vmFlags, pgoff, backing, special);
  insertVma(vma);
  return vma;
}

/**
 * munmap(2).
 * @throws SysError EINVAL for an unaligned or wild range or no length; ENOMEM too many mappings.
 */
export function doMunmap(mm: Mm, start: number, length: number): void {
  const bytes = length < 0 ? Infinity : pageUp(length);
  if (start % PAGE_SIZE !== 0 || start < 0 || start > TASK_SIZE || bytes > TASK_SIZE - start) {
    throw new SysError(EINVAL);
  }
  if (bytes === 0) throw new SysError(EINVAL);
  const told = new Set(mm.vmas.range(start, start + bytes).map((vma) => vma.uffd));
  munmapRange(mm, start, start + bytes);
  for (const uffd of told) {
    uffd?.tellEvent(UFFD_EVENT_UNMAP, UFFD_FEATURE_EVENT_UNMAP, start, start + bytes);
  }
}

/** Ends all mappings in [start, end), page aligned; splits those that reach out of it. */
export function munmapRange(mm: Mm, start: number, end: number): void {
  const gone = gatherForMunmap(mm, start, end);
  for (const vma of gone) {
    if ((vma.flags & VM_ACCOUNT) !== 0) unchargeCommit(mm.system, vma.pages);
  }
  dropMappings(mm, gone);
}

/** Splits at the borders; the mappings that lie wholly inside. @throws SysError ENOMEM */
function gatherForMunmap(mm: Mm, start: number, end: number): Vma[] {
  const first = mm.vmas.find(start);
  if (first === undefined || first.start >= end) return [];
  const { maxMapCount } = mm.system.sysctl;
  if (first.start < start) {
    if (end < first.end && mm.vmas.size >= maxMapCount) throw new SysError(ENOMEM);
    splitVma(first, start, true);
  }
  const last = mm.vmas.find(end - 1);
  if (last !== undefined && last.start < end && last.end > end) splitVma(last, end, true);
  return mm.vmas.range(start, end);
}

/** Unmaps pages, frees tables, ends mappings; charges are the caller's affair. */
function dropMappings(mm: Mm, gone: readonly Vma[]): void {
  if (gone.length === 0) return;
  mm.updateHiwater();
  for (const vma of gone) zapRange(vma, vma.start, vma.end);
  const first = gone[0];
  const last = gone[gone.length - 1];
  const floor = mm.vmas.prev(first)?.end ?? 0;
  const ceiling = mm.vmas.next(last)?.start ?? Infinity;
  gone.forEach((vma, i) => {
    mm.pgt.freeRange(vma.start, vma.end, floor, gone[i + 1]?.start ?? ceiling);
  });
  for (const vma of gone) {
    mm.account(vma.flags, -vma.pages);
    if ((vma.flags & VM_LOCKED) !== 0) mm.lockedVm -= vma.pages;
    removeVma(vma);
  }
}
