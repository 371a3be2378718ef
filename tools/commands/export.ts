// `pagewalk export MACHINE`: the machine for other tools.

import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { InputError } from '../../kernel/index.ts';
import { exportProc } from '../export-proc.ts';
import { writeVmcore } from '../export-vmcore.ts';
import { imageProcess, writeRamImage, type ImageProcess } from '../image.ts';
import { type MachineOptions, openMachine, placeOf, withMachine } from '../open-machine.ts';
import type { GoRuntime } from '../../runtime/go/runtime.ts';
import { perfettoTrace } from '../perfetto/trace.ts';
import { heapProfile } from '../pprof.ts';
import { number } from '../replay/summary.ts';
import type { Session } from '../session/session.ts';

interface Options extends MachineOptions {
  readonly image?: string;
  readonly perfetto?: string;
  readonly pprof?: string;
  readonly proc?: string;
  readonly vmcore?: string;
  readonly json: boolean;
}

/** What can be written, by the option that names the file. */
const FORMATS: Readonly<Record<string, (session: Session, path: string) => void>> = {
  proc: (session, path) => exportProc(session.system, path),
  image: (session, path) => writeRamImage(session.system.machine, path),
  vmcore: (session, path) => void writeVmcore(session.system.machine, path),
  perfetto: (session, path) => writeFileSync(path, perfettoTrace(session).bytes),
  pprof: (session, path) => writeFileSync(path, heapProfile(goOf(session))),
};

/** An exported machine is small unless asked for: its image has the size of its RAM. */
const RAM = 2 ** 30;

export function register(program: Command): void {
  const command = program
    .command('export')
    .description('the machine for other tools: RAM, a /proc tree, an ELF core, a trace of its run')
    .argument('<machine>', 'a recording, scenario, script, workload or saved machine')
    .option('--image <file>', 'RAM, raw from physical address 0')
    .option('--proc <dir>', 'a /proc tree for smem, free, vmstat, slabtop, ps, pmap')
    .option('--vmcore <file>', 'RAM as an ELF core of a kernel, for drgn')
    .option('--perfetto <file>', 'events, counters and frames of the run, for ui.perfetto.dev')
    .option('--pprof <file>', "a Go program's heap by size, for go tool pprof")
    .option('--json', 'print each process with its CR3 and every page it maps', false);
  withMachine(command).action(async (path: string, options: Options) => {
    const asked = Object.keys(FORMATS).flatMap((name) => {
      const file = options[name as 'image' | 'perfetto' | 'pprof' | 'proc' | 'vmcore'];
      return file === undefined ? [] : [{ name, file }];
    });
    if (asked.length === 0) {
      const names = Object.keys(FORMATS).map((name) => `--${name}`);
      throw new InputError('', `export: say what to write: ${names.join(', ')}`);
    }
    const session = await openMachine(path, { ...options, ram: options.ram ?? RAM });
    for (const { name, file } of asked) write(session, name, file);
    const { machine } = session.system;
    const processes = session.processes.map((p) => imageProcess(machine, p.id, p.task.mm.root));
    const names = asked.map(({ file }) => file).join(', ');
    if (options.json) process.stdout.write(`${JSON.stringify({ processes })}\n`);
    else process.stdout.write(summary(names, processes, placeOf(session, path)));
  });
}

function goOf(session: Session): GoRuntime {
  for (const { heap } of session.processes) if (heap?.runtime === 'go') return heap.go;
  throw new InputError(session.name, '--pprof: expected a process with a Go heap, found none');
}

function write(session: Session, format: string, path: string): void {
  if (format === 'perfetto' && session.kind === 'machine') {
    throw new InputError(session.name, 'a saved machine has no run that a trace could show');
  }
  try {
    FORMATS[format]?.(session, path);
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
