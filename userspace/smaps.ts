// What /proc/PID/smaps counts of a mapping, from its page-table entries.
//
// A page counts as private where one entry alone maps it, or where it has no other reference; its
// proportional size is its size divided by the entries that map it, in units of 1/4096 byte, so
// that the sum rounds as the kernel's does.
// Source: Linux 6.18 fs/proc/task_mmu.c: smaps_account(), smaps_page_accumulate(),
// smaps_pte_entry(), smaps_pmd_entry(), smap_gather_stats().

import { PAGE_RECORD, PG_anon, PG_dirty, PG_swapbacked } from '../kernel/page.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import {
  MAX_SWAPFILES,
  _PAGE_DIRTY,
  _PAGE_SPECIAL,
  pteNone,
  ptePfnAny,
  ptePresent,
  swapType,
} from '../kernel/pte.ts';
import { HPAGE_PMD_NR, PAGE_SIZE, PMD_SIZE, alignDown, type Pfn } from '../kernel/types.ts';
import { VM_LOCKED, VM_SHARED, VM_WRITE, type Vma } from './vma.ts';

/** PSS is counted in units of 2^-12 bytes (PSS_SHIFT). */
const PSS_UNIT = 4096;

/** Bytes, but for pss, pssDirty and pssLocked: those in 1/4096 byte. */
export class Smaps {
  rss = 0;
  pss = 0;
  pssDirty = 0;
  pssLocked = 0;
  sharedClean = 0;
  sharedDirty = 0;
  privateClean = 0;
  privateDirty = 0;
  anonymous = 0;
  lazyFree = 0;
  anonHuge = 0;
  swap = 0;

  /** A proportional size in whole KiB, rounded down. */
  static kib(pss: number): number {
    return Math.floor(pss / (1024 * PSS_UNIT));
  }
}

/** Counts the pages of a mapping. */
export function smapsOf(vma: Vma): Smaps {
  const out = new Smaps();
  const { mm } = vma;
  const { pgt } = mm;
  const shmem = vma.file?.inode.kind === 'shmem' ? vma.file.inode : null;
  const byEntry = shmem !== null && (vma.flags & (VM_SHARED | VM_WRITE)) === VM_WRITE;
  if (shmem !== null && !byEntry) out.swap += swappedIn(vma, vma.start, vma.end) * PAGE_SIZE;
  let done = vma.start;
  for (let va = pgt.nextPmd(vma.start, vma.end); va < vma.end; va = pgt.nextPmd(va, vma.end)) {
    if (byEntry) out.swap += swappedIn(vma, done, va) * PAGE_SIZE;
    const next = Math.min(vma.end, alignDown(va, PMD_SIZE) + PMD_SIZE);
    const pmd = pgt.pmdAt(va);
    if (pgt.isHuge(pmd)) countHuge(vma, pmd, out);
    else countTable(vma, pgt.pteIn(pmd, va), va, next, byEntry, out);
    va = next;
    done = next;
  }
  if (byEntry) out.swap += swappedIn(vma, done, vma.end) * PAGE_SIZE;
  return out;
}

/** Pages of shared memory behind [start, end) that are swapped out. */
function swappedIn(vma: Vma, start: number, end: number): number {
  const { inode } = vma.file!;
  if (inode.swapped.size === 0 || start >= end) return 0;
  const first = vma.indexOf(start);
  const last = first + (end - start) / PAGE_SIZE;
  let n = 0;
  for (const index of inode.swapped.keys()) if (index >= first && index < last) n++;
  return n;
}

function countTable(
  vma: Vma,
  pte: number,
  start: number,
  end: number,
  byEntry: boolean,
  out: Smaps,
): void {
  if (pte === NO_ENTRY) return;
  const { machine } = vma.mm.system;
  const { words } = machine.mem;
  for (let va = start; va < end; va += PAGE_SIZE, pte += 2) {
    const lo = words[pte];
    const hi = words[pte + 1];
    if (pteNone(lo, hi)) {
      if (byEntry && vma.file!.inode.swapped.has(vma.indexOf(va))) out.swap += PAGE_SIZE;
    } else if (!ptePresent(lo)) {
      if (swapType(hi) < MAX_SWAPFILES) out.swap += PAGE_SIZE;
    } else if ((lo & _PAGE_SPECIAL) === 0) {
      countPage(vma, ptePfnAny(lo, hi), (lo & _PAGE_DIRTY) !== 0, out);
    }
  }
}

function countHuge(vma: Vma, pmd: number, out: Smaps): void {
  const { words } = vma.mm.system.machine.mem;
  const lo = words[pmd];
  if ((lo & _PAGE_SPECIAL) !== 0) return;
  const head = ptePfnAny(lo, words[pmd + 1]);
  out.anonHuge += PMD_SIZE;
  for (let i = 0; i < HPAGE_PMD_NR; i++) {
    countPage(vma, (head + i) as Pfn, (lo & _PAGE_DIRTY) !== 0, out);
  }
}

/** One mapped page. @param pteDirty the entry's own dirty bit. */
function countPage(vma: Vma, pfn: Pfn, pteDirty: boolean, out: Smaps): void {
  const { pages, rmap } = vma.mm.system.machine;
  const head = pages.head(pfn);
  const flags = pages.words[head * PAGE_RECORD];
  const dirty = pteDirty || (flags & PG_dirty) !== 0;
  const count = pages.refcount(head) === 1 ? 1 : rmap.mapcount(pfn);
  const pss = count >= 2 ? Math.floor((PAGE_SIZE * PSS_UNIT) / count) : PAGE_SIZE * PSS_UNIT;
  out.rss += PAGE_SIZE;
  if ((flags & PG_anon) !== 0) {
    out.anonymous += PAGE_SIZE;
    if ((flags & PG_swapbacked) === 0 && !dirty) out.lazyFree += PAGE_SIZE;
  }
  out.pss += pss;
  if ((vma.flags & VM_LOCKED) !== 0) out.pssLocked += pss;
  if (dirty) out.pssDirty += pss;
  if (count >= 2) {
    if (dirty) out.sharedDirty += PAGE_SIZE;
    else out.sharedClean += PAGE_SIZE;
  } else if (dirty) out.privateDirty += PAGE_SIZE;
  else out.privateClean += PAGE_SIZE;
}
