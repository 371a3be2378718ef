// The collector: concurrent mark and sweep in phases that can be run at once or step by step.
//
//   off --start--> mark --(nothing grey)--> termination --> off (sweeping)
//
//   start        finishes the last sweep, empties the pools, notes roots and tiny blocks as grey,
//                turns the write barrier and assists on
//   mark         background work and assists scan roots, then what is grey
//   termination  computes the next goal, swaps the span sets, empties the processors' caches
//   sweeping     span by span; see mgcsweep.ts
//
// Write barrier (hybrid): while marking, a store shades what the slot pointed to and what it will
// point to, through a buffer of 512 pointers. New objects are black.
// Invariants: after termination an object that the roots reach is marked; no black object points to
// a white one while the mutator runs.
// Source: Go 1.26.8 src/runtime/mgc.go, mgcmark.go (assists), mwbbuf.go.

import { assert } from '../../kernel/errors.ts';
import type { AllocGc } from './malloc.ts';
import type { Proc } from './mcache.ts';
import type { Marker } from './mgcmark.ts';
import type { Pacer } from './mgcpacer.ts';
import type { Scavenger } from './mgcscavenge.ts';
import type { Sweep } from './mgcsweep.ts';
import type { Heap } from './mheap.ts';
import { BITS_MARKS, PAGES_PER_ARENA } from './arena.ts';
import { S_INUSE } from './sys.ts';

export const GC_OFF = 0;
export const GC_MARK = 1;

/** Least work that an assist does, so that it pays for some allocations to come. */
const OVER_ASSIST_WORK = 64 << 10;
const WB_BUFFER = 512;

/** What is marked from: called with each root's pointer. */
export interface RootScanner {
  /** Number of root jobs in this cycle. */
  prepare(): number;
  /** Marks from the pointers of one job. @returns bytes scanned, negative for stacks. */
  scan(job: number): number;
  /**
   * Visits the roots by name, for whoever looks from outside: `load` reads a word without effect.
   */
  forEachRoot?(load: (va: number) => number, visit: RootVisitor): void;
}

/** Told of a root, `global 3`, and its pointer, which may be nil. */
export type RootVisitor = (root: string, pointer: number) => void;

/** One cycle, as gctrace tells it. */
export interface CycleReport {
  readonly number: number;
  readonly forced: boolean;
  readonly heapStart: number;
  readonly heapEnd: number;
  readonly heapMarked: number;
  readonly goal: number;
  readonly stacks: number;
  readonly globals: number;
}

export class Gc implements AllocGc {
  marking = false;
  phase = GC_OFF;
  /** Collections ended, those asked for among them, and started. */
  numGc = 0;
  numForced = 0;
  cycles = 0;
  /** Collections that an allocation starts are complete when it goes on. */
  stopTheWorld = false;
  enabled = true;
  procs: readonly Proc[] = [];
  roots: readonly RootScanner[] = [];
  /** Told when a cycle ends, and when one starts. */
  onCycle: ((report: CycleReport) => void) | null = null;
  onStart: (() => void) | null = null;
  /** Told when nothing is grey any more, before the pacer learns from the cycle. */
  onMarked: (() => void) | null = null;
  onSample: ((addr: number, bytes: number) => void) | null = null;
  /** Bytes of live objects that are not modelled as objects (the program's own). */
  immortalBytes = 0;
  immortalScan = 0;
  /** Told before marking begins: pools are emptied. */
  readonly beforeStart: (() => void)[] = [];
  private readonly heap: Heap;
  private readonly marker: Marker;
  private readonly sweep: Sweep;
  private readonly pacer: Pacer;
  private readonly scavenger: Scavenger;
  private jobs: [RootScanner, number][] = [];
  private nextJob = 0;
  private readonly wbBuffer = new Int32Array(WB_BUFFER * 2);
  private wbCount = 0;
  private forced = false;
  private heapStart = 0;

  constructor(heap: Heap, marker: Marker, sweep: Sweep, pacer: Pacer, scavenger: Scavenger) {
    this.heap = heap;
    this.marker = marker;
    this.sweep = sweep;
    this.pacer = pacer;
    this.scavenger = scavenger;
  }

  // Starting.

