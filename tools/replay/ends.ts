// A process's memory just before it ends, as formats/trace.md wants it: faults, resident memory,
// mappings as /proc/PID/maps, present pages as /proc/PID/pagemap.

import { PG_anon, PG_zero } from '../../kernel/page.ts';
import { hex, PAGE_SIZE } from '../../kernel/types.ts';
import type { Mm } from '../../userspace/mm.ts';
import type { Task } from '../../userspace/process.ts';
import {
  VM_EXEC,
  VM_MAYSHARE,
  VM_PFNMAP,
  VM_READ,
  VM_WRITE,
  type Vma,
} from '../../userspace/vma.ts';
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
    perms: permsOf(vma),
    offset: vma.file === null ? 0 : vma.pgoff * PAGE_SIZE,
    path: nameOf(vma),
  }));
}

/** `rw-p`, as /proc/PID/maps shows it. */
export function permsOf(vma: Vma): string {
  const bit = (flag: number, letter: string): string => ((vma.flags & flag) !== 0 ? letter : '-');
  const shared = (vma.flags & VM_MAYSHARE) !== 0 ? 's' : 'p';
  return bit(VM_READ, 'r') + bit(VM_WRITE, 'w') + bit(VM_EXEC, 'x') + shared;
}

/** What /proc/PID/maps shows behind a mapping: a path, [heap], [stack], [vdso], or nothing. */
export function nameOf(vma: Vma): string {
  if (vma.file !== null) {
    const { path, unlinked } = vma.file.inode;
    return unlinked && !path.endsWith(' (deleted)') ? `${path} (deleted)` : path;
  }
  if (vma.special !== '') return vma.special;
  const { mm } = vma;
  if (vma.start < mm.brk && vma.end > mm.startBrk) return '[heap]';
  if (vma.start <= mm.startStack && vma.end >= mm.startStack) return '[stack]';
  return '';
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
