// Allocation: from a request of some bytes to a slot.
//
//   0 bytes            one address for all
//   tiny   < 16        no pointers: packed into 16-byte blocks of class 2
//   small  <= 32 KiB   the next free slot of the processor's span of that class
//   large              a span of its own
//
// The fast path is a count of trailing zeros in the span's allocCache; nothing is locked and
// nothing but the span's columns is written. A slot is cleared when its span was used before.
//
// Source: Go 1.26.8 src/runtime/malloc.go (mallocgc and the functions it calls); Go 1.19.8
// likewise.

import type { Bitmaps } from './mbitmap.ts';
import { MAX_BITS_IN_SPAN } from './mbitmap.ts';
import { type AllocStats, type Proc, TINY_SPAN_CLASS } from './mcache.ts';
import type { Heap } from './mheap.ts';
import type { Sys } from './sys.ts';
import { NO_POINTERS, type TypeTable } from './types.ts';

/** What allocation asks of the collector. */
export interface AllocGc {
  /** Marking is going on: new objects are black, and allocation is paid for. */
  readonly marking: boolean;
  markNew(p: Proc, s: number, slot: number, scanBytes: number): void;
  /** Pays for `bytes` of allocation with marking work, if in debt. */
  assist(p: Proc, bytes: number): void;
  /**
   * A span was taken: starts a collection if the live heap has reached the trigger.
   * @param w the object just made, which only the allocating stack points to.
   */
  testTrigger(p: Proc, w: number): void;
  /** The heap profile takes a sample. */
  sample(p: Proc, addr: number, bytes: number): void;
}

export class Malloc {
  /** Where objects of no size are. */
  zerobase = 0;
  /** The last allocation's span and slot, for whoever wants to know. */
  lastSpan = 0;
  private readonly heap: Heap;
  private readonly bitmaps: Bitmaps;
  private readonly types: TypeTable;
  private readonly stats: AllocStats;
  private readonly gc: AllocGc;
  private readonly sys: Sys;
  private readonly by8: Uint8Array;
  private readonly by128: Uint8Array;
  private readonly maxSmall: number;
  private readonly headers: boolean;
  private readonly base: number;

  constructor(heap: Heap, bitmaps: Bitmaps, types: TypeTable, stats: AllocStats, gc: AllocGc) {
    this.heap = heap;
    this.bitmaps = bitmaps;
    this.types = types;
    this.stats = stats;
    this.gc = gc;
    const { profile } = heap.sys;
    this.sys = heap.sys;
    this.by8 = profile.classes.by8;
    this.by128 = profile.classes.by128;
    this.maxSmall = profile.maxSmallBytes;
    this.headers = profile.mallocHeaders;
    this.base = heap.sys.heapBase;
  }

  /** Size class of a request, header included. */
  classOf(bytes: number): number {
    return bytes <= 1016 ? this.by8[(bytes + 7) >> 3] : this.by128[(bytes - 897) >> 7];
  }

  /**
   * An object of `bytes`, cleared.
   * @param type NO_POINTERS, or a type whose size divides `bytes`.
   * @returns its address.
   */
  alloc(p: Proc, bytes: number, type: number): number {
    if (type === NO_POINTERS) {
      if (bytes >= 16 && bytes <= this.maxSmall) return this.base + this.noscan(p, bytes) * 8;
      if (bytes === 0) return this.zerobase;
      if (bytes < 16) return this.tinyObject(p, bytes);
    } else if (bytes <= this.maxSmall) {
      if (this.headers && bytes > MAX_BITS_IN_SPAN)
        return this.base + this.scan(p, bytes, bytes + 8, type) * 8 + 8;
      return this.base + this.scan(p, bytes, bytes, type) * 8;
    }
    return this.large(p, bytes, type);
  }

  /** A slot for 16 to maxSmall bytes without pointers. @returns its heap word. */
  noscan(p: Proc, bytes: number): number {
    const spc = (this.classOf(bytes) << 1) | 1;
    // The common case: a free slot among the next 32, not the last of its 64 or of its span.
    const { hot } = p;
    const at = spc << 3;
    const lo = hot[at];
    if (lo !== 0) {
      const skip = 31 - Math.clz32(lo & -lo);
      const slot = hot[at + 2] + skip;
      const next = slot + 1;
      if (next < hot[at + 3] && (next & 63) !== 0) {
        const hi = hot[at + 1];
        if (skip < 31) {
          hot[at] = (lo >>> (skip + 1)) | (hi << (31 - skip));
          hot[at + 1] = hi >>> (skip + 1);
        } else {
          hot[at] = hi;
          hot[at + 1] = 0;
        }
        hot[at + 2] = next;
        hot[at + 7]++;
        const size = hot[at + 5];
        const w = hot[at + 4] + slot * size;
        if (slot >= hot[at + 6]) this.sys.zeroWords(w, size);
        return w;
      }
    }
    if (this.gc.marking) this.gc.assist(p, bytes);
    return this.slow(p, spc, bytes, bytes, NO_POINTERS);
  }

