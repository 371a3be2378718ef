// Grey objects: what is marked and not yet scanned.
//
// Objects wait in buffers of 2 KiB in the process's memory, sixteen of them cut from a span of four
// pages that comes from the page heap and goes back after the sweep. The marker holds two, and
// swaps them before it goes to the lists of full and empty ones.
//
//   buffer:  next | count of pushes | nobj | 253 pointers      lists: last in first out
//
// Spans that are marked whole (go1.26) wait in a queue, first in first out: 256 places, behind
// which chained rings of 1024 places and more are mapped when it overflows.
//
// Source: Go 1.26.8 src/runtime/mgcwork.go, mgcmark_greenteagc.go (spanQueue).
// Not modelled: one such pair for each processor; stealing between them.

import { assert } from '../../kernel/errors.ts';
import { type Heap, type PageUser, SPAN_WORKBUF } from './mheap.ts';
import { S_GCMISC, type Sys } from './sys.ts';

const BUF_BYTES = 2048;
const BUF_OBJECTS = 253;
const SPAN_PAGES = 4;
const HEADER_WORDS = 6;
const RING = 256;
const SPILL_PERIOD = 64;
const SPILL_MAX = 16;

export class GcWork {
  /** The processor for whose account pages are taken. */
  user: PageUser;
  private readonly heap: Heap;
  private readonly sys: Sys;
  // The two buffers at hand: address, index in mem.words of the first pointer, how many.
  private addr1 = 0;
  private at1 = 0;
  private n1 = 0;
  private addr2 = 0;
  private n2 = 0;
  private epoch = 0;
  private full = 0;
  private empty = 0;
  private busySpans: number[] = [];
  private freeSpans: number[] = [];
  /** Most spans of buffers at one time, since the start. */
  peakSpans = 0;

  // The queue of spans: (page number of the heap << 10) | slot.
  private queue = new Int32Array(1024);
  private head = 0;
  private tail = 0;
  private inRing = 0;
  private sinceDrain = 0;
  private chain: { at: number; capacity: number; used: number }[] = [];

  constructor(heap: Heap, user: PageUser) {
    this.heap = heap;
    this.sys = heap.sys;
    this.user = user;
  }

  // Objects.

  /** Queues the object at a heap word. */
  put(w: number): void {
    if (this.n1 === BUF_OBJECTS || this.addr1 === 0) this.makeRoom();
    if (this.epoch !== this.sys.epoch) this.locate();
    const at = this.at1 + (this.n1++ << 1);
    const { words } = this.sys.mem;
    const addr = this.sys.addressOf(w);
    words[at] = addr | 0;
    words[at + 1] = Math.floor(addr / 2 ** 32);
  }

  /** An object's heap word, -1 when none is left. */
  get(): number {
    if (this.n1 === 0 && !this.findFull()) return -1;
    return this.pop();
  }

  /** An object from the buffer in hand alone. */
  getFast(): number {
    return this.n1 === 0 ? -1 : this.pop();
  }

  private pop(): number {
    if (this.epoch !== this.sys.epoch) this.locate();
    const at = this.at1 + (--this.n1 << 1);
    const { words } = this.sys.mem;
    return this.sys.wordOf(words[at], words[at + 1]);
  }

  private locate(): void {
    this.at1 = this.sys.mem.touch(this.addr1, true) + HEADER_WORDS;
    this.epoch = this.sys.epoch;
  }

  private init(): void {
    this.addr1 = this.getEmpty();
    this.n1 = 0;
    const full = this.popList('full');
    this.addr2 = full === 0 ? this.getEmpty() : full;
    this.n2 = full === 0 ? 0 : this.countOf(full);
    this.locate();
  }

  private swap(): void {
    const addr = this.addr1;
    const n = this.n1;
    this.addr1 = this.addr2;
    this.n1 = this.n2;
    this.addr2 = addr;
    this.n2 = n;
    this.locate();
  }

  private makeRoom(): void {
    if (this.addr1 === 0) this.init();
    if (this.n1 < BUF_OBJECTS) return;
    this.swap();
    if (this.n1 < BUF_OBJECTS) return;
    this.pushFull(this.addr1, this.n1);
    this.addr1 = this.getEmpty();
    this.n1 = 0;
    this.locate();
  }

  private findFull(): boolean {
    if (this.addr1 === 0) this.init();
    if (this.n1 > 0) return true;
    this.swap();
    if (this.n1 > 0) return true;
    const full = this.popList('full');
    if (full === 0) return false;
    this.pushEmpty(this.addr1);
    this.addr1 = full;
    this.n1 = this.countOf(full);
    this.locate();
    return true;
  }

  /** Makes work visible to others while the list of full buffers is empty. */
  balance(): void {
    if (this.full !== 0 || this.addr1 === 0) return;
    if (this.n2 !== 0) {
      this.pushFull(this.addr2, this.n2);
      this.addr2 = this.getEmpty();
      this.n2 = 0;
    } else if (this.n1 > 4) this.handOff();
  }

  /** Half of the buffer in hand goes to the list of full ones. */
  private handOff(): void {
    const fresh = this.getEmpty();
    const moved = this.n1 >> 1;
    const kept = this.n1 - moved;
    const from = this.addr1 + HEADER_WORDS * 4 + kept * 8;
    this.sys.mem.copy(fresh + HEADER_WORDS * 4, from, moved * 8);
    this.pushFull(this.addr1, kept);
    this.addr1 = fresh;
    this.n1 = moved;
    this.locate();
  }

