// sync.Pool: objects kept for the next user, for one collection or two.
//
//   local[P]   128 bytes a processor: | private (any) | shared: head, tail | padding |
//   shared     a chain of rings of 8, 16, 32, ... places; the owner puts and takes at the head,
//              other processors take at the tail
//
// A collection begins by dropping the victims of the one before and making the pool's contents the
// victims: what is not taken between two collections dies in the second. So:
//
//   Put -> local -> (collection) -> victim -> (collection) -> garbage      Get: local, then victim
//
// Source: Go 1.26.8 and Go 1.19.8 src/sync/pool.go, poolqueue.go. Go 1.9 had no victims and slices
// in place of rings; the later form serves it here.

import { assert } from '../../kernel/errors.ts';
import type { GoRuntime } from './runtime.ts';

const LOCAL_BYTES = 128;
const PRIVATE = 0;
const SHARED_HEAD = 16;
const SHARED_TAIL = 24;
// A ring: next, prev, headTail, vals (pointer, length, capacity).
const ELT_BYTES = 48;
const HEAD_TAIL = 0;
const VALS = 8;
const VALS_LEN = 16;
const NEXT = 32;
const PREV = 40;
const FIRST_RING = 8;
const MAX_RING = 2 ** 30;
/** An interface value: type word and data word. */
const EFACE_BYTES = 16;

export class Pools {
  private readonly go: GoRuntime;
  private readonly pools: Pool[] = [];

  constructor(go: GoRuntime) {
    this.go = go;
    go.gc.beforeStart.push(() => {
      for (const pool of this.pools) pool.collect();
    });
  }

  /** A new pool. @param make New, 0 for none. */
  add(make: (() => number) | null = null): Pool {
    const pool = new Pool(this.go, make);
    this.pools.push(pool);
    return pool;
  }
}

export class Pool {
  /** Values that Get found, and that New made. */
  hits = 0;
  misses = 0;
  private readonly go: GoRuntime;
  private readonly make: (() => number) | null;
  /** Global variables that point to the local arrays. */
  private readonly localSlot: number;
  private readonly victimSlot: number;
  /** What the caller's stack holds: the object that is put, the ring that is made. */
  private readonly held: number;
  private readonly ring: number;
  /** What interface values of it have as their type: any address of the image. */
  private readonly typeWord: number;
  private readonly localType: number;
  private readonly eltType: number;

  constructor(go: GoRuntime, make: (() => number) | null) {
    this.go = go;
    this.make = make;
    this.localSlot = go.newGlobal();
    this.victimSlot = go.newGlobal();
    this.held = go.newGlobal();
    this.ring = go.newGlobal();
    this.typeWord = go.types.addressOf(0);
    this.localType = go.types.leading(LOCAL_BYTES, 4);
    const mask = Int32Array.of((1 << 1) | (1 << 4) | (1 << 5));
    this.eltType = go.types.add({ name: 'poolChainElt', bytes: ELT_BYTES, ptrWords: 6, mask });
  }

  /** A collection begins. */
  collect(): void {
    this.go.storePointer(this.victimSlot, this.go.loadPointer(this.localSlot));
    this.go.storePointer(this.localSlot, 0);
  }

  private local(p: number): number {
    const { go } = this;
    let base = go.loadPointer(this.localSlot);
    if (base === 0) {
      base = go.new(LOCAL_BYTES * go.procs.length, this.localType, go.procs[p]);
      go.storePointer(this.localSlot, base);
    }
    return base + p * LOCAL_BYTES;
  }

  /** Put by processor `p`. */
  put(object: number, p = 0): void {
    if (object === 0) return;
    const { go } = this;
    go.storePointer(this.held, object);
    const local = this.local(p);
    if (go.loadPointer(local + PRIVATE + 8) === 0) this.store(local + PRIVATE, object);
    else this.pushHead(local, object, p);
    go.storePointer(this.held, 0);
  }

  private store(at: number, object: number): void {
    this.go.storePointer(at, object === 0 ? 0 : this.typeWord);
    this.go.storePointer(at + 8, object);
  }

  /** Get by processor `p`. @returns an object, or 0 where there is none and no New. */
  get(p = 0): number {
    const found = this.find(p);
    if (found !== 0) {
      this.hits++;
      return found;
    }
    this.misses++;
    return this.make === null ? 0 : this.make();
  }

