// vmalloc: memory that is contiguous in the kernel's addresses though not in RAM.
//
//     ffffc90000000000 | area | guard | area      | guard | stack 16K | guard | ...
//                        frames from anywhere, one page-table entry each
//
// Each area is followed by a page that is never mapped, so that running over the end faults instead
// of reaching the next area. Kernel stacks are such areas of four pages, aligned to their size: a
// stack that overflows hits the guard page of the area below it.
//
// The entries are written into the kernel's page tables; the tables themselves are made as needed
// and stay. Freed stacks wait in a small cache, two a CPU, still mapped, as in kernel/fork.c.
// Invariants (check()): areas are sorted, do not overlap, and each has its guard page; every page
// of an area is mapped to the frame that it says, and no guard page is mapped.
// Source: Linux 6.18 mm/vmalloc.c, kernel/fork.c alloc_thread_stack_node(),
// Documentation/arch/x86/x86_64/mm.rst. Not modelled: KASLR of the area, lazy purging.

import { assert, KernelBug } from './errors.ts';
import { GFP_KERNEL, __GFP_HIGHMEM, __GFP_ZERO } from './gfp.ts';
import { PG_table, PG_vmalloc } from './page.ts';
import type { PageAllocator } from './page_alloc.ts';
import {
  PFN_LO_MASK,
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  _PAGE_GLOBAL,
  _PAGE_NX_HI,
  _PAGE_PRESENT,
  _PAGE_RW,
  pteHi,
  pteLo,
  ptePfn,
} from './pte.ts';
import { NO_PFN, PAGE_SIZE, type Pfn, type PhysAddr, type VirtAddr, alignUp } from './types.ts';

/** ffffc90000000000, and one past ffffe8ffffffffff. */
export const VMALLOC_START = -0x3700_0000_0000;
export const VMALLOC_END = -0x1700_0000_0000;
/** Bytes of a kernel stack (THREAD_SIZE). */
export const THREAD_SIZE = 4 * PAGE_SIZE;
/** Stacks that wait for the next task, each CPU (NR_CACHED_STACKS). */
const CACHED_STACKS = 2;

const KERNEL_PAGE = _PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_GLOBAL;
const KERNEL_TABLE = _PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED | _PAGE_DIRTY;

/** An area of the vmalloc range. */
export interface VmArea {
  readonly start: VirtAddr;
  /** Bytes, guard page included (what vmallocinfo shows). */
  readonly size: number;
  /** Who asked for it: a function of the kernel. */
  readonly caller: string;
  /** `vmalloc` for memory of its own, `ioremap` and `vmap` for somebody else's. */
  readonly kind: 'vmalloc' | 'vmap' | 'ioremap';
  readonly pages: readonly Pfn[];
  /** First byte of what is mapped, for ioremap. */
  readonly phys: PhysAddr;
}

export class Vmalloc {
  /** In ascending order. */
  readonly areas: VmArea[] = [];
  /** Pages of page tables made for the areas. */
  tablePages = 0;
  /** Pages in areas of memory of their own. */
  nrPages = 0;
  /** Pages of kernel stacks in use, those that wait not counted. */
  stackPages = 0;
  private readonly root: Pfn;
  private readonly alloc: PageAllocator;
  private readonly stackCache: VirtAddr[] = [];

  /** @param root the kernel's PGD. */
  constructor(alloc: PageAllocator, root: Pfn) {
    this.alloc = alloc;
    this.root = root;
  }

  /**
   * `bytes` of memory, whole pages.
   * @param align of the address, a power of two.
   * @returns its address; 0 where there is no memory.
   */
  vmalloc(bytes: number, caller: string, align = PAGE_SIZE, zero = false): VirtAddr {
    const nr = Math.ceil(bytes / PAGE_SIZE);
    assert(nr > 0, 'vmalloc: at least one byte');
    const pages: Pfn[] = [];
    const gfp = GFP_KERNEL | __GFP_HIGHMEM | (zero ? __GFP_ZERO : 0);
    while (pages.length < nr) {
      const pfn = this.alloc.alloc(gfp, 0);
      if (pfn === NO_PFN) break;
      this.alloc.pages.setFlags(pfn, PG_vmalloc);
      pages.push(pfn);
    }
    const start = pages.length < nr ? 0 : this.place(pages, caller, 'vmalloc', align, 0);
    if (start === 0) for (const pfn of pages) this.alloc.free(pfn, 0);
    else this.nrPages += nr;
    return start as VirtAddr;
  }

  /** Maps frames that somebody else has, such as a device's (ioremap()). 0 where it fails. */
  ioremap(phys: PhysAddr, bytes: number, caller: string): VirtAddr {
    const first = Math.floor(phys / PAGE_SIZE);
    const nr = Math.ceil((phys + bytes) / PAGE_SIZE) - first;
    const pages = Array.from({ length: nr }, (_, i) => (first + i) as Pfn);
    return this.place(pages, caller, 'ioremap', PAGE_SIZE, phys);
  }

