// A chunk of glibc's malloc, as it lies in memory.
//
//     chunk -> | prev_size (only if the chunk before is free)   |
//              | size, a multiple of 16         | A | M | P |    |
//       mem -> | user data, or if free: fd                      |
//              |                        bk                      |
//              |                        fd_nextsize  (large only)|
//              |                        bk_nextsize              |
//     next  -> | prev_size of the next chunk is our last 8 bytes |
//
// P (1): the chunk before is in use. M (2): a mapping of its own. A (4): not the main arena (never
// here: one thread, one arena). Source: glibc 2.36 malloc/malloc.c, struct malloc_chunk.

import type { Memory } from '../memory.ts';

export const PREV_INUSE = 1;
export const IS_MMAPPED = 2;
export const SIZE_SZ = 8;
export const MINSIZE = 32;
export const MALLOC_ALIGN = 16;
export const PAGESIZE = 4096;

/** Chunk size for a request in bytes. */
export function request2size(bytes: number): number {
  const padded = bytes + SIZE_SZ + MALLOC_ALIGN - 1;
  return Math.max(MINSIZE, padded - (padded % MALLOC_ALIGN));
}

export function alignUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

/** Loads and stores of a chunk's fields. A chunk is named by its address. */
export class Chunks {
  readonly mem: Memory;
  constructor(mem: Memory) {
    this.mem = mem;
  }
  /** The size word with its flags. */
  head(p: number): number {
    return this.mem.load64(p + 8);
  }
  setHead(p: number, head: number): void {
    this.mem.store64(p + 8, head);
  }
  size(p: number): number {
    const head = this.mem.load64(p + 8);
    return head - (head & 7);
  }
  prevInuse(p: number): boolean {
    return (this.mem.load32(p + 8) & PREV_INUSE) !== 0;
  }
  isMmapped(p: number): boolean {
    return (this.mem.load32(p + 8) & IS_MMAPPED) !== 0;
  }
  prevSize(p: number): number {
    return this.mem.load64(p);
  }
  /** Writes the size behind a free chunk. */
  setFoot(p: number, size: number): void {
    this.mem.store64(p + size, size);
  }
  /** Whether the chunk at p, `size` bytes long, is in use: its successor says so. */
  inuse(p: number, size: number): boolean {
    return this.prevInuse(p + size);
  }
  setPrevInuse(p: number, value: boolean): void {
    const word = this.mem.load32(p + 8);
    this.mem.store32(p + 8, value ? word | PREV_INUSE : word & ~PREV_INUSE);
  }
  fd(p: number): number {
    return this.mem.load64(p + 16);
  }
  bk(p: number): number {
    return this.mem.load64(p + 24);
  }
  setFd(p: number, to: number): void {
    this.mem.store64(p + 16, to);
  }
  setBk(p: number, to: number): void {
    this.mem.store64(p + 24, to);
  }
  fdNext(p: number): number {
    return this.mem.load64(p + 32);
  }
  bkNext(p: number): number {
    return this.mem.load64(p + 40);
  }
  setFdNext(p: number, to: number): void {
    this.mem.store64(p + 32, to);
  }
  setBkNext(p: number, to: number): void {
    this.mem.store64(p + 40, to);
  }

  /**
   * A singly linked list's pointer, mangled with its own place ("safe linking"): its own inverse.
   */
  loadProtected(at: number): number {
    const m = this.mem;
    return this.mangle(at, m.load32(at), m.load32(at + 4));
  }
  storeProtected(at: number, value: number): void {
    this.mem.store64(at, this.mangle(at, value | 0, (value / 4294967296) | 0));
  }
  private mangle(at: number, lo: number, hi: number): number {
    const shifted = Math.floor(at / 4096);
    return ((shifted / 4294967296) ^ hi) * 4294967296 + (((shifted | 0) ^ lo) >>> 0);
  }
}
