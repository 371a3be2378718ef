// `pagewalk explain RECORDING [ADDRESS]`: the chain down from an address of a process.

import type { Command } from 'commander';
import { hex } from '../../kernel/types.ts';
import { InputError } from '../../kernel/index.ts';
import { recordingPath } from '../examples.ts';
import { explain, explanationText, telling } from '../explain.ts';
import {
  lineReached,
  openReplay,
  parseAddress,
  parseLineNumber,
  parseSize,
  runTo,
} from '../replay/open.ts';
import type { Replayer, ReplayTask } from '../replay/replayer.ts';

interface Options {
  readonly at?: number;
  readonly json: boolean;
  readonly process?: number;
  readonly ram?: number;
}

export function register(program: Command): void {
  program
    .command('explain')
    .description('from an address down: mapping, four table levels, frame, struct page, owner')
    .argument('<recording>', 'a recording, or the name of an example')
    .argument('[address]', 'hexadecimal; [heap], [stack]; default: one that tells something')
    .option('--at <line>', 'after this line (default: just before a process ends)', parseLineNumber)
    .option('--process <id>', 'a task of the recording (default: its first)', parseProcess)
    .option('--ram <size>', 'RAM of the machine (default: as the recording says)', parseSize)
    .option('--json', 'one JSON object on standard output', false)
    .action(async (path: string, where: string | undefined, options: Options) => {
      const replayer = await openReplay(recordingPath(path), options.ram);
      runTo(replayer, options.at);
      const { task, process: owner } = taskOf(replayer, options.process);
      const { id } = owner;
      const va = addressOf(task, where);
      const found = explain(task.mm, va);
      if (options.json) {
        const cr3 = hex(task.mm.root * 4096);
        const line = lineReached(replayer);
        process.stdout.write(`${JSON.stringify({ process: id, line, cr3, ...found })}\n`);
        return;
      }
      const head =
        `${hex(va)} in process ${id} (${owner.program}),\n` +
        `after line ${lineReached(replayer)} of ${path}:`;
      process.stdout.write(`${head}\n${explanationText(found, task.mm.root).join('\n')}\n`);
    });
}

/** `--process 3`. @throws InputError */
export function parseProcess(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InputError('', `--process ${text}: expected a number`);
  return Number(text);
}

/** The task that was asked for, or the first that lives. @throws InputError */
export function taskOf(replayer: Replayer, id: number | undefined): ReplayTask {
  const [first] = replayer.tasks.values();
  const task = id === undefined ? first : replayer.tasks.get(id);
  if (task !== undefined) return task;
  const where = `${replayer.recording.path}:${lineReached(replayer)}`;
  const alive = [...replayer.tasks.keys()].join(', ');
  const there = alive === '' ? 'no process lives here' : `these live here: ${alive}`;
  throw new InputError(where, id === undefined ? there : `no process ${id}; ${there}`);
}

function addressOf(task: ReplayTask['task'], where: string | undefined): number {
  const { mm } = task;
  if (where === undefined) return telling(mm) ?? mm.startStack;
  if (where === '[heap]' || where === 'heap') return mm.startBrk;
  if (where === '[stack]' || where === 'stack') return mm.startStack;
  return parseAddress(where);
}
