// `pagewalk export RECORDING`: the machine for other tools, at a point of a recording.

import type { Command } from 'commander';
import { InputError } from '../../kernel/index.ts';
import { recordingPath } from '../examples.ts';
import { exportProc } from '../export-proc.ts';
import { imageProcess, writeRamImage, type ImageProcess } from '../image.ts';
import { lineReached, openReplay, parseLineNumber, parseSize, runTo } from '../replay/open.ts';
import { number } from '../replay/summary.ts';
import type { Replayer } from '../replay/replayer.ts';

interface Options {
  readonly at?: number;
  readonly image?: string;
  readonly proc?: string;
  readonly json: boolean;
  readonly ram?: number;
}

/** An exported machine is small unless asked for: its image has the size of its RAM. */
const RAM = 2 ** 30;

export function register(program: Command): void {
  program
    .command('export')
    .description('the machine for other tools: its RAM as a raw image, or a /proc tree')
    .argument('<recording>', 'a recording, or the name of an example')
    .option('--image <file>', 'RAM, raw from physical address 0')
    .option('--proc <dir>', 'a /proc tree for smem, free, vmstat, slabtop, ps, pmap')
    .option('--at <line>', 'after this line (default: just before a process ends)', parseLineNumber)
    .option('--ram <size>', 'RAM of the machine', parseSize, RAM)
    .option('--json', 'print each process with its CR3 and every page it maps', false)
    .action(async (path: string, options: Options) => {
      if (options.image === undefined && options.proc === undefined) {
        throw new InputError('', 'export: say what to write: --image FILE or --proc DIR');
      }
      const replayer = await openReplay(recordingPath(path), options.ram);
      runTo(replayer, options.at);
      if (options.proc !== undefined) writeProc(replayer, options.proc);
      if (options.image !== undefined) writeImage(replayer, options.image);
      const processes = imageProcesses(replayer);
      const names = [options.image, options.proc].filter((name) => name !== undefined).join(', ');
      if (options.json) process.stdout.write(`${JSON.stringify({ processes })}\n`);
      else process.stdout.write(summary(names, processes, lineReached(replayer)));
    });
}

function writeProc(replayer: Replayer, dir: string): void {
  try {
    exportProc(replayer.kernel.system, dir);
  } catch (e) {
    if (e instanceof Error && 'code' in e) throw new InputError(dir, `cannot write: ${e.message}`);
    throw e;
  }
}

function writeImage(replayer: Replayer, path: string): void {
  try {
    writeRamImage(replayer.kernel.system.machine, path);
  } catch (e) {
    if (e instanceof Error && 'code' in e) throw new InputError(path, `cannot write: ${e.message}`);
    throw e;
  }
}

/** Every process that lives, with all pages that its tables map. */
function imageProcesses(replayer: Replayer): ImageProcess[] {
  const { machine } = replayer.kernel.system;
  const found: ImageProcess[] = [];
  for (const process of replayer.processes.values()) {
    const [first] = process.live;
    const task = first === undefined ? undefined : replayer.tasks.get(first)?.task;
    if (task !== undefined) found.push(imageProcess(machine, process.id, task.mm.root));
  }
  return found;
}

function summary(path: string, processes: readonly ImageProcess[], line: number): string {
  const lines = processes.map(
    (p) => `  process ${p.id}: CR3 ${p.cr3}, ${number(p.present.length)} pages mapped`,
  );
  return `${path}: the machine after line ${line}\n${lines.join('\n')}\n`;
}
