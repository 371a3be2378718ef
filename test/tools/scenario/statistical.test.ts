// Scenarios under a memory limit, as a real Linux ran them several times: totals agree between 0.9
// times the least and 1.1 times the most, with 64 faults or 256 KiB of slack.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { EmulatedTarget } from '../../../tools/scenario/emulated.ts';
import type { Observation } from '../../../tools/scenario/observe.ts';
import { parseScenario } from '../../../tools/scenario/parse.ts';
import { Runner } from '../../../tools/scenario/run.ts';

const FOLDERS = [fileURLToPath(new URL('../../scenarios/statistical/', import.meta.url))];
const more = process.env['PAGEWALK_CONFORMANCE'];
if (more !== undefined) FOLDERS.push(join(more, 'linux', 'statistical'));

const files = FOLDERS.filter((folder) => existsSync(folder)).flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.scn'))
    .map((name) => ({ name, path: join(folder, name) })),
);

type Totals = Record<'majflt' | 'minflt' | 'vm_rss' | 'vm_swap', number>;
type Range = Record<'min' | 'max', number>;

const SLACK: Totals = { majflt: 64, minflt: 64, vm_rss: 256, vm_swap: 256 };

/** Sums over the last usage() of each process. */
function totals(observations: readonly Observation[]): Totals {
  const last = new Map<string, Totals>();
  for (const o of observations) {
    const usage = o['usage'];
    if (usage !== undefined) last.set(o.proc, usage as Totals);
  }
  const sum: Totals = { majflt: 0, minflt: 0, vm_rss: 0, vm_swap: 0 };
  for (const usage of last.values()) {
    for (const key of Object.keys(sum) as (keyof Totals)[]) sum[key] += usage[key];
  }
  return sum;
}

describe('scenarios under a limit', () => {
  test('there are some', () => {
    expect(files.length).toBeGreaterThanOrEqual(4);
  });

  test.each(files)('$name', ({ path }) => {
    const target = new EmulatedTarget();
    const found = totals(new Runner(parseScenario(path, readFileSync(path)), target).run());
    target.check();
    const expected = JSON.parse(
      readFileSync(path.replace(/\.scn$/, '.expected.json'), 'utf8'),
    ) as Record<keyof Totals, Range>;
    for (const key of Object.keys(found) as (keyof Totals)[]) {
      const { min, max } = expected[key];
      expect(found[key], key).toBeGreaterThanOrEqual(0.9 * min - SLACK[key]);
      expect(found[key], key).toBeLessThanOrEqual(1.1 * max + SLACK[key]);
    }
  });
});
