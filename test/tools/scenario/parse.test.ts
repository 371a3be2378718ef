// Scenario files: what is accepted, what is refused and where, and 10,000 broken ones.

import { readdirSync, readFileSync } from 'node:fs';
import seedrandom from 'seedrandom';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../../kernel/errors.ts';
import { below, pick, type Prng } from '../../../kernel/prng.ts';
import { parseScenario } from '../../../tools/scenario/parse.ts';
import { randomScenario } from '../../../tools/scenario/random.ts';
import { TOPICS } from '../../../tools/scenario/topics.ts';
import { evaluate } from '../../../tools/scenario/syntax.ts';

const FOLDER = new URL('../../scenarios/', import.meta.url);
const recorded = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.scn'))
  .map((name) => ({ name, text: readFileSync(new URL(name, FOLDER), 'utf8') }));

const A = 'a = mmap(NULL, 4K, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)\n';

describe('what is accepted', () => {
  test.each(recorded)('$name', ({ name, text }) => {
    const statements = parseScenario(name, text).statements.length;
    const lines = text.split('\n').filter((l) => l.trim() !== '' && !l.startsWith('#'));
    expect(statements).toBe(lines.filter((l) => !l.startsWith('machine')).length);
  });

  test.each([
    ['0x10K', 0x4000n],
    ['1T', 1n << 40n],
    ['-1', (1n << 64n) - 1n],
    ['NULL + 8', 8n],
    ['0x8000000000000000 + 0x8000000000000000', 0n],
    ['4K - 8K + 1', (1n << 64n) - 4095n],
    ['007', 7n],
    ['PROT_READ|PROT_WRITE|0x40', 0x43n],
    ['MAP_FIXED', 0x10n],
  ])('%s is %s', (text, value) => {
    const s = parseScenario('f', `brk(${text})`).statements[0];
    expect(evaluate(s.args[0], () => 0n)).toBe(value);
  });

  test('blanks, comments and line ends are free', () => {
    const text = '\n# c\r\n  p0 :  a  = brk ( NULL )  # d\r\n\tload(a)\n';
    const { statements } = parseScenario('f', text);
    expect(statements.map((s) => [s.line, s.call, s.name, s.proc])).toEqual([
      [3, 'brk', 'a', 'p0'],
      [4, 'load', '', 'p0'],
    ]);
  });

  test('machine() options', () => {
    const { machine } = parseScenario('f', 'machine(ram=1G, swap=64M, cpus=2, thp=always)\nmaps()');
    expect(machine).toEqual({ ram: 2 ** 30, swap: 2 ** 26, cpus: 2, thp: 'always' });
  });
});

