// What `pagewalk alloc --runtime python` shows besides observations: steps of collections, lines of
// gc.set_debug(), top lists, debug hooks; and the same steps from within a session.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { formatSize } from '../../../tools/python/allocation-top.ts';
import { pythonScriptSource } from '../../../tools/session/script-source.ts';
import { Session } from '../../../tools/session/session.ts';

const cli = fileURLToPath(new URL('../../../dist/tools/cli.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pagewalk-watched-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const CYCLE = `x = list()
y = list(x)
x.append(y)
s = str(1000)
grow(x, s, 40)
z = list()
del x
del y
collect()
`;

function alloc(name: string, text: string, ...options: string[]): Record<string, unknown>[] {
  const file = join(folder, name);
  writeFileSync(file, text);
  const out = execFileSync('node', [
    cli,
    'alloc',
    '--runtime',
    'python',
    '--json',
    ...options,
    file,
  ]);
  return out
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
function failure(name: string, text: string, ...options: string[]): [number, string] {
  const file = join(folder, name);
  writeFileSync(file, text);
  try {
    execFileSync('node', [cli, 'alloc', '--runtime', 'python', ...options, file], {
      stdio: 'pipe',
    });
  } catch (e) {
    const { status, stderr } = e as { status: number; stderr: Buffer };
    return [status, stderr.toString()];
  }
  return [0, ''];
}

interface Step {
  readonly step: string;
  readonly objects: readonly { readonly refcount: number; readonly gc_refs: number }[];
}

describe('collections', () => {
  test('--steps tells gc_refs before and after the references within are subtracted', () => {
    const seen = alloc('steps.pyobj', CYCLE, '--steps');
    const steps = seen.at(-1)?.['steps'] as Step[];
    const refs = (name: string): number[] | undefined =>
      steps.find((s) => s.step === name)?.objects.map((o) => o.gc_refs);
    expect(refs('copy')).toEqual([1, 1, 1]);
    expect(refs('subtract')).toEqual([0, 0, 1]);
    expect(steps.find((s) => s.step === 'sort')?.objects.length).toBe(2);
    expect(steps.map((s) => s.step).filter((s) => s === 'clear').length).toBeGreaterThan(0);
    // Looking changes nothing.
    const plain = alloc('steps.pyobj', CYCLE);
    expect(seen.map((o) => ({ ...o, steps: undefined }))).toEqual(
      plain.map((o) => ({ ...o, steps: undefined })),
    );
  });

  test('--gc-debug has the lines of gc.set_debug()', () => {
    const seen = alloc('debug.pyobj', CYCLE, '--gc-debug', 'stats,collectable');
    const lines = seen.at(-1)?.['debug'] as string[];
    expect(lines[0]).toBe('gc: collecting generation 2...');
    expect(lines[1]).toBe('gc: objects in each generation: 3 0 0');
    expect(lines.filter((l) => /^gc: collectable <list 0x[0-9a-f]+>$/.test(l)).length).toBe(2);
    expect(lines.at(-1)).toBe('gc: done, 2 unreachable, 0 uncollectable, 0.0000s elapsed');
  });

  test('a session goes into a collection, from step to step', () => {
    const session = new Session(pythonScriptSource('steps.pyobj', CYCLE));
    session.seek(session.length - 1);
    const found = session.details(session.position).map((d) => d.name);
    const subtract = found.indexOf('gc_subtract');
    expect(subtract).toBeGreaterThan(0);
    session.enter(subtract + 1);
    expect(session.inside).toBe(subtract + 1);
    const heap = session.processes[0]?.heap;
    if (heap?.runtime !== 'python') throw new Error('no heap');
    const { gc } = heap.py;
    const list = gc.head(2);
    const refs: number[] = [];
    for (let at = gc.lists.next(list); at !== list; at = gc.lists.next(at))
      refs.push(gc.gcRefs(at + 16));
    expect(refs).toEqual([0, 0, 1]);
    session.seek(session.length);
    expect(session.inside).toBe(0);
  });
});

describe('top lists', () => {
  test('add up to what is traced, by line and by type', () => {
    const { top } = alloc('top.pyobj', CYCLE.replace(/del[^]*$/, ''), '--top', '20').at(-1) as {
      top: Record<'lines' | 'types', { name: string; size: number; count: number }[]> & {
        current: number;
        peak: number;
      };
    };
    const sum = (rows: readonly { size: number }[]): number =>
      rows.reduce((all, { size }) => all + size, 0);
    expect(sum(top.lines)).toBe(top.current);
    expect(sum(top.types)).toBe(top.current);
    expect(top.peak).toBeGreaterThanOrEqual(top.current);
    expect(top.lines[0]).toEqual({ name: 'top.pyobj:4', size: 1049, count: 1 });
    expect(top.types.find((t) => t.name === 'list')).toEqual({ name: 'list', size: 168, count: 3 });
  });

  test.each([
    [0, '0 B'],
    [99, '99 B'],
    [10239, '10239 B'],
    [10240, '10.0 KiB'],
    [102400, '100 KiB'],
    [10485760, '10.0 MiB'],
  ])('write %d bytes as tracemalloc does', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });
});

describe('debug hooks', () => {
  test('a byte behind a block ends the program when it is freed, with the report', () => {
    const script = 'a = malloc(20)\nwrite(a, 20, 0x41)\nfree(a)\n';
    const [status, said] = failure('over.pyraw', script, '--debug');
    expect(status).toBe(1);
    expect(said).toContain('        at tail+0: 0x41 *** OUCH\n');
    expect(said).toContain('Fatal Python error: _PyMem_DebugRawFree: bad trailing pad byte');
  });

  test('dump() shows new bytes and marks', () => {
    const [, dump] = alloc('dump.pyraw', 'a = malloc(8)\ndump(a)\n', '--debug');
    expect((dump['debug'] as string[]).slice(1, 5)).toEqual([
      '    8 bytes originally requested',
      '    The 7 pad bytes at p-7 are FORBIDDENBYTE, as expected.',
      expect.stringMatching(/^ {4}The 8 pad bytes at tail=0x[0-9a-f]+ are FORBIDDENBYTE, as/),
      '    Data at p: cd cd cd cd cd cd cd cd',
    ]);
  });

  test.each([
    ['write() without --debug', 'x.pyraw', 'a = malloc(8)\nwrite(a, 0, 1)\n', [], /x\.pyraw:2/],
    [
      'a byte that is none',
      'y.pyraw',
      'a = malloc(8)\nwrite(a, 0, 256)\n',
      ['--debug'],
      /0 to 255/,
    ],
    ['a flag that is none', 'z.pyobj', 'x = list()\n', ['--gc-debug', 'all'], /found 'all'/],
    ['--top of raw scripts', 'r.pyraw', 'a = malloc(8)\n', ['--top', '3'], /\*\.pyobj/],
  ])('%s is refused', (_, name, text, options, message) => {
    const [status, said] = failure(name, text, ...options);
    expect(status).toBe(2);
    expect(said).toMatch(message);
  });
});
