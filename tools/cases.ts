// The cases of a comparison: which runtime, which profile of it, with which settings.
//
//     case    go   go:GOGC=50   go:GOMEMLIMIT=64M,1.19   python   python:3.12   python:gc=freeze
//            python:-S   (the interpreter as `python -I -S` starts it)

import { InputError } from '../kernel/errors.ts';
import { findGoProfile } from '../runtime/go/profile.ts';
import { type ProfileName, profiles } from '../runtime/python/profile.ts';
import type { GoHeap } from '../runtime/workload/go-heap.ts';
import type { PythonHeap } from '../runtime/workload/python-heap.ts';
import { type GoCase, startGo, type Started, startPython } from '../runtime/workload/start.ts';
import type { StartKind } from '../runtime/workload/python-start.ts';
import type { System } from '../userspace/system.ts';
import type { SubjectHeap } from './inspect/subject.ts';

/** A process that is about to run its program, on either runtime. */
export type StartedCase = Started<GoHeap> | Started<PythonHeap>;

/** Starts a process for a case's text. @param seed how Go's clock goes; 0 for as it is. */
export function startCase(system: System, text: string, seed = 0): StartedCase {
  const [runtime = '', rest = ''] = text.split(/:(.*)/s);
  const settings = rest === '' ? [] : rest.split(',');
  if (runtime === 'go') return startGo(system, { ...goCase(text, settings), seed });
  if (runtime !== 'python')
    throw new InputError('', `--case ${text}: expected go or python, with :SETTING,… after it`);
  let version: ProfileName = '3.11';
  let start: StartKind = 'site';
  let gc: 'disable' | 'freeze' | undefined;
  for (const s of settings) {
    if (s in profiles) version = s as ProfileName;
    else if (s === '-S') start = 'bare';
    else if (s === 'gc=disable') gc = 'disable';
    else if (s === 'gc=freeze') gc = 'freeze';
    else {
      const known = [...Object.keys(profiles), '-S', 'gc=disable', 'gc=freeze'].join(', ');
      throw new InputError('', `--case ${text}: expected one of ${known}, found '${s}'`);
    }
  }
  return startPython(system, version, { gc, start });
}

/** The heap as the inspection API takes it. */
export function subjectHeap(heap: GoHeap | PythonHeap): SubjectHeap {
  if (heap.runtime === 'go') return { runtime: 'go', go: heap.go };
  return { runtime: 'python', py: heap.py, named: heap.namedRoots };
}

function goCase(text: string, settings: readonly string[]): GoCase {
  const found: {
    profile?: GoCase['profile'];
    gcPercent?: number;
    memoryLimit?: number;
  } = {};
  for (const s of settings) {
    const profile = findGoProfile(s.replace(/^(profile=)?(go)?/, 'go'));
    const percent = /^GOGC=(off|\d+)$/.exec(s)?.[1];
    const limit = /^GOMEMLIMIT=(\d+)([KMG])(?:i?B)?$/.exec(s);
    if (profile !== undefined) found.profile = profile;
    else if (percent !== undefined) found.gcPercent = percent === 'off' ? -1 : Number(percent);
    else if (limit !== null)
      found.memoryLimit = Number(limit[1]) * 1024 ** ' KMG'.indexOf(limit[2] ?? '');
    else
      throw new InputError(
        '',
        `--case ${text}: expected GOGC=N, GOMEMLIMIT=64M, 1.19 or 1.26, found '${s}'`,
      );
  }
  return { ...found } as GoCase;
}
