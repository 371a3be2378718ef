// A user's own program in TypeScript, run as a process of an emulated machine.
//
//     // my-program.ts
//     import type { Memory } from 'pagewalk';
//     export default function main(memory: Memory, random: () => number): void { … }
//
// It reaches memory only through `memory`: loads, stores, mmap and its kin, as any process does.
// `random` is seeded (--seed), so that one seed is one run. What it did is told at its end.

import seedrandom from 'seedrandom';
import { InputError } from '../kernel/index.ts';
import { newProcess, ProcessMemory } from '../runtime/process-memory.ts';
import { fsckSystem } from '../userspace/fsck.ts';
import { procMaps } from '../userspace/proc.ts';
import { System } from '../userspace/system.ts';
import { countersOf, type Counters } from './replay/effects.ts';
import { bytes, number } from './replay/summary.ts';
import { importUserFile } from './typescript/hooks.ts';

/** What a program exports as its default. */
export type UserProgram = (memory: ProcessMemory, random: () => number) => unknown;

export interface ProgramResult {
  readonly minflt: number;
  readonly majflt: number;
  /** Pages resident at its end, and bytes of page tables. */
  readonly end: Counters;
  readonly peakPages: number;
  readonly calls: Readonly<Record<string, number>>;
  /** As /proc/PID/maps. */
  readonly maps: string;
}

/**
 * Runs the program and checks the machine after it.
 * @param aslr whether its addresses are random, drawn from the seed.
 * @throws InputError where the file does not type-check or exports no function.
 */
export async function runProgram(path: string, seed: string, aslr = false): Promise<ProgramResult> {
  const { default: main } = await importUserFile(path);
  if (typeof main !== 'function') {
    throw new InputError(path, 'expected `export default function (memory, random)`');
  }
  const random = aslr ? seedrandom.alea(`aslr ${seed}`) : undefined;
  const system = new System({ ram: 4 * 2 ** 30, ...(random === undefined ? {} : { random }) });
  const task = newProcess(system, 'program');
  const memory = new ProcessMemory(system, task);
  await (main as UserProgram)(memory, seedrandom.alea(seed));
  fsckSystem(system);
  task.mm.updateHiwater();
  return {
    minflt: task.minflt,
    majflt: task.majflt,
    end: countersOf(task.mm),
    peakPages: task.mm.hiwaterRss,
    calls: memory.calls,
    maps: procMaps(task.mm),
  };
}

/** The result for people. */
export function programText(path: string, r: ProgramResult): string {
  const calls = Object.entries(r.calls).map(([name, n]) => `${name} ${number(n)}`);
  const { end } = r;
  return [
    `${path}, as a process of an emulated machine:`,
    `  page faults    ${number(r.minflt)} minor, ${number(r.majflt)} major`,
    `  resident       ${bytes((end.anon + end.file + end.shmem) * 4096)} at the end, ` +
      `${bytes(r.peakPages * 4096)} at the most`,
    `  page tables    ${bytes(end.pt)}`,
    `  system calls   ${calls.length === 0 ? 'none' : calls.join(', ')}`,
    '  mappings',
    ...r.maps
      .trimEnd()
      .split('\n')
      .map((line) => `    ${line.replace(/ {2,}/g, ' ').trimEnd()}`),
    '',
  ].join('\n');
}