  testTrigger(p: Proc, w: number): void {
    if (!this.shouldStart()) return;
    this.marker.work.user = p;
    this.start(false);
    if (this.phase !== GC_MARK) return;
    this.marker.greyWord(w, 0);
    if (this.stopTheWorld) this.complete();
  }

  private shouldStart(): boolean {
    return this.enabled && this.phase === GC_OFF && this.pacer.heapLive >= this.pacer.trigger;
  }

  /** Begins a cycle. @param forced asked for, not triggered by the live heap. */
  start(forced: boolean): void {
    while ((forced || this.shouldStart()) && this.sweep.sweepOne() >= 0);
    if (!forced && !this.shouldStart()) return;
    this.forced = forced;
    this.resetMarks();
    this.heapStart = this.pacer.heapLive;
    this.sweep.finish();
    this.tell(this.beforeStart);
    this.cycles++;
    this.pacer.startCycle();
    this.phase = GC_MARK;
    this.marking = true;
    for (const p of this.procs) p.syncAll(false);
    this.prepareRoots();
    for (const p of this.procs) {
      p.assistBytes = 0;
      if (p.tiny >= 0) this.marker.greyWord(p.tiny, 0);
    }
    this.onStart?.();
  }

  /** Calls listeners, whose allocations start no collection. */
  private tell(listeners: readonly (() => void)[]): void {
    const { enabled } = this;
    this.enabled = false;
    for (const listener of listeners) listener();
    this.enabled = enabled;
  }

  private resetMarks(): void {
    const { marker, heap } = this;
    marker.cycle++;
    marker.bytesMarked = this.immortalBytes;
    marker.scanWork = this.immortalScan;
    if (heap.lists !== null) return; // pages have no mark bits
    for (const arena of heap.arenas.list) {
      const bits = heap.arenas.bits(arena * PAGES_PER_ARENA * 1024, BITS_MARKS);
      heap.sys.mem.zero(bits, PAGES_PER_ARENA / 8);
    }
  }

  private prepareRoots(): void {
    this.jobs = [];
    this.nextJob = 0;
    for (const scanner of this.roots) {
      const n = scanner.prepare();
      for (let i = 0; i < n; i++) this.jobs.push([scanner, i]);
    }
  }

  // Marking.

  /** Does up to `budget` bytes of scan work. @returns whether any is left. */
  markStep(budget: number): boolean {
    assert(this.phase === GC_MARK, 'markStep: a mark is going on');
    let left = budget;
    while (this.nextJob < this.jobs.length) {
      const [scanner, job] = this.jobs[this.nextJob++];
      const done = scanner.scan(job);
      if (done < 0) this.pacer.stackScanWork -= done;
      else this.pacer.globalsScanWork += done;
      left -= Math.abs(done);
      if (left <= 0) return true;
    }
    const before = this.marker.scanWork;
    this.flushBarrier();
    const more = this.marker.drain(left);
    this.pacer.heapScanWork += this.marker.scanWork - before;
    return more || this.wbCount > 0;
  }

  /** Marks to the end and ends the cycle; sweeping begins. */
  complete(): void {
    while (this.markStep(Infinity));
    this.terminate();
  }

  /** Ends a cycle in which nothing is grey any more. */
  terminate(): void {
    const { pacer, marker, heap } = this;
    this.flushBarrier();
    if (!marker.work.isEmpty) {
      this.complete();
      return;
    }
    // The start of a cycle wakes the scavenger, which runs while marking does, with the old goals.
    this.scavenger.background();
    // go1.9 empties the processors' caches before anything is swept.
    if (heap.lists !== null) for (const p of this.procs) p.releaseAll();
    pacer.heapScanWork = marker.scanWork;
    this.onMarked?.();
    pacer.endCycle();
    this.marking = false;
    const heapEnd = pacer.heapLive;
    marker.work.dispose();
    for (const p of this.procs) p.scanAlloc = 0;
    pacer.resetLive(marker.bytesMarked);
    this.phase = GC_OFF;
    for (const p of this.procs) p.syncAll(true);
    this.sweep.begin();
    this.scavenger.lastHeapInUse = heap.sys.stat[S_INUSE];
    this.commit();
    this.numGc++;
    if (this.forced) this.numForced++;
    if (heap.lists === null) heap.pages.scav.nextGeneration();
    marker.work.prepareFree();
    for (const p of this.procs) p.prepareForSweep();
    this.onCycle?.({
      number: this.numGc,
      forced: this.forced,
      heapStart: this.heapStart,
      heapEnd,
      heapMarked: marker.bytesMarked,
      goal: pacer.lastHeapGoal,
      stacks: pacer.lastStackScan,
      globals: pacer.globalsScan,
    });
    // The mark worker wakes the sweeper, which runs before the mutator does.
    if (!this.forced) this.sweepBatch();
  }

