// The Python half of `pagewalk alloc`: raw scripts, object scripts and allocator streams on an
// emulated CPython, whose process runs on an emulated machine.

import { readFileSync } from 'node:fs';
import process from 'node:process';
import { gunzipSync } from 'node:zlib';
import { InputError } from '../kernel/errors.ts';
import { type ProfileName, profiles, PythonRuntime } from '../runtime/index.ts';
import { sizesText } from '../runtime/python/profile.ts';
import { newProcess, ProcessMemory } from '../runtime/process-memory.ts';
import { DebugHooks, FatalError } from '../runtime/python/debug-hooks.ts';
import { System } from '../userspace/system.ts';
import type { AllocOptions } from './commands/alloc.ts';
import { ObjectScript } from './python/object-run.ts';
import { parseObjects } from './python/object-script.ts';
import { AllocatorProbe } from './python/probe.ts';
import { parseRaw, runRaw } from './python/raw.ts';
import { runStream } from './python/stream.ts';
import { story } from './python/story.ts';
import { Watched } from './python/watched.ts';

type Print = (observation: object) => void;

/** Runs a script or stream and prints an observation for each statement or checkpoint. */
export function allocPython(file: string, options: AllocOptions): void {
  const watched = new Watched(options);
  const version = profileOf(file, options.profile);
  const run = prepare(file, version, watched);
  const lines: string[] = [];
  if (options.json !== true) lines.push(`CPython ${version}: ${sizesText(profiles[version])}`);
  const print: Print = (o) => {
    const all = watched.take(o);
    lines.push(options.json === true ? JSON.stringify(all) : story(all));
  };
  try {
    run(print);
  } catch (e) {
    if (!(e instanceof FatalError)) throw e;
    process.stderr.write(`${e.message}\n`);
    process.exitCode = 1;
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
function prepare(file: string, version: ProfileName, watched: Watched): (print: Print) => void {
  const bytes = read(file);
  const debug = watched.isDebug;
  if (file.endsWith('.pyraw')) {
    watched.refuse(file, 'an object script');
    const statements = parseRaw(file, bytes.toString('utf8'), debug);
    return (print) => {
      const { mem, obmalloc, profile } = newPython(version);
      const hooks = debug ? new DebugHooks(mem, obmalloc, 'o', profile) : null;
      runRaw(statements, new AllocatorProbe(mem, obmalloc, hooks), print);
    };
  }
  if (file.endsWith('.pyobj')) {
    const statements = parseObjects(file, bytes.toString('utf8'));
    return (print) => {
      const py = newPython(version, debug);
      const script = new ObjectScript(file, py);
      script.prepare(statements);
      watched.watch(py, file);
      for (const s of statements) {
        watched.line(s.line);
        print(script.step(s));
      }
      const last = watched.last();
      if (last !== null) print(last);
    };
  }
  if (file.endsWith('.pystream.gz') || file.endsWith('.pystream')) {
    watched.refuse(file, 'an object script');
    if (debug) throw new InputError(file, '--debug is for scripts, not for streams');
    const stream = unzip(file, bytes);
    return (print) => {
      const py = newPython(version);
      runStream(file, stream, new AllocatorProbe(py.mem, py.obmalloc), print);
    };
  }
  throw new InputError(file, 'expected a file *.pyraw, *.pyobj or *.pystream.gz');
}

/** A CPython in a process of its own, on a machine of 16 GiB. */
export function newPython(version: ProfileName, debug = false): PythonRuntime {
  const system = new System({ ram: 16 * 2 ** 30 });
  const memory = new ProcessMemory(system, newProcess(system, 'python'));
  return new PythonRuntime(memory, version, { debug });
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
