// Random programs against a shadow heap: whatever the shadow can reach must keep its place and its
// contents, be marked when marking ends, and never be in a slot that a sweep frees; several
// processors, marking and sweeping interleaved with the mutator at random.

import { describe, expect, test } from 'vitest';
import seedrandom from 'seedrandom';
import { go119, go126, go19, type GoProfile } from '../../../runtime/go/profile.ts';
import { GC_MARK } from '../../../runtime/go/mgc.ts';
import { GoRuntime } from '../../../runtime/go/runtime.ts';
import { FlatMemory } from '../../support/flat-memory.ts';

interface Shadow {
  readonly id: number;
  readonly addr: number;
  readonly bytes: number;
  readonly ptrs: (Shadow | null)[];
  finalizer: boolean;
  cleanups: number;
  /** Global variable that holds its weak pointer; 0 for none. */
  weak: number;
}

const SIZES = [8, 16, 24, 32, 48, 96, 128, 480, 512, 520, 1024, 2048, 9000, 32760, 40000];

class World {
  readonly go: GoRuntime;
  readonly roots: { slot: number; object: Shadow | null }[] = [];
  private readonly at = new Map<number, Shadow>();
  private readonly random: () => number;
  private nextId = 1;
  freed = 0;
  finalized = 0;
  cleaned = 0;
  revived = 0;
  private readonly gone: Shadow[] = [];
  private expectedCleanups = 0;

  constructor(profile: GoProfile, seed: string) {
    this.random = seedrandom(seed);
    const memory = new FlatMemory({ capacityBytes: 256 << 20 });
    this.go = new GoRuntime(memory, { profile, procs: 3, gcPercent: 50 });
    for (let i = 0; i < 40; i++) this.roots.push({ slot: this.go.newGlobal(), object: null });
    this.go.sweep.hooks = {
      sweeping: (s) => {
        this.sweeping(s);
      },
    };
    this.go.gc.onCycle = () => {
      this.checkMarks();
    };
  }

  pick(n: number): number {
    return Math.floor(this.random() * n);
  }

  reachable(): Set<Shadow> {
    const seen = new Set<Shadow>();
    const todo = this.roots.map((r) => r.object).filter((o) => o !== null);
    for (let o = todo.pop(); o !== undefined; o = todo.pop()) {
      if (seen.has(o)) continue;
      seen.add(o);
      for (const p of o.ptrs) if (p !== null) todo.push(p);
    }
    return seen;
  }

  private spanOf(addr: number): [number, number] {
    const { heap, sys } = this.go;
    const w = (addr - sys.heapBase) / 8;
    const s = heap.pageSpan[w >> 10];
    return [s, heap.spans.slotOf(s, w)];
  }

  /** Marking has ended and sweeping begins: all that can be reached is marked. */
  private checkMarks(): void {
    const { heap, marker } = this.go;
    for (const o of this.reachable()) {
      const [s, slot] = this.spanOf(o.addr);
      // Cached spans were swept when the cycle ended: there the mark is an allocation bit by now.
      const swept = heap.spans.sweepgen[s] === heap.sweepgen;
      const alive = swept ? !heap.spans.isFree(s, slot) : marker.isMarked(s, slot);
      expect(alive, `object ${String(o.id)} is marked`).toBe(true);
    }
  }

  private sweeping(s: number): void {
    const { heap, mem } = this.go;
    const live = this.reachable();
    const start = heap.spans.start[s];
    for (let slot = 0; slot < heap.spans.nelems[s]; slot++) {
      const byte = mem.load8(heap.spans.markBits[s] + (slot >>> 3));
      if ((byte & (1 << (slot & 7))) !== 0) continue;
      const o = this.at.get(this.go.sys.addressOf(start) + slot * heap.spans.elemsize[s]);
      if (o === undefined) continue;
      expect(live.has(o), `object ${String(o.id)} is freed`).toBe(false);
      expect(o.finalizer, `object ${String(o.id)} was not finalized`).toBe(false);
      this.expectedCleanups += o.cleanups;
      if (o.weak !== 0) this.gone.push(o);
      this.freed++;
      this.at.delete(this.go.sys.addressOf(start) + slot * heap.spans.elemsize[s]);
    }
  }

  step(): void {
    const { go } = this;
    switch (this.pick(14)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        this.allocate();
        break;
      case 5:
      case 6:
      case 7:
        this.store();
        break;
      case 8: {
        const root = this.roots[this.pick(this.roots.length)];
        root.object = null;
        go.storePointer(root.slot, 0);
        break;
      }
      case 9:
        if (go.gc.phase === GC_MARK) go.gc.background(this.pick(4000));
        else if (this.pick(8) === 0) go.gc.start(true);
        break;
      case 10:
        go.sweep.sweepOne();
        break;
      case 11:
        this.attach();
        break;
      case 12:
        this.go.specials.run();
        this.lookAtWeak();
        break;
      default:
        if (this.pick(20) === 0) go.flushCaches();
        if (this.pick(40) === 0 && go.gc.phase !== GC_MARK) go.scavenger.scavenge(1 << 20, true);
    }
  }

