// mprotect(2): new permissions for a range, mapping by mapping.
//
// Mappings are split and merged as their flags change; entries keep what they say of the page
// (dirty, accessed) and lose or get what the mapping now forbids or allows: a private page becomes
// writable at once only if this process alone has it.
// Source: Linux 6.18 mm/mprotect.c: do_mprotect_pkey(), mprotect_fixup(), change_pte_range().

import { EACCES, EINVAL, ENOMEM, SysError } from '../kernel/errors.ts';
import { PG_anon, PG_anon_exclusive } from '../kernel/page.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import {
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  _PAGE_RW,
  _PAGE_SPECIAL,
  _PAGE_UFFD_WP,
  pteHi,
  pteLo,
  ptePfnAny,
  ptePresent,
} from '../kernel/pte.ts';
import { PAGE_SIZE, PMD_SIZE, alignDown, pageUp } from '../kernel/types.ts';
import { chargeCommit, unchargeCommit } from './commit.ts';
import { populateVma } from './gup.ts';
import { protectHugePmd, splitHugePmd } from './huge.ts';
import { modifyVma } from './merge.ts';
import type { Mm } from './mm.ts';
import {
  PROT_EXEC,
  PROT_GROWSDOWN,
  PROT_GROWSUP,
  PROT_READ,
  PROT_SEM,
  PROT_WRITE,
} from './mman.ts';
import { mayWrite, protHi, protLo, wantsWriteNotify } from './prot.ts';
import { rangeEnd, wrapsRound } from './range.ts';
import {
  VM_ACCESS_FLAGS,
  VM_ACCOUNT,
  VM_GROWSDOWN,
  VM_HUGETLB,
  VM_LOCKED,
  VM_NORESERVE,
  VM_SHARED,
  VM_WRITE,
  type Vma,
  vmFlagsOfProt,
} from './vma.ts';

/**
 * mprotect(2).
 * @throws SysError EINVAL, ENOMEM, EACCES: earlier mappings of the range keep what they got.
 */
export function doMprotect(mm: Mm, start: number, length: number, prot: number): void {
  const grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
  if (grows === (PROT_GROWSDOWN | PROT_GROWSUP)) throw new SysError(EINVAL);
  prot &= ~grows;
  if (start % PAGE_SIZE !== 0) throw new SysError(EINVAL);
  if (length === 0) return;
  const bytes = pageUp(length);
  if (bytes === 0 || wrapsRound(start, bytes)) throw new SysError(ENOMEM);
  if ((prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM)) !== 0) throw new SysError(EINVAL);
  if (start < 0) throw new SysError(ENOMEM);
  const end = rangeEnd(start, bytes);
  const first = mm.vmas.find(start);
  if (first === undefined) throw new SysError(ENOMEM);
  if ((grows & PROT_GROWSDOWN) !== 0) {
    if (first.start >= end) throw new SysError(ENOMEM);
    start = first.start;
    if ((first.flags & VM_GROWSDOWN) === 0) throw new SysError(EINVAL);
  } else if (first.start > start) throw new SysError(ENOMEM);
  else if ((grows & PROT_GROWSUP) !== 0) throw new SysError(EINVAL); // no stack grows up on x86
  let at = start;
  for (const vma of mm.vmas.range(start, end)) {
    if (vma.end <= at) continue; // merged into what came before
    if (vma.start > at) throw new SysError(ENOMEM);
    const stop = Math.min(end, vma.end);
    const flags = vmFlagsOfProt(prot) | (vma.flags & ~VM_ACCESS_FLAGS);
    if ((flags & ~(flags >> 4) & VM_ACCESS_FLAGS) !== 0) throw new SysError(EACCES);
    protectVma(vma, at, stop, flags);
    at = stop;
  }
  if (at < end) throw new SysError(ENOMEM);
}

function protectVma(vma: Vma, start: number, end: number, wanted: number): void {
  const old = vma.flags;
  let flags = wanted;
  if (flags === old) return;
  const { mm } = vma;
  const pages = (end - start) / PAGE_SIZE;
  let charged = 0;
  if ((flags & VM_WRITE) !== 0) {
    if (!mm.mayExpand(flags, pages) && mm.mayExpand(old, pages)) throw new SysError(ENOMEM);
    if ((old & (VM_ACCOUNT | VM_WRITE | VM_HUGETLB | VM_SHARED | VM_NORESERVE)) === 0) {
      chargeCommit(mm, pages);
      charged = pages;
      flags |= VM_ACCOUNT;
    }
  } else if ((old & VM_ACCOUNT) !== 0 && vma.isAnonymous && vma.anonVma === null) {
    flags &= ~VM_ACCOUNT;
  }
  let changed: Vma;
  try {
    changed = modifyVma(vma, start, end, flags);
  } catch (e) {
    unchargeCommit(mm.system, charged);
    throw e;
  }
  changeProtection(changed, start, end);
  if ((old & VM_ACCOUNT) !== 0 && (flags & VM_ACCOUNT) === 0) unchargeCommit(mm.system, pages);
  if ((old & (VM_WRITE | VM_SHARED | VM_LOCKED)) === VM_LOCKED && (flags & VM_WRITE) !== 0) {
    populateVma(changed, start, end); // locked memory is not to fault for its copies later
  }
  mm.account(old, -pages);
  mm.account(flags, pages);
}

/** Gives the entries of [start, end) the protection that the mapping has now. */
export function changeProtection(vma: Vma, start: number, end: number): void {
  const { mm } = vma;
  const { pgt } = mm;
  for (let va = pgt.nextPmd(start, end); va < end; va = pgt.nextPmd(va, end)) {
    const next = Math.min(end, alignDown(va, PMD_SIZE) + PMD_SIZE);
    const pmd = pgt.pmdAt(va);
    if (pgt.isHuge(pmd)) {
      if (next - va === PMD_SIZE) {
        protectHugePmd(vma, pmd);
        va = next;
        continue;
      }
      splitHugePmd(mm, vma, pmd);
    }
    changePtes(vma, pgt.pteIn(pmd, va), (next - va) / PAGE_SIZE);
    va = next;
  }
  mm.system.flushTlb(mm, start, end);
}

function changePtes(vma: Vma, first: number, count: number): void {
  if (first === NO_ENTRY) return;
  const { mem, pages } = vma.mm.system.machine;
  const { words } = mem;
  const lo = protLo(vma);
  const hi = protHi(vma);
  const writable = mayWrite(vma);
  const shared = (vma.flags & VM_SHARED) !== 0;
  const upgradeShared = shared && wantsWriteNotify(vma);
  for (let at = first; at < first + count * 2; at += 2) {
    const old = words[at];
    if (!ptePresent(old)) continue;
    const pfn = ptePfnAny(old, words[at + 1]);
    let fresh = lo | (old & (_PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_SPECIAL | _PAGE_UFFD_WP));
    if (
      (old & _PAGE_UFFD_WP) === 0 &&
      writable !== 0 &&
      (fresh & _PAGE_RW) === 0 &&
      (old & _PAGE_SPECIAL) === 0
    ) {
      const mine = shared
        ? upgradeShared && (old & _PAGE_DIRTY) !== 0 && (old & _PAGE_RW) !== 0
        : (pages.flags(pfn) & (PG_anon | PG_anon_exclusive)) === (PG_anon | PG_anon_exclusive);
      if (mine) fresh |= _PAGE_RW;
    }
    words[at + 1] = pteHi(pfn, fresh, hi);
    words[at] = pteLo(pfn, fresh);
  }
}
