// A process's memory just before it ends, as formats/trace.md wants it: faults, resident memory,
// mappings as /proc/PID/maps, present pages as /proc/PID/pagemap.

import { PG_anon, PG_zero } from '../../kernel/page.ts';
import { hex, PAGE_SIZE } from '../../kernel/types.ts';
import type { Mm } from '../../userspace/mm.ts';
import type { Task } from '../../userspace/process.ts';
import { vmaName } from '../../userspace/proc.ts';
import { permsOf, VM_PFNMAP } from '../../userspace/vma.ts';
import { forEachLeaf } from '../inspect.ts';
import { countersOf } from './effects.ts';
import type { EndReport, MapReport } from './report.ts';

const KIB_PER_PAGE = PAGE_SIZE / 1024;

/** The report of a process whose last task is about to end. */
export function endReport(
  process: { readonly id: number; readonly minflt: number; readonly majflt: number },
  task: Task,
): EndReport {
  const { mm } = task;
  const counters = countersOf(mm);
  return {
    end: process.id,
    minflt: process.minflt,
    majflt: process.majflt,
    rss_anon: counters.anon * KIB_PER_PAGE,
    rss_file: counters.file * KIB_PER_PAGE,
    rss_shmem: counters.shmem * KIB_PER_PAGE,
    vm_pte: counters.pt / 1024,
    maps: mapsOf(mm),
    pages: pagesOf(mm),
  };
}

/** The mappings, in order of address. */
export function mapsOf(mm: Mm): MapReport[] {
  return [...mm.vmas].map((vma) => ({
    start: hex(vma.start),
    end: hex(vma.end),
    perms: permsOf(vma.flags),
    offset: vma.file === null ? 0 : vma.pgoff * PAGE_SIZE,
    path: vmaName(vma),
  }));
}

/** The present pages as runs of the same kind. */
export function pagesOf(mm: Mm): string[] {
  const { mem, pages } = mm.system.machine;
  const rows: string[] = [];
  let start = 0;
  let end = -1;
  let words = '';
  const flush = (): void => {
    if (end > start) rows.push(`${hex(start)}+${(end - start) / PAGE_SIZE} ${words}`);
  };
  for (const vma of mm.vmas) {
    if ((vma.flags & VM_PFNMAP) !== 0) continue; // [vvar]: no page stands behind it
    forEachLeaf(mem, mm.root, vma.start, vma.end, (va, pfn, size) => {
      const from = Math.max(va, vma.start);
      const to = Math.min(va + size, vma.end);
      const flags = pages.flags(pages.head(pfn));
      const zero = (flags & PG_zero) !== 0;
      const kind = zero || (flags & PG_anon) !== 0 ? 'anon' : 'file';
      const what = `${kind}${zero ? ' zero' : ''}${size > PAGE_SIZE ? ' huge' : ''}`;
      if (from === end && what === words) {
        end = to;
        return;
      }
      flush();
      [start, end, words] = [from, to, what];
    });
  }
  flush();
  return rows;
}
