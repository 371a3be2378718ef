// Who pins it: what is said to hold a place does, since without it the place is given back.

import { expect, test } from 'vitest';
import { GoHeap } from '../../../runtime/workload/go-heap.ts';
import type { Heap, Program } from '../../../runtime/workload/heap.ts';
import { inspect } from '../../../tools/inspect/index.ts';
import type { Pin, Pins } from '../../../tools/inspect/pins/pin.ts';
import { pinsText } from '../../../tools/pins-text.ts';
import { openSession, workloadSession } from '../../../tools/session/open.ts';
import { saveMachine } from '../../../tools/session/save.ts';
import type { Session } from '../../../tools/session/session.ts';

/** Many records in one list, one in 500 of them in another as well; then the first list goes. */
function keepSome(isDropped: boolean): Program {
  return (heap: Heap) => {
    const Node = heap.record('Node', { id: 'int', next: 'ref' });
    const nodes = heap.list('ref');
    const all = nodes.make();
    const some = nodes.make();
    heap.loop(30000, (i) => {
      const node = Node.make(i, 0);
      nodes.push(all, node);
      if (i % 500 === 0) nodes.push(some, node);
    });
    heap.drop(all);
    if (isDropped) heap.drop(some);
    if (heap instanceof GoHeap) heap.go.gc.collect(heap.go.procs[0]);
    return undefined;
  };
}

function ran(language: string, isDropped: boolean): Session {
  const session = workloadSession('keep', keepSome(isDropped), {
    case: language,
  });
  session.runToEndOfProcess();
  return session;
}

const pidOf = (s: Session): number => s.processes[0].task.pid;
const pinsOf = (s: Session, n: number): Pins => inspect(s, 'worstPins', [pidOf(s), n]);
const SPARSE = { go: 'span', python: 'arena', 'python:3.12': 'arena' } as const;

test.each(['go', 'python', 'python:3.12'] as const)('who holds sparse places: %s', (language) => {
  const session = ran(language, false);
  const kind = SPARSE[language];
  const total = pinsOf(session, 1).totals.find((t) => t.kind === kind)!;
  expect(total.places).toBeGreaterThan(2);
  expect(total.sparse).toBeGreaterThan(2);
  const held = (pin: Pin): boolean =>
    pin.holders.some((h) => h.path.some((p) => /Node|object of 16 bytes/.test(p)));
  const pins = pinsOf(session, 40).pins.filter((p) => p.kind === kind && held(p));
  expect(pins.length).toBeGreaterThan(1);
  for (const pin of pins) {
    for (const h of pin.holders.filter((x) => x.path.length > 0)) {
      expect(h.path[0]).toMatch(/^variable|^global|^the /);
      expect(h.address).toBeGreaterThanOrEqual(pin.address);
      expect(h.address).toBeLessThan(pin.address + pin.bytes);
    }
    const text = pinsText({ totals: [], pins: [pin] }).join('\n');
    expect(text).toContain(`${kind} 0x${pin.address.toString(16)}`);
  }
  // What is said to come free without the variable does so when it is dropped.
  const claimed = pins.filter((p) => p.roots.some((r) => r.frees && r.root.startsWith('variable')));
  expect(claimed.length).toBeGreaterThan(1);
  const without = ran(language, true);
  for (const { address } of claimed)
    expect(inspect(without, 'pinsAt', [pidOf(without), address]).pins).toEqual([]);
});

test.each(['go', 'python'])('a saved machine still says who holds what: %s', async (language) => {
  const session = ran(language, false);
  const bytes = await saveMachine(session, 'keep');
  const saved = await openSession('keep.machine', bytes, {});
  const before = pinsOf(session, 3);
  const after = pinsOf(saved, 3);
  expect(after.totals).toEqual(before.totals);
  expect(after.pins.map((p) => p.address)).toEqual(before.pins.map((p) => p.address));
});

test('a slab and a block of frames say whose their objects are', () => {
  const session = ran('go', false);
  const kernel = inspect(session, 'worstPins', [0, 3]);
  expect(kernel.pins.flatMap((p) => p.holders.flatMap((h) => h.path))).toContain('process 1 (go)');
  const [slab] = kernel.pins;
  expect(inspect(session, 'pinsAt', [pidOf(session), slab.address]).pins[0]).toEqual(slab);
  const frame = session.processes[0].task.mm.root * 4096;
  const [block] = inspect(session, 'pinsAt', [pidOf(session), frame]).pins;
  expect(block.kind).toBe('block of frames');
  expect(block.roots.map((r) => r.root)).toContain('page table');
  expect(block.roots.reduce((sum, r) => sum + r.blocks, 0)).toBe(block.blocks);
});
