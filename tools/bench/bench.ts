// Benchmarks as ratios: a path of ours and a yardstick in turn, slice by slice, in one run.
//
// A slice runs the path until at least 15 ms of CPU time have gone by; the yardstick, a C program
// of ours (yardsticks.ts) or nothing, does the same in the next moment. The best slice of each
// counts: other work on the machine only ever makes a slice slower. How often a path is called in a
// slice, and how much its times scatter, comes from the package `benchmark`.
//
// A path names a small and a large size; the small one runs in `npm test`, so that a benchmark
// cannot rot, and says by a checksum what it computed.

import Benchmark from 'benchmark';

export type Size = 'small' | 'large';

/** A path made ready. */
export interface Subject {
  /** Operations that one run() does. */
  readonly ops: number;
  /** Does the work and returns a checksum of it, the same each time. */
  run(): number;
  /** Done before each run(), not timed. */
  prepare?(): void;
}

export interface BenchCase {
  readonly name: string;
  readonly what: string;
  readonly unit: string;
  /** `program:slice` of a C yardstick; null where there is none. */
  readonly yardstick: string | null;
  /** Ratio to the yardstick to be reached, and to be proud of. */
  readonly goal?: number;
  readonly stretch?: number;
  make(size: Size): Subject;
}

/** A figure of its own kind: milliseconds, bytes; less is better unless it says otherwise. */
export interface FigureCase {
  readonly name: string;
  readonly what: string;
  readonly unit: string;
  readonly goal: number;
  readonly stretch: number;
  /** More is better. */
  readonly more?: boolean;
  /** Null where this host cannot. */
  measure(): Promise<number | null>;
}

export interface BenchResult {
  readonly name: string;
  readonly what: string;
  readonly unit: string;
  /** Operations per second, best slice; or the figure, null where it could not be taken. */
  readonly value: number | null;
  readonly yardstick: number | null;
  readonly ratio: number | null;
  readonly goal: number | null;
  readonly stretch: number | null;
  readonly reached: boolean | null;
  /** Relative margin of error in percent, as `benchmark` reckons it. */
  readonly scatter: number | null;
  readonly checksum: string | null;
}

/** One slice of a yardstick, operations per second; null where it cannot run. */
export type YardstickSlice = (name: string) => Promise<number | null>;

const SLICE_SECONDS = 0.015;
const WARM_UP_RUNS = 5;

/** Measures one path. @param slices of path and yardstick each, at least 1. */
export async function measure(
  bench: BenchCase,
  yardstick: YardstickSlice,
  slices: number,
): Promise<BenchResult> {
  const subject = bench.make('large');
  let checksum = 0;
  for (let i = 0; i < WARM_UP_RUNS; i++) {
    subject.prepare?.();
    checksum = subject.run();
  }
  const { calls, scatter } = calibrate(subject);
  let best = 0;
  let other: number | null = null;
  for (let i = 0; i < slices; i++) {
    best = Math.max(best, slice(subject, calls, checksum));
    if (bench.yardstick === null) continue;
    const rate = await yardstick(bench.yardstick);
    if (rate !== null) other = Math.max(other ?? 0, rate);
  }
  const ratio = other === null ? null : best / other;
  return {
    ...named(bench),
    value: best,
    yardstick: other,
    ratio,
    reached: ratio === null || bench.goal === undefined ? null : ratio >= bench.goal,
    scatter,
    checksum: (checksum >>> 0).toString(16),
  };
}

/** Measures a figure. */
export async function measureFigure(figure: FigureCase): Promise<BenchResult> {
  const value = await figure.measure();
  return {
    ...named(figure),
    value,
    yardstick: null,
    ratio: null,
    reached:
      value === null ? null : figure.more === true ? value >= figure.goal : value <= figure.goal,
    scatter: null,
    checksum: null,
  };
}

function named(
  c: BenchCase | FigureCase,
): Pick<BenchResult, 'name' | 'what' | 'unit' | 'goal' | 'stretch'> {
  const { name, what, unit } = c;
  return { name, what, unit, goal: c.goal ?? null, stretch: c.stretch ?? null };
}

/** Calls that fill a slice, and the scatter of single calls. */
function calibrate(subject: Subject): { calls: number; scatter: number | null } {
  if (subject.prepare !== undefined) {
    subject.prepare();
    const start = cpuSeconds();
    subject.run();
    return { calls: callsFor(cpuSeconds() - start), scatter: null };
  }
  const benchmark = new Benchmark({
    fn: () => subject.run(),
    minSamples: 5,
    minTime: 0.005,
    maxTime: 0.05,
  }).run({ async: false });
  return { calls: callsFor(benchmark.stats.mean), scatter: benchmark.stats.rme };
}

function callsFor(secondsPerCall: number): number {
  return Math.max(1, Math.ceil(SLICE_SECONDS / Math.max(secondsPerCall, 1e-7)));
}

/** Operations per second of CPU time over one slice. */
function slice(subject: Subject, calls: number, checksum: number): number {
  let seconds = 0;
  let done = 0;
  while (done < calls || seconds < SLICE_SECONDS) {
    subject.prepare?.();
    const start = cpuSeconds();
    const batch = subject.prepare === undefined ? calls : 1;
    for (let i = 0; i < batch; i++) {
      if (subject.run() !== checksum) throw new Error('a benchmark computed something else');
    }
    seconds += cpuSeconds() - start;
    done += batch;
  }
  return (subject.ops * done) / seconds;
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
