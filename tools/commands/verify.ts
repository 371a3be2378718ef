// `pagewalk verify FILE.scn…`: runs scenarios on the emulated kernel and on this host's real Linux
// kernel, and shows the first difference. `--random N` makes up the scenarios, and writes each that
// differs, shrunk, to a file with what Linux printed beside it.

import { readFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { InputError } from '../../kernel/errors.ts';
import { EmulatedTarget } from '../scenario/emulated.ts';
import { fuzz } from '../scenario/fuzz.ts';
import { HostTarget } from '../scenario/host/host.ts';
import { compareRuns, type Difference } from '../scenario/compare.ts';
import type { Observation } from '../scenario/observe.ts';
import { parseScenario } from '../scenario/parse.ts';
import { Runner } from '../scenario/run.ts';
import { TOPICS } from '../scenario/topics.ts';
import { readScenario } from './run.ts';

interface Options {
  readonly json?: boolean;
  readonly linux?: boolean;
  readonly random?: number;
  readonly seed: string;
  readonly topic?: string;
  readonly statements: number;
  readonly out: string;
}

function count(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text))
    throw new InputError('', `expected a count, found "${text}"`);
  return Number(text);
}

export function register(program: Command): void {
  program
    .command('verify')
    .description("run scenarios on this host's real Linux kernel too, and show the difference")
    .argument('[file...]', 'scenarios (*.scn)')
    .option('--linux', 'only run on Linux, and print what it observed as JSON lines')
    .option('--random <n>', 'make up so many scenarios', count)
    .option('--seed <seed>', 'of the random scenarios', '1')
    .addOption(
      new Option('--topic <topic>', 'of the random scenarios').choices(Object.keys(TOPICS)),
    )
    .option('--statements <n>', 'in a random scenario', count, 40)
    .option('--out <folder>', 'where random scenarios that differ are written', '.')
    .option('--json', 'JSON lines')
    .action((files: string[], options: Options) => {
      if (files.length === 0 && options.random === undefined) {
        throw new InputError('', 'verify needs scenario files, or --random N');
      }
      verify(files, options);
    });
}

function verify(files: readonly string[], options: Options): void {
  const scenarios = files.map((file) => parseScenario(file, readScenario(file)));
  const host = new HostTarget();
  let good = true;
  try {
    for (const note of host.environment.notes) process.stderr.write(`pagewalk: ${note}\n`);
    for (const scenario of scenarios) {
      const linux = new Runner(scenario, host).run();
      if (options.linux === true) {
        print(linux.map((o) => JSON.stringify(o)));
        continue;
      }
      const ours = new Runner(scenario, new EmulatedTarget()).run();
      const differences = compareRuns(linux, ours);
      if (differences.length > 0) good = false;
      report(scenario.file, linux, differences, options.json === true);
    }
    if (options.random !== undefined) {
      const { seed, topic, statements, out, random: n } = options;
      const topics = topic === undefined ? Object.keys(TOPICS) : [topic];
      const failed = fuzz(host, { n, seed, topics, statements, out }, (line) => print([line]));
      if (failed > 0) good = false;
    }
  } finally {
    host.close();
  }
  if (!good) process.exitCode = 1;
}

function print(lines: readonly string[]): void {
  process.stdout.write(lines.join('\n') + '\n');
}

function report(
  file: string,
  linux: readonly Observation[],
  differences: readonly Difference[],
  json: boolean,
): void {
  const statements = linux.length - 1;
  if (json) {
    print([JSON.stringify({ file, statements, differences })]);
    return;
  }
  const first = differences[0];
  if (first === undefined) {
    print([`${file}: ${statements} statements, the same on Linux`]);
    return;
  }
  const text = readFileSync(file, 'utf8').split('\n')[first.line - 1] ?? '';
  print([
    `${file}:${first.line}: ${text}`,
    ...differences
      .filter((d) => d.line === first.line)
      .slice(0, 8)
      .map((d) => `    ${d.what}: Linux ${d.expected}, pagewalk ${d.got}`),
    `${file}: ${new Set(differences.map((d) => d.line)).size} of ${statements} statements differ`,
  ]);
}
