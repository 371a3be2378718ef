// Marking: from a pointer to its object, from an object to its pointers.
//
// White objects have no mark. A marked object is grey while it waits in the work queues and black
// once it was scanned; one without pointers is black at once. A pointer counts wherever it points
// into an object; what points past the last slot of a span, or past a large object's end, does not.
//
//   go1.19   every object waits by itself
//   go1.26   an object of 16 to 512 bytes only sets its bit in its span, and the span waits; when
//            its turn comes all slots marked since its last scan are scanned in one go
//
//   owned (a byte of the span):  0 not queued, 2 queued with one mark, 6 queued with more
//
// Source: Go 1.26.8 src/runtime/mgcmark.go, mgcmark_greenteagc.go; Go 1.19.8
// src/runtime/mgcmark.go.

import { BITS_MARKS } from './arena.ts';
import type { Bitmaps } from './mbitmap.ts';
import { INLINE_WORDS8, MAX_BITS_IN_SPAN } from './mbitmap.ts';
import type { GcWork } from './mgcwork.ts';
import type { Heap } from './mheap.ts';
import { IN_USE, type SpanTable } from './mspan.ts';
import { ctz } from './pallocbits.ts';
import type { Sys } from './sys.ts';
import type { TypeTable } from './types.ts';

const OWNED_ONE = 2 << 24;
const OWNED_MANY = 4 << 24;
const OWNED_MASK = 0xff << 24;
/** Objects are scanned in pieces of 128 KiB, in heap words. */
const OBLET_WORDS = 16384;
const PAGE_W = 1024;

export class Marker {
  /** Bytes of marked objects, and bytes scanned up to each object's last pointer. */
  bytesMarked = 0;
  scanWork = 0;
  /** Number of the cycle, so that a span's page is noted as marked once in each. */
  cycle = 0;
  readonly work: GcWork;
  private readonly heap: Heap;
  private readonly sys: Sys;
  private readonly spans: SpanTable;
  private readonly bitmaps: Bitmaps;
  private readonly types: TypeTable;
  private readonly pageSpan: Int32Array;
  private readonly inline: boolean;
  private readonly headers: boolean;
  private readonly checkmarks: boolean;

  constructor(heap: Heap, bitmaps: Bitmaps, types: TypeTable, work: GcWork) {
    this.heap = heap;
    this.sys = heap.sys;
    this.spans = heap.spans;
    this.bitmaps = bitmaps;
    this.types = types;
    this.work = work;
    this.pageSpan = heap.pageSpan;
    this.inline = heap.sys.profile.inlineMarks;
    this.headers = heap.sys.profile.mallocHeaders;
    this.checkmarks = heap.sys.profile.linearArena;
  }

  /** Marks what a pointer, given by its halves, points into; queues it if it was white. */
  grey(lo: number, hi: number): void {
    const w = this.sys.wordOf(lo, hi);
    if (w >= 0) this.greyWord(w, lo & 7);
  }

  /** The same for a heap word, `rest` bytes further. */
  greyWord(w: number, rest: number): void {
    const s = this.pageSpan[w >> 10];
    if (s === 0) return;
    const { spans } = this;
    const size = spans.elemsize[s];
    if (this.inline && size <= MAX_BITS_IN_SPAN && size >= 16) {
      this.greyInline(s, w, size);
      return;
    }
    if (spans.state[s] !== IN_USE) return;
    const slot = spans.slotOf(s, w);
    if (slot >= spans.nelems[s]) return;
    const large = spans.spanclass[s] >> 1 === 0;
    if (large && (w - spans.start[s]) * 8 + rest >= spans.largeBytes[s]) return;
    this.greySlot(s, slot);
  }

