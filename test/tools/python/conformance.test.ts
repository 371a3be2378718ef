// Recorded CPython: each case must come out line by line as the real interpreter printed it.
//
// A whole suite runs from the folder that PAGEWALK_CONFORMANCE names (its python/).

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { newPython } from '../../../tools/alloc-python.ts';
import { ObjectScript } from '../../../tools/python/object-run.ts';
import { parseObjects } from '../../../tools/python/object-script.ts';
import { AllocatorProbe } from '../../../tools/python/probe.ts';
import { parseRaw, runRaw } from '../../../tools/python/raw.ts';
import { runStream } from '../../../tools/python/stream.ts';
import type { ProfileName } from '../../../runtime/index.ts';

const copies = fileURLToPath(new URL('../../conformance/python/', import.meta.url));
const outside = process.env['PAGEWALK_CONFORMANCE'];
const root = outside === undefined ? copies : join(outside, 'python');

const parts: readonly [part: string, ending: string, version: ProfileName][] = [
  ['raw', '.pyraw', '3.11'],
  ['objects', '.pyobj', '3.11'],
  ['objects-3.12', '.pyobj', '3.12'],
  ['objects-3.13', '.pyobj', '3.13'],
  ['programs', '.pystream.gz', '3.11'],
];

function observe(file: string, version: ProfileName): object[] {
  const observations: object[] = [];
  const print = (o: object): void => {
    observations.push(o);
  };
  const py = newPython(version);
  if (file.endsWith('.pyraw'))
    runRaw(
      parseRaw(file, readFileSync(file, 'utf8')),
      new AllocatorProbe(py.mem, py.obmalloc),
      print,
    );
  else if (file.endsWith('.pyobj'))
    new ObjectScript(file, py).run(parseObjects(file, readFileSync(file, 'utf8')), print);
  else
    runStream(file, gunzipSync(readFileSync(file)), new AllocatorProbe(py.mem, py.obmalloc), print);
  py.check();
  return observations;
}

describe.each(parts)('%s', (part, ending, version) => {
  const folder = join(root, part);
  const cases = existsSync(folder) ? readdirSync(folder).filter((f) => f.endsWith(ending)) : [];

  test('has cases', () => {
    expect(cases.length).toBeGreaterThan(0);
  });

  test.each(cases)('%s', (name) => {
    const expected = readFileSync(
      join(folder, name.slice(0, -ending.length) + '.expected.jsonl'),
      'utf8',
    );
    const lines = expected.split('\n').filter((line) => line.trim() !== '');
    const actual = observe(join(folder, name), version);
    expect(actual).toEqual(lines.map((line) => JSON.parse(line) as object));
  });
});
