// All of physical memory at a glance: one byte a frame that says what it is used for.
//
//     0 hole   1 … 19 by use   32 + order: free   48 + n: anonymous memory of the n-th process
//
// Free blocks of the largest order are known from their own table, so that a machine's cost is in
// what is touched and not in its size. Frames of a Go or Python heap are found from their process:
// the present pages of its arenas, each by the span or pool that lies there.

import { MAX_BLOCK_PAGES } from '../../kernel/free_tables.ts';
import {
  PAGE_FLAGS,
  PAGE_OWNER,
  PAGE_PRIVATE,
  PAGE_RECORD,
  PG_anon,
  PG_buddy,
  PG_pcp,
  PG_reserved,
  PG_slab,
  PG_table,
  PG_tail,
  PG_vmalloc,
  PG_zero,
} from '../../kernel/page.ts';
import { MAX_ORDER, PAGE_SIZE } from '../../kernel/types.ts';
import { IN_USE, MANUAL } from '../../runtime/go/mspan.ts';
import { Inode } from '../../userspace/file.ts';
import type { System } from '../../userspace/system.ts';
import { forEachLeaf } from '../inspect.ts';
import {
  ANON_PROCESSES,
  FRAME_ANON,
  FRAME_ANON_NOBODY,
  FRAME_BOOT,
  FRAME_FILE,
  FRAME_FREE,
  FRAME_GO_FREE,
  FRAME_GO_SPAN,
  FRAME_GO_STACK,
  FRAME_KERNEL,
  FRAME_MEMMAP,
  FRAME_PCP,
  FRAME_PY_FREE,
  FRAME_PY_POOL,
  FRAME_SHMEM,
  FRAME_SLAB,
  FRAME_TABLE,
  FRAME_ZERO,
} from './frame-classes.ts';
import { goHeapEnd } from './go.ts';
import { pythonArenas } from './python-arenas.ts';
import type { Subject, SubjectProcess } from './subject.ts';

/** What boot took, by the name that memblock has for it. */
const BOOT_CLASSES: Readonly<Record<string, number>> = {
  mem_map: FRAME_MEMMAP,
  'page tables': FRAME_TABLE,
};

export interface FrameMap {
  readonly nrFrames: number;
  /** The class of each frame. */
  readonly classes: Uint8Array<ArrayBuffer>;
  /** Frames of each class, by its number. */
  readonly counts: Float64Array<ArrayBuffer>;
  /** Names of the processes that FRAME_ANON + n stands for. */
  readonly processes: readonly string[];
  readonly zones: readonly { name: string; start: number; end: number }[];
}

/** Classifies every frame. O(frames that are not in free blocks of the largest order). */
export function frameMap(subject: Subject): FrameMap {
  const { system } = subject;
  const { alloc, pages } = system.machine;
  const classes = new Uint8Array(pages.nrFrames);
  paintKernel(system, classes);
  subject.processes.forEach((p, i) => {
    paintAnonymous(p, classes, FRAME_ANON + (i % ANON_PROCESSES));
    paintHeap(p, classes);
  });
  const counts = new Float64Array(64);
  for (let pfn = 0; pfn < classes.length; pfn++) counts[classes[pfn] ?? 0]!++;
  return {
    nrFrames: pages.nrFrames,
    classes,
    counts,
    processes: subject.processes.map((p) => `${p.name} (${p.task.pid})`),
    zones: alloc.zones.map((z) => ({ name: z.name, start: z.startPfn, end: z.endPfn })),
  };
}

/** What the kernel knows by itself: free blocks, boot, tables, slabs, files. */
function paintKernel(system: System, classes: Uint8Array): void {
  const { alloc, booted } = system.machine;
  const { blockFree } = alloc.tables;
  const inodes = new Map<number, number>();
  for (const { startPfn, endPfn } of booted.memblock.memory) {
    for (let pfn = startPfn; pfn < endPfn; pfn++) {
      if ((pfn & (MAX_BLOCK_PAGES - 1)) === 0 && blockFree[pfn >> MAX_ORDER] !== 0) {
        classes.fill(FRAME_FREE + MAX_ORDER, pfn, pfn + MAX_BLOCK_PAGES);
        pfn += MAX_BLOCK_PAGES - 1;
        continue;
      }
      pfn = paintOne(system, classes, pfn, inodes);
    }
  }
  for (const area of booted.memblock.reserved) {
    classes.fill(BOOT_CLASSES[area.name] ?? FRAME_BOOT, area.startPfn, area.endPfn);
  }
}

