// What the inspection API looks at: a machine and its processes, with the heaps that lie in them.
//
// Nothing in this folder has an effect on what it looks at: page tables and heaps are read where
// they lie in RAM, no accessed bit is set, no fault taken, no TLB entry made. Everything returned
// is plain data that can be copied from one thread to another. A session is a Subject.

import type { GoRuntime } from '../../runtime/go/runtime.ts';
import type { PythonRuntime } from '../../runtime/python/runtime.ts';
import type { Task } from '../../userspace/process.ts';
import type { System } from '../../userspace/system.ts';

export type SubjectHeap =
  | { readonly runtime: 'go'; readonly go: GoRuntime }
  | {
      readonly runtime: 'python';
      readonly py: PythonRuntime;
      /** What the program itself holds; unknown of a saved machine. */
      readonly named?: NamedRoots | undefined;
    };

/** Visits the references that a program's variables hold: what each is, and its object. */
export type NamedRoots = (visit: (root: string, object: number) => void) => void;

export interface SubjectProcess {
  readonly name: string;
  readonly task: Task;
  readonly heap: SubjectHeap | undefined;
}

export interface Subject {
  readonly system: System;
  /** The processes that live. */
  readonly processes: readonly SubjectProcess[];
}

/** The process with this id; undefined where it has gone. */
export function processOf(subject: Subject, pid: number): SubjectProcess | undefined {
  return subject.processes.find((p) => p.task.pid === pid);
}
