// The bins of glibc's main arena: lists of free chunks by size.
//
//     fastbins   10 lists of one size each (32 … 128 bytes), last in first out, never merged
//     bin 1      unsorted: what was freed or split off, sorted into the others by the next malloc
//     bins 2-63  small: one size each (32 … 1008), doubly linked, first in first out
//     bins 64-126 large: ranges of sizes, largest first; chunks of new sizes are also linked to
//                each other by fd_nextsize and bk_nextsize
//     binmap     a bit for each bin that may hold something
//
// Bin i is a pair of pointers that pretends to be the fd and bk of a chunk 16 bytes before, so a
// list is a ring with the bin as its head. malloc_state in memory, from glibc 2.36 malloc/malloc.c:
//
//     +0 mutex, flags   +8 have_fastchunks   +16 fastbinsY[10]   +96 top   +104 last_remainder
//     +112 bins[254]    +2144 binmap[4]      +2160 … system_mem

import { assert } from '../../kernel/errors.ts';
import { type Chunks, MINSIZE, PREV_INUSE } from './chunk.ts';

export const MALLOC_STATE_BYTES = 2200;
const MIN_LARGE_SIZE = 1024;
export const NBINS = 128;
const NFASTBINS = 10;
const MAX_FAST = 128;

export class Bins {
  readonly chunks: Chunks;
  /** Address of struct malloc_state. */
  readonly state: number;

  constructor(chunks: Chunks, state: number) {
    this.chunks = chunks;
    this.state = state;
    for (let i = 1; i < NBINS; i++) {
      const bin = this.binAt(i);
      chunks.setFd(bin, bin);
      chunks.setBk(bin, bin);
    }
    this.top = this.binAt(1); // initial_top: a chunk of size 0 that is never used
  }

  get top(): number {
    return this.chunks.mem.load64(this.state + 96);
  }
  set top(p: number) {
    this.chunks.mem.store64(this.state + 96, p);
  }
  get lastRemainder(): number {
    return this.chunks.mem.load64(this.state + 104);
  }
  set lastRemainder(p: number) {
    this.chunks.mem.store64(this.state + 104, p);
  }
  get haveFastChunks(): boolean {
    return this.chunks.mem.load32(this.state + 8) !== 0;
  }
  set haveFastChunks(value: boolean) {
    this.chunks.mem.store32(this.state + 8, value ? 1 : 0);
  }
  get systemMem(): number {
    return this.chunks.mem.load64(this.state + 2160);
  }
  set systemMem(bytes: number) {
    this.chunks.mem.store64(this.state + 2160, bytes);
  }

  /** The pretended chunk of bin i, 1..126. */
  binAt(i: number): number {
    return this.state + 112 + (i - 1) * 16 - 16;
  }

  isSmall(size: number): boolean {
    return size < MIN_LARGE_SIZE;
  }

  /** The bin for chunks of a size. */
  indexOf(size: number): number {
    if (size < MIN_LARGE_SIZE) return size / 16;
    const s6 = Math.floor(size / 64);
    if (s6 <= 48) return 48 + s6;
    const s9 = Math.floor(size / 512);
    if (s9 <= 20) return 91 + s9;
    const s12 = Math.floor(size / 4096);
    if (s12 <= 10) return 110 + s12;
    const s15 = Math.floor(size / 32768);
    if (s15 <= 4) return 119 + s15;
    const s18 = Math.floor(size / 262144);
    return s18 <= 2 ? 124 + s18 : 126;
  }

  mark(i: number): void {
    const at = this.state + 2144 + (i >> 5) * 4;
    this.chunks.mem.store32(at, this.chunks.mem.load32(at) | (1 << (i & 31)));
  }
  unmark(i: number): void {
    const at = this.state + 2144 + (i >> 5) * 4;
    this.chunks.mem.store32(at, this.chunks.mem.load32(at) & ~(1 << (i & 31)));
  }
  /** The next marked bin at or above i, or 0. */
  nextMarked(i: number): number {
    for (let word = i >> 5; word < 4; word++) {
      let bits = this.chunks.mem.load32(this.state + 2144 + word * 4);
      if (word === i >> 5) bits &= -1 << (i & 31);
      if (bits !== 0) return word * 32 + 31 - Math.clz32(bits & -bits);
    }
    return 0;
  }

