// `pagewalk bench [NAME…]`: the benchmarks, as ratios against yardsticks measured in the same run.
//
// Each benchmark runs in a process of its own, for what one does to the compiler's knowledge and to
// the heap weighs on the next (a TLB miss is a third slower after a benchmark of hits).

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import Table from 'cli-table3';
import { type Command, InvalidArgumentError, Option } from 'commander';
import colours from 'picocolors';
import { InputError } from '../../kernel/index.ts';
import { measure, measureFigure, type BenchResult } from '../bench/bench.ts';
import { cases, figures } from '../bench/index.ts';
import { Yardsticks } from '../bench/yardsticks.ts';

interface Options {
  readonly json: boolean;
  readonly slices: number;
  /** In this process: one benchmark, by its whole name. */
  readonly here: boolean;
}

const CLI = fileURLToPath(new URL('../cli.js', import.meta.url));

export function register(program: Command): void {
  program
    .command('bench')
    .description('the benchmarks, as ratios against yardsticks measured in the same run')
    .argument('[name...]', 'those whose names begin so (default: all)')
    .option('--slices <n>', 'slices of each path and yardstick, at least 5', parseSlices, 9)
    .option('--json', 'JSON lines on standard output', false)
    .addOption(new Option('--here', 'in this process').default(false).hideHelp())
    .action(bench);
}

async function bench(names: string[], options: Options): Promise<void> {
  const wanted = (c: { readonly name: string }): boolean =>
    names.length === 0 ||
    names.some((name) => (options.here ? c.name === name : c.name.startsWith(name)));
  const chosen = [...cases, ...figures].filter(wanted);
  if (chosen.length === 0) {
    const all = [...cases, ...figures].map((c) => c.name).join(' ');
    throw new InputError('', `no benchmark is named ${names.join(' ')}: there are ${all}`);
  }
  const { missing } = new Yardsticks();
  if (missing !== undefined && !options.here) {
    process.stderr.write(`no yardsticks: ${missing}; rates alone\n`);
  }
  const results: BenchResult[] = [];
  for (const { name } of chosen) {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${name} …`);
    const result = options.here ? await runHere(name, options.slices) : runApart(name, options);
    results.push(result);
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  if (!options.json) process.stdout.write(`${tableOf(results)}\n`);
}

/** One benchmark in a process of its own. */
function runApart(name: string, options: Options): BenchResult {
  const args = [CLI, 'bench', name, '--here', '--json', '--slices', String(options.slices)];
  const text = execFileSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(text) as BenchResult;
}

async function runHere(name: string, slices: number): Promise<BenchResult> {
  const figure = figures.find((f) => f.name === name);
  if (figure !== undefined) return measureFigure(figure);
  const path = cases.find((c) => c.name === name);
  if (path === undefined) throw new InputError('', `no benchmark is named ${name}`);
  const yardsticks = new Yardsticks();
  try {
    return await measure(path, (slice) => yardsticks.slice(slice), slices);
  } finally {
    yardsticks.close();
  }
}

function tableOf(results: readonly BenchResult[]): string {
  const lessIsBetter = new Set(figures.filter((f) => f.more !== true).map((f) => f.name));
  const table = new Table({
    head: ['path', 'here', 'yardstick', 'ratio', 'goal', ''],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [] },
  });
  for (const r of results) {
    const ratio = r.ratio === null ? '' : r.ratio.toFixed(2);
    const sign = lessIsBetter.has(r.name) ? '≤' : '≥';
    const goal = r.goal === null ? '' : `${sign} ${r.goal}`;
    const other = r.yardstick === null ? '' : short(r.yardstick);
    const verdict =
      r.reached === null ? '' : r.reached ? colours.green('reached') : colours.red('missed');
    const rate = r.unit.endsWith('/s');
    const figure = r.value === null ? 'no' : rate ? short(r.value) : r.value.toFixed(1);
    table.push([r.name, `${figure} ${r.unit}`, other, ratio, goal, verdict]);
  }
  return table.toString();
}

/** 1234567 as 1.23 M. */
function short(rate: number): string {
  if (rate >= 1e6) return `${(rate / 1e6).toPrecision(3)} M`;
  return rate >= 1e3 ? `${(rate / 1e3).toPrecision(3)} k` : rate.toPrecision(3);
}

function parseSlices(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 5) throw new InvalidArgumentError('expected 5 or more');
  return n;
}
