// What a session runs: a machine that is driven step by step.
//
// A Source makes the same machine each time it is asked, and its Driver takes it from step to step.
// So a position, "after n steps", names one state of the machine: to go back is to start anew and
// to run up to there.

import type { Task } from '../../userspace/process.ts';
import type { System } from '../../userspace/system.ts';
import type { SubjectHeap } from '../inspect/subject.ts';

export type SessionKind = 'scenario' | 'recording' | 'workload' | 'script' | 'machine';

/** A runtime whose heap lies in a process. */
export type SessionHeap = SubjectHeap;

export interface SessionProcess {
  /** Its number, as the source counts: a recording's own task numbers; else the pid. */
  readonly id: number;
  readonly name: string;
  readonly task: Task;
  readonly heap: SessionHeap | undefined;
}

/** A machine on its way. */
export interface Driver {
  readonly system: System;
  /** The processes that live. */
  processes(): SessionProcess[];
  /** True where no step is left. */
  readonly done: boolean;
  /** True where the next step ends a process. */
  readonly endsProcess?: boolean;
  /** Runs the next step; only where not done. @returns what came of it; '' for nothing */
  step(): string;
  /**
   * For sources that cannot be held between two steps: makes the machine anew and runs it up to
   * its n-th step. step() is not called where there is a seek().
   */
  seek?(position: number, watch: SeekWatch): void;
  /** Stands for the machine of a step that was passed before; the next seek() ends that. */
  show?(machine: { readonly system: System; readonly processes: readonly SessionProcess[] }): void;
}

/** Thrown through a run that is to be left where it stands: nothing on its way minds. */
export class Held extends Error {
  override readonly name = 'Held';
}

/** Told on the way of a seek(). */
export interface SeekWatch {
  /** The machine was made; nothing ran yet. */
  started(system: System): void;
  /** A step was done. */
  stepped(): void;
}

export interface Source {
  readonly kind: SessionKind;
  readonly name: string;
  /** Steps in all; 0 where that is known only at the end (workloads). */
  readonly length: number;
  /** Lines of its text; 0 where it has none. */
  readonly lines: number;
  /** Line of the text that step n (from 0) runs; 0 where there is none. */
  lineOf(step: number): number;
  /** What step n (from 0) does, as its source says it. */
  label(step: number): string;
  /** The machine before the first step; the same each time. */
  start(): Driver;
}

/** The processes of a system whose tasks are all there is to know of them. */
export function plainProcesses(system: System): SessionProcess[] {
  const out: SessionProcess[] = [];
  for (const task of system.tasks.values()) {
    if (task.pid === task.tgid) out.push({ id: task.pid, name: task.comm, task, heap: undefined });
  }
  return out;
}
