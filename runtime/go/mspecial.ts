// What hangs on objects: finalizers, cleanups, weak pointers.
//
// Each is a special, a record that lies in the runtime's own memory and is linked to the object's
// span, in order of offset and then of kind:
//
//   span.specials -> | next | offset | kind | ... | -> | next | offset | kind | ... | -> nil
//   finalizer (56 bytes)     fn nret fint ot    cleanup (40)  fn id    weak handle (32)  handle
//
// While marking, what a finalizer's object points to is marked (not the object itself), and the
// functions and weak handles are roots. When the span is swept, before its marks are used:
//
//   object marked        nothing happens
//   with a finalizer     the object is marked after all: it lives one cycle more. Its finalizer is
//                        queued and its weak pointers become nil; cleanups stay
//   without              cleanups are queued, weak pointers become nil, the object is freed
//
// Queued finalizers hold their objects; they run last in, first out, as the runtime's goroutine
// takes them from its blocks of 101; cleanups run in order.
//
// Invariants: a weak pointer is nil or its object is in use; a span's list is sorted; a queued
// finalizer's object is marked.
// Source: Go 1.26.8 src/runtime/mheap.go (special), mfinal.go, mcleanup.go, mgcsweep.go (sweep),
// mgcmark.go (markrootSpans); Go 1.19.8 and 1.9 have finalizers alone.

import { assert } from '../../kernel/errors.ts';
import { BITS_SPECIALS } from './arena.ts';
import { type Gc, GC_OFF, type RootScanner } from './mgc.ts';
import type { Marker } from './mgcmark.ts';
import type { Sweep } from './mgcsweep.ts';
import type { Heap } from './mheap.ts';
import { FixAlloc } from './persistent.ts';
import { S_GCMISC, S_OTHER, type Sys } from './sys.ts';

export const SPECIAL_FINALIZER = 2;
export const SPECIAL_WEAK_HANDLE = 3;
export const SPECIAL_CLEANUP = 7;

// Offsets in a record.
const NEXT = 0;
const OFFSET = 8;
const KIND = 16;
const FIRST = 24; // fn of a finalizer or cleanup, or the weak handle
const CLEANUP_ID = 32;

const FIN_BLOCK_BYTES = 4096;
const FIN_BLOCK_HEADER = 40;
const FIN_BYTES = 40;
const FINS = Math.floor((FIN_BLOCK_BYTES - FIN_BLOCK_HEADER) / FIN_BYTES);

/** What a finalizer does with its object, which may come to life again by it. */
export type Finalizer = (object: number) => void;

interface Queued {
  readonly object: number;
  readonly run: Finalizer;
  /** Where it lies in its block. */
  readonly at: number;
}

export class Specials {
  /** Finalizers and cleanups that have run, or were queued to. */
  queuedFinalizers = 0;
  queuedCleanups = 0;
  private readonly sys: Sys;
  private readonly heap: Heap;
  private readonly gc: Gc;
  private readonly marker: Marker;
  private readonly sweep: Sweep;
  private readonly allocs: ReadonlyMap<number, FixAlloc>;
  /** Spans with specials, in the order in which they got their first. */
  private readonly spans = new Set<number>();
  /** What runs, by special record. */
  private readonly finalizers = new Map<number, Finalizer>();
  private readonly cleanups = new Map<number, () => void>();
  private finQueue: Queued[] = [];
  private finBlocks: number[] = [];
  private cleanupQueue: { fn: number; run: () => void }[] = [];
  private nextId = 1;

  constructor(heap: Heap, gc: Gc, marker: Marker, sweep: Sweep) {
    this.heap = heap;
    this.sys = heap.sys;
    this.gc = gc;
    this.marker = marker;
    this.sweep = sweep;
    const record = (bytes: number): FixAlloc =>
      new FixAlloc(heap.sys, heap.persistent, bytes, S_OTHER);
    this.allocs = new Map([
      [SPECIAL_FINALIZER, record(56)],
      [SPECIAL_WEAK_HANDLE, record(32)],
      [SPECIAL_CLEANUP, record(40)],
    ]);
    sweep.specials = (s) => {
      this.sweeping(s);
    };
  }

