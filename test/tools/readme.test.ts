// The README holds true: its program runs and prints what it says, its commands work.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { spawnSync } from 'node:child_process';
import { pagewalk, scratch, writeText } from '../support/cli.ts';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const dist = new URL('../../dist/', import.meta.url);
const [folder, remove] = scratch();
afterAll(remove);

describe('README', () => {
  test('the program prints what its last comment says', () => {
    const code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    const said = /\/\/ (0x.*)\n$/.exec(code)?.[1];
    const file = join(folder, 'program.ts');
    writeFileSync(file, code);
    const hooks = new URL('tools/typescript/hooks.js', dist).href;
    const runner =
      `const { importUserFile } = await import('${hooks}');` + `await importUserFile('${file}');`;
    const main = writeText(folder, 'main.mjs', runner);
    const run = spawnSync(process.execPath, [main], { encoding: 'utf8' });
    expect(run.stderr).toBe('');
    expect(run.stdout.trim()).toBe(said);
  });

  test('the program of the user’s own runs, the same for the same seed', () => {
    const code = /```ts program\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    const file = writeText(folder, 'my-program.ts', code);
    const { code: exit, out, err } = pagewalk('run', file);
    expect(err).toBe('');
    expect(exit).toBe(0);
    expect(out).toMatch(/page faults +64 minor, 0 major/);
    expect(out).toMatch(/system calls +mmap 1$/m);
    const json = (seed: string): string => pagewalk('run', '--json', '--seed', seed, file).out;
    expect(json('a')).toBe(json('a'));
    const bad = writeText(folder, 'bad.ts', 'export default 1 as string;\n');
    expect(pagewalk('run', bad)).toMatchObject({ code: 2 });
    const none = writeText(folder, 'none.ts', 'export const x = 1;\n');
    expect(pagewalk('run', none).err).toMatch(/expected `export default function/);
  });

  test('every command of the program stands in the table, and the other way round', () => {
    const table = [...readme.matchAll(/^\| `(\w+)[ `]/gm)].map((m) => m[1]);
    const help = [...pagewalk('--help').out.matchAll(/^ {2}(\w+) /gm)].map((m) => m[1]);
    expect([...new Set(table)].sort()).toEqual(help.filter((c) => c !== 'help').sort());
  });

  test('the commands of the first minute work', () => {
    const minute = /## The first minute([\s\S]*?)## /.exec(readme)?.[1] ?? '';
    const commands = [...minute.matchAll(/^ {4}npx pagewalk (.*)$/gm)].map((m) => m[1].split(' '));
    expect(commands.length).toBeGreaterThanOrEqual(3);
    for (const args of commands) {
      const { code, err } = pagewalk(...args);
      expect(err).toBe('');
      expect(code).toBe(0);
    }
  });
});