  /** The same for a heap word in a span that has its marks in it. */
  private greyInline(s: number, w: number, size: number): void {
    const { spans, sys } = this;
    const { words } = sys.mem;
    const start = spans.start[s];
    const slot = ((w - start) * 8 * spans.perSlot[s]) | 0;
    if (slot >= spans.nelems[s]) return;
    const at = sys.heapAt(start + PAGE_W - INLINE_WORDS8);
    const mark = at + 16 + (slot >> 5);
    const bit = 1 << (slot & 31);
    if ((words[mark] & bit) !== 0) return;
    words[mark] |= bit;
    if ((spans.spanclass[s] & 1) !== 0) {
      this.bytesMarked += size;
      return;
    }
    const owned = words[at + 15] & OWNED_MASK;
    if (owned === 0) {
      words[at + 15] |= OWNED_ONE;
      this.work.putSpan(start >> 10, slot);
    } else if (owned === OWNED_ONE) words[at + 15] |= OWNED_MANY;
  }

  /** Marks a slot whose span keeps its mark bits apart. @returns false when it was marked. */
  private setMark(s: number, slot: number): boolean {
    const { spans, sys } = this;
    const { words } = sys.mem;
    let at: number;
    if (spans.markEpoch[s] === sys.epoch) at = spans.markAt[s] + (slot >> 5);
    else {
      at = sys.mem.touch(spans.markBits[s] + (slot >> 5) * 4, true);
      const bytes = (spans.nelems[s] + 63) >>> 3;
      if ((spans.markBits[s] & 0xfff) + bytes <= 4096) {
        spans.markAt[s] = at - (slot >> 5);
        spans.markEpoch[s] = sys.epoch;
      }
    }
    const bit = 1 << (slot & 31);
    if ((words[at] & bit) !== 0) return false;
    words[at] |= bit;
    if (spans.marked[s] !== this.cycle) {
      spans.marked[s] = this.cycle;
      this.heap.arenas.setBit(spans.start[s], BITS_MARKS, true);
    }
    return true;
  }

  private greySlot(s: number, slot: number): void {
    if (!this.setMark(s, slot)) return;
    const { spans } = this;
    if ((spans.spanclass[s] & 1) !== 0) this.bytesMarked += spans.elemsize[s];
    else this.work.put(spans.start[s] + (slot * spans.elemsize[s]) / 8);
  }

  /** A new object while marking is on: black. */
  markNew(s: number, slot: number, scanBytes: number): void {
    const { spans } = this;
    const size = spans.elemsize[s];
    if (this.inline && size <= MAX_BITS_IN_SPAN && size >= 16) {
      const at = this.bitmaps.inlineAt(s);
      const { words } = this.sys.mem;
      words[at + 16 + (slot >> 5)] |= 1 << (slot & 31);
      if ((spans.spanclass[s] & 1) === 0) words[at + (slot >> 5)] |= 1 << (slot & 31);
      if (spans.marked[s] !== this.cycle) {
        spans.marked[s] = this.cycle;
        this.heap.arenas.setBit(spans.start[s], BITS_MARKS, true);
      }
    } else this.setMark(s, slot);
    this.bytesMarked += size;
    this.scanWork += scanBytes;
  }

  /** Whether the object in a slot is marked. */
  isMarked(s: number, slot: number): boolean {
    const { spans } = this;
    const { words } = this.sys.mem;
    const at = this.heap.usesInlineMarks(spans.elemsize[s])
      ? this.bitmaps.inlineAt(s) + 16 + (slot >> 5)
      : this.sys.mem.touch(spans.markBits[s] + (slot >> 5) * 4, false);
    return (words[at] & (1 << (slot & 31))) !== 0;
  }

  // Scanning.

  /**
   * Scans what is queued until `budget` bytes of scan work are done. @returns whether work is
   * left.
   */
  drain(budget: number): boolean {
    const { work } = this;
    const limit = this.scanWork + budget;
    while (this.scanWork < limit) {
      work.balance();
      let w = work.getFast();
      if (w >= 0) {
        this.scanObject(w);
        continue;
      }
      const span = work.getSpan();
      if (span >= 0) {
        this.scanSpan(span >>> 10, span & 1023);
        continue;
      }
      w = work.get();
      if (w < 0) return false;
      this.scanObject(w);
    }
    return true;
  }

