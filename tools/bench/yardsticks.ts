// Yardsticks: C and Go programs of ours (one has the real CPython in it), compiled where a compiler
// is found, asked for a slice at a time.
//
// Each benchmark gets a process of its own: what one yardstick mapped does not weigh on the next.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const COMPILERS = ['cc', 'gcc', 'clang'];
/** Where the sources are, seen from tools/bench in the sources or in dist. */
const FOLDERS = ['./yardstick/', '../../../tools/bench/yardstick/'];

export class Yardsticks {
  /** Why there are none; undefined where there are. */
  readonly missing: string | undefined;
  private readonly source: string | undefined;
  private readonly compiler: string | undefined;
  private readonly hasGo = runs('go', 'version');
  /** Compiler's arguments that embed CPython; null where it has none to give. */
  private readonly embedPython = pythonFlags();
  private readonly built = new Map<string, string>();
  private folder: string | undefined;
  private running: { readonly name: string; readonly process: Slices } | undefined;

  constructor() {
    this.source = FOLDERS.map((f) => fileURLToPath(new URL(f, import.meta.url))).find(existsSync);
    this.compiler = COMPILERS.find((c) => runs(c));
    if (this.source === undefined) this.missing = 'their sources are not installed';
    else if (this.compiler === undefined) this.missing = `no C compiler (${COMPILERS.join(', ')})`;
  }

  /** One slice of `program:slice` in operations per second; null without yardsticks. */
  async slice(name: string): Promise<number | null> {
    const [program = '', what = ''] = name.split(':');
    if (this.missing !== undefined || (program === 'go' && !this.hasGo)) return null;
    if (program === 'python' && this.embedPython === null) return null;
    if (this.running?.name !== name) {
      this.running?.process.end();
      this.running = { name, process: new Slices(this.build(program)) };
    }
    return this.running.process.ask(what);
  }

  /** Ends what runs and removes what was built. */
  close(): void {
    this.running?.process.end();
    this.running = undefined;
    if (this.folder !== undefined) rmSync(this.folder, { recursive: true, force: true });
  }

  private build(program: string): string {
    let binary = this.built.get(program);
    if (binary !== undefined) return binary;
    this.folder ??= mkdtempSync(join(tmpdir(), 'pagewalk-bench-'));
    binary = join(this.folder, program);
    const source = join(this.source ?? '', `${program}.c`);
    const flags = program === 'python' ? (this.embedPython ?? []) : [];
    if (existsSync(source)) {
      const wanted = ['-O2', '-o', binary, source, ...flags];
      execFileSync(this.compiler ?? '', wanted, { stdio: 'inherit' });
    } else execFileSync('go', ['build', '-o', binary, `${program}.go`], { cwd: this.source });
    this.built.set(program, binary);
    return binary;
  }
}

/** A yardstick program at work: a name in, a rate out. */
class Slices {
  private readonly child: ChildProcess;
  private readonly lines: Interface;
  private readonly answers: AsyncIterator<string>;

  constructor(binary: string) {
    this.child = spawn(binary, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.child.stdout === null) throw new Error(`${binary} has no output`);
    this.lines = createInterface(this.child.stdout);
    this.answers = this.lines[Symbol.asyncIterator]();
  }

  async ask(name: string): Promise<number | null> {
    this.child.stdin?.write(`${name}\n`);
    const answer = await this.answers.next();
    const rate = Number(answer.value);
    return answer.done === true || Number.isNaN(rate) ? null : rate;
  }

  end(): void {
    this.lines.close();
    this.child.kill();
  }
}

function runs(command: string, ask = '--version'): boolean {
  try {
    execFileSync(command, [ask], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** What python3-config says to compile and link with; null without it. */
function pythonFlags(): string[] | null {
  try {
    const ask = ['--embed', '--includes', '--ldflags'];
    const said = execFileSync('python3-config', ask, { stdio: ['ignore', 'pipe', 'ignore'] });
    return said.toString().split(/\s+/).filter(Boolean);
  } catch {
    return null;
  }
}