  /** A slot for an object with pointers; `slotBytes` with its header. @returns its heap word. */
  private scan(p: Proc, bytes: number, slotBytes: number, type: number): number {
    if (this.gc.marking) this.gc.assist(p, bytes);
    return this.slow(p, this.classOf(slotBytes) << 1, bytes, slotBytes, type);
  }

  /** Takes the next slot of a span class, refilling the cache if it must. */
  private slow(p: Proc, spc: number, bytes: number, slotBytes: number, type: number): number {
    const { spans } = this.heap;
    p.sync(spc);
    let s = p.alloc[spc];
    let slot = spans.nextFreeIndex(s);
    let refilled = false;
    if (slot === spans.nelems[s]) {
      p.refill(spc);
      refilled = true;
      s = p.alloc[spc];
      slot = spans.nextFreeIndex(s);
    }
    spans.allocCount[s]++;
    this.lastSpan = s;
    const size = spans.elemsize[s];
    const w = spans.start[s] + (slot * size) / 8;
    if (spans.needzero[s] !== 0) {
      // Objects with pointers and without a header are cleared as far as they were asked for.
      const clear = type !== NO_POINTERS && slotBytes === bytes && this.headers ? bytes : size;
      this.heap.sys.zeroWords(w, clear >> 3);
    }
    let scanBytes = 0;
    if (type !== NO_POINTERS) {
      scanBytes = this.bitmaps.setType(s, w, bytes, type);
      p.scanAlloc += scanBytes;
    }
    this.finish(p, s, slot, w, scanBytes, refilled);
    if (this.gc.marking) p.assistBytes -= size - bytes;
    return w;
  }

  private finish(
    p: Proc,
    s: number,
    slot: number,
    w: number,
    scanBytes: number,
    refilled: boolean,
  ): void {
    const { spans } = this.heap;
    if (this.gc.marking) this.gc.markNew(p, s, slot, scanBytes);
    else spans.freeIndexForScan[s] = spans.freeindex[s];
    const size = spans.elemsize[s];
    p.nextSample -= size;
    if (p.nextSample < 0) this.gc.sample(p, this.base + w * 8, size);
    if (spans.spanclass[s] > 1) p.load(spans.spanclass[s]);
    if (refilled) this.gc.testTrigger(p, w);
  }

  /** Less than 16 bytes without pointers: a place in the current block, or a new block. */
  private tinyObject(p: Proc, bytes: number): number {
    let off = p.tinyoffset;
    if ((bytes & 7) === 0) off = (off + 7) & ~7;
    else if ((bytes & 3) === 0) off = (off + 3) & ~3;
    else if ((bytes & 1) === 0) off = (off + 1) & ~1;
    if (this.gc.marking) this.gc.assist(p, bytes);
    if (off + bytes <= 16 && p.tiny >= 0) {
      p.tinyoffset = off + bytes;
      p.tinyAllocs++;
      return this.base + p.tiny * 8 + off;
    }
    return this.tinyBlock(p, bytes);
  }

  private tinyBlock(p: Proc, bytes: number): number {
    const { spans } = this.heap;
    p.sync(TINY_SPAN_CLASS);
    let s = p.alloc[TINY_SPAN_CLASS];
    let slot = spans.nextFreeIndex(s);
    let refilled = false;
    if (slot === spans.nelems[s]) {
      p.refill(TINY_SPAN_CLASS);
      refilled = true;
      s = p.alloc[TINY_SPAN_CLASS];
      slot = spans.nextFreeIndex(s);
    }
    spans.allocCount[s]++;
    this.lastSpan = s;
    const w = spans.start[s] + slot * 2;
    const { words } = this.heap.sys.mem;
    const at = this.heap.sys.heapAt(w);
    words[at] = words[at + 1] = words[at + 2] = words[at + 3] = 0;
    if (bytes < p.tinyoffset || p.tiny < 0) {
      p.tiny = w;
      p.tinyoffset = bytes;
    }
    this.finish(p, s, slot, w, 0, refilled);
    if (this.gc.marking) p.assistBytes -= 16 - bytes;
    return this.base + w * 8;
  }

  private large(p: Proc, bytes: number, type: number): number {
    const { spans, sys } = this.heap;
    if (this.gc.marking) this.gc.assist(p, bytes);
    const s = p.allocLarge(bytes, type === NO_POINTERS);
    spans.largeBytes[s] = bytes;
    this.bitmaps.initHeapBits(s);
    spans.freeindex[s] = 1;
    spans.allocCount[s] = 1;
    this.lastSpan = s;
    const w = spans.start[s];
    if (spans.needzero[s] !== 0) sys.zeroWords(w, spans.npages[s] * 1024);
    let scanBytes = 0;
    if (type !== NO_POINTERS) {
      scanBytes = this.bitmaps.setType(s, w, bytes, type);
      p.scanAlloc += scanBytes;
    }
    spans.store(s);
    this.finish(p, s, 0, w, scanBytes, true);
    if (this.gc.marking) p.assistBytes -= spans.elemsize[s] - bytes;
    return this.base + w * 8;
  }

  /** Free slots handed out without a refill, over all allocations. */
  get fastShare(): number {
    let all = this.stats.largeAllocCount;
    for (const n of this.stats.smallAlloc) all += n;
    return all === 0 ? 1 : 1 - this.stats.refills / all;
  }
}
