import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import seedrandom from 'seedrandom';
import { describe, expect, test } from 'vitest';
import { fsckSystem } from '../../../userspace/fsck.ts';
import { fsckKernel } from '../../../kernel/fsck.ts';
import { saveMachine } from '../../../tools/session/save.ts';
import { inspect } from '../../../tools/inspect/index.ts';
import { openSession, openWorkload } from '../../../tools/session/open.ts';
import type { Session } from '../../../tools/session/session.ts';

const root = new URL('../../../', import.meta.url);

function readBytes(path: string): Uint8Array {
  const bytes = readFileSync(fileURLToPath(new URL(path, root)));
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

function first(folder: string, ending: string): string {
  const all = readdirSync(fileURLToPath(new URL(folder, root)), { recursive: true });
  const found = all.map(String).find((f) => f.endsWith(ending));
  if (found === undefined) throw new Error(`${folder} holds a file *${ending}`);
  return `${folder}${found}`;
}

const SOURCES: readonly (readonly [string, () => Promise<Session>])[] = [
  ...(
    [
      first('test/scenarios/', '.scn'),
      first('test/', '.heap'),
      first('test/', '.pyraw'),
      first('test/', '.pyobj'),
      'tools/examples/pair-hello-go.trace.gz',
    ] as const
  ).map((path) => [path, () => openSession(path, readBytes(path), { ram: 2 ** 29 })] as const),
  [
    'workload linked_list on Go',
    () => Promise.resolve(openWorkload('linked_list', { scale: 0.01, ram: 2 ** 28 })),
  ],
  [
    'workload graphs on CPython',
    () => Promise.resolve(openWorkload('graphs', { scale: 0.01, case: 'python', ram: 2 ** 28 })),
  ],
];

describe.each(SOURCES)('session of %s', (_name, open) => {
  test('goes forward and back to the same machine', async () => {
    const session = await open();
    session.run();
    const { length } = session;
    const end = session.hash();
    expect(length).toBeGreaterThan(1);
    expect(session.position).toBe(length);
    expect(session.step()).toBe(false);
    const events = session.events.count;

    const middle = length >> 1;
    session.seek(middle);
    expect(session.position).toBe(middle);
    const there = session.hash();
    expect(session.step()).toBe(true);
    expect(session.back()).toBe(true);
    expect(session.hash()).toBe(there);
    session.run();
    expect(session.hash()).toBe(end);
    fsckSystem(session.system);
    expect(session.events.count).toBe(events);
    expect(session.counters.count).toBe(length + 1);

    const fresh = await open();
    fresh.seek(middle);
    expect(fresh.hash()).toBe(there);
  });

  test('is saved and comes back', async () => {
    const session = await open();
    session.run();
    session.seek((session.length * 2) / 3);
    const bytes = await saveMachine(session, 'here');
    const back = await openSession('saved.machine', bytes);
    expect(back.kind).toBe('machine');
    expect(back.hash()).toBe(session.hash());
    expect(back.processes.map((p) => [p.name, p.task.pid, p.heap?.runtime])).toEqual(
      session.processes.map((p) => [p.name, p.task.pid, p.heap?.runtime]),
    );
    fsckSystem(back.system);
    fsckKernel(back.system.machine);
    for (const [i, { task, heap }] of back.processes.entries()) {
      const there = session.processes[i].task.mm;
      expect(task.mm.system).toBe(back.system);
      expect([...task.mm.vmas].map(String)).toEqual([...there.vmas].map(String));
      if (heap?.runtime === 'python') heap.py.check();
      if (heap?.runtime === 'go') heap.go.heap.check(heap.go.procs);
    }
  });

  test('stops after a step in which a frame is allocated', async () => {
    const session = await open();
    const before = session.events.count;
    if (!session.runUntil({ points: ['mm_page_alloc'] })) {
      expect(session.done).toBe(true);
      return;
    }
    const events = session.events.range(session.position - 1, session.position, 100_000);
    expect(events.some((e) => e.name === 'mm_page_alloc')).toBe(true);
    expect(session.events.count).toBeGreaterThan(before);
  });
});

test.each(SOURCES)(
  'within a step of %s: held after each detail, then on to the same end',
  async (_name, open) => {
    const session = await open();
    const { length } = await ran(open);
    const random = seedrandom.alea('within');
    for (let n = 0; n < 4; n++) {
      const step = Math.floor(random() * length);
      session.seek(step + 1);
      const after = session.hash();
      session.seek(step);
      const before = session.hash();
      const events = session.events.count;
      const { length: details } = session.details(step);
      expect(session.hash()).toBe(before);
      const count = Math.floor(random() * (details + 1));
      expect(session.enter(count)).toBe(true);
      expect([session.position, session.inside]).toEqual([step, count]);
      // lists are whole; a frame may be between two owners
      session.system.machine.alloc.check();
      if (details > 0) {
        session.enter(details);
        expect(session.inside).toBe(details);
        expect(session.back()).toBe(true);
        expect(session.hash()).toBe(before);
        session.enter(details);
      }
      expect(session.step()).toBe(true);
      expect(session.hash()).toBe(after);
      expect([session.position, session.inside, session.events.count]).toEqual([
        step + 1,
        0,
        events,
      ]);
    }
  },
);

test.each(['go', 'python'])(
  'a workload on %s, step by step: the machines of snapshots are those of the run',
  (runtime) => {
    const session = openWorkload('graphs', { scale: 0.02, case: runtime, ram: 2 ** 28 });
    const looks = (s: Session): string => {
      const { pid } = s.processes[0].task;
      const telling = inspect(s, 'telling', [pid]);
      const heap = inspect(s, 'go', [pid]) ?? inspect(s, 'python', [pid]);
      const chain = telling === undefined ? undefined : inspect(s, 'chain', [telling]);
      return JSON.stringify([s.hash(), telling, chain, heap, inspect(s, 'waterfall', [pid])]);
    };
    session.run();
    const to = session.length >> 1;
    expect(to).toBeGreaterThan(2);
    const wanted: string[] = [];
    for (const n of [to - 1, to, to + 1]) {
      session.seek(0);
      session.seek(n);
      wanted.push(looks(session));
    }
    session.seek(to - 2);
    for (const text of wanted) {
      expect(session.step()).toBe(true);
      expect(looks(session) === text).toBe(true);
    }
    session.back();
    session.back();
    expect(session.position).toBe(to - 1);
    expect(looks(session) === wanted[0]).toBe(true);
    session.seek(session.length - 1);
    expect(session.step()).toBe(true);
    expect(session.done).toBe(true);
  },
);

async function ran(open: () => Promise<Session>): Promise<Session> {
  const session = await open();
  session.run();
  return session;
}

test('a first store is seen entry by entry and move by move', async () => {
  const text =
    'a = mmap(NULL, 8K, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)\nstore(a)\n';
  const session = await openSession('two.scn', new TextEncoder().encode(text));
  const details = session.details(1);
  const names = details.map((d) => d.name);
  const fault = names.indexOf('page_fault_user');
  const levels = details.slice(0, fault).map((d) => d.args['level']);
  expect(levels).toEqual(['PGD', 'PUD', 'PMD', 'PTE'].slice(0, levels.length));
  expect(names.slice(0, fault).every((n) => n === 'read_entry')).toBe(true);
  const alloc = details[names.lastIndexOf('mm_fault_anon')];
  const leaf = details.findLast((d) => d.name === 'read_entry');
  expect(leaf?.args['level']).toBe('PTE');
  const entry = parseInt(String(leaf?.args['value']).slice(-9), 16);
  expect(Math.floor(entry / 4096)).toBe(alloc.args['pfn']);
  const added = details.find(
    (d) => d.args['list'] === 'active_anon' || d.args['list'] === 'inactive_anon',
  );
  expect(added?.args['pfn']).toBe(alloc.args['pfn']);
  // just before the entry is set the frame is there and is not mapped yet
  session.seek(1);
  session.enter(names.lastIndexOf('mm_page_alloc') + 1);
  const pfn = Number(details[names.lastIndexOf('mm_page_alloc')]?.args['pfn']);
  expect(session.system.machine.pages.mapcount(pfn)).toBe(0);
  session.step();
  expect(session.position).toBe(2);
});

test('every step of a scenario has its label and its outcome', async () => {
  const text =
    'a = mmap(NULL, 8K, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)\nstore(a)\n';
  const session = await openSession('two.scn', new TextEncoder().encode(text));
  session.run();
  expect(session.label(1)).toBe('store(a)');
  expect(session.lineOf(1)).toBe(2);
  expect(session.outcome(1)).toBe('1 minor');
  session.seek(0);
  expect(session.toNextFault()).toBe(true);
  expect(session.position).toBe(2);
});

test('one byte more, another hash', async () => {
  const made = 'a = mmap(NULL, 8K, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)\n';
  const hashes = await Promise.all(
    ['store(a)', 'poke(a, 7)', 'poke(a, 8)', 'poke(a + 1, 7)', 'load(a)'].map(async (last) => {
      const session = await openSession('h.scn', new TextEncoder().encode(`${made}${last}\n`));
      session.run();
      return session.hash();
    }),
  );
  expect(new Set(hashes).size).toBe(hashes.length);
});
