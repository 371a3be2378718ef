// The page heap of Go up to 1.10: free spans in lists by their number of pages.
//
//   free[1] .. free[127]   lists of free spans of so many pages, last freed first out
//   freelarge              a treap of those of 128 pages (1 MiB) and more
//   busy[1] .. busy[127], busylarge   spans of one large object each, swept ones at the end
//
// Taking npages looks through the lists from free[npages] on, then for the best fit in the treap;
// what is too long is cut and the rest given back. A free span merges with free neighbours at once:
// it finds them through the span pointers of the pages before and behind it. So:
//
//   Invariant: no two free spans touch; each is in exactly one list; a free span is noted in the
//   page map at its first and last page.
//
// Source: Go 1.9 src/runtime/mheap.go (allocSpanLocked, freeSpanLocked, grow, scavenge, reclaim).
// Not modelled: sysmon's clock; whoever keeps one sets `now` and calls scavenge().

import { assert } from '../../kernel/errors.ts';
import type { LinearArena } from './linear.ts';
import { FREE, type SpanTable } from './mspan.ts';
import type { SpanSetPool } from './mspanset.ts';
import { SpanSet } from './mspanset.ts';
import type { PersistentAlloc } from './persistent.ts';
import type { SpanLinks, SpanList } from './spanlist.ts';
import type { SpanRecords } from './spanrecords.ts';
import { PAGE_BYTES, PAGE_WORDS8, S_FREE, S_RELEASED, type Sys } from './sys.ts';
import { Treap } from './treap.ts';

/** Spans of fewer pages have a list of their own. */
export const MAX_LIST = 128;
const GROW_UNIT_PAGES = 8;
const GROW_MIN_PAGES = MAX_LIST;

export class FreeLists {
  /** Spans of one large object, by pages; index 0 is for those of 128 pages and more. */
  readonly busy: readonly SpanList[];
  /** Time for `unusedsince`, in nanoseconds. */
  now = 0;
  /** Spans in use, swept and not: which is which follows from the heap's sweepgen. */
  readonly sweepSpans: readonly [SpanSet, SpanSet];
  private readonly free: readonly SpanList[];
  private readonly large: Treap;
  private readonly sys: Sys;
  private readonly spans: SpanTable;
  private readonly arena: LinearArena;
  private readonly records: SpanRecords;
  /** Pages of a free span that were given back to the system, and since when it is unused. */
  private readonly released = new Map<number, number>();
  private readonly unusedSince = new Map<number, number>();

  constructor(
    sys: Sys,
    persistent: PersistentAlloc,
    links: SpanLinks,
    sets: SpanSetPool,
    arena: LinearArena,
    records: SpanRecords,
  ) {
    this.sys = sys;
    this.spans = links.spans;
    this.arena = arena;
    this.records = records;
    this.large = new Treap(sys, persistent);
    this.free = Array.from({ length: MAX_LIST }, () => links.newList());
    this.busy = Array.from({ length: MAX_LIST }, () => links.newList());
    this.sweepSpans = [new SpanSet(sets), new SpanSet(sets)];
  }

  /** Of a span that take() gave: bytes of it that were given back to the system before. */
  lastReleased = 0;

  /** A span of `npages`, in no list, its pages mapped to it by the caller; 0: grow first. */
  take(npages: number): number {
    let s = 0;
    for (let n = npages; n < MAX_LIST && s === 0; n++) {
      s = this.free[n].first;
      if (s !== 0) this.free[n].remove(s);
    }
    if (s === 0) s = this.large.take(npages);
    if (s === 0) return 0;
    assert(this.spans.state[s] === FREE, 'candidate mspan for allocation is free');
    const released = this.released.get(s) ?? 0;
    this.released.delete(s);
    const since = this.unusedSince.get(s) ?? 0;
    this.lastReleased = released * PAGE_BYTES;
    // A span is released whole, but may have merged with some that were not: used as a whole then.
    if (released !== 0) this.sys.used(this.addr(s), this.bytes(s), this.lastReleased);
    this.sys.stat[S_RELEASED] -= this.lastReleased;
    this.sys.stat[S_FREE] += this.lastReleased;
    if (this.spans.npages[s] > npages) this.trim(s, npages, since);
    return s;
  }

  private addr(s: number): number {
    return this.sys.addressOf(this.spans.start[s]);
  }

  private bytes(s: number): number {
    return this.spans.npages[s] * PAGE_BYTES;
  }

  /** Cuts a span to `npages`; the rest becomes a free span. */
  private trim(s: number, npages: number, since: number): void {
    const { spans } = this;
    const t = spans.add(this.records.fresh());
    spans.start[t] = spans.start[s] + npages * PAGE_WORDS8;
    spans.npages[t] = spans.npages[s] - npages;
    spans.needzero[t] = spans.needzero[s];
    spans.npages[s] = npages;
    // Its end maps to it now, so that the rest does not take it for a free neighbour.
    spans.state[s] = 0;
    this.arena.mapEnds(s, spans.start[s], npages, spans.record[s]);
    this.give(t, since);
  }

