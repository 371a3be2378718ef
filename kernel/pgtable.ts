// Four-level page tables of one address space, in emulated RAM.
//
//     CR3 -> PGD (level 4) -> PUD (3) -> PMD (2) -> PTE table (1) -> frame
//              512 GiB an entry  1 GiB     2 MiB      4 KiB
//
// An entry's place is named by the index of its low word in PhysMem.words (see pte.ts for the
// bits); NO_ENTRY (-1) where the table that would hold it does not exist. Tables are frames of
// their own, marked PG_table, and counted by level as VmPTE does (the PGD is not counted). The
// upper half of every PGD is copied from the kernel's.
//
// This file knows tables, not pages: what entries mean for frames (reference and map counts) is
// for its callers (userspace/zap.ts, fork.ts, fault.ts).
// Invariants (check()): every table reachable is PG_table and owned by this space; the counts of
// tables by level are right; user entries of upper levels are tables or, at level 2, huge pages.
// Source: Linux 6.18 mm/memory.c: __pte_alloc(), free_pgd_range(); arch/x86/mm/pgtable.c.

import { assert } from './errors.ts';
import { GFP_KERNEL_ACCOUNT, __GFP_ZERO } from './gfp.ts';
import { PG_table, type MemMap } from './page.ts';
import type { PhysMem } from './physmem.ts';
import type { FrameAllocator } from './ports.ts';
import {
  _PAGE_PRESENT,
  _PAGE_PSE,
  TABLE_FLAGS,
  pteHi,
  pteLo,
  pteNone,
  ptePfn,
  ptePresent,
} from './pte.ts';
import {
  NO_PFN,
  PAGE_SIZE,
  PGDIR_SIZE,
  PMD_SIZE,
  PUD_SIZE,
  alignDown,
  hiOf,
  type Pfn,
} from './types.ts';

/** There is no table that would hold the entry. */
export const NO_ENTRY = -1;

/** Index in its table of the entry that translates `va` at `level` (1 PTE .. 4 PGD). */
export function tableIndex(va: number, level: number): number {
  const hi = hiOf(va);
  if (level === 1) return (va >>> 12) & 511;
  if (level === 2) return (va >>> 21) & 511;
  if (level === 3) return ((va >>> 30) | (hi << 2)) & 511;
  return (hi >> 7) & 511;
}

export class PageTable {
  readonly root: Pfn;
  /** Tables of this space by level; the PGD is not counted. */
  nrPtes = 0;
  nrPmds = 0;
  nrPuds = 0;
  private readonly mem: PhysMem;
  private readonly pages: MemMap;
  private readonly alloc: FrameAllocator;
  private readonly id: number;

  /**
   * @param id what the `owner` word of this space's tables says.
   * @param kernelRoot the PGD whose upper half every space shares; NO_PFN for none.
   */
  constructor(
    mem: PhysMem,
    pages: MemMap,
    alloc: FrameAllocator,
    id: number,
    kernelRoot: Pfn,
    root: Pfn,
  ) {
    this.mem = mem;
    this.pages = pages;
    this.alloc = alloc;
    this.id = id;
    this.root = root;
    this.own(root);
    if (kernelRoot !== NO_PFN) {
      const to = mem.writable(root) + 512;
      const from = mem.readable(kernelRoot) + 512;
      mem.words.copyWithin(to, from, from + 512);
    }
  }

  /** Bytes in tables of the three lower levels, as VmPTE counts (mm->pgtables_bytes). */
  get bytes(): number {
    return (this.nrPtes + this.nrPmds + this.nrPuds) * PAGE_SIZE;
  }

  /** Place of the PUD entry of `va`, or NO_ENTRY. */
  pudAt(va: number): number {
    return this.below(this.pgdAt(va), tableIndex(va, 3));
  }

  /** Place of the PMD entry of `va`, or NO_ENTRY. */
  pmdAt(va: number): number {
    const hi = hiOf(va);
    const { words, slotOf } = this.mem;
    const pgd = (slotOf[this.root] << 10) + ((hi >> 7) & 511) * 2;
    const e4 = words[pgd];
    if ((e4 & _PAGE_PRESENT) === 0) return NO_ENTRY;
    const pud = (slotOf[ptePfn(e4, words[pgd + 1])] << 10) + (((va >>> 30) | (hi << 2)) & 511) * 2;
    const e3 = words[pud];
    if ((e3 & (_PAGE_PRESENT | _PAGE_PSE)) !== _PAGE_PRESENT) return NO_ENTRY;
    return (slotOf[ptePfn(e3, words[pud + 1])] << 10) + ((va >>> 21) & 511) * 2;
  }

  /** Place of the PTE of `va`, or NO_ENTRY (also where a huge page is mapped). */
  pteAt(va: number): number {
    const pmd = this.pmdAt(va);
    if (pmd === NO_ENTRY) return NO_ENTRY;
    return this.pteIn(pmd, va);
  }

