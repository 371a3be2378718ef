// An address space as plain data: its mappings, and the state of every page in them.
//
//     never touched · present, private · present, shared (mapped more than once) · swapped out
//     · present, of a file · page of zeros
//
// A mapping may promise terabytes: pages are counted from the entries that exist, and a strip shows
// a mapping in a fixed number of cells, each the state of most pages that are there.

import { PG_anon, PG_zero } from '../../kernel/page.ts';
import type { PhysMem } from '../../kernel/physmem.ts';
import { _PAGE_PRESENT, _PAGE_PSE, ptePfn, ptePfnAny, ptePresent } from '../../kernel/pte.ts';
import { PAGE_SIZE, type Pfn } from '../../kernel/types.ts';
import { vmaName } from '../../userspace/proc.ts';
import { permsOf, type Vma } from '../../userspace/vma.ts';
import { LEVEL_SIZE } from '../inspect.ts';
import { swapSlotOf } from './entry.ts';
import { processOf, type Subject, type SubjectProcess } from './subject.ts';

export const PAGE_NEVER = 0;
export const PAGE_PRIVATE_ANON = 1;
export const PAGE_SHARED = 2;
export const PAGE_SWAPPED = 3;
export const PAGE_OF_FILE = 4;
export const PAGE_ZERO = 5;
/** Names by the numbers above. */
export const PAGE_STATES = [
  'never touched',
  'present, its own',
  'present, shared',
  'swapped out',
  'present, of a file',
  'the page of zeros',
] as const;

export interface MappingView {
  readonly start: number;
  readonly end: number;
  readonly perms: string;
  readonly name: string;
  /** Pages in each state, by PAGE_*. */
  readonly pages: readonly number[];
  /** States along the mapping: see the top. */
  readonly strip: Uint8Array<ArrayBuffer>;
}

export interface SpaceView {
  readonly pid: number;
  readonly name: string;
  readonly mappings: readonly MappingView[];
  /** Pages. */
  readonly resident: number;
  readonly highest: number;
  readonly total: number;
  readonly swapped: number;
  /** Bytes of page tables. */
  readonly tables: number;
  readonly minflt: number;
  readonly majflt: number;
}

const STRIP_CELLS = 256;

/** Calls visit for every PTE that is not empty in [from, to), and for each 4 KiB of large pages. */
export function forEachEntry(
  mem: PhysMem,
  root: Pfn,
  from: number,
  to: number,
  visit: (va: number, lo: number, hi: number, within: number) => void,
): void {
  const down = (table: Pfn, level: number, base: number): void => {
    const size = LEVEL_SIZE[level] ?? PAGE_SIZE;
    const first = mem.readable(table);
    for (let i = 0; i < (level === 4 ? 256 : 512); i++) {
      const va = base + i * size;
      if (va >= to || va + size <= from) continue;
      const lo = mem.words[first + 2 * i] ?? 0;
      const hi = mem.words[first + 2 * i + 1] ?? 0;
      if ((lo | hi) === 0) continue;
      if (level === 1) visit(va, lo, hi, 0);
      else if ((lo & _PAGE_PSE) !== 0 && level < 4 && ptePresent(lo)) {
        for (let n = 0; n < size / PAGE_SIZE; n++) {
          const at = va + n * PAGE_SIZE;
          if (at >= from && at < to) visit(at, lo, hi, n);
        }
      } else if ((lo & _PAGE_PRESENT) !== 0) down(ptePfn(lo, hi), level - 1, va);
    }
  };
  down(root, 4, 0);
}

/** A process's address space; undefined where it has gone. O(entries). */
export function spaceView(subject: Subject, pid: number): SpaceView | undefined {
  const p = processOf(subject, pid);
  if (p === undefined) return undefined;
  const { task } = p;
  const { mm } = task;
  return {
    pid,
    name: p.name,
    mappings: [...mm.vmas].map((vma) => mappingView(p, vma)),
    resident: mm.rssPages,
    highest: Math.max(mm.hiwaterRss, mm.rssPages),
    total: mm.totalVm,
    swapped: mm.rss[2] ?? 0,
    tables: mm.pgt.bytes + PAGE_SIZE,
    minflt: task.minflt,
    majflt: task.majflt,
  };
}

function mappingView(p: SubjectProcess, vma: Vma): MappingView {
  const { mm } = p.task;
  const { mem, pages } = mm.system.machine;
  const counts = [vma.pages, 0, 0, 0, 0, 0];
  const cells = Math.min(STRIP_CELLS, vma.pages);
  const perCell = vma.pages / cells;
  const found = new Uint32Array(cells * PAGE_STATES.length);
  forEachEntry(mem, mm.root, vma.start, vma.end, (va, lo, hi, within) => {
    let state = PAGE_NEVER;
    if (ptePresent(lo)) {
      const pfn = ptePfnAny(lo, hi) + within;
      const flags = pages.flags(pages.head(pfn));
      if ((flags & PG_zero) !== 0) state = PAGE_ZERO;
      else if (pages.mapcount(pfn) > 1) state = PAGE_SHARED;
      else state = (flags & PG_anon) !== 0 ? PAGE_PRIVATE_ANON : PAGE_OF_FILE;
    } else if (swapSlotOf(lo, hi, 1) >= 0) state = PAGE_SWAPPED;
    if (state === PAGE_NEVER) return;
    counts[PAGE_NEVER]!--;
    counts[state]!++;
    const cell = Math.floor((va - vma.start) / PAGE_SIZE / perCell);
    found[cell * PAGE_STATES.length + state]!++;
  });
  const strip = new Uint8Array(cells);
  for (let cell = 0; cell < cells; cell++) {
    let most = 0;
    for (let state = 1; state < PAGE_STATES.length; state++) {
      const n = found[cell * PAGE_STATES.length + state] ?? 0;
      if (n > most) {
        most = n;
        strip[cell] = state;
      }
    }
  }
  return {
    start: vma.start,
    end: vma.end,
    perms: permsOf(vma.flags),
    name: vmaName(vma),
    pages: counts,
    strip,
  };
}