  /** A span of pages that the heap has just grown by. */
  grow(npages: number): number {
    const pages = Math.max(GROW_MIN_PAGES, Math.ceil(npages / GROW_UNIT_PAGES) * GROW_UNIT_PAGES);
    const { spans } = this;
    const at = this.arena.grow(pages * PAGE_BYTES);
    const s = spans.add(this.records.fresh());
    spans.start[s] = (at - this.sys.heapBase) / 8;
    spans.npages[s] = pages;
    spans.needzero[s] = 0;
    this.give(s, 0);
    return pages * PAGE_BYTES;
  }

  /** A span becomes free: merges with its neighbours and goes to its list. */
  give(s: number, since = this.now): void {
    const { spans, arena } = this;
    let released = 0;
    const before = this.freeNeighbour(spans.start[s] - PAGE_WORDS8);
    if (before !== 0) {
      spans.start[s] = spans.start[before];
      released += this.absorb(s, before);
    }
    const after = this.freeNeighbour(spans.start[s] + spans.npages[s] * PAGE_WORDS8);
    if (after !== 0) released += this.absorb(s, after);
    spans.state[s] = FREE;
    spans.allocCount[s] = 0;
    arena.mapEnds(s, spans.start[s], spans.npages[s], spans.record[s]);
    if (released > 0) this.released.set(s, released);
    this.unusedSince.set(s, since);
    const npages = spans.npages[s];
    if (npages < MAX_LIST) this.free[npages].insert(s);
    else this.large.insert(s, npages, spans.record[s]);
    spans.store(s);
    spans.storeUnused(s, since, released);
  }

  /** The free span that heap word `w`, in the page before or behind, belongs to; 0 for none. */
  private freeNeighbour(w: number): number {
    const addr = this.sys.addressOf(w);
    if (addr < this.arena.start || addr >= this.arena.used) return 0;
    const s = this.arena.pageSpan[w >> 10];
    return s !== 0 && this.spans.state[s] === FREE ? s : 0;
  }

  /** Span `s` takes over a free neighbour. @returns pages of it that are released. */
  private absorb(s: number, other: number): number {
    const { spans } = this;
    const npages = spans.npages[other];
    if (npages < MAX_LIST) this.free[npages].remove(other);
    else this.large.remove(other);
    for (const w of [spans.start[other], spans.start[other] + (npages - 1) * PAGE_WORDS8])
      this.arena.pageSpan[w >> 10] = 0;
    spans.npages[s] += npages;
    spans.needzero[s] |= spans.needzero[other];
    const released = this.released.get(other) ?? 0;
    this.released.delete(other);
    this.unusedSince.delete(other);
    this.records.release(spans.record[other], null);
    spans.remove(other);
    return released;
  }

  busyList(npages: number): SpanList {
    return this.busy[npages < MAX_LIST ? npages : 0];
  }

  /** Gives free spans that were unused for `limitNs` back to the system. @returns bytes. */
  scavenge(limitNs: number): number {
    let sum = 0;
    const visit = (s: number): void => {
      const done = this.released.get(s) ?? 0;
      const npages = this.spans.npages[s];
      if (this.now - (this.unusedSince.get(s) ?? 0) < limitNs || done === npages) return;
      const bytes = (npages - done) * PAGE_BYTES;
      this.sys.stat[S_RELEASED] += bytes;
      this.sys.stat[S_FREE] -= bytes;
      // All of it is given back once more, and counted ready as far as it was before.
      this.sys.mappedReady += done * PAGE_BYTES;
      this.sys.unused(this.addr(s), npages * PAGE_BYTES);
      this.released.set(s, npages);
      this.spans.storeUnused(s, this.unusedSince.get(s) ?? 0, npages);
      sum += bytes;
    };
    for (const list of this.free) for (let s = list.first; s !== 0; s = list.after(s)) visit(s);
    this.large.forEach(visit);
    return sum;
  }

  /** Pages that the heap has grown to. */
  get pagesGrown(): number {
    return (this.arena.used - this.arena.start) / PAGE_BYTES;
  }

  /** Pages in free spans. */
  countFree(): number {
    let n = 0;
    this.eachFree((s) => {
      n += this.spans.npages[s];
    });
    return n;
  }

  private eachFree(visit: (s: number) => void): void {
    for (const list of this.free) for (let s = list.first; s !== 0; s = list.after(s)) visit(s);
    this.large.forEach(visit);
  }

  check(): void {
    this.large.check();
    this.free.forEach((list, n) => {
      list.check();
      for (let s = list.first; s !== 0; s = list.after(s))
        assert(this.spans.npages[s] === n, 'FreeLists: a span is in the list of its size');
    });
    for (const list of this.busy) list.check();
    this.eachFree((s) => {
      const { spans, arena } = this;
      const last = spans.start[s] + (spans.npages[s] - 1) * PAGE_WORDS8;
      assert(spans.state[s] === FREE, 'FreeLists: what is in a list is free');
      for (const w of [spans.start[s], last]) {
        assert(arena.pageSpan[w >> 10] === s, 'FreeLists: both ends map to the span');
        assert(arena.spanRecordAt(w) === spans.record[s], 'FreeLists: and so in memory');
      }
      assert(
        this.freeNeighbour(last + PAGE_WORDS8) === 0,
        'FreeLists: no two free spans are neighbours',
      );
    });
  }
}