  /** Place of the PTE of `va` in the table that the PMD entry at `pmd` names, or NO_ENTRY. */
  pteIn(pmd: number, va: number): number {
    const { words, slotOf } = this.mem;
    const e2 = words[pmd];
    if ((e2 & (_PAGE_PRESENT | _PAGE_PSE)) !== _PAGE_PRESENT) return NO_ENTRY;
    return (slotOf[ptePfn(e2, words[pmd + 1])] << 10) + ((va >>> 12) & 511) * 2;
  }

  /** True where the PMD entry at `pmd` is empty: no table and no huge page. */
  isNone(entry: number): boolean {
    return pteNone(this.mem.words[entry], this.mem.words[entry + 1]);
  }

  /** True where the PMD entry maps a huge page (or holds a huge swap or migration entry). */
  isHuge(pmd: number): boolean {
    const lo = this.mem.words[pmd];
    return (lo & _PAGE_PSE) !== 0 && ptePresent(lo);
  }

  /**
   * Makes the tables down to the PMD entry of `va`. @returns its place; NO_ENTRY without memory.
   */
  allocPmd(va: number): number {
    const pmd = this.pmdAt(va);
    if (pmd !== NO_ENTRY) return pmd;
    const pgd = this.pgdAt(va);
    if (this.isNone(pgd)) {
      if (!this.grow(pgd)) return NO_ENTRY;
      this.nrPuds++;
    }
    const pud = this.below(pgd, tableIndex(va, 3));
    if (this.isNone(pud)) {
      if (!this.grow(pud)) return NO_ENTRY;
      this.nrPmds++;
    }
    return this.below(pud, tableIndex(va, 2));
  }

  /** Makes the table that holds the PUD entry of `va`; false without memory. */
  allocPud(va: number): boolean {
    const pgd = this.pgdAt(va);
    if (!this.isNone(pgd)) return true;
    if (!this.grow(pgd)) return false;
    this.nrPuds++;
    return true;
  }

  /** Makes the PTE table below the empty PMD entry at `pmd`; false without memory. */
  allocPteTable(pmd: number): boolean {
    if (!this.grow(pmd)) return false;
    this.nrPtes++;
    return true;
  }

  /** Makes the tables down to the PTE of `va`; its place, NO_ENTRY without memory or if huge. */
  allocPte(va: number): number {
    const pmd = this.allocPmd(va);
    if (pmd === NO_ENTRY) return NO_ENTRY;
    if (this.isNone(pmd) && !this.allocPteTable(pmd)) return NO_ENTRY;
    return this.pteIn(pmd, va);
  }

  /**
   * A PTE table that hangs nowhere yet (kept behind a huge page); counted. NO_PFN without memory.
   */
  allocDeposit(): Pfn {
    const pfn = this.alloc.alloc(GFP_KERNEL_ACCOUNT | __GFP_ZERO, 0);
    if (pfn === NO_PFN) return NO_PFN;
    this.own(pfn);
    this.nrPtes++;
    return pfn;
  }

  /** Hangs a table got from allocDeposit() below an empty PMD entry. */
  populatePmd(pmd: number, table: Pfn): void {
    this.mem.words[pmd] = pteLo(table, TABLE_FLAGS);
    this.mem.words[pmd + 1] = pteHi(table, TABLE_FLAGS, 0);
  }

  /** Frees a table got from allocDeposit(), or one unhooked by unhookPteTable(). */
  freePteTable(table: Pfn): void {
    this.nrPtes--;
    this.alloc.free(table, 0);
  }

  /** Clears a PMD entry that names a PTE table and returns the table, still counted. */
  unhookPteTable(pmd: number): Pfn {
    const table = ptePfn(this.mem.words[pmd], this.mem.words[pmd + 1]);
    this.mem.words[pmd] = 0;
    this.mem.words[pmd + 1] = 0;
    return table;
  }

  /** True where a PTE table holds nothing. */
  isEmptyTable(table: Pfn): boolean {
    const at = this.mem.readable(table);
    for (let i = 0; i < 1024; i++) if (this.mem.words[at + i] !== 0) return false;
    return true;
  }

  /**
   * The first address >= va, below end, whose PMD entry is not empty; `end` where there is none.
   */
  nextPmd(va: number, end: number): number {
    while (va < end) {
      const pgd = this.pgdAt(va);
      if (this.isNone(pgd)) {
        va = alignDown(va, PGDIR_SIZE) + PGDIR_SIZE;
        continue;
      }
      const pud = this.below(pgd, tableIndex(va, 3));
      if (this.isNone(pud)) {
        va = alignDown(va, PUD_SIZE) + PUD_SIZE;
        continue;
      }
      const pmd = this.below(pud, tableIndex(va, 2));
      if (!this.isNone(pmd)) return va;
      va = alignDown(va, PMD_SIZE) + PMD_SIZE;
    }
    return end;
  }

