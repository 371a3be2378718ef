// Transparent huge pages of anonymous memory: a PMD entry that maps 2 MiB at once.
//
//     fault on an empty PMD entry whose 2 MiB lie in the mapping:
//         read   -> the huge zero page          write -> a compound page of order 9
//     a PTE table is put aside for each ("deposited"), so that splitting never fails:
//         split  -> the table takes 512 entries, the compound page stays one
//
// Invariants: a huge entry has one deposited table, counted in VmPTE; its frame is the head of a
// compound page of order 9 or the huge zero page.
// Source: Linux 6.18 mm/huge_memory.c: do_huge_pmd_anonymous_page(), do_huge_pmd_wp_page(),
// copy_huge_pmd(), zap_huge_pmd(), change_huge_pmd(), __split_huge_pmd_locked().

import { assert } from '../kernel/errors.ts';
import { GFP_TRANSHUGE_LIGHT, __GFP_ZERO } from '../kernel/gfp.ts';
import { PAGE_RECORD, PAGE_REFCOUNT, PG_anon_exclusive, PG_zero } from '../kernel/page.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import { FAULT_OK, FAULT_OOM, PF_WRITE, type FaultResult } from '../kernel/ports.ts';
import {
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  _PAGE_PSE,
  _PAGE_RW,
  _PAGE_SPECIAL,
  pteHi,
  pteLo,
  ptePfnAny,
} from '../kernel/pte.ts';
import { PG_THP_FAULT } from '../kernel/reclaim/page_events.ts';
import { THP_FAULT_ALLOC, THP_SPLIT_PMD, THP_ZERO_PAGE_ALLOC } from '../kernel/stats.ts';
import {
  HPAGE_PMD_NR,
  HPAGE_PMD_ORDER,
  NO_PFN,
  PMD_SIZE,
  alignDown,
  type Pfn,
  type VirtAddr,
} from '../kernel/types.ts';
import { anonVmaPrepare } from './anon.ts';
import { FAULT_FALLBACK } from './fault-flags.ts';
import { DID_ANON, DID_HUGE, DID_REUSE, DID_SPURIOUS, DID_ZERO } from './fault-info.ts';
import type { Mm } from './mm.ts';
import { MM_ANONPAGES } from './rss.ts';
import { mlockMappedHuge, munlockMapped } from './mlock-pages.ts';
import { mayWrite, protHi, protLo } from './prot.ts';
import type { System } from './system.ts';
import { VM_HUGEPAGE, VM_NOHUGEPAGE, VM_SPECIAL, VM_UFFD_MISSING, type Vma } from './vma.ts';

/** May the 2 MiB around va be one huge page of this mapping (thp_vma_allowable_order())? */
export function hugeAllowed(vma: Vma, va: number): boolean {
  const { thp } = vma.mm.system.sysctl;
  if (thp === 'never' || (vma.flags & (VM_NOHUGEPAGE | VM_SPECIAL)) !== 0) return false;
  if (thp === 'madvise' && (vma.flags & VM_HUGEPAGE) === 0) return false;
  const start = alignDown(va, PMD_SIZE);
  return start >= vma.start && start + PMD_SIZE <= vma.end;
}

/** A fault on an empty PMD entry of anonymous memory. FAULT_FALLBACK: use small pages. */
export function tryHugeAnonymous(vma: Vma, pmd: number, va: VirtAddr, flags: number): FaultResult {
  if (!hugeAllowed(vma, va)) return FAULT_FALLBACK;
  // Small pages: that is what a userfaultfd's reader fills.
  if ((vma.flags & VM_UFFD_MISSING) !== 0) return FAULT_FALLBACK;
  const { mm } = vma;
  const { system } = mm;
  const { machine } = system;
  anonVmaPrepare(vma, machine.rmap.owners);
  const write = (flags & PF_WRITE) !== 0;
  const page = write
    ? machine.alloc.alloc(GFP_TRANSHUGE_LIGHT | __GFP_ZERO, HPAGE_PMD_ORDER)
    : hugeZeroPage(system);
  if (page === NO_PFN) return FAULT_FALLBACK;
  const table = mm.pgt.allocDeposit();
  if (table === NO_PFN) {
    if (write) machine.alloc.free(page, HPAGE_PMD_ORDER);
    return FAULT_OOM;
  }
  mm.deposits.push(table);
  if (!write) {
    setHuge(mm, pmd, page, protLo(vma) | _PAGE_SPECIAL, protHi(vma));
    system.fault.kinds |= DID_ZERO | DID_HUGE;
    return FAULT_OK;
  }
  mapNewHuge(vma, pmd, va, page);
  return FAULT_OK;
}

