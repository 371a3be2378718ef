// The command `replace`: what it reads, what it refuses, what it prints.

import { afterAll, describe, expect, test } from 'vitest';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readReferences } from '../../tools/replace/read.ts';
import { anomalies, parseFrames, parsePolicies, runAll } from '../../tools/replace/results.ts';
import { csvText, jsonText, tableText } from '../../tools/replace/print.ts';
import { scratch, writeText } from '../support/cli.ts';
import { svgText } from '../../tools/replace/svg.ts';

const [folder, remove] = scratch();
afterAll(remove);

function file(name: string, text: string): string {
  return writeText(folder, name, text);
}

describe('reference strings', () => {
  test('a string on the command line', async () => {
    const refs = await readReferences('7 0 1, 2 0 3w');
    expect([...refs.pages]).toEqual([0, 1, 2, 3, 1, 4]);
    expect([...refs.kinds]).toEqual([1, 1, 1, 1, 1, 3]);
    expect(refs.nrPages).toBe(5);
  });

  test('a file of numbers, with comments, decimal and hexadecimal', async () => {
    const refs = await readReferences(file('plain.txt', '# a string\n1 2 0x10\n\n2, 1w\n'));
    expect([...refs.pages]).toEqual([0, 1, 2, 1, 0]);
  });

  test('lackey text, gzip: bytes in two pages are two references', async () => {
    const text = 'I  04001ffe,4\n L 1fff000ff8,8\n S 1fff000fff,2\n M 04001000,1\n';
    const refs = await readReferences(file('t.lackey.gz', text));
    expect([...refs.pages]).toEqual([0, 1, 2, 2, 3, 0]);
    expect([...refs.kinds]).toEqual([1, 1, 1, 3, 3, 3]);
  });

  test('a kernel recording: its faults, by address space', async () => {
    const text = [
      '# memtrace 1',
      '1 fault 0x1000 r user minor',
      '1 clone(child_stack=NULL, flags=SIGCHLD) = 2',
      '1 clone3({flags=CLONE_VM|CLONE_THREAD}, 88) = 3',
      '2 fault 0x1008 w user minor',
      '3 fault 0x1010 r user minor',
      '',
    ].join('\n');
    const refs = await readReferences(file('r.trace', text));
    expect([...refs.pages]).toEqual([0, 1, 0]);
  });

  test.each([
    ['bad.txt', '1 2 3\n4 x5 6\n', /bad\.txt:2:3: expected a page number, found "x5"/],
    ['none.trace', '# memtrace 1\n1 brk(NULL) = 0x1000\n', /no page faults/],
    ['s.strace', '12 brk(NULL) = 0x1000\n', /neither accesses nor page faults/],
    ['empty.txt', '', /empty/],
  ])('%s is refused', async (name, text, message) => {
    await expect(readReferences(file(name, text))).rejects.toThrow(message);
  });
});

test.each([
  ['16,64,256', [16, 64, 256]],
  ['1-4', [1, 2, 3, 4]],
  ['8,4-12:4', [4, 8, 12]],
])('--frames %s', (text, expected) => {
  expect(parseFrames(text)).toEqual(expected);
});

test.each(['', '0', '3-1', 'x', '1-4:0', '-5'])('--frames "%s" is refused', (text) => {
  expect(() => parseFrames(text)).toThrow(/expected counts/);
});

test('--policy names are known or refused with the list', () => {
  expect(parsePolicies('ARC,fifo,arc').map((row) => row.name)).toEqual(['arc', 'fifo']);
  expect(() => parsePolicies('lru,best')).toThrow(/best: expected one of fifo, lru/);
});

test("Belady's anomaly is found, and shown in the table, the JSON and the plot", async () => {
  const refs = await readReferences('1 2 3 4 1 2 5 1 2 3 4 5');
  const results = runAll(refs, [3, 4], parsePolicies('fifo,lru,opt'), 1);
  expect(anomalies(results)).toEqual([
    { policy: 'fifo', frames: 3, faults: 9, moreFrames: 4, moreFaults: 10 },
  ]);
  expect(tableText('t', results)).toMatch(/anomaly[^]*fifo: 9 faults with 3 frames, 10 with 4/);
  const json = JSON.parse(jsonText(results)) as Record<string, unknown>;
  expect(json['references']).toBe(12);
  expect(json['faults']).toEqual({
    fifo: { 3: 9, 4: 10 },
    lru: { 3: 10, 4: 8 },
    opt: { 3: 7, 4: 6 },
  });
  expect(csvText(results).split('\n')[1]).toBe('fifo,3,12,9,0.75000000');
  const svg = svgText('a <b>', results);
  expect(svg.match(/<polyline/g)).toHaveLength(3);
  expect(svg).toContain('a &lt;b&gt;');
  expect(svg).toContain('anomaly: fifo');
});

const suite = process.env['PAGEWALK_LACKEY'];
test.runIf(suite !== undefined)('reference counts of lackey traces', async () => {
  for (const name of ['true', 'quicksort', 'matmul-naive']) {
    const counts = JSON.parse(readFileSync(join(suite ?? '', `${name}.counts.json`), 'utf8')) as {
      faults: Record<string, Record<string, number>>;
    };
    const refs = await readReferences(join(suite ?? '', `${name}.lackey.gz`));
    const results = runAll(refs, [16, 64, 256], parsePolicies('fifo,lru,opt,clock'), 1);
    expect((JSON.parse(jsonText(results)) as typeof counts).faults).toEqual(counts.faults);
  }
});