  /** Unmaps an area and frees its memory. Throws KernelBug where none starts at `start`. */
  vfree(start: VirtAddr): void {
    const i = this.areas.findIndex((area) => area.start === start);
    if (i < 0) throw new KernelBug(`vfree: no area starts at ${start}`);
    const area = this.areas[i];
    this.areas.splice(i, 1);
    for (let n = 0; n < area.pages.length; n++) {
      const w = this.entry(area.start + n * PAGE_SIZE);
      this.alloc.mem.words[w] = this.alloc.mem.words[w + 1] = 0;
    }
    if (area.kind !== 'vmalloc') return;
    for (const pfn of area.pages) this.alloc.free(pfn, 0);
    this.nrPages -= area.pages.length;
  }

  /** A kernel stack for a new task; 0 where there is no memory. */
  allocStack(): VirtAddr {
    const stack =
      this.stackCache.pop() ?? this.vmalloc(THREAD_SIZE, 'kernel_clone', THREAD_SIZE, true);
    if (stack !== 0) this.stackPages += THREAD_SIZE / PAGE_SIZE;
    return stack;
  }

  /** The task has ended. */
  freeStack(stack: VirtAddr): void {
    this.stackPages -= THREAD_SIZE / PAGE_SIZE;
    if (this.stackCache.length < CACHED_STACKS * this.alloc.tables.nrCpus) {
      this.stackCache.push(stack);
    } else this.vfree(stack);
  }

  /** The area that an address lies in, guard page included. */
  areaOf(va: number): VmArea | undefined {
    return this.areas.find((area) => va >= area.start && va < area.start + area.size);
  }

  /** Throws KernelBug where an invariant does not hold. */
  check(): void {
    let end = VMALLOC_START;
    let own = 0;
    for (const area of this.areas) {
      const what = `vmalloc area of ${area.caller}`;
      assert(area.start >= end && area.start + area.size <= VMALLOC_END, `${what} is in place`);
      assert(area.size === (area.pages.length + 1) * PAGE_SIZE, `${what} has its guard page`);
      for (let n = 0; n <= area.pages.length; n++) {
        const pfn = this.frameAt(area.start + n * PAGE_SIZE);
        const expected = n < area.pages.length ? area.pages[n] : NO_PFN;
        assert(pfn === expected, `${what}: page ${n} is frame ${pfn}, not ${expected}`);
      }
      if (area.kind === 'vmalloc') own += area.pages.length;
      end = area.start + area.size;
    }
    assert(own === this.nrPages, `vmalloc has ${own} pages, counted ${this.nrPages}`);
  }

  /** First fit for an area; maps it. */
  private place(
    pages: readonly Pfn[],
    caller: string,
    kind: VmArea['kind'],
    align: number,
    phys: number,
  ): VirtAddr {
    const size = (pages.length + 1) * PAGE_SIZE;
    let start = VMALLOC_START;
    let i = 0;
    for (; i < this.areas.length; i++) {
      if (start + size <= this.areas[i].start) break;
      start = alignUp(this.areas[i].start + this.areas[i].size, align);
    }
    if (start + size > VMALLOC_END) return 0 as VirtAddr;
    for (let n = 0; n < pages.length; n++) {
      const w = this.entry(start + n * PAGE_SIZE);
      if (w < 0) return 0 as VirtAddr;
      this.alloc.mem.words[w] = pteLo(pages[n], KERNEL_PAGE);
      this.alloc.mem.words[w + 1] = pteHi(pages[n], KERNEL_PAGE, _PAGE_NX_HI);
    }
    const area = { start: start as VirtAddr, size, caller, kind, pages, phys: phys as PhysAddr };
    this.areas.splice(i, 0, area);
    return area.start;
  }

  /** The frame that an address is mapped to; NO_PFN for none. */
  private frameAt(va: number): Pfn {
    const w = this.entry(va);
    const { words } = this.alloc.mem;
    if (w < 0 || (words[w] & _PAGE_PRESENT) === 0) return NO_PFN;
    return ptePfn(words[w], words[w + 1]);
  }

  /** Word of the entry that maps `va`, tables made on the way; -1 where there is no memory. */
  private entry(va: number): number {
    const { mem } = this.alloc;
    let table: Pfn = this.root;
    for (const shift of [39, 30, 21]) {
      const w = mem.writable(table) + indexAt(va, shift) * 2;
      if ((mem.words[w] & _PAGE_PRESENT) === 0) {
        const made = this.alloc.alloc(GFP_KERNEL | __GFP_ZERO, 0);
        if (made === NO_PFN) return -1;
        this.alloc.pages.setFlags(made, PG_table);
        this.tablePages++;
        mem.words[w] = (pteLo(made, 0) & PFN_LO_MASK) | KERNEL_TABLE;
        mem.words[w + 1] = pteHi(made, 0, 0);
      }
      table = ptePfn(mem.words[w], mem.words[w + 1]);
    }
    return mem.writable(table) + indexAt(va, 12) * 2;
  }
}

/** Index into the table whose entries cover 2^shift bytes. */
function indexAt(va: number, shift: number): number {
  const index = Math.floor(va / 2 ** shift) % 512;
  return index < 0 ? index + 512 : index;
}