  /** Goals changed: the pacer, the sweep's pace and the scavenger follow. */
  commit(): void {
    this.pacer.commit(this.sweep.drained);
    if (this.phase !== GC_OFF) this.pacer.revise();
    this.sweep.pace(this.pacer.trigger);
    this.scavenger.pace();
  }

  /** The background sweeper's turn: one batch, then it yields. @returns whether work is left. */
  sweepBatch(): boolean {
    for (let i = 0; i < this.heap.sys.profile.sweepBatch; i++)
      if (this.sweep.sweepOne() < 0) return this.rest();
    return true;
  }

  /** Nothing is left to sweep: the buffers of the last mark are freed. */
  private rest(): false {
    this.marker.work.freeSome();
    this.marker.work.freeDeadRings();
    return false;
  }

  /** Sweeps everything, and the runtime's own goroutines come to rest: buffers are freed. */
  sweepAll(): void {
    while (this.sweep.sweepOne() >= 0);
    this.rest();
  }

  /** A complete collection and sweep, as runtime.GC. */
  collect(p: Proc): void {
    this.marker.work.user = p;
    if (this.phase === GC_MARK) this.complete();
    this.start(true);
    this.complete();
    this.sweepAll();
  }

  // While marking: what allocation and stores do.

  markNew(_p: Proc, s: number, slot: number, scanBytes: number): void {
    this.marker.markNew(s, slot, scanBytes);
  }

  /**
   * Allocation of `bytes` while marking: pays by scanning, unless the background has done enough.
   */
  assist(p: Proc, bytes: number): void {
    p.assistBytes -= bytes;
    if (p.assistBytes >= 0) return;
    const { pacer } = this;
    let debt = -p.assistBytes;
    let work = Math.trunc(pacer.assistWorkPerByte * debt);
    if (work < OVER_ASSIST_WORK) {
      work = OVER_ASSIST_WORK;
      debt = Math.trunc(pacer.assistBytesPerWork * work);
    }
    const stolen = Math.min(pacer.bgCredit, work);
    if (stolen > 0) {
      pacer.bgCredit -= stolen;
      p.assistBytes += stolen === work ? debt : 1 + pacer.assistBytesPerWork * stolen;
      work -= stolen;
    }
    if (work <= 0) return;
    p.assistBytes += 1 + Math.trunc(pacer.assistBytesPerWork * work);
    this.marker.work.user = p;
    this.assistWork += work;
    if (!this.markStep(work)) this.terminate();
  }

  /** Scan work that assists did, in bytes. */
  assistWork = 0;

  /** Background marking of `work` bytes; what assists need not do. Ends the cycle when it can. */
  background(work: number): void {
    if (this.phase !== GC_MARK) return;
    this.pacer.bgCredit += work;
    if (!this.markStep(work)) this.terminate();
  }

  /** Before `slot` is overwritten: shades the old pointer and the new one, given by halves. */
  barrier(oldLo: number, oldHi: number, newLo: number, newHi: number): void {
    const b = this.wbBuffer;
    const at = this.wbCount << 1;
    b[at] = oldLo;
    b[at + 1] = oldHi;
    b[at + 2] = newLo;
    b[at + 3] = newHi;
    this.wbCount += 2;
    if (this.wbCount === WB_BUFFER) this.flushBarrier();
  }

  private flushBarrier(): void {
    const b = this.wbBuffer;
    for (let i = 0; i < this.wbCount; i++) this.marker.grey(b[i << 1], b[(i << 1) + 1]);
    this.wbCount = 0;
  }

  sample(_p: Proc, addr: number, bytes: number): void {
    _p.nextSample = Infinity;
    this.onSample?.(addr, bytes);
  }
}
