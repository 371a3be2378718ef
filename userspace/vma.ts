// One mapping of an address space: a range of pages with one protection, one set of flags and one
// thing behind it (nothing: anonymous; or a file from some page on).
//
// Invariants (VmaTree.check()): start < end, both page aligned; an anonymous private mapping that
// never moved has pgoff = start / 4096; anonVma, where set, is in anonVmaChain.
// Source: Linux 6.18 include/linux/mm_types.h (struct vm_area_struct), include/linux/mm.h.

import { PAGE_SIZE, type PhysAddr } from '../kernel/types.ts';
import type { AnonVma } from './anon.ts';
import type { File } from './file.ts';
import type { Mm } from './mm.ts';
import type { Userfaultfd } from './userfaultfd.ts';
import { PROT_EXEC, PROT_READ, PROT_WRITE } from './mman.ts';

/** What swap's read-ahead remembers of a mapping (vm_area_struct.swap_readahead_info). */
export interface SwapReadAhead {
  /** Page of the last fault. */
  readonly addr: number;
  /** Pages that it read. */
  readonly window: number;
  /** How many of them were used since. */
  readonly hits: number;
}

export const VM_READ = 0x1;
export const VM_WRITE = 0x2;
export const VM_EXEC = 0x4;
export const VM_SHARED = 0x8;
export const VM_MAYREAD = 0x10;
export const VM_MAYWRITE = 0x20;
export const VM_MAYEXEC = 0x40;
export const VM_MAYSHARE = 0x80;
export const VM_GROWSDOWN = 0x100;
export const VM_UFFD_MISSING = 0x200;
export const VM_PFNMAP = 0x400;
/** Guard pages were installed here: fork() copies the tables. */
export const VM_MAYBE_GUARD = 0x800;
export const VM_UFFD_WP = 0x1000;
export const VM_LOCKED = 0x2000;
export const VM_IO = 0x4000;
export const VM_SEQ_READ = 0x8000;
export const VM_RAND_READ = 0x10000;
export const VM_DONTCOPY = 0x20000;
export const VM_DONTEXPAND = 0x40000;
export const VM_LOCKONFAULT = 0x80000;
export const VM_ACCOUNT = 0x100000;
export const VM_NORESERVE = 0x200000;
export const VM_HUGETLB = 0x400000;
/** With userfaultfd: a page that the file has, but no entry, is told. */
export const VM_UFFD_MINOR = 0x1000000;
/** MAP_SYNC was given: synchronous faults, where the file has them. */
export const VM_SYNC = 0x800000;
export const VM_WIPEONFORK = 0x2000000;
export const VM_DONTDUMP = 0x4000000;
export const VM_SOFTDIRTY = 0x8000000;
export const VM_MIXEDMAP = 0x10000000;
export const VM_HUGEPAGE = 0x20000000;
export const VM_NOHUGEPAGE = 0x40000000;
export const VM_MERGEABLE = 0x80000000 | 0;

/** Flags that neighbours need not share to be merged: what comes of them has all. */
export const VM_STICKY = VM_SOFTDIRTY | VM_MAYBE_GUARD;
export const VM_ACCESS_FLAGS = VM_READ | VM_WRITE | VM_EXEC;
/** Mappings that are never merged nor expanded. */
export const VM_SPECIAL = VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP;
export const VM_UFFD_MASK = VM_UFFD_MISSING | VM_UFFD_WP | VM_UFFD_MINOR;
export const VM_LOCKED_MASK = VM_LOCKED | VM_LOCKONFAULT;

export class Vma {
  start: number;
  end: number;
  flags: number;
  /** Page offset in the file; for anonymous memory the page number where it was made. */
  pgoff: number;
  readonly mm: Mm;
  readonly file: File | null;
  /** Name of a mapping that the kernel itself made: `[vdso]`, `[vvar]`; else empty. */
  readonly special: string;
  /** The family that pages written here belong to; null before the first. */
  anonVma: AnonVma | null = null;
  /** Who is told of its faults (userfaultfd.ts); null for nobody. */
  uffd: Userfaultfd | null = null;
  /** What swap's read-ahead remembers; null before its first. */
  swapRa: SwapReadAhead | null = null;
  /** Every family that pages mapped here may belong to: its own and its ancestors'. */
  readonly anonVmaChain: AnonVma[] = [];
  /** Its vm_area_struct, and an anon_vma_chain for each family. */
  object = 0 as PhysAddr;
  readonly chainObjects: PhysAddr[] = [];

  constructor(
    mm: Mm,
    start: number,
    end: number,
    flags: number,
    pgoff: number,
    file: File | null,
    special = '',
  ) {
    this.mm = mm;
    this.start = start;
    this.end = end;
    this.flags = flags;
    this.pgoff = pgoff;
    this.file = file;
    this.special = special;
  }

  /** Length in pages. */
  get pages(): number {
    return (this.end - this.start) / PAGE_SIZE;
  }

  /** Private memory with nothing behind it (vma_is_anonymous()). */
  get isAnonymous(): boolean {
    return this.file === null && this.special === '';
  }

  /** Page offset, in the file or in the anonymous numbering, of an address. */
  indexOf(va: number): number {
    return this.pgoff + Math.floor((va - this.start) / PAGE_SIZE);
  }

  /** Lowest address that others must keep off: 1 MiB below a mapping that grows down. */
  get startGap(): number {
    if ((this.flags & VM_GROWSDOWN) === 0) return this.start;
    return Math.max(0, this.start - STACK_GUARD_GAP);
  }
}

/** Bytes kept free below a mapping that grows down: 256 pages (stack_guard_gap). */
export const STACK_GUARD_GAP = 256 * PAGE_SIZE;

/** True for a private mapping that may be written: its pages are copied on write. */
export function isCowMapping(flags: number): boolean {
  return (flags & (VM_SHARED | VM_MAYWRITE)) === VM_MAYWRITE;
}

/** VM_READ, VM_WRITE, VM_EXEC of PROT_* bits. */
export function vmFlagsOfProt(prot: number): number {
  return (
    ((prot & PROT_READ) !== 0 ? VM_READ : 0) |
    ((prot & PROT_WRITE) !== 0 ? VM_WRITE : 0) |
    ((prot & PROT_EXEC) !== 0 ? VM_EXEC : 0)
  );
}

/** `rwxp` as /proc/PID/maps shows it. */
export function permsOf(flags: number): string {
  return (
    ((flags & VM_READ) !== 0 ? 'r' : '-') +
    ((flags & VM_WRITE) !== 0 ? 'w' : '-') +
    ((flags & VM_EXEC) !== 0 ? 'x' : '-') +
    ((flags & VM_MAYSHARE) !== 0 ? 's' : 'p')
  );
}
