// Go 1.9: the linear arena, its spans and bitmap areas, free lists and the treap, the ratio pacer.

import { describe, expect, test } from 'vitest';
import seedrandom from 'seedrandom';
import {
  LINEAR_ARENA_BYTES,
  LINEAR_ARENA_START,
  LINEAR_BASE,
  LINEAR_BITMAP_BYTES,
  LINEAR_SPANS_BYTES,
} from '../../../runtime/go/linear.ts';
import { SPAN_STACK } from '../../../runtime/go/mheap.ts';
import { FREE } from '../../../runtime/go/mspan.ts';
import { readMemStats } from '../../../runtime/go/mstats.ts';
import { go19 } from '../../../runtime/go/profile.ts';
import { GoRuntime } from '../../../runtime/go/runtime.ts';
import { FlatMemory } from '../../support/flat-memory.ts';

const MIB = 2 ** 20;

function newRuntime(calls: string[] = []): GoRuntime {
  const memory = new FlatMemory({ capacityBytes: 256 << 20 });
  const onCall = (line: string): void => void calls.push(line);
  return new GoRuntime(memory, { profile: go19, gcPercent: -1, onCall });
}

test('the layout is the published one', () => {
  expect(LINEAR_ARENA_BYTES).toBe(512 * 2 ** 30);
  expect(LINEAR_SPANS_BYTES).toBe(512 * MIB);
  expect(LINEAR_BITMAP_BYTES).toBe(16 * 2 ** 30);
  expect(LINEAR_BASE.toString(16)).toBe('c000000000');
  expect(LINEAR_ARENA_START.toString(16)).toBe('c420000000');
  expect(newRuntime().central).toHaveLength(134);
});

test('the area is probed; 1 MiB of the heap comes with its bitmap and spans', () => {
  const calls: string[] = [];
  const go = newRuntime(calls);
  expect(go.new(144)).toBe(0xc420000000);
  const fixed = calls.filter((c) => c.includes('0xc'));
  const rw = 'PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0';
  expect(fixed).toEqual([
    'mmap(0xc000000000, 65536, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0xc000000000',
    'munmap(0xc000000000, 65536) = 0',
    `mmap(0xc420000000, 1048576, ${rw}) = 0xc420000000`,
    `mmap(0xc41fff8000, 32768, ${rw}) = 0xc41fff8000`,
    `mmap(0xc000000000, 4096, ${rw}) = 0xc000000000`,
  ]);
  // Nothing of it was given back: fresh memory is idle, not released.
  expect(readMemStats(go).HeapReleased).toBe(0);
  expect(readMemStats(go).HeapIdle).toBe(MIB - 8192);
});

test('two bits a word, backwards before the arena; the second word has no high bit', () => {
  const go = newRuntime();
  const at = go.new(48, go.types.leading(48, 4));
  const byte = (i: number): number => go.mem.load8(at - 1 - i);
  expect([byte(0), byte(1)]).toEqual([0b1101_1111, 0b0000_0000]);
  // Three words, the first and the third pointers, in a slot of four.
  const mask = Int32Array.of(0b101);
  const next = go.new(24, go.types.add({ name: 'odd', bytes: 24, ptrWords: 3, mask }));
  const bits = go.mem.load8(0xc420000000 - 1 - (next - 0xc420000000) / 32);
  expect(bits).toBe(0b0101_0101);
});

test('each page points to its span; a free span is known at its ends', () => {
  const go = newRuntime();
  const { heap, mem } = go;
  const at = go.new(24576);
  const s = heap.pageSpan[(at - go.sys.heapBase) >>> 13];
  for (let page = 0; page < 3; page++)
    expect(mem.load64(0xc000000000 + page * 8)).toBe(heap.spans.record[s]);
  const rest = heap.pageSpan[((at - go.sys.heapBase) >>> 13) + 3];
  expect(heap.spans.state[rest]).toBe(FREE);
  expect(heap.spans.npages[rest]).toBe(125);
  expect(mem.load64(0xc000000000 + 127 * 8)).toBe(heap.spans.record[rest]);
});

