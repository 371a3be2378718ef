// A Go program as it runs: one goroutine with its stack, a clock, and collections that go on beside
// it as processors and the pacer allow.
//
// The clock is of emulated nanoseconds: what the program says its work takes, and allocation. While
// a mark is going on, a quarter of the processors' time goes to it, and what idle processors have;
// the background sweeper gets its turn every 10 ms with one processor, at once with more.
//
//   stack    | caller's slots | ... | slots of this call |     grows by copying to twice the size
//
// Source: Go 1.26.8 src/runtime/mgcpacer.go (utilization), proc.go (sysmon's 10 ms), stack.go.

import type { CycleReport, RootScanner } from './mgc.ts';
import { GC_MARK } from './mgc.ts';
import { bootProgram } from './boot.ts';
import { GOAL_UTILIZATION } from './mgcpacer.ts';
import { type CycleTimes, gcTraceLine } from './mstats.ts';
import type { GoRuntime } from './runtime.ts';
import { NO_POINTERS } from './types.ts';

/** Bytes of scan work that a mark worker does in a nanosecond. */
const MARK_BYTES_PER_NS = 2;
/** Scan work that a worker does in one go. */
const WORKER_SLICE = 16 << 10;
const PREEMPT_NS = 10e6;
/** Cost of an allocation, and of each byte of it. */
const ALLOC_NS = 22;
const ALLOC_NS_PER_BYTE = 0.06;
/** Stop-the-world parts of a cycle. */
const SWEEP_TERM_NS = 10e3;
const MARK_TERM_NS = 2e3;
const FIRST_STACK_PAGES = 4;
/** Most of a mark's time that is taken for assists: the program runs in between. */
const MAX_ASSIST_SHARE = 0.45;

export class GoProgram {
  readonly go: GoRuntime;
  /** Emulated time since the start, in nanoseconds. */
  nowNs = 0;
  /** Lines of gctrace, one a cycle. */
  readonly trace: string[] = [];
  private stack: number;
  private stackBase: number;
  private stackPages = FIRST_STACK_PAGES;
  private depth = 0;
  private nextPreempt = PREEMPT_NS;
  private cycleStart = 0;
  /** Background work that is due; negative when a span took more than was. */
  private pending = 0;
  private gcNs = 0;
  private backgroundNs = 0;
  private idleNs = 0;
  private assistBefore = 0;

  constructor(go: GoRuntime) {
    this.go = go;
    bootProgram(go);
    // main's stack is in one of the spans that the start made.
    this.stack = go.bootStack;
    this.stackBase = go.sys.addressOf(go.heap.spans.start[this.stack]);
    const own: RootScanner = {
      prepare: () => 1,
      scan: () => this.scanStack(),
      forEachRoot: (load, visit) => {
        for (let i = 0; i < this.depth; i++)
          visit(`slot ${i} of main's stack`, load(this.stackBase + i * 8));
      },
    };
    go.gc.roots = [...go.gc.roots, own];
    go.gc.onStart = () => {
      this.cycleStart = this.nowNs;
      this.backgroundNs = 0;
      this.idleNs = 0;
      this.pending = 0;
      this.assistBefore = go.gc.assistWork;
    };
    go.gc.onMarked = () => {
      this.endMark();
    };
    go.gc.onCycle = (report) => {
      this.endCycle(report);
    };
  }

  // The stack: slots that hold pointers.

  /** A slot for a pointer on the stack. @returns its number. */
  push(value: number): number {
    if ((this.depth + 1) * 8 > this.stackPages * 8192) this.growStack();
    this.go.mem.store64(this.stackBase + this.depth * 8, value);
    return this.depth++;
  }

  /** Gives the last `count` slots up. */
  pop(count: number): void {
    this.depth -= count;
  }

  slot(i: number): number {
    return this.go.mem.load64(this.stackBase + i * 8);
  }

  setSlot(i: number, value: number): void {
    this.go.mem.store64(this.stackBase + i * 8, value);
  }

  private growStack(): void {
    const { go } = this;
    const larger = go.newStack(this.stackPages * 2);
    const base = go.sys.addressOf(go.heap.spans.start[larger]);
    go.mem.copy(base, this.stackBase, this.depth * 8);
    go.freeStack(this.stack);
    this.stack = larger;
    this.stackBase = base;
    this.stackPages *= 2;
  }

  private scanStack(): number {
    const { go } = this;
    for (let i = 0; i < this.depth; i++) {
      const at = go.mem.touch(this.stackBase + i * 8, false);
      go.marker.grey(go.mem.words[at], go.mem.words[at + 1]);
    }
    return -this.depth * 8;
  }

  // Time and allocation.

