// Spans: runs of heap pages divided into slots of one size.
//
// A span's record lies in the process's memory (fixalloc, linked into the arena's page map). What
// the allocator and the collector touch for every object is kept beside it in columns here, indexed
// by the span's number, and written to the record when the span changes hands (init, cached, given
// back, swept): `store` does that, `check` compares. Number 0 is the empty span that a cache holds
// where it holds none.
//
//   state    Dead --init--> InUse --free--> Dead      Dead --initManual--> Manual --free--> Dead
//
//   sweepgen relative to the heap's (which grows by 2 with each cycle)
//     h-2  needs sweeping        h-1  being swept       h    swept, ready for use
//     h+1  cached before sweeping began, still cached, needs sweeping     h+3  swept, then cached
//
//   allocCache   the complement of 64 allocBits from freeindex & ~63 on, shifted so that its lowest
//                bit is slot freeindex: the next free slot is a count of trailing zeros away
//
// Invariants: slots below freeindex are in use; allocCount <= nelems; start and npages do not
// overlap another live span's.
// Source: Go 1.26.8 src/runtime/mheap.go (mspan), mbitmap.go (nextFreeIndex), mspanset.go.

import { assert } from '../../kernel/errors.ts';
import { ctz, popcount } from './pallocbits.ts';
import type { Sys } from './sys.ts';

export const DEAD = 0;
export const IN_USE = 1;
export const MANUAL = 2;
/** In a list of free spans (go1.9; later versions have no free spans). */
export const FREE = 3;

// Byte offsets in a record (Go 1.26: next, prev, list, startAddr, npages, …).
const R_START = 24;
const R_NPAGES = 32;
const R_FREE_LIST = 40;
const R_FREEINDEX = 48;
const R_NELEMS = 50;
const R_ALLOC_CACHE = 56;
const R_ALLOC_BITS = 64;
const R_MARK_BITS = 72;
const R_SWEEPGEN = 88;
const R_ALLOC_COUNT = 96;
const R_STATE = 99;
const R_NEEDZERO = 100;
const R_ELEMSIZE = 104;
// Of a free span of go1.9.
const R_UNUSED_SINCE = 112;
const R_RELEASED = 120;

export class SpanTable {
  /** Highest number in use plus one. */
  count = 1;
  // Columns, by span number.
  start = new Int32Array(1024); // heap word of the first byte
  npages = new Int32Array(1024);
  elemsize = new Float64Array(1024); // bytes of a slot
  perSlot = new Float64Array(1024); // 1 / elemsize, rounded up a little: slot = offset * perSlot
  nelems = new Int32Array(1024);
  freeindex = new Int32Array(1024);
  freeIndexForScan = new Int32Array(1024);
  allocCount = new Int32Array(1024);
  cachedCount = new Int32Array(1024); // allocCount when it was cached
  cacheLo = new Int32Array(1024);
  cacheHi = new Int32Array(1024);
  allocBits = new Float64Array(1024); // addresses of bitmaps
  markBits = new Float64Array(1024);
  sweepgen = new Int32Array(1024);
  spanclass = new Uint8Array(1024);
  state = new Uint8Array(1024);
  needzero = new Uint8Array(1024);
  marked = new Int32Array(1024); // the cycle in which the page was last noted as marked
  specials = new Float64Array(1024); // address of the first special, 0 for none
  largeType = new Float64Array(1024); // type of a large object with pointers
  largeBytes = new Float64Array(1024); // what was asked for, of a large object
  markAt = new Int32Array(1024); // index in mem.words of the mark bits, as of markEpoch
  markEpoch = new Int32Array(1024);
  record = new Float64Array(1024); // address of the mspan
  private readonly sys: Sys;
  private freeNumbers: number[] = [];

  constructor(sys: Sys) {
    this.sys = sys;
    this.nelems[0] = 0;
  }

  /** A number for the record at `record`. */
  add(record: number): number {
    const s = this.freeNumbers.pop() ?? this.count++;
    if (s >= this.start.length) this.growColumns();
    this.record[s] = record;
    return s;
  }

  /** A fresh span's counters. */
  clear(s: number): void {
    this.freeindex[s] = 0;
    this.freeIndexForScan[s] = 0;
    this.allocCount[s] = 0;
    this.cachedCount[s] = 0;
    this.specials[s] = 0;
    this.largeType[s] = 0;
    this.marked[s] = 0;
  }

  remove(s: number): void {
    this.state[s] = DEAD;
    this.freeNumbers.push(s);
  }

