// Every scenario of test/scenarios, and of the folder that PAGEWALK_CONFORMANCE names, on the
// emulated kernel: each observation as a real Linux printed it, fsck after every statement.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { compareRuns } from '../../../tools/scenario/compare.ts';
import { EmulatedTarget } from '../../../tools/scenario/emulated.ts';
import type { Observation } from '../../../tools/scenario/observe.ts';
import { parseScenario } from '../../../tools/scenario/parse.ts';
import { Runner } from '../../../tools/scenario/run.ts';

const FOLDERS = [fileURLToPath(new URL('../../scenarios/', import.meta.url))];
const more = process.env['PAGEWALK_CONFORMANCE'];
if (more !== undefined) FOLDERS.push(join(more, 'linux'));

const files = FOLDERS.filter((folder) => existsSync(folder)).flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.scn'))
    .map((name) => ({ name, path: join(folder, name) })),
);

function expected(path: string): Observation[] {
  return readFileSync(path.replace(/\.scn$/, '.expected.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Observation);
}

describe('scenarios as Linux ran them', () => {
  test('there are some', () => {
    expect(files.length).toBeGreaterThan(40);
  });

  test.each(files)('$name', ({ path }) => {
    const target = new EmulatedTarget();
    const observations: Observation[] = [];
    for (const o of new Runner(parseScenario(path, readFileSync(path)), target).steps()) {
      observations.push(o);
      target.check();
    }
    expect(compareRuns(expected(path), observations)).toEqual([]);
  });

  test('a wrong observation would be seen', () => {
    const [first] = files;
    const good = expected(first.path);
    const bad = good.map((o) => ('minflt' in o ? { ...o, minflt: 1000 } : o));
    expect(compareRuns(good, bad).length).toBeGreaterThan(0);
  });
});