  private find(p: number): number {
    const { go } = this;
    const local = this.local(p);
    const own = this.takePrivate(local);
    if (own !== 0) return own;
    const head = this.popHead(local);
    if (head !== 0) return head;
    const procs = go.procs.length;
    for (let i = 1; i <= procs; i++) {
      const stolen = this.popTail(this.local((p + i) % procs));
      if (stolen !== 0) return stolen;
    }
    const victims = go.loadPointer(this.victimSlot);
    if (victims === 0) return 0;
    const kept = this.takePrivate(victims + p * LOCAL_BYTES);
    if (kept !== 0) return kept;
    for (let i = 0; i < procs; i++) {
      const last = this.popTail(victims + ((p + i) % procs) * LOCAL_BYTES);
      if (last !== 0) return last;
    }
    go.storePointer(this.victimSlot, 0);
    return 0;
  }

  private takePrivate(local: number): number {
    const object = this.go.loadPointer(local + PRIVATE + 8);
    if (object !== 0) this.store(local + PRIVATE, 0);
    return object;
  }

  private pushHead(local: number, object: number, p: number): void {
    const { mem } = this.go;
    let elt = this.go.loadPointer(local + SHARED_HEAD);
    if (elt === 0) elt = this.newRing(local, 0, FIRST_RING, p);
    let n = mem.load64(elt + VALS_LEN);
    if (this.count(elt) === n) {
      elt = this.newRing(local, elt, Math.min(MAX_RING, n * 2), p);
      n = mem.load64(elt + VALS_LEN);
    }
    const head = mem.load32(elt + HEAD_TAIL + 4) >>> 0;
    this.store(this.placeOf(elt, head, n), object);
    mem.store32(elt + HEAD_TAIL + 4, (head + 1) | 0);
  }

  private newRing(local: number, before: number, n: number, p: number): number {
    const { go } = this;
    const elt = go.new(ELT_BYTES, this.eltType, go.procs[p]);
    go.storePointer(this.ring, elt);
    const vals = go.new(n * EFACE_BYTES, go.types.leading(n * EFACE_BYTES, n * 2), go.procs[p]);
    go.storePointer(elt + VALS, vals);
    go.mem.store64(elt + VALS_LEN, n);
    go.mem.store64(elt + VALS_LEN + 8, n);
    go.storePointer(elt + PREV, before);
    if (before === 0) go.storePointer(local + SHARED_TAIL, elt);
    else go.storePointer(before + NEXT, elt);
    go.storePointer(local + SHARED_HEAD, elt);
    go.storePointer(this.ring, 0);
    return elt;
  }

  private placeOf(elt: number, i: number, n: number): number {
    return this.go.loadPointer(elt + VALS) + (i % n) * EFACE_BYTES;
  }

  private count(elt: number): number {
    const { mem } = this.go;
    return (mem.load32(elt + HEAD_TAIL + 4) - mem.load32(elt + HEAD_TAIL)) >>> 0;
  }

  private popHead(local: number): number {
    const { go } = this;
    for (let elt = go.loadPointer(local + SHARED_HEAD); elt !== 0;) {
      if (this.count(elt) > 0) {
        const head = (go.mem.load32(elt + HEAD_TAIL + 4) - 1) >>> 0;
        go.mem.store32(elt + HEAD_TAIL + 4, head | 0);
        return this.takeOut(elt, head);
      }
      elt = go.loadPointer(elt + PREV);
    }
    return 0;
  }

  private popTail(local: number): number {
    const { go } = this;
    for (let elt = go.loadPointer(local + SHARED_TAIL); elt !== 0;) {
      if (this.count(elt) > 0) {
        const tail = go.mem.load32(elt + HEAD_TAIL) >>> 0;
        go.mem.store32(elt + HEAD_TAIL, (tail + 1) | 0);
        return this.takeOut(elt, tail);
      }
      // An empty ring with one behind it is filled no more: it is let go.
      const next = go.loadPointer(elt + NEXT);
      if (next === 0) return 0;
      go.storePointer(local + SHARED_TAIL, next);
      go.storePointer(next + PREV, 0);
      elt = next;
    }
    return 0;
  }

  private takeOut(elt: number, i: number): number {
    const at = this.placeOf(elt, i, this.go.mem.load64(elt + VALS_LEN));
    const object = this.go.loadPointer(at + 8);
    assert(object !== 0, 'poolDequeue: a place that is in use holds a value');
    this.store(at, 0);
    return object;
  }
}
