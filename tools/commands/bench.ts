// `pagewalk bench [NAME…]`: the benchmarks, as ratios against yardsticks measured in the same run.

import Table from 'cli-table3';
import { type Command, InvalidArgumentError } from 'commander';
import colours from 'picocolors';
import { InputError } from '../../kernel/index.ts';
import { measure, measureFigure, type BenchResult } from '../bench/bench.ts';
import { cases, figures } from '../bench/index.ts';
import { Yardsticks } from '../bench/yardsticks.ts';

interface Options {
  readonly json: boolean;
  readonly slices: number;
}

export function register(program: Command): void {
  program
    .command('bench')
    .description('the benchmarks, as ratios against yardsticks measured in the same run')
    .argument('[name...]', 'those whose names begin so (default: all)')
    .option('--slices <n>', 'slices of each path and yardstick, at least 5', parseSlices, 9)
    .option('--json', 'JSON lines on standard output', false)
    .action(bench);
}

async function bench(names: string[], options: Options): Promise<void> {
  const wanted = (c: { readonly name: string }): boolean =>
    names.length === 0 || names.some((name) => c.name.startsWith(name));
  const chosen = [...cases, ...figures].filter(wanted);
  if (chosen.length === 0) {
    const all = [...cases, ...figures].map((c) => c.name).join(' ');
    throw new InputError('', `no benchmark is named ${names.join(' ')}: there are ${all}`);
  }
  const yardsticks = new Yardsticks();
  if (yardsticks.missing !== undefined) {
    process.stderr.write(`no yardsticks: ${yardsticks.missing}; rates alone\n`);
  }
  const results: BenchResult[] = [];
  try {
    for (const c of chosen) {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${c.name} …`);
      const result =
        'measure' in c
          ? await measureFigure(c)
          : await measure(c, (name) => yardsticks.slice(name), options.slices);
      results.push(result);
      if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    }
  } finally {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    yardsticks.close();
  }
  if (!options.json) process.stdout.write(`${tableOf(results)}\n`);
}

function tableOf(results: readonly BenchResult[]): string {
  const table = new Table({
    head: ['path', 'here', 'yardstick', 'ratio', 'goal', ''],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [] },
  });
  for (const r of results) {
    const ratio = r.ratio === null ? '' : r.ratio.toFixed(2);
    const sign = r.yardstick === null && r.reached !== null ? '≤' : '≥';
    const goal = r.goal === null ? '' : `${sign} ${r.goal}`;
    const other = r.yardstick === null ? '' : short(r.yardstick);
    const verdict =
      r.reached === null ? '' : r.reached ? colours.green('reached') : colours.red('missed');
    const figure = r.unit.endsWith('/s') ? short(r.value) : r.value.toFixed(1);
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
