// Workloads by name or file: programs written once, run on Go's heap and on CPython's, each case on
// a machine of its own.

import { existsSync } from 'node:fs';
import { InputError } from '../kernel/index.ts';
import type { Program } from '../runtime/workload/heap.ts';
import { programs } from '../runtime/workload/programs/index.ts';
import { type CaseResult, runCase, type RunOptions } from './run-case.ts';
import { importUserFile } from './typescript/hooks.ts';

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

/** Runs a program once for each case. */
export function runCases(
  program: Program,
  cases: readonly string[],
  options: RunOptions,
): CaseResult[] {
  return cases.map((name) => runCase(program, name, options));
}
