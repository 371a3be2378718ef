// Several cases of a workload in one machine, competing for its memory.
//
// Each program runs alone first, in a machine with plenty, while what it touches is logged; then
// all logs are played in one machine, by virtual time, the one that is behind first. So each does
// what it did alone, and the machine decides what of it
// stays in memory. A limit is of one memory group
// that holds them all. Not modelled: a program that is slowed down by its faults asks for less.

import { System } from '../userspace/system.ts';
import { AccessLog, Player } from './access-log.ts';
import { startCase, type StartedCase } from './cases.ts';
import { configureSwap } from './zswap.ts';
import { type Program, runProgram } from '../runtime/workload/heap.ts';

const PLENTY = 4 * 2 ** 30;
const SAMPLES = 200;

export interface TogetherOptions {
  readonly ram: number;
  /** Bytes that all may have together; 0 for no limit but RAM. */
  readonly limit: number;
  readonly swap: number;
  readonly zswap?: boolean;
  readonly scale: number;
}

export interface TogetherCase {
  readonly name: string;
  readonly output: string;
  readonly killed: boolean;
  readonly minorFaults: number;
  readonly majorFaults: number;
  readonly peakBytes: number;
  /** Resident and swapped bytes over virtual time: [ns, resident, swapped]. */
  readonly course: readonly (readonly [number, number, number])[];
}

export interface Together {
  readonly cases: readonly TogetherCase[];
  /** Counters of the machine, as in /proc/vmstat; those that moved. */
  readonly vmstat: Readonly<Record<string, number>>;
  readonly log: readonly string[];
}

const TOLD =
  /^(pgmajfault|pswpin|pswpout|zswp|pgsteal_|pgscan_|oom_kill|workingset_refault|allocstall)/;

/** Runs the cases side by side in one machine. */
export function runTogether(
  program: Program,
  names: readonly string[],
  options: TogetherOptions,
): Together {
  const alone = names.map((name) => {
    const started = startCase(new System({ ram: PLENTY }), name);
    const log = new AccessLog();
    log.watch(started);
    const output = started.heap.scope(() => runProgram(started.heap, program, options.scale));
    return { name, log, output, ns: started.heap.clock.ns };
  });
  const system = new System({ ram: options.ram });
  configureSwap(system, options.swap, options.zswap === true);
  if (options.limit > 0) system.newGroup('/compare', options.limit);
  const players = alone.map((a) => {
    const started = startCase(system, a.name);
    return { ...a, started, player: new Player(a.log, started), course: [] as Sample[], next: 0 };
  });
  const longest = Math.max(...alone.map((a) => a.ns), 1);
  for (;;) {
    const left = players.filter((p) => !p.player.done);
    if (left.length === 0) break;
    const behind = left.reduce((a, b) => (a.player.ns <= b.player.ns ? a : b));
    behind.player.slot();
    if (behind.player.ns < behind.next && !behind.player.done) continue;
    behind.next = behind.player.ns + longest / SAMPLES;
    behind.course.push(sample(behind.player.ns, behind.started));
  }
  const vmstat: Record<string, number> = {};
  for (const [name, value] of system.machine.stat.entries())
    if (value !== 0 && TOLD.test(name)) vmstat[name] = value;
  const cases = players.map((p): TogetherCase => {
    const { task } = p.started;
    return {
      name: p.name,
      output: p.player.killed ? 'killed' : p.output,
      killed: p.player.killed,
      minorFaults: task.minflt,
      majorFaults: task.majflt,
      peakBytes: Math.max(...p.course.map(([, resident]) => resident), 0),
      course: p.course,
    };
  });
  return { cases, vmstat, log: system.log };
}

type Sample = readonly [number, number, number];

const MM_SWAPENTS = 2;

function sample(ns: number, { task }: StartedCase): Sample {
  const { mm } = task;
  return [ns, mm.rssPages * 4096, (mm.rss[MM_SWAPENTS] ?? 0) * 4096];
}
