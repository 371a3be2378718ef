// The inspection API: no effect on what it looks at, plain data, and the same chain from both ends.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseSelection, selectionText, type Selection } from '../../../tools/inspect/selection.ts';
import { inspect, inspections, type InspectionName } from '../../../tools/inspect/index.ts';
import { frameMap } from '../../../tools/inspect/frames.ts';
import { FRAME_FREE, FRAME_PCP } from '../../../tools/inspect/frame-classes.ts';
import { goSpan, SLOT_ALLOCATED } from '../../../tools/inspect/go.ts';
import { BLOCK_USED, pythonArenas, pythonBlocksAt } from '../../../tools/inspect/python-arenas.ts';
import { ownerOf } from '../../../tools/owner.ts';
import { openSession, openWorkload } from '../../../tools/session/open.ts';
import type { Session } from '../../../tools/session/session.ts';

const opened = new Map<string, Session>();

/** A small program's process in the middle of its run; looked at by several tests, moved by none. */
function workload(language: string): Session {
  const known = opened.get(language);
  if (known !== undefined) return known;
  const session = openWorkload('binary-trees', {
    case: language,
    scale: 0.05,
    ram: 2 ** 27,
  });
  session.seek(40);
  opened.set(language, session);
  return session;
}

/** Arguments for every inspection, about a process and an address of it. */
function argumentsFor(session: Session, selection: Selection): Record<InspectionName, unknown[]> {
  const { pid } = session.processes[0].task;
  const va = selection.kind === 'address' ? selection.va : 0;
  return {
    chain: [selection],
    telling: [pid],
    frames: [],
    space: [pid],
    buddy: [],
    freeList: ['DMA32', 1, 10],
    slab: [],
    slabs: ['vm_area_struct'],
    tlb: [],
    lru: [],
    swap: [],
    go: [pid],
    python: [pid],
    goObject: [pid, va],
    pythonObject: [pid, va],
    bytes: [pid, va, 8],
    worstPins: [pid, 2],
    pinsAt: [pid, va],
    waterfall: [pid],
  };
}

const counters = (session: Session): unknown => session.system.machine.smp.cpu(0).counters();

test.each(['go', 'python'])('no look changes a machine, and each is plain data: %s', (language) => {
  const session = workload(language);
  const selection = inspect(session, 'telling', [session.processes[0].task.pid])!;
  const hash = session.hash();
  const before = counters(session);
  for (const [name, args] of Object.entries(argumentsFor(session, selection))) {
    const found = inspect(session, name as InspectionName, args as never);
    expect(structuredClone(found), name).toEqual(found);
    expect(counters(session), name).toEqual(before);
  }
  expect(Object.keys(argumentsFor(session, selection))).toEqual(Object.keys(inspections));
  expect(session.hash()).toBe(hash);
});

test.each([
  ['go', ['object', 'span', 'arena', 'vma', 'cr3']],
  ['python', ['object', 'block', 'pool', 'arena', 'vma', 'cr3']],
])('the chain is the same from an object and from its frame: %s', (language, upper) => {
  const session = workload(language);
  const selection = inspect(session, 'telling', [session.processes[0].task.pid])!;
  const down = inspect(session, 'chain', [selection]);
  const kinds = down.links.map((link) => link.kind);
  expect(kinds.slice(0, upper.length)).toEqual(upper);
  expect(kinds.filter((kind) => kind === 'entry')).toHaveLength(4);
  expect(kinds.slice(-4)).toEqual(expect.arrayContaining(['frame', 'page', 'zone']));
  expect(down.pfn).toBeGreaterThan(0);
  const offset = down.va! % 4096;
  const up = inspect(session, 'chain', [{ kind: 'frame', pfn: down.pfn, offset }]);
  expect(up.va).toBe(down.va);
  expect(up.links).toEqual(down.links);
});

test('every frame has the class of its owner', () => {
  const session = workload('go');
  const map = frameMap(session);
  expect(map.counts.reduce((a, b) => a + b, 0)).toBe(map.nrFrames);
  for (let pfn = 0; pfn < map.nrFrames; pfn += pfn < 20_000 ? 1 : 61) {
    const id = map.classes[pfn];
    const isFree = id === FRAME_PCP || (id >= FRAME_FREE && id < FRAME_FREE + 11);
    const { use } = ownerOf(session.system, pfn);
    expect(isFree, `frame ${pfn}: ${use}`).toBe(use === 'free');
    expect(id === 0, `frame ${pfn}: ${use}`).toBe(use === 'nothing');
  }
});

test('slots in use are those that a span counts', () => {
  const session = workload('go');
  const { task, heap } = session.processes[0];
  if (heap?.runtime !== 'go') throw new Error('expected a Go heap');
  const { spans } = heap.go.heap;
  let seen = 0;
  for (let s = 1; s < spans.count; s++) {
    const span = goSpan(heap.go, task.mm, s);
    if (span.state !== 'in use' || span.place.startsWith('mcache')) continue;
    seen++;
    const used = span.slots.filter((bits) => (bits & SLOT_ALLOCATED) !== 0).length;
    expect(used, `span ${s}, ${span.place}`).toBe(span.allocCount);
  }
  expect(seen).toBeGreaterThan(0);
});

test('blocks in use are those that a pool counts', () => {
  const session = workload('python');
  const p = session.processes[0];
  const pools = pythonArenas(p).flatMap((arena) => arena.pools);
  expect(pools.length).toBeGreaterThan(2);
  for (const pool of pools) {
    const place = pythonBlocksAt(p, pool.address)!;
    expect(place.blocks.filter((b) => b === BLOCK_USED).length).toBe(pool.used);
  }
});

test('a swapped page is found from its slot, and its slot from its address', async () => {
  const file = new URL('../../scenarios/swap-out-and-in.scn', import.meta.url);
  const session = await openSession('swap.scn', readFileSync(file));
  let swapped = -1;
  while (session.step()) {
    swapped = inspect(session, 'swap', [])?.states.indexOf(1) ?? -1;
    if (swapped > 0) break;
  }
  expect(swapped).toBeGreaterThan(0);
  const up = inspect(session, 'chain', [{ kind: 'slot', slot: swapped }]);
  expect(up.links.map((link) => link.kind)).toContain('swap');
  const down = inspect(session, 'chain', [{ kind: 'address', pid: up.pid!, va: up.va! }]);
  expect(down.slot).toBe(swapped);
});

test('bytes are those that the process reads', () => {
  const session = workload('python');
  const { task } = session.processes[0];
  const selection = inspect(session, 'telling', [task.pid])!;
  if (selection.kind !== 'address') throw new Error('expected an address');
  const at = selection.va - (selection.va % 16);
  const [row] = inspect(session, 'bytes', [task.pid, at, 1]);
  const chain = inspect(session, 'chain', [{ kind: 'address', pid: task.pid, va: at }]);
  const [physical] = inspect(session, 'bytes', [0, chain.pfn * 4096 + (at % 4096), 1]);
  expect(row.bytes).toEqual(physical.bytes);
  expect(row.bytes.some((b) => b > 0)).toBe(true);
});

test.each(['va:1:c000000000', 'va:12:-3700000000', 'pa:3f17a00', 'slot:12'])(
  'a selection survives its text: %s',
  (text) => {
    expect(selectionText(parseSelection(text)!)).toBe(text);
  },
);

test.each(['', 'va:1', 'va:x:10', 'pa:', 'pa:zz', 'slot:-1', 'slot:1e9'])(
  'no selection: "%s"',
  (text) => {
    expect(parseSelection(text)).toBeUndefined();
  },
);
