// A workload as a session's source: a step is a moment at which its process asked the kernel for
// something (page faults, system calls) or its runtime collected; the last one is its end.
//
// The program is a function that runs to its end, so it cannot be held: a position is reached by
// running it anew, and it is stopped there by an exception. Nothing on its way is told: scopes that
// it leaves keep their locals, so the machine stands as it was.

import { KernelBug } from '../../kernel/errors.ts';
import { type Program, runProgram } from '../../runtime/workload/heap.ts';
import { System } from '../../userspace/system.ts';
import { startCase, type StartedCase, subjectHeap } from '../cases.ts';
import type { Roots } from './save.ts';
import { type Driver, Held, type SeekWatch } from './source.ts';
import type { SessionProcess, Source } from './source.ts';

const DEFAULT_RAM = 2 ** 30;

const NOBODY: SeekWatch = { started: () => undefined, stepped: () => undefined };

/** What is counted to tell whether a moment is a step. */
interface Tally {
  faults: number;
  calls: number;
  collections: number;
}

export interface WorkloadOptions {
  /** `go`, `python:3.12`, …: see cases.ts. */
  readonly case: string;
  /** Part of the program's size, 0 < scale <= 1. */
  readonly scale: number;
  readonly ram?: number;
}

/** @throws InputError where the case is none */
export function workloadSource(name: string, program: Program, options: WorkloadOptions): Source {
  const labels: string[] = [];
  const source = {
    kind: 'workload' as const,
    name,
    length: 0,
    lines: 0,
    lineOf: () => 0,
    label: (step: number) => labels[step] ?? '',
    start: (): Driver => new WorkloadDriver(program, options, labels, (n) => (source.length = n)),
  };
  return source;
}

class WorkloadDriver implements Driver {
  done = false;
  private started!: StartedCase;
  private shown: Roots | undefined;
  private readonly program: Program;
  private readonly options: WorkloadOptions;
  private readonly labels: string[];
  private readonly finished: (steps: number) => void;

  constructor(
    program: Program,
    options: WorkloadOptions,
    labels: string[],
    finished: (steps: number) => void,
  ) {
    this.program = program;
    this.options = options;
    this.labels = labels;
    this.finished = finished;
    this.seek(0, NOBODY);
  }

  get system(): System {
    return this.shown?.system ?? this.started.memory.system;
  }

  processes(): SessionProcess[] {
    if (this.shown !== undefined) return this.shown.processes.filter((p) => p.task.alive);
    const { heap, task } = this.started;
    const seen = subjectHeap(heap);
    return task.alive ? [{ id: task.pid, name: task.comm, task, heap: seen }] : [];
  }

  step(): string {
    throw new KernelBug('a workload is moved by seek()');
  }

  show(machine: Roots): void {
    this.shown = machine;
    this.done = false;
  }

  seek(position: number, watch: SeekWatch): void {
    this.shown = undefined;
    const system = new System({ ram: this.options.ram ?? DEFAULT_RAM });
    const started = startCase(system, this.options.case);
    this.started = started;
    let reached = 0;
    this.done = false;
    watch.started(system);
    const before = tally(started);
    started.heap.clock.watch = () => {
      const now = tally(started);
      const label = difference(before, now);
      if (label === '') return;
      Object.assign(before, now);
      this.labels[reached++] ??= label;
      watch.stepped();
      if (reached >= position) throw new Held('held');
    };
    try {
      if (position === 0) return;
      // No scope around it: at the end main's variables still hold what they held.
      runProgram(started.heap, this.program, this.options.scale);
      this.labels[reached++] ??= 'the program returns';
      this.done = true;
      this.finished(reached);
      watch.stepped();
    } catch (e) {
      if (!(e instanceof Held)) throw e;
    }
  }
}

function tally({ heap, task, memory }: StartedCase): Tally {
  const collections =
    heap.runtime === 'go'
      ? heap.go.gc.numGc
      : heap.py.gc.stats.reduce((sum, g) => sum + g.collections, 0);
  const calls = Object.values(memory.calls).reduce((a, b) => a + b, 0);
  return { faults: task.minflt + task.majflt, calls, collections };
}

function difference(before: Tally, now: Tally): string {
  const parts: string[] = [];
  const add = (n: number, one: string, many: string): void => {
    if (n > 0) parts.push(`${n} ${n === 1 ? one : many}`);
  };
  add(now.faults - before.faults, 'page fault', 'page faults');
  add(now.calls - before.calls, 'system call', 'system calls');
  add(now.collections - before.collections, 'collection', 'collections');
  return parts.join(', ');
}
