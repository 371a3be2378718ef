// All spans of one span class: where processors get spans with free slots and give full ones back.
//
// Four sets: spans with a free slot and spans without, each swept and not yet swept. The swept ones
// of this cycle become the unswept ones of the next without being touched: which set is which
// follows from the heap's sweepgen.
//
//   cacheSpan: partial swept -> partial unswept (sweep it) -> full unswept (sweep it; perhaps a
//   slot is free now) -> a fresh span from the heap. At most 100 spans are swept in vain.
//
// Source: Go 1.26.8 src/runtime/mcentral.go.

import { assert } from '../../kernel/errors.ts';
import { SpanSet } from './mspanset.ts';
import type { Heap, PageUser } from './mheap.ts';
import { PAGE_BYTES } from './sys.ts';

const SPAN_BUDGET = 100;

/** What a central list needs of the sweeper. */
export interface Sweeper {
  /** Sweeps as much as `bytes` of new spans are due, before they are taken. */
  deductCredit(bytes: number, callerPages: number): void;
  /** Takes a span for sweeping, if it still needs it. */
  acquire(s: number): boolean;
  /**
   * Sweeps an acquired span. @param preserve keep it out of all sets. @returns whether it was
   * freed.
   */
  sweep(s: number, preserve: boolean): boolean;
  readonly drained: boolean;
}

/** Spans of a class that are in no cache: with a free slot or without, swept or not. */
export interface CentralCounts {
  readonly partialSwept: number;
  readonly partialUnswept: number;
  readonly fullSwept: number;
  readonly fullUnswept: number;
}

/** The spans of one span class, whichever way they are kept. */
export interface CentralList {
  readonly spanclass: number;
  /** A swept span with a free slot, the caller's alone. */
  cacheSpan(user: PageUser): number;
  /** A large object pays for the sweep before its span is taken. */
  chargeSweep(npages: number): void;
  /** The span of a large object that was just made. */
  addLarge(s: number): void;
  /** A processor gives a span back. */
  uncacheSpan(s: number): void;
  /** A span was swept, `used` slots are left; with none it goes back to the heap. */
  swept(s: number, used: number): void;
  /** A span that may need sweeping, from the full or the partly filled ones; 0 for none. */
  takeUnswept(full: boolean): number;
  /** How many spans there are of each kind. */
  counts(): CentralCounts;
  /** All is swept: the sets of the last cycle are empty. */
  reset(): void;
}

export class Central implements CentralList {
  readonly spanclass: number;
  private readonly heap: Heap;
  private readonly sweeper: Sweeper;
  private readonly bitmaps: { initHeapBits(s: number): void };
  private readonly partial: readonly [SpanSet, SpanSet];
  private readonly full: readonly [SpanSet, SpanSet];

  constructor(
    heap: Heap,
    sweeper: Sweeper,
    bitmaps: { initHeapBits(s: number): void },
    spanclass: number,
  ) {
    this.heap = heap;
    this.sweeper = sweeper;
    this.bitmaps = bitmaps;
    this.spanclass = spanclass;
    this.partial = [new SpanSet(heap.sets), new SpanSet(heap.sets)];
    this.full = [new SpanSet(heap.sets), new SpanSet(heap.sets)];
  }

  private get sweptIndex(): 0 | 1 {
    return (this.heap.sweepgen & 2) === 0 ? 0 : 1;
  }

  private get partialSwept(): SpanSet {
    return this.partial[this.sweptIndex];
  }
  private get partialUnswept(): SpanSet {
    return this.partial[this.sweptIndex === 0 ? 1 : 0];
  }
  private get fullSwept(): SpanSet {
    return this.full[this.sweptIndex];
  }
  private get fullUnswept(): SpanSet {
    return this.full[this.sweptIndex === 0 ? 1 : 0];
  }

  cacheSpan(user: PageUser): number {
    const npages = this.heap.sys.profile.classes.pages[this.spanclass >> 1];
    this.sweeper.deductCredit(npages * PAGE_BYTES, 0);
    this.heap.centralLocks++;
    let s = this.partialSwept.pop();
    if (s === 0) s = this.sweepOne();
    if (s === 0) {
      s = this.heap.alloc(user, npages, this.spanclass);
      this.bitmaps.initHeapBits(s);
    }
    const { spans } = this.heap;
    assert(spans.allocCount[s] < spans.nelems[s], 'span has no free objects');
    const first = spans.freeindex[s] & ~63;
    spans.refillAllocCache(s, first);
    spans.shiftCache(s, spans.freeindex[s] & 63);
    return s;
  }

  chargeSweep(npages: number): void {
    this.sweeper.deductCredit(npages * PAGE_BYTES, npages);
  }

  addLarge(s: number): void {
    this.fullSwept.push(s);
  }

  swept(s: number, used: number): void {
    if (used === 0) return;
    (used === this.heap.spans.nelems[s] ? this.fullSwept : this.partialSwept).push(s);
  }

  takeUnswept(full: boolean): number {
    return (full ? this.fullUnswept : this.partialUnswept).pop();
  }

  counts(): CentralCounts {
    return {
      partialSwept: this.partialSwept.length,
      partialUnswept: this.partialUnswept.length,
      fullSwept: this.fullSwept.length,
      fullUnswept: this.fullUnswept.length,
    };
  }

  reset(): void {
    this.partialUnswept.reset();
    this.fullUnswept.reset();
  }

  private sweepOne(): number {
    if (this.sweeper.drained) return 0;
    const { spans } = this.heap;
    let budget = SPAN_BUDGET;
    for (; budget >= 0; budget--) {
      const s = this.partialUnswept.pop();
      if (s === 0) break;
      if (!this.sweeper.acquire(s)) continue;
      this.sweeper.sweep(s, true);
      return s;
    }
    for (; budget >= 0; budget--) {
      const s = this.fullUnswept.pop();
      if (s === 0) break;
      if (!this.sweeper.acquire(s)) continue;
      this.sweeper.sweep(s, true);
      const index = spans.nextFreeIndex(s);
      if (index !== spans.nelems[s]) {
        spans.freeindex[s] = index;
        return s;
      }
      this.fullSwept.push(s);
    }
    return 0;
  }

  /** A processor gives a span back; one that was cached before sweeping began is swept now. */
  uncacheSpan(s: number): void {
    const { spans, sweepgen } = this.heap;
    assert(spans.allocCount[s] > 0, 'uncaching span but s.allocCount == 0');
    this.heap.centralLocks++;
    const stale = spans.sweepgen[s] === sweepgen + 1;
    spans.sweepgen[s] = stale ? sweepgen - 1 : sweepgen;
    spans.store(s);
    if (stale) this.sweeper.sweep(s, false);
    else if (spans.allocCount[s] < spans.nelems[s]) this.partialSwept.push(s);
    else this.fullSwept.push(s);
  }
}
