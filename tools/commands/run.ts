// `pagewalk run FILE.scn`: runs a scenario on the emulated kernel. By default it tells a story for
// people, statement by statement; `--json` prints the observations for programs. A TypeScript file
// is a program of the user's own, run as a process (tools/program.ts).

import { readFileSync, readSync } from 'node:fs';
import { createColors } from 'picocolors';
import type { Command } from 'commander';
import { InputError } from '../../kernel/errors.ts';
import { programText, runProgram } from '../program.ts';
import { EmulatedTarget } from '../scenario/emulated.ts';
import type { Observation } from '../scenario/observe.ts';
import { parseScenario } from '../scenario/parse.ts';
import { Runner } from '../scenario/run.ts';
import { tell } from '../scenario/story.ts';
import type { Scenario } from '../scenario/syntax.ts';

interface Options {
  readonly json?: boolean;
  readonly step?: boolean;
  readonly fsck?: boolean;
  readonly zswap?: boolean;
  readonly seed: string;
  readonly aslr?: boolean;
}

export function register(program: Command): void {
  program
    .command('run')
    .description('run a page-fault scenario, or a TypeScript program of your own')
    .argument('<file>', 'a scenario (*.scn), or a program (*.ts)')
    .option('--json', 'print observations as JSON lines')
    .option('--step', 'one statement at a time: Enter goes on, q ends')
    .option('--fsck', 'prove all structures sound after each statement')
    .option('--zswap', 'a scenario with swap: a pool of compressed pages in RAM in front of it')
    .option('--seed <seed>', 'of the random numbers that a program gets', '1')
    .option('--aslr', 'a program: at random addresses, drawn from the seed')
    .action(async (file: string, options: Options) => {
      if (/\.m?ts$/.test(file)) {
        const result = await runProgram(file, options.seed, options.aslr === true);
        const text =
          options.json === true ? `${JSON.stringify(result)}\n` : programText(file, result);
        process.stdout.write(text);
        return;
      }
      if (options.aslr === true) {
        throw new InputError('', '--aslr: a scenario has fixed addresses; expected a program *.ts');
      }
      const scenario = parseScenario(file, readScenario(file));
      if (options.json === true) runJson(scenario, options);
      else runStory(scenario, options);
    });
}

/** A scenario file's bytes. @throws InputError where it cannot be read. */
export function readScenario(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (e) {
    throw new InputError(file, `cannot be read: ${(e as NodeJS.ErrnoException).code ?? String(e)}`);
  }
}

function runJson(scenario: Scenario, { fsck = false, zswap = false }: Options): void {
  const target = new EmulatedTarget({ zswap });
  const lines: string[] = [];
  new Runner(scenario, target).run({
    after(observation: Observation) {
      if (fsck) target.check();
      lines.push(JSON.stringify(observation));
      if (lines.length >= 256) process.stdout.write(lines.splice(0).join('\n') + '\n');
    },
  });
  if (lines.length > 0) process.stdout.write(lines.join('\n') + '\n');
}

function runStory(scenario: Scenario, options: Options): void {
  const target = new EmulatedTarget({ notes: true, zswap: options.zswap === true });
  const colours = createColors(process.stdout.isTTY && process.env['NO_COLOR'] === undefined);
  const paint = { bold: colours.bold, dim: colours.dim, red: colours.red };
  const runner = new Runner(scenario, target);
  const steps = runner.steps({
    before: (_, proc) => target.beginNotes(proc),
    after(observation, statement, proc) {
      if (options.fsck === true) target.check();
      if (statement === undefined) return;
      const notes = target.endNotes(proc);
      const nameOf = (va: bigint): string => runner.nameOf(statement.proc, va);
      process.stdout.write(tell(statement, observation, notes, nameOf, paint) + '\n');
    },
  });
  for (let n = steps.next(); n.done !== true; n = steps.next()) {
    if (options.step === true && n.value.line > 0 && !goesOn()) return;
  }
}

/** Waits for a line on standard input. @returns false for `q` or its end. */
function goesOn(): boolean {
  process.stderr.write('-- Enter: next statement, q: end -- ');
  const byte = Buffer.alloc(1);
  let text = '';
  for (;;) {
    let n: number;
    try {
      n = readSync(0, byte);
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== 'EAGAIN') throw e;
      continue;
    }
    if (n === 0) return false;
    if (byte[0] === 10) return text.trim() !== 'q';
    text += byte.toString('latin1');
  }
}
