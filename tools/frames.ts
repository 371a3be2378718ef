// Where all RAM is: every frame counted once, by what it is used for.
//
//     free + boot + page tables + slab + anonymous + files + kernel = all frames of RAM

import { PG_anon, PG_pcp, PG_reserved, PG_slab, PG_table, PG_zero } from '../kernel/page.ts';
import { HPAGE_PMD_NR, NO_PFN, PAGE_SIZE } from '../kernel/types.ts';
import { Inode } from '../userspace/file.ts';
import type { System } from '../userspace/system.ts';

/** Frames by use. */
export interface FrameCounts {
  free: number;
  /** Taken at boot: kernel image, mem_map, per-CPU areas. */
  boot: number;
  tables: number;
  slab: number;
  anonymous: number;
  /** Pages of files in the page cache, mapped or not. */
  files: number;
  /** What the kernel took for itself after boot. */
  kernel: number;
  /** All frames of RAM: the sum of the others. */
  total: number;
}

/** Counts every frame of RAM. O(frames that are not free). */
export function countFrames(system: System): FrameCounts {
  const { alloc, booted, pages, rmap } = system.machine;
  const counts: FrameCounts = {
    free: 0,
    boot: 0,
    tables: 0,
    slab: 0,
    anonymous: 0,
    files: 0,
    kernel: 0,
    total: 0,
  };
  for (const { startPfn, endPfn } of booted.memblock.memory) counts.total += endPfn - startPfn;
  for (const { startPfn, endPfn } of booted.memblock.reserved) {
    if (booted.memblock.isRam(startPfn)) counts.boot += endPfn - startPfn;
  }
  booted.memblock.forEachFree((startPfn, endPfn) => {
    for (let pfn = startPfn; pfn < endPfn;) {
      const order = alloc.tables.freeOrder(pfn);
      if (order >= 0) {
        counts.free += 1 << order;
        pfn += 1 << order;
        continue;
      }
      const flags = pages.flags(pages.head(pfn));
      if ((flags & PG_pcp) !== 0) counts.free++;
      else if ((flags & PG_table) !== 0) counts.tables++;
      else if ((flags & PG_slab) !== 0) counts.slab++;
      else if ((flags & (PG_zero | PG_reserved)) !== 0) counts.kernel++;
      else if ((flags & PG_anon) !== 0) counts.anonymous++;
      else if (rmap.owners.get(pages.owner(pfn)) instanceof Inode) counts.files++;
      else counts.kernel++;
      pfn++;
    }
  });
  return counts;
}

/**
 * Free frames, with what the kernel keeps for next time: empty slabs and per-CPU lists are given
 * back first, and names of removed files; waiting kernel stacks and the tables of the vmalloc range
 * count as free.
 */
export function reclaimable(system: System): number {
  const { alloc, slab, vmalloc } = system.machine;
  system.objects.dentries.pruneNegative();
  slab.shrinkAll();
  alloc.drainAll();
  return alloc.freePages + vmalloc.nrPages - vmalloc.stackPages + vmalloc.tablePages;
}

/** Ends every process and drops every file. @returns frames that did not come back, of `before`. */
export function framesLost(system: System, before: number): number {
  for (const task of [...system.tasks.values()]) system.exit(task);
  for (const path of [...system.files.keys()]) system.unlink(path);
  const hugeZero = system.hugeZeroPfn === NO_PFN ? 0 : HPAGE_PMD_NR;
  return before - reclaimable(system) - hugeZero;
}

/** Frames as MiB text. */
export function mib(frames: number): string {
  return `${((frames * PAGE_SIZE) / 2 ** 20).toFixed(1)} MiB`;
}
