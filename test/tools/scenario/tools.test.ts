// What stands around scenarios: comparing two runs, shrinking, random scenarios, the story.

import seedrandom from 'seedrandom';
import { describe, expect, test } from 'vitest';
import { compareRuns } from '../../../tools/scenario/compare.ts';
import { EmulatedTarget } from '../../../tools/scenario/emulated.ts';
import type { Observation } from '../../../tools/scenario/observe.ts';
import { parseScenario } from '../../../tools/scenario/parse.ts';
import { randomScenario } from '../../../tools/scenario/random.ts';
import { Runner } from '../../../tools/scenario/run.ts';
import { shrink } from '../../../tools/scenario/shrink.ts';
import { tell } from '../../../tools/scenario/story.ts';
import { TOPICS } from '../../../tools/scenario/topics.ts';

function page(line: number, addr: string, frame: string): Observation {
  return { line, proc: 'p0', call: 'pages', pages: [{ addr, present: 1, frame }] };
}

describe('comparing runs', () => {
  test('frame labels may be renamed, but always alike', () => {
    const linux = [page(1, '0x1000', 'f0'), page(2, '0x2000', 'f1'), page(3, '0x1000', 'f0')];
    const renamed = [page(1, '0x1000', 'f7'), page(2, '0x2000', 'f3'), page(3, '0x1000', 'f7')];
    const shared = [page(1, '0x1000', 'f7'), page(2, '0x2000', 'f7'), page(3, '0x1000', 'f7')];
    expect(compareRuns(linux, renamed)).toEqual([]);
    expect(compareRuns(linux, shared).map((d) => d.line)).toEqual([2, 3]);
  });

  test('missing and additional pages and statements are told', () => {
    const found = compareRuns([page(1, '0x1000', 'f0')], [page(1, '0x2000', 'f0')]);
    expect(found.map((d) => [d.what, d.expected === 'none', d.got === 'none'])).toEqual([
      ['pages 0x1000', false, true],
      ['pages 0x2000', true, false],
    ]);
    expect(compareRuns([page(1, '0x1000', 'f0')], [])).toHaveLength(1);
  });

  test('notes are not compared', () => {
    const o = { line: 1, proc: 'p0', call: 'mmap', ret: '0x1000' };
    expect(compareRuns([{ ...o, _kernel_chose: 1 }], [o])).toEqual([]);
    expect(compareRuns([o], [{ ...o, ret: '0x2000' }])).toHaveLength(1);
  });
});

describe('shrinking', () => {
  test('finds the lines that matter, in their order', () => {
    const lines = Array.from({ length: 60 }, (_, i) => `line ${i}`);
    const fails = (some: readonly string[]): boolean =>
      some.includes('line 7') && some.indexOf('line 41') > some.indexOf('line 7');
    expect(shrink(lines, fails)).toEqual(['line 7', 'line 41']);
  });

  test('stops after so many attempts', () => {
    let asked = 0;
    shrink(Array.from({ length: 500 }, String), () => ++asked < 0, 50);
    expect(asked).toBeLessThanOrEqual(50);
  });
});

describe('random scenarios', () => {
  test.each(Object.keys(TOPICS))('%s: every one parses, runs and is sound after it', (topic) => {
    for (let seed = 0; seed < 4; seed++) {
      const text = randomScenario(seedrandom.alea(`${topic} ${seed}`), topic, 40);
      expect(randomScenario(seedrandom.alea(`${topic} ${seed}`), topic, 40)).toBe(text);
      const scenario = parseScenario(topic, text);
      const target = new EmulatedTarget();
      const observations = new Runner(scenario, target).run();
      expect(observations).toHaveLength(scenario.statements.length + 1);
      target.check();
    }
  });
});

describe('the story', () => {
  function story(text: string): string {
    const target = new EmulatedTarget({ notes: true });
    const plain = { bold: String, dim: String, red: String };
    const out: string[] = [];
    const runner = new Runner(parseScenario('story', text), target);
    runner.run({
      before: (_, proc) => target.beginNotes(proc),
      after(o, s, proc) {
        if (s === undefined) return;
        const nameOf = (va: bigint): string => runner.nameOf(s.proc, va);
        out.push(tell(s, o, target.endNotes(proc), nameOf, plain));
      },
    });
    return out.join('\n');
  }
  const MAP = 'a = mmap(NULL, 16K, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)\n';

  test.each([
    ['a first write', 'store(a)', /minor fault: nobody touched it before/],
    [
      'a first read',
      'load(a + 4K)',
      /read of 0x\w+ \(a \+ 4K\) .*\n.*a first read: the shared page/,
    ],
    ['the zero page written', 'load(a)\nstore(a)', /the entry was the page of zeros: a new frame/],
    ['a copy', 'store(a)\nc = fork()\nstore(a)', /others map the page too: copied/],
    [
      'the last owner',
      'store(a)\nc = fork()\nc: exit(0)\nstore(a)',
      /nobody else maps it any more/,
    ],
    ['nowhere', 'load(NULL)', /SIGSEGV, SEGV_MAPERR: nothing is mapped there/],
    ['forbidden', 'mprotect(a, 4K, PROT_READ)\nstore(a)', /SEGV_ACCERR: .* not allow writing/],
    ['an error', 'munmap(a + 1, 4K)', /refused: EINVAL/],
    ['many pages', 'store(a, 16K)', /4 minor faults; resident 0 -> 16 KiB; page tables 0 -> 4 KiB/],
    ['mappings', 'munmap(a, 4K)', /- \w+-\w+ rw-p private anonymous\n\s+\+ /],
  ])('%s', (_, statements, expected) => {
    expect(story(MAP + statements)).toMatch(expected);
  });

  test('a write to a mapped page of a private file mapping is told as a copy', () => {
    const told = story(`fd = memfd_create("f", 0)
pwrite(fd, 4K, 0, 65)
m = mmap(NULL, 4K, PROT_READ|PROT_WRITE, MAP_PRIVATE, fd, 0)
peek(m)
poke(m, 66)
`);
    expect(told).toMatch(/a write to private file memory: the page was copied/);
  });
});
