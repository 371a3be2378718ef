// Opens whatever can be run as a session: told from the name's ending, or else from the content.

import { InputError } from '../../kernel/errors.ts';
import { findGoProfile } from '../../runtime/go/profile.ts';
import { type ProfileName, profiles } from '../../runtime/python/profile.ts';
import type { Program } from '../../runtime/workload/heap.ts';
import { programs } from '../../runtime/workload/programs/index.ts';
import { BytesInput } from '../text-input.ts';
import { parseRecording } from '../trace/parse.ts';
import { recordingSource } from './recording-source.ts';
import { isSavedMachine, machineSource } from './save.ts';
import { scenarioSource } from './scenario-source.ts';
import { goScriptSource, pythonScriptSource } from './script-source.ts';
import { Session } from './session.ts';
import type { Source } from './source.ts';
import { workloadSource } from './workload-source.ts';

export interface SessionOptions {
  /** Bytes of RAM; what the source says, or a default, where it is not given. */
  readonly ram?: number;
  /** Version of the runtime that an allocation script runs on: `go1.26`, `3.11`. */
  readonly profile?: string;
  /** Of a workload: `go`, `python:3.12`, …, and the part of its size. */
  readonly case?: string;
  readonly scale?: number;
}

/**
 * A session of a file's bytes (not gzip any more).
 * @throws InputError where they are none of the kinds that are known, or are malformed
 */
export async function openSession(
  name: string,
  bytes: Uint8Array,
  options: SessionOptions = {},
): Promise<Session> {
  return new Session(await openSource(name, bytes, options));
}

/** A session of a workload that comes with the package. @throws InputError where there is none */
export function openWorkload(name: string, options: SessionOptions = {}): Session {
  const program = programs[name.replace(/-/g, '_')];
  if (program !== undefined) return workloadSession(name, program, options);
  const all = Object.keys(programs).join(', ');
  throw new InputError('', `no workload '${name}'; there are: ${all}`);
}

/** A session of a program. @throws InputError where the options name no case */
export function workloadSession(name: string, program: Program, options: SessionOptions): Session {
  const { ram } = options;
  const wanted = { case: options.case ?? 'go', scale: options.scale ?? 1 };
  return new Session(
    workloadSource(name, program, ram === undefined ? wanted : { ...wanted, ram }),
  );
}

async function openSource(
  name: string,
  bytes: Uint8Array,
  { ram, profile }: SessionOptions,
): Promise<Source> {
  if (isSavedMachine(bytes)) return await machineSource(name, bytes);
  const plain = name.replace(/\.gz$/, '');
  const ending = /\.[a-z]+$/.exec(plain)?.[0] ?? '';
  switch (ending) {
    case '.scn':
      return scenarioSource(name, decode(name, bytes));
    case '.heap': {
      const go = findGoProfile(profile ?? 'go1.26');
      if (go === undefined)
        throw new InputError('', `expected a profile of Go, found '${profile}'`);
      return goScriptSource(name, decode(name, bytes), go, ram);
    }
    case '.pyraw':
    case '.pyobj': {
      const version = profile ?? '3.11';
      if (version in profiles)
        return pythonScriptSource(plain, decode(name, bytes), version as ProfileName, ram);
      const known = Object.keys(profiles).join(', ');
      throw new InputError('', `expected a profile of ${known}, found '${version}'`);
    }
    default:
      return recordingSource(await parseRecording(new BytesInput(name, bytes)), ram);
  }
}

function decode(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new InputError(name, 'expected text in UTF-8');
  }
}