  /**
   * Scans the slots of a span that were marked since its last scan; `slot` is the first of them.
   */
  private scanSpan(page: number, slot: number): void {
    const s = this.pageSpan[page];
    const { spans } = this;
    const { words } = this.sys.mem;
    const start = spans.start[s];
    const size = spans.elemsize[s];
    const at = this.sys.heapAt(start + PAGE_W - INLINE_WORDS8);
    const owned = words[at + 15] & OWNED_MASK;
    words[at + 15] &= ~OWNED_MASK;
    if (owned === OWNED_ONE) {
      const bit = 1 << (slot & 31);
      if ((words[at + (slot >> 5)] & bit) !== 0) return;
      words[at + (slot >> 5)] |= bit;
      this.bytesMarked += size;
      this.scanSmall(s, start + (slot * size) / 8, size / 8);
      return;
    }
    if (spans.marked[s] !== this.cycle) {
      spans.marked[s] = this.cycle;
      this.heap.arenas.setBit(start, BITS_MARKS, true);
    }
    this.scanMany(s);
  }

  /**
   * Scans all slots of a span that were marked and not scanned yet. The span's two frames, its
   * bits among them, and whatever a pointer leads to are looked up once each; only where queueing
   * made the kernel take pages away, the span's own are looked up again.
   */
  private scanMany(s: number): void {
    const { sys, spans, pageSpan } = this;
    const { words } = sys.mem;
    const start = spans.start[s];
    const n = spans.elemsize[s] >> 3;
    const own = this.bitmaps.bitsStart(s) - start;
    let { epoch } = sys;
    let first = sys.heapAtRead(start);
    let second = sys.heapAt(start + 512) - 1024; // so that word w of the span is at second + 2w
    let bits = second + 2 * own;
    let at = second + 2 * (PAGE_W - INLINE_WORDS8);
    let scanned = 0;
    let work = 0;
    for (let i = 0, slot0 = 0; slot0 < spans.nelems[s]; i++, slot0 += 32) {
      let todo = words[at + 16 + i] & ~words[at + i];
      if (i === 15) todo &= ~OWNED_MASK;
      words[at + i] |= todo;
      for (; todo !== 0; todo &= todo - 1) {
        const w = (slot0 + 31 - Math.clz32(todo & -todo)) * n;
        scanned++;
        let last = 0;
        for (let k = 0; k < n;) {
          const bit = (w + k) & 31;
          let mask = words[bits + ((w + k) >> 5)] >>> bit;
          const run = n - k < 32 - bit ? n - k : 32 - bit;
          if (run < 32) mask &= (1 << run) - 1;
          for (; mask !== 0; mask &= mask - 1) {
            const word = k + 31 - Math.clz32(mask & -mask);
            last = word + 1;
            const from = (w + word < 512 ? first : second) + ((w + word) << 1);
            const lo = words[from];
            const to = sys.wordOf(lo, words[from + 1]);
            if (to < 0) continue;
            const target = pageSpan[to >> 10];
            if (target === 0) continue;
            const size = spans.elemsize[target];
            if (size > MAX_BITS_IN_SPAN || size < 16) this.greyWord(to, lo & 7);
            else this.greyInline(target, to, size);
            if (sys.epoch === epoch) continue;
            ({ epoch } = sys);
            first = sys.heapAtRead(start);
            second = sys.heapAt(start + 512) - 1024;
            bits = second + 2 * own;
            at = second + 2 * (PAGE_W - INLINE_WORDS8);
          }
          k += run;
        }
        work += last;
      }
    }
    this.bytesMarked += scanned * n * 8;
    this.scanWork += work * 8;
  }