  /** Inserts p behind `after` in a ring. */
  linkAfter(p: number, after: number): void {
    const c = this.chunks;
    const next = c.fd(after);
    c.setBk(p, after);
    c.setFd(p, next);
    c.setBk(next, p);
    c.setFd(after, p);
  }

  /** Takes a chunk out of its bin. */
  unlink(p: number): void {
    const c = this.chunks;
    const size = c.size(p);
    const fd = c.fd(p);
    const bk = c.bk(p);
    assert(c.prevSize(p + size) === size, 'unlink: corrupted size vs. prev_size');
    assert(c.bk(fd) === p && c.fd(bk) === p, 'unlink: corrupted double-linked list');
    c.setBk(fd, bk);
    c.setFd(bk, fd);
    if (this.isSmall(size) || c.fdNext(p) === 0) return;
    const fdNext = c.fdNext(p);
    const bkNext = c.bkNext(p);
    if (c.fdNext(fd) === 0) {
      // fd has our size and takes our place among the sizes
      if (fdNext === p) {
        c.setFdNext(fd, fd);
        c.setBkNext(fd, fd);
      } else {
        c.setFdNext(fd, fdNext);
        c.setBkNext(fd, bkNext);
        c.setBkNext(fdNext, fd);
        c.setFdNext(bkNext, fd);
      }
    } else {
      c.setBkNext(fdNext, bkNext);
      c.setFdNext(bkNext, fdNext);
    }
  }

  /** Puts a free chunk at the front of the unsorted list. */
  linkUnsorted(p: number, size: number): void {
    if (!this.isSmall(size)) {
      this.chunks.setFdNext(p, 0);
      this.chunks.setBkNext(p, 0);
    }
    this.linkAfter(p, this.binAt(1));
  }

  /** Sorts a chunk into its small or large bin. */
  sortIn(victim: number, size: number): void {
    const c = this.chunks;
    const i = this.indexOf(size);
    let bk = this.binAt(i);
    let fd = c.fd(bk);
    if (!this.isSmall(size)) {
      if (fd !== bk) {
        if (size < c.size(c.bk(bk))) {
          // the smallest of all: at the end, before the head of the ring
          fd = bk;
          bk = c.bk(bk);
          const first = c.fd(fd);
          c.setFdNext(victim, first);
          c.setBkNext(victim, c.bkNext(first));
          c.setFdNext(c.bkNext(first), victim);
          c.setBkNext(first, victim);
        } else {
          while (size < c.size(fd)) fd = c.fdNext(fd);
          if (size === c.size(fd)) {
            fd = c.fd(fd); // second of its size, outside the list of sizes
            c.setFdNext(victim, 0);
            c.setBkNext(victim, 0);
          } else {
            c.setFdNext(victim, fd);
            c.setBkNext(victim, c.bkNext(fd));
            c.setFdNext(c.bkNext(fd), victim);
            c.setBkNext(fd, victim);
          }
          bk = c.bk(fd);
        }
      } else {
        c.setFdNext(victim, victim);
        c.setBkNext(victim, victim);
      }
    }
    this.mark(i);
    c.setBk(victim, bk);
    c.setFd(victim, fd);
    c.setBk(fd, victim);
    c.setFd(bk, victim);
  }

  /** The smallest chunk of the bins that is large enough. */
  takeBest(nb: number): number {
    const c = this.chunks;
    let i = this.indexOf(nb);
    if (!this.isSmall(nb)) {
      const bin = this.binAt(i);
      const first = c.fd(bin);
      if (first !== bin && c.size(first) >= nb) {
        let victim = c.bkNext(first);
        while (c.size(victim) < nb) victim = c.bkNext(victim);
        // The second of a size leaves the list of sizes alone.
        if (victim !== c.bk(bin) && c.size(victim) === c.size(c.fd(victim))) victim = c.fd(victim);
        return this.takeFrom(victim, nb, false);
      }
    }
    for (i = this.nextMarked(i + 1); i !== 0; i = this.nextMarked(i + 1)) {
      const bin = this.binAt(i);
      const victim = c.bk(bin);
      if (victim !== bin) return this.takeFrom(victim, nb, this.isSmall(nb));
      this.unmark(i);
    }
    return 0;
  }