  /** An object that the caller keeps reachable from now on. */
  new(bytes: number, type = NO_POINTERS): number {
    this.work(ALLOC_NS + bytes * ALLOC_NS_PER_BYTE);
    return this.go.new(bytes, type);
  }

  /** The program computes for so long. */
  work(ns: number): void {
    this.nowNs += ns;
    const { gc, procs } = this.go;
    if (gc.phase === GC_MARK) this.markBeside(ns);
    else if (procs.length > 1 && !this.go.sweep.drained) gc.sweepAll();
    if (this.nowNs < this.nextPreempt) return;
    this.nextPreempt = this.nowNs + PREEMPT_NS;
    if (gc.phase !== GC_MARK) gc.sweepBatch();
  }

  private markBeside(ns: number): void {
    const { gc, procs, marker } = this.go;
    // With one processor marking takes its share out of the program's own time.
    const share = GOAL_UTILIZATION / (1 - GOAL_UTILIZATION);
    const background = procs.length === 1 ? ns * share : 0;
    const idle = ns * (procs.length - 1);
    this.backgroundNs += background;
    this.idleNs += idle;
    this.gcNs += background + idle;
    if (procs.length === 1) this.nowNs += background;
    this.pending += (background + idle) * MARK_BYTES_PER_NS;
    if (this.pending < WORKER_SLICE) return;
    const before = marker.scanWork;
    gc.background(this.pending);
    this.pending -= marker.scanWork - before;
  }

  private get assistNs(): number {
    return (this.go.gc.assistWork - this.assistBefore) / MARK_BYTES_PER_NS;
  }

  /** Tells the pacer which share of the time went to assists and to idle processors. */
  private endMark(): void {
    const { go } = this;
    const procs = go.procs.length;
    const span = (this.nowNs + this.assistNs - this.cycleStart) * procs;
    if (span <= 0) return;
    go.pacer.assistUtilization = Math.min(MAX_ASSIST_SHARE, this.assistNs / span);
    go.pacer.idleUtilization = this.idleNs / span;
  }

  private endCycle(report: CycleReport): void {
    const { go, assistNs } = this;
    this.gcNs += assistNs + SWEEP_TERM_NS + MARK_TERM_NS;
    this.nowNs += SWEEP_TERM_NS + MARK_TERM_NS + assistNs;
    const procs = go.procs.length;
    const times: CycleTimes = {
      startNs: this.cycleStart,
      gcShare: this.gcNs / (Math.max(1, this.nowNs) * procs),
      sweepTermNs: SWEEP_TERM_NS,
      markNs: Math.max(0, this.nowNs - this.cycleStart),
      markTermNs: MARK_TERM_NS,
      assistNs,
      backgroundNs: this.backgroundNs,
      idleNs: this.idleNs,
      procs,
    };
    this.trace.push(gcTraceLine(go, report, times));
  }

  /** Stores a pointer with the write barrier. */
  set(slot: number, value: number): void {
    this.go.storePointer(slot, value);
  }

  get(slot: number): number {
    return this.go.loadPointer(slot);
  }
}

/** The generator that the programs share: 64-bit linear congruential, 31 bits of each state. */
export class Lcg {
  private lo: number;
  private hi: number;

  constructor(seed: number) {
    this.lo = seed | 0;
    this.hi = 0;
  }

  /** 0 .. n-1. */
  n(n: number): number {
    return this.next() % n;
  }

  next(): number {
    // state * 6364136223846793005 + 1442695040888963407, in 32-bit halves.
    const aLo = 0x4c957f2d;
    const aHi = 0x5851f42d;
    const lo = this.lo >>> 0;
    const low = mulWide(lo, aLo);
    const hi = (low.hi + Math.imul(lo, aHi) + Math.imul(this.hi, aLo)) | 0;
    const sum = (low.lo >>> 0) + 0xf767814f;
    this.lo = sum | 0;
    this.hi = (hi + 0x14057b7e + (sum >= 2 ** 32 ? 1 : 0)) | 0;
    // The Go program shifts by 33: the top 31 bits.
    return (this.hi >>> 1) & 0x7fffffff;
  }
}

const wide = { lo: 0, hi: 0 };

/** The 64-bit product of two unsigned 32-bit numbers. */
function mulWide(a: number, b: number): { lo: number; hi: number } {
  const aLo = a & 0xffff;
  const aHi = a >>> 16;
  const bLo = b & 0xffff;
  const bHi = b >>> 16;
  const low = aLo * bLo;
  const mid = aHi * bLo + Math.floor(low / 65536);
  const mid2 = aLo * bHi + (mid % 65536);
  wide.lo = (((mid2 % 65536) << 16) | (low & 0xffff)) >>> 0;
  wide.hi = aHi * bHi + Math.floor(mid / 65536) + Math.floor(mid2 / 65536);
  return wide;
}