  /** Marks from all specials and from what is queued: one root job. */
  readonly roots: RootScanner = {
    prepare: () => (this.spans.size + this.finQueue.length + this.cleanupQueue.length > 0 ? 1 : 0),
    scan: () => {
      for (const s of this.spans) this.markSpan(s);
      for (const q of this.finQueue) this.greyAddress(q.object);
      for (const q of this.cleanupQueue) this.greyAddress(q.fn);
      return 0;
    },
    forEachRoot: (load, visit) => {
      for (const s of this.spans)
        for (let r = this.heap.spans.specials[s]; r !== 0; r = load(r + NEXT))
          visit('a finalizer or cleanup', load(r + FIRST));
      for (const q of this.finQueue) visit('the queue of finalizers', q.object);
      for (const q of this.cleanupQueue) visit('the queue of cleanups', q.fn);
    },
  };

  private greyAddress(addr: number): void {
    if (addr !== 0) this.marker.grey(addr | 0, Math.floor(addr / 2 ** 32));
  }

  private markSpan(s: number): void {
    const { mem } = this.sys;
    const { spans } = this.heap;
    for (let r = spans.specials[s]; r !== 0; r = mem.load64(r + NEXT)) {
      this.greyAddress(mem.load64(r + FIRST));
      if (mem.load8(r + KIND) === SPECIAL_FINALIZER) this.markFrom(s, mem.load64(r + OFFSET));
    }
  }

  /** What an object points to stays, the object itself may go. */
  private markFrom(s: number, offset: number): void {
    const { spans } = this.heap;
    if ((spans.spanclass[s] & 1) !== 0) return;
    const slot = Math.floor(offset / spans.elemsize[s]);
    this.marker.scanObject(spans.slotStart(s, slot));
  }

  // Making and removing.

  private spanOf(object: number): number {
    const w = Math.floor((object - this.sys.heapBase) / 8);
    const s = w >= 0 ? this.heap.pageSpan[w >> 10] : 0;
    assert(s !== 0, 'addspecial on invalid pointer');
    this.sweep.ensureSwept(s);
    return s;
  }

  /** Links a new record to its place. @returns 0 where there is one already and `once` is asked. */
  private add(object: number, kind: number, once: boolean, first: number): number {
    const { mem } = this.sys;
    const { spans } = this.heap;
    const s = this.spanOf(object);
    const offset = object - this.sys.addressOf(spans.start[s]);
    let before = 0;
    let at = spans.specials[s];
    for (; at !== 0; before = at, at = mem.load64(at + NEXT)) {
      const o = mem.load64(at + OFFSET);
      const k = mem.load8(at + KIND);
      if (o === offset && k === kind && once) return 0;
      if (o > offset || (o === offset && k > kind)) break;
    }
    const record = this.allocs.get(kind)?.alloc() ?? 0;
    mem.store64(record + NEXT, at);
    mem.store64(record + OFFSET, offset);
    mem.store64(record + KIND, kind);
    mem.store64(record + FIRST, first);
    if (before === 0) this.setFirst(s, record);
    else mem.store64(before + NEXT, record);
    if (this.gc.phase !== GC_OFF) {
      // The root job may be over: what it would have marked is marked here.
      if (kind === SPECIAL_FINALIZER) this.markFrom(s, offset);
      this.greyAddress(first);
    }
    return record;
  }

  private setFirst(s: number, record: number): void {
    const { spans, arenas } = this.heap;
    spans.specials[s] = record;
    if (record === 0) this.spans.delete(s);
    else this.spans.add(s);
    arenas.setBit(spans.start[s], BITS_SPECIALS, record !== 0);
  }

