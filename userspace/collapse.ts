// Collapsing small pages into a huge one: MADV_COLLAPSE, and what khugepaged does by itself.
//
//     512 entries (pages, zero pages, holes)  --copy-->  one compound page, one PMD entry
//
// Only private anonymous memory whose 2 MiB lie wholly in one mapping; pages that others map too
// are copied like the rest, but not in numbers above max_ptes_shared (MADV_COLLAPSE: any).
// Source: Linux 6.18 mm/khugepaged.c: collapse_huge_page(), hpage_collapse_scan_pmd(),
// madvise_collapse().

import { EINVAL, ENOMEM, SysError } from '../kernel/errors.ts';
import { GFP_TRANSHUGE, __GFP_ZERO } from '../kernel/gfp.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import {
  _PAGE_DIRTY,
  _PAGE_PRESENT,
  _PAGE_PSE,
  _PAGE_SPECIAL,
  pteHi,
  pteLo,
  ptePfn,
} from '../kernel/pte.ts';
import { PG_THP_COLLAPSE } from '../kernel/reclaim/page_events.ts';
import { THP_COLLAPSE_ALLOC } from '../kernel/stats.ts';
import {
  HPAGE_PMD_NR,
  HPAGE_PMD_ORDER,
  NO_PFN,
  PMD_SIZE,
  alignDown,
  alignUp,
} from '../kernel/types.ts';
import { MM_ANONPAGES } from './rss.ts';
import { mlockMappedHuge, munlockMapped } from './mlock-pages.ts';
import { mayWrite, protHi, protLo } from './prot.ts';
import { VM_NOHUGEPAGE, VM_SPECIAL, type Vma } from './vma.ts';

/** MADV_COLLAPSE of the whole huge pages in [start, end). @throws SysError EINVAL, ENOMEM */
export function collapseRange(vma: Vma, start: number, end: number): void {
  if ((vma.flags & (VM_NOHUGEPAGE | VM_SPECIAL)) !== 0) throw new SysError(EINVAL);
  if (!vma.isAnonymous || vma.anonVma === null) throw new SysError(EINVAL);
  if (alignDown(vma.end - PMD_SIZE, PMD_SIZE) < vma.start) throw new SysError(EINVAL);
  const first = alignUp(start, PMD_SIZE);
  const stop = alignDown(end, PMD_SIZE);
  // A range within one huge page counts as a failure, an empty one does not.
  let failed = first > stop ? EINVAL : 0;
  for (let va = first; va < stop; va += PMD_SIZE) {
    const result = collapseOne(vma, va);
    if (result !== 0) failed = Math.abs(result);
    if (result < 0) break;
  }
  if (failed !== 0) throw new SysError(failed);
}

/**
 * Collapses the 2 MiB at va.
 * @returns 0; the errno that says why not; negative where a range is to be left there.
 */
export function collapseOne(vma: Vma, va: number): number {
  const { mm } = vma;
  const { machine } = mm.system;
  const { mem } = machine;
  const pmd = mm.pgt.pmdAt(va);
  if (pmd === NO_ENTRY) return EINVAL;
  if (mm.pgt.isNone(pmd)) return -EINVAL;
  if (mm.pgt.isHuge(pmd)) return 0;
  if (vma.anonVma === null) return EINVAL;
  const first = mm.pgt.pteIn(pmd, va);
  for (let i = 0; i < HPAGE_PMD_NR; i++) {
    const lo = mem.words[first + 2 * i];
    if ((lo | mem.words[first + 2 * i + 1]) !== 0 && (lo & _PAGE_PRESENT) === 0) return -EINVAL;
  }
  const page = machine.alloc.alloc(GFP_TRANSHUGE | __GFP_ZERO, HPAGE_PMD_ORDER);
  if (page === NO_PFN) return -ENOMEM;
  for (let i = 0; i < HPAGE_PMD_NR; i++) {
    const lo = mem.words[first + 2 * i];
    if ((lo | mem.words[first + 2 * i + 1]) === 0 || (lo & _PAGE_PRESENT) !== 0) continue;
    machine.alloc.free(page, HPAGE_PMD_ORDER); // the allocation reclaimed one of them
    return EINVAL;
  }
  let mapped = 0;
  for (let i = 0; i < HPAGE_PMD_NR; i++) {
    const pte = first + 2 * i;
    const lo = mem.words[pte];
    if ((lo & _PAGE_PRESENT) === 0) continue;
    const old = ptePfn(lo, mem.words[pte + 1]);
    mem.words[pte] = mem.words[pte + 1] = 0;
    if ((lo & _PAGE_SPECIAL) !== 0) continue;
    mem.copyFrame(page + i, old);
    munlockMapped(vma, old);
    machine.rmap.remove(old);
    mapped++;
  }
  mm.deposits.push(mm.pgt.unhookPteTable(pmd));
  machine.rmap.addNewAnonHuge(page, vma.anonVma.id, vma.indexOf(va));
  mlockMappedHuge(vma, page);
  const lo = protLo(vma) | _PAGE_DIRTY | mayWrite(vma) | _PAGE_PSE;
  mem.words[pmd + 1] = pteHi(page, lo, protHi(vma));
  mem.words[pmd] = pteLo(page, lo);
  mm.rss[MM_ANONPAGES] += HPAGE_PMD_NR - mapped;
  machine.stat.counts[THP_COLLAPSE_ALLOC]++;
  machine.lru.count(page, PG_THP_COLLAPSE);
  mm.system.flushTlb(mm, va, va + PMD_SIZE);
  return 0;
}
