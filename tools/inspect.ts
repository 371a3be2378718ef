// A machine as plain data: all that a view, a table or an export may read. Nothing here changes
// anything: entries are peeked at in emulated RAM, no accessed bit is set, no fault is taken.
//
//     va -> PGD entry -> PUD entry -> PMD entry -> PTE -> frame -> struct page -> owner, zone
//
// Source of the walk: Intel SDM volume 3, 4.5.

import {
  PAGE_INDEX,
  PAGE_MAPCOUNT,
  PAGE_OWNER,
  PAGE_PRIVATE,
  PAGE_RECORD,
  PAGE_REFCOUNT,
  pageFlagNames,
  type MemMap,
} from '../kernel/page.ts';
import { tableIndex } from '../kernel/pgtable.ts';
import type { PhysMem } from '../kernel/physmem.ts';
import {
  _PAGE_PRESENT,
  _PAGE_PSE,
  pteFlagNames,
  pteNone,
  ptePfn,
  ptePfnAny,
  ptePresent,
} from '../kernel/pte.ts';
import { addressOf, NO_PFN, PAGE_SIZE, type Pfn } from '../kernel/types.ts';

/** Names of the levels, index 1 the lowest. */
export const LEVEL_NAMES = ['', 'PTE', 'PMD', 'PUD', 'PGD'] as const;

/** Bytes that one entry of a level maps: index 1 is 4096. */
export const LEVEL_SIZE = [0, 2 ** 12, 2 ** 21, 2 ** 30, 2 ** 39] as const;

/** One page-table entry that a walk read. */
export interface WalkStep {
  /** 4 PGD … 1 PTE. */
  readonly level: number;
  /** Frame of the table, the entry's index in it. */
  readonly table: Pfn;
  readonly index: number;
  readonly lo: number;
  readonly hi: number;
  /** Names of its bits, for an entry that is present. */
  readonly flags: readonly string[];
  readonly present: boolean;
}

export interface Walk {
  readonly va: number;
  readonly steps: readonly WalkStep[];
  /** The frame that holds the byte, or NO_PFN. */
  readonly pfn: Pfn;
  /** Bytes that the last entry maps. */
  readonly size: number;
}

/** Reads the entries that translate `va` from the root on, without any effect. */
export function walk(mem: PhysMem, root: Pfn, va: number): Walk {
  const steps: WalkStep[] = [];
  let table = root;
  for (let level = 4; level >= 1; level--) {
    const index = tableIndex(va, level);
    const at = mem.readable(table) + 2 * index;
    const lo = mem.words[at] ?? 0;
    const hi = mem.words[at + 1] ?? 0;
    const present = (lo & _PAGE_PRESENT) !== 0;
    const flags = present ? pteFlagNames(lo, hi) : [];
    steps.push({ level, table, index, lo, hi, flags, present });
    const leaf = level === 1 || (present && (lo & _PAGE_PSE) !== 0 && level < 4);
    if (leaf) {
      const size = LEVEL_SIZE[level] ?? PAGE_SIZE;
      const there = level === 1 ? ptePresent(lo) : present;
      if (!there || pteNone(lo, hi)) return { va, steps, pfn: NO_PFN, size };
      const within = Math.floor((((va % size) + size) % size) / PAGE_SIZE);
      return { va, steps, pfn: (ptePfnAny(lo, hi) + within) as Pfn, size };
    }
    if (!present) return { va, steps, pfn: NO_PFN, size: LEVEL_SIZE[level] ?? PAGE_SIZE };
    table = ptePfn(lo, hi);
  }
  return { va, steps, pfn: NO_PFN, size: PAGE_SIZE };
}

/** Called for each leaf entry: its address, its first frame, bytes mapped, its two words. */
export type LeafVisitor = (va: number, pfn: Pfn, size: number, lo: number, hi: number) => void;

/**
 * Visits every leaf entry that is present for Linux (PROT_NONE too) with an address in
 * [from, to), in order of address; a large page that lies partly in the range too.
 */
export function forEachLeaf(
  mem: PhysMem,
  root: Pfn,
  from: number,
  to: number,
  visit: LeafVisitor,
): void {
  const down = (table: Pfn, level: number, base: number): void => {
    const size = LEVEL_SIZE[level] ?? PAGE_SIZE;
    const first = mem.readable(table);
    for (let i = 0; i < 512; i++) {
      const lo = mem.words[first + 2 * i] ?? 0;
      if (lo === 0) continue;
      let va = base + i * size;
      if (level === 4 && i >= 256) va -= 2 ** 48;
      if (va >= to || va + size <= from) continue;
      const hi = mem.words[first + 2 * i + 1] ?? 0;
      if (level === 1) {
        if (ptePresent(lo)) visit(va, ptePfnAny(lo, hi), size, lo, hi);
      } else if ((lo & _PAGE_PRESENT) === 0) {
        if (level === 2 && ptePresent(lo) && (lo & _PAGE_PSE) !== 0) {
          visit(va, ptePfnAny(lo, hi), size, lo, hi);
        }
      } else if ((lo & _PAGE_PSE) !== 0 && level < 4) visit(va, ptePfn(lo, hi), size, lo, hi);
      else down(ptePfn(lo, hi), level - 1, va);
    }
  };
  down(root, 4, 0);
}

/** A frame's record as plain data. */
export interface PageInfo {
  readonly pfn: number;
  readonly flags: readonly string[];
  readonly flagBits: number;
  readonly refcount: number;
  readonly mapcount: number;
  readonly owner: number;
  readonly index: number;
  readonly private: number;
}

export function pageInfo(pages: MemMap, pfn: number): PageInfo {
  const at = pfn * PAGE_RECORD;
  const word = (i: number): number => pages.words[at + i] ?? 0;
  return {
    pfn,
    flags: pageFlagNames(pages.flags(pfn)),
    flagBits: pages.flags(pfn),
    refcount: word(PAGE_REFCOUNT),
    mapcount: word(PAGE_MAPCOUNT),
    owner: word(PAGE_OWNER),
    index: word(PAGE_INDEX),
    private: word(PAGE_PRIVATE),
  };
}

/** A 64-bit entry as `0x` and 16 digits. */
export function entryHex(lo: number, hi: number): string {
  const word = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');
  return `0x${word(hi)}${word(lo)}`;
}

/** The 64 bits that two words hold, as a canonical signed address: exact to 2^53. */
export function wordsAddress(lo: number, hi: number): number {
  return addressOf(lo, hi | 0);
}
