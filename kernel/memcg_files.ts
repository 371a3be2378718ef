// What a memory group shows of itself: the files memory.* of cgroup version 2.
// Source: Linux 6.18 mm/memcontrol.c memory_files[], Documentation/admin-guide/cgroup-v2.rst.
// Not modelled: of memory.stat what pages alone cannot tell (slab, sockets, percpu).

import type { MemGroup } from './memcg.ts';
import {
  PG_anon,
  PG_charged,
  PG_kmem,
  PG_swapbacked,
  PG_table,
  PG_unevictable,
  type MemMap,
} from './page.ts';
import { PAGE_SIZE } from './types.ts';

/** Name and content of each file. O(frames): memory.stat looks at every page. */
export function memoryFiles(
  group: MemGroup,
  pages: MemMap,
  groupOf: (pfn: number) => MemGroup,
): [string, string][] {
  const bytes = (n: number): string => (n === Infinity ? 'max\n' : `${n * PAGE_SIZE}\n`);
  const events = Object.entries(group.events).map(([name, n]) => `${name} ${n}\n`);
  const stat = memoryStat(group, pages, groupOf).map(([name, n]) => `${name} ${n * PAGE_SIZE}\n`);
  return [
    ['memory.current', bytes(group.usage)],
    ['memory.peak', bytes(group.peak)],
    ['memory.high', bytes(group.high)],
    ['memory.max', bytes(group.max)],
    ['memory.events', events.join('')],
    ['memory.stat', stat.join('')],
  ];
}

/** Pages of the group and those below it, by use. */
function memoryStat(
  group: MemGroup,
  pages: MemMap,
  groupOf: (pfn: number) => MemGroup,
): [string, number][] {
  const sum = { anon: 0, file: 0, kernel: 0, pagetables: 0, shmem: 0, unevictable: 0 };
  for (let pfn = 0; pfn < pages.nrFrames; pfn++) {
    const flags = pages.flags(pfn);
    if ((flags & PG_charged) === 0 || !groupOf(pfn).isIn(group)) continue;
    const nr = 1 << pages.compoundOrder(pfn);
    if ((flags & PG_unevictable) !== 0) sum.unevictable += nr;
    if ((flags & PG_kmem) !== 0) {
      sum.kernel += nr;
      if ((flags & PG_table) !== 0) sum.pagetables += nr;
    } else if ((flags & PG_anon) !== 0) sum.anon += nr;
    else {
      sum.file += nr;
      if ((flags & PG_swapbacked) !== 0) sum.shmem += nr;
    }
  }
  return Object.entries(sum);
}
