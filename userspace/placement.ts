// Where a new mapping goes (get_unmapped_area()): the hint if it is free, else the highest gap
// below mmap_base that is large enough, else the lowest gap above a third of the address space.
//
// Private anonymous mappings whose length is a multiple of 2 MiB, and disk files of 2 MiB and
// more, are placed so that huge pages would fit. A mapping that grows down keeps 1 MiB free below.
// Source: Linux 6.18 arch/x86/kernel/sys_x86_64.c, mm/mmap.c, mm/vma.c (unmapped_area_topdown()),
// mm/huge_memory.c (thp_get_unmapped_area_vmflags()).

import { EINVAL, ENOMEM, SysError } from '../kernel/errors.ts';
import {
  PAGE_SIZE,
  PMD_SIZE,
  TASK_SIZE,
  alignDown,
  alignUp,
  pageUp,
  type VirtAddr,
} from '../kernel/types.ts';
import type { File } from './file.ts';
import type { Mm } from './mm.ts';
import { MAP_32BIT, MAP_ABOVE4G, MAP_FIXED, MAP_SHARED } from './mman.ts';
import { VM_GROWSDOWN } from './vma.ts';

/** Lowest address that mmap() gives out by itself or rounds a hint up to (vm.mmap_min_addr). */
export const MMAP_MIN_ADDR = 0x10000;

/** Where bottom-up placement starts: a third of the user addresses (TASK_UNMAPPED_BASE). */
const UNMAPPED_BASE = pageUp(Math.floor(TASK_SIZE / 3));

/**
 * The address of a new mapping.
 * @param addr hint, or the address itself with MAP_FIXED; -1 and other wild values are fine.
 * @param length a multiple of 4096, > 0.
 * @param pgoff page offset in the file.
 * @throws SysError ENOMEM, EINVAL
 */
export function getUnmappedArea(
  mm: Mm,
  file: File | null,
  addr: number,
  length: number,
  pgoff: number,
  flags: number,
): VirtAddr {
  if (length > TASK_SIZE) throw new SysError(ENOMEM);
  // The kernel takes such an address for the error of whoever placed the mapping (IS_ERR_VALUE).
  if ((flags & MAP_FIXED) !== 0 && addr < 0 && addr >= -4095) throw new SysError(-addr);
  let at: number;
  if (file !== null && file.inode.kind === 'disk') {
    at = hugeAligned(mm, addr, length, pgoff, flags);
  } else if (file === null && (flags & MAP_SHARED) === 0 && addr === 0 && length % PMD_SIZE === 0) {
    at = hugeAligned(mm, addr, length, 0, flags);
  } else at = place(mm, addr, length, flags);
  if (at < 0 || at > TASK_SIZE - length) throw new SysError(ENOMEM);
  if (at % PAGE_SIZE !== 0) throw new SysError(EINVAL);
  return at as VirtAddr;
}

/** A hint below the lowest allowed address is rounded up to it (round_hint_to_min()). */
export function roundHint(addr: number): number {
  const hint = alignDown(addr, PAGE_SIZE);
  return hint > 0 && hint < MMAP_MIN_ADDR ? MMAP_MIN_ADDR : hint;
}

/** True where nothing else lies in [addr, addr + length), guard gaps included. */
export function isFree(mm: Mm, addr: number, length: number): boolean {
  const next = mm.vmas.find(addr);
  return next === undefined || addr + length <= next.startGap;
}

function hugeAligned(mm: Mm, addr: number, length: number, pgoff: number, flags: number): number {
  const offset = pgoff * PAGE_SIZE;
  const end = offset + length;
  const aligned = alignUp(offset, PMD_SIZE);
  if (end > aligned && end - aligned >= PMD_SIZE && (flags & MAP_FIXED) === 0) {
    const at = place(mm, addr, length + PMD_SIZE, flags);
    if (at >= 0 && at <= TASK_SIZE - length - PMD_SIZE) {
      if (at === addr) return addr;
      const shift = (((offset - at) % PMD_SIZE) + PMD_SIZE) % PMD_SIZE;
      return shift === 0 ? at + PMD_SIZE : at + shift;
    }
  }
  return place(mm, addr, length, flags);
}

/** arch_get_unmapped_area_topdown(): an address, or -1 where there is no room. */
function place(mm: Mm, addr: number, length: number, flags: number): number {
  if ((flags & MAP_FIXED) !== 0) return addr;
  if (length > TASK_SIZE) return -1;
  if ((flags & MAP_32BIT) !== 0) {
    const hint = hintAt(mm, addr, length, 0x80000000);
    return hint >= 0 ? hint : bottomUp(mm, 0x40000000, 0x80000000, length);
  }
  const hint = hintAt(mm, addr, length, TASK_SIZE);
  if (hint >= 0) return hint;
  const low = (flags & MAP_ABOVE4G) !== 0 ? 2 ** 32 : MMAP_MIN_ADDR;
  const at = topDown(mm, low, mm.mmapBase, length);
  return at >= 0 ? at : bottomUp(mm, UNMAPPED_BASE, TASK_SIZE, length);
}

function hintAt(mm: Mm, addr: number, length: number, limit: number): number {
  const hint = pageUp(addr);
  if (addr <= 0 || hint > limit - length || hint < 0) return -1;
  return isFree(mm, hint, length) ? hint : -1;
}

function topDown(mm: Mm, low: number, high: number, length: number): number {
  for (let top = high; ;) {
    const gapEnd = mm.vmas.gapBelow(low, top, length);
    if (gapEnd < 0) return -1;
    const above = mm.vmas.find(gapEnd);
    // Keep off the guard gap of a mapping that grows down.
    if (above === undefined || (above.flags & VM_GROWSDOWN) === 0 || above.startGap >= gapEnd) {
      return gapEnd - length;
    }
    top = above.startGap;
    if (top - length < low) return -1;
  }
}

function bottomUp(mm: Mm, low: number, high: number, length: number): number {
  for (let from = low; ;) {
    const at = mm.vmas.gapAbove(from, high, length);
    if (at < 0) return -1;
    const above = mm.vmas.find(at);
    if (above === undefined || at + length <= above.startGap) return at;
    from = above.end;
  }
}