  private allocate(): void {
    const { go } = this;
    const bytes = SIZES[this.pick(SIZES.length)];
    // Objects of 8 bytes without pointers would share a tiny block, and die with it.
    const plain = bytes > 8 && this.pick(3) === 0;
    const ptrWords = plain ? 0 : this.pick(Math.min(bytes / 8, 70)) + 1;
    const type = go.types.leading(bytes, ptrWords);
    const p = go.procs[this.pick(go.procs.length)];
    const addr = go.new(bytes, type, p);
    const words = Math.min(bytes / 8, 70);
    for (let i = 0; i < words; i++)
      expect(go.mem.load64(addr + i * 8), 'new objects are cleared').toBe(0);
    const ptrs = Array.from({ length: Math.min(ptrWords, bytes / 8) }, () => null);
    const o: Shadow = {
      ...{ id: this.nextId++, addr, bytes, ptrs },
      ...{ finalizer: false, cleanups: 0, weak: 0 },
    };
    const [s, slot] = this.spanOf(addr);
    const start = go.sys.addressOf(go.heap.spans.start[s]) + slot * go.heap.spans.elemsize[s];
    expect(this.at.has(start), 'the slot was free').toBe(false);
    this.at.set(start, o);
    if (ptrWords * 8 < bytes) go.mem.store64(addr + bytes - 8, o.id);
    const root = this.roots[this.pick(this.roots.length)];
    root.object = o;
    go.storePointer(root.slot, addr);
  }

  /** A finalizer, a cleanup or a weak pointer for something that can be reached. */
  private attach(): void {
    const { go } = this;
    const live = [...this.reachable()];
    if (live.length === 0) return;
    const o = live[this.pick(live.length)];
    switch (this.pick(4)) {
      case 0:
        go.specials.setFinalizer(o.addr, o.finalizer ? null : () => this.finalize(o));
        o.finalizer = !o.finalizer;
        break;
      case 1:
        o.cleanups++;
        go.specials.addCleanup(o.addr, () => this.cleaned++);
        break;
      default:
        if (o.weak !== 0) return;
        o.weak = go.newGlobal();
        go.storePointer(o.weak, go.weakPointer(o.addr));
    }
  }

  private finalize(o: Shadow): void {
    const { go } = this;
    o.finalizer = false;
    this.finalized++;
    expect(this.reachable().has(o), 'a finalizer runs for what nothing reaches').toBe(false);
    if (o.ptrs.length * 8 < o.bytes)
      expect(go.mem.load64(o.addr + o.bytes - 8), 'its object is whole').toBe(o.id);
    if (o.weak !== 0) expect(go.mem.load64(go.loadPointer(o.weak)), 'weak is nil').toBe(0);
    // Its weak pointer stays nil, even if the object comes to life again.
    o.weak = 0;
    if (this.pick(3) !== 0) return;
    this.revived++;
    const root = this.roots[this.pick(this.roots.length)];
    root.object = o;
    go.storePointer(root.slot, o.addr);
  }

  private lookAtWeak(): void {
    const { go } = this;
    for (const o of this.reachable())
      if (o.weak !== 0) expect(go.specials.weakValue(go.loadPointer(o.weak))).toBe(o.addr);
    for (const o of this.gone)
      if (o.weak !== 0) expect(go.specials.weakValue(go.loadPointer(o.weak))).toBe(0);
  }

  /** Everything queued has run: each freed object's cleanups were. */
  checkCleanups(): void {
    this.go.specials.run();
    this.lookAtWeak();
    expect(this.cleaned).toBe(this.expectedCleanups);
    expect(this.go.specials.pending).toBe(0);
  }

  private store(): void {
    const { go } = this;
    const live = [...this.reachable()];
    if (live.length === 0) return;
    const from = live[this.pick(live.length)];
    if (from.ptrs.length === 0) return;
    const to = this.pick(4) === 0 ? null : live[this.pick(live.length)];
    const i = this.pick(from.ptrs.length);
    const inside = to === null ? 0 : to.addr + this.pick(to.bytes);
    go.storePointer(from.addr + i * 8, inside);
    from.ptrs[i] = to;
  }

  check(): void {
    const { go } = this;
    go.heap.check(go.procs);
    go.specials.check();
    for (const o of this.reachable()) {
      o.ptrs.forEach((p, i) => {
        const value = go.mem.load64(o.addr + i * 8);
        const ok = p === null ? value === 0 : value >= p.addr && value < p.addr + p.bytes;
        expect(ok, `pointer ${String(i)} of object ${String(o.id)}`).toBe(true);
      });
      if (o.ptrs.length * 8 < o.bytes)
        expect(go.mem.load64(o.addr + o.bytes - 8), 'contents are kept').toBe(o.id);
    }
  }
}

describe.each([go19, go119, go126])('$name', (profile) => {
  test.each(['a', 'b', 'c'])('random program %s', (seed) => {
    const world = new World(profile, seed);
    for (let i = 0; i < 2500; i++) {
      world.step();
      if (i % 500 === 499) world.check();
    }
    world.go.collect();
    world.go.collect();
    world.check();
    world.checkCleanups();
    expect(world.finalized).toBeGreaterThan(0);
    expect(world.freed).toBeGreaterThan(100);
    expect(world.go.gc.numGc).toBeGreaterThan(2);
  });
});
