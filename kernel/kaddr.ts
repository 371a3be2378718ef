// The kernel half of every address space, as Linux lays it out on x86-64 with four levels:
//
//     ffff888000000000  direct map: all of RAM, at its physical address      RW NX, 4K 2M 1G
//     ffffc90000000000  vmalloc, 32 TiB: tables are made, entries come with vmalloc.ts
//     ffffea0000000000  vmemmap: struct page of every frame, 64 bytes each        RW NX, 2M
//     ffffffff81000000  kernel image: text R X, rodata R NX, data and bss RW NX,        2M
//
// The tables are frames of RAM that boot sets aside. One PGD, the kernel's, is built here; the
// upper 256 entries of every other PGD are copies of its, so what is mapped later below them shows
// in all spaces at once. That is why the vmalloc area's tables of level 3 exist from the start.
// Every leaf is global; A and D are set, so that no walk ever writes here.
//
// RAM is mapped with the largest page that is aligned and whole in it: pages of 4 KiB at its ragged
// edges, 1 GiB where it can be. 1 TiB costs three tables, its vmemmap sixteen more.
// Frames of the image are read-only through the direct map too, where they are in the image.
//
// Invariants (check()): see there.
// Source: Linux 6.18 Documentation/arch/x86/x86_64/mm.rst; arch/x86/mm/init.c split_mem_range(),
// init_64.c preallocate_vmalloc_pages(), mark_rodata_ro(), mm/sparse-vmemmap.c.
// Not modelled: KASLR, page-table isolation, the CPU entry area, fixmap and espfix.

import { assert } from './errors.ts';
import { SECTION_PAGES, type PfnRange } from './memory_map.ts';
import { STRUCT_PAGE_SIZE } from './page.ts';
import { tableIndex } from './pgtable.ts';
import type { PhysMem } from './physmem.ts';
import {
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  _PAGE_GLOBAL,
  _PAGE_NX_HI,
  _PAGE_PRESENT,
  _PAGE_PSE,
  _PAGE_RW,
  pteHi,
  pteLo,
  ptePfn,
} from './pte.ts';
import {
  HPAGE_PMD_NR,
  PAGE_SIZE,
  PGDIR_SIZE,
  PMD_SIZE,
  PTRS_PER_TABLE,
  alignUp,
  type Pfn,
  type VirtAddr,
} from './types.ts';
import { peekWalk } from './walker.ts';

/** Start of the direct map (PAGE_OFFSET). */
export const PAGE_OFFSET = -0x7780_0000_0000 as VirtAddr;
export const VMALLOC_START = -0x3700_0000_0000 as VirtAddr;
/** One past the last byte of the vmalloc area. */
export const VMALLOC_END = -0x1700_0000_0000 as VirtAddr;
export const VMEMMAP_START = -0x1600_0000_0000 as VirtAddr;
/** Where physical address 0 would be in the image's mapping (__START_KERNEL_map). */
export const START_KERNEL_MAP = -0x8000_0000 as VirtAddr;

/** Flags of the kernel's leaves (__PAGE_KERNEL and relatives, without a leaf's NX). */
const KERNEL_RO = _PAGE_PRESENT | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_GLOBAL;
const KERNEL_RW = KERNEL_RO | _PAGE_RW;
/** Flags of a table's entry in the level above (_KERNPG_TABLE). */
const KERNEL_TABLE = _PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED | _PAGE_DIRTY;
const GIGA_PAGES = 2 ** 18;

/** Records of a run of memory sections, in frames of their own. */
export interface SectionMap {
  readonly firstSection: number;
  readonly sections: number;
  /**
   * First frame of the records: SECTION_PAGES * STRUCT_PAGE_SIZE bytes a section, one after
   * another.
   */
  readonly pfn: Pfn;
}

export interface KernelLayout {
  /** RAM in ascending order. */
  readonly ram: readonly PfnRange[];
  readonly memMap: readonly SectionMap[];
  /** Physical place of the kernel image in bytes; start a multiple of 2 MiB. */
  readonly imageStart: number;
  readonly imageBytes: number;
  /** The CPU has pages of 1 GiB; it has by default. */
  readonly gbPages?: boolean;
}

