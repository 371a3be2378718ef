// Time in a Go program, and what runs beside it: the collector's worker.
//
//   program  |--- slice, 10 ms ---|        |--- slice ---|
//   worker                        |--------|             |---      while marking
//
// With one processor there is no worker of its own: a fractional one runs when the program is taken
// off the processor after its slice, until it has had 30 % of the time since marking began. Until
// then allocation pays with assists.
// Source: Go 1.26 src/runtime/proc.go retake() (10 ms), mgcpacer.go findRunnableGCWorker(),
// mgcmark.go pollFractionalWorkerExit(). The times of operations are rough: a node of two pointers
// made by a recursive function in 20 ns, a page fault in 0.5 µs, as on machines of 2024.

import type { GoRuntime } from '../go/runtime.ts';
import { newRandom } from './heap.ts';

export const ALLOC_NS = 12;
export const BYTE_NS = 0.05;
export const ACCESS_NS = 1;
const FAULT_NS = 500;
const SLICE_NS = 10e6;
const SCAN_BYTES_PER_NS = 1;
const WORKER_SHARE = 0.3;
const STEP_NS = 100e3;
const SCAVENGER_SHARE = 0.01;

export class GoClock {
  ns = 0;
  /** Told of the time every 10 µs or so. */
  watch: ((ns: number) => void) | null = null;
  private readonly go: GoRuntime;
  private readonly faults: () => number;
  private counted: number;
  private sliceEnd = SLICE_NS;
  private markStart = 0;
  private cycle = 0;
  private workerNs = 0;
  private scanned = 0;
  private next = 0;
  private speed = 1;

  /**
   * @param faults page faults of the process so far.
   * @param seed another one is another run: the first slice ends elsewhere, and the processor is up
   * to a fifth faster or slower, as real runs differ.
   */
  constructor(go: GoRuntime, faults: () => number, seed = 0) {
    const random = newRandom(seed);
    random(1);
    if (seed !== 0) {
      this.speed = 0.8 + random(4096) / 10240;
      this.sliceEnd = (SLICE_NS * (1 + random(4096))) / 4096;
    }
    this.go = go;
    this.faults = faults;
    this.counted = faults();
    let asleepUntil = 0;
    go.scavenger.pacedBy = {
      mayWork: () => this.ns >= asleepUntil,
      worked: (ns) => (asleepUntil = this.ns + ns / SCAVENGER_SHARE),
    };
  }

  /** The program used `ns` nanoseconds. */
  run(ns: number): void {
    this.ns += ns * this.speed;
    if (this.ns >= this.next) this.look();
  }

  private look(): void {
    const faults = this.faults();
    this.ns += (faults - this.counted) * FAULT_NS;
    this.counted = faults;
    const { gc } = this.go;
    // What was scanned since, assists did.
    const scanned = this.go.marker.scanWork;
    if (this.cycle === gc.cycles) this.ns += (scanned - this.scanned) / SCAN_BYTES_PER_NS;
    if (this.cycle !== gc.cycles) {
      this.cycle = gc.cycles;
      this.markStart = this.ns;
      this.workerNs = 0;
    }
    if (this.ns >= this.sliceEnd) {
      while (gc.marking && this.workerNs < WORKER_SHARE * (this.ns - this.markStart)) {
        gc.background(STEP_NS * SCAN_BYTES_PER_NS);
        this.ns += STEP_NS;
        this.workerNs += STEP_NS;
      }
      this.sliceEnd = this.ns + SLICE_NS;
    }
    this.scanned = this.go.marker.scanWork;
    this.next = this.ns + 10000;
    this.watch?.(this.ns);
  }
}
