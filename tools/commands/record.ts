// `pagewalk record -- CMD…`: makes a recording of a program on this host, for replay and compare.
//
//     --strace   system calls, no special rights: setarch -R strace -f -y
//     --perf     system calls, faults and mappings, as root: perf record, then perf script
//
// Addresses are not randomized (setarch -R), so that two recordings of a program are alike. Linux
// only; what is missing on the host is said.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Command } from 'commander';
import { InputError } from '../../kernel/errors.ts';

const EVENTS = [
  'minor-faults',
  'major-faults',
  'exceptions:page_fault_user',
  'exceptions:page_fault_kernel',
  'raw_syscalls:sys_enter',
  'raw_syscalls:sys_exit',
].join(',');
const SCRIPT = ['--show-mmap-events', '--show-task-events', '-F', 'pid,tid,time,event,addr,trace'];

interface Options {
  readonly output: string;
  readonly perf: boolean;
}

export function register(program: Command): void {
  program
    .command('record')
    .description('record a program on this host (Linux), with strace or perf, for replay')
    .argument('<command...>', 'the program and its arguments, after --')
    .option('-o, --output <file>', 'the recording; gzip where it ends in .gz', 'recording.gz')
    .option('--perf', 'with faults and mappings, by perf (root)', false)
    .action((command: string[], options: Options) => {
      if (process.platform !== 'linux') {
        throw new InputError('', `record needs a Linux kernel; this host is ${process.platform}`);
      }
      const folder = mkdtempSync(join(tmpdir(), 'pagewalk-record-'));
      try {
        const text = options.perf ? withPerf(command, folder) : withStrace(command, folder);
        const bytes = options.output.endsWith('.gz') ? gzipSync(text) : text;
        writeFileSync(options.output, bytes);
      } finally {
        rmSync(folder, { recursive: true });
      }
      const next = `npx pagewalk replay ${options.output}`;
      process.stderr.write(`${options.output}: recorded; look at it with: ${next}\n`);
    });
}

function withStrace(command: readonly string[], folder: string): Buffer {
  const file = join(folder, 'strace');
  run('setarch', ['-R', 'strace', '-f', '-y', '-o', file, ...command], 'strace');
  if (!existsSync(file)) throw new InputError('', 'strace recorded nothing: may it trace here?');
  return readFileSync(file);
}

function withPerf(command: readonly string[], folder: string): Buffer {
  const file = join(folder, 'perf.data');
  const what = ['record', '-q', '-c', '1', '-d', '-e', EVENTS, '-o', file];
  run('perf', [...what, 'setarch', '-R', ...command], 'perf');
  if (!existsSync(file)) throw new InputError('', 'perf recorded nothing: it needs root');
  const script = spawnSync('perf', ['script', '-i', file, ...SCRIPT], { maxBuffer: 2 ** 32 - 1 });
  if (script.status !== 0) throw new InputError('', `perf script: ${script.stderr.toString()}`);
  return script.stdout;
}

/** Runs a tool with our own standard input and output. @throws InputError where it is missing. */
function run(program: string, args: readonly string[], tool: string): void {
  const found = spawnSync(tool, ['--version'], { stdio: 'ignore' });
  if (found.error !== undefined) throw new InputError('', `record needs ${tool}: install it first`);
  const done = spawnSync(program, args, { stdio: 'inherit' });
  if (done.error !== undefined) throw new InputError('', `record needs ${program}`);
  // The recorded program's own failure is not ours; a tool that could not start leaves no file.
}
