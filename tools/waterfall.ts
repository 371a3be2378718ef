// Where a process's memory is, from what the program asked for down to what the kernel spends.
//
//   objects → headers and padding → free slots in spans and pools → free spans, pools, arenas
//   → the runtime's own structures → the C library → stacks and data of the image, rest of pages
//   → page cache → page tables → the kernel's objects
//
// Every resident page is 4096 bytes that are painted once: first the allocator's ranges, then the
// rest of the page by the mapping that it lies in. So the steps sum to RSS plus what the kernel
// spends on the process, at any moment; where two ranges painted the same byte it is an error.
// An object counts as its slot or block, as what the program asked for is not kept; objects that
// Go's collector has not yet found dead count, too.

import { KernelBug, assert } from '../kernel/errors.ts';
import { PG_anon } from '../kernel/page.ts';
import { _PAGE_SPECIAL, ptePfnAny, ptePresent } from '../kernel/pte.ts';
import { alignDown, HPAGE_PMD_NR, PAGE_SIZE, PMD_SIZE, TASK_SIZE } from '../kernel/types.ts';
import { IN_USE, MANUAL } from '../runtime/go/mspan.ts';
import { GoRuntime } from '../runtime/go/runtime.ts';
import { ARENA_OBJECT_BYTES } from '../runtime/python/arena.ts';
import { POOL_OVERHEAD } from '../runtime/python/obmalloc.ts';
import type { PythonRuntime } from '../runtime/python/runtime.ts';
import type { Mm } from '../userspace/mm.ts';
import type { Task } from '../userspace/process.ts';
import type { Vma } from '../userspace/vma.ts';

export const STEPS = [
  'objects',
  'headers and padding',
  'free slots in spans and pools',
  'free spans, pools and arenas',
  "the runtime's structures",
  'C library',
  'stacks and data of the image',
  'files (page cache)',
  'page tables',
  "the kernel's objects",
] as const;
export type Step = (typeof STEPS)[number];

export interface Waterfall {
  readonly bytes: Readonly<Record<Step, number>>;
  /** Resident bytes, as /proc/PID/status has them, and what the kernel spends besides. */
  readonly rss: number;
  readonly kernel: number;
  /** The sum of all steps: rss + kernel. */
  readonly total: number;
}

const GO_PAGE = 8192;
const KERNEL_STACK_BYTES = 16384;
const GO_HEAP_BYTES = 2 ** 37;
/** A static program's image ends below this. */
const GO_IMAGE_END = 0x1000000;

/** Counts a process's memory. O(resident pages + spans or blocks). */
export function waterfall(task: Task, runtime: GoRuntime | PythonRuntime): Waterfall {
  const { mm } = task;
  const painter = new Painter(mm);
  // As it is now: what is read for the painting may come back from swap.
  const rss = mm.rssPages * PAGE_SIZE;
  const tables = mm.pgt.bytes + PAGE_SIZE;
  if (runtime instanceof GoRuntime) paintGo(painter, runtime);
  else paintPython(painter, runtime);
  for (const vma of mm.vmas) painter.restOf(vma, stepOf(vma, mm, runtime));
  const { bytes } = painter;
  bytes['page tables'] = tables;
  bytes["the kernel's objects"] = kernelObjects(task);
  const kernel = bytes['page tables'] + bytes["the kernel's objects"];
  const total = Object.values(bytes).reduce((a, b) => a + b, 0);
  if (total !== rss + kernel)
    throw new KernelBug(`waterfall: ${String(total)} is not ${String(rss + kernel)}`);
  return { bytes, rss, kernel, total };
}

/** Resident pages, and how many bytes of each were painted. */
class Painter {
  readonly bytes = Object.fromEntries(STEPS.map((s) => [s, 0])) as Record<Step, number>;
  private readonly done = new Map<number, number>();
  private readonly files = new Set<number>();

  constructor(mm: Mm) {
    const { pgt } = mm;
    for (let va = pgt.nextPmd(0, TASK_SIZE); va < TASK_SIZE; va = pgt.nextPmd(va, TASK_SIZE)) {
      const start = alignDown(va, PMD_SIZE);
      this.readTable(mm, start);
      va = start + PMD_SIZE;
    }
  }

  private readTable(mm: Mm, start: number): void {
    const { mem, pages } = mm.system.machine;
    const pmd = mm.pgt.pmdAt(start);
    const isHuge = mm.pgt.isHuge(pmd);
    const table = isHuge ? pmd : mm.pgt.pteIn(pmd, start);
    for (let i = 0; i < HPAGE_PMD_NR; i++) {
      const at = isHuge ? table : table + 2 * i;
      const lo = mem.words[at] ?? 0;
      if (!ptePresent(lo) || (lo & _PAGE_SPECIAL) !== 0) continue;
      const page = start / PAGE_SIZE + i;
      this.done.set(page, 0);
      const flags = pages.flags(ptePfnAny(lo, mem.words[at + 1] ?? 0));
      if (!isHuge && (flags & PG_anon) === 0) this.files.add(page);
    }
  }

