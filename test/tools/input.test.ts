// What the command line says about files that are no recordings, or damaged ones.

import { gzipSync } from 'node:zlib';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { InputError } from '../../kernel/index.ts';
import { openInput } from '../../tools/input.ts';
import { replayLackey } from '../../tools/lackey-replay.ts';
import { detect } from '../../tools/trace/detect.ts';
import { readRecording } from '../../tools/trace/read.ts';
import { pagewalk, scratch, writeText } from '../support/cli.ts';

const [folder, remove] = scratch();
afterAll(remove);

const LACKEY = '==1== Lackey\nI  0401ab70,3\n S 1fff000d18,8\n';
const MEMTRACE = '# memtrace 1\n1 execve("/bin/x", ["x"], 0x1) = 0\n';

/** A gzip file whose data is cut off in its middle. */
function cutGzip(name: string): string {
  const lines = Array.from({ length: 20_000 }, (_, i) => `I  ${(i * 7919).toString(16)},3\n`);
  const path = join(folder, name);
  const whole = gzipSync(lines.join(''));
  writeFileSync(path, whole.subarray(0, whole.length / 2));
  return path;
}

/** What reading the file is refused with; empty where it is not. */
async function refusal(path: string): Promise<string> {
  const input = openInput(path);
  try {
    if ((await detect(input)) === 'lackey') await replayLackey(input, []);
    else await readRecording(path);
    return '';
  } catch (e) {
    if (e instanceof InputError) return e.message;
    throw e;
  } finally {
    await input.close();
  }
}

describe('reading', () => {
  test('lines() gives every line with its number, the last one without a newline too', async () => {
    for (const name of ['three.txt', 'three.txt.gz']) {
      const input = openInput(writeText(folder, name, 'a\n\nlast'));
      const seen: [string, number][] = [];
      await input.lines((text, line) => seen.push([text, line]) > 0);
      expect(seen).toEqual([
        ['a', 1],
        ['', 2],
        ['last', 3],
      ]);
    }
  });

  test('head() uses nothing up', async () => {
    const input = openInput(writeText(folder, 'head.txt', 'abc\ndef\n'));
    expect(await input.head(2)).toBe('ab');
    let text = '';
    for await (const chunk of input.chunks()) text += Buffer.from(chunk).toString();
    expect(text).toBe('abc\ndef\n');
  });

  test('lines longer than a chunk, and chunks that end in a line, lose nothing', async () => {
    const long = `${'x'.repeat(3_000_000)}\ny\n`;
    const input = openInput(writeText(folder, 'long.txt.gz', long));
    const lengths: number[] = [];
    await input.lines((text) => lengths.push(text.length) > 0);
    expect(lengths).toEqual([3_000_000, 1]);
  });
});

