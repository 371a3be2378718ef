// `pagewalk repl MACHINE`: a prompt at a live machine.

import process from 'node:process';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { InputError } from '../../kernel/index.ts';
import { type MachineOptions, openAny, openMachine, withMachine } from '../open-machine.ts';
import { Repl } from '../repl/prompt.ts';

interface Options extends MachineOptions {
  readonly eval?: string;
}

const QUIT: readonly string[] = ['quit', 'exit', 'q'];

export function register(program: Command): void {
  const command = program
    .command('repl')
    .description(
      'a prompt at a live machine: vtop, vm, kmem, rd, step, back, why …; help lists them',
    )
    .argument('<machine>', 'a recording, scenario, script, workload or saved machine')
    .option('--eval <lines>', 'runs these lines, separated by semicolons, and ends');
  withMachine(command).action(async (name: string, options: Options) => {
    // Without --at one begins where the run does: its future is what the prompt is for.
    const start = options.at === undefined ? openAny : openMachine;
    const repl = new Repl(await start(name, options));
    if (options.eval !== undefined) runLines(repl, options.eval.split(';'));
    else if (process.stdin.isTTY) talk(repl);
    else {
      let line = 0;
      for await (const text of createInterface({ input: process.stdin })) {
        line++;
        if (QUIT.includes(text.trim())) break;
        print(at(`line ${line}`, () => repl.run(text)));
      }
    }
  });
}

function runLines(repl: Repl, lines: readonly string[]): void {
  for (const line of lines) {
    if (QUIT.includes(line.trim())) return;
    print(at(line.trim(), () => repl.run(line)));
  }
}

function print(lines: readonly string[]): void {
  if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
}

/** Names the line that was refused. */
function at<T>(where: string, run: () => T): T {
  try {
    return run();
  } catch (e) {
    if (e instanceof InputError) throw new InputError(where, e.message);
    throw e;
  }
}

/** A conversation: an error is said, and it goes on. */
function talk(repl: Repl): void {
  const prompt = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: 'pagewalk> ',
    completer: (line: string) => repl.complete(line),
  });
  process.stdout.write('`help` lists the words, Tab completes them, `quit` ends.\n');
  prompt.on('line', (line) => {
    if (QUIT.includes(line.trim())) {
      prompt.close();
      return;
    }
    try {
      print(repl.run(line));
    } catch (e) {
      if (!(e instanceof InputError)) throw e;
      print([e.message]);
    }
    prompt.prompt();
  });
  prompt.prompt();
}
