// `pagewalk compare [PROGRAM | PAIR | FILE FILE]`: a program on two heaps, or two recordings on one
// kernel, side by side.

import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { InputError } from '../../kernel/index.ts';
import { comparisonText } from '../compare-text.ts';
import { compare, faultsOf, sum, type Comparison, type Side } from '../compare.ts';
import { pairFiles, pairNames, recordingPath } from '../examples.ts';
import { Progress } from '../progress.ts';
import { parseSize } from '../replay/open.ts';
import { FAULT_KINDS } from '../replay/tally.ts';
import type { RunOptions } from '../run-case.ts';

const DEFAULT_PAIR = 'binary_trees';
const DEFAULT_CASES = ['go', 'python'];

interface Options {
  readonly json: boolean;
  readonly case?: string[];
  readonly html?: string;
  readonly perfetto?: string;
  readonly ram?: number;
  readonly limit?: number;
  readonly swap?: number;
  readonly zswap?: boolean;
  readonly scale?: string;
  readonly seeds?: string;
  readonly aslr?: string;
  readonly costs?: string;
  readonly vary?: string;
  readonly together?: boolean;
  readonly hash?: boolean;
  readonly fork?: string;
}

export function register(program: Command): void {
  program
    .command('compare')
    .description('a program in Go and in Python, side by side: recorded, or as a workload')
    .argument(
      '[what...]',
      `a workload by name or as a file *.ts; a recorded pair (${pairNames().join(', ')}); ` +
        'or two recordings',
    )
    .option('--json', 'one JSON object on standard output', false)
    .option('--case <runtime[:settings]>', 'a case of a workload, as go:GOGC=50, python:3.12', more)
    .option('--ram <size>', "RAM of a workload's machine (default 4G)", parseSize)
    .option('--limit <size>', 'memory that its group may have (default no limit)', parseSize)
    .option('--swap <size>', 'swap of the machine (default none)', parseSize)
    .option('--zswap', 'a pool of compressed pages in RAM, in front of the swap')
    .option('--scale <part>', 'part of a workload’s size, above 0 and up to 1')
    .option('--together', 'also all cases in one machine, competing for --ram and --limit')
    .option('--fork <n>', 'the warm heap forked n times: what reading and collecting copy')
    .option(
      '--seeds <n>',
      'each case n times, at other addresses and with another clock, and the spread',
    )
    .option('--vary <axes>', 'a grid, as ram=64M..1G,gogc=25..400,thp=always|never')
    .option('--costs <file>', 'costs as calibrate --save wrote them')
    .option('--aslr <seed>', 'a workload: at random addresses, drawn from this seed')
    .option('--hash', 'the hash of each whole machine at the end')
    .option('--html <file>', 'a workload: one self-contained page, too')
    .option('--perfetto <file>', 'a workload: a trace that Perfetto opens, too')
    .action(async (names: string[], options: Options) => {
      if (names.length > 2) throw new InputError('', 'compare takes one pair or two recordings');
      const [first = DEFAULT_PAIR, second] = names;
      const asked = Object.keys(options).filter((o) => o !== 'json');
      const isAsked = asked.length > 0 || !pairNames().includes(first);
      const isOne = second === undefined && isAsked;
      if (isOne && (await import('../workload.ts')).isWorkload(first))
        await workload(first, options);
      else await recordings(first, second, options.json);
    });
}

function more(text: string, before: string[] | undefined): string[] {
  return [...(before ?? []), text];
}

function scaleOf(text = '1'): number {
  const scale = Number(text);
  if (!(scale > 0 && scale <= 1))
    throw new InputError('', `--scale: expected above 0 and up to 1, found '${text}'`);
  return scale;
}

