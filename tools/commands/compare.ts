// `pagewalk compare [PROGRAM | PAIR | FILE FILE]`: a program on two heaps, or two recordings on one
// kernel, side by side.

import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { InputError } from '../../kernel/index.ts';
import { comparisonText } from '../compare-text.ts';
import { compare, faultsOf, sum, type Comparison, type Side } from '../compare.ts';
import { pairFiles, pairNames, recordingPath } from '../examples.ts';
import { parseSize } from '../replay/open.ts';
import { FAULT_KINDS } from '../replay/tally.ts';

const DEFAULT_PAIR = 'binary_trees';
const DEFAULT_CASES = ['go', 'python'];

interface Options {
  readonly json: boolean;
  readonly case?: string[];
  readonly html?: string;
  readonly ram?: number;
  readonly scale?: string;
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
    .option('--scale <part>', 'part of a workload’s size, above 0 and up to 1')
    .option('--html <file>', 'a workload: one self-contained page, too')
    .action(async (names: string[], options: Options) => {
      if (names.length > 2) throw new InputError('', 'compare takes one pair or two recordings');
      const [first = DEFAULT_PAIR, second] = names;
      const asWorkload = [options.case, options.html, options.ram, options.scale];
      const isAsked = asWorkload.some((o) => o !== undefined) || !pairNames().includes(first);
      const isOne = second === undefined && isAsked;
      if (isOne && (await import('../workload.ts')).isWorkload(first))
        await workload(first, options);
      else await recordings(first, second, options.json);
    });
}

function more(text: string, before: string[] | undefined): string[] {
  return [...(before ?? []), text];
}

async function workload(name: string, options: Options): Promise<void> {
  const { loadWorkload, runCases } = await import('../workload.ts');
  const { workloadHtml, workloadText } = await import('../workload-text.ts');
  const program = await loadWorkload(name);
  const scale = Number(options.scale ?? 1);
  if (!(scale > 0 && scale <= 1))
    throw new InputError('', `--scale: expected above 0 and up to 1, found '${String(scale)}'`);
  const ram = options.ram ?? 4 * 2 ** 30;
  const results = runCases(program, options.case ?? DEFAULT_CASES, ram, scale);
  if (options.html !== undefined) writeFileSync(options.html, workloadHtml(name, results));
  const text = options.json
    ? JSON.stringify({ name, cases: results })
    : workloadText(name, results);
  process.stdout.write(`${text}\n`);
  if (results.some((r) => r.output !== results[0]?.output)) process.exitCode = 1;
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
