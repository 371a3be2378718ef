// The one way in which a command comes to a machine: from a saved one, or from a recording, a
// scenario, an allocation script or a workload at a point of its run.
//
//     --at 120             after line 120 of the text; of a workload, after 120 steps
//     --at mm_page_alloc   after the first such event;   mm_page_alloc#7  the seventh
//
// Without --at: just before the first process ends, or at the end where none does.

import { readFileSync, existsSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { type Command, Option } from 'commander';
import { InputError } from '../kernel/index.ts';
import { TRACEPOINTS } from '../kernel/trace.ts';
import { hex } from '../kernel/types.ts';
import { programs } from '../runtime/workload/programs/index.ts';
import { recordingPath } from './examples.ts';
import { parseSize } from './replay/open.ts';
import { openSession, openWorkload, workloadSession, type SessionOptions } from './session/open.ts';
import type { Session } from './session/session.ts';
import type { SessionProcess } from './session/source.ts';
import { loadWorkload } from './workload.ts';

/** What the options of withMachine() give. */
export interface MachineOptions {
  readonly at?: string;
  readonly ram?: number;
  readonly case?: string;
  readonly scale?: number;
  readonly profile?: string;
}

/** Adds the options with which a command is told of its machine. */
export function withMachine(command: Command): Command {
  return command
    .option('--at <point>', 'after this line, or event (mm_page_alloc#7); default: before an end')
    .option('--ram <size>', 'RAM of the machine (default: as the source says)', parseSize)
    .addOption(new Option('--case <case>', 'of a workload: go, python:3.12 …').default('go'))
    .option('--scale <part>', "part of a workload's size, 0.01 to 1", parseScale)
    .option('--profile <version>', 'of an allocation script: go1.26, 3.11 …');
}

function parseScale(text: string): number {
  const scale = Number(text);
  if (scale > 0 && scale <= 1) return scale;
  throw new InputError('', `--scale ${text}: expected a number above 0, at most 1`);
}

/**
 * Opens `name` and takes it to the point that the options say.
 * @throws InputError where it is none, is malformed, or has no such point
 */
export async function openMachine(name: string, options: MachineOptions): Promise<Session> {
  const session = await openAny(name, options);
  if (options.at !== undefined) goTo(session, name, options.at);
  else session.runToEndOfProcess();
  return session;
}

/** Opens `name` at its start. @throws InputError where it is none or is malformed */
export async function openAny(name: string, options: MachineOptions): Promise<Session> {
  const given: SessionOptions = { ...options };
  if (!existsSync(name) && name.replace(/-/g, '_') in programs) return openWorkload(name, given);
  if (/\.[mc]?[jt]s$/.test(name)) {
    return workloadSession(name, await loadWorkload(name), given);
  }
  const path = recordingPath(name);
  return await openSession(path, readInput(path), given);
}

/** A file's bytes, unpacked where they are gzip. @throws InputError */
export function readInput(path: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'no such file' : `cannot be read: ${code ?? String(e)}`;
    throw new InputError(path, why);
  }
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return gunzipSync(bytes);
  } catch (e) {
    const cut = (e as NodeJS.ErrnoException).code === 'Z_BUF_ERROR';
    const why = cut ? 'is cut short: the file is truncated' : 'is damaged';
    throw new InputError(`${path}:1`, `the gzip data ${why}`);
  }
}

function goTo(session: Session, name: string, at: string): void {
  if (/^\d{1,9}$/.test(at)) {
    const wanted = Number(at);
    const byLine = session.lines > 0;
    if (byLine) session.seekLine(wanted);
    else session.seek(wanted);
    const last = byLine ? session.lines : session.position;
    if (wanted === 0 && byLine) throw new InputError('', `--at ${at}: lines count from 1`);
    if (wanted <= last) return;
    const where = byLine ? `${session.name}:${last}` : name;
    throw new InputError(where, `--at ${at}: the ${session.kind} ends here`);
  }
  const [point = '', nth = '1'] = at.split('#');
  if (!TRACEPOINTS.some((t) => t.name === point) || !/^[1-9]\d{0,8}$/.test(nth)) {
    const some = 'page_fault_user, mm_page_alloc#7';
    throw new InputError('', `--at ${at}: expected a line number or an event such as ${some}`);
  }
  for (let n = 0; n < Number(nth); n++) {
    if (session.runUntil({ points: [point] })) continue;
    throw new InputError(name, `--at ${at}: the ${session.kind} has ${n} steps with such events`);
  }
}

/** `after line 12 of x.scn`: where the machine stands. */
export function placeOf(session: Session, name: string): string {
  if (session.kind === 'machine') return `as saved in ${name} (${session.name})`;
  if (session.kind === 'workload') return `after step ${session.position} of ${name}`;
  return `after line ${session.line} of ${name}`;
}

/** The process that was asked for by its number, or the first that lives. @throws InputError */
export function processOf(session: Session, name: string, id?: number): SessionProcess {
  const { processes } = session;
  const found = id === undefined ? processes[0] : processes.find((p) => p.id === id);
  if (found !== undefined) return found;
  const alive = processes.map((p) => p.id).join(', ');
  const there = alive === '' ? 'no process lives here' : `these live here: ${alive}`;
  const where = session.line === 0 ? name : `${name}:${session.line}`;
  throw new InputError(where, id === undefined ? there : `no process ${id}; ${there}`);
}

/** `--process 3`. @throws InputError */
export function parseProcess(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InputError('', `--process ${text}: expected a number`);
  return Number(text);
}

/** CR3 of a process, as the registers show it. */
export function cr3Of(process: SessionProcess): string {
  return hex(process.task.mm.root * 4096);
}
