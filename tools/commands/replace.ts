// `pagewalk replace TRACE --frames N,M,…`: page replacement policies on a reference string.

import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { InputError } from '../../kernel/index.ts';
import { POLICIES } from '../../kernel/reclaim/policies.ts';
import { csvText, jsonText, tableText } from '../replace/print.ts';
import { readReferences } from '../replace/read.ts';
import { parseFrames, parsePolicies, runAll } from '../replace/results.ts';
import { svgText } from '../replace/svg.ts';

interface Options {
  readonly frames: string;
  readonly policy: string;
  readonly json: boolean;
  readonly csv?: string;
  readonly svg?: string;
  readonly seed: string;
}

export function register(program: Command): void {
  const names = POLICIES.map((row) => row.name).join(', ');
  program
    .command('replace')
    .description('page replacement policies on a reference string: faults by frames')
    .argument('<trace>', 'lackey text, a recording with faults, page numbers; or "7 0 1 2 0 …"')
    .requiredOption('--frames <list>', 'numbers of frames: 16,64,256 or 1-10 or 16-256:16')
    .option('--policy <list>', `${names}, or all`, 'fifo,lru,clock,opt')
    .option('--json', 'faults by policy and frames as JSON', false)
    .option('--csv <file>', 'also write the miss-ratio curves as CSV; - is standard output')
    .option('--svg <file>', 'also draw the miss-ratio curves')
    .option('--seed <n>', 'seed of the random policy', '1')
    .addHelpText('after', `\nPolicies:\n${aboutText()}`)
    .action(async (source: string, options: Options) => {
      const frames = parseFrames(options.frames);
      const policies = parsePolicies(options.policy);
      const refs = await readReferences(source);
      const results = runAll(refs, frames, policies, seedOf(options.seed));
      const title = source.split('/').at(-1) ?? source;
      if (options.csv !== undefined && options.csv !== '-') save(options.csv, csvText(results));
      if (options.svg !== undefined) save(options.svg, svgText(title, results));
      if (options.json) process.stdout.write(jsonText(results));
      else if (options.csv === '-') process.stdout.write(csvText(results));
      else process.stdout.write(tableText(title, results));
    });
}

function aboutText(): string {
  return POLICIES.map((row) => `  ${row.name.padEnd(14)} ${row.about}`).join('\n');
}

function seedOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InputError('', `--seed ${text}: expected a number`);
  return Number(text);
}

function save(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (e) {
    throw new InputError(
      path,
      `cannot be written (${(e as NodeJS.ErrnoException).code ?? 'error'})`,
    );
  }
}
