// A memory with the translations that a runtime used last kept at hand.
//
// The words of an object lie in RAM where touch() says until the epoch changes; between two system
// calls a collector or an allocator asks for the same pages over and over. This memory keeps 65,536
// pages (256 MiB), direct-mapped by page number, so that most questions are answered by two
// compares:
//
//     entry: | page if readable | page if writable | high word | index of the page's first word |
//
// Reads and writes are told apart, so the first write to a page that is only read (shared after a
// fork, or the zero page) still faults. Everything else is the memory's behind it.

import type { VirtAddr } from '../kernel/types.ts';
import type { Memory } from './memory.ts';

const NR_ENTRIES = 65536;
/** Index of an address's entry, from `lo >>> 10`. */
export const ENTRY_MASK = (NR_ENTRIES - 1) * 4;
/** No page starts there. */
const EMPTY = 1;
const HI = 4294967296;

export class CachedMemory implements Memory {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  moved: Int32Array;
  private inner: Memory;
  /** Four words a page, for loops that look themselves; at pageEntry() of an address's low word. */
  readonly entries = new Int32Array(4 * NR_ENTRIES).fill(EMPTY);
  private seen: number;
  /** Which entries were filled since they were last emptied, as far as there is room. */
  private readonly filled = new Int32Array(4096);
  private nrFilled = 0;

  constructor(inner: Memory) {
    this.inner = inner;
    this.words = inner.words;
    this.bytes = inner.bytes;
    this.moved = inner.moved;
    this.seen = inner.moved[0];
  }

  /** Empties the entries if they are stale; for loops in which no system call is made. */
  refresh(): void {
    if (this.moved[0] === this.seen) return;
    this.seen = this.moved[0];
    if (this.nrFilled > this.filled.length) this.entries.fill(EMPTY);
    else for (let i = 0; i < this.nrFilled; i++) this.empty(this.filled[i]);
    this.nrFilled = 0;
  }

  private empty(k: number): void {
    const e = this.entries;
    e[k] = e[k + 1] = EMPTY;
  }

  /**
   * Runs `body` with all accesses answered by `other`, and goes on as before: what was kept at hand
   * is there again. For looking at the process without an effect on it.
   */
  aside<T>(other: Memory, body: () => T): T {
    const { inner, moved, seen } = this;
    const kept = this.entries.slice();
    this.inner = other;
    this.moved = other.moved;
    this.entries.fill(EMPTY);
    try {
      return body();
    } finally {
      this.inner = inner;
      this.moved = moved;
      this.seen = seen;
      this.entries.set(kept);
      this.nrFilled = this.filled.length + 1; // any of them may be in use
    }
  }

  get epoch(): number {
    return this.moved[0];
  }

  touchWords(lo: number, hi: number, write: boolean): number {
    const e = this.entries;
    const k = (lo >>> 10) & ENTRY_MASK;
    const isKnown = e[write ? k + 1 : k] === (lo & -4096) && e[k + 2] === hi;
    if (isKnown && this.moved[0] === this.seen) return e[k + 3] + ((lo >>> 2) & 1023);
    return this.fill(lo, hi, write);
  }
  touch(va: number, write: boolean): number {
    return this.touchWords(va | 0, (va / HI) | 0, write);
  }

  private fill(lo: number, hi: number, write: boolean): number {
    const e = this.entries;
    const at = this.inner.touchWords(lo, hi, write);
    this.refresh();
    const k = (lo >>> 10) & ENTRY_MASK;
    const page = lo & -4096;
    const index = at - ((lo >>> 2) & 1023);
    e[k] = page;
    e[k + 1] = write ? page : EMPTY;
    e[k + 2] = hi;
    e[k + 3] = index;
    if (this.nrFilled < this.filled.length) this.filled[this.nrFilled] = k;
    this.nrFilled++;
    return at;
  }

  load8(va: number): number {
    return this.bytes[this.touch(va, false) * 4 + (va & 3)];
  }
  store8(va: number, value: number): void {
    this.bytes[this.touch(va, true) * 4 + (va & 3)] = value;
  }
  load16(va: number): number {
    const at = this.touch(va, false) * 4 + (va & 3);
    return this.bytes[at] | (this.bytes[at + 1] << 8);
  }
  store16(va: number, value: number): void {
    const at = this.touch(va, true) * 4 + (va & 3);
    this.bytes[at] = value;
    this.bytes[at + 1] = value >>> 8;
  }
  load32(va: number): number {
    return this.words[this.touch(va, false)];
  }
  store32(va: number, value: number): void {
    this.words[this.touch(va, true)] = value;
  }
  load64(va: number): number {
    const at = this.touch(va, false);
    return this.words[at + 1] * HI + (this.words[at] >>> 0);
  }
  store64(va: number, value: number): void {
    const at = this.touch(va, true);
    this.words[at] = value;
    this.words[at + 1] = Math.floor(value / HI);
  }

  zero(va: number, lengthBytes: number): void {
    if ((va & 0xfff) + lengthBytes > 4096 || ((va | lengthBytes) & 3) !== 0) {
      this.inner.zero(va, lengthBytes);
      return;
    }
    const at = this.touch(va, true);
    const end = at + (lengthBytes >>> 2);
    for (let i = at; i < end; i++) this.words[i] = 0;
  }
  copy(to: number, from: number, lengthBytes: number): void {
    this.inner.copy(to, from, lengthBytes);
  }

  mmap(addr: number, lengthBytes: number, prot: number, flags: number): VirtAddr | number {
    return this.inner.mmap(addr, lengthBytes, prot, flags);
  }
  munmap(addr: number, lengthBytes: number): number {
    return this.inner.munmap(addr, lengthBytes);
  }
  madvise(addr: number, lengthBytes: number, advice: number): number {
    return this.inner.madvise(addr, lengthBytes, advice);
  }
  mprotect(addr: number, lengthBytes: number, prot: number): number {
    return this.inner.mprotect(addr, lengthBytes, prot);
  }
  mremap(addr: number, oldBytes: number, newBytes: number, flags: number): VirtAddr | number {
    return this.inner.mremap(addr, oldBytes, newBytes, flags);
  }
  brk(addr: number): VirtAddr | number {
    return this.inner.brk(addr);
  }
}
