// Two recordings as two processes on one emulated kernel, side by side.
//
//     left  record record record …      each is advanced in turn, by its share of its own length,
//     right rec rec rec rec rec rec …   so that both begin and end together
//
// Both stop just before their first process ends: then one address of each is explained, and all
// RAM is counted. After that both run to their ends, and every frame must come back.

import type { Task } from '../userspace/process.ts';
import { explain, telling, type Explanation } from './explain.ts';
import { countFrames, framesLost, reclaimable, type FrameCounts } from './frames.ts';
import { Progress } from './progress.ts';
import { machineOf } from './replay/machine.ts';
import { RecordedFiles } from './replay/files.ts';
import { Kernel } from './replay/kernel.ts';
import { endsProcess, Replayer, type ReplayProcess } from './replay/replayer.ts';
import { readRecording } from './trace/read.ts';
import type { Recording } from './trace/record.ts';
import type { FaultName, Tally } from './replay/tally.ts';

/** RAM of the machine that runs both: plenty for what is compared. */
const RAM = 4 * 2 ** 30;

/** One side of a comparison, its processes taken together. */
export interface Side {
  readonly label: string;
  readonly path: string;
  readonly recording: Recording;
  /** All of them, also those that come after the stop. */
  readonly processes: ReadonlyMap<number, ReplayProcess>;
  readonly mappings: number;
  /** Resident pages and page tables over the run, of its first process. */
  readonly tally: Tally;
  readonly program: string;
  readonly explanation: Explanation | undefined;
  readonly root: number;
  readonly stopLine: number;
}

export interface Comparison {
  readonly left: Side;
  readonly right: Side;
  readonly ramBytes: number;
  /** All RAM while both programs are at their ends but still there. */
  readonly frames: FrameCounts;
  /** Frames that are not back when both are gone and no file is cached any more: 0. */
  readonly lost: number;
}

/** Reads both recordings, runs them together, and gathers what there is to say. */
export async function compare(paths: readonly [string, string]): Promise<Comparison> {
  const recordings = [await readRecording(paths[0]), await readRecording(paths[1])] as const;
  const kernel = new Kernel(machineOf(recordings[0], RAM));
  const before = reclaimable(kernel.system);
  const files = new RecordedFiles(kernel);
  const left = new Replayer(kernel, recordings[0], files);
  const right = new Replayer(kernel, recordings[1], files);
  together(left, right);
  const frames = countFrames(kernel.system);
  const sides = [side(left, paths[0]), side(right, paths[1])] as const;
  left.run(); // more processes may come: the sides hold the live list
  right.run();
  left.release();
  right.release();
  return {
    left: sides[0],
    right: sides[1],
    ramBytes: RAM,
    frames,
    lost: framesLost(kernel.system, before),
  };
}

/** Advances both in step until each is just before the end of its first process. */
function together(left: Replayer, right: Replayer): void {
  const share = (r: Replayer): number =>
    r.done || endsProcess(r) ? Infinity : r.next / r.recording.records.length;
  const progress = new Progress('running both');
  for (;;) {
    const [a, b] = [share(left), share(right)];
    if (a === Infinity && b === Infinity) break;
    (a <= b ? left : right).step();
    progress.at(Math.min(a, b), 1);
  }
  progress.end();
}

function side(replayer: Replayer, path: string): Side {
  const { processes } = replayer;
  const [first] = processes.values();
  if (first === undefined) throw new Error(`${path}: no process ran`);
  const task = taskOf(replayer, first);
  const va = task === undefined ? undefined : telling(task.mm);
  return {
    label: labelOf(first.program, path),
    path,
    recording: replayer.recording,
    processes,
    mappings: task?.mm.vmas.size ?? 0,
    tally: first.tally,
    program: first.program,
    explanation: task === undefined || va === undefined ? undefined : explain(task.mm, va),
    root: task?.mm.root ?? 0,
    stopLine: replayer.recording.records[replayer.next - 1]?.line ?? 0,
  };
}

function taskOf(replayer: Replayer, process: ReplayProcess): Task | undefined {
  const [id] = process.live;
  return id === undefined ? undefined : replayer.tasks.get(id)?.task;
}

/** What a column is headed with: the language where the name tells it. */
function labelOf(program: string, path: string): string {
  if (program.includes('python')) return 'Python';
  if (path.includes('-go.trace')) return 'Go';
  return program.slice(program.lastIndexOf('/') + 1).slice(0, 12);
}

/** A number of a side's tally, over all its processes. */
export function sum(side: Side, of: (tally: Tally) => number): number {
  let total = 0;
  for (const p of side.processes.values()) total += of(p.tally);
  return total;
}

export function faultsOf(side: Side, kind: FaultName): number {
  return sum(side, (t) => t.faults.get(kind) ?? 0);
}
