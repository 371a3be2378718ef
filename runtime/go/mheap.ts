// The heap of pages: spans from pages, arenas from address space.
//
//   alloc(npages) -> page cache of the processor (under 16 pages)
//                 -> page allocator -> grow by 4 MiB steps -> arena of 64 MiB reserved at a hint
//
// Invariants: every page of the heap is free in the page allocator, or in a page cache, or belongs
// to exactly one span; inUse + free + released = what the heap has grown to (stacks and work
// buffers counted apart).
// Source: Go 1.26.8 and Go 1.19.8 src/runtime/mheap.go, malloc.go (sysAlloc).

import { assert } from '../../kernel/errors.ts';
import { Arenas, BITS_IN_USE, BITS_INLINE, type PageMaps } from './arena.ts';
import { FreeLists } from './freelists.ts';
import { GcBits } from './gcbits.ts';
import { LinearArena } from './linear.ts';
import { CHUNK_BYTES, PageAlloc } from './mpagealloc.ts';
import { CACHE_PAGES, type PageCache } from './mpagecache.ts';
import { DEAD, FREE, IN_USE, MANUAL, SpanTable } from './mspan.ts';
import { SpanSetPool } from './mspanset.ts';
import { CHUNK_PAGES } from './pallocbits.ts';
import { FixAlloc, PersistentAlloc } from './persistent.ts';
import { SpanLinks } from './spanlist.ts';
import { SpanRecords } from './spanrecords.ts';
import {
  PAGE_BYTES,
  PAGE_WORDS8,
  S_FREE,
  S_INSTACKS,
  S_INUSE,
  S_MCACHE,
  S_RELEASED,
  S_WORKBUFS,
  type Sys,
} from './sys.ts';

/** Spans whose slots are 16 to 512 bytes can carry their mark bits. */
const MAX_INLINE_BYTES = 512;
/** Bytes of inline mark bits at the end of such a span. */
export const INLINE_BYTES = 128;

/** What a span is for: the kind under which its bytes are counted. */
export const SPAN_HEAP = S_INUSE;
export const SPAN_STACK = S_INSTACKS;
export const SPAN_WORKBUF = S_WORKBUFS;

/** What the heap needs of a processor. */
export interface PageUser {
  readonly pcache: PageCache;
  /** Records of spans kept ready. */
  readonly spanCache: number[];
}

/** What allocation asks of the scavenger and the sweeper; set when they exist. */
export interface HeapHooks {
  /** Space was taken: `scav` bytes of it were released, the heap grew by `growth`. */
  allocated(scav: number, growth: number): void;
  /** A span of `npages` is wanted while sweeping is not done. */
  reclaim(npages: number): void;
}

export class Heap {
  readonly sys: Sys;
  readonly persistent: PersistentAlloc;
  readonly spans: SpanTable;
  readonly sets: SpanSetPool;
  readonly bits: GcBits;
  readonly arenas: PageMaps;
  /** Lists of free spans, and the links of spans in lists: go1.9 alone. */
  readonly lists: FreeLists | null;
  readonly links: SpanLinks;
  /** Span that each page of the heap belongs to; 0 for none. */
  readonly pageSpan: Int32Array;
  readonly records: SpanRecords;
  readonly cacheAlloc: FixAlloc;
  hooks: HeapHooks | null = null;
  /** Number of the sweep, times two; see mspan.ts. */
  sweepgen = 0;
  /** Pages of spans in use. */
  pagesInUse = 0;
  /** Times that the heap's lock was taken, and that the heap grew. */
  locks = 0;
  grows = 0;
  /** Times that the lock of a central list was taken. */
  centralLocks = 0;
  private readonly radix: { readonly pages: PageAlloc; readonly arenas: Arenas } | null;
  private curBase = 0;
  private curEnd = 0;

  constructor(sys: Sys) {
    this.sys = sys;
    const { profile } = sys;
    this.persistent = new PersistentAlloc(sys);
    this.spans = new SpanTable(sys);
    this.links = new SpanLinks(sys, this.spans);
    const linear = profile.linearArena ? new LinearArena(sys) : null;
    const pages = linear === null ? new PageAlloc(sys, this.persistent) : null;
    this.sets = new SpanSetPool(sys, this.persistent, this.spans);
    this.bits = new GcBits(sys);
    this.records = new SpanRecords(sys, this.persistent);
    this.cacheAlloc = new FixAlloc(sys, this.persistent, profile.mcacheBytes, S_MCACHE);
    if (pages !== null) {
      const arenas = new Arenas(sys, this.persistent);
      this.radix = { pages, arenas };
      this.arenas = arenas;
      this.lists = null;
    } else {
      assert(linear !== null, 'a heap has one form of arena');
      this.radix = null;
      this.arenas = linear;
      this.lists = new FreeLists(sys, this.persistent, this.links, this.sets, linear, this.records);
    }
    this.pageSpan = this.arenas.pageSpan;
  }

  /** The page allocator of a heap of arenas. */
  get pages(): PageAlloc {
    assert(this.radix !== null, 'the page allocator is asked for where there is one');
    return this.radix.pages;
  }

