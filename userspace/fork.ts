// fork(): a second address space that shares all pages with the first, until one of them writes.
//
// Mappings are copied one by one. Page-table entries are copied only where a fault could not bring
// the page back by itself: in mappings that have private pages (a family), there all of them. Both
// sides' entries of private writable memory lose their write permission, and pages are nobody's
// alone any more (PG_anon_exclusive is cleared).
// Source: Linux 6.18 mm/mmap.c: dup_mmap(); mm/memory.c: copy_page_range(), copy_present_ptes().

import { ENOMEM, SysError } from '../kernel/errors.ts';
import {
  PAGE_MAPCOUNT,
  PAGE_RECORD,
  PAGE_REFCOUNT,
  PG_anon,
  PG_anon_exclusive,
} from '../kernel/page.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import {
  MAX_SWAPFILES,
  SWP_EXCLUSIVE,
  SWP_PTE_MARKER,
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  _PAGE_RW,
  _PAGE_SPECIAL,
  _PAGE_UFFD_WP,
  ptePfnAny,
  ptePresent,
  swapOffset,
  swapType,
} from '../kernel/pte.ts';
import { NO_PFN, PMD_SIZE, alignDown } from '../kernel/types.ts';
import { GFP_KERNEL_ACCOUNT, __GFP_ZERO } from '../kernel/gfp.ts';
import { anonVmaFork } from './anon.ts';
import { chargeCommit } from './commit.ts';
import { copyHugePmd } from './huge.ts';
import { insertVma } from './merge.ts';
import { Mm } from './mm.ts';
import { MM_SWAPENTS } from './rss.ts';
import {
  VM_ACCOUNT,
  VM_DONTCOPY,
  VM_LOCKED_MASK,
  VM_MAYBE_GUARD,
  VM_MIXEDMAP,
  VM_PFNMAP,
  VM_SHARED,
  VM_UFFD_MASK,
  VM_WIPEONFORK,
  Vma,
  isCowMapping,
} from './vma.ts';
import { rssKind } from './zap.ts';

/** A copy of an address space for a new process. @throws SysError ENOMEM */
export function dupMm(old: Mm): Mm {
  const { system } = old;
  const root = system.machine.alloc.alloc(GFP_KERNEL_ACCOUNT | __GFP_ZERO, 0);
  if (root === NO_PFN) throw new SysError(ENOMEM);
  const mm = new Mm(system, system.newMmId(), root, { ...old.limits });
  mm.group = old.group;
  mm.startBrk = old.startBrk;
  mm.brk = old.brk;
  mm.startStack = old.startStack;
  mm.mmapBase = old.mmapBase;
  mm.loadBias = old.loadBias;
  mm.hardLimits = { ...old.hardLimits };
  system.addMm(mm);
  try {
    for (const vma of old.vmas) copyVma(mm, vma);
  } catch (e) {
    system.destroyMm(mm);
    throw e;
  }
  system.flushTlbSpace(old);
  mm.hiwaterRss = mm.rssPages;
  mm.hiwaterVm = mm.totalVm;
  return mm;
}

function copyVma(mm: Mm, parent: Vma): void {
  if ((parent.flags & VM_DONTCOPY) !== 0) return;
  if ((parent.flags & VM_ACCOUNT) !== 0) chargeCommit(mm, parent.pages);
  const child = new Vma(
    mm,
    parent.start,
    parent.end,
    parent.flags & ~(VM_LOCKED_MASK | VM_UFFD_MASK), // the child's faults are nobody's
    parent.pgoff,
    parent.file,
    parent.special,
  );
  child.swapRa = parent.swapRa;
  insertVma(child);
  mm.account(child.flags, child.pages);
  if ((child.flags & VM_WIPEONFORK) !== 0) return;
  anonVmaFork(child, parent, mm.system.machine.rmap.owners);
  if (needsCopy(parent) && !copyPages(child, parent)) throw new SysError(ENOMEM);
}

/** Mappings whose entries say what no fault would bring back. */
const VM_COPY_ON_FORK = VM_PFNMAP | VM_MIXEDMAP | VM_MAYBE_GUARD;

/** Would a fault not bring the pages back by itself (vma_needs_copy())? */
function needsCopy(vma: Vma): boolean {
  return vma.anonVma !== null || (vma.flags & VM_COPY_ON_FORK) !== 0;
}

function copyPages(child: Vma, parent: Vma): boolean {
  const { pgt } = parent.mm;
  const { end } = parent;
  for (let va = pgt.nextPmd(parent.start, end); va < end; va = pgt.nextPmd(va, end)) {
    const next = Math.min(end, alignDown(va, PMD_SIZE) + PMD_SIZE);
    const pmd = pgt.pmdAt(va);
    if (pgt.isHuge(pmd)) {
      if (!copyHugePmd(child, parent, pmd, va)) return false;
    } else if (!copyTable(child, parent, pgt.pteIn(pmd, va), va, next)) return false;
    va = next;
  }
  return true;
}

/** Copies the entries of one table that lie in [start, end). */
function copyTable(child: Vma, parent: Vma, from: number, start: number, end: number): boolean {
  const { machine } = parent.mm.system;
  const { words } = machine.mem;
  const records = machine.pages.words;
  const { rss } = child.mm;
  const cow = isCowMapping(parent.flags);
  const clearInChild =
    (cow ? _PAGE_RW : 0) | ((parent.flags & VM_SHARED) !== 0 ? _PAGE_DIRTY : 0) | _PAGE_ACCESSED;
  let to = child.mm.pgt.allocPte(start);
  if (to === NO_ENTRY) return false;
  const stop = from + ((end - start) / 4096) * 2;
  for (; from < stop; from += 2, to += 2) {
    const lo = words[from];
    const hi = words[from + 1];
    if ((lo | hi) === 0) continue;
    if (!ptePresent(lo)) {
      copyNotPresent(child, parent, from, to);
      continue;
    }
    if ((lo & _PAGE_SPECIAL) === 0) {
      const pfn = ptePfnAny(lo, hi);
      const at = pfn * PAGE_RECORD;
      const flags = records[at];
      if ((flags & PG_anon) !== 0) {
        // One page-table entry more than it has now: the counts can be raised in place.
        records[at] = flags & ~PG_anon_exclusive;
        records[at + PAGE_MAPCOUNT]++;
        records[machine.pages.head(pfn) * PAGE_RECORD + PAGE_REFCOUNT]++;
      } else machine.rmap.dup(pfn);
      rss[rssKind(flags)]++;
    }
    if (cow) words[from] = lo & ~_PAGE_RW;
    words[to] = lo & ~(clearInChild | _PAGE_UFFD_WP);
    words[to + 1] = hi;
  }
  return true;
}

function copyNotPresent(child: Vma, parent: Vma, from: number, to: number): void {
  const { system } = parent.mm;
  const { words } = system.machine.mem;
  let lo = words[from];
  const hi = words[from + 1];
  const type = swapType(hi);
  if (type < MAX_SWAPFILES) {
    system.swap?.dup(type, swapOffset(lo, hi));
    child.mm.rss[MM_SWAPENTS]++;
    lo &= ~SWP_EXCLUSIVE;
    words[from] = lo;
  } else if (type !== SWP_PTE_MARKER) return;
  words[to] = lo;
  words[to + 1] = hi;
}
