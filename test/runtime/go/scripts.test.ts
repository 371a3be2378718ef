// Heap scripts against what real Go runtimes printed for them. With PAGEWALK_CONFORMANCE naming a
// folder that holds scripts/ and go1.19/, go1.26/ the whole suite there is run as well.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../../kernel/errors.ts';
import { findGoProfile } from '../../../runtime/go/profile.ts';
import { GoRuntime } from '../../../runtime/go/runtime.ts';
import { newProcess, ProcessMemory } from '../../../runtime/process-memory.ts';
import { type BaseMode, defaultBase } from '../../../tools/heap-base-figures.ts';
import { prepareHeap } from '../../../tools/heap-base.ts';
import { HeapScriptRunner, type Observation } from '../../../tools/heap-script-run.ts';
import { parseHeapScript } from '../../../tools/heap-script.ts';
import { System } from '../../../userspace/system.ts';

const shared = fileURLToPath(new URL('../../conformance/go/', import.meta.url));

/** Near figures agree within 1 % or 64 KiB; everything else exactly; abs is not compared. */
function expectSame(expected: Observation[], actual: Observation[]): void {
  const core = (o: Observation): Observation =>
    Object.fromEntries(Object.entries(o).filter(([key]) => key !== 'abs' && key !== 'near'));
  expect(actual.map(core)).toEqual(expected.map(core));
  expected.forEach((e, i) => {
    const want = (e['near'] ?? {}) as Record<string, number>;
    const got = (actual[i]?.['near'] ?? {}) as Record<string, number>;
    for (const [key, value] of Object.entries(want)) {
      const tolerance = Math.max(65536, 0.01 * Math.abs(value));
      const where = `line ${String(e['line'])} ${key}`;
      expect(Math.abs((got[key] ?? NaN) - value), where).toBeLessThanOrEqual(tolerance);
    }
  });
}

function runScript(go: string, file: string): Observation[] {
  const profile = findGoProfile(go);
  if (profile === undefined) throw new Error(go);
  const script = parseHeapScript(readFileSync(file, 'utf8'), file);
  const { bare, stw } = script.modes;
  const mode: BaseMode = bare ? 'bare' : stw ? 'stw' : 'full';
  const base = defaultBase(go, mode);
  const system = new System({ ram: 2 ** 33 });
  const runtime = new GoRuntime(new ProcessMemory(system, newProcess(system, 'go')), { profile });
  prepareHeap(runtime, base);
  const seen: Observation[] = [];
  new HeapScriptRunner(runtime, base, script, file, (o) => {
    // As printed and read again: the largest limit is rounded by both sides.
    seen.push(JSON.parse(JSON.stringify(o)) as Observation);
  }).run();
  for (let s = 1; s < runtime.heap.spans.count; s++)
    if (runtime.heap.spans.state[s] !== 0 && !runtime.procs[0].alloc.includes(s))
      runtime.heap.spans.check(s);
  runtime.heap.check(runtime.procs);
  return seen;
}

function cases(root: string): [string, string, string, string][] {
  const found: [string, string, string, string][] = [];
  for (const go of ['go1.19', 'go1.26']) {
    if (!existsSync(join(root, go))) continue;
    for (const topic of readdirSync(join(root, go), { withFileTypes: true })) {
      if (!topic.isDirectory()) continue;
      for (const name of readdirSync(join(root, go, topic.name))) {
        const script = join(root, 'scripts', topic.name, name.replace(/jsonl$/, 'heap'));
        if (!existsSync(script)) continue;
        const title = `${topic.name}/${name.replace('.jsonl', '')}`;
        found.push([go, title, script, join(root, go, topic.name, name)]);
      }
    }
  }
  return found;
}

function readLines(file: string): Observation[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((l) => l !== '').map((l) => JSON.parse(l) as Observation);
}

describe('what real runtimes did', () => {
  test.each(cases(shared))('%s %s', (go, _title, script, expected) => {
    expectSame(readLines(expected), runScript(go, script));
  });
});

const whole = process.env['PAGEWALK_CONFORMANCE'] ?? '';
describe.runIf(whole !== '' && existsSync(join(whole, 'scripts')))('the whole suite', () => {
  test.each(whole === '' ? [] : cases(whole))('%s %s', (go, _title, script, expected) => {
    expectSame(readLines(expected), runScript(go, script));
  });
});

describe('refused before anything runs, with line and expectation', () => {
  test.each([
    ['a = new(-1)', '1:9', 'a size'],
    ['a = new(12, pointers)', '1:21', 'multiple of 8'],
    ['a = new(24, pointers=4)', '1:22', 'from 0 to 3'],
    ['gc()\nmode(stw=1)', '2:6', 'first statement'],
    ['mode(fast=1)', '1:', 'stw, bare or lazy'],
    ['a.5..2 = new(8)', '1:6', 'at least 5'],
    ['a.0..3 = b.0..1', '1:', 'a range of 4'],
    ['a = new(8)\na.1 = new(8)', '2:', 'plain, as before'],
    ['a[0] = ', '1', 'a name or nil'],
    ['drop()', '1:6', 'a name'],
    ['collect()', '1:', 'gc'],
    ['a = new(8) b', '1:12', 'end of the line'],
    ['gc(1)', '1:4', "')'"],
  ])('%s', (text, where, expected) => {
    const parse = (): unknown => parseHeapScript(text, 'x.heap');
    expect(parse).toThrow(InputError);
    expect(parse).toThrow(`x.heap:${where}`);
    expect(parse).toThrow(expected);
  });

  test('numbers take K, M and G, hexadecimal digits, a sign and a comment behind', () => {
    const { statements } = parseHeapScript('a = new(0x10K) # big\nsetgcpercent(-1)\n', 'x.heap');
    expect(statements[0]).toMatchObject({ op: 'new', bytes: 16384 });
    expect(statements[1]).toMatchObject({ op: 'setgcpercent', argument: -1 });
  });
});