function mapNewHuge(vma: Vma, pmd: number, va: number, page: Pfn): void {
  const { mm } = vma;
  const { machine, fault } = mm.system;
  const start = alignDown(va, PMD_SIZE);
  machine.rmap.addNewAnonHuge(page, vma.anonVma!.id, vma.indexOf(start));
  mlockMappedHuge(vma, page);
  setHuge(mm, pmd, page, protLo(vma) | _PAGE_DIRTY | mayWrite(vma), protHi(vma));
  mm.rss[MM_ANONPAGES] += HPAGE_PMD_NR;
  machine.stat.counts[THP_FAULT_ALLOC]++;
  machine.lru.count(page, PG_THP_FAULT);
  fault.kinds |= DID_ANON | DID_HUGE;
  fault.order = HPAGE_PMD_ORDER;
}

/** A fault on a present huge entry. FAULT_FALLBACK: it was split, go on with small pages. */
export function faultHugePmd(vma: Vma, pmd: number, va: VirtAddr, flags: number): FaultResult {
  const { mm } = vma;
  const { system } = mm;
  const { words } = system.machine.mem;
  const lo = words[pmd];
  if ((flags & PF_WRITE) === 0 || (lo & _PAGE_RW) !== 0) {
    words[pmd] = lo | _PAGE_ACCESSED | ((flags & PF_WRITE) !== 0 ? _PAGE_DIRTY : 0);
    system.fault.kinds |= DID_SPURIOUS;
    return FAULT_OK;
  }
  const page = ptePfnAny(lo, words[pmd + 1]);
  if ((lo & _PAGE_SPECIAL) !== 0) {
    const fresh = system.machine.alloc.alloc(GFP_TRANSHUGE_LIGHT | __GFP_ZERO, HPAGE_PMD_ORDER);
    if (fresh !== NO_PFN) {
      anonVmaPrepare(vma, system.machine.rmap.owners);
      mapNewHuge(vma, pmd, va, fresh);
      return FAULT_OK;
    }
  } else if (canReuseHuge(vma, page)) {
    words[pmd] = lo | _PAGE_ACCESSED | _PAGE_DIRTY | mayWrite(vma);
    system.fault.kinds |= DID_REUSE | DID_HUGE;
    return FAULT_OK;
  }
  splitHugePmd(mm, vma, pmd);
  return FAULT_FALLBACK;
}

function canReuseHuge(vma: Vma, page: Pfn): boolean {
  const { pages } = vma.mm.system.machine;
  if (pages.hasFlags(page, PG_anon_exclusive)) return true;
  if (pages.refcount(page) !== 1) return false;
  for (let i = 0; i < HPAGE_PMD_NR; i++) {
    pages.setFlags(page + i, PG_anon_exclusive);
    pages.setOwner(page + i, vma.anonVma!.id);
  }
  return true;
}

/** Unmaps a huge page and frees the table put aside for it (zap_huge_pmd()). */
export function zapHugePmd(vma: Vma, pmd: number): void {
  const { mm } = vma;
  const { mem, rmap } = mm.system.machine;
  const lo = mem.words[pmd];
  const page = ptePfnAny(lo, mem.words[pmd + 1]);
  mem.words[pmd] = mem.words[pmd + 1] = 0;
  mm.pgt.freePteTable(takeDeposit(mm));
  if ((lo & _PAGE_SPECIAL) !== 0) return;
  mm.rss[MM_ANONPAGES] -= HPAGE_PMD_NR;
  munlockMapped(vma, page);
  rmap.removeHuge(page);
}

/** Replaces a huge entry by 512 entries in the table that was put aside. */
export function splitHugePmd(mm: Mm, vma: Vma, pmd: number): void {
  const { machine, zeroPfn } = mm.system;
  const { mem, pages, stat } = machine;
  const lo = mem.words[pmd];
  const hi = mem.words[pmd + 1];
  const page = ptePfnAny(lo, hi);
  const table = takeDeposit(mm);
  const at = mem.writable(table);
  const zero = (lo & _PAGE_SPECIAL) !== 0;
  const flags = (lo & 0xfff & ~_PAGE_PSE) | (zero ? _PAGE_SPECIAL : 0);
  for (let i = 0; i < HPAGE_PMD_NR; i++) {
    const pfn = zero ? zeroPfn : ((page + i) as Pfn);
    mem.words[at + 2 * i] = pteLo(pfn, flags);
    mem.words[at + 2 * i + 1] = pteHi(pfn, flags, protHi(vma));
    if (!zero) pages.setMapcount(pfn, pages.mapcount(pfn) + 1);
  }
  if (!zero) {
    // A lock stays: it goes with the first entry that does.
    pages.words[page * PAGE_RECORD + PAGE_REFCOUNT] += HPAGE_PMD_NR - 1;
    pages.setEntireMapcount(page, pages.entireMapcount(page) - 1);
  }
  mem.words[pmd] = mem.words[pmd + 1] = 0;
  mm.pgt.populatePmd(pmd, table);
  stat.counts[THP_SPLIT_PMD]++;
}

