// Sweeping: after a mark every span in use is looked at once; what is not marked becomes free.
//
// A sweep swaps the bitmaps (marks become allocation bits), counts, and moves the span: empty ones
// back to the heap, full and partly full ones to this cycle's swept sets. It happens when a span is
// wanted (mcentral), in proportion to allocation (deductCredit), in the background, by address when
// pages are wanted (reclaim), and all at once before the next cycle.
//
//   order of the background sweep: span class by span class, full sets first, then partial sets
//
// Invariant: when drained, no unswept set holds a span.
// Source: Go 1.26.8 src/runtime/mgcsweep.go, mheap.go (reclaim).

import { assert } from '../../kernel/errors.ts';
import type { Bitmaps } from './mbitmap.ts';
import { INLINE_WORDS8 } from './mbitmap.ts';
import type { AllocStats } from './mcache.ts';
import type { CentralList, Sweeper } from './mcentral.ts';
import { BITS_IN_USE, BITS_MARKS, PAGES_PER_ARENA } from './arena.ts';
import { type Heap, SPAN_HEAP } from './mheap.ts';
import { IN_USE } from './mspan.ts';
import type { SpanList } from './spanlist.ts';
import { PAGE_BYTES } from './sys.ts';

const RECLAIM_PAGES = 512;
/** Nothing more to reclaim in this cycle. */
const RECLAIM_DONE = Infinity;

export interface SweepHooks {
  /** A span is about to be swept: its marks are still apart from its allocation bits. */
  sweeping(s: number): void;
}

export class Sweep implements Sweeper {
  central: readonly CentralList[] = [];
  hooks: SweepHooks | null = null;
  /** Looks after the specials of a span before its marks are used. */
  specials: ((s: number) => void) | null = null;
  /** All spans have been taken for sweeping. */
  drained = true;
  pagesSwept = 0;
  private pagesSweptBasis = 0;
  private liveBasis = 0;
  private pagesPerByte = 0;
  private next = 0;
  private reclaimIndex = RECLAIM_DONE;
  private reclaimCredit = 0;
  private reclaimArenas: readonly number[] = [];
  private readonly heap: Heap;
  private readonly bitmaps: Bitmaps;
  private readonly stats: AllocStats;
  private readonly pacer: { readonly heapLive: number };

  constructor(
    heap: Heap,
    bitmaps: Bitmaps,
    stats: AllocStats,
    pacer: { readonly heapLive: number },
  ) {
    this.heap = heap;
    this.bitmaps = bitmaps;
    this.stats = stats;
    this.pacer = pacer;
  }

  /** A mark is complete: everything needs sweeping. */
  begin(): void {
    this.heap.sweepgen += 2;
    this.drained = false;
    this.pagesSwept = 0;
    this.next = 0;
    this.reclaimArenas = [...this.heap.arenas.list];
    this.reclaimIndex = 0;
    this.reclaimCredit = 0;
  }

  acquire(s: number): boolean {
    const { spans, sweepgen } = this.heap;
    if (spans.sweepgen[s] !== sweepgen - 2) return false;
    spans.sweepgen[s] = sweepgen - 1;
    return true;
  }

  /** Sweeps a span if this cycle has not: afterwards its objects are those that were reachable. */
  ensureSwept(s: number): void {
    const { spans } = this.heap;
    if (spans.state[s] === IN_USE && this.acquire(s)) this.sweep(s, false);
  }

  /** Sweeps the next span in order. @returns pages freed, or -1 when there is none left. */
  sweepOne(): number {
    if (this.drained) return -1;
    for (;;) {
      const s = this.nextSpan();
      if (s === 0) {
        this.drained = true;
        return -1;
      }
      if (this.heap.spans.state[s] !== IN_USE || !this.acquire(s)) continue;
      const npages = this.heap.spans.npages[s];
      if (!this.sweep(s, false)) return 0;
      this.reclaimCredit += npages;
      return npages;
    }
  }

