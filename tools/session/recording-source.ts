// A recording of a real program as a session's source: a step is a line of its text.

import { hex } from '../../kernel/types.ts';
import { Kernel } from '../replay/kernel.ts';
import { machineOf } from '../replay/machine.ts';
import { endsProcess, Replayer } from '../replay/replayer.ts';
import type { LineReport } from '../replay/report.ts';
import type { Recording, TraceRecord } from '../trace/record.ts';
import { type Driver, type SessionProcess, type Source } from './source.ts';

/** @param ram bytes of the machine; what the recording says where it is not given */
export function recordingSource(recording: Recording, ram?: number): Source {
  const { records } = recording;
  return {
    kind: 'recording',
    name: recording.path,
    length: records.length,
    lines: recording.lines,
    lineOf: (step) => records[step]?.line ?? 0,
    label: (step) => labelOf(records[step]),
    start: (): Driver => {
      const replayer = new Replayer(new Kernel(machineOf(recording, ram)), recording);
      return {
        system: replayer.kernel.system,
        processes: () => processesOf(replayer),
        get done() {
          return replayer.done;
        },
        get endsProcess() {
          return endsProcess(replayer);
        },
        step: () => outcome(replayer.step()),
      };
    },
  };
}

function processesOf(replayer: Replayer): SessionProcess[] {
  const out: SessionProcess[] = [];
  for (const { task, process } of replayer.tasks.values()) {
    if (!task.alive || out.some((p) => p.task.tgid === task.tgid)) continue;
    const program = process.program.slice(process.program.lastIndexOf('/') + 1);
    out.push({ id: process.id, name: program === '' ? task.comm : program, task, heap: undefined });
  }
  return out;
}

function labelOf(record: TraceRecord | undefined): string {
  if (record === undefined) return '';
  switch (record.type) {
    case 'fault':
      return `${record.task} fault ${hex(record.address)} ${record.access} ${record.by}`;
    case 'call':
      return `${record.task} ${record.name}(${record.args.join(', ')}) = ${record.result}`;
    case 'map':
      return `${record.task} map ${hex(record.start)}-${hex(record.end)} ${record.path}`;
    case 'file':
      return `file ${record.path}`;
    default:
      return `${record.task} ${record.type}`;
  }
}

function outcome(line: LineReport | undefined): string {
  if (line === undefined) return '';
  const parts: string[] = [];
  if (line.fault !== undefined) parts.push(line.fault);
  if (line.errno !== undefined) parts.push(line.errno);
  else if (line.ret !== undefined) parts.push(`= ${line.ret}`);
  if (line.effect !== '') parts.push(line.effect);
  return parts.join(', ');
}
