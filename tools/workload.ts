// Workloads: programs written once, run on Go's heap and on CPython's, each case on a machine of
// its own.
//
// Memory is sampled over the program's virtual time, which its runtime's clock keeps: what the
// program's operations would have cost, roughly; page faults besides.

import { existsSync } from 'node:fs';
import { InputError } from '../kernel/index.ts';
import { type Program, runProgram } from '../runtime/workload/heap.ts';
import type { GoHeap } from '../runtime/workload/go-heap.ts';
import type { PythonHeap } from '../runtime/workload/python-heap.ts';
import { programs } from '../runtime/workload/programs/index.ts';
import { fsckSystem } from '../userspace/fsck.ts';
import { System } from '../userspace/system.ts';
import { startCase, type StartedCase } from './cases.ts';
import { importUserFile } from './typescript/hooks.ts';
import { type Waterfall, waterfall } from './waterfall.ts';

export interface CaseResult {
  readonly name: string;
  readonly output: string;
  readonly peakBytes: number;
  readonly endBytes: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  readonly collections: number;
  readonly systemCalls: number;
  readonly virtualNs: number;
  readonly waterfall: Waterfall;
  /** Resident bytes over virtual time: [ns, bytes]. */
  readonly course: readonly (readonly [number, number])[];
}

/** Whether compare should take `name` for a workload. */
export function isWorkload(name: string): boolean {
  return workloadKey(name) in programs || (/\.[mc]?[jt]s$/.test(name) && existsSync(name));
}

function workloadKey(name: string): string {
  return name.replace(/-/g, '_');
}

/** A program by its name, or from a user's file that exports one as its default. */
export async function loadWorkload(name: string): Promise<Program> {
  const known = programs[workloadKey(name)];
  if (known !== undefined) return known;
  if (!existsSync(name)) {
    const all = Object.keys(programs).join(', ');
    throw new InputError('', `no workload '${name}'; there are: ${all}; or a file *.ts`);
  }
  const { default: main } = await importUserFile(name);
  if (typeof main === 'function') return main as Program;
  throw new InputError(name, 'expected `export default function (heap, scale)`');
}

/** Runs a program once for each case. @param scale part of the size, 0 < scale <= 1. */
export function runCases(
  program: Program,
  cases: readonly string[],
  ram: number,
  scale: number,
): CaseResult[] {
  return cases.map((name) => runCase(program, name, ram, scale));
}

function runCase(program: Program, name: string, ram: number, scale: number): CaseResult {
  const system = new System({ ram });
  const started: StartedCase = startCase(system, name);
  const { heap, task, memory } = started;
  const course: [number, number][] = [[0, task.mm.rssPages * 4096]];
  let last = 0;
  heap.clock.watch = (ns) => {
    if (ns < last * 1.02 + 1000) return;
    last = ns;
    course.push([ns, task.mm.rssPages * 4096]);
  };
  return heap.scope(() => {
    const output = runProgram(heap, program, scale);
    task.mm.updateHiwater();
    const runtime = heap.runtime === 'go' ? heap.go : heap.py;
    const endBytes = task.mm.rssPages * 4096;
    course.push([heap.clock.ns, endBytes]);
    const result: CaseResult = {
      name,
      output,
      peakBytes: task.mm.hiwaterRss * 4096,
      endBytes,
      minorFaults: task.minflt,
      majorFaults: task.majflt,
      collections: collectionsOf(heap),
      systemCalls: Object.values(memory.calls).reduce((a, b) => a + b, 0),
      virtualNs: Math.round(heap.clock.ns),
      waterfall: waterfall(task, runtime),
      course,
    };
    fsckSystem(system);
    return result;
  });
}

function collectionsOf(heap: GoHeap | PythonHeap): number {
  if (heap.runtime === 'go') return heap.go.gc.numGc;
  return heap.py.gc.stats.reduce((sum, g) => sum + g.collections, 0);
}
