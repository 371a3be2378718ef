// The words that every layer uses: page numbers, addresses, page constants, address arithmetic.
//
// An address is a JavaScript number that holds the canonical 48-bit address as a signed integer,
// -2^47 .. 2^47-1: exact in a double, the kernel half negative. The inner core (TLB, walk, load,
// store) works on its two 32-bit halves instead, because shifting an int32 is much cheaper than
// dividing a double; the border between the two is always one visible line:
//
//     lo = va >>> 0 (or va | 0)        hi = hiOf(va)        va = addressOf(lo, hi)
//
// Only this file does bit arithmetic on whole addresses: `va | 0` truncates modulo 2^32, which is
// right for the low half and wrong for everything else.
// Source: Intel SDM volume 3, 4.5 "4-level paging"; Linux 6.18 arch/x86/include/asm/page_types.h.

declare const brand: unique symbol;

/** Number of a physical page frame, 0..2^31-1: the index into mem_map. NO_PFN where none is. */
export type Pfn = number & { readonly [brand]: 'Pfn' };
/** A canonical virtual address as a signed integer, -2^47 .. 2^47-1. */
export type VirtAddr = number & { readonly [brand]: 'VirtAddr' };
/** A physical address in bytes, 0 .. 2^43-1. */
export type PhysAddr = number & { readonly [brand]: 'PhysAddr' };

export const NO_PFN = -1 as Pfn;

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;
/** 32-bit words in a page. */
export const PAGE_WORDS = 1024;
export const PMD_SHIFT = 21;
export const PMD_SIZE = 2 ** 21;
export const PUD_SIZE = 2 ** 30;
export const PGDIR_SIZE = 2 ** 39;
export const PTRS_PER_TABLE = 512;
/** Pages that one table of the lowest level, or one 2 MiB page, covers. */
export const HPAGE_PMD_NR = 512;
export const HPAGE_PMD_ORDER = 9;
/** Largest buddy order: 2^10 frames, 4 MiB (MAX_PAGE_ORDER on x86-64). */
export const MAX_ORDER = 10;

/** End of user addresses with 4-level tables: one page below 2^47 (TASK_SIZE_MAX). */
export const TASK_SIZE = 0x7ffffffff000 as VirtAddr;

/** The high 32 bits of an address, sign included. */
export function hiOf(va: number): number {
  return Math.floor(va / 0x1_0000_0000) | 0;
}

/** The address whose halves are `lo` (any int32) and `hi` (signed). */
export function addressOf(lo: number, hi: number): VirtAddr {
  return (hi * 0x1_0000_0000 + (lo >>> 0)) as VirtAddr;
}

/** The address rounded down to its page. */
export function pageDown(va: number): VirtAddr {
  return (va - (va & 0xfff)) as VirtAddr;
}

/** The address rounded up to a page boundary. */
export function pageUp(va: number): VirtAddr {
  return (Math.ceil(va / PAGE_SIZE) * PAGE_SIZE + 0) as VirtAddr; // exact up to 2^64, and never -0
}

/**
 * A length that a program passed, rounded up to pages as 64-bit arithmetic does it.
 * @param length signed: -4095 to -1 wrap round to 0; below, it is larger than all memory.
 */
export function pageAlign(length: number): number {
  const bytes = pageDown(length + 0xfff);
  return bytes < 0 ? Infinity : bytes;
}

/** `x` rounded down to a multiple of `size`, any positive integer; works for negative `x` too. */
export function alignDown(x: number, size: number): number {
  return Math.floor(x / size) * size;
}

/** `x` rounded up to a multiple of `size`. */
export function alignUp(x: number, size: number): number {
  return Math.ceil(x / size) * size;
}

/** Virtual page number: address / 4096, rounded down. Up to 2^35, so a double and not an int32. */
export function vpnOf(va: number): number {
  return Math.floor(va / PAGE_SIZE);
}

/** Frame of a physical address. */
export function pfnOf(pa: number): Pfn {
  return Math.floor(pa / PAGE_SIZE) as Pfn;
}

/** Physical address of a frame's first byte. */
export function physOf(pfn: Pfn): PhysAddr {
  return (pfn * PAGE_SIZE) as PhysAddr;
}

/** An address or size as `0x…` text; a kernel-half address as its 64-bit two's complement. */
export function hex(n: number): string {
  if (n >= 0) return '0x' + n.toString(16);
  const hi = (hiOf(n) >>> 0).toString(16).padStart(8, '0');
  return '0x' + hi + (n >>> 0).toString(16).padStart(8, '0');
}
