// `pagewalk export MACHINE`: the machine for other tools.

import type { Command } from 'commander';
import { InputError } from '../../kernel/index.ts';
import { exportProc } from '../export-proc.ts';
import { imageProcess, writeRamImage, type ImageProcess } from '../image.ts';
import { type MachineOptions, openMachine, placeOf, withMachine } from '../open-machine.ts';
import { number } from '../replay/summary.ts';
import type { Session } from '../session/session.ts';

interface Options extends MachineOptions {
  readonly image?: string;
  readonly proc?: string;
  readonly json: boolean;
}

/** An exported machine is small unless asked for: its image has the size of its RAM. */
const RAM = 2 ** 30;

export function register(program: Command): void {
  const command = program
    .command('export')
    .description('the machine for other tools: its RAM as a raw image, or a /proc tree')
    .argument('<machine>', 'a recording, scenario, script, workload or saved machine')
    .option('--image <file>', 'RAM, raw from physical address 0')
    .option('--proc <dir>', 'a /proc tree for smem, free, vmstat, slabtop, ps, pmap')
    .option('--json', 'print each process with its CR3 and every page it maps', false);
  withMachine(command).action(async (path: string, options: Options) => {
    if (options.image === undefined && options.proc === undefined) {
      throw new InputError('', 'export: say what to write: --image FILE or --proc DIR');
    }
    const session = await openMachine(path, { ...options, ram: options.ram ?? RAM });
    if (options.proc !== undefined) writeProc(session, options.proc);
    if (options.image !== undefined) writeImage(session, options.image);
    const { machine } = session.system;
    const processes = session.processes.map((p) => imageProcess(machine, p.id, p.task.mm.root));
    const names = [options.image, options.proc].filter((name) => name !== undefined).join(', ');
    if (options.json) process.stdout.write(`${JSON.stringify({ processes })}\n`);
    else process.stdout.write(summary(names, processes, placeOf(session, path)));
  });
}

function writeProc(session: Session, dir: string): void {
  try {
    exportProc(session.system, dir);
  } catch (e) {
    if (e instanceof Error && 'code' in e) throw new InputError(dir, `cannot write: ${e.message}`);
    throw e;
  }
}

function writeImage(session: Session, path: string): void {
  try {
    writeRamImage(session.system.machine, path);
  } catch (e) {
    if (e instanceof Error && 'code' in e) throw new InputError(path, `cannot write: ${e.message}`);
    throw e;
  }
}

function summary(path: string, processes: readonly ImageProcess[], place: string): string {
  const lines = processes.map(
    (p) => `  process ${p.id}: CR3 ${p.cr3}, ${number(p.present.length)} pages mapped`,
  );
  return `${path}: the machine ${place}\n${lines.join('\n')}\n`;
}
