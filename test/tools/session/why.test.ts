// Causes: each kind of fault is told as what it was, and the references of a frame add up.

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../../kernel/errors.ts';
import { PG_anon } from '../../../kernel/page.ts';
import { ownerOf } from '../../../tools/owner.ts';
import { openSession } from '../../../tools/session/open.ts';
import type { Session } from '../../../tools/session/session.ts';
import { whyFault } from '../../../tools/session/why-fault.ts';
import { references, whyFrame } from '../../../tools/session/why-frame.ts';
import { whyRss } from '../../../tools/session/why-rss.ts';
import { Chain, whyText } from '../../../tools/session/why.ts';
import { presentPages } from '../../../tools/image.ts';

const ANON = 'MAP_PRIVATE|MAP_ANONYMOUS, -1, 0';
const MAP = `a = mmap(NULL, 16K, PROT_READ|PROT_WRITE, ${ANON})\n`;
const FILE = `f = memfd_create("m", 0)
ftruncate(f, 4K)
m = mmap(NULL, 8K, PROT_READ, MAP_SHARED, f, 0)
`;
const SCENARIOS = fileURLToPath(new URL('../../scenarios/', import.meta.url));

async function run(text: string): Promise<Session> {
  const session = await openSession('a.scn', new TextEncoder().encode(text));
  session.run();
  return session;
}

describe('why did the last access fault', () => {
  test.each([
    ['a first write', `${MAP}store(a)`, /demand zero/, /given to it, zeroed/],
    ['a first read', `${MAP}load(a)`, /page of zeros will do/, /zeros is mapped/],
    ['a write after a read', `${MAP}load(a)\nstore(a)`, /zeros is mapped there/, /copied to frame/],
    ['nothing mapped', `${MAP}munmap(a, 16K)\nload(a)`, /SEGV_MAPERR/, /mapping there goes/],
    [
      'read-only',
      `${MAP}mprotect(a, 4K, PROT_READ)\nstore(a)`,
      /r--p.*SEGV_ACCERR/,
      /becomes r--p/,
    ],
    ['no access', `${MAP}store(a)\nmprotect(a, 4K, PROT_NONE)\nload(a)`, /---p/, /SEGV_ACCERR/],
    ['dropped', `${MAP}store(a)\nmadvise(a, 4K, MADV_DONTNEED)\nstore(a)`, /demand/, /cleared/],
    ['after fork', `${MAP}store(a)\nc = fork()\nstore(a)`, /since fork\(\), and 2/, /copied from/],
    [
      'last user',
      `${MAP}store(a)\nc = fork()\nc: exit(0)\nstore(a)`,
      /let go of it/,
      /no copy was/,
    ],
    ['beyond a file', `${FILE}load(m + 4K)`, /SIGBUS/, /./],
    ['a file, shared', `${FILE}load(m)`, /page 0 of/, /m = mmap/],
  ])('%s', async (_, text, answer, chain) => {
    const why = whyFault(await run(text));
    expect(why.answer).toMatch(answer);
    expect(whyText(why).join('\n')).toMatch(chain);
    expect(why.causes.map((c) => c.step ?? Infinity)).toEqual(
      why.causes.map((c) => c.step ?? Infinity).sort((a, b) => a - b),
    );
  });

  test('an address that never faulted, no fault at all, no such process', async () => {
    const session = await run(MAP);
    const { pid, mm } = session.processes[0].task;
    expect(whyFault(session, pid, mm.startStack).answer).toMatch(/did not/);
    expect(() => whyFault(session)).toThrow(InputError);
    expect(() => whyFault(session, 77, 4096)).toThrow(/no process 77/);
  });
});

test('RSS: its parts are those of the process, and every change has its step', async () => {
  const session = await run(
    `${MAP}store(a)\nstore(a + 4K)\nload(a + 8K)\nmadvise(a, 4K, MADV_DONTNEED)`,
  );
  const [process] = session.processes;
  const why = whyRss(session);
  expect(why.answer).toContain(`It has ${process.task.mm.rssPages} page`);
  const text = whyText(why).join('\n');
  expect(text).toMatch(/store\(a\)\n {4}\+1 page \(4 KiB\), 1 fault \(1 of zeros\)/);
  expect(text).toMatch(/MADV_DONTNEED\)\n {4}−1 page/);
  expect(text).not.toMatch(/load\(a/);
  expect(() => whyRss(session, 99)).toThrow(InputError);
});

test('a frame from its allocation to its end', async () => {
  const text = `${MAP}store(a)\nmunmap(a, 16K)`;
  const session = await openSession('a.scn', new TextEncoder().encode(text));
  session.seek(2);
  const { mm } = session.processes[0].task;
  const [, pa] = [...presentPages(session.system.machine, mm.root)].find(
    ([va]) => va === mm.vmas.find(0x7fff00000000)!.start,
  )!;
  const used = whyText(whyFrame(session, pa / 4096)).join('\n');
  expect(used).toMatch(/anonymous memory.*\n.*store\(a\)\n.*allocated.*\n.*by a fault/);
  expect(used).toMatch(/1 reference to it:\n.*maps it at/);
  session.seek(3);
  const free = whyFrame(session, pa / 4096);
  expect(free.answer).toMatch(/^It is since step 3: free/);
  expect(free.causes.at(-1)?.text).toMatch(/^freed/);
  expect(() => whyFrame(session, 2 ** 30)).toThrow(/this machine has frames 0 to/);
});

test('the holders of every mapped frame add up to its references', async () => {
  let frames = 0;
  for (const name of readdirSync(SCENARIOS).filter((f) =>
    /^(fork|memfd|file|rand-fork).*scn$/.test(f),
  )) {
    const session = await openSession(name, readFileSync(SCENARIOS + name));
    session.seek(Math.floor(session.length / 2));
    const { machine } = session.system;
    const seen = new Set<number>();
    for (const { task } of session.processes) {
      for (const [va, pa] of presentPages(machine, task.mm.root)) {
        const pfn = pa / 4096;
        if (va < 0 || seen.size >= 40 || seen.has(pfn)) continue;
        const head = machine.pages.head(pfn);
        if (head !== pfn || machine.pages.compoundOrder(head) > 0) continue;
        if ((machine.pages.flags(head) & PG_anon) === 0 && machine.pages.owner(head) === 0)
          continue;
        seen.add(pfn);
        const chain = new Chain(session);
        references(session.system, pfn, ownerOf(session.system, pfn), chain);
        const texts = chain.causes.map((c) => c.text);
        expect(texts.length).toBeGreaterThan(1);
        expect(texts.filter((t) => t.includes('more by the kernel'))).toEqual([]);
        frames++;
      }
    }
  }
  expect(frames).toBeGreaterThan(30);
});
