// msync(2) and mincore(2).
// Source: Linux 6.18 mm/msync.c, mm/mincore.c.

import { EBUSY, EINVAL, ENOMEM, SysError } from '../kernel/errors.ts';
import { PG_uptodate } from '../kernel/page.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import {
  pteNone,
  ptePresent,
  swapOffset,
  swapType,
  MAX_SWAPFILES,
  SWP_PTE_MARKER,
} from '../kernel/pte.ts';
import { NO_PFN, PAGE_SIZE, TASK_SIZE, pageUp } from '../kernel/types.ts';
import type { Mm } from './mm.ts';
import { MS_ASYNC, MS_INVALIDATE, MS_SYNC } from './mman.ts';
import { rangeEnd, wrapsRound } from './range.ts';
import { VM_LOCKED, VM_SHARED, type Vma } from './vma.ts';

/** msync(2). @throws SysError EINVAL, ENOMEM, EBUSY */
export function doMsync(mm: Mm, start: number, length: number, flags: number): void {
  if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0) throw new SysError(EINVAL);
  if (start % PAGE_SIZE !== 0) throw new SysError(EINVAL);
  if ((flags & MS_ASYNC) !== 0 && (flags & MS_SYNC) !== 0) throw new SysError(EINVAL);
  const bytes = pageUp(length);
  if (wrapsRound(start, bytes)) throw new SysError(ENOMEM);
  if (bytes === 0) return;
  if (start < 0) throw new SysError(ENOMEM);
  const end = rangeEnd(start, bytes);
  let hole = false;
  let at = start;
  for (let vma = mm.vmas.find(start); ; vma = mm.vmas.find(at)) {
    if (vma === undefined) throw new SysError(ENOMEM);
    if (at < vma.start) {
      if (flags === MS_ASYNC) throw new SysError(ENOMEM);
      at = vma.start;
      hole = true;
      if (at >= end) break;
    }
    if ((flags & MS_INVALIDATE) !== 0 && (vma.flags & VM_LOCKED) !== 0) throw new SysError(EBUSY);
    const stop = Math.min(end, vma.end);
    const { file } = vma;
    if ((flags & MS_SYNC) !== 0 && file !== null && (vma.flags & VM_SHARED) !== 0) {
      mm.system.writeback.writeRange(file.inode, vma.indexOf(at), vma.indexOf(stop - 1) + 1);
    }
    at = vma.end;
    if (at >= end) break;
  }
  if (hole) throw new SysError(ENOMEM);
}

/** mincore(2): `1` for each page that is resident, `0` else. @throws SysError EINVAL, ENOMEM */
export function doMincore(mm: Mm, start: number, length: number): string {
  if (start % PAGE_SIZE !== 0) throw new SysError(EINVAL);
  const bytes = length < 0 ? Infinity : pageUp(length);
  if (start < 0 || start + bytes > TASK_SIZE) throw new SysError(ENOMEM);
  let out = '';
  for (let va = start; va < start + bytes; va += PAGE_SIZE) {
    const vma = mm.vmas.at(va);
    if (vma === undefined) throw new SysError(ENOMEM);
    out += isResident(vma, va) ? '1' : '0';
  }
  return out;
}

function isResident(vma: Vma, va: number): boolean {
  const { mm } = vma;
  const { words } = mm.system.machine.mem;
  const pmd = mm.pgt.pmdAt(va);
  if (pmd !== NO_ENTRY && mm.pgt.isHuge(pmd)) return true;
  const pte = pmd === NO_ENTRY ? NO_ENTRY : mm.pgt.pteIn(pmd, va);
  if (pte !== NO_ENTRY && !pteNone(words[pte], words[pte + 1])) {
    if (ptePresent(words[pte])) return true;
    const type = swapType(words[pte + 1]);
    if (type < MAX_SWAPFILES) {
      return mm.system.swap?.isCached(type, swapOffset(words[pte], words[pte + 1])) === true;
    }
    // A marker says nothing of what is behind it; other entries are of pages on the move.
    if (type !== SWP_PTE_MARKER) return true;
  }
  const { pages } = mm.system.machine;
  const pfn = vma.file === null ? NO_PFN : vma.file.inode.cache.get(vma.indexOf(va));
  return pfn !== NO_PFN && pages.hasFlags(pages.head(pfn), PG_uptodate);
}
