// The host worker as a conversation: compiles worker.c once, starts it, sends it one order a line
// and reads one line of answer. Synchronous, over two named pipes, so that the runner is the same
// for the emulated kernel and the real one.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, constants, existsSync, mkdirSync, mkdtempSync, openSync } from 'node:fs';
import { readFileSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError } from '../../../kernel/errors.ts';
import { packageRoot } from '../../version.ts';
import { ProcessKilled } from '../observe.ts';

/** Compiles the worker unless this version of it is there. @returns the executable's path. */
function compileWorker(): string {
  const source = fileURLToPath(new URL('tools/scenario/host/worker.c', packageRoot));
  const version = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16);
  const dir = join(tmpdir(), `pagewalk-${process.getuid?.() ?? 0}`);
  const worker = join(dir, `worker-${version}`);
  if (existsSync(worker)) return worker;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const fresh = `${worker}.${process.pid}`;
  for (const cc of ['cc', 'gcc', 'clang']) {
    try {
      execFileSync(cc, ['-O2', '-o', fresh, source], { stdio: ['ignore', 'ignore', 'pipe'] });
      renameSync(fresh, worker);
      return worker;
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== 'ENOENT') throw e;
    }
  }
  throw new InputError(
    '',
    'verify needs a C compiler for its worker, and none of cc, gcc, clang is on the PATH',
  );
}

export class Driver {
  private readonly child: ChildProcess;
  private readonly out: number;
  private readonly in: number;
  private readonly buffer = Buffer.alloc(1 << 16);
  private pending = '';

  constructor() {
    if (process.platform !== 'linux' || process.arch !== 'x64') {
      throw new InputError('', `verify needs Linux on x86-64, and this is ${process.platform}`);
    }
    const worker = compileWorker();
    const dir = mkdtempSync(join(tmpdir(), 'pagewalk-'));
    const [orders, answers] = [join(dir, 'orders'), join(dir, 'answers')];
    execFileSync('mkfifo', [orders, answers]);
    // Opened for both ways first, so that no open() waits for the other side.
    const [o, a] = [openSync(orders, constants.O_RDWR), openSync(answers, constants.O_RDWR)];
    this.child = spawn(worker, [], { stdio: [o, a, 'inherit'] });
    this.child.unref();
    this.out = openSync(orders, 'w');
    this.in = openSync(answers, 'r');
    closeSync(o);
    closeSync(a);
    rmSync(dir, { recursive: true });
  }

  /** Sends an order, waits for its answer. @throws ProcessKilled, or Error where it failed. */
  ask(order: string): string {
    writeSync(this.out, order + '\n');
    let end: number;
    while ((end = this.pending.indexOf('\n')) < 0) {
      const n = readSync(this.in, this.buffer);
      if (n === 0) throw new Error(`the worker ended at: ${order}`);
      this.pending += this.buffer.toString('latin1', 0, n);
    }
    const line = this.pending.slice(0, end);
    this.pending = this.pending.slice(end + 1);
    if (line.startsWith('dead')) throw new ProcessKilled('the kernel killed a process');
    if (line.startsWith('error')) throw new Error(`worker: ${line} (order: ${order})`);
    return line;
  }

  close(): void {
    closeSync(this.out);
    closeSync(this.in);
    this.child.kill();
  }
}
