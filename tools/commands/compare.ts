// `pagewalk compare [PAIR | FILE FILE]`: two programs on one kernel, side by side.

import type { Command } from 'commander';
import { InputError } from '../../kernel/index.ts';
import { comparisonText } from '../compare-text.ts';
import { compare, faultsOf, sum, type Comparison, type Side } from '../compare.ts';
import { pairFiles, pairNames, recordingPath } from '../examples.ts';
import { FAULT_KINDS } from '../replay/tally.ts';

const DEFAULT_PAIR = 'binary_trees';

export function register(program: Command): void {
  program
    .command('compare')
    .description('two programs on one emulated kernel, side by side (default: Go and Python)')
    .argument('[pair-or-files...]', `a pair (${pairNames().join(', ')}), or two recordings`)
    .option('--json', 'one JSON object on standard output', false)
    .action(async (names: string[], options: { json: boolean }) => {
      if (names.length > 2) throw new InputError('', 'compare takes one pair or two recordings');
      const [first = DEFAULT_PAIR, second] = names;
      const paths =
        second === undefined
          ? pairFiles(first)
          : ([recordingPath(first), recordingPath(second)] as [string, string]);
      const result = await compare(paths);
      const other = pairNames().find((n) => !paths[0].includes(n)) ?? DEFAULT_PAIR;
      const text = options.json ? JSON.stringify(asJson(result)) : comparisonText(result, other);
      process.stdout.write(`${text}\n`);
      if (result.lost !== 0) process.exitCode = 1;
    });
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