  /** More pages: `npages` rounded up to 4 MiB. @returns by how much the heap grew, in bytes. */
  private grow(npages: number): number {
    assert(this.radix !== null, 'grow: a heap of arenas');
    this.grows++;
    const ask = Math.ceil(npages / CHUNK_PAGES) * CHUNK_BYTES;
    let total = 0;
    if (this.curBase === 0 || this.curBase + ask > this.curEnd) {
      const { base, bytes } = this.radix.arenas.reserve(ask);
      if (base === this.curEnd) this.curEnd = base + bytes;
      else {
        const rest = this.curEnd - this.curBase;
        if (rest > 0) total += this.addPages(this.curBase, rest);
        this.curBase = base;
        this.curEnd = base + bytes;
      }
    }
    const base = this.curBase;
    this.curBase += ask;
    return total + this.addPages(base, ask);
  }

  private addPages(base: number, bytes: number): number {
    this.sys.map(base, bytes, S_RELEASED);
    this.pages.grow(base, bytes);
    return bytes;
  }

  // Spans.

  /** A span of slots for class `spanclass`, or for one large object; swept, with no slot taken. */
  alloc(user: PageUser, npages: number, spanclass: number): number {
    this.hooks?.reclaim(npages);
    const s = this.allocSpan(user, npages, SPAN_HEAP);
    this.initSpan(s, spanclass);
    return s;
  }

  /** A span for stacks or work buffers. */
  allocManual(user: PageUser, npages: number, kind: number): number {
    const s = this.allocSpan(user, npages, kind);
    this.spans.state[s] = MANUAL;
    this.spans.nelems[s] = 0;
    this.spans.elemsize[s] = 0;
    this.spans.allocCount[s] = 0;
    this.spans.store(s);
    this.spans.setFreeList(s, 0);
    return s;
  }

  /** go1.9: a span from the lists, its pages mapped to it. */
  private takeSpan(lists: FreeLists, npages: number, kind: number): number {
    const { spans, sys } = this;
    this.locks++;
    let s = lists.take(npages);
    if (s === 0) {
      this.grows++;
      lists.grow(npages);
      s = lists.take(npages);
      assert(s !== 0, 'grew heap, but no adequate free space found');
    }
    spans.clear(s);
    this.arenas.mapPages(s, spans.start[s], npages, spans.record[s]);
    sys.stat[S_FREE] -= npages * PAGE_BYTES;
    sys.stat[kind] += npages * PAGE_BYTES;
    return s;
  }

  private allocSpan(user: PageUser, npages: number, kind: number): number {
    if (this.lists !== null) return this.takeSpan(this.lists, npages, kind);
    let base = 0;
    let scav = 0;
    let growth = 0;
    let record = 0;
    if (npages < CACHE_PAGES / 4) {
      if (user.pcache.empty) {
        this.locks++;
        user.pcache.fill(this.sys, this.pages);
      }
      base = user.pcache.alloc(npages);
      scav = base === 0 ? 0 : user.pcache.scavenged;
      if (base !== 0) record = user.spanCache.pop() ?? 0;
    }
    if (base === 0 || record === 0) {
      this.locks++;
      if (base === 0) {
        base = this.pages.alloc(npages);
        if (base === 0) {
          growth = this.grow(npages);
          base = this.pages.alloc(npages);
          assert(base !== 0, 'grew heap, but no adequate free space found');
        }
        scav = this.pages.scavenged;
      }
      record = this.records.take(user);
    }
    this.hooks?.allocated(scav, growth);
    return this.newSpan(record, base, npages, scav, kind);
  }

  private newSpan(
    record: number,
    base: number,
    npages: number,
    scav: number,
    kind: number,
  ): number {
    const { sys, spans } = this;
    const bytes = npages * PAGE_BYTES;
    const s = spans.add(record);
    const w = (base - sys.heapBase) / 8;
    spans.start[s] = w;
    spans.npages[s] = npages;
    spans.clear(s);
    const dirty = this.radix?.arenas.needsZero(w, npages) ?? true;
    const clean = sys.profile.releasedIsZero && scav === bytes;
    spans.needzero[s] = dirty && !clean ? 1 : 0;
    this.arenas.mapPages(s, w, npages, record);
    if (scav !== 0) {
      sys.used(base, bytes, scav);
      sys.stat[S_RELEASED] -= scav;
    }
    sys.stat[S_FREE] -= bytes - scav;
    sys.stat[kind] += bytes;
    return s;
  }

