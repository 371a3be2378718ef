// glibc's malloc as one thread of CPython meets it: blocks above 512 bytes, and the raw domain.
//
//     request ──> tcache (7 of each size up to 1032 bytes, no merging)
//        │ miss
//        ├──> fastbins, small bins, unsorted chunks sorted on the way, large bins  (bins.ts)
//        ├──> top, the chunk that ends at the program break
//        └──> the kernel: a mapping of its own from mmap_threshold up, else brk grows top
//
// The threshold is dynamic: freeing a mapping of up to 32 MiB raises mmap_threshold to its size and
// trim_threshold to twice that, so a program that reuses large blocks stops going to the kernel.
// When a free leaves more than trim_threshold in top, all but top_pad goes back by brk.
//
// Invariants (check()): chunks tile the heap from its first byte to the break; each free chunk is
// in one bin; a tcache list is as long as its count.
// Source: glibc 2.36 malloc/malloc.c _int_malloc(), _int_free(), _int_realloc(), sysmalloc(),
// systrim(). Not modelled: further arenas (threads), mallopt, huge pages, a break that other code
// of the process moves.

import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MREMAP_MAYMOVE,
  PROT_READ,
  PROT_WRITE,
} from '../../userspace/mman.ts';
import type { Memory } from '../memory.ts';
import { Bins, MALLOC_STATE_BYTES } from './bins.ts';
import {
  alignUp,
  Chunks,
  IS_MMAPPED,
  MINSIZE,
  PAGESIZE,
  PREV_INUSE,
  request2size,
  SIZE_SZ,
} from './chunk.ts';
import { Tcache, TCACHE_BYTES } from './tcache.ts';

const DEFAULT_THRESHOLD = 128 * 1024;
const MAX_THRESHOLD = 32 * 1024 * 1024;
const TOP_PAD = 128 * 1024;
const CONSOLIDATION_THRESHOLD = 65536;

export class Malloc {
  /** Bytes that mappings of their own hold, and how many there are. */
  mmappedBytes = 0;
  mmaps = 0;
  mmapThreshold = DEFAULT_THRESHOLD;
  trimThreshold = DEFAULT_THRESHOLD;
  private readonly mem: Memory;
  private readonly c: Chunks;
  private readonly bins: Bins;
  private readonly tcache: Tcache;
  /** First byte of the heap, and the break; 0 before the first brk. */
  private heapStart = 0;
  private heapEnd = 0;

  /** @param state where struct malloc_state lies: MALLOC_STATE_BYTES zeros in libc's data. */
  constructor(mem: Memory, state: number) {
    this.mem = mem;
    this.c = new Chunks(mem);
    this.bins = new Bins(this.c, state);
    this.tcache = new Tcache(this.c);
  }

  static readonly stateBytes = MALLOC_STATE_BYTES;

  /** Bytes between the heap's start and the break. */
  get heapBytes(): number {
    return this.heapEnd - this.heapStart;
  }

  /** @returns a block of at least `bytes`, or 0. */
  malloc(bytes: number): number {
    if (!this.tcache.isReady) this.tcache.init(this.intMalloc(request2size(TCACHE_BYTES)));
    const nb = request2size(bytes);
    const index = nb / 16 - 2;
    if (this.tcache.has(index)) return this.tcache.get(index);
    return this.intMalloc(nb);
  }

  /** Zeroed; takes nothing from the tcache, as glibc's calloc does not. */
  calloc(count: number, bytes: number): number {
    if (!this.tcache.isReady) this.tcache.init(this.intMalloc(request2size(TCACHE_BYTES)));
    const oldTop = this.bins.top;
    const oldTopSize = this.heapStart === 0 ? 0 : this.c.size(oldTop);
    const p = this.intMalloc(request2size(count * bytes));
    if (p === 0) return 0;
    const chunk = p - 16;
    if (this.c.isMmapped(chunk)) return p; // fresh from the kernel
    let dirty = this.c.size(chunk) - SIZE_SZ;
    // What brk has just added is zeros, too.
    if (chunk === oldTop && dirty + SIZE_SZ > oldTopSize) dirty = Math.max(0, oldTopSize - SIZE_SZ);
    this.mem.zero(p, dirty);
    return p;
  }

  free(p: number): void {
    if (p === 0) return;
    const chunk = p - 16;
    if (this.c.isMmapped(chunk)) this.freeMapping(chunk);
    else this.intFree(chunk);
  }

