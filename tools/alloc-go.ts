// The Go half of `pagewalk alloc`: a heap script on an emulated Go runtime.

import { readFileSync } from 'node:fs';
import process from 'node:process';
import { InputError } from '../kernel/index.ts';
import { findGoProfile, goProfiles, type GoProfile } from '../runtime/go/profile.ts';
import { GoRuntime } from '../runtime/go/runtime.ts';
import type { Memory } from '../runtime/memory.ts';
import { newProcess, ProcessMemory } from '../runtime/process-memory.ts';
import { System } from '../userspace/system.ts';
import type { AllocOptions } from './commands/alloc.ts';
import { defaultBase } from './heap-base-figures.ts';
import { parseHeapBase, prepareHeap, type HeapBase } from './heap-base.ts';
import { parseHeapScript, type HeapScript } from './heap-script.ts';
import { HeapScriptRunner, type Observation } from './heap-script-run.ts';

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (e) {
    throw new InputError(file, e instanceof Error ? e.message : String(e));
  }
}

function chooseProfile(name: string | undefined): GoProfile {
  const profile = findGoProfile(name ?? 'go1.26');
  if (profile !== undefined) return profile;
  const known = goProfiles.map((p) => p.name).join(', ');
  throw new InputError('', `expected a profile of ${known}, found '${name ?? ''}'`);
}

/** A process on a machine of 16 GiB: what a script touches is what it costs. */
function newMemory(): Memory {
  const system = new System({ ram: 16 * 2 ** 30 });
  return new ProcessMemory(system, newProcess(system, 'go'));
}

function loadBase(script: HeapScript, profile: GoProfile, options: AllocOptions): HeapBase {
  const { bare, stw } = script.modes;
  const mode = bare ? 'bare' : stw ? 'stw' : 'full';
  if (options.base === undefined) return defaultBase(profile.name, mode);
  return parseHeapBase(readText(options.base), options.base, mode);
}

/** An observation as one line; the largest limit is beyond what a number holds exactly. */
function toLine(o: Observation): string {
  return JSON.stringify(o).replace(/9223372036854776000/g, '9223372036854775807');
}

/** Runs a heap script on the Go runtime and prints its observations. */
export function allocGo(file: string, options: AllocOptions): void {
  const profile = chooseProfile(options.profile);
  const script = parseHeapScript(readText(file), file);
  const base = loadBase(script, profile, options);
  const go = new GoRuntime(newMemory(), { profile });
  prepareHeap(go, base);
  const lines: string[] = [];
  const runner = new HeapScriptRunner(go, base, script, file, (o) => {
    lines.push(toLine(o));
  });
  try {
    runner.run();
  } finally {
    process.stdout.write(lines.map((l) => `${l}\n`).join(''));
  }
}