describe('refused files are named, with the line', () => {
  const cases: [what: string, path: () => string, message: RegExp][] = [
    ['missing', () => join(folder, 'nosuch'), /nosuch: no such file$/],
    ['a folder', () => folder, /is a folder, not a recording$/],
    ['empty', () => writeText(folder, 'empty', ''), /empty:1: the file is empty$/],
    ['empty gzip', () => writeText(folder, 'empty.gz', ''), /empty\.gz:1: the file is empty$/],
    ['binary', () => writeText(folder, 'bin', Uint8Array.of(127, 69, 76, 70, 2, 0)), /bin:1: bin/],
    ['foreign', () => writeText(folder, 'foreign', 'hello\nworld\n'), /foreign:1: not a recording/],
    [
      'perf.data',
      () => writeText(folder, 'perf.data', 'PERFILE2\0'),
      /perf\.data:1: perf\.data is/,
    ],
    [
      'a later version',
      () => writeText(folder, 'v2', '# memtrace 2\n'),
      /v2:1:12: memtrace version 2/,
    ],
    ['gzip cut short', () => cutGzip('cut.gz'), /cut\.gz:\d+: the gzip data is cut short/],
    [
      'gzip damaged',
      () => {
        const bytes = gzipSync(LACKEY.repeat(9000));
        bytes.fill(0xa5, 40, 80);
        const path = join(folder, 'damaged.gz');
        writeFileSync(path, bytes);
        return path;
      },
      /damaged\.gz:\d+: the gzip data is damaged/,
    ],
    [
      'reference without size',
      () => writeText(folder, 'l1', `${LACKEY}I  04\n`),
      /l1:4:6: expected/,
    ],
    [
      'reference with letters',
      () => writeText(folder, 'l2', `${LACKEY} L 04zz,4\n`),
      /l2:4:6: exp/,
    ],
    [
      'reference of 0 bytes',
      () => writeText(folder, 'l3', `${LACKEY} S 04,0\n`),
      /l3:4:\d+: expec/,
    ],
    ['reference cut short', () => writeText(folder, 'l4', `${LACKEY}I  0401`), /l4:4:8: expected/],
    [
      'zero bytes inside',
      () => writeText(folder, 'l5', `${LACKEY.repeat(99)}\0\n`),
      /l5:298:1: binary data/,
    ],
    [
      'no event',
      () => writeText(folder, 'm0', '# memtrace 1\n'),
      /m0:2: the recording holds no ev/,
    ],
    [
      'no task',
      () => writeText(folder, 'm1', `${MEMTRACE}x\n1 a() = 0\n`),
      /m1:3:1: expected a task/,
    ],
    [
      'bad access',
      () => writeText(folder, 'm2', `${MEMTRACE}1 fault 0x1 q user\n#\n`),
      /m2:3:8: expe/,
    ],
    [
      'bad map',
      () => writeText(folder, 'm3', `${MEMTRACE}1 map 1000-0 rw-p 0\n#\n`),
      /m3:3:7: expec/,
    ],
    [
      'bad change',
      () => writeText(folder, 'm4', `${MEMTRACE}1 brk(0) = 0x1  x+1\n#\n`),
      /m4:3:17: exp/,
    ],
    [
      'no result',
      () => writeText(folder, 'm5', `${MEMTRACE}1 brk(0)\n#\n`),
      /m5:3:9: expected a blank/,
    ],
    [
      'no bracket',
      () => writeText(folder, 'm6', `${MEMTRACE}1 brk("a) = 1\n#\n`),
      /m6:3:\d+: expected/,
    ],
    [
      'bad file',
      () => writeText(folder, 'm7', `${MEMTRACE}file "/a" big\n#\n`),
      /m7:3:10: expected/,
    ],
    [
      'cut in its last line',
      () => writeText(folder, 'm8', `${MEMTRACE}1 fault 0x7`),
      /m8:3:12: the rec/,
    ],
    [
      'cut strace',
      () => writeText(folder, 's1', '7 brk(NULL) = 0x1000\n7 mmap(NUL'),
      /s1:2: the recor/,
    ],
    [
      'bad strace',
      () => writeText(folder, 's2', '7 brk(NULL) = 0x1000\nx y\nz\n'),
      /s2:2:1: expected/,
    ],
    [
      'lost resume',
      () => writeText(folder, 's3', '7 <... brk resumed>) = 0x1\n7 brk(0) = 1\n'),
      /s3:1:3/,
    ],
    [
      'bad perf',
      () => writeText(folder, 'p1', '1/1 1.0: a:b: c\n1/1 x\n1/1 1.0: a:b: c\n'),
      /p1:2:1: ex/,
    ],
  ];
  test.each(cases)('%s', async (_what, path, message) => {
    expect(await refusal(path())).toMatch(message);
  });

  test.each(cases.filter(([what]) => /missing|empty|cut short|size/.test(what)))(
    'the command line exits with 2 and says so in one line: %s',
    (_what, path, message) => {
      const { code, out, err } = pagewalk('replay', '--json', path());
      expect(err.trimEnd()).toMatch(message);
      expect(err.trimEnd().split('\n')).toHaveLength(1);
      expect(err.startsWith('pagewalk: ')).toBe(true);
      expect(code).toBe(2);
      expect(out).toBe('');
    },
  );

  test('a wrong --tlb, an unknown option, an unknown command', () => {
    const good = writeText(folder, 'good', LACKEY);
    for (const args of [
      ['replay', good, '--tlb', '0'],
      ['replay', good, '--tlb', '4x'],
      ['replay', good, '--nosuch'],
      ['nosuch'],
      ['replay'],
    ]) {
      const { code, err } = pagewalk(...args);
      expect(code).toBe(2);
      expect(err).not.toBe('');
    }
  });

  test('a folder inside a path that is a file', () => {
    mkdirSync(join(folder, 'sub'));
    const file = writeText(folder, 'plain', LACKEY);
    expect(pagewalk('replay', join(file, 'x')).err).toMatch(/no such file: a folder of its path/);
  });
});
