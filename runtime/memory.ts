// A language runtime's only door to memory: loads, stores and system calls of its process.
//
// Every byte of a Go span or a Python pool goes through here, and so through page tables, faults
// and frames. Addresses are VirtAddr numbers of the user half. Words are little-endian. A load or
// store that the kernel refuses throws GuestSignal: a runtime never does that on purpose.
//
// Fast bulk work: touch(va, write) faults the page in and returns the index of va's 32-bit word in
// `words`; word indexes up to the end of that 4 KiB page follow it. The index holds until the next
// system call of the process (a page may have moved or gone after one).

import type { VirtAddr } from '../kernel/types.ts';

/** The kernel refused an access: what the process would get as a signal. */
export class GuestSignal extends Error {
  override readonly name = 'GuestSignal';
}

export interface Memory {
  /** The host's store of RAM as 32-bit words; index with what touch() returns. */
  readonly words: Int32Array;
  /** The same store as bytes: 4 * index of the word. */
  readonly bytes: Uint8Array;
  /** One number, which changes whenever an index that touch() gave may no longer hold: compare it
   * before a kept one is used. */
  readonly moved: Int32Array;
  /** moved[0]. */
  readonly epoch: number;
  /** Makes the page of `va` present (and writable, its entry dirty, if `write`); see above. */
  touch(va: number, write: boolean): number;
  /** touch() of an address in its two words, as a pointer lies in memory. */
  touchWords(lo: number, hi: number, write: boolean): number;

  load8(va: number): number;
  store8(va: number, value: number): void;
  load16(va: number): number;
  store16(va: number, value: number): void;
  /** A signed 32-bit word; `va` is a multiple of 4. */
  load32(va: number): number;
  store32(va: number, value: number): void;
  /** A 64-bit word that holds an address or any integer below 2^53 in magnitude, signed. */
  load64(va: number): number;
  store64(va: number, value: number): void;
  /** Stores zeros, page by page; touches every page of the range. */
  zero(va: number, lengthBytes: number): void;
  /** memmove: the ranges may overlap. */
  copy(to: number, from: number, lengthBytes: number): void;

  /** mmap(2). @returns the address, or -errno. Flags are Linux's numbers (userspace/mman.ts). */
  mmap(addr: number, lengthBytes: number, prot: number, flags: number): VirtAddr | number;
  /** munmap(2), madvise(2), mprotect(2): 0, or -errno. */
  munmap(addr: number, lengthBytes: number): number;
  madvise(addr: number, lengthBytes: number, advice: number): number;
  mprotect(addr: number, lengthBytes: number, prot: number): number;
  /** mremap(2) without a new address. @returns the address, or -errno. */
  mremap(addr: number, oldBytes: number, newBytes: number, flags: number): VirtAddr | number;
  /** brk(2) as the kernel has it: 0 asks; returns the break that holds afterwards. */
  brk(addr: number): VirtAddr | number;
}
