// When to collect, as Go 1.5 to 1.17 decided it: a controller of the trigger's ratio.
//
//   goal     marked * (1 + GOGC / 100), 4 MiB * GOGC / 100 at least, and never below the trigger
//   trigger  marked * (1 + ratio), the same minimum, and a margin for a sweep that is not done
//   ratio    7/8 at first; after each cycle it moves by half of
//              GOGC / 100 - ratio - utilization / 0.25 * (growth - ratio)
//            where growth is how much the heap had grown when marking ended
//
// Stacks and globals do not count, and there is no memory limit.
// Source: Go 1.9 src/runtime/mgc.go (gcControllerState, gcMark, setGCPercent).

import { GOAL_UTILIZATION, Pacer } from './mgcpacer.ts';

const FIRST_RATIO = 7 / 8;
const GAIN = 0.5;
const MOST = 0.95;
const SWEEP_MIN_DISTANCE = 1024 * 1024;
const MIN_DISTANCE = 1024 * 1024;

export class RatioPacer extends Pacer {
  ratio = FIRST_RATIO;
  private goal = 4 << 20;
  private start = 4 << 20;
  /** The goal that allocation is paid towards in the running cycle. */
  private cycleGoal = Infinity;
  /** What the running cycle's growth is measured by; small heaps pretend. */
  private basis = 0;

  override setGcPercent(percent: number): number {
    const old = super.setGcPercent(percent);
    if (percent >= 0) this.ratio = Math.min(this.ratio, (percent / 100) * MOST);
    return old;
  }

  override commit(sweepDone: boolean): void {
    super.commit(sweepDone);
    if (this.gcPercent < 0) {
      this.goal = this.start = Infinity;
      return;
    }
    const margin = Math.floor((SWEEP_MIN_DISTANCE * this.gcPercent) / 100);
    const least = Math.max(this.heapMin, sweepDone ? 0 : this.heapLive + margin);
    this.start = Math.max(least, Math.floor(this.heapMarked * (1 + this.ratio)));
    const grown = this.heapMarked + Math.floor((this.heapMarked * this.gcPercent) / 100);
    this.goal = Math.max(grown, this.start);
  }

  override get heapGoal(): number {
    return this.marking ? this.cycleGoal : this.goal;
  }

  override get trigger(): number {
    return this.start;
  }

  override startCycle(): void {
    // A small heap's collection is told by its minimum: as if so much had been marked as fits it.
    this.basis =
      this.start <= this.heapMin ? Math.floor(this.start / (1 + this.ratio)) : this.heapMarked;
    const grown = this.basis + Math.floor((this.basis * Math.max(0, this.gcPercent)) / 100);
    this.cycleGoal = this.gcPercent < 0 ? Infinity : Math.max(grown, this.heapLive + MIN_DISTANCE);
    super.startCycle();
  }

  override revise(): void {
    const percent = this.gcPercent < 0 ? 100000 : this.gcPercent;
    const expected = Math.floor((this.heapScan * 100) / (100 + percent));
    const work = this.heapScanWork + this.stackScanWork + this.globalsScanWork;
    const workLeft = Math.max(1000, expected - work);
    const growLeft = Math.max(1, Math.min(this.cycleGoal, 2 ** 62) - this.heapLive);
    this.assistWorkPerByte = workLeft / growLeft;
    this.assistBytesPerWork = growLeft / workLeft;
  }

  override endCycle(): void {
    this.lastHeapGoal = this.heapGoal;
    this.marking = false;
    if (this.gcPercent < 0 || this.basis === 0) return;
    const wanted = this.gcPercent / 100;
    const growth = this.heapLive / this.basis - 1;
    const utilization = GOAL_UTILIZATION + this.assistUtilization;
    const share = utilization / GOAL_UTILIZATION;
    const error = wanted - this.ratio - share * (growth - this.ratio);
    this.ratio = Math.min(wanted * MOST, Math.max(0, this.ratio + GAIN * error));
  }
}
