// Splitting a transparent huge page for good: one compound page becomes 512 pages of their own.
//
// Splitting a mapping (huge.ts) only replaces a PMD entry by 512 entries; the page stays compound.
// Advice and reclaim that want a part of it split the page itself: it is unmapped as a whole, and
// mapped again page by page. Pages of zeros are not mapped again: the shared page of zeros takes
// their place. Pages that no entry maps any more are freed.
// Source: Linux 6.18 mm/huge_memory.c: __folio_split(); mm/migrate.c: remove_migration_pte(),
// try_to_map_unused_to_zeropage().
// Not modelled: splitting to orders between 0 and 9; folios of files.

import {
  PAGE_FLAGS,
  PAGE_RECORD,
  PG_anon,
  PG_anon_exclusive,
  PG_head,
  PG_mlocked,
  PG_tail,
} from '../kernel/page.ts';
import { NO_ENTRY } from '../kernel/pgtable.ts';
import { _PAGE_SPECIAL, pteHi, pteLo } from '../kernel/pte.ts';
import { PAGE_WORDS, type Pfn } from '../kernel/types.ts';
import { splitHugePmd } from './huge.ts';
import type { Mm } from './mm.ts';
import { protHi, protLo } from './prot.ts';
import { MM_ANONPAGES } from './rss.ts';
import type { System } from './system.ts';
import { VM_LOCKED } from './vma.ts';

/** Does an address space other than `mm` map a part of the compound page? */
export function isMappedElsewhere(mm: Mm, head: Pfn): boolean {
  const { pages } = mm.system.machine;
  const nr = 1 << pages.compoundOrder(head);
  let mapped = pages.entireMapcount(head) * nr;
  for (let i = 0; i < nr; i++) mapped += pages.mapcount(head + i);
  return !mm.system.mapsAllOf(mm, head, nr, mapped);
}

/**
 * Splits an anonymous compound page.
 * @param dropZeros map the page of zeros in place of pages that hold nothing else.
 * @returns false where somebody else holds a reference on it.
 */
export function splitFolio(system: System, head: Pfn, dropZeros: boolean): boolean {
  const { machine } = system;
  const { pages, alloc } = machine;
  const words = pages.words;
  const order = pages.compoundOrder(head);
  if (order === 0 || !pages.hasFlags(head, PG_anon)) return false;
  const nr = 1 << order;
  splitMappings(system, head);
  let mapped = 0;
  for (let i = 0; i < nr; i++) mapped += pages.mapcount(head + i);
  if (mapped !== pages.refcount(head)) return false;
  machine.lru.remove(head);
  machine.groups?.split(head, order);
  const shared = pages.flags(head) & ~(PG_head | PG_anon_exclusive);
  pages.splitCompound(head);
  for (let i = 0; i < nr; i++) {
    const at = (head + i) * PAGE_RECORD + PAGE_FLAGS;
    words[at] = shared | (words[at] & PG_anon_exclusive & ~PG_tail);
    const count = pages.mapcount(head + i);
    pages.setRefcount(head + i, count === 0 ? 1 : count);
    if (count === 0) alloc.free((head + i) as Pfn, 0);
    else machine.lru.add(head + i);
  }
  if (!dropZeros || (shared & PG_mlocked) !== 0) return true;
  for (let i = 0; i < nr; i++) {
    const pfn = (head + i) as Pfn;
    if (pages.mapcount(pfn) > 0 && isZero(system, pfn)) mapZeroPage(system, pfn);
  }
  return true;
}

function isZero(system: System, pfn: Pfn): boolean {
  const { mem } = system.machine;
  const from = mem.readable(pfn);
  for (let i = 0; i < PAGE_WORDS; i++) if (mem.words[from + i] !== 0) return false;
  return true;
}

/** Every PMD entry that maps the compound page becomes a table of entries. */
function splitMappings(system: System, head: Pfn): void {
  const { pages, rmap } = system.machine;
  if (pages.entireMapcount(head) === 0) return;
  rmap.walk(head, (space, va) => {
    const mm = system.mmOf(space);
    const pmd = mm.pgt.pmdAt(va);
    const vma = mm.vmas.at(va);
    if (pmd !== NO_ENTRY && mm.pgt.isHuge(pmd) && vma !== undefined) splitHugePmd(mm, vma, pmd);
    return true;
  });
}

/** Replaces every entry that maps the page by one of the shared page of zeros. */
function mapZeroPage(system: System, pfn: Pfn): void {
  const { mem, rmap } = system.machine;
  rmap.get(pfn); // it must not be freed under the walk
  rmap.walk(pfn, (space, va) => {
    const mm = system.mmOf(space);
    const vma = mm.vmas.at(va);
    const pte = mm.pgt.pteAt(va);
    if (vma === undefined || pte === NO_ENTRY || (vma.flags & VM_LOCKED) !== 0) return true;
    const lo = protLo(vma) | _PAGE_SPECIAL;
    mem.words[pte + 1] = pteHi(system.zeroPfn, lo, protHi(vma));
    mem.words[pte] = pteLo(system.zeroPfn, lo);
    mm.rss[MM_ANONPAGES]--;
    rmap.remove(pfn);
    system.flushTlbPage(mm, va);
    return true;
  });
  rmap.put(pfn);
}
