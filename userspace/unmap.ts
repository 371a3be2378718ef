// Taking a page out of every page table that maps it, and reclaiming it.
//
//     tryToUnmap     each entry becomes a swap entry (anonymous), or empty (a file's page, or
//                    anonymous memory that was given up by MADV_FREE and not written since)
//     reclaimPage    unmap, then: swap it out, drop it from its file's cache, or leave it there
//                    because it is dirty, marked for when the flusher (writeback.ts) has written it
//
// Source: Linux 6.18 mm/rmap.c: try_to_unmap_one(); mm/vmscan.c: shrink_folio_list(),
// __remove_mapping().

import {
  PG_anon,
  PG_anon_exclusive,
  PG_dirty,
  PG_mlocked,
  PG_readahead,
  PG_swapbacked,
  PG_swapcache,
  type MemMap,
} from '../kernel/page.ts';
import { EVICT_DIRTY, EVICT_DONE, EVICT_KEPT } from '../kernel/ports.ts';
import { SWP_EXCLUSIVE, _PAGE_DIRTY, swapHi, swapLo } from '../kernel/pte.ts';
import { PGLAZYFREED } from '../kernel/reclaim/page_events.ts';
import { NR_FILE_PAGES, NR_SHMEM, NR_VMSCAN_IMMEDIATE } from '../kernel/stats.ts';
import { NO_SLOT, SLOT_BITS } from '../kernel/swap.ts';
import { NO_PFN, type Pfn } from '../kernel/types.ts';
import { Inode } from './file.ts';
import type { Mm } from './mm.ts';
import { MM_SWAPENTS } from './rss.ts';
import { splitFolio } from './split-folio.ts';
import type { System } from './system.ts';
import { VM_LOCKED } from './vma.ts';
import { rssKind } from './zap.ts';

/**
 * Takes a single page out of all page tables.
 * @param slot what anonymous entries become; NO_SLOT where they are to be empty.
 * @returns false where a mapping keeps it: locked in memory, or written since MADV_FREE.
 */
function tryToUnmap(system: System, pfn: Pfn, slot: number): boolean {
  const { machine } = system;
  const { pages, rmap } = machine;
  const { words } = machine.mem;
  const swapped = slot !== NO_SLOT;
  const type = slot >>> SLOT_BITS;
  const offset = slot & ((1 << SLOT_BITS) - 1);
  rmap.get(pfn); // it must not be freed under the walk
  const visit = (mm: Mm, va: number): boolean => {
    const vma = mm.vmas.at(va);
    if (vma === undefined || (vma.flags & VM_LOCKED) !== 0) return false;
    const pte = mm.pgt.pteAt(va);
    const lo = words[pte];
    const flags = pages.flags(pfn);
    const lazy = (flags & (PG_anon | PG_swapbacked)) === PG_anon;
    if (lazy && (lo & _PAGE_DIRTY) !== 0) {
      pages.setFlags(pfn, PG_swapbacked);
      return false;
    }
    words[pte] = words[pte + 1] = 0;
    mm.rss[rssKind(flags)]--;
    if (swapped) {
      const exclusive = (flags & PG_anon_exclusive) !== 0 ? SWP_EXCLUSIVE : 0;
      words[pte] = swapLo(offset) | exclusive;
      words[pte + 1] = swapHi(type, offset);
      pages.clearFlags(pfn, PG_anon_exclusive);
      system.swap?.dup(type, offset);
      mm.rss[MM_SWAPENTS]++;
    } else if ((lo & _PAGE_DIRTY) !== 0 && (flags & PG_anon) === 0) {
      system.writeback.markDirty(pfn);
    }
    rmap.remove(pfn);
    system.flushTlbPage(mm, va);
    return true;
  };
  rmap.walk(pfn, (space, va) => visit(system.mmOf(space), va));
  rmap.put(pfn);
  return pages.mapcount(pfn) === 0;
}

/**
 * Reclaims a page that is mapped, or only cached; it is on no LRU list. A compound page of a file
 * goes as a whole, an anonymous one is split first, and its first page goes.
 * @returns EVICT_*
 */
export function reclaimPage(system: System, pfn: Pfn): number {
  const { lru, pages } = system.machine;
  if (pages.head(pfn) !== pfn) return EVICT_KEPT;
  if (pages.compoundOrder(pfn) > 0) {
    if (pages.hasFlags(pfn, PG_mlocked)) return EVICT_KEPT;
    if (!pages.hasFlags(pfn, PG_anon)) return reclaimFolio(system, pfn);
    if (!splitFolio(system, pfn, true)) return EVICT_KEPT;
    if (pages.refcount(pfn) === 0) return EVICT_DONE; // nothing but zeros
    lru.remove(pfn);
  }
  const flags = pages.flags(pfn);
  if ((flags & PG_mlocked) !== 0 || isPinned(pages, pfn)) return EVICT_KEPT;
  if ((flags & PG_anon) === 0 && (flags & PG_swapcache) === 0) return reclaimCached(system, pfn);
  return reclaimAnon(system, pfn, flags) ? EVICT_DONE : EVICT_KEPT;
}

