// What a userfaultfd's ioctls do to pages: fill empty entries, write-protect present ones.
// Source: Linux 6.18 mm/userfaultfd.c: mfill_atomic(), mfill_atomic_install_pte(),
// mwriteprotect_range().

import { EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM } from '../kernel/errors.ts';
import { GFP_HIGHUSER_MOVABLE, __GFP_ZERO } from '../kernel/gfp.ts';
import { PG_anon_exclusive, PG_uptodate } from '../kernel/page.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import { FAULT_OK } from '../kernel/ports.ts';
import {
  _PAGE_DIRTY,
  _PAGE_RW,
  _PAGE_SPECIAL,
  _PAGE_UFFD_WP,
  pteHi,
  pteLo,
  pteNone,
  ptePfnAny,
  ptePresent,
} from '../kernel/pte.ts';
import { NO_PFN, PAGE_SIZE, type Pfn, type VirtAddr } from '../kernel/types.ts';
import { addPage } from './add-page.ts';
import { anonVmaPrepare } from './anon.ts';
import { faultIn, isPagePresent } from './gup.ts';
import { mlockMapped } from './mlock-pages.ts';
import { mayWrite, protHi, protLo } from './prot.ts';
import { MM_ANONPAGES, MM_SHMEMPAGES } from './rss.ts';
import type { Userfaultfd } from './userfaultfd.ts';
import { VM_SHARED, VM_UFFD_WP, type Vma } from './vma.ts';

/** How empty pages are filled: from other memory, with zeros, with what the file has. */
export interface Fill {
  readonly kind: 'copy' | 'zero' | 'continue';
  readonly from: number;
  /** Write-protect what is put there. */
  readonly wp: boolean;
}

/**
 * Fills the pages of [start, end), which lies in one registered mapping.
 * @returns bytes done; -errno where not even the first page could be: ENOENT no such mapping,
 *   EINVAL a mapping of another kind, EEXIST, EFAULT, ENOMEM.
 */
export function fillRange(uffd: Userfaultfd, start: number, end: number, how: Fill): number {
  const vma = uffd.mm.vmas.at(start);
  if (vma === undefined || vma.uffd === null || end > vma.end) return -ENOENT;
  const shmem = vma.file?.inode.kind === 'shmem';
  if (how.wp && (vma.flags & VM_UFFD_WP) === 0) return -EINVAL;
  if (how.kind === 'continue' && !shmem) return -EINVAL;
  if (vma.isAnonymous) anonVmaPrepare(vma, vma.mm.system.rmap.owners);
  for (let va = start; va < end; va += PAGE_SIZE) {
    const errno = fillPage(vma, va as VirtAddr, how, va - start);
    if (errno !== 0) return va > start ? va - start : -errno;
  }
  return end - start;
}

function fillPage(vma: Vma, va: VirtAddr, how: Fill, offset: number): number {
  const { mm } = vma;
  const { words } = mm.system.machine.mem;
  const pmd = mm.pgt.pmdAt(va);
  if (pmd !== NO_ENTRY && mm.pgt.isHuge(pmd)) return EEXIST;
  let source = NO_PFN;
  if (how.kind === 'copy') {
    source = sourcePage(vma, how.from + offset);
    if (source === NO_PFN) return EFAULT;
  }
  const pte = mm.pgt.allocPte(va);
  if (pte === NO_ENTRY) return ENOMEM;
  const taken = !pteNone(words[pte], words[pte + 1]);
  if (vma.file === null) return taken ? EEXIST : fillAnon(vma, va, pte, how, source);
  return fillShared(vma, va, pte, how, source, taken);
}

/** The frame that holds the bytes to copy; NO_PFN where they cannot be read. */
function sourcePage(vma: Vma, from: number): Pfn {
  const { mm } = vma;
  const at = mm.vmas.at(from);
  if (at === undefined) return NO_PFN;
  if (!isPagePresent(mm, from, false) && faultIn(at, from as VirtAddr, false) !== FAULT_OK) {
    return NO_PFN;
  }
  const { words } = mm.system.machine.mem;
  const pte = mm.pgt.pteAt(from);
  if (pte !== NO_ENTRY) return ptePfnAny(words[pte], words[pte + 1]);
  const pmd = mm.pgt.pmdAt(from);
  return (ptePfnAny(words[pmd], words[pmd + 1]) + ((from >>> 12) & 511)) as Pfn;
}

