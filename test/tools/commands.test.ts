// The commands as a user runs them: what they print, how wide, and their exit codes.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { pagewalk, scratch } from '../support/cli.ts';

const manifest = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string };

/** Every line of a page for people fits a terminal. */
function expectNarrow(text: string): void {
  for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
}

describe('pagewalk', () => {
  test('--version, --help', () => {
    expect(pagewalk('--version').out.trim()).toBe(manifest.version);
    const { code, out } = pagewalk('--help');
    expect(code).toBe(0);
    for (const command of ['compare', 'explain', 'export', 'fsck', 'owner', 'replay']) {
      expect(out).toMatch(new RegExp(`^  ${command} `, 'm'));
      expect(pagewalk(command, '--help').code).toBe(0);
    }
  });

  test('compare needs no arguments and names three commands that work', () => {
    const { code, out, err } = pagewalk('compare');
    expect(err).toBe('');
    expect(code).toBe(0);
    expectNarrow(out);
    expect(out).toMatch(/^ +Go +Python$/m);
    expect(out).toMatch(/^Page faults +3,075 +21,475/m);
    expect(out).toMatch(/When both had ended, all came back\./);
    expect(out.match(/PTE\[\d+\] +0x[0-9a-f]{16} {2}P RW US A D NX/g)).toHaveLength(2);
    const next = [...out.matchAll(/^ {2}npx pagewalk (.*)$/gm)].map((m) => m[1].split(' '));
    expect(next).toHaveLength(3);
    for (const args of next) {
      const run = pagewalk(...args);
      expect(run.code, run.err).toBe(0);
      expectNarrow(run.out);
    }
  });

  test('compare takes two recordings; --json holds the numbers', () => {
    const { code, out } = pagewalk('compare', 'forkserver', 'vmcalls', '--json');
    expect(code).toBe(0);
    const c = JSON.parse(out) as Record<string, Record<string, unknown>>;
    expect(c['left']).toMatchObject({ processes: 10, faults: { major: 0 } });
    expect(c['right']).toMatchObject({ processes: 1, faults: { major: 1 } });
    expect(c['lost']).toBe(0);
  });

  test('compare refuses a pair that is not there', () => {
    const { code, err } = pagewalk('compare', 'nosuch');
    expect(code).toBe(2);
    expect(err).toMatch(/no pair "nosuch"; there are: binary_trees, hello/);
  });

  test('explain and owner meet', () => {
    const down = pagewalk('explain', 'vmcalls', '--json');
    expect(down.code).toBe(0);
    const e = JSON.parse(down.out) as { va: number; walk: { pfn: number }; cr3: string };
    const up = pagewalk('owner', 'vmcalls', `0x${(e.walk.pfn * 4096).toString(16)}`, '--json');
    const o = JSON.parse(up.out) as { use: string; mappings: { va: number }[] };
    expect(o.use).toBe('anonymous');
    expect(o.mappings.map((m) => m.va)).toEqual([e.va]);
    expect(pagewalk('owner', 'vmcalls', e.cr3).out).toMatch(/the top one, which CR3 names/);
    expect(pagewalk('owner', 'vmcalls', '0x1000000').out).toMatch(/taken at boot: kernel/);
    expect(pagewalk('owner', 'vmcalls', '0xfffffff0000').out).toMatch(/no RAM there/);
  });

  test('explain at a line: before a page is touched, and after', () => {
    const at = (line: string): string =>
      pagewalk('explain', 'vmcalls', '0x7ffff7d8e000', '--at', line).out;
    expect(at('95')).toMatch(/frame +none yet/);
    expect(at('96')).toMatch(/struct page .*anon/);
    expectNarrow(at('96'));
    expect(pagewalk('explain', 'vmcalls', '0x10').out).toMatch(/SEGV_MAPERR/);
  });

  test('export --image writes RAM in which each process can be walked from its CR3', () => {
    const [folder, remove] = scratch();
    const path = join(folder, 'ram.bin');
    const { code, out } = pagewalk('export', '--image', path, '--ram', '128M', '--json', 'vmcalls');
    expect(code).toBe(0);
    const { processes } = JSON.parse(out) as {
      processes: { id: number; cr3: string; present: [string, string, number][] }[];
    };
    const ram = readFileSync(path);
    expect(ram.length).toBe(2 ** 27);
    const [{ id, cr3, present }] = processes;
    expect(id).toBe(1);
    let large = 0;
    for (const [va, pa, size] of present) {
      let table = BigInt(cr3);
      let shift = 48n;
      let entry = table;
      do {
        shift -= 9n;
        table = entry & 0xffffffffff000n;
        const index = (BigInt(va) >> shift) & 511n;
        entry = ram.readBigUInt64LE(Number(table + 8n * index));
        expect(entry & 1n).toBe(1n);
      } while (shift > 12n && (entry & 0x80n) === 0n);
      if (size > 4096) large++;
      expect(1n << shift).toBe(BigInt(size));
      expect(entry & 0xffffffffff000n & -BigInt(size)).toBe(BigInt(pa));
    }
    expect(present.length).toBeGreaterThan(700);
    expect(large).toBeGreaterThan(10); // the kernel half: direct map and image
    expect(pagewalk('export', '--image', '/nosuch/x', 'vmcalls').code).toBe(2);
    expect(pagewalk('export', 'vmcalls').err).toMatch(/say what to write: --proc, --image/);
    remove();
  });

  test('fsck proves machines sound', () => {
    const { code, out } = pagewalk('fsck', 'forkserver', 'pair-hello-go', '--ram', '512M');
    expect(code).toBe(0);
    expect(out.match(/: sound$/gm)).toHaveLength(2);
  });

  test('record makes a recording that replays, or says what it needs', () => {
    const [folder, remove] = scratch();
    const path = join(folder, 'r.gz');
    const { code, err } = pagewalk('record', '-o', path, '--', process.execPath, '--version');
    if (code === 0) {
      const replayed = pagewalk('replay', path);
      expect(replayed.code, replayed.err).toBe(0);
      expect(replayed.out).toMatch(/1 processes|[2-9]\d* processes/);
    } else {
      expect(code).toBe(2);
      expect(err).toMatch(/record needs|recorded nothing/);
    }
    remove();
  });

  test('replay --json prints JSON lines and nothing else', () => {
    const { code, out } = pagewalk('replay', '--json', 'pair-hello-go');
    expect(code).toBe(0);
    const lines = out
      .trimEnd()
      .split('\n')
      .map((l) => JSON.parse(l) as Record<string, unknown>);
    expect(lines.filter((l) => 'end' in l)).toHaveLength(1);
    expect(lines.filter((l) => l['fault'] === 'minor').length).toBeGreaterThan(100);
  });

  test('replay --explain-difference: exit 0 where there is none', () => {
    const { code, out } = pagewalk('replay', '--explain-difference', 'vmcalls');
    expect(out).toMatch(/no line differs/);
    expect(code).toBe(0);
  });

  test.each([
    [['explain', 'vmcalls', 'zzz'], /address zzz/],
    [['explain', 'vmcalls', '--at', '0'], /--at 0/],
    [['explain', 'vmcalls', '--at', '99999'], /vmcalls\.trace\.gz:672: --at 99999/],
    [['explain', 'vmcalls', '--process', '9'], /no process 9; these live here: 1/],
    [['owner', 'vmcalls', '-1'], /./],
    [['fsck', 'vmcalls', '--ram', '12X'], /size 12X/],
    [['fsck', 'vmcalls', '--ram', '16M'], /RAM/],
    [['compare', 'a', 'b', 'c'], /one pair or two recordings/],
  ])('refused with exit code 2: %j', (args, message) => {
    const { code, err } = pagewalk(...args);
    expect(err).toMatch(message);
    expect(code).toBe(2);
  });
});