  private find(object: number, kind: number): { s: number; before: number; at: number } {
    const { mem } = this.sys;
    const { spans } = this.heap;
    const s = this.spanOf(object);
    const offset = object - this.sys.addressOf(spans.start[s]);
    let before = 0;
    for (let at = spans.specials[s]; at !== 0; before = at, at = mem.load64(at + NEXT))
      if (mem.load64(at + OFFSET) === offset && mem.load8(at + KIND) === kind)
        return { s, before, at };
    return { s, before: 0, at: 0 };
  }

  private unlink(s: number, before: number, at: number): void {
    const { mem } = this.sys;
    const next = mem.load64(at + NEXT);
    if (before === 0) this.setFirst(s, next);
    else mem.store64(before + NEXT, next);
    this.allocs.get(mem.load8(at + KIND))?.release(at);
  }

  /**
   * runtime.SetFinalizer on the beginning of an object; `null` takes the finalizer off.
   * @param fn address of the function value, 0 for one that is in the program's text.
   */
  setFinalizer(object: number, run: Finalizer | null, fn = 0): void {
    if (run === null) {
      const { s, before, at } = this.find(object, SPECIAL_FINALIZER);
      if (at === 0) return;
      this.finalizers.delete(at);
      this.unlink(s, before, at);
      return;
    }
    const record = this.add(object, SPECIAL_FINALIZER, true, fn);
    assert(record !== 0, 'runtime.SetFinalizer: finalizer already set');
    this.finalizers.set(record, run);
  }

  /** runtime.AddCleanup on an object. @param fn address of the closure. @returns its id. */
  addCleanup(object: number, run: () => void, fn = 0): number {
    const record = this.add(object, SPECIAL_CLEANUP, false, fn);
    this.sys.mem.store64(record + CLEANUP_ID, this.nextId);
    this.cleanups.set(record, run);
    return this.nextId++;
  }

  /**
   * weak.Make: the object's weak handle, an 8-byte object that all its weak pointers share.
   * @param alloc allocates the handle, without pointers.
   */
  weak(object: number, alloc: () => number): number {
    const found = this.find(object, SPECIAL_WEAK_HANDLE);
    if (found.at !== 0) return this.sys.mem.load64(found.at + FIRST);
    const handle = alloc();
    this.sys.mem.store64(handle, object);
    this.add(object, SPECIAL_WEAK_HANDLE, true, handle);
    return handle;
  }

  /** weak.Pointer.Value: the object, which lives on in this cycle, or 0. */
  weakValue(handle: number): number {
    const { mem } = this.sys;
    const object = mem.load64(handle);
    if (object === 0) return 0;
    // An object that the last mark did not reach is about to go: sweeping its span says so.
    this.sweep.ensureSwept(this.spanOf(object));
    const still = mem.load64(handle);
    if (still !== 0 && this.gc.phase !== GC_OFF) this.greyAddress(still);
    return still;
  }

  // Sweeping.

  private sweeping(s: number): void {
    const { mem } = this.sys;
    const { spans } = this.heap;
    let before = 0;
    for (let at = spans.specials[s]; at !== 0;) {
      const slot = Math.floor(mem.load64(at + OFFSET) / spans.elemsize[s]);
      if (this.isMarked(s, slot)) {
        before = at;
        at = mem.load64(at + NEXT);
        continue;
      }
      const revived = this.hasFinalizer(s, slot, at);
      if (revived) this.mark(s, slot);
      // Everything on this object, before its mark changes what it is.
      while (at !== 0 && Math.floor(mem.load64(at + OFFSET) / spans.elemsize[s]) === slot) {
        const next = mem.load64(at + NEXT);
        if (revived && mem.load8(at + KIND) === SPECIAL_CLEANUP) before = at;
        else {
          this.fire(s, at);
          this.unlink(s, before, at);
        }
        at = next;
      }
    }
  }

  private markWord(s: number, slot: number): number {
    return this.sys.mem.touch(this.heap.spans.markBits[s] + (slot >>> 5) * 4, true);
  }

  private isMarked(s: number, slot: number): boolean {
    return (this.sys.mem.words[this.markWord(s, slot)] & (1 << (slot & 31))) !== 0;
  }

