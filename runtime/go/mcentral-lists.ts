// All spans of one span class, as Go up to 1.14 kept them: two linked lists.
//
//   nonempty   spans with a free slot, last given back first
//   empty      spans without one, or in a processor's cache; swept ones at the end
//
// cacheSpan takes the first of nonempty, sweeping it if it must; else it sweeps spans of empty from
// the front until one has a free slot or a swept one is met; else it asks the heap. The span goes
// to the end of empty, where it stays while it is cached.
//
// Source: Go 1.9 src/runtime/mcentral.go.

import { assert } from '../../kernel/errors.ts';
import type { FreeLists } from './freelists.ts';
import type { CentralCounts, CentralList, Sweeper } from './mcentral.ts';
import type { Heap, PageUser } from './mheap.ts';
import type { SpanLinks, SpanList } from './spanlist.ts';
import { PAGE_BYTES } from './sys.ts';

export class ListCentral implements CentralList {
  readonly spanclass: number;
  private readonly heap: Heap;
  private readonly lists: FreeLists;
  private readonly sweeper: Sweeper;
  private readonly bitmaps: { initHeapBits(s: number): void };
  private readonly nonempty: SpanList;
  private readonly empty: SpanList;

  constructor(
    heap: Heap,
    lists: FreeLists,
    links: SpanLinks,
    sweeper: Sweeper,
    bitmaps: { initHeapBits(s: number): void },
    spanclass: number,
  ) {
    this.heap = heap;
    this.lists = lists;
    this.sweeper = sweeper;
    this.bitmaps = bitmaps;
    this.spanclass = spanclass;
    this.nonempty = links.newList();
    this.empty = links.newList();
  }

  cacheSpan(user: PageUser): number {
    const { spans } = this.heap;
    const npages = this.heap.sys.profile.classes.pages[this.spanclass >> 1];
    this.sweeper.deductCredit(npages * PAGE_BYTES, 0);
    this.heap.centralLocks++;
    let s = this.fromNonempty();
    if (s === 0) s = this.fromEmpty();
    if (s === 0) {
      s = this.heap.alloc(user, npages, this.spanclass);
      this.bitmaps.initHeapBits(s);
      this.empty.insertBack(s);
    }
    assert(spans.allocCount[s] < spans.nelems[s], 'span has no free objects');
    spans.refillAllocCache(s, spans.freeindex[s] & ~63);
    spans.shiftCache(s, spans.freeindex[s] & 63);
    return s;
  }

  private fromNonempty(): number {
    const s = this.nonempty.first;
    if (s === 0) return 0;
    this.nonempty.remove(s);
    this.empty.insertBack(s);
    if (this.sweeper.acquire(s)) this.sweeper.sweep(s, true);
    return s;
  }

  private fromEmpty(): number {
    const { spans } = this.heap;
    for (let s = this.empty.first; s !== 0; s = this.empty.first) {
      // What is swept stands at the end: behind it there is nothing to sweep.
      if (!this.sweeper.acquire(s)) return 0;
      this.empty.remove(s);
      this.empty.insertBack(s);
      this.sweeper.sweep(s, true);
      const index = spans.nextFreeIndex(s);
      if (index === spans.nelems[s]) continue;
      spans.freeindex[s] = index;
      return s;
    }
    return 0;
  }

  chargeSweep(npages: number): void {
    this.sweeper.deductCredit(npages * PAGE_BYTES, npages);
  }

  addLarge(s: number): void {
    this.lists.busyList(this.heap.spans.npages[s]).insertBack(s);
  }

  uncacheSpan(s: number): void {
    const { spans, sweepgen } = this.heap;
    assert(spans.allocCount[s] > 0, 'uncaching span but s.allocCount == 0');
    this.heap.centralLocks++;
    spans.sweepgen[s] = sweepgen;
    spans.store(s);
    if (spans.allocCount[s] === spans.nelems[s]) return;
    this.empty.remove(s);
    this.nonempty.insert(s);
  }

  swept(s: number, used: number): void {
    const { spans } = this.heap;
    if (this.spanclass >> 1 === 0) {
      const list = this.lists.busyList(spans.npages[s]);
      if (used === 0 && list.has(s)) list.remove(s);
      return;
    }
    if (used < spans.nelems[s] && this.empty.has(s)) {
      this.empty.remove(s);
      this.nonempty.insert(s);
    }
    if (used === 0) this.nonempty.remove(s);
  }

  takeUnswept(): number {
    return 0; // the heap's own list of spans in use says what is to be swept
  }

  counts(): CentralCounts {
    const { spans, sweepgen } = this.heap;
    const count = (list: SpanList, swept: boolean): number => {
      let n = 0;
      for (let s = list.first; s !== 0; s = list.after(s))
        if ((spans.sweepgen[s] === sweepgen) === swept) n++;
      return n;
    };
    return {
      partialSwept: count(this.nonempty, true),
      partialUnswept: count(this.nonempty, false),
      fullSwept: count(this.empty, true),
      fullUnswept: count(this.empty, false),
    };
  }

  reset(): void {
    // Nothing is left over: swept spans stay where they are.
  }
}
