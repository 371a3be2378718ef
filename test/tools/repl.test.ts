// The prompt: every word's examples run, time goes both ways, and what is wrong is refused.

import { beforeAll, describe, expect, test } from 'vitest';
import { InputError } from '../../kernel/errors.ts';
import { Repl } from '../../tools/repl/prompt.ts';
import { openSession, openWorkload } from '../../tools/session/open.ts';
import { pagewalk } from '../support/cli.ts';

const SCENARIO = `a = mmap(NULL, 16K, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)
poke(a, 65)
load(a + 4K)
c = fork()
poke(a, 66)
munmap(a, 16K)
`;

async function prompt(): Promise<(line: string) => string> {
  const repl = new Repl(await openSession('a.scn', new TextEncoder().encode(SCENARIO)));
  return (line) => repl.run(line).join('\n');
}

describe('a scenario', () => {
  let run: (line: string) => string;
  let address = '';
  beforeAll(async () => {
    run = await prompt();
    address = /0x[0-9a-f]+/.exec(run('step'))?.[0] ?? '';
  });

  test('steps forward and back to the same machine', () => {
    run('goto 2');
    const before = run('hash');
    expect(run('step 2')).toMatch(/^step 4 of 6, line 4: c = fork\(\)/);
    expect(run('hash')).not.toBe(before);
    expect(run('back 2')).toMatch(/^step 2 of 6/);
    expect(run('hash')).toBe(before);
    expect(run('goto end')).toMatch(/step 6 of 6.*\n.*the end/);
  });

  test('an address down, its bytes, its entries, its frame up', () => {
    run('goto 2');
    expect(run(`vtop ${address}`)).toMatch(/PTE\[\d+\] .* P RW US/);
    expect(run(`rd ${address} 1`)).toMatch(/: {2}0000000000000041 .*A\.{7}/);
    const physical = /physical (0x[0-9a-f]+)/.exec(run(`pagewalk ${address}`))?.[1] ?? '';
    expect(run(`rd -p ${physical} 1`)).toMatch(/0000000000000041/);
    expect(run(`owner ${physical}`)).toContain(`mapped at ${address} by process 1`);
    expect(run(`struct page ${physical}`)).toMatch(/refcount +1\n +mapcount +1/);
    expect(run(`why frame ${physical}`)).toMatch(/becomes anonymous memory/);
    expect(() => run(`rd ${address.replace(/000$/, '3000')}`)).toThrow(InputError);
  });

  test('stops at events, when a page turns dirty, when a frame is freed', () => {
    run('goto 1');
    run('break mm_fault_copy');
    expect(run('continue')).toMatch(/^met: mm_fault_copy\nstep 4 /);
    run('goto 1');
    run(`break dirty ${address}`);
    expect(run('continue')).toMatch(/^met: page .* turns dirty\nstep 2 /);
    const physical = /physical (0x[0-9a-f]+)/.exec(run(`pagewalk ${address}`))?.[1] ?? '';
    expect(run('break delete')).toBe('no break points');
    run('break mm_page_alloc order=9');
    expect(run('continue')).toMatch(/^no break point was met\nstep 6/);
    run('goto 2');
    run('break delete');
    run(`break frame ${physical}`);
    expect(run('continue')).toMatch(/^no break point was met|^met: frame/);
  });

  test('the next fault and its cause', () => {
    run('goto 1');
    expect(run('next')).toMatch(/^step 2 .*\n.*Why did.*\n.*demand zero/);
    expect(run('events')).toMatch(/page_fault_user\(address=.*error_code=6/);
    expect(run('why rss')).toMatch(/\+1 page/);
  });

  test('every example of every word runs', () => {
    run('goto 4');
    const words = run('help')
      .split('\n')
      .map((line) => line.trim().split(' ')[0] ?? '');
    let examples = 0;
    for (const word of words.filter((w) => w !== 'quit' && w !== 'Words')) {
      for (const line of run(`help ${word}`).split('\n')) {
        const example = /^ {2}> (.*)$/.exec(line)?.[1];
        if (example === undefined || word === 'heap' || example.includes('0x7fff')) continue;
        expect(run(example), example).not.toBe('');
        run('goto 4');
        examples++;
      }
    }
    expect(examples).toBeGreaterThan(30);
  });

  test.each([
    'vtip',
    's',
    'vtop zzz',
    'set 9',
    'break nothing',
    'break mm_page_free x=1',
    'why x',
    'step -1',
  ])('refuses %s', (line) => {
    expect(() => run(line)).toThrow(InputError);
  });
});

test('words, events and processes are completed', async () => {
  const repl = new Repl(await openSession('a.scn', new TextEncoder().encode(SCENARIO)));
  expect(repl.complete('vt')).toEqual([['vtop'], 'vt']);
  expect(repl.complete('break mm_fault_c')).toEqual([['mm_fault_copy'], 'mm_fault_c']);
  expect(repl.complete('set ')).toEqual([['1'], '']);
});

test('the heaps of a workload', () => {
  const go = new Repl(openWorkload('graphs', { scale: 0.02 }));
  expect(go.run('break mm_page_alloc').length).toBe(1);
  expect(go.run('continue').join('\n')).toMatch(/^met: mm_page_alloc\nstep 1/);
  expect(go.run('heap').join('\n')).toMatch(/go1.26: 1 arenas(.|\n)* 16 /);
  const py = new Repl(openWorkload('graphs', { scale: 0.02, case: 'python:3.11' }));
  expect(py.run('heap').join('\n')).toMatch(/CPython 3.11: \d+ arenas/);
});

test('as a command: --eval, standard input, exit codes', () => {
  const { code, out } = pagewalk('repl', 'vmcalls', '--eval', 'step 20; ps; hash');
  expect(code).toBe(0);
  expect(out).toMatch(/^step 20 of \d+/);
  expect(out).toMatch(/\n[0-9a-f]{16}\n$/);
  const wrong = pagewalk('repl', 'vmcalls', '--eval', 'step; frobnicate');
  expect(wrong.code).toBe(2);
  expect(wrong.err).toMatch(/frobnicate: no word/);
});
