// A processor (P) and its cache: one span of each class to allocate from, without a lock.
//
// A span in the cache is charged whole to the live heap when it comes (less what was in use), and
// what was not used is credited when it leaves before a collection sweeps it.
//
//   alloc[spanclass] = the span in use     tiny, tinyoffset = the current block of tiny objects
//
// Source: Go 1.26.8 src/runtime/mcache.go, runtime2.go (p), mprof.go (nextSample).

import { assert } from '../../kernel/errors.ts';
import type { Central } from './mcentral.ts';
import type { Heap } from './mheap.ts';
import { PageCache } from './mpagecache.ts';
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
  private readonly central: readonly Central[];
  private readonly stats: AllocStats;
  private readonly live: LiveCounter;

  constructor(
    id: number,
    heap: Heap,
    central: readonly Central[],
    stats: AllocStats,
    live: LiveCounter,
  ) {
    this.id = id;
    this.heap = heap;
    this.central = central;
    this.stats = stats;
    this.live = live;
    this.alloc = new Int32Array(central.length);
    this.record = heap.cacheAlloc.alloc();
    this.flushGen = heap.sweepgen;
  }

  /** Exchanges the full span of a class for one with a free slot. */
  refill(spc: number): void {
    const { spans, sweepgen } = this.heap;
    const old = this.alloc[spc];
    assert(spans.allocCount[old] === spans.nelems[old], 'refill of span with free space remaining');
    this.stats.refills++;
    if (old !== 0) {
      assert(spans.sweepgen[old] === sweepgen + 3, 'bad sweepgen in refill');
      this.central[spc].uncacheSpan(old);
      this.countUse(old, spc);
      if (spc === TINY_SPAN_CLASS) this.flushTinyCount();
    }
    const s = this.central[spc].cacheSpan(this);
    spans.sweepgen[s] = this.heap.sweepgen + 3;
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
    this.central[spc].fullSwept.push(s);
    return s;
  }

  /** Gives all spans back to the central lists, and the tiny block up. */
  releaseAll(): void {
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

/** Span class of 16-byte slots without pointers (class 2 in every profile). */
export const TINY_SPAN_CLASS = 5;