/** The parts of the image: physical start in bytes, and what ends at the start of the next. */
export function imageParts(
  start: number,
  bytes: number,
): { rodata: number; data: number; end: number } {
  // Proportions of Debian's 6.1 kernel: 16 MiB text, 10 MiB rodata, 14 MiB data and bss.
  const rodata = start + alignUp(bytes * 0.4, PMD_SIZE);
  const data = Math.min(rodata + alignUp(bytes * 0.25, PMD_SIZE), start + alignUp(bytes, PMD_SIZE));
  return { rodata, data, end: start + alignUp(bytes, PMD_SIZE) };
}

/** Address of a frame's first byte in the direct map (__va()). */
export function directMap(pfn: number): VirtAddr {
  return (PAGE_OFFSET + pfn * PAGE_SIZE) as VirtAddr;
}

/** Frame of an address in the direct map (__pa()). */
export function directMapPfn(va: number): Pfn {
  return Math.floor((va - PAGE_OFFSET) / PAGE_SIZE) as Pfn;
}

/** Address of a frame's struct page (pfn_to_page()). */
export function structPage(pfn: number): VirtAddr {
  return (VMEMMAP_START + pfn * STRUCT_PAGE_SIZE) as VirtAddr;
}

/**
 * Builds the kernel's tables.
 * @param allocTable gives a frame of RAM, all zeros, that nobody else uses.
 * @returns the kernel's PGD.
 */
export function buildKernelSpace(mem: PhysMem, allocTable: () => Pfn, layout: KernelLayout): Pfn {
  const tables = new KernelTables(mem, allocTable);
  for (const range of layout.ram) mapRam(tables, range, layout);
  for (const map of layout.memMap) {
    const bytes = SECTION_PAGES * STRUCT_PAGE_SIZE;
    const va = VMEMMAP_START + map.firstSection * bytes;
    // A section that two nodes share has one map: the first node's.
    const skip = tables.isMapped(va, 2) ? 1 : 0;
    const pfn = map.pfn + skip * HPAGE_PMD_NR;
    tables.map(va + skip * bytes, pfn, map.sections - skip, 2, KERNEL_RW, _PAGE_NX_HI);
  }
  const { imageStart, imageBytes } = layout;
  const { rodata, data, end } = imageParts(imageStart, imageBytes);
  for (const [from, to, flags, nx] of [
    [imageStart, rodata, KERNEL_RO, 0],
    [rodata, data, KERNEL_RO, _PAGE_NX_HI],
    [data, end, KERNEL_RW, _PAGE_NX_HI],
  ] as const) {
    const pages = (to - from) / PMD_SIZE;
    tables.map(START_KERNEL_MAP + from, from / PAGE_SIZE, pages, 2, flags, nx);
  }
  for (let va: number = VMALLOC_START; va < VMALLOC_END; va += PGDIR_SIZE) tables.tableOf(va, 3);
  return tables.root;
}

/** Maps a range of RAM with the largest pages that fit; text and rodata read-only. */
function mapRam(tables: KernelTables, range: PfnRange, layout: KernelLayout): void {
  const from = layout.imageStart / PAGE_SIZE;
  const to = imageParts(layout.imageStart, layout.imageBytes).data / PAGE_SIZE;
  const parts = [range.startPfn, from, to, range.endPfn].sort((a, b) => a - b);
  for (let i = 0; i + 1 < parts.length; i++) {
    const start = Math.max(parts[i], range.startPfn);
    const end = Math.min(parts[i + 1], range.endPfn);
    const flags = start >= from && start < to ? KERNEL_RO : KERNEL_RW;
    mapPart(tables, start, end, flags, layout.gbPages !== false);
  }
}

