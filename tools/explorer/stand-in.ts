// A machine to look at: a Go and a Python process that have run one program.

import { programs } from '../../runtime/workload/programs/index.ts';
import { startGo, startPython } from '../../runtime/workload/start.ts';
import { System } from '../../userspace/system.ts';
import type { Subject } from '../inspect/subject.ts';

export interface StandIn extends Subject {
  readonly name: string;
  readonly kind: string;
  readonly position: number;
  readonly length: number;
}

/** Runs the program at a small scale in both. */
export function openStandIn(name: string): StandIn {
  const system = new System({ ram: 2 ** 30 });
  const go = startGo(system);
  const python = startPython(system);
  const program = programs['binary_trees']!;
  program(go.heap, 0.2);
  program(python.heap, 0.1);
  return {
    name,
    kind: 'workload',
    position: 0,
    length: 0,
    system,
    processes: [
      { name: 'go', task: go.task, heap: { runtime: 'go', go: go.heap.go } },
      { name: 'python', task: python.task, heap: { runtime: 'python', py: python.heap.py } },
    ],
  };
}
