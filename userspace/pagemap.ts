// What /proc/PID/pagemap says of a page-table entry, and /proc/kpagecount and /proc/kpageflags of
// the frame it maps.
// Source: Linux 6.18 fs/proc/task_mmu.c: pte_to_pagemap_entry(), pagemap_pmd_range();
// fs/proc/page.c: stable_page_flags(), kpagecount_read().

import {
  PAGE_RECORD,
  PG_anon,
  PG_head,
  PG_ksm,
  PG_swapbacked,
  PG_tail,
  PG_unevictable,
  PG_zero,
} from '../kernel/page.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import { _PAGE_SPECIAL, pteNone, ptePfnAny, ptePresent } from '../kernel/pte.ts';
import { NO_PFN, PAGE_SIZE, PMD_SIZE, alignDown, type Pfn } from '../kernel/types.ts';
import type { Mm } from './mm.ts';
import type { System } from './system.ts';

/** Bits of a page as pagemap shows it. */
export const PM_EXCLUSIVE = 1;
export const PM_FILE = 2;
export const PM_SWAP = 4;
export const PM_PRESENT = 8;

/** Bits of /proc/kpageflags that we report, by name, ascending (kernel-page-flags.h). */
export const KPAGE_FLAGS: readonly (readonly [string, number])[] = [
  ['MMAP', 11],
  ['ANON', 12],
  ['SWAPBACKED', 14],
  ['COMPOUND_HEAD', 15],
  ['COMPOUND_TAIL', 16],
  ['UNEVICTABLE', 18],
  ['KSM', 21],
  ['THP', 22],
  ['ZERO_PAGE', 24],
];

/** Calls `visit` for each page of [start, end) that is present or swapped, ascending. */
export function forEachPage(
  mm: Mm,
  start: number,
  end: number,
  visit: (va: number, bits: number, pfn: Pfn) => void,
): void {
  const { pgt, system } = mm;
  const { words } = system.machine.mem;
  for (let va = pgt.nextPmd(start, end); va < end; va = pgt.nextPmd(va, end)) {
    const next = Math.min(end, alignDown(va, PMD_SIZE) + PMD_SIZE);
    const pmd = pgt.pmdAt(va);
    const huge = pgt.isHuge(pmd);
    let at = huge ? pmd : pgt.pteIn(pmd, va);
    if (at === NO_ENTRY) {
      va = next;
      continue;
    }
    for (; va < next; va += PAGE_SIZE) {
      const lo = words[at];
      const hi = words[at + 1];
      if (!pteNone(lo, hi)) {
        const offset = huge ? (va >>> 12) & 511 : 0;
        const pfn = ptePresent(lo) ? ((ptePfnAny(lo, hi) + offset) as Pfn) : NO_PFN;
        // A huge page is called exclusive as a whole if its first page is.
        const asked = huge && pfn !== NO_PFN ? ((pfn - offset) as Pfn) : pfn;
        visit(va, pagemapBits(system, lo, asked, huge), pfn);
      }
      if (!huge) at += 2;
    }
  }
}

function pagemapBits(system: System, lo: number, pfn: Pfn, huge: boolean): number {
  if (pfn === NO_PFN) return PM_SWAP;
  // The small zero page has no struct page as far as mappings are concerned; the huge one has.
  if ((lo & _PAGE_SPECIAL) !== 0) return PM_PRESENT | (huge ? PM_FILE : 0);
  const { pages, rmap } = system.machine;
  const file = (pages.flags(pages.head(pfn)) & PG_anon) === 0 ? PM_FILE : 0;
  return PM_PRESENT | file | (rmap.mapcount(pfn) === 1 ? PM_EXCLUSIVE : 0);
}

/** /proc/kpagecount: entries that map the frame. */
export function kpageCount(system: System, pfn: Pfn): number {
  const { pages, rmap } = system.machine;
  return (pages.flags(pfn) & PG_zero) !== 0 ? 0 : rmap.mapcount(pfn);
}

/** /proc/kpageflags of a frame: the bits of KPAGE_FLAGS, as 2^bit summed. */
export function kpageFlags(system: System, pfn: Pfn): number {
  const { pages } = system.machine;
  const flags = pages.words[pfn * PAGE_RECORD];
  const head = pages.head(pfn);
  const headFlags = pages.words[head * PAGE_RECORD];
  const compound = (headFlags & PG_head) !== 0;
  let out = 0;
  const set = (bit: number): void => {
    out += 2 ** bit;
  };
  if ((flags & PG_zero) !== 0) {
    set(24);
    if (compound) set(22);
  } else {
    if (isMapped(system, head, compound)) set(11);
    if ((headFlags & PG_anon) !== 0) set(12);
    if (compound) set(22);
  }
  if ((headFlags & PG_ksm) !== 0) set(21);
  if ((headFlags & PG_swapbacked) !== 0) set(14);
  if ((headFlags & PG_unevictable) !== 0) set(18);
  if ((flags & PG_head) !== 0) set(15);
  if ((flags & PG_tail) !== 0) set(16);
  return out;
}

/** Does any entry map the page, or any page of the compound one? */
function isMapped(system: System, head: Pfn, compound: boolean): boolean {
  const { pages } = system.machine;
  if (!compound) return pages.mapcount(head) > 0;
  if (pages.entireMapcount(head) > 0) return true;
  const nr = 1 << pages.compoundOrder(head);
  for (let i = 0; i < nr; i++) if (pages.mapcount(head + i) > 0) return true;
  return false;
}
