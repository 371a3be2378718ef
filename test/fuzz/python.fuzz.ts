// Random object scripts on the real CPython and here: every observation must be the same.
//
//     PAGEWALK_PYTHONS=/usr/bin/python3.11,/opt/3.13/bin/python npm test -- fuzz/python
//
// The variable names interpreters (3.11 to 3.13, with their headers; gcc builds the recorder for
// each); without it nothing is compared, and the test says so. PAGEWALK_FUZZ is the number of
// scripts, PAGEWALK_SEED the first one's number. Left out: sets whose keys hash by address.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { type ProfileName, PythonRuntime } from '../../runtime/index.ts';
import { ObjectScript } from '../../tools/python/object-run.ts';
import { parseObjects } from '../../tools/python/object-script.ts';
import { FlatMemory } from '../support/flat-memory.ts';
import { bound, Programs } from './python-programs.ts';

type Observation = Record<string, unknown>;

const interpreters = (process.env['PAGEWALK_PYTHONS'] ?? '').split(',').filter(Boolean);
const times = Number(process.env['PAGEWALK_FUZZ'] ?? 20);
const first = Number(process.env['PAGEWALK_SEED'] ?? 1);
const recorder = fileURLToPath(new URL('./python-recorder/', import.meta.url));
const built = mkdtempSync(join(tmpdir(), 'pagewalk-fuzz-'));

function ask(python: string, code: string): string {
  return execFileSync(python, ['-c', code], { encoding: 'utf8' }).trim();
}

/** Builds the recorder for an interpreter. @returns its folder. */
function build(python: string): string {
  const include = ask(python, 'import sysconfig; print(sysconfig.get_paths()["include"])');
  const folder = mkdtempSync(join(built, 'recorder-'));
  const paths = [`-I${include}`, `-I${include}/internal`];
  const output = ['-o', join(folder, 'recorder.so'), join(recorder, 'recorder.c')];
  execFileSync('gcc', ['-O1', '-shared', '-fPIC', '-w', ...paths, ...output]);
  return folder;
}

/** What our heap does, and the script without the statements that raise. */
function ours(lines: string[], version: ProfileName): [string[], Observation[]] {
  for (;;) {
    const seen: Observation[] = [];
    const py = new PythonRuntime(new FlatMemory({ capacityBytes: 1 << 26 }), version);
    const script = new ObjectScript('script', py);
    try {
      const statements = parseObjects('script', lines.join('\n'));
      script.run(statements, (o) => seen.push({ ...o }));
    } catch (e) {
      const at = /script:(\d+):/.exec(String(e)); // a name that a raising statement did not bind
      if (at === null) throw e;
      lines = lines.filter((_, i) => i !== Number(at[1]) - 1);
      continue;
    }
    const raised = seen.findIndex((o) => o['error'] !== undefined);
    if (raised < 0) {
      script.check();
      return [lines, seen];
    }
    lines = bound(lines.filter((_, i) => i !== raised));
  }
}

/** The same on the real interpreter. */
function real(python: string, folder: string, lines: readonly string[]): Observation[] {
  const plain = (_: string, value: unknown): unknown =>
    ArrayBuffer.isView(value) ? Array.from(value as Int32Array) : value;
  const input = `${JSON.stringify(parseObjects('script', lines.join('\n')), plain)}\n`;
  const env = { ...process.env, PYTHONHASHSEED: '0' };
  const said = execFileSync(python, ['-S', join(recorder, 'record.py'), folder], { input, env });
  return JSON.parse(said.toString()) as Observation[];
}

/** What is compared: not the free lists, and not the counts of objects that both share. */
function comparable(o: Observation, mine: Observation): Observation {
  const out = { ...o };
  if (out['stats'] !== undefined) {
    const stats = { ...(out['stats'] as Observation) };
    delete stats['free_lists'];
    out['stats'] = stats;
  }
  if (o['call'] === 'refcount' && JSON.stringify(mine['ret']).includes('shared')) delete out['ret'];
  return out;
}

afterAll(() => {
  rmSync(built, { recursive: true, force: true });
});

if (interpreters.length === 0) console.warn('no fuzzing: PAGEWALK_PYTHONS names no interpreter');

describe('random programs', () => {
  test('use bound names only, and our heap is sound after each', () => {
    const [lines, seen] = ours(new Programs('small').lines(60), '3.11');
    expect(seen.length).toBe(lines.length);
  });

  test.each(interpreters)('on %s', { timeout: 3_600_000 }, (python) => {
    const version = ask(python, 'import sys; print("%d.%d" % sys.version_info[:2])') as ProfileName;
    const folder = build(python);
    for (let seed = first; seed < first + times; seed++) {
      const [lines, mine] = ours(new Programs(`${version}/${seed}`).lines(120), version);
      real(python, folder, lines).forEach((theirs, i) => {
        const [a, b] = [comparable(mine[i], mine[i]), comparable(theirs, mine[i])];
        if (isDeepStrictEqual(a, b)) return;
        expect(a, `PAGEWALK_SEED=${seed}, line ${i + 1}: ${lines[i]}\n${lines.join('\n')}`).toEqual(
          b,
        );
      });
    }
    expect(version).toMatch(/^3\.1[123]$/);
  });
});