  /** Resizes in place where the neighbours allow it; else moves. */
  realloc(p: number, bytes: number): number {
    if (p === 0) return this.malloc(bytes);
    if (bytes === 0) {
      this.free(p);
      return 0;
    }
    const nb = request2size(bytes);
    const chunk = p - 16;
    if (!this.c.isMmapped(chunk)) return this.intRealloc(chunk, nb);
    const size = this.c.size(chunk);
    const moved = this.remap(chunk, nb);
    if (moved !== 0) return moved;
    if (size - SIZE_SZ >= nb) return p;
    return this.moveTo(chunk, this.malloc(bytes), size - 16);
  }

  // malloc -----------------------------------------------------------------------------------

  private intMalloc(nb: number): number {
    const { bins, c } = this;
    const index = nb / 16 - 2;
    const fast = bins.fastbin(nb);
    if (fast !== 0) {
      const p = bins.popFast(fast);
      if (p !== 0) {
        while (this.tcache.hasRoom(index)) {
          const more = bins.popFast(fast);
          if (more === 0) break;
          this.tcache.put(more, index);
        }
        return p + 16;
      }
    }
    if (bins.isSmall(nb)) {
      const p = this.takeSmall(nb, index);
      if (p !== 0) return p;
    } else if (bins.haveFastChunks) bins.consolidate();
    for (;;) {
      const found = this.sortUnsorted(nb, index);
      if (found !== 0) return found;
      const fit = bins.takeBest(nb);
      if (fit !== 0) return fit;
      const top = bins.top;
      const topSize = this.heapStart === 0 ? 0 : c.size(top);
      if (topSize >= nb + MINSIZE) return this.cutTop(nb);
      if (!bins.haveFastChunks) return this.sysMalloc(nb);
      bins.consolidate();
    }
  }

  private takeSmall(nb: number, index: number): number {
    const { bins, c } = this;
    const bin = bins.binAt(nb / 16);
    const take = (): number => {
      const p = c.bk(bin);
      if (p === bin) return 0;
      c.setPrevInuse(p + nb, true);
      const bk = c.bk(p);
      c.setBk(bin, bk);
      c.setFd(bk, bin);
      return p;
    };
    const victim = take();
    if (victim === 0) return 0;
    while (this.tcache.hasRoom(index)) {
      const more = take();
      if (more === 0) break;
      this.tcache.put(more, index);
    }
    return victim + 16;
  }

  /** Sorts the unsorted chunks into bins, oldest first; takes one that fits exactly. */
  private sortUnsorted(nb: number, index: number): number {
    const { bins, c } = this;
    const unsorted = bins.binAt(1);
    let cached = false;
    for (let steps = 0; steps < 10000; steps++) {
      const victim = c.bk(unsorted);
      if (victim === unsorted) break;
      const bk = c.bk(victim);
      const size = c.size(victim);
      const isLastRemainder = victim === bins.lastRemainder && bk === unsorted;
      if (bins.isSmall(nb) && isLastRemainder && size > nb + MINSIZE) {
        const remainder = bins.split(victim, size, nb);
        c.setBk(unsorted, remainder);
        c.setFd(unsorted, remainder);
        c.setFd(remainder, unsorted);
        c.setBk(remainder, unsorted);
        bins.lastRemainder = remainder;
        bins.clearSizes(remainder, size - nb);
        return victim + 16;
      }
      c.setBk(unsorted, bk);
      c.setFd(bk, unsorted);
      if (size !== nb) {
        bins.sortIn(victim, size);
        continue;
      }
      c.setPrevInuse(victim + size, true);
      if (!this.tcache.hasRoom(index)) return victim + 16;
      this.tcache.put(victim, index);
      cached = true;
    }
    return cached ? this.tcache.get(index) : 0;
  }

  private cutTop(nb: number): number {
    const { bins, c } = this;
    const top = bins.top;
    const size = c.size(top);
    bins.top = top + nb;
    c.setHead(top, nb + PREV_INUSE);
    c.setHead(top + nb, size - nb + PREV_INUSE);
    return top + 16;
  }

  private sysMalloc(nb: number): number {
    if (nb >= this.mmapThreshold) {
      const p = this.mapChunk(nb);
      if (p !== 0) return p;
    }
    const { bins, c } = this;
    const oldSize = this.heapStart === 0 ? 0 : c.size(bins.top);
    const size = alignUp(nb + TOP_PAD + MINSIZE - oldSize, PAGESIZE);
    if (!this.growHeap(size)) return this.mapChunk(nb);
    return this.cutTop(nb);
  }

  private growHeap(size: number): boolean {
    const { bins, c, mem } = this;
    if (this.heapStart === 0) {
      this.heapStart = alignUp(mem.brk(0), PAGESIZE);
      this.heapEnd = this.heapStart;
    }
    const end = this.heapEnd + size;
    if (mem.brk(end) !== end) return false;
    if (this.heapEnd === this.heapStart) bins.top = this.heapStart;
    this.heapEnd = end;
    bins.systemMem = end - this.heapStart;
    c.setHead(bins.top, end - bins.top + PREV_INUSE);
    return true;
  }