function reclaimAnon(system: System, pfn: Pfn, flags: number): boolean {
  const { rmap } = system.machine;
  if ((flags & PG_anon) === 0) return system.swap?.dropCached(pfn) ?? false;
  if ((flags & PG_swapbacked) === 0) return reclaimLazy(system, pfn);
  const slot = system.swap?.reserve(pfn) ?? NO_SLOT;
  if (slot === NO_SLOT) return false;
  rmap.get(pfn);
  const gone = tryToUnmap(system, pfn, slot);
  if (gone) system.swap?.writeOut(pfn, slot);
  else system.swap?.cancel(pfn);
  rmap.put(pfn);
  return gone;
}

/** Does anyone hold a reference but its entries, its file's cache and the swap cache? */
function isPinned(pages: MemMap, pfn: Pfn): boolean {
  const flags = pages.flags(pfn);
  let expected = pages.mapcount(pfn);
  if ((flags & PG_swapcache) !== 0 || (flags & PG_anon) === 0) expected++;
  return pages.refcount(pfn) !== expected;
}

/** Memory that MADV_FREE gave up: dropped, if it was not written since. */
function reclaimLazy(system: System, pfn: Pfn): boolean {
  const { lru, pages, rmap } = system.machine;
  if (pages.hasFlags(pfn, PG_dirty | PG_swapcache)) return false;
  rmap.get(pfn);
  const gone = tryToUnmap(system, pfn, NO_SLOT);
  if (gone) {
    lru.count(pfn, PGLAZYFREED);
    lru.evicted(pfn);
  }
  rmap.put(pfn);
  return gone;
}

/** Drops a clean compound page from its file's cache. */
function reclaimFolio(system: System, head: Pfn): number {
  const { lru, pages, rmap, stat } = system.machine;
  const inode = rmap.owners.get(pages.owner(head));
  if (!(inode instanceof Inode) || inode.kind !== 'disk') return EVICT_KEPT;
  const nr = 1 << pages.compoundOrder(head);
  const first = pages.index(head) >>> 0;
  let mapped = 0;
  for (let i = 0; i < nr; i++) {
    if (inode.cache.get(first + i) !== head + i) return EVICT_KEPT;
    mapped += pages.mapcount(head + i);
  }
  if (pages.entireMapcount(head) > 0 || pages.refcount(head) !== mapped + nr) return EVICT_KEPT;
  for (let i = 0; i < nr; i++) {
    if (!tryToUnmap(system, (head + i) as Pfn, NO_SLOT)) return EVICT_KEPT;
  }
  if (pages.hasFlags(head, PG_dirty)) return leaveDirty(system, head);
  const shadow = lru.evicted(head);
  for (let i = 0; i < nr; i++) {
    inode.cache.remove(first + i, shadow);
    rmap.put((head + i) as Pfn);
  }
  stat.node[NR_FILE_PAGES] -= nr;
  return EVICT_DONE;
}

/** A disk file's dirty pages are the flusher's. The mark says to move the page when written. */
function leaveDirty(system: System, head: Pfn): number {
  const { pages, stat } = system.machine;
  stat.counts[NR_VMSCAN_IMMEDIATE]++;
  pages.setFlags(head, PG_readahead); // the same bit as PG_reclaim
  return EVICT_DIRTY;
}

function reclaimCached(system: System, pfn: Pfn): number {
  const { lru, pages, rmap, stat } = system.machine;
  const inode = rmap.owners.get(pages.owner(pfn));
  if (!(inode instanceof Inode)) return EVICT_KEPT;
  const index = pages.index(pfn) >>> 0;
  if (inode.cache.get(index) !== pfn) return EVICT_KEPT;
  if (!tryToUnmap(system, pfn, NO_SLOT)) return EVICT_KEPT;
  const shmem = inode.kind === 'shmem';
  const dirty = pages.hasFlags(pfn, PG_dirty);
  if (dirty && !shmem) return leaveDirty(system, pfn);
  if (dirty && system.swap?.shmemOut(inode, index, pfn) !== true) return EVICT_KEPT;
  if (pages.refcount(pfn) !== 1) return EVICT_KEPT;
  inode.cache.remove(index, dirty ? 0 : lru.evicted(pfn));
  stat.node[NR_FILE_PAGES]--;
  if (shmem) stat.node[NR_SHMEM]--;
  pages.clearFlags(pfn, PG_dirty);
  rmap.put(pfn);
  return inode.cache.get(index) === NO_PFN ? EVICT_DONE : EVICT_KEPT;
}