  /** [start, end) belongs to a step, as far as it is resident. */
  paint(start: number, end: number, step: Step): void {
    for (let at = start; at < end;) {
      const page = Math.floor(at / PAGE_SIZE);
      const stop = Math.min(end, (page + 1) * PAGE_SIZE);
      const done = this.done.get(page);
      if (done !== undefined) {
        this.done.set(page, done + stop - at);
        this.bytes[step] += stop - at;
      }
      at = stop;
    }
  }

  /** What is left of the pages from `start` to `end`: pages of files are the page cache's. */
  rest(start: number, end: number, step: Step): void {
    for (let page = start / PAGE_SIZE; page < end / PAGE_SIZE; page++) {
      const done = this.done.get(page);
      if (done === undefined) continue;
      assert(done <= PAGE_SIZE, 'waterfall: no byte belongs to two ranges');
      this.bytes[this.files.has(page) ? 'files (page cache)' : step] += PAGE_SIZE - done;
      this.done.delete(page);
    }
  }

  /** What is left in a mapping, which may be far larger than what is resident. */
  restOf(vma: Vma, step: Step): void {
    if (vma.pages <= this.done.size) this.rest(vma.start, vma.end, step);
    else
      for (const page of [...this.done.keys()])
        if (page >= vma.start / PAGE_SIZE && page < vma.end / PAGE_SIZE)
          this.rest(page * PAGE_SIZE, (page + 1) * PAGE_SIZE, step);
  }
}

function stepOf(vma: Vma, mm: Mm, runtime: GoRuntime | PythonRuntime): Step {
  if (vma.file !== null || vma.special !== '') return 'stacks and data of the image';
  if (vma.start <= mm.startStack && mm.startStack < vma.end) return 'stacks and data of the image';
  if (runtime instanceof GoRuntime) {
    if (vma.end <= GO_IMAGE_END) return 'stacks and data of the image';
    const base = runtime.sys.heapBase;
    const isHeap = vma.start >= base && vma.start < base + GO_HEAP_BYTES;
    return isHeap ? 'free spans, pools and arenas' : "the runtime's structures";
  }
  const { base } = runtime.data;
  return vma.start <= base && base < vma.end ? "the runtime's structures" : 'C library';
}

function paintGo(painter: Painter, go: GoRuntime): void {
  const { spans } = go.heap;
  const seen = new Set<number>();
  const { pageSpan } = go.heap;
  const used = Math.ceil(go.sys.stat.reduce((a, b) => a + b, 0) / GO_PAGE);
  for (let page = 0; page < Math.min(pageSpan.length, 16384 + 2 * used); page++)
    if (pageSpan[page] !== 0) seen.add(pageSpan[page] ?? 0);
  for (const s of seen) {
    const start = go.sys.addressOf(spans.start[s] ?? 0);
    const end = start + (spans.npages[s] ?? 0) * GO_PAGE;
    if (spans.state[s] === MANUAL) {
      painter.paint(start, end, 'stacks and data of the image');
      continue;
    }
    if (spans.state[s] !== IN_USE) continue;
    const size = spans.elemsize[s] ?? 0;
    const n = spans.nelems[s] ?? 0;
    for (let i = 0; i < n; i++) {
      const step = spans.isFree(s, i) ? 'free slots in spans and pools' : 'objects';
      painter.paint(start + i * size, start + (i + 1) * size, step);
    }
    painter.paint(start + n * size, end, 'headers and padding');
  }
}

function paintPython(painter: Painter, py: PythonRuntime): void {
  const { mem, obmalloc } = py;
  const { poolSize } = obmalloc.arenas;
  obmalloc.forEachPool((pool) => {
    if (mem.load32(pool) === 0) return;
    const size = obmalloc.sizeOf(mem.load32(pool + 36));
    const n = Math.floor((poolSize - POOL_OVERHEAD) / size);
    const carved = Math.floor((mem.load32(pool + 40) - POOL_OVERHEAD) / size);
    const free = new Uint8Array(n).fill(1, Math.min(n, carved));
    for (let block = mem.load64(pool + 8); block !== 0; block = mem.load64(block))
      free[(block - pool - POOL_OVERHEAD) / size] = 1;
    painter.paint(pool, pool + POOL_OVERHEAD, 'headers and padding');
    const first = pool + POOL_OVERHEAD;
    for (let i = 0; i < n; i++) {
      const step = free[i] === 1 ? 'free slots in spans and pools' : 'objects';
      painter.paint(first + i * size, first + (i + 1) * size, step);
    }
    painter.paint(first + n * size, pool + poolSize, 'headers and padding');
  });
  const { objects, maxArenas, arenaSize } = obmalloc.arenas;
  for (let i = 0; i < maxArenas; i++) {
    const at = mem.load64(objects + i * ARENA_OBJECT_BYTES);
    if (at !== 0) painter.rest(at, at + arenaSize, 'free spans, pools and arenas');
  }
}

/** Slab objects of a process: its task's, its address space's, its mappings', its kernel stack. */
function kernelObjects(task: Task): number {
  const { slab } = task.mm.system.machine;
  const size = (name: string): number => slab.cache(name).layout.size;
  let bytes = size('mm_struct') + task.mm.vmas.size * size('vm_area_struct');
  for (const [cache] of task.objects?.objects ?? []) bytes += cache.layout.size;
  if ((task.objects?.stack ?? 0) !== 0) bytes += KERNEL_STACK_BYTES;
  return bytes;
}
