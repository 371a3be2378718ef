// Page-table entries: 64 bits as two 32-bit words, lo then hi, with the bits of x86-64 and the
// meanings that Linux gives to those the hardware ignores. The one file that knows them.
//
//      63 62..59 58 57..52 51..............12 11 10  9 8 7 6 5 4   3   2  1  0
//      NX  pkey            physical frame     SD UF SP G PS D A PCD PWT US RW P      P = 1
//      ~type------- ~offset ------------------------ 9  0 0 0 E uf SD 0      swap,   P = 0
//
// The frame number of an entry that is PROT_NONE (G set, P clear) is stored inverted, and so is a
// swap entry's offset, as Linux does since L1TF. Level 1 is the PTE table, 4 the PGD.
// Source: Linux 6.18 arch/x86/include/asm/pgtable_types.h, pgtable_64.h, pgtable-invert.h;
// Intel SDM volume 3, tables 4-15 to 4-20.

import type { Pfn } from './types.ts';

// Bits of the low word.
export const _PAGE_PRESENT = 1 << 0;
export const _PAGE_RW = 1 << 1;
export const _PAGE_USER = 1 << 2;
export const _PAGE_PWT = 1 << 3;
export const _PAGE_PCD = 1 << 4;
export const _PAGE_ACCESSED = 1 << 5;
export const _PAGE_DIRTY = 1 << 6;
/** In a PMD or PUD: the entry maps a large page. In a PTE: PAT. */
export const _PAGE_PSE = 1 << 7;
export const _PAGE_GLOBAL = 1 << 8;
/** With P clear: present for Linux, but nobody may touch it. */
export const _PAGE_PROTNONE = _PAGE_GLOBAL;
/** No struct page stands behind it as far as rmap is concerned (zero page, vvar). */
export const _PAGE_SPECIAL = 1 << 9;
export const _PAGE_UFFD_WP = 1 << 10;
export const _PAGE_SOFT_DIRTY = 1 << 11;
// Bits of the high word.
export const _PAGE_NX_HI = 1 << 31;

/** Bits of the low word that are the frame's number. */
export const PFN_LO_MASK = 0xfffff000 | 0;
/** Bits of the high word that are the frame's number, as many as a Pfn has. */
export const PFN_HI_MASK = 0x7ff;
/** Address bits above what this machine's physical addresses have: reserved, must be 0. */
export const RSVD_HI_MASK = 0x000ff800;

/** Flags of a page-table frame's own entry in the level above (_PAGE_TABLE). */
export const TABLE_FLAGS = _PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED | _PAGE_DIRTY;

/** Frame number that a present entry names; for a large page its first frame (PAT bit left out). */
export function ptePfn(lo: number, hi: number): Pfn {
  return (((hi & PFN_HI_MASK) << 20) | (lo >>> 12)) as Pfn;
}

/** Frame number of an entry that is present for Linux, PROT_NONE entries included. */
export function ptePfnAny(lo: number, hi: number): Pfn {
  return (lo & _PAGE_PRESENT) !== 0 ? ptePfn(lo, hi) : ptePfn(~lo, ~hi);
}

/** Low word of an entry for `pfn` with the flags `flags` (bits 0..11). */
export function pteLo(pfn: number, flags: number): number {
  return (
    ((flags & (_PAGE_PRESENT | _PAGE_PROTNONE)) === _PAGE_PROTNONE ? ~pfn << 12 : pfn << 12) | flags
  );
}

/** High word of an entry for `pfn`; `flags` are the low word's, `nx` 0 or _PAGE_NX_HI. */
export function pteHi(pfn: number, flags: number, nx: number): number {
  return (flags & (_PAGE_PRESENT | _PAGE_PROTNONE)) === _PAGE_PROTNONE
    ? ((~pfn >> 20) & 0xfffff) | nx
    : ((pfn >>> 20) & PFN_HI_MASK) | nx;
}

/** Nothing there: neither a page nor a swap entry. */
export function pteNone(lo: number, hi: number): boolean {
  // A and D alone do not count: KNL erratum, X86 _PAGE_KNL_ERRATUM_MASK.
  return ((lo & ~(_PAGE_DIRTY | _PAGE_ACCESSED)) | hi) === 0;
}

/** Present for Linux: for the hardware, or PROT_NONE. */
export function ptePresent(lo: number): boolean {
  return (lo & (_PAGE_PRESENT | _PAGE_PROTNONE)) !== 0;
}

// Swap entries: type in bits 59..63, inverted offset in bits 9..58.
export const SWP_SOFT_DIRTY = _PAGE_RW;
export const SWP_UFFD_WP = _PAGE_USER;
export const SWP_EXCLUSIVE = _PAGE_PWT;
/** Types from here on are no swap devices (MAX_SWAPFILES). */
export const MAX_SWAPFILES = 23;
export const SWP_MIGRATION_READ = 28;
export const SWP_MIGRATION_READ_EXCLUSIVE = 29;
export const SWP_MIGRATION_WRITE = 30;
/** The entry is no page but a note: PTE_MARKER_* in its offset. */
export const SWP_PTE_MARKER = 31;
export const PTE_MARKER_UFFD_WP = 1;
export const PTE_MARKER_POISONED = 2;
export const PTE_MARKER_GUARD = 4;

/** Low word of a swap entry; offset 0..2^31-1. */
export function swapLo(offset: number): number {
  return ~offset << 9;
}

/** High word of a swap entry; type 0..31. */
export function swapHi(type: number, offset: number): number {
  return ((~offset >> 23) & 0x7ffffff) | (type << 27);
}

/** Type of a swap entry, 0..31. */
export function swapType(hi: number): number {
  return hi >>> 27;
}

/** Offset of a swap entry (its low 31 bits). */
export function swapOffset(lo: number, hi: number): number {
  return ~((lo >>> 9) | (hi << 23)) & 0x7fffffff;
}

/** True where a not-present, not-none entry is a marker of these PTE_MARKER_* bits. */
export function isMarker(lo: number, hi: number, bits: number): boolean {
  return (
    !ptePresent(lo) &&
    !pteNone(lo, hi) &&
    swapType(hi) === SWP_PTE_MARKER &&
    (swapOffset(lo, hi) & bits) !== 0
  );
}

const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [_PAGE_PRESENT, 'P'],
  [_PAGE_RW, 'RW'],
  [_PAGE_USER, 'US'],
  [_PAGE_PWT, 'PWT'],
  [_PAGE_PCD, 'PCD'],
  [_PAGE_ACCESSED, 'A'],
  [_PAGE_DIRTY, 'D'],
  [_PAGE_PSE, 'PS'],
  [_PAGE_GLOBAL, 'G'],
  [_PAGE_SPECIAL, 'special'],
  [_PAGE_UFFD_WP, 'uffd-wp'],
  [_PAGE_SOFT_DIRTY, 'soft-dirty'],
];

/** The names of the bits that a present entry has set, `P RW US A D … NX`. */
export function pteFlagNames(lo: number, hi: number): string[] {
  const names = FLAG_NAMES.filter(([bit]) => (lo & bit) !== 0).map(([, name]) => name);
  if ((hi & _PAGE_NX_HI) !== 0) names.push('NX');
  return names;
}