  private growColumns(): void {
    const n = this.start.length * 2;
    this.start = grown(this.start, new Int32Array(n));
    this.npages = grown(this.npages, new Int32Array(n));
    this.elemsize = grown(this.elemsize, new Float64Array(n));
    this.perSlot = grown(this.perSlot, new Float64Array(n));
    this.nelems = grown(this.nelems, new Int32Array(n));
    this.freeindex = grown(this.freeindex, new Int32Array(n));
    this.freeIndexForScan = grown(this.freeIndexForScan, new Int32Array(n));
    this.allocCount = grown(this.allocCount, new Int32Array(n));
    this.cachedCount = grown(this.cachedCount, new Int32Array(n));
    this.cacheLo = grown(this.cacheLo, new Int32Array(n));
    this.cacheHi = grown(this.cacheHi, new Int32Array(n));
    this.allocBits = grown(this.allocBits, new Float64Array(n));
    this.markBits = grown(this.markBits, new Float64Array(n));
    this.sweepgen = grown(this.sweepgen, new Int32Array(n));
    this.spanclass = grown(this.spanclass, new Uint8Array(n));
    this.state = grown(this.state, new Uint8Array(n));
    this.needzero = grown(this.needzero, new Uint8Array(n));
    this.marked = grown(this.marked, new Int32Array(n));
    this.specials = grown(this.specials, new Float64Array(n));
    this.largeType = grown(this.largeType, new Float64Array(n));
    this.largeBytes = grown(this.largeBytes, new Float64Array(n));
    this.markAt = grown(this.markAt, new Int32Array(n));
    this.markEpoch = grown(this.markEpoch, new Int32Array(n));
    this.record = grown(this.record, new Float64Array(n));
  }

  /** Slot that a heap word lies in; the span is known to hold it. */
  slotOf(s: number, w: number): number {
    return ((w - this.start[s]) * 8 * this.perSlot[s]) | 0;
  }

  /** Heap word where slot `i` begins. */
  slotStart(s: number, i: number): number {
    return this.start[s] + (i * this.elemsize[s]) / 8;
  }

  /** Loads 64 bits of allocBits from slot `from` (a multiple of 64) on, complemented. */
  refillAllocCache(s: number, from: number): void {
    const at = this.sys.mem.touch(this.allocBits[s] + (from >>> 3), true);
    const { words } = this.sys.mem;
    this.cacheLo[s] = ~words[at];
    this.cacheHi[s] = ~words[at + 1];
  }

  /** The next free slot at or after freeindex, which moves past it; nelems when there is none. */
  nextFreeIndex(s: number): number {
    let index = this.freeindex[s];
    const n = this.nelems[s];
    if (index === n) return n;
    let lo = this.cacheLo[s];
    let hi = this.cacheHi[s];
    while ((lo | hi) === 0) {
      index = (index + 64) & ~63;
      if (index >= n) {
        this.freeindex[s] = n;
        return n;
      }
      this.refillAllocCache(s, index);
      lo = this.cacheLo[s];
      hi = this.cacheHi[s];
    }
    const skip = lo !== 0 ? ctz(lo) : 32 + ctz(hi);
    const result = index + skip;
    if (result >= n) {
      this.freeindex[s] = n;
      return n;
    }
    this.shiftCache(s, skip + 1);
    index = result + 1;
    if ((index & 63) === 0 && index !== n) this.refillAllocCache(s, index);
    this.freeindex[s] = index;
    return result;
  }

  /** allocCache >>= n, n 0..64. */
  shiftCache(s: number, n: number): void {
    const lo = this.cacheLo[s];
    const hi = this.cacheHi[s];
    if (n >= 32) {
      this.cacheLo[s] = n >= 64 ? 0 : hi >>> (n - 32);
      this.cacheHi[s] = 0;
    } else if (n > 0) {
      this.cacheLo[s] = (lo >>> n) | (hi << (32 - n));
      this.cacheHi[s] = hi >>> n;
    }
  }

  /** Whether slot `i` was never handed out, or freed by the last sweep. */
  isFree(s: number, i: number): boolean {
    if (i < this.freeIndexForScan[s]) return false;
    const byte = this.sys.mem.load8(this.allocBits[s] + (i >>> 3));
    return (byte & (1 << (i & 7))) === 0;
  }

  /** Set bits in the mark bitmap. */
  countMarks(s: number): number {
    const { mem } = this.sys;
    const { words } = mem;
    let n = 0;
    for (let i = 0; i < this.nelems[s]; i += 64) {
      const at = mem.touch(this.markBits[s] + (i >>> 3), true);
      n += popcount(words[at]) + popcount(words[at + 1]);
    }
    return n;
  }

