// Starts a workload's process: exec, the runtime's own start, then the program.

import { NO_ENTRY } from '../../kernel/pgtable.ts';
import { ptePresent } from '../../kernel/pte.ts';
import { PAGE_SIZE } from '../../kernel/types.ts';
import type { Mm } from '../../userspace/mm.ts';
import type { Task } from '../../userspace/process.ts';
import type { System } from '../../userspace/system.ts';
import { go126, type GoProfile } from '../go/profile.ts';
import { GoRuntime } from '../go/runtime.ts';
import { newProcess, ProcessMemory } from '../process-memory.ts';
import type { ProfileName } from '../python/profile.ts';
import { PythonRuntime } from '../python/runtime.ts';
import { GoHeap } from './go-heap.ts';
import { startGoProgram } from './go-start.ts';
import { barePythonImage, goImage, loadImage, pythonImage } from './image.ts';
import { PythonHeap, type PythonOptions } from './python-heap.ts';
import { startInterpreter, type StartKind } from './python-start.ts';

export interface GoCase {
  readonly profile?: GoProfile;
  readonly gcPercent?: number;
  readonly memoryLimit?: number;
  /** How the program's clock goes; 0 for as it is. */
  readonly seed?: number;
}

/** What a process is to whoever watches it. */
export interface Started<H> {
  readonly heap: H;
  readonly task: Task;
  readonly memory: ProcessMemory;
}

const GO_RUNTIME_IMAGE = 0x5bb000;

/** A Go program in a process of its own, about to run main. */
export function startGo(system: System, options: GoCase = {}): Started<GoHeap> {
  const task = newProcess(system, 'go', goImage.brk);
  loadImage(task, goImage);
  const memory = new ProcessMemory(system, task);
  const profile = options.profile ?? go126;
  const go = new GoRuntime(memory, {
    ...options,
    profile,
    imageBase: GO_RUNTIME_IMAGE,
    globalsBytes: 64 << 10,
  });
  startGoProgram(go);
  return { heap: new GoHeap(go, () => task.minflt, options.seed), task, memory };
}

/** A Python program in a process of its own, at its first line. */
export function startPython(
  system: System,
  version: ProfileName = '3.11',
  options: PythonOptions & { readonly start?: StartKind } = {},
): Started<PythonHeap> {
  const task = newProcess(system, 'python', pythonImage.brk);
  const memory = new ProcessMemory(system, task);
  const py = new PythonRuntime(memory, version);
  const { start = 'site' } = options;
  startInterpreter(py, start);
  const { base, end } = py.data;
  let held = 0;
  for (let at = base; at < end; at += PAGE_SIZE) if (isPresent(task.mm, at)) held++;
  loadImage(task, start === 'site' ? pythonImage : barePythonImage, held);
  return { heap: new PythonHeap(py, options), task, memory };
}

function isPresent(mm: Mm, va: number): boolean {
  const pte = mm.pgt.pteAt(va);
  return pte !== NO_ENTRY && ptePresent(mm.system.machine.mem.words[pte]);
}