describe('pages: any spans taken and given back, against a slow model', () => {
  test.each(['a', 'b', 'c'])('seed %s', (seed) => {
    const random = seedrandom(seed);
    const go = newRuntime();
    const { heap } = go;
    const held: number[] = [];
    for (let i = 0; i < 1500; i++) {
      if (random() < 0.55 || held.length === 0) {
        const npages = Math.ceil(random() < 0.8 ? random() * 12 : random() * 400);
        const free = freeSpans(go);
        const grows = heap.grows;
        const s = heap.allocManual(go.procs[0], npages, SPAN_STACK);
        const fits = free.filter((f) => f.npages >= npages).map((f) => f.npages);
        if (fits.length === 0) expect(heap.grows).toBe(grows + 1);
        else {
          // Best fit: it was cut from a smallest one that is large enough.
          const from = free.find((f) => f.start === heap.spans.start[s]);
          expect(from?.npages).toBe(Math.min(...fits));
        }
        held.push(s);
      } else {
        const i = Math.floor(random() * held.length);
        go.freeStack(held[i]);
        held.splice(i, 1);
      }
      if (i % 50 === 0) heap.check(go.procs);
      if (i % 400 === 399) go.scavenger.scavenge(Infinity, true);
    }
    for (const s of held) go.freeStack(s);
    heap.check(go.procs);
    expect(freeSpans(go)).toHaveLength(1); // all merged
  });
});

function freeSpans(go: GoRuntime): { start: number; npages: number }[] {
  const { spans } = go.heap;
  const found = [];
  for (let s = 1; s < spans.count; s++)
    if (spans.state[s] === FREE) found.push({ start: spans.start[s], npages: spans.npages[s] });
  return found;
}

test('check() finds two free neighbours', () => {
  const go = newRuntime();
  const a = go.newStack(4);
  const b = go.newStack(4);
  go.newStack(4);
  go.freeStack(a);
  go.heap.spans.state[a] = 0; // hides it from its neighbour
  go.freeStack(b);
  go.heap.spans.state[a] = FREE;
  expect(() => {
    go.heap.check(go.procs);
  }).toThrow('neighbours');
});

test('spans that were given back: HeapReleased, and used again as a whole', () => {
  const go = newRuntime();
  go.new(MIB);
  go.collect();
  const idle = readMemStats(go).HeapIdle;
  expect(idle).toBeGreaterThanOrEqual(MIB);
  go.freeOSMemory();
  expect(readMemStats(go).HeapReleased).toBe(readMemStats(go).HeapIdle);
  go.new(16);
  expect(readMemStats(go).HeapReleased).toBe(0);
});

test('free for five minutes: the background gives it back', () => {
  const go = newRuntime();
  const { lists } = go.heap;
  if (lists === null) throw new Error('go1.9 has free lists');
  go.new(MIB);
  lists.now = 1e9;
  go.collect();
  lists.now = 200e9;
  expect(go.scavenger.background()).toBe(0);
  lists.now = 302e9;
  expect(go.scavenger.background()).toBeGreaterThanOrEqual(MIB);
});

test('the first collection starts at 4 MiB; the trigger keeps below the goal', () => {
  const memory = new FlatMemory({ capacityBytes: 256 << 20 });
  const go = new GoRuntime(memory, { profile: go19 });
  go.gc.stopTheWorld = true;
  const started: number[] = [];
  go.gc.onStart = () => started.push(go.pacer.heapLive);
  for (let i = 0; i < 8000; i++) {
    const at = go.new(1024);
    if (i % 2 === 0) go.storePointer(go.newGlobal(), at);
  }
  expect(started[0]).toBeGreaterThanOrEqual(4 * MIB);
  expect(started[0]).toBeLessThan(4 * MIB + 8192 + 64);
  expect(started.length).toBeGreaterThan(1);
  expect(go.pacer.trigger).toBeLessThanOrEqual(go.pacer.heapGoal);
  expect(go.pacer.heapGoal).toBe(Math.max(4 * MIB, 2 * go.pacer.heapMarked));
});
