// When to collect: the pacer.
//
//   goal     marked + (marked + stacks + globals) * GOGC / 100, 4 MiB * GOGC / 100 at least;
//            or what a memory limit leaves for the heap, if that is less
//   trigger  so far before the goal that a concurrent mark ends there: goal - runway, kept between
//            0.70 and 0.95 of the way from marked to goal (or 4 MiB before it)
//   runway   (bytes allocated per byte scanned, by processor time) * 3 * bytes to scan
//
// The cons/mark ratio is the largest of the last four cycles (1.26) or follows a PI controller
// (1.19). While marking, allocation pays: assistWorkPerByte is what is left to scan by what is
// left to grow.
//
// This is policy, and all of it: it sees counters and gives numbers.
// Source: Go 1.26.8 and Go 1.19.8 src/runtime/mgcpacer.go.

import { S_FREE, type Sys } from './sys.ts';

const HEAP_MINIMUM = 4 << 20;
const SWEEP_MIN_DISTANCE = 1024 * 1024;
const MIN_RUNWAY = 64 << 10;
const LIMIT_HEADROOM = 1 << 20;
const RATIO_DEN = 64;
const MIN_TRIGGER_NUM = 45;
const MAX_TRIGGER_NUM = 61;
/** Share of processor time that marking takes in the background. */
export const GOAL_UTILIZATION = 0.25;
export const NO_LIMIT = 2 ** 63;

/** Proportional-integral control with anti-windup. */
class PiController {
  private integral = 0;
  private readonly kp: number;
  private readonly ti: number;
  private readonly tt: number;
  private readonly min: number;
  private readonly max: number;

  constructor(kp: number, ti: number, tt: number, min: number, max: number) {
    this.kp = kp;
    this.ti = ti;
    this.tt = tt;
    this.min = min;
    this.max = max;
  }

  next(input: number, setpoint: number, period: number): number {
    const raw = this.kp * (setpoint - input) + this.integral;
    const output = Math.min(this.max, Math.max(this.min, raw));
    this.integral +=
      ((this.kp * period) / this.ti) * (setpoint - input) + (period / this.tt) * (output - raw);
    return output;
  }
}

export class Pacer {
  gcPercent = 100;
  memoryLimit = NO_LIMIT;
  /** Bytes that count towards the next collection. */
  heapLive = 0;
  /** Live after the last mark. */
  heapMarked = 0;
  /** Scannable bytes of the heap: what was scanned last, plus what was allocated since. */
  heapScan = 0;
  lastHeapScan = 0;
  lastStackScan = 0;
  maxStackScan = 0;
  globalsScan = 0;
  /** Scan work of the running cycle. */
  heapScanWork = 0;
  stackScanWork = 0;
  globalsScanWork = 0;
  /** Work that the background did and assists may take. */
  bgCredit = 0;
  assistWorkPerByte = 0;
  assistBytesPerWork = 0;
  /** Shares of processor time of the running cycle, told by whoever keeps the clock. */
  assistUtilization = 0;
  idleUtilization = 0;
  lastHeapGoal = 0;
  triggered = Infinity;
  runway = 0;
  marking = false;
  private heapMinimum = HEAP_MINIMUM;
  private percentGoal = HEAP_MINIMUM;
  private sweepDistTrigger = 0;
  private consMark = 0;
  private lastConsMark: number[] = [0, 0, 0, 0];
  private readonly pi = new PiController(0.9, 4, 1000, -1000, 1000);
  private readonly sys: Sys;
  private readonly heapAlloc: () => number;

  /** @param heapAlloc bytes of objects in use. */
  constructor(sys: Sys, heapAlloc: () => number) {
    this.sys = sys;
    this.heapAlloc = heapAlloc;
  }

  /** The least trigger that an unfinished sweep imposes; 0 when it is done. */
  get sweepMinTrigger(): number {
    return this.sweepDistTrigger;
  }

  get heapMin(): number {
    return this.heapMinimum;
  }

  /** @returns the value before. */
  setGcPercent(percent: number): number {
    const old = this.gcPercent;
    this.gcPercent = percent < 0 ? -1 : percent;
    this.heapMinimum = percent < 0 ? 0 : Math.floor((HEAP_MINIMUM * percent) / 100);
    return old;
  }

  /** @returns the value before; a negative one only asks. */
  setMemoryLimit(bytes: number): number {
    const old = this.memoryLimit;
    if (bytes >= 0) this.memoryLimit = bytes;
    return old;
  }

  /** Recomputes what depends on the last mark and on GOGC. */
  commit(sweepDone: boolean): void {
    this.sweepDistTrigger = sweepDone ? 0 : this.heapLive + SWEEP_MIN_DISTANCE;
    const scanned = this.lastStackScan + this.globalsScan;
    let goal = Infinity;
    if (this.gcPercent >= 0) {
      const extra = (this.heapMarked + scanned) * this.gcPercent;
      goal = this.heapMarked + Math.floor(extra / 100);
    }
    this.percentGoal = Math.max(goal, this.heapMinimum);
    const perByte = (this.consMark * (1 - GOAL_UTILIZATION)) / GOAL_UTILIZATION;
    const runway = Math.trunc(perByte * (this.lastHeapScan + scanned));
    this.runway = runway < 0 ? Infinity : runway; // as an unsigned number it would be enormous
  }