  /**
   * Frees the tables that [start, end) needed and that no neighbour does: none that also covers
   * addresses below `floor` or from `ceiling` on (free_pgd_range()). All entries are clear.
   * @param ceiling Infinity for the end of user space.
   */
  freeRange(start: number, end: number, floor: number, ceiling: number): void {
    let addr = alignDown(start, PMD_SIZE);
    if (addr < floor) addr += PMD_SIZE;
    const top = ceiling === Infinity ? Infinity : alignDown(ceiling, PMD_SIZE);
    if (end > top) end -= PMD_SIZE;
    if (addr >= end) return;
    while (addr < end) {
      const next = Math.min(end, alignDown(addr, PGDIR_SIZE) + PGDIR_SIZE);
      const pgd = this.pgdAt(addr);
      if (!this.isNone(pgd)) this.freePuds(pgd, addr, next, floor, top);
      addr = next;
    }
  }

  /** Gives the PGD back. All lower tables are gone. */
  destroy(): void {
    assert(this.bytes === 0, `PageTable: ${this.bytes} bytes of tables left at the end`);
    this.alloc.free(this.root, 0);
  }

  /** Throws KernelBug where an invariant does not hold. */
  check(): void {
    const count = [0, 0, 0, 0, 0];
    this.checkTable(this.root, 4, count);
    assert(count[3] === this.nrPuds, `nrPuds ${this.nrPuds}, found ${count[3]}`);
    assert(count[2] === this.nrPmds, `nrPmds ${this.nrPmds}, found ${count[2]}`);
    // A huge page has its PTE table put aside: those are not reachable.
    assert(count[1] <= this.nrPtes, `nrPtes ${this.nrPtes}, found ${count[1]}`);
  }

  private checkTable(table: Pfn, level: number, count: number[]): void {
    const flags = this.pages.flags(table);
    assert((flags & PG_table) !== 0, `table ${table} of level ${level} is not PG_table`);
    assert(this.pages.owner(table) === this.id, `table ${table} belongs to another space`);
    if (level === 1) return;
    const at = this.mem.readable(table);
    const entries = level === 4 ? 256 : 512;
    for (let i = 0; i < entries; i++) {
      const lo = this.mem.words[at + 2 * i];
      if ((lo & _PAGE_PRESENT) === 0 || (lo & _PAGE_PSE) !== 0) continue;
      count[level - 1]++;
      this.checkTable(ptePfn(lo, this.mem.words[at + 2 * i + 1]), level - 1, count);
    }
  }

  private freePuds(pgd: number, start: number, end: number, floor: number, top: number): void {
    for (let addr = start; addr < end;) {
      const next = Math.min(end, alignDown(addr, PUD_SIZE) + PUD_SIZE);
      const pud = this.below(pgd, tableIndex(addr, 3));
      if (!this.isNone(pud)) this.freePmds(pud, addr, next, floor, top);
      addr = next;
    }
    if (!coversWhole(start, end, floor, top, PGDIR_SIZE)) return;
    this.freeTable(pgd);
    this.nrPuds--;
  }

  private freePmds(pud: number, start: number, end: number, floor: number, top: number): void {
    for (let addr = start; addr < end;) {
      const next = Math.min(end, alignDown(addr, PMD_SIZE) + PMD_SIZE);
      const pmd = this.below(pud, tableIndex(addr, 2));
      if (!this.isNone(pmd)) {
        assert(!this.isHuge(pmd), 'freeRange: no huge page left');
        this.freeTable(pmd);
        this.nrPtes--;
      }
      addr = next;
    }
    if (!coversWhole(start, end, floor, top, PUD_SIZE)) return;
    this.freeTable(pud);
    this.nrPmds--;
  }

  private freeTable(entry: number): void {
    this.alloc.free(ptePfn(this.mem.words[entry], this.mem.words[entry + 1]), 0);
    this.mem.words[entry] = 0;
    this.mem.words[entry + 1] = 0;
  }

  private pgdAt(va: number): number {
    return this.mem.readable(this.root) + tableIndex(va, 4) * 2;
  }

  private below(entry: number, index: number): number {
    if (entry === NO_ENTRY) return NO_ENTRY;
    const lo = this.mem.words[entry];
    if ((lo & (_PAGE_PRESENT | _PAGE_PSE)) !== _PAGE_PRESENT) return NO_ENTRY;
    return this.mem.readable(ptePfn(lo, this.mem.words[entry + 1])) + index * 2;
  }

  private grow(entry: number): boolean {
    const pfn = this.alloc.alloc(GFP_KERNEL_ACCOUNT | __GFP_ZERO, 0);
    if (pfn === NO_PFN) return false;
    this.own(pfn);
    this.populatePmd(entry, pfn);
    return true;
  }

  private own(pfn: Pfn): void {
    this.mem.writable(pfn); // tables are read without asking whether they were ever written
    this.pages.setFlags(pfn, PG_table);
    this.pages.setOwner(pfn, this.id);
  }
}

/** True where a table that spans `size` bytes around [start, end) serves nobody else. */
function coversWhole(
  start: number,
  end: number,
  floor: number,
  top: number,
  size: number,
): boolean {
  if (alignDown(start, size) < floor) return false;
  return top === Infinity || end <= alignDown(top, size);
}