  /** Scans a slot of at most 64 words whose pointer bits are at the end of its span. */
  private scanSmall(s: number, w: number, n: number): void {
    const { sys } = this;
    const { words } = sys.mem;
    const bitmap = this.bitmaps.bitsStart(s);
    const first = w - this.spans.start[s];
    let last = 0;
    for (let i = 0; i < n;) {
      const bit = (first + i) & 31;
      const run = Math.min(n - i, 32 - bit);
      // Looked up each time: queueing may call the system, and then pages may move.
      let mask = words[sys.heapAt(bitmap) + ((first + i) >> 5)] >>> bit;
      if (run < 32) mask &= (1 << run) - 1;
      while (mask !== 0) {
        const k = ctz(mask);
        mask &= mask - 1;
        const at = sys.heapAtRead(w + i + k);
        last = i + k + 1;
        const lo = words[at];
        const hi = words[at + 1];
        if ((lo | hi) !== 0) this.grey(lo, hi);
      }
      i += run;
    }
    this.scanWork += last * 8;
  }

  /** Scans the object (or the piece of a very large one) that begins at a heap word. */
  scanObject(w: number): void {
    const { spans } = this;
    const s = this.pageSpan[w >> 10];
    const size = spans.elemsize[s];
    const n = size / 8;
    const objectStart = n > OBLET_WORDS ? spans.start[s] : w;
    let from = 0;
    let count = n;
    if (n > OBLET_WORDS) {
      from = w - objectStart;
      if (from === 0)
        for (let next = OBLET_WORDS; next < n; next += OBLET_WORDS) this.work.put(w + next);
      count = Math.min(OBLET_WORDS, n - from);
    }
    if (from === 0) this.bytesMarked += size;
    if (!this.headers) this.scanArenaBits(objectStart + from, count);
    else if (size <= MAX_BITS_IN_SPAN) this.scanSmall(s, w, n);
    else this.scanTyped(s, objectStart, from, count);
  }

  private scanTyped(s: number, w: number, from: number, count: number): void {
    const { words } = this.sys.mem;
    const large = this.spans.spanclass[s] >> 1 === 0;
    let addr = this.spans.largeType[s];
    let data = w;
    if (!large) {
      const at = this.sys.heapAt(w);
      addr = words[at + 1] * 2 ** 32 + (words[at] >>> 0);
      data = w + 1;
      count--;
    }
    if (addr === 0) return;
    const type = this.types.numberOf(addr);
    const step = this.types.words[type];
    const ptrs = this.types.ptrWords[type];
    const { mask } = this.types.layouts[type];
    let last = from;
    // `from` is where the piece begins: part of an element may lie before it.
    for (let base = from - (from % step); base < from + count; base += step) {
      const end = Math.min(base + ptrs, from + count);
      for (let i = Math.max(base, from); i < end; i++) {
        const k = i - base;
        if (mask !== null && (mask[k >> 5] & (1 << (k & 31))) === 0) continue;
        const at = this.sys.heapAtRead(data + i);
        last = i + 1;
        const lo = words[at];
        const hi = words[at + 1];
        if ((lo | hi) !== 0) this.grey(lo, hi);
      }
    }
    this.scanWork += (last - from) * 8;
  }

  private scanArenaBits(w: number, count: number): void {
    const { sys, bitmaps } = this;
    const { words, bytes } = sys.mem;
    let byte = 0;
    let i = 0;
    for (; i < count; i++) {
      const word = w + i;
      if (i === 0 || (word & 3) === 0) byte = bytes[bitmaps.arenaByteAt(word)];
      const bits = byte >> (word & 3);
      if ((bits & 0x10) === 0 && !(this.checkmarks && i === 1)) break;
      if ((bits & 1) === 0) continue;
      const at = sys.heapAtRead(word);
      const lo = words[at];
      const hi = words[at + 1];
      if ((lo | hi) !== 0) this.grey(lo, hi);
    }
    this.scanWork += i * 8;
  }
}