  private nextSpan(): number {
    const { lists, sweepgen } = this.heap;
    if (lists !== null) return lists.sweepSpans[(sweepgen & 2) === 0 ? 1 : 0].popLast();
    for (; this.next < this.central.length * 2; this.next++) {
      const c = this.central[this.next >> 1];
      const s = c.takeUnswept((this.next & 1) === 0);
      if (s !== 0) return s;
    }
    return 0;
  }

  /** Sweeps all that is left, and empties the sets for the next cycle. */
  finish(): void {
    while (this.sweepOne() >= 0);
    for (const c of this.central) c.reset();
    this.heap.bits.nextEpoch();
  }

  sweep(s: number, preserve: boolean): boolean {
    const { heap, stats } = this;
    const { spans } = heap;
    assert(
      spans.state[s] === IN_USE && spans.sweepgen[s] === heap.sweepgen - 1,
      'mspan.sweep: bad span state',
    );
    this.pagesSwept += spans.npages[s];
    if (heap.usesInlineMarks(spans.elemsize[s])) this.moveInlineMarks(s);
    if (spans.specials[s] !== 0) this.specials?.(s);
    this.hooks?.sweeping(s);
    const used = spans.countMarks(s);
    const freed = spans.allocCount[s] - used;
    assert(freed >= 0, 'sweep increased allocation count');
    spans.allocCount[s] = used;
    spans.freeindex[s] = 0;
    spans.freeIndexForScan[s] = 0;
    spans.allocBits[s] = spans.markBits[s];
    spans.markBits[s] = heap.bits.alloc(spans.nelems[s]);
    spans.markEpoch[s] = 0;
    spans.refillAllocCache(s, 0);
    spans.sweepgen[s] = heap.sweepgen;
    const spc = spans.spanclass[s];
    const bytes = freed * spans.elemsize[s];
    if (freed > 0) {
      stats.totalFree += bytes;
      if (spc >> 1 !== 0) {
        spans.needzero[s] = 1;
        stats.smallFree[spc >> 1] += freed;
      } else {
        stats.largeFreeCount++;
        stats.largeFree += bytes;
      }
    }
    spans.store(s);
    if (!preserve) this.central[spc].swept(s, used);
    if (!preserve && used === 0) {
      heap.freeSpan(s, SPAN_HEAP);
      return true;
    }
    heap.lists?.sweepSpans[(heap.sweepgen & 2) === 0 ? 0 : 1].push(s);
    return false;
  }

  /** Copies the marks at the span's end to its mark bitmap and clears them. */
  private moveInlineMarks(s: number): void {
    const { heap } = this;
    const { spans, sys } = heap;
    const { mem } = sys;
    const { words } = mem;
    const from = this.bitmaps.inlineAt(s) + 16;
    for (let i = 0, word = 0; i < spans.nelems[s]; i += 64, word += 2) {
      const at = mem.touch(spans.markBits[s] + (i >>> 3), true);
      words[at] |= words[from + word];
      // The last byte of the 64 is the span class.
      words[at + 1] |= word === 14 ? words[from + 15] & 0xffffff : words[from + word + 1];
    }
    sys.zeroWords(spans.start[s] + PAGE_BYTES / 8 - INLINE_WORDS8, INLINE_WORDS8);
    words[from + 15] = spans.spanclass[s] << 24;
  }

  // Proportional sweep: it is to be done when the live heap reaches the trigger.

  /** Sets the pace for a cycle that is to start at `trigger`. */
  pace(trigger: number): void {
    this.pagesPerByte = 0;
    if (this.drained) return;
    const live = this.pacer.heapLive;
    const distance = Math.max(PAGE_BYTES, trigger - live - 1024 * 1024);
    const due = this.heap.pagesInUse - this.pagesSwept;
    if (due <= 0) return;
    this.pagesPerByte = due / distance;
    this.liveBasis = live;
    this.pagesSweptBasis = this.pagesSwept;
  }