  private initSpan(s: number, spanclass: number): void {
    const { spans, sys } = this;
    const { classes } = sys.profile;
    const sizeclass = spanclass >> 1;
    const bytes = spans.npages[s] * PAGE_BYTES;
    spans.spanclass[s] = spanclass;
    if (sizeclass === 0) {
      spans.elemsize[s] = bytes;
      spans.nelems[s] = 1;
    } else {
      const size = classes.size[sizeclass];
      spans.elemsize[s] = size;
      spans.nelems[s] = Math.floor((bytes - this.reserved(spanclass, bytes)) / size);
    }
    spans.perSlot[s] = (1 / spans.elemsize[s]) * (1 + 2 ** -44);
    spans.cacheLo[s] = -1;
    spans.cacheHi[s] = -1;
    spans.markBits[s] = this.bits.alloc(spans.nelems[s]);
    spans.markEpoch[s] = 0;
    spans.allocBits[s] = this.bits.alloc(spans.nelems[s]);
    spans.sweepgen[s] = this.sweepgen;
    spans.state[s] = IN_USE;
    spans.store(s);
    this.arenas.setBit(spans.start[s], BITS_IN_USE, true);
    if (this.usesInlineMarks(spans.elemsize[s]))
      this.arenas.setBit(spans.start[s], BITS_INLINE, true);
    this.pagesInUse += spans.npages[s];
    this.lists?.sweepSpans[(this.sweepgen & 2) === 0 ? 0 : 1].push(s);
  }

  /** Bytes at a span's end that hold no slots: pointer bitmap, mark bits. */
  reserved(spanclass: number, spanBytes: number): number {
    const { profile } = this.sys;
    const size = profile.classes.size[spanclass >> 1];
    let bytes = 0;
    if (this.usesInlineMarks(size)) bytes += INLINE_BYTES;
    if (profile.mallocHeaders && size <= MAX_INLINE_BYTES && (spanclass & 1) === 0)
      bytes += spanBytes / 64;
    return bytes;
  }

  usesInlineMarks(elemsize: number): boolean {
    return this.sys.profile.inlineMarks && elemsize >= 16 && elemsize <= MAX_INLINE_BYTES;
  }

  /** Gives a span's pages back to the page allocator. */
  freeSpan(s: number, kind: number): void {
    const { spans, sys } = this;
    const npages = spans.npages[s];
    const w = spans.start[s];
    this.locks++;
    assert(spans.allocCount[s] === 0, 'mheap.freeSpanLocked: invalid free');
    if (spans.state[s] === IN_USE) {
      assert(spans.sweepgen[s] === this.sweepgen, 'mheap.freeSpanLocked: span is swept');
      this.pagesInUse -= npages;
      this.arenas.setBit(w, BITS_IN_USE, false);
      if (this.usesInlineMarks(spans.elemsize[s])) this.arenas.setBit(w, BITS_INLINE, false);
    } else assert(spans.state[s] === MANUAL, 'mheap.freeSpanLocked: invalid span state');
    sys.stat[S_FREE] += npages * PAGE_BYTES;
    sys.stat[kind] -= npages * PAGE_BYTES;
    spans.state[s] = DEAD;
    sys.mem.store8(spans.record[s] + 99, DEAD);
    this.spanFreed?.(s);
    for (let p = w / PAGE_WORDS8, end = p + npages; p < end; p++) this.pageSpan[p] = 0;
    if (this.lists !== null) {
      // Only a span that was allocated from anew needs no clearing.
      spans.needzero[s] = 1;
      this.lists.give(s);
      return;
    }
    this.pages.free(sys.addressOf(w), npages);
    this.records.release(spans.record[s], this.recordUser);
    spans.remove(s);
  }

  /** Told of each span whose pages go back to the heap. */
  spanFreed: ((s: number) => void) | null = null;
  /** The processor whose cache of records takes freed ones. */
  recordUser: PageUser | null = null;

  /** Bytes of the heap that are backed by memory. */
  get retained(): number {
    return this.sys.stat[S_INUSE] + this.sys.stat[S_FREE];
  }

  // Proof.

  /** Spans do not overlap, maps and bitmaps agree, every page has one owner, and the sums hold. */
  check(caches: readonly PageUser[]): void {
    const { spans, sys } = this;
    const heapPages = this.checkPages();
    let owned = 0;
    for (let s = 1; s < spans.count; s++) {
      if (spans.state[s] === DEAD || spans.state[s] === FREE) continue;
      owned += spans.npages[s];
      for (let p = 0; p < spans.npages[s]; p++) {
        const w = spans.start[s] + p * PAGE_WORDS8;
        assert(this.pageSpan[w >> 10] === s, 'Heap: a page of a span maps to it');
        assert(
          this.arenas.spanRecordAt(w) === spans.record[s],
          'Heap: the arena maps the page likewise',
        );
        this.radix?.pages.checkInUse(sys.addressOf(w));
      }
    }
    let free = this.lists?.countFree() ?? this.pages.countFree();
    for (const user of caches) free += user.pcache.count;
    assert(owned + free === heapPages, 'Heap: every page has one owner');
    const { stat } = sys;
    const sum = stat[S_INUSE] + stat[S_INSTACKS] + stat[S_WORKBUFS] + stat[S_FREE];
    assert(sum + stat[S_RELEASED] === heapPages * PAGE_BYTES, 'Heap: bytes by kind add up');
  }

  /** The free pages are in order. @returns pages that the heap has grown to. */
  private checkPages(): number {
    if (this.lists !== null) {
      this.lists.check();
      return this.lists.pagesGrown;
    }
    this.pages.check();
    let bytes = 0;
    for (const r of this.pages.ranges) bytes += r.limit - r.base;
    return bytes / PAGE_BYTES;
  }
}
