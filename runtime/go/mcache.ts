// A processor (P) and its cache: one span of each class to allocate from, without a lock.
//
// A span in the cache is charged whole to the live heap when it comes (less what was in use), and
// what was not used is credited when it leaves before a collection sweeps it.
//
//   alloc[spanclass] = the span in use     tiny, tinyoffset = the current block of tiny objects
//
// Source: Go 1.26.8 src/runtime/mcache.go, runtime2.go (p), mprof.go (nextSample).

import { assert } from '../../kernel/errors.ts';
import type { CentralList } from './mcentral.ts';
import type { Heap } from './mheap.ts';
import { PageCache } from './mpagecache.ts';
import { ctz } from './pallocbits.ts';
import { PAGE_BYTES } from './sys.ts';

/** Counters that MemStats is made of, by size class; index 0 is large objects. */
export class AllocStats {
  readonly smallAlloc: Float64Array;
  readonly smallFree: Float64Array;
  tinyAllocs = 0;
  largeAlloc = 0;
  largeAllocCount = 0;
  largeFree = 0;
  largeFreeCount = 0;
  /** Bytes of slots and large objects handed out, and freed. */
  totalAlloc = 0;
  totalFree = 0;
  /** Times that a cache exchanged a span; every other small allocation took no lock. */
  refills = 0;

  constructor(classes: number) {
    this.smallAlloc = new Float64Array(classes);
    this.smallFree = new Float64Array(classes);
  }
}

/** What a cache tells the pacer. */
export interface LiveCounter {
  update(liveBytes: number, scanBytes: number): void;
}

export class Proc {
  readonly id: number;
  readonly pcache = new PageCache();
  readonly spanCache: number[] = [];
  /** Cached span by span class; 0 where there is none. */
  readonly alloc: Int32Array;
  /**
   * The cached spans once more, HOT words each, for the allocation that needs nothing else:
   * allocCache lo and hi, freeindex, nelems, start, slot size in heap words, the slot from which on
   * slots need clearing, and how many were taken since load(). One whose first word is 0 is not in
   * use. Slots that follow each other are cleared together, ahead of their allocation.
   */
  readonly hot: Int32Array;
  /** Whether hot may be used: not while marking, or while samples are taken. */
  fast = true;
  /** Heap word of the current tiny block, -1 for none; bytes of it in use. */
  tiny = -1;
  tinyoffset = 0;
  tinyAllocs = 0;
  /** Bytes up to the last pointer, allocated since the last report to the pacer. */
  scanAlloc = 0;
  flushGen = 0;
  /**
   * Bytes of allocation that this processor's goroutine has paid for by marking; negative: debt.
   */
  assistBytes = 0;
  /** Address of the mcache record. */
  readonly record: number;
  /** Bytes until the heap profile takes a sample. */
  nextSample = Infinity;
  private readonly heap: Heap;
  /** What a cached span's sweepgen is ahead of the heap's; go1.9 flushes before it sweeps: 0. */
  private readonly cachedGen: number;
  private readonly central: readonly CentralList[];
  private readonly stats: AllocStats;
  private readonly live: LiveCounter;

  constructor(
    id: number,
    heap: Heap,
    central: readonly CentralList[],
    stats: AllocStats,
    live: LiveCounter,
  ) {
    this.id = id;
    this.heap = heap;
    this.cachedGen = heap.lists === null ? 3 : 0;
    this.central = central;
    this.stats = stats;
    this.live = live;
    this.alloc = new Int32Array(central.length);
    this.hot = new Int32Array(central.length * HOT);
    this.record = heap.cacheAlloc.alloc();
    this.flushGen = heap.sweepgen;
  }

  /** Takes a cached span's state into hot. */
  load(spc: number): void {
    if (!this.fast) return;
    const { spans } = this.heap;
    const s = this.alloc[spc];
    const at = spc * HOT;
    this.hot[at] = spans.cacheLo[s];
    this.hot[at + 1] = spans.cacheHi[s];
    this.hot[at + 2] = spans.freeindex[s];
    this.hot[at + 3] = spans.nelems[s];
    this.hot[at + 4] = spans.start[s];
    this.hot[at + 5] = spans.elemsize[s] / 8;
    this.hot[at + 6] = spans.needzero[s] === 0 ? MAX_SLOT : this.clearRun(s);
    this.hot[at + 7] = 0;
  }

  /** Clears the free slots that follow each other from freeindex on. @returns the slot behind. */
  private clearRun(s: number): number {
    const { spans, sys } = this.heap;
    const lo = ctz(~spans.cacheLo[s]);
    const first = spans.freeindex[s];
    const run = lo < 32 ? lo : 32 + ctz(~spans.cacheHi[s]);
    const end = Math.min(spans.nelems[s], first + run);
    const words = ((end - first) * spans.elemsize[s]) / 8;
    if (words > MAX_CLEAR_WORDS) return 0;
    if (words > 0) sys.zeroWords(spans.slotStart(s, first), words);
    return end;
  }