async function workload(name: string, options: Options): Promise<void> {
  const { loadWorkload, runCases } = await import('../workload.ts');
  const { workloadText } = await import('../workload-text.ts');
  const program = await loadWorkload(name);
  const cases = options.case ?? DEFAULT_CASES;
  const { limit = 0, swap = 0, ram = 4 * 2 ** 30 } = options;
  const { aslr, zswap = false } = options;
  const base = { ram, limit, swap, zswap, scale: scaleOf(options.scale), aslr };
  if (options.vary !== undefined) {
    await vary(name, options.vary, cases, base, options.json);
    return;
  }
  if (options.fork !== undefined) {
    const { runForks } = await import('../fork.ts');
    const { forkText } = await import('../fork-text.ts');
    const children = parseCount('--fork', options.fork, 64);
    const found = runForks(program, cases, { ...base, children });
    const text = options.json ? JSON.stringify({ name, forks: found }) : forkText(name, found);
    process.stdout.write(`${text}\n`);
    return;
  }
  const alone = { ...base, pins: true };
  const results = runCases(
    program,
    cases,
    options.together === true ? { ...alone, limit: 0 } : alone,
  );
  const together =
    options.together === true
      ? (await import('../together.ts')).runTogether(program, cases, base)
      : undefined;
  const { spreadOf, spreadText, togetherText } = await import('../workload-more.ts');
  const spread =
    options.seeds === undefined
      ? []
      : spreadOf(program, cases, base, parseCount('--seeds', options.seeds, 1000));
  const costs = (await import('../cost.ts')).readCosts(options.costs);
  if (options.html !== undefined) {
    const { workloadHtml } = await import('../workload-html.ts');
    const command = `pagewalk ${process.argv.slice(2).join(' ')}`;
    writeFileSync(options.html, workloadHtml({ name, command, results, together }));
  }
  if (options.perfetto !== undefined)
    writeFileSync(
      options.perfetto,
      (await import('../workload-perfetto.ts')).workloadPerfetto(results),
    );
  const parts = [
    workloadText(name, results, costs),
    ...(together === undefined ? [] : ['', togetherText(together)]),
    ...(spread.length === 0 ? [] : ['', spreadText(spread)]),
    ...(options.hash === true ? ['', ...results.map((r) => `${r.hash}  ${r.name}`)] : []),
    '',
    ...tryNext(name),
  ];
  const text = options.json
    ? JSON.stringify({ name, cases: results, together, spread })
    : parts.join('\n');
  process.stdout.write(`${text}\n`);
  const alive = results.filter((r) => !r.killed);
  if (alive.some((r) => r.output !== alive[0]?.output)) process.exitCode = 1;
}

function tryNext(name: string): string[] {
  return [
    'Try next:',
    `  npx pagewalk compare ${name} --case go:GOGC=50 --case python:3.13 --html ${name}.html`,
    `  npx pagewalk compare ${name} --together --limit 16M --swap 256M`,
    `  npx pagewalk size ${name}`,
  ];
}

function parseCount(option: string, text: string, most: number): number {
  const n = Number(text);
  if (!(Number.isInteger(n) && n >= 1 && n <= most))
    throw new InputError('', `${option}: expected 1 to ${most}, found '${text}'`);
  return n;
}

async function vary(
  name: string,
  axes: string,
  cases: readonly string[],
  base: RunOptions,
  isJson: boolean,
): Promise<void> {
  const { cellsOf, runGrid } = await import('../grid.ts');
  const { gridText } = await import('../workload-more.ts');
  const cells = cellsOf(axes, cases, base);
  const progress = new Progress(`${name}: ${String(cells.length)} runs`);
  const results = await runGrid(name, cells, (done) => {
    progress.at(done, cells.length);
  });
  progress.end();
  const text = isJson
    ? JSON.stringify({
        name,
        cells: cells.map((c, i) => ({ ...c, result: results[i] })),
      })
    : gridText(name, cells, results);
  process.stdout.write(`${text}\n`);
}

async function recordings(
  first: string,
  second: string | undefined,
  isJson: boolean,
): Promise<void> {
  const paths =
    second === undefined
      ? pairFiles(first)
      : ([recordingPath(first), recordingPath(second)] as [string, string]);
  const result = await compare(paths);
  const other = pairNames().find((n) => !paths[0].includes(n)) ?? DEFAULT_PAIR;
  const text = isJson ? JSON.stringify(asJson(result)) : comparisonText(result, other);
  process.stdout.write(`${text}\n`);
  if (result.lost !== 0) process.exitCode = 1;
}
function asJson(c: Comparison): unknown {
  return {
    left: sideJson(c.left),
    right: sideJson(c.right),
    ram: c.ramBytes,
    frames: c.frames,
    lost: c.lost,
  };
}

function sideJson(s: Side): unknown {
  return {
    label: s.label,
    command: s.recording.command,
    processes: s.processes.size,
    faults: {
      minor: sum(s, (t) => t.minor),
      major: sum(s, (t) => t.major),
      kinds: Object.fromEntries(FAULT_KINDS.map((k) => [k, faultsOf(s, k)])),
    },
    peak_pages: s.tally.peakPages,
    end: s.tally.last,
    mappings: s.mappings,
    system_calls: Object.fromEntries(s.tally.calls),
    course: s.tally.course,
  };
}