  deductCredit(bytes: number, callerPages: number): void {
    while (this.pagesPerByte !== 0) {
      const basis = this.pagesSweptBasis;
      const newLive = bytes + Math.max(0, this.pacer.heapLive - this.liveBasis);
      const target = Math.trunc(this.pagesPerByte * newLive) - callerPages;
      let again = false;
      while (target > this.pagesSwept - basis) {
        if (this.sweepOne() < 0) {
          this.pagesPerByte = 0;
          break;
        }
        if (this.pagesSweptBasis !== basis) {
          again = true;
          break;
        }
      }
      if (!again) return;
    }
  }

  // Reclaiming: pages are wanted; look for whole spans without a mark, by address.

  reclaim(npages: number): void {
    if (this.heap.lists !== null) {
      this.reclaimBusy(npages, this.heap.lists.busy);
      return;
    }
    if (this.drained || this.reclaimIndex === RECLAIM_DONE) return;
    for (let left = npages; left > 0;) {
      if (this.reclaimCredit > 0) {
        const take = Math.min(this.reclaimCredit, left);
        this.reclaimCredit -= take;
        left -= take;
        continue;
      }
      const index = this.reclaimIndex;
      this.reclaimIndex += RECLAIM_PAGES;
      if (index / PAGES_PER_ARENA >= this.reclaimArenas.length) {
        this.reclaimIndex = RECLAIM_DONE;
        return;
      }
      const found = this.reclaimChunk(index);
      if (found <= left) left -= found;
      else {
        this.reclaimCredit += found - left;
        left = 0;
      }
    }
  }

  /** go1.9: large objects of at least `npages`, then smaller ones, then everything. */
  private reclaimBusy(npages: number, busy: readonly SpanList[]): void {
    if (this.drained) return;
    for (let n = npages; n < busy.length; n++) if (this.reclaimList(busy[n], npages) !== 0) return;
    if (this.reclaimList(busy[0], npages) !== 0) return;
    let got = 0;
    for (let n = 1; n < npages && n < busy.length; n++) {
      got += this.reclaimList(busy[n], npages - got);
      if (got >= npages) return;
    }
    while (got < npages) {
      const n = this.sweepOne();
      if (n < 0) return;
      got += n;
    }
  }

  /** Sweeps spans from the front of a list, where the unswept ones are. @returns pages freed. */
  private reclaimList(list: SpanList, npages: number): number {
    let got = 0;
    for (let s = list.first; s !== 0 && got < npages; s = list.first) {
      if (!this.acquire(s)) break;
      list.remove(s);
      list.insertBack(s);
      const n = this.heap.spans.npages[s];
      if (this.sweep(s, false)) got += n;
    }
    return got;
  }

  private reclaimChunk(index: number): number {
    const { heap } = this;
    const { mem } = heap.sys;
    const arena = this.reclaimArenas[Math.floor(index / PAGES_PER_ARENA)];
    const first = arena * PAGES_PER_ARENA + (index % PAGES_PER_ARENA);
    let freed = 0;
    for (let p = first; p < first + RECLAIM_PAGES; p += 8) {
      const inUseAt = heap.arenas.bits(p << 10, BITS_IN_USE);
      const marksAt = heap.arenas.bits(p << 10, BITS_MARKS);
      let todo = mem.load8(inUseAt) & ~mem.load8(marksAt);
      for (let bit = 0; bit < 8 && todo !== 0; bit++) {
        if ((todo & (1 << bit)) === 0) continue;
        const s = heap.pageSpan[p + bit];
        if (!this.acquire(s)) continue;
        const npages = heap.spans.npages[s];
        if (this.sweep(s, false)) freed += npages;
        todo = mem.load8(inUseAt) & ~mem.load8(marksAt);
      }
    }
    return freed;
  }
}