  /** Writes hot back to the span. */
  sync(spc: number): void {
    const at = spc * HOT;
    const { hot } = this;
    const taken = hot[at + 7];
    hot[at + 7] = 0;
    if (taken > 0) {
      const { spans } = this.heap;
      const s = this.alloc[spc];
      spans.cacheLo[s] = hot[at];
      spans.cacheHi[s] = hot[at + 1];
      spans.freeindex[s] = hot[at + 2];
      spans.freeIndexForScan[s] = hot[at + 2];
      spans.allocCount[s] += taken;
    }
    hot[at] = 0;
  }

  /** Writes all of hot back, and keeps it from being used until `fast` is set again. */
  syncAll(fast: boolean): void {
    for (let spc = 0; spc < this.alloc.length; spc++) this.sync(spc);
    this.fast = fast && this.nextSample === Infinity;
  }

  /** Exchanges the full span of a class for one with a free slot. */
  refill(spc: number): void {
    this.sync(spc);
    const { spans, sweepgen } = this.heap;
    const old = this.alloc[spc];
    assert(spans.allocCount[old] === spans.nelems[old], 'refill of span with free space remaining');
    this.stats.refills++;
    if (old !== 0) {
      assert(spans.sweepgen[old] === sweepgen + this.cachedGen, 'bad sweepgen in refill');
      this.central[spc].uncacheSpan(old);
      this.countUse(old, spc);
      if (spc === TINY_SPAN_CLASS) this.flushTinyCount();
    }
    const s = this.central[spc].cacheSpan(this);
    spans.sweepgen[s] = this.heap.sweepgen + this.cachedGen;
    spans.cachedCount[s] = spans.allocCount[s];
    spans.store(s);
    const used = spans.allocCount[s] * spans.elemsize[s];
    this.live.update(spans.npages[s] * PAGE_BYTES - used, this.scanAlloc);
    this.scanAlloc = 0;
    this.alloc[spc] = s;
  }

  private countUse(s: number, spc: number): void {
    const { spans } = this.heap;
    const slots = spans.allocCount[s] - spans.cachedCount[s];
    this.stats.smallAlloc[spc >> 1] += slots;
    this.stats.totalAlloc += slots * spans.elemsize[s];
    spans.cachedCount[s] = 0;
  }

  private flushTinyCount(): void {
    this.stats.tinyAllocs += this.tinyAllocs;
    this.tinyAllocs = 0;
  }

  /** A span for one object of `bytes`, charged to the live heap at once. */
  allocLarge(bytes: number, noscan: boolean): number {
    const npages = Math.ceil(bytes / PAGE_BYTES);
    const spc = noscan ? 1 : 0;
    this.central[spc].chargeSweep(npages);
    const s = this.heap.alloc(this, npages, spc);
    this.stats.largeAlloc += npages * PAGE_BYTES;
    this.stats.largeAllocCount++;
    this.stats.totalAlloc += npages * PAGE_BYTES;
    this.live.update(npages * PAGE_BYTES, 0);
    this.central[spc].addLarge(s);
    return s;
  }

  /** Gives all spans back to the central lists, and the tiny block up. */
  releaseAll(): void {
    this.syncAll(this.fast);
    const { spans, sweepgen } = this.heap;
    let unused = 0;
    for (let spc = 0; spc < this.alloc.length; spc++) {
      const s = this.alloc[spc];
      if (s === 0) continue;
      this.countUse(s, spc);
      // One that sweeping has yet to see is not part of this cycle's live heap.
      if (spans.sweepgen[s] !== sweepgen + 1)
        unused -= (spans.nelems[s] - spans.allocCount[s]) * spans.elemsize[s];
      this.central[spc].uncacheSpan(s);
      this.alloc[spc] = 0;
    }
    this.tiny = -1;
    this.tinyoffset = 0;
    this.flushTinyCount();
    const scan = this.scanAlloc;
    this.scanAlloc = 0;
    this.live.update(unused, scan);
  }

  /** After a mark: the cache is emptied, once a cycle. */
  prepareForSweep(): void {
    const { sweepgen } = this.heap;
    if (this.flushGen === sweepgen) return;
    assert(this.flushGen === sweepgen - 2, 'bad flushGen in prepareForSweep');
    this.releaseAll();
    this.flushGen = sweepgen;
  }
}

const MAX_SLOT = 0x7fffffff;
/** As much is cleared at once, in heap words. */
const MAX_CLEAR_WORDS = 1024;
/** Words of a class in Proc.hot. */
export const HOT = 8;
/** Span class of 16-byte slots without pointers (class 2 in every profile). */
export const TINY_SPAN_CLASS = 5;
