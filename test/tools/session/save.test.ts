import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import seedrandom from 'seedrandom';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { InputError } from '../../../kernel/errors.ts';
import { openSession, openWorkload } from '../../../tools/session/open.ts';
import { saveMachine } from '../../../tools/session/save.ts';
import { pagewalk, scratch } from '../../support/cli.ts';

let saved: Uint8Array;
let hash = '';
const [folder, remove] = scratch();

beforeAll(async () => {
  const session = openWorkload('graphs', { scale: 0.01, case: 'python:3.12', ram: 2 ** 28 });
  session.seek(20);
  hash = session.hash();
  saved = await saveMachine(session, 'graphs after 20 steps');
});
afterAll(remove);

const open = (bytes: Uint8Array): Promise<unknown> => openSession('x.machine', bytes);

describe('a saved machine', () => {
  test('saved again is the same file', async () => {
    const session = await openSession('x.machine', saved);
    expect(session.hash()).toBe(hash);
    const again = await saveMachine(session, 'graphs after 20 steps');
    const back = await openSession('y.machine', again);
    expect(back.hash()).toBe(hash);
    expect(session.step()).toBe(false);
  });

  test('is small: most of its RAM was never written to', () => {
    expect(saved.length).toBeLessThan(2 ** 21);
  });

  test('with any bit flipped is refused', async () => {
    const random = seedrandom.alea('flips');
    for (let i = 0; i < 300; i++) {
      const bytes = saved.slice();
      const near = i % 3 === 0 ? 2000 : bytes.length;
      const at = Math.floor(random() * near);
      bytes[at] ^= 1 << Math.floor(random() * 8);
      await expect(open(bytes), `bit at byte ${at}`).rejects.toThrow(InputError);
    }
  });

  test('cut anywhere is refused', async () => {
    const random = seedrandom.alea('cuts');
    for (let i = 0; i < 100; i++) {
      const length = Math.floor(random() ** 3 * saved.length);
      await expect(open(saved.subarray(0, length))).rejects.toThrow(InputError);
    }
  });

  test('of another version is refused by its number', async () => {
    const bytes = saved.slice();
    bytes[17] = '2'.charCodeAt(0);
    await expect(open(bytes)).rejects.toThrow(/format 2: format 1 is known/);
  });
});

describe('the commands', () => {
  const file = join(folder, 'saved.machine');

  test('explain, owner and fsck take it where they take a recording', () => {
    writeFileSync(file, saved);
    const fsck = pagewalk('fsck', file);
    expect(fsck.out).toContain('sound');
    const told = pagewalk('explain', '--json', file, '[heap]');
    expect((JSON.parse(told.out) as { cr3: string }).cr3).toMatch(/^0x[0-9a-f]+000$/);
    expect(pagewalk('owner', file, '0x1000000').out).toContain('as saved in');
  });

  test('a damaged one ends with 2 and one line that says what is wrong', () => {
    const bytes = saved.slice();
    bytes[bytes.length - 20] ^= 1;
    const damaged = join(folder, 'damaged.machine');
    writeFileSync(damaged, bytes);
    const { code, err, out } = pagewalk('fsck', damaged);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toMatch(/^pagewalk: .*damaged\.machine:2: the saved machine is damaged.*\n$/);
  });
});
