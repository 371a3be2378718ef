// The thread's cache of glibc's malloc: up to seven freed chunks of each size, never merged.
//
//     +0 counts[64], two bytes each    +128 entries[64], lists threaded through the user data
//
//     entry -> | next, mangled with its own place | key: the address of the cache |
//
// The first block of the heap holds it. A chunk here counts as in use for its neighbours.
// Invariant (check()): a list is as long as its count, at most seven, of one size.
// Source: glibc 2.36 malloc/malloc.c tcache_get(), tcache_put(), tcache_init().

import { assert } from '../../kernel/errors.ts';
import type { Chunks } from './chunk.ts';

const TCACHE_BINS = 64;
const TCACHE_COUNT = 7;
export const TCACHE_BYTES = TCACHE_BINS * 10;

export class Tcache {
  private readonly c: Chunks;
  private base = 0;

  constructor(chunks: Chunks) {
    this.c = chunks;
  }

  get isReady(): boolean {
    return this.base !== 0;
  }
  /** Starts with a block of TCACHE_BYTES. */
  init(block: number): void {
    assert(block !== 0, 'malloc: the heap has room for the first block');
    this.base = block;
    this.c.mem.zero(block, TCACHE_BYTES);
  }

  private count(index: number): number {
    return this.c.mem.load16(this.base + 2 * index);
  }
  private setCount(index: number, n: number): void {
    this.c.mem.store16(this.base + 2 * index, n);
  }

  /** Whether a chunk of the size waits; index 0 is 32 bytes, 1 is 48 … */
  has(index: number): boolean {
    return index < TCACHE_BINS && this.count(index) > 0;
  }
  hasRoom(index: number): boolean {
    return this.base !== 0 && index < TCACHE_BINS && this.count(index) < TCACHE_COUNT;
  }

  /** Takes the chunk that was put last. @returns its user data. */
  get(index: number): number {
    const { mem } = this.c;
    const entry = this.base + 2 * TCACHE_BINS + 8 * index;
    const p = mem.load64(entry);
    mem.store64(entry, this.c.loadProtected(p));
    this.setCount(index, this.count(index) - 1);
    mem.store64(p + 8, 0);
    return p;
  }
  put(chunk: number, index: number): void {
    const { mem } = this.c;
    const p = chunk + 16;
    const entry = this.base + 2 * TCACHE_BINS + 8 * index;
    mem.store64(p + 8, this.base); // the key that betrays a double free
    this.c.storeProtected(p, mem.load64(entry));
    mem.store64(entry, p);
    this.setCount(index, this.count(index) + 1);
  }

  /** Throws KernelBug where the invariant does not hold. */
  check(): void {
    if (this.base === 0) return;
    for (let i = 0; i < TCACHE_BINS; i++) {
      let length = 0;
      let p = this.c.mem.load64(this.base + 2 * TCACHE_BINS + 8 * i);
      for (; p !== 0; p = this.c.loadProtected(p)) {
        assert(this.c.size(p - 16) === (i + 2) * 16, 'a tcache list holds one size');
        assert(++length <= TCACHE_COUNT, 'a tcache list is not longer than seven');
      }
      assert(length === this.count(i), 'a tcache list is as long as its count');
    }
  }
}