function mapPart(
  tables: KernelTables,
  startPfn: number,
  endPfn: number,
  flags: number,
  gbPages: boolean,
): void {
  const sizes = gbPages ? [GIGA_PAGES, HPAGE_PMD_NR, 1] : [HPAGE_PMD_NR, 1];
  for (let pfn = startPfn; pfn < endPfn;) {
    const pages = sizes.find((n) => pfn % n === 0 && pfn + n <= endPfn) ?? 1;
    // As many of this size as there are up to where a larger one fits.
    const larger = pages === 1 ? HPAGE_PMD_NR : pages === HPAGE_PMD_NR ? GIGA_PAGES : Infinity;
    const aligned = larger === Infinity ? Infinity : alignUp(pfn + 1, larger);
    const fits = aligned + larger <= endPfn && (gbPages || larger < GIGA_PAGES);
    const end = fits ? aligned : endPfn;
    const count = Math.max(1, Math.floor((end - pfn) / pages));
    const level = pages === 1 ? 1 : pages === HPAGE_PMD_NR ? 2 : 3;
    tables.map(directMap(pfn), pfn, count, level, flags, _PAGE_NX_HI);
    pfn += count * pages;
  }
}

/** Throws KernelBug unless RAM and its records are mapped as `layout` says. O(sections). */
export function checkKernelSpace(mem: PhysMem, root: Pfn, layout: KernelLayout): void {
  for (const { startPfn, endPfn } of layout.ram) {
    for (const pfn of [startPfn, (startPfn + endPfn) >> 1, endPfn - 1]) {
      const physical = peekWalk(mem, root, directMap(pfn));
      assert(physical === pfn * PAGE_SIZE, `frame ${pfn} is in the direct map`);
      assert(peekWalk(mem, root, structPage(pfn)) >= 0, `frame ${pfn} has its struct page mapped`);
    }
  }
  for (let i = 0; i < PTRS_PER_TABLE; i++) {
    const user = i < 256 && (mem.words[mem.readable(root) + i * 2] & _PAGE_PRESENT) !== 0;
    assert(!user, `the kernel's own PGD maps nothing at user entry ${i}`);
  }
}

class KernelTables {
  readonly root: Pfn;
  private readonly mem: PhysMem;
  private readonly allocTable: () => Pfn;

  constructor(mem: PhysMem, allocTable: () => Pfn) {
    this.mem = mem;
    this.allocTable = allocTable;
    this.root = allocTable();
  }

  /** The table that holds the entry of `va` at a level; makes it and those above it. */
  tableOf(va: number, level: number): Pfn {
    let table = this.root;
    for (let l = 4; l > level; l--) {
      const entry = this.mem.readable(table) + tableIndex(va, l) * 2;
      const lo = this.mem.words[entry];
      if ((lo & _PAGE_PRESENT) !== 0) {
        assert((lo & _PAGE_PSE) === 0, 'kernel mappings do not overlap');
        table = ptePfn(lo, this.mem.words[entry + 1]);
      } else {
        const below = this.allocTable();
        this.set(table, tableIndex(va, l), below, KERNEL_TABLE, 0);
        table = below;
      }
    }
    return table;
  }

  isMapped(va: number, level: number): boolean {
    const entry = this.mem.readable(this.tableOf(va, level)) + tableIndex(va, level) * 2;
    return (this.mem.words[entry] & _PAGE_PRESENT) !== 0;
  }

  /** Maps `count` pages of a level, 4 KiB at 1, 2 MiB at 2, 1 GiB at 3, to frames in a row. */
  map(va: number, pfn: number, count: number, level: number, flags: number, nx: number): void {
    const pages = PTRS_PER_TABLE ** (level - 1);
    const { mem } = this;
    for (let done = 0; done < count;) {
      const at = va + done * pages * PAGE_SIZE;
      const index = tableIndex(at, level);
      const run = Math.min(PTRS_PER_TABLE - index, count - done);
      let entry = mem.writable(this.tableOf(at, level)) + index * 2;
      for (let i = 0; i < run; i++) {
        const frame = pfn + (done + i) * pages;
        const leaf = level > 1 ? flags | _PAGE_PSE : flags;
        mem.words[entry++] = pteLo(frame, leaf);
        mem.words[entry++] = pteHi(frame, leaf, nx);
      }
      done += run;
    }
  }

  private set(table: number, index: number, pfn: number, flags: number, nx: number): void {
    const entry = this.mem.writable(table) + index * 2;
    this.mem.words[entry] = pteLo(pfn, flags);
    this.mem.words[entry + 1] = pteHi(pfn, flags, nx);
  }
}
