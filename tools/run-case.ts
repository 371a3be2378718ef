// One case of a workload in a machine of its own: what `compare` measures, grids and sizes repeat.
//
// Memory is sampled over the program's virtual time, which its runtime's clock keeps: what the
// program's operations would have cost, roughly; page faults besides. Isomorphic: the same case
// gives the same machine, to the byte, in Node and in a browser.

import seedrandom from 'seedrandom';
import { type Program, runProgram } from '../runtime/workload/heap.ts';
import type { GoHeap } from '../runtime/workload/go-heap.ts';
import { GuestSignal } from '../runtime/memory.ts';
import type { PythonHeap } from '../runtime/workload/python-heap.ts';
import { fsckSystem } from '../userspace/fsck.ts';
import { type SystemConfig, System } from '../userspace/system.ts';
import { startCase, type StartedCase, subjectHeap } from './cases.ts';
import { worstPins } from './inspect/pins/index.ts';
import type { Pins } from './inspect/pins/pin.ts';
import { hashSystem } from './session/hash.ts';
import { STEPS, type Waterfall, waterfall } from './waterfall.ts';
import { configureSwap } from './zswap.ts';

/** The machine that a case runs in. */
export interface RunOptions {
  readonly ram: number;
  /** Part of the program's size, 0 < scale <= 1. */
  readonly scale: number;
  /** Bytes that the process's memory group may have; 0 or absent for no limit. */
  readonly limit?: number;
  /** Bytes of swap; 0 or absent for none. */
  readonly swap?: number;
  /** A pool of compressed pages in front of it. */
  readonly zswap?: boolean;
  readonly thp?: 'always' | 'madvise' | 'never';
  /** Whether to look for what cannot be given back at the end: it walks the whole heap. */
  readonly pins?: boolean;
  /** 0 or absent: Go's clock as it is; else it goes a little differently for each. */
  readonly seed?: number;
  /** Seed of random addresses; absent for the same addresses always. */
  readonly aslr?: string | undefined;
}

export interface CaseResult {
  readonly name: string;
  /** The kernel killed it: there was no memory left. */
  readonly killed: boolean;
  /** Of the whole machine at the end. */
  readonly hash: string;
  readonly output: string;
  readonly peakBytes: number;
  readonly endBytes: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  readonly collections: number;
  readonly systemCalls: number;
  readonly virtualNs: number;
  readonly waterfall: Waterfall;
  /** What of its heap cannot be given back at the end, and who holds it, where that was asked. */
  readonly pins?: Pins | undefined;
  /** Resident bytes over virtual time: [ns, bytes]. */
  readonly course: readonly (readonly [number, number])[];
}

/** Runs a program in a machine of its own. */
export function runCase(program: Program, name: string, options: RunOptions): CaseResult {
  const { ram, thp, swap = 0, limit = 0 } = options;
  const config: SystemConfig = {
    ram,
    ...(thp === undefined ? {} : { sysctl: { thp } }),
    ...(options.aslr === undefined ? {} : { random: seedrandom.alea(`${options.aslr} ${name}`) }),
  };
  const system = new System(config);
  configureSwap(system, swap, options.zswap === true);
  if (limit > 0) system.newGroup('/compare', limit);
  let started: StartedCase;
  try {
    started = startCase(system, name, options.seed);
  } catch (e) {
    if (e instanceof GuestSignal) return killedResult(name, system);
    throw e;
  }
  const { heap, task } = started;
  const course: [number, number][] = [[0, task.mm.rssPages * 4096]];
  let last = 0;
  heap.clock.watch = (ns) => {
    if (ns < last * 1.02 + 1000) return;
    last = ns;
    course.push([ns, task.mm.rssPages * 4096]);
  };
  try {
    return heap.scope(() => {
      const output = runProgram(heap, program, options.scale);
      const result = resultOf(name, started, output, course);
      const pins = options.pins === true ? pinsOf(started) : undefined;
      fsckSystem(system);
      return { ...result, pins };
    });
  } catch (e) {
    if (!(e instanceof GuestSignal)) throw e;
    return { ...resultOf(name, started, 'killed', course), killed: true };
  }
}

/** The worst place of each kind. */
function pinsOf({ heap, task, memory }: StartedCase): Pins {
  const process = { name: task.comm, task, heap: subjectHeap(heap) };
  return worstPins({ system: memory.system, processes: [process] }, task.pid, 1);
}

function resultOf(
  name: string,
  { heap, task, memory }: StartedCase,
  output: string,
  course: [number, number][],
): CaseResult {
  const { system } = memory;
  task.mm.updateHiwater();
  const runtime = heap.runtime === 'go' ? heap.go : heap.py;
  const endBytes = task.mm.rssPages * 4096;
  course.push([heap.clock.ns, endBytes]);
  return {
    name,
    killed: false,
    hash: hashSystem(system),
    output,
    peakBytes: task.mm.hiwaterRss * 4096,
    endBytes,
    minorFaults: task.minflt,
    majorFaults: task.majflt,
    collections: collectionsOf(heap),
    systemCalls: Object.values(memory.calls).reduce((a, b) => a + b, 0),
    virtualNs: Math.round(heap.clock.ns),
    waterfall: task.alive ? waterfall(task, runtime) : NOTHING,
    course,
  };
}

const NOTHING: Waterfall = {
  bytes: Object.fromEntries(STEPS.map((s) => [s, 0])) as Waterfall['bytes'],
  rss: 0,
  kernel: 0,
  total: 0,
};

/** Of a process that the kernel killed before its program began. */
function killedResult(name: string, system: System): CaseResult {
  return {
    name,
    killed: true,
    hash: hashSystem(system),
    output: 'killed',
    peakBytes: 0,
    endBytes: 0,
    minorFaults: 0,
    majorFaults: 0,
    collections: 0,
    systemCalls: 0,
    virtualNs: 0,
    waterfall: NOTHING,
    course: [],
  };
}

function collectionsOf(heap: GoHeap | PythonHeap): number {
  if (heap.runtime === 'go') return heap.go.gc.numGc;
  return heap.py.gc.stats.reduce((sum, g) => sum + g.collections, 0);
}
