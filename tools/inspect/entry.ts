// One page-table entry, decoded: its bits one by one, and what the rest of it says.

import {
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  _PAGE_GLOBAL,
  _PAGE_NX_HI,
  _PAGE_PCD,
  _PAGE_PRESENT,
  _PAGE_PROTNONE,
  _PAGE_PSE,
  _PAGE_PWT,
  _PAGE_RW,
  _PAGE_SOFT_DIRTY,
  _PAGE_SPECIAL,
  _PAGE_UFFD_WP,
  _PAGE_USER,
  MAX_SWAPFILES,
  pteNone,
  ptePresent,
  SWP_PTE_MARKER,
  swapOffset,
  swapType,
} from '../../kernel/pte.ts';
import { entryHex, LEVEL_NAMES, type WalkStep } from '../inspect.ts';

export interface EntryBit {
  readonly name: string;
  readonly on: boolean;
  readonly meaning: string;
}

export interface EntryInfo {
  /** `PTE`, … and the index in the table. */
  readonly level: string;
  readonly index: number;
  /** Physical address of the entry itself. */
  readonly physical: number;
  readonly hex: string;
  readonly bits: readonly EntryBit[];
  /** What it says beside the bits. */
  readonly says: string;
  /** Slot of swap, or -1. */
  readonly slot: number;
}

const LOW: readonly (readonly [number, string, string])[] = [
  [_PAGE_PRESENT, 'P', 'present'],
  [_PAGE_RW, 'RW', 'writable'],
  [_PAGE_USER, 'US', 'user mode may access'],
  [_PAGE_PWT, 'PWT', 'cache: write-through'],
  [_PAGE_PCD, 'PCD', 'cache: disabled'],
  [_PAGE_ACCESSED, 'A', 'accessed'],
  [_PAGE_DIRTY, 'D', 'written (dirty)'],
  [_PAGE_PSE, 'PS', 'maps a large page'],
  [_PAGE_GLOBAL, 'G', 'global: kept when CR3 is loaded'],
  [_PAGE_SPECIAL, 'special', 'Linux: no struct page counts it'],
  [_PAGE_UFFD_WP, 'uffd', 'Linux: write-protected by userfaultfd'],
  [_PAGE_SOFT_DIRTY, 'soft', 'Linux: soft-dirty, written since last cleared'],
];

/** Decodes what a walk read. */
export function entryInfo(step: WalkStep): EntryInfo {
  const { lo, hi, level } = step;
  const bits: EntryBit[] = LOW.map(([bit, name, meaning]) => ({
    name,
    on: (lo & bit) !== 0,
    meaning,
  }));
  bits.push({ name: 'NX', on: (hi & _PAGE_NX_HI) !== 0, meaning: 'not executable' });
  const slot = swapSlotOf(lo, hi, level);
  return {
    level: LEVEL_NAMES[level] ?? '',
    index: step.index,
    physical: step.table * 4096 + step.index * 8,
    hex: entryHex(lo, hi),
    bits: step.present ? bits : [],
    says: meaning(lo, hi, level, slot),
    slot,
  };
}

/** The slot that a PTE names; -1 where it is no swap entry of a device. */
export function swapSlotOf(lo: number, hi: number, level: number): number {
  if (level !== 1 || ptePresent(lo) || pteNone(lo, hi)) return -1;
  return swapType(hi) < MAX_SWAPFILES ? swapOffset(lo, hi) : -1;
}

function meaning(lo: number, hi: number, level: number, slot: number): string {
  if ((lo & _PAGE_PRESENT) !== 0) {
    return (lo & _PAGE_PSE) !== 0 && level > 1 ? `maps ${level === 3 ? '1 GiB' : '2 MiB'}` : '';
  }
  if (pteNone(lo, hi)) return 'empty: nothing was ever here';
  if (slot >= 0) return `swapped out to slot ${slot}`;
  if ((lo & _PAGE_PROTNONE) !== 0) return 'PROT_NONE: a frame is there, nobody may touch it';
  return swapType(hi) === SWP_PTE_MARKER ? 'a marker, no page' : 'not present';
}