/** Paints the frame, or the whole free block that starts there. @returns the last frame painted. */
function paintOne(
  system: System,
  classes: Uint8Array,
  pfn: number,
  inodes: Map<number, number>,
): number {
  const { alloc, pages, rmap } = system.machine;
  const { words } = pages;
  const own = words[pfn * PAGE_RECORD + PAGE_FLAGS] ?? 0;
  if ((own & PG_buddy) !== 0) {
    const order = alloc.tables.freeOrder(pfn);
    classes.fill(FRAME_FREE + order, pfn, pfn + (1 << order));
    return pfn + (1 << order) - 1;
  }
  const head = (own & PG_tail) !== 0 ? (words[pfn * PAGE_RECORD + PAGE_PRIVATE] ?? pfn) : pfn;
  const flags = words[head * PAGE_RECORD + PAGE_FLAGS] ?? 0;
  let id = FRAME_KERNEL;
  if ((flags & PG_pcp) !== 0) id = FRAME_PCP;
  else if ((flags & PG_zero) !== 0) id = FRAME_ZERO;
  else if ((flags & PG_table) !== 0) id = FRAME_TABLE;
  else if ((flags & PG_slab) !== 0) id = FRAME_SLAB;
  else if ((flags & (PG_vmalloc | PG_reserved)) !== 0) id = FRAME_KERNEL;
  else if ((flags & PG_anon) !== 0) id = FRAME_ANON_NOBODY;
  else {
    const owner = words[head * PAGE_RECORD + PAGE_OWNER] ?? 0;
    if (owner !== 0) {
      let known = inodes.get(owner);
      if (known === undefined) {
        const inode = rmap.owners.get(owner);
        known = !(inode instanceof Inode)
          ? FRAME_KERNEL
          : inode.kind === 'shmem'
            ? FRAME_SHMEM
            : FRAME_FILE;
        inodes.set(owner, known);
      }
      id = known;
    }
  }
  classes[pfn] = id;
  return pfn;
}

function paintAnonymous(p: SubjectProcess, classes: Uint8Array, id: number): void {
  const { mm } = p.task;
  for (const vma of mm.vmas) {
    if (vma.special !== '' || (vma.file !== null && vma.anonVma === null)) continue;
    eachFrame(p, vma.start, vma.end, (pfn) => {
      if (classes[pfn] === FRAME_ANON_NOBODY) classes[pfn] = id;
    });
  }
}

function paintHeap(p: SubjectProcess, classes: Uint8Array): void {
  const { heap } = p;
  if (heap?.runtime === 'go') {
    const { spans, pageSpan } = heap.go.heap;
    const base = heap.go.sys.heapBase;
    eachFrame(p, base, goHeapEnd(heap.go), (pfn, va) => {
      const span = pageSpan[Math.floor((va - base) / 8192)] ?? 0;
      const state = span === 0 ? 0 : spans.state[span];
      if ((classes[pfn] ?? 0) < FRAME_ANON) return; // the page of zeros
      classes[pfn] =
        state === IN_USE ? FRAME_GO_SPAN : state === MANUAL ? FRAME_GO_STACK : FRAME_GO_FREE;
    });
  } else if (heap?.runtime === 'python') {
    for (const arena of pythonArenas(p)) {
      for (const pool of arena.pools) {
        const id = pool.used > 0 ? FRAME_PY_POOL : FRAME_PY_FREE;
        eachFrame(p, pool.address, pool.address + arena.poolBytes, (pfn) => {
          if ((classes[pfn] ?? 0) >= FRAME_ANON) classes[pfn] = id;
        });
      }
    }
  }
}

/** Calls visit for each frame that the process maps in [from, to), and its address. */
function eachFrame(
  p: SubjectProcess,
  from: number,
  to: number,
  visit: (pfn: number, va: number) => void,
): void {
  const { mm } = p.task;
  const { mem } = mm.system.machine;
  forEachLeaf(mem, mm.root, from, to, (va, pfn, size) => {
    for (let i = 0; i < size / PAGE_SIZE; i++) {
      const at = va + i * PAGE_SIZE;
      if (at >= from && at < to) visit(pfn + i, at);
    }
  });
}