function fillAnon(vma: Vma, va: VirtAddr, pte: number, how: Fill, source: Pfn): number {
  const { mm } = vma;
  const { system } = mm;
  const { mem, alloc, rmap } = system.machine;
  if (how.kind === 'zero') {
    const lo = protLo(vma) | _PAGE_SPECIAL;
    mem.words[pte + 1] = pteHi(system.zeroPfn, lo, protHi(vma));
    mem.words[pte] = pteLo(system.zeroPfn, lo);
    return 0;
  }
  const pfn = alloc.alloc(GFP_HIGHUSER_MOVABLE | __GFP_ZERO, 0);
  if (pfn === NO_PFN) return ENOMEM;
  mem.copyFrame(pfn, source);
  rmap.addNewAnon(pfn, vma.anonVma!.id, vma.indexOf(va));
  mlockMapped(vma, pfn);
  const lo = protLo(vma) | _PAGE_DIRTY | (how.wp ? _PAGE_UFFD_WP : mayWrite(vma));
  mem.words[pte + 1] = pteHi(pfn, lo, protHi(vma));
  mem.words[pte] = pteLo(pfn, lo);
  mm.rss[MM_ANONPAGES]++;
  return 0;
}

function fillShared(
  vma: Vma,
  va: VirtAddr,
  pte: number,
  how: Fill,
  source: Pfn,
  taken: boolean,
): number {
  const { mm } = vma;
  const { system } = mm;
  const { mem, pages, rmap } = system.machine;
  const { inode } = vma.file!;
  const index = vma.indexOf(va);
  if ((vma.flags & VM_SHARED) === 0 && how.kind !== 'continue') {
    if (taken) return EEXIST;
    anonVmaPrepare(vma, rmap.owners);
    return fillAnon(vma, va, pte, how, source);
  }
  if (index >= inode.sizePages) return EFAULT;
  let pfn = inode.cache.get(index);
  if (how.kind === 'continue') {
    if (pfn === NO_PFN) return EFAULT;
  } else {
    if (pfn !== NO_PFN || inode.swapped.has(index)) return EEXIST;
    pfn = addPage(system, inode, index, true);
    if (pfn === NO_PFN) return ENOMEM;
    if (source !== NO_PFN) mem.copyFrame(pfn, source);
    pages.setFlags(pfn, PG_uptodate);
    system.writeback.markDirty(pfn);
  }
  if (taken) return EEXIST;
  const shared = (vma.flags & VM_SHARED) !== 0;
  const lo = protLo(vma) | _PAGE_DIRTY | (shared ? mayWrite(vma) : 0);
  mem.words[pte + 1] = pteHi(pfn, lo, protHi(vma));
  mem.words[pte] = pteLo(pfn, lo);
  rmap.dup(pfn);
  mlockMapped(vma, pfn);
  mm.rss[MM_SHMEMPAGES]++;
  return 0;
}

/** Marks the present pages of [start, end), so that a write is told; or takes the marks away. */
export function writeProtectRange(vma: Vma, start: number, end: number, on: boolean): void {
  const { mm } = vma;
  const { mem, pages } = mm.system.machine;
  const { words } = mem;
  for (let va = start; va < end; va += PAGE_SIZE) {
    const pte = mm.pgt.pteAt(va);
    if (pte === NO_ENTRY || !ptePresent(words[pte])) continue;
    const lo = words[pte];
    if (on) words[pte] = (lo & ~_PAGE_RW) | _PAGE_UFFD_WP;
    else if ((lo & _PAGE_UFFD_WP) !== 0) {
      const special = (lo & _PAGE_SPECIAL) !== 0;
      const mine = !special && pages.hasFlags(ptePfnAny(lo, words[pte + 1]), PG_anon_exclusive);
      words[pte] = (lo & ~_PAGE_UFFD_WP) | (mine ? mayWrite(vma) : 0);
    }
  }
  mm.system.flushTlb(mm, start, end);
}