  private mark(s: number, slot: number): void {
    this.sys.mem.words[this.markWord(s, slot)] |= 1 << (slot & 31);
  }

  private hasFinalizer(s: number, slot: number, from: number): boolean {
    const { mem } = this.sys;
    const size = this.heap.spans.elemsize[s];
    for (let at = from; at !== 0; at = mem.load64(at + NEXT)) {
      if (Math.floor(mem.load64(at + OFFSET) / size) !== slot) return false;
      if (mem.load8(at + KIND) === SPECIAL_FINALIZER) return true;
    }
    return false;
  }

  /** The object of a special is unreachable. */
  private fire(s: number, at: number): void {
    const { mem } = this.sys;
    const object = this.sys.addressOf(this.heap.spans.start[s]) + mem.load64(at + OFFSET);
    const first = mem.load64(at + FIRST);
    switch (mem.load8(at + KIND)) {
      case SPECIAL_FINALIZER:
        this.queue(object, first, this.finalizers.get(at));
        this.finalizers.delete(at);
        return;
      case SPECIAL_WEAK_HANDLE:
        mem.store64(first, 0);
        return;
      default: {
        const run = this.cleanups.get(at);
        this.cleanups.delete(at);
        assert(run !== undefined, 'a cleanup has a function');
        this.cleanupQueue.push({ fn: first, run });
        this.queuedCleanups++;
      }
    }
  }

  private queue(object: number, fn: number, run: Finalizer | undefined): void {
    assert(run !== undefined, 'a finalizer has a function');
    const { mem } = this.sys;
    const i = this.finQueue.length;
    const block = Math.floor(i / FINS);
    if (block === this.finBlocks.length)
      this.finBlocks.push(this.heap.persistent.alloc(FIN_BLOCK_BYTES, 64, S_GCMISC));
    const at = this.finBlocks[block] + FIN_BLOCK_HEADER + (i % FINS) * FIN_BYTES;
    mem.store64(at, fn);
    mem.store64(at + 8, object);
    this.finQueue.push({ object, run, at });
    this.queuedFinalizers++;
  }

  // Running.

  get pending(): number {
    return this.finQueue.length + this.cleanupQueue.length;
  }

  /** What is queued and has not run. */
  get waiting(): { readonly finalizers: number; readonly cleanups: number } {
    return {
      finalizers: this.finQueue.length,
      cleanups: this.cleanupQueue.length,
    };
  }

  /** The runtime's goroutines run what is queued. @returns how many functions ran. */
  run(): number {
    let n = 0;
    for (let q = this.finQueue.pop(); q !== undefined; q = this.finQueue.pop(), n++) {
      this.sys.mem.zero(q.at, FIN_BYTES);
      // The goroutine's stack holds the object while its finalizer runs.
      if (this.gc.phase !== GC_OFF) this.greyAddress(q.object);
      q.run(q.object);
    }
    const cleanups = this.cleanupQueue;
    this.cleanupQueue = [];
    for (const q of cleanups) q.run();
    return n + cleanups.length;
  }

  // Proof.

  /** Lists are sorted; each special's object is in use; weak handles point back. */
  check(): void {
    const { mem } = this.sys;
    const { spans } = this.heap;
    for (const s of this.spans) {
      let last = -1;
      for (let at = spans.specials[s]; at !== 0; at = mem.load64(at + NEXT)) {
        const offset = mem.load64(at + OFFSET);
        const kind = mem.load8(at + KIND);
        assert(offset * 16 + kind >= last, 'specials: in order of offset and kind');
        last = offset * 16 + kind;
        assert(offset < spans.npages[s] * 8192, 'specials: within the span');
        if (kind !== SPECIAL_WEAK_HANDLE) continue;
        const object = this.sys.addressOf(spans.start[s]) + offset;
        assert(mem.load64(mem.load64(at + FIRST)) === object, 'specials: a handle points back');
      }
    }
  }
}
