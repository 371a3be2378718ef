// The Python half of `pagewalk alloc`: raw scripts, object scripts and allocator streams on an
// emulated CPython, whose process runs on an emulated machine.

import { readFileSync } from 'node:fs';
import process from 'node:process';
import { gunzipSync } from 'node:zlib';
import { InputError } from '../kernel/errors.ts';
import { type ProfileName, profiles, PythonRuntime } from '../runtime/index.ts';
import { newProcess, ProcessMemory } from '../runtime/process-memory.ts';
import { System } from '../userspace/system.ts';
import type { AllocOptions } from './commands/alloc.ts';
import { ObjectScript } from './python/object-run.ts';
import { parseObjects } from './python/object-script.ts';
import { AllocatorProbe } from './python/probe.ts';
import { parseRaw, runRaw } from './python/raw.ts';
import { runStream } from './python/stream.ts';
import { story } from './python/story.ts';

type Print = (observation: object) => void;

/** Runs a script or stream and prints an observation for each statement or checkpoint. */
export function allocPython(file: string, options: AllocOptions): void {
  const run = prepare(file, profileOf(file, options.profile));
  const lines: string[] = [];
  const print: Print = (o) => lines.push(options.json === true ? JSON.stringify(o) : story(o));
  try {
    run(print);
  } finally {
    process.stdout.write(lines.map((line) => `${line}\n`).join(''));
  }
}

/** The profile of --profile; else what the stream or folder is of, 3.11 by default. */
function profileOf(file: string, wanted: string | undefined): ProfileName {
  if (wanted !== undefined) {
    if (wanted in profiles) return wanted as ProfileName;
    const known = Object.keys(profiles).join(', ');
    throw new InputError('', `--profile: expected one of ${known}, found '${wanted}'`);
  }
  const folder = /(?:^|[/\\])[a-z]+-([23]\.[0-9]+)[/\\][^/\\]*$/.exec(file)?.[1];
  return folder !== undefined && folder in profiles ? (folder as ProfileName) : '3.11';
}

/** Reads and checks the file; @returns what runs it. */
function prepare(file: string, version: ProfileName): (print: Print) => void {
  const bytes = read(file);
  if (file.endsWith('.pyraw')) {
    const statements = parseRaw(file, bytes.toString('utf8'));
    return (print) => {
      const py = newPython(version);
      runRaw(statements, new AllocatorProbe(py.mem, py.obmalloc), print);
    };
  }
  if (file.endsWith('.pyobj')) {
    const statements = parseObjects(file, bytes.toString('utf8'));
    return (print) => {
      new ObjectScript(file, newPython(version)).run(statements, print);
    };
  }
  if (file.endsWith('.pystream.gz') || file.endsWith('.pystream')) {
    const stream = unzip(file, bytes);
    return (print) => {
      const py = newPython(version);
      runStream(file, stream, new AllocatorProbe(py.mem, py.obmalloc), print);
    };
  }
  throw new InputError(file, 'expected a file *.pyraw, *.pyobj or *.pystream.gz');
}

/** A CPython in a process of its own, on a machine of 16 GiB. */
export function newPython(version: ProfileName): PythonRuntime {
  const system = new System({ ram: 16 * 2 ** 30 });
  return new PythonRuntime(new ProcessMemory(system, newProcess(system, 'python')), version);
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (e) {
    throw new InputError(file, e instanceof Error ? e.message : String(e));
  }
}

function unzip(file: string, bytes: Buffer): Uint8Array {
  if (!file.endsWith('.gz')) return bytes;
  try {
    return gunzipSync(bytes);
  } catch {
    throw new InputError(file, 'expected gzip');
  }
}