describe('what is refused, and where', () => {
  test.each([
    ['maps', '1:5: expected "("'],
    ['maps(', '1:6: expected ")": maps() takes no argument'],
    ['brk(', '1:5: expected a number'],
    ['maps() x', '1:8: expected the end of the line'],
    ['maps(1)', '1:6: expected ")": maps() takes no argument'],
    ['load()', '1:6: expected 1 arguments: load(address[, length[, step]])'],
    ['load(1 2)', '1:8: expected ",", ")" or an operator'],
    ['load(1, 2, 3, 4)', '1:15: expected ")"'],
    ['load(1, 4K, 0)', '1:13: expected a step other than 0'],
    ['lode(1)', '1:1: expected a call, found "lode(1)"'],
    ['x = load(1)', '1:5: expected a call with a result'],
    ['X = brk(0)', '1:1: expected a name, beginning with a small letter'],
    ['brk(a)', '1:5: expected an address, size or descriptor, but "a" is not bound in p0'],
    ['brk(4Q)', '1:5: expected a number: decimal or 0x…'],
    ['brk(0xg)', '1:5: expected a number'],
    ['brk(0x10000000000000000)', '1:5: expected a number below 2^64'],
    ['brk(16777216T)', '1:5: expected a number below 2^64'],
    ['brk(PROT_RAED)', '1:5: expected a constant'],
    ['brk(1 + 2|4)', '1:10: expected either a sum or flags'],
    ['brk(brk0|4)', '1:5: expected a constant or a number as a flag'],
    ['munmap(0, 4K', '1:13: expected ")" or an operator'],
    ['c: maps()', '1:1: expected a living process, but "c" is no process here'],
    ['maps()\nmachine(swap=1M)', '2:1: expected machine() as the first statement only'],
    ['machine()\nmachine()', '2:1: expected machine() as the first statement only'],
    ['machine(swap=1M, swap=2M)', '1:18: expected swap once'],
    ['machine(thp=often)', '1:13: expected always, madvise or never'],
    ['machine(disk=1M)', '1:9: expected one of ram, swap, limit, cpus, thp'],
    ['machine(cpus=0)', '1:14: expected 1 to 64 processors'],
    ['fd = memfd_create(a, 0)', '1:19: expected a name in double quotes'],
    ['fd = memfd_create("a, 0)', '1:25: expected a closing double quote'],
    ['fd = open("a/b", O_RDWR)', '1:13: expected a name without "/"'],
    ['fd = open("..", O_RDONLY)', '1:12: expected the name of a file'],
    ['c = fork()\nc: exit(0)\nc: maps()', '3:1: expected a living process, but "c" has exited in'],
    ['c = fork()\nc: exit(0)\nc = fork()', '3:1: expected a new name, but "c" is the process'],
    ['c = fork()\nbrk(c)', '2:5: expected an address, size or descriptor, but "c" is a process'],
    ['p0 = fork()', '1:1: expected a new name, but "p0" is the first process'],
    ['c = fork()\n' + A + 'c: load(a)', '3:9: expected an address'],
    [A + 'c = fork()\nc: load(a)\nc: b = brk(0)\nload(b)', '5:6: expected an address'],
    ['exit(0)\nmaps()', '2:1: expected a living process, but "p0" has exited in line 1'],
    ['é = brk(0)', '1:1: expected a statement'],
    ['maps() # é\n  brk(é)', '2:7: expected a number'],
  ])('%j', (text, message) => {
    expect(() => parseScenario('f', text)).toThrow(InputError);
    expect(() => parseScenario('f', text)).toThrow(`f:${message}`);
  });

  test('bytes that are not UTF-8, with their place', () => {
    const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
    expect(() => parseScenario('f', bytes('maps()\nmaps() # \xff'))).toThrow(
      'f:2:10: expected UTF-8',
    );
    expect(() => parseScenario('f', bytes('# \xc3\xa9\xc3\nmaps()'))).toThrow(
      'f:1:4: expected UTF-8',
    );
  });
});

/** Breaks a text in a way that people and programs do. */
function mutate(prng: Prng, text: string): string {
  const chars = Array.from(text);
  const at = below(prng, chars.length);
  const lines = text.split('\n');
  const line = below(prng, lines.length);
  switch (below(prng, 9)) {
    case 0:
      chars.splice(at, 1 + below(prng, 4));
      break;
    case 1:
      chars.splice(at, 0, pick(prng, Array.from('(),|+-:="#K0x9_ aZ\t\0é💥\n')));
      break;
    case 2:
      chars[at] = pick(prng, Array.from('(),|+-:="#K0x9_ aZ\\/é'));
      break;
    case 3:
      return chars.slice(0, at).join('');
    case 4:
      lines.splice(line, 1);
      return lines.join('\n');
    case 5:
      lines.splice(below(prng, lines.length), 0, lines[line] ?? '');
      return lines.join('\n');
    case 6:
      lines[line] = (lines[line] ?? '').replace(/[a-z_]+/, (w) => w.slice(1));
      return lines.join('\n');
    case 7:
      lines[line] = (lines[line] ?? '').replace(/, [^,]*/, '');
      return lines.join('\n');
    default:
      lines[line] = (lines[line] ?? '').replace(/[0-9]+/, '99999999999999999999999');
      return lines.join('\n');
  }
  return chars.join('');
}

describe('broken files', () => {
  test('10,000 mutations are parsed or refused with a place, never anything else', () => {
    const prng = seedrandom.alea('broken scenarios');
    const texts = recorded.map((r) => r.text);
    for (const topic of Object.keys(TOPICS)) texts.push(randomScenario(prng, topic, 30));
    let refused = 0;
    for (let i = 0; i < 10_000; i++) {
      let text = pick(prng, texts);
      for (let n = 1 + below(prng, 3); n > 0; n--) text = mutate(prng, text);
      try {
        parseScenario('f', text);
      } catch (e) {
        if (!(e instanceof InputError)) throw e;
        expect(e.message).toMatch(/^f:[1-9][0-9]*:[1-9][0-9]*: expected /);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(5000);
  });

  test('random bytes are refused or parsed', () => {
    const prng = seedrandom.alea('random bytes');
    for (let i = 0; i < 1000; i++) {
      const bytes = Uint8Array.from({ length: 1 + below(prng, 60) }, () => below(prng, 256));
      try {
        parseScenario('f', bytes);
      } catch (e) {
        expect((e as Error).message).toMatch(/^f:[0-9]+:[0-9]+: expected /);
      }
    }
  });
});