  private mapChunk(nb: number): number {
    const size = alignUp(nb + SIZE_SZ, PAGESIZE);
    const prot = PROT_READ | PROT_WRITE;
    const p = this.mem.mmap(0, size, prot, MAP_PRIVATE | MAP_ANONYMOUS);
    if (p <= 0) return 0;
    this.c.setHead(p, size + IS_MMAPPED);
    this.mmaps++;
    this.mmappedBytes += size;
    return p + 16;
  }

  // free -------------------------------------------------------------------------------------

  private freeMapping(chunk: number): void {
    const size = this.c.size(chunk);
    if (size > this.mmapThreshold && size <= MAX_THRESHOLD) {
      this.mmapThreshold = size;
      this.trimThreshold = 2 * size;
    }
    this.mmaps--;
    this.mmappedBytes -= size;
    this.mem.munmap(chunk, size);
  }

  private intFree(chunk: number): void {
    const { bins, c } = this;
    const size = c.size(chunk);
    const index = size / 16 - 2;
    if (this.tcache.hasRoom(index)) {
      this.tcache.put(chunk, index);
      return;
    }
    const fast = bins.fastbin(size);
    if (fast !== 0) {
      bins.pushFast(fast, chunk);
      return;
    }
    const merged = bins.release(chunk, size);
    if (merged < CONSOLIDATION_THRESHOLD) return;
    if (bins.haveFastChunks) bins.consolidate();
    if (c.size(bins.top) >= this.trimThreshold) this.trim(TOP_PAD);
  }

  /** systrim(): gives whole pages at the end of top back, but for `pad` bytes. */
  private trim(pad: number): void {
    const { bins, c } = this;
    const size = c.size(bins.top);
    const area = size - MINSIZE - 1;
    if (area <= pad) return;
    const extra = Math.floor((area - pad) / PAGESIZE) * PAGESIZE;
    if (extra === 0) return;
    this.heapEnd = this.mem.brk(this.heapEnd - extra);
    bins.systemMem = this.heapEnd - this.heapStart;
    c.setHead(bins.top, this.heapEnd - bins.top + PREV_INUSE);
  }

  // realloc ----------------------------------------------------------------------------------

  private remap(chunk: number, nb: number): number {
    const size = this.c.size(chunk);
    const wanted = alignUp(nb + SIZE_SZ, PAGESIZE);
    if (wanted === size) return chunk + 16;
    const moved = this.mem.mremap(chunk, size, wanted, MREMAP_MAYMOVE);
    if (moved <= 0) return 0;
    this.c.setHead(moved, wanted + IS_MMAPPED);
    this.mmappedBytes += wanted - size;
    return moved + 16;
  }

  private intRealloc(chunk: number, nb: number): number {
    const { bins, c } = this;
    const oldSize = c.size(chunk);
    let size = oldSize;
    if (oldSize < nb) {
      const next = chunk + oldSize;
      const nextSize = c.size(next);
      if (next === bins.top && oldSize + nextSize >= nb + MINSIZE) {
        c.setHead(chunk, nb + (c.head(chunk) & PREV_INUSE));
        bins.top = chunk + nb;
        c.setHead(chunk + nb, oldSize + nextSize - nb + PREV_INUSE);
        return chunk + 16;
      }
      if (next !== bins.top && !c.inuse(next, nextSize) && oldSize + nextSize >= nb) {
        size = oldSize + nextSize;
        bins.unlink(next);
      } else {
        const p = this.intMalloc(nb); // past the tcache
        if (p === 0 || p - 16 !== next) return this.moveTo(chunk, p, oldSize - SIZE_SZ);
        size = oldSize + c.size(next);
      }
    }
    const flags = c.head(chunk) & PREV_INUSE;
    if (size - nb < MINSIZE) {
      c.setHead(chunk, size + flags);
      c.setPrevInuse(chunk + size, true);
    } else {
      const remainder = chunk + nb;
      c.setHead(chunk, nb + flags);
      c.setHead(remainder, size - nb + PREV_INUSE);
      c.setPrevInuse(remainder + size - nb, true);
      this.intFree(remainder);
    }
    return chunk + 16;
  }

  private moveTo(chunk: number, p: number, bytes: number): number {
    if (p === 0) return 0;
    this.mem.copy(p, chunk + 16, bytes);
    this.free(chunk + 16);
    return p;
  }

  /** Throws KernelBug where an invariant does not hold. O(chunks). */
  check(): void {
    if (this.heapStart === 0) return;
    this.bins.check(this.heapStart, this.heapEnd);
    this.tcache.check();
  }
}