/** Splits the huge page, if there is one, that would reach across a border of mappings. */
export function splitHugeAt(mm: Mm, vma: Vma, addr: number): void {
  if (addr % PMD_SIZE === 0) return;
  const pmd = mm.pgt.pmdAt(addr);
  if (pmd !== NO_ENTRY && mm.pgt.isHuge(pmd)) splitHugePmd(mm, vma, pmd);
}

/**
 * fork(): the child maps the same huge page, both write-protected (copy_huge_pmd()).
 * @returns false without memory.
 */
export function copyHugePmd(child: Vma, parent: Vma, from: number, va: number): boolean {
  const { machine } = parent.mm.system;
  const { mem, pages, rmap } = machine;
  const to = child.mm.pgt.allocPmd(va);
  const table = to === NO_ENTRY ? NO_PFN : child.mm.pgt.allocDeposit();
  if (table === NO_PFN) return false;
  child.mm.deposits.push(table);
  const lo = mem.words[from];
  const hi = mem.words[from + 1];
  if ((lo & _PAGE_SPECIAL) === 0) {
    const page = ptePfnAny(lo, hi);
    for (let i = 0; i < HPAGE_PMD_NR; i++) pages.clearFlags(page + i, PG_anon_exclusive);
    rmap.dupHuge(page);
    child.mm.rss[MM_ANONPAGES] += HPAGE_PMD_NR;
    mem.words[from] = lo & ~_PAGE_RW;
  }
  mem.words[to] = lo & ~(_PAGE_RW | _PAGE_ACCESSED);
  mem.words[to + 1] = hi;
  return true;
}

/** Gives a huge entry the protection of its mapping (change_huge_pmd()). */
export function protectHugePmd(vma: Vma, pmd: number): void {
  const { mem, pages } = vma.mm.system.machine;
  const lo = mem.words[pmd];
  const page = ptePfnAny(lo, mem.words[pmd + 1]);
  const kept = lo & (_PAGE_DIRTY | _PAGE_ACCESSED | _PAGE_SPECIAL | _PAGE_PSE);
  const mine = (lo & _PAGE_SPECIAL) === 0 && pages.hasFlags(page, PG_anon_exclusive);
  setHuge(vma.mm, pmd, page, protLo(vma) | kept | (mine ? mayWrite(vma) : 0), protHi(vma));
}

/** Moves a huge entry and the table put aside for it between mappings of one space. */
export function moveHugePmd(mm: Mm, from: number, to: number): void {
  const { words } = mm.system.machine.mem;
  words[to] = words[from];
  words[to + 1] = words[from + 1];
  words[from] = words[from + 1] = 0;
}

function setHuge(mm: Mm, pmd: number, page: Pfn, lo: number, hi: number): void {
  const { words } = mm.system.machine.mem;
  words[pmd + 1] = pteHi(page, lo, hi);
  words[pmd] = pteLo(page, lo | _PAGE_PSE);
}

function takeDeposit(mm: Mm): Pfn {
  const table = mm.deposits.pop();
  assert(table !== undefined, 'a huge page has a page table put aside');
  return table;
}

/** The shared huge page of zeros, made at first use. NO_PFN without memory. */
function hugeZeroPage(system: System): Pfn {
  if (system.hugeZeroPfn === NO_PFN) {
    const { alloc, pages, stat } = system.machine;
    const page = alloc.alloc(GFP_TRANSHUGE_LIGHT | __GFP_ZERO, HPAGE_PMD_ORDER);
    if (page === NO_PFN) return NO_PFN;
    for (let i = 0; i < HPAGE_PMD_NR; i++) pages.setFlags(page + i, PG_zero);
    system.hugeZeroPfn = page;
    stat.counts[THP_ZERO_PAGE_ALLOC]++;
  }
  return system.hugeZeroPfn;
}