  /** The heap size that the next collection should end at; Infinity for none. */
  get heapGoal(): number {
    const limited = this.limitGoal();
    if (limited < this.percentGoal) return limited;
    let goal = Math.max(this.percentGoal, this.sweepDistTrigger);
    if (this.triggered !== Infinity && goal < this.triggered + MIN_RUNWAY)
      goal = this.triggered + MIN_RUNWAY;
    return goal;
  }

  private limitGoal(): number {
    if (this.memoryLimit === NO_LIMIT) return Infinity;
    const mapped = this.sys.mappedReady;
    const nonHeap = mapped - this.sys.stat[S_FREE] - this.heapAlloc();
    const overage = Math.max(0, mapped - this.memoryLimit);
    if (nonHeap + overage >= this.memoryLimit) return this.heapMarked;
    let goal = this.memoryLimit - (nonHeap + overage);
    const percent = Math.floor(goal / 100) * this.sys.profile.limitHeadroomPercent;
    const headroom = Math.max(LIMIT_HEADROOM, percent);
    goal = goal < headroom || goal - headroom < headroom ? headroom : goal - headroom;
    return Math.max(goal, this.heapMarked);
  }

  /** The live heap at which the next collection starts. */
  get trigger(): number {
    const goal = this.heapGoal;
    if (goal === Infinity) return Infinity;
    if (this.heapMarked >= goal) return goal;
    const limited = this.limitGoal() < this.percentGoal;
    const distance = Math.floor((goal - this.heapMarked) / RATIO_DEN);
    const least = Math.max(
      limited ? 0 : this.sweepDistTrigger,
      this.heapMarked,
      distance * MIN_TRIGGER_NUM + this.heapMarked,
    );
    let most = distance * MAX_TRIGGER_NUM + this.heapMarked;
    if (goal > HEAP_MINIMUM) most = Math.max(most, goal - HEAP_MINIMUM);
    most = Math.max(most, least);
    const trigger = this.runway > goal ? least : goal - this.runway;
    return Math.min(most, Math.max(least, trigger));
  }

  /** A cycle begins. */
  startCycle(): void {
    this.heapScanWork = 0;
    this.stackScanWork = 0;
    this.globalsScanWork = 0;
    this.bgCredit = 0;
    this.assistUtilization = 0;
    this.idleUtilization = 0;
    this.triggered = this.sys.profile.triggeredIsLive ? this.heapLive : this.trigger;
    this.marking = true;
    this.revise();
  }

  /** Recomputes what allocation has to pay; called when the live heap changes while marking. */
  revise(): void {
    const percent = this.gcPercent < 0 ? 100000 : this.gcPercent;
    const work = this.heapScanWork + this.stackScanWork + this.globalsScanWork;
    let goal = Math.min(this.heapGoal, 2 ** 62);
    let expected = this.lastHeapScan + this.lastStackScan + this.globalsScan;
    const maxWork = this.heapScan + this.maxStackScan + this.globalsScan;
    if (work > expected) {
      const extended = ((goal - this.triggered) / expected) * maxWork + this.triggered;
      expected = maxWork;
      goal = Math.min(extended, (1 + percent / 100) * goal);
    }
    if (this.heapLive > goal) {
      goal *= 1.1;
      expected = maxWork;
    }
    const workLeft = Math.max(1000, expected - work);
    const growLeft = Math.max(1, goal - this.heapLive);
    this.assistWorkPerByte = workLeft / growLeft;
    this.assistBytesPerWork = growLeft / workLeft;
  }

  /** A mark is complete: learns how fast allocation was beside it. */
  endCycle(): void {
    this.lastHeapGoal = this.heapGoal;
    this.marking = false;
    if (this.heapLive <= this.triggered) return;
    const utilization = GOAL_UTILIZATION + this.assistUtilization;
    const work = this.heapScanWork + this.stackScanWork + this.globalsScanWork;
    const current =
      ((this.heapLive - this.triggered) * (utilization + this.idleUtilization)) /
      (work * (1 - utilization));
    if (this.sys.profile.consMarkMax) {
      this.consMark = Math.max(current, ...this.lastConsMark);
      this.lastConsMark = [...this.lastConsMark.slice(1), current];
    } else this.consMark = this.pi.next(this.consMark, current, 1);
  }

  /** What is marked is what lives. */
  resetLive(bytesMarked: number): void {
    this.heapMarked = bytesMarked;
    this.heapLive = bytesMarked;
    this.heapScan = this.heapScanWork;
    this.lastHeapScan = this.heapScanWork;
    this.lastStackScan = this.stackScanWork;
    this.triggered = Infinity;
  }

  update(liveBytes: number, scanBytes: number): void {
    this.heapLive += liveBytes;
    if (this.marking) this.revise();
    else this.heapScan += scanBytes;
  }
}