  /** Writes the columns into the record. */
  store(s: number): void {
    const { mem } = this.sys;
    const r = this.record[s];
    const start = this.sys.addressOf(this.start[s]);
    const counts = this.allocCount[s] | (this.spanclass[s] << 16) | (this.state[s] << 24);
    if ((r & 0xfff) + R_ELEMSIZE + 8 > 4096) {
      this.storeSlowly(s, r, start, counts);
      return;
    }
    const at = mem.touch(r, true);
    const { words } = mem;
    putAddress(words, at + (R_START >> 2), start);
    words[at + (R_NPAGES >> 2)] = this.npages[s];
    words[at + (R_FREEINDEX >> 2)] = this.freeindex[s] | (this.nelems[s] << 16);
    words[at + (R_ALLOC_CACHE >> 2)] = this.cacheLo[s];
    words[at + (R_ALLOC_CACHE >> 2) + 1] = this.cacheHi[s];
    putAddress(words, at + (R_ALLOC_BITS >> 2), this.allocBits[s]);
    putAddress(words, at + (R_MARK_BITS >> 2), this.markBits[s]);
    words[at + (R_SWEEPGEN >> 2)] = this.sweepgen[s];
    words[at + (R_ALLOC_COUNT >> 2)] = counts;
    words[at + (R_NEEDZERO >> 2)] = this.needzero[s];
    putAddress(words, at + (R_ELEMSIZE >> 2), this.elemsize[s]);
  }

  /** The same for a record that crosses a page. */
  private storeSlowly(s: number, r: number, start: number, counts: number): void {
    const { mem } = this.sys;
    mem.store64(r + R_START, start);
    mem.store64(r + R_NPAGES, this.npages[s]);
    mem.store32(r + R_FREEINDEX, this.freeindex[s] | (this.nelems[s] << 16));
    mem.store32(r + R_ALLOC_CACHE, this.cacheLo[s]);
    mem.store32(r + R_ALLOC_CACHE + 4, this.cacheHi[s]);
    mem.store64(r + R_ALLOC_BITS, this.allocBits[s]);
    mem.store64(r + R_MARK_BITS, this.markBits[s]);
    mem.store32(r + R_SWEEPGEN, this.sweepgen[s]);
    mem.store32(r + R_ALLOC_COUNT, counts);
    mem.store32(r + R_NEEDZERO, this.needzero[s]);
    mem.store64(r + R_ELEMSIZE, this.elemsize[s]);
  }

  /** The record of a span that is in no cache says what the columns say. */
  check(s: number): void {
    const { mem } = this.sys;
    const r = this.record[s];
    const what = `span ${String(s)}`;
    assert(mem.load64(r + R_START) === this.sys.addressOf(this.start[s]), `${what}: start`);
    assert(mem.load64(r + R_NPAGES) === this.npages[s], `${what}: npages`);
    assert(mem.load16(r + R_FREEINDEX) === this.freeindex[s], `${what}: freeindex`);
    assert(mem.load16(r + R_NELEMS) === this.nelems[s], `${what}: nelems`);
    assert(mem.load16(r + R_ALLOC_COUNT) === this.allocCount[s], `${what}: allocCount`);
    assert(mem.load64(r + R_ALLOC_BITS) === this.allocBits[s], `${what}: allocBits`);
    assert(mem.load8(r + R_STATE) === this.state[s], `${what}: state`);
    if (this.state[s] !== IN_USE) return;
    assert(this.allocCount[s] <= this.nelems[s], `${what}: allocCount <= nelems`);
    assert(this.freeindex[s] <= this.nelems[s], `${what}: freeindex <= nelems`);
  }

  /** Since when a free span is unused, in nanoseconds, and how many pages of it are released. */
  storeUnused(s: number, since: number, released: number): void {
    this.sys.mem.store64(this.record[s] + R_UNUSED_SINCE, since);
    this.sys.mem.store64(this.record[s] + R_RELEASED, released);
  }

  /** First free stack or buffer of a manual span, as its record has it. */
  freeList(s: number): number {
    return this.sys.mem.load64(this.record[s] + R_FREE_LIST);
  }

  setFreeList(s: number, addr: number): void {
    this.sys.mem.store64(this.record[s] + R_FREE_LIST, addr);
  }
}

/** A 64-bit number below 2^53 in two words. */
function putAddress(words: Int32Array, at: number, value: number): void {
  words[at] = value | 0;
  words[at + 1] = Math.floor(value / 2 ** 32);
}

function grown<T extends Int32Array | Float64Array | Uint8Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