  // Lists of buffers.

  private countOf(buf: number): number {
    return this.sys.mem.load64(buf + 16);
  }

  private pushFull(buf: number, n: number): void {
    assert(n > 0, 'workbuf is empty');
    this.sys.mem.store64(buf + 16, n);
    this.sys.mem.store64(buf, this.full);
    this.full = buf;
  }

  private pushEmpty(buf: number): void {
    this.sys.mem.store64(buf + 16, 0);
    this.sys.mem.store64(buf, this.empty);
    this.empty = buf;
  }

  private popList(which: 'full' | 'empty'): number {
    const buf = this[which];
    if (buf !== 0) this[which] = this.sys.mem.load64(buf);
    return buf;
  }

  private getEmpty(): number {
    const buf = this.popList('empty');
    if (buf !== 0) return buf;
    const s = this.freeSpans.pop() ?? this.heap.allocManual(this.user, SPAN_PAGES, SPAN_WORKBUF);
    this.busySpans.push(s);
    this.peakSpans = Math.max(this.peakSpans, this.busySpans.length);
    const base = this.sys.addressOf(this.heap.spans.start[s]);
    for (let at = BUF_BYTES; at < SPAN_PAGES * 8192; at += BUF_BYTES) this.pushEmpty(base + at);
    this.sys.mem.store64(base + 16, 0);
    return base;
  }

  /** Puts the buffers in hand on the lists. */
  dispose(): void {
    for (const [addr, n] of [
      [this.addr1, this.n1],
      [this.addr2, this.n2],
    ] as const) {
      if (addr === 0) continue;
      if (n === 0) this.pushEmpty(addr);
      else this.pushFull(addr, n);
    }
    this.addr1 = this.addr2 = 0;
    this.n1 = this.n2 = 0;
    this.epoch = 0;
  }

  get isEmpty(): boolean {
    return this.n1 === 0 && this.n2 === 0 && this.full === 0 && this.head === this.tail;
  }

  /** After a mark: all buffers are empty, and their spans may go. */
  prepareFree(): void {
    assert(this.full === 0, 'cannot free workbufs when work.full != 0');
    this.empty = 0;
    // Last taken, first freed: the list of free spans begins with the list of busy ones.
    this.freeSpans.push(...this.busySpans);
    this.busySpans = [];
  }

  /** Gives the spans of buffers back. @returns how many. */
  freeSome(): number {
    let n = 0;
    for (let s = this.freeSpans.pop(); s !== undefined; s = this.freeSpans.pop(), n++)
      this.heap.freeSpan(s, SPAN_WORKBUF);
    return n;
  }

  // Spans that are marked whole.

  putSpan(page: number, slot: number): void {
    if (this.tail - this.head === this.queue.length) this.growQueue();
    this.queue[this.tail++ & (this.queue.length - 1)] = (page << 10) | slot;
    if (this.inRing < RING) {
      this.inRing++;
      if (++this.sinceDrain >= SPILL_PERIOD) {
        this.sinceDrain = 0;
        const n = Math.min(this.inRing >> 1, SPILL_MAX);
        if (n > 4 && this.chained === 0) this.drainRing(n);
      }
      return;
    }
    this.drainRing(RING >> 1);
    this.inRing++;
  }

  /** The span that has waited for longest as (page << 10) | slot, -1 when there is none. */
  getSpan(): number {
    if (this.head === this.tail) return -1;
    if (this.inRing === 0) this.refillRing();
    this.inRing--;
    return this.queue[this.head++ & (this.queue.length - 1)];
  }

  private get chained(): number {
    let n = 0;
    for (const ring of this.chain) n += ring.used;
    return n;
  }

  /**
   * Moves `n` entries from the places at hand to the chain, mapping a larger ring where they do
   * not fit.
   */
  private drainRing(n: number): void {
    this.sinceDrain = 0;
    let last = this.chain.at(-1);
    if (last === undefined || last.used + n > last.capacity) {
      const capacity = last === undefined ? 1024 : Math.min(last.capacity * 2, (1 << 20) / 8);
      last = { at: this.sys.alloc(capacity * 8, S_GCMISC), capacity, used: 0 };
      this.chain.push(last);
    }
    last.used += n;
    this.inRing -= n;
  }

  private refillRing(): void {
    for (let i = 0; i < this.chain.length; i++) {
      const ring = this.chain[i];
      if (ring.used === 0) continue;
      const n = Math.min(ring.used - (ring.used >> 1), RING >> 1);
      ring.used -= n;
      this.inRing += n;
      return;
    }
    this.inRing = this.tail - this.head;
  }

  private growQueue(): void {
    const larger = new Int32Array(this.queue.length * 2);
    for (let i = this.head; i < this.tail; i++)
      larger[i & (larger.length - 1)] = this.queue[i & (this.queue.length - 1)];
    this.queue = larger;
  }

  /** Unmaps rings of the chain that a larger one replaced. */
  freeDeadRings(): void {
    while (this.chain.length > 1) {
      const ring = this.chain.shift();
      if (ring !== undefined) this.sys.free(ring.at, ring.capacity * 8, S_GCMISC);
    }
  }
}