  private takeFrom(victim: number, nb: number, isLast: boolean): number {
    const c = this.chunks;
    const size = c.size(victim);
    this.unlink(victim);
    if (size - nb < MINSIZE) c.setPrevInuse(victim + size, true);
    else {
      const remainder = this.split(victim, size, nb);
      this.linkAfter(remainder, this.binAt(1));
      if (isLast) this.lastRemainder = remainder;
      this.clearSizes(remainder, size - nb);
    }
    return victim + 16;
  }

  /** Cuts nb bytes off the front of a free chunk; @returns the rest, with head and foot set. */
  split(victim: number, size: number, nb: number): number {
    const c = this.chunks;
    const remainder = victim + nb;
    c.setHead(victim, nb + PREV_INUSE);
    c.setHead(remainder, size - nb + PREV_INUSE);
    c.setFoot(remainder, size - nb);
    return remainder;
  }

  /** A large remainder has no place among the sizes yet. */
  clearSizes(p: number, size: number): void {
    if (this.isSmall(size)) return;
    this.chunks.setFdNext(p, 0);
    this.chunks.setBkNext(p, 0);
  }

  /** Address of the fast list for a chunk size, 0 if the size has none. */
  fastbin(size: number): number {
    return size <= MAX_FAST ? this.state + 16 + (size / 16 - 2) * 8 : 0;
  }

  popFast(list: number): number {
    const c = this.chunks;
    const p = c.mem.load64(list);
    if (p !== 0) c.mem.store64(list, c.loadProtected(p + 16));
    return p;
  }

  pushFast(list: number, p: number): void {
    const c = this.chunks;
    c.storeProtected(p + 16, c.mem.load64(list));
    c.mem.store64(list, p);
    this.haveFastChunks = true;
  }

  /** Merges all fast chunks with their neighbours, into the unsorted list or top. */
  consolidate(): void {
    const c = this.chunks;
    this.haveFastChunks = false;
    for (let i = 0; i < NFASTBINS; i++) {
      const list = this.state + 16 + i * 8;
      let p = c.mem.load64(list);
      c.mem.store64(list, 0);
      while (p !== 0) {
        const next = c.loadProtected(p + 16);
        this.release(p, c.size(p));
        p = next;
      }
    }
  }

  /** Merges a chunk with free neighbours; @returns the size of what came of it. */
  release(p: number, size: number): number {
    const c = this.chunks;
    const next = p + size;
    const nextSize = c.size(next);
    if (!c.prevInuse(p)) {
      const before = c.prevSize(p);
      p -= before;
      size += before;
      this.unlink(p);
    }
    if (next === this.top) {
      size += nextSize;
      c.setHead(p, size + PREV_INUSE);
      this.top = p;
      return size;
    }
    if (c.inuse(next, nextSize)) c.setPrevInuse(next, false);
    else {
      this.unlink(next);
      size += nextSize;
    }
    this.linkUnsorted(p, size);
    c.setHead(p, size + PREV_INUSE);
    c.setFoot(p, size);
    return size;
  }

  /** Throws KernelBug where chunks do not tile [first, end) or a list is broken. O(chunks). */
  check(first: number, end: number): void {
    const c = this.chunks;
    const free = new Set<number>();
    for (let p = first, wasFree = false; p < end; p += c.size(p)) {
      const size = c.size(p);
      assert(size >= 16 && p + size <= end, `chunk ${p}: size ${size}`);
      if (p === this.top) {
        assert(p + size === end, 'top reaches to the end of the heap');
        break;
      }
      const isFree = !c.inuse(p, size);
      if (isFree) {
        assert(!wasFree, `chunk ${p}: two free chunks in a row`);
        assert(c.prevSize(p + size) === size, `chunk ${p}: its foot tells its size`);
        free.add(p);
      }
      wasFree = isFree;
    }
    let listed = 0;
    for (let i = 1; i < NBINS - 1; i++) {
      const bin = this.binAt(i);
      for (let p = c.fd(bin); p !== bin; p = c.fd(p)) {
        assert(free.has(p), `chunk ${p} in bin ${i} is free`);
        assert(i === 1 || this.indexOf(c.size(p)) === i, `chunk ${p} is in the bin of its size`);
        assert(++listed <= free.size, 'no bin has a cycle');
      }
    }
    assert(listed === free.size, 'every free chunk is in a bin');
  }
}
