// Which pages are read together with one that comes back from swap.
//
// By address: up to 8 entries around the fault, within the mapping and its page table; forward or
// backward where the last fault was next to this one; fewer while what was read is not used.
// Source: Linux 6.18 mm/swap_state.c: swap_vma_ra_win(), __swapin_nr_pages().

import { PAGE_SIZE, PMD_SIZE, alignDown } from '../kernel/types.ts';
import type { Vma } from './vma.ts';

/** Most pages that one fault reads ahead (2^page_cluster). */
const MAX_WINDOW = 8;

/** The addresses whose entries a fault at `at` reads (swap_vma_ra_win()). */
export function swapWindow(vma: Vma, at: number): { start: number; end: number } {
  const ra = vma.swapRa ?? { addr: 0, window: 0, hits: 4 };
  const page = at / PAGE_SIZE;
  const before = ra.addr / PAGE_SIZE;
  const window = windowSize(before, page, ra.hits, ra.window);
  vma.swapRa = { addr: at, window, hits: 0 };
  if (window === 1) return { start: at, end: at + PAGE_SIZE };
  let first: number;
  if (page === before + 1) first = page;
  else if (before === page + 1) first = page - window + 1;
  else first = page - ((window - 1) >> 1);
  const table = alignDown(at, PMD_SIZE);
  return {
    start: Math.max(first * PAGE_SIZE, vma.start, table),
    end: Math.min((first + window) * PAGE_SIZE, vma.end, table + PMD_SIZE),
  };
}

/** Pages to read, from how many of the last were used (__swapin_nr_pages()). */
function windowSize(before: number, page: number, hits: number, last: number): number {
  let pages = hits + 2;
  if (pages === 2) {
    if (page !== before + 1 && page !== before - 1) pages = 1;
  } else pages = Math.max(4, 2 ** Math.ceil(Math.log2(pages)));
  return Math.max(Math.min(pages, MAX_WINDOW), last >> 1);
}
