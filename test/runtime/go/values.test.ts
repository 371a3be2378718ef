// Channels, sync.Pool, finalizers, cleanups, weak pointers: what they allocate, when they die.

import { describe, expect, test } from 'vitest';
import { Channels } from '../../../runtime/go/chan.ts';
import { readMemStats, readMetrics } from '../../../runtime/go/mstats.ts';
import { Pools } from '../../../runtime/go/pool.ts';
import { go119, go126, go19, type GoProfile } from '../../../runtime/go/profile.ts';
import { GoRuntime } from '../../../runtime/go/runtime.ts';
import { FlatMemory } from '../../support/flat-memory.ts';

function newRuntime(profile: GoProfile, procs = 1): GoRuntime {
  const memory = new FlatMemory({ capacityBytes: 128 << 20 });
  return new GoRuntime(memory, { profile, gcPercent: -1, procs });
}

/** Objects by size that `body` makes. */
function made(go: GoRuntime, body: () => void): [number, number][] {
  const before = new Map(readMemStats(go).BySize.map(([size, mallocs]) => [size, mallocs]));
  body();
  return readMemStats(go)
    .BySize.map(([size, n]): [number, number] => [size, n - (before.get(size) ?? 0)])
    .filter(([, n]) => n > 0);
}

describe.each([go19, go119, go126])('$name', (profile) => {
  // What make(chan int), make(chan int, 10), make(chan *int, 10) cost on real runtimes.
  const header = profile === go126 ? 112 : 96;
  test.each([
    ['chan int', false, 0, [[header, 1]]],
    ['chan int, 10', false, 10, [[header + 80, 1]]],
    ['chan *int', true, 0, [[header, 1]]],
    [
      'chan *int, 10',
      true,
      10,
      [
        [80, 1],
        [header, 1],
      ],
    ],
  ])('make(%s)', (_name, pointers, size, expected) => {
    const go = newRuntime(profile);
    const channels = new Channels(go);
    const type = pointers ? go.types.leading(8, 1) : 0;
    expect(made(go, () => channels.make(8, type, size))).toEqual(
      expected.map(([bytes, n]) => [bytes === 192 && profile !== go126 ? 176 : bytes, n]),
    );
  });

  test('a channel is a queue that keeps its values alive, and clears what it gave', () => {
    const go = newRuntime(profile);
    const channels = new Channels(go);
    const type = go.types.leading(8, 1);
    const [c, value, out] = [go.newGlobal(), go.newGlobal(), go.newGlobal()];
    go.storePointer(c, channels.make(8, type, 3));
    const ch = go.loadPointer(c);
    const sent: number[] = [];
    for (let round = 0; round < 5; round++) {
      for (;;) {
        const object = go.new(64);
        go.mem.store64(object, object);
        go.storePointer(value, object);
        if (!channels.send(ch, value, type)) break;
        sent.push(object);
        channels.check(ch);
      }
      go.storePointer(value, 0);
      go.collect();
      expect(channels.length(ch)).toBe(3);
      for (let i = 0; i < 2; i++) {
        expect(channels.receive(ch, out, type)).toBe(true);
        expect(go.loadPointer(out)).toBe(sent.shift());
        expect(go.mem.load64(go.loadPointer(out)), 'its object lived').toBe(go.loadPointer(out));
        channels.check(ch);
      }
    }
    expect(channels.receive(ch, out, type)).toBe(true);
    go.storePointer(out, 0);
    channels.close(ch);
    expect(channels.receive(ch, out, type)).toBe(false);
    const before = readMemStats(go).HeapObjects;
    expect(() => channels.send(ch, value, type)).toThrow('send on closed channel');
    go.collect();
    expect(readMemStats(go).HeapObjects, 'what was received is garbage').toBeLessThan(before);
  });

  test('sync.Pool: rings of 8, 16, 32; kept over one collection, gone after two', () => {
    const go = newRuntime(profile);
    const pool = new Pools(go).add(() => go.new(32));
    const objects = Array.from({ length: 40 }, () => {
      const slot = go.newGlobal();
      go.storePointer(slot, go.new(32));
      return slot;
    });
    const cost = made(go, () => {
      for (const slot of objects) pool.put(go.loadPointer(slot));
    });
    // As real runtimes: 128 for the processor; 48 for each ring; 8, 16 and 32 places of 16 bytes.
    expect(cost).toEqual([
      [48, 3],
      [128, 2],
      [256, 1],
      [512, 1],
    ]);
    const all = objects.map((slot) => go.loadPointer(slot));
    for (const slot of objects) go.storePointer(slot, 0);
    // The private place first, then the newest.
    expect([pool.get(), pool.get(), pool.get()]).toEqual([all[0], all[39], all[38]]);
    go.collect();
    expect([pool.get(), pool.hits, pool.misses]).toEqual([all[1], 4, 0]);
    go.collect();
    expect(all).not.toContain(0);
    pool.get();
    expect(pool.misses).toBe(1);
  });

  test('a processor that has none takes from the others, the oldest first', () => {
    const go = newRuntime(profile, 2);
    const pool = new Pools(go).add();
    const put = [0, 1, 2].map(() => go.new(48));
    for (const object of put) pool.put(object, 0);
    expect([pool.get(1), pool.get(1), pool.get(1)]).toEqual([put[1], put[2], 0]);
    expect(pool.get(0)).toBe(put[0]);
  });

  test('a finalizer keeps its object one cycle more, and may revive it', () => {
    const go = newRuntime(profile);
    const child = go.new(32);
    const slot = go.newGlobal();
    const object = go.new(64, go.types.leading(64, 8));
    go.storePointer(slot, object);
    go.storePointer(object, child);
    const ran: number[] = [];
    go.specials.setFinalizer(object, (o) => ran.push(o));
    expect(() => {
      go.specials.setFinalizer(object, () => undefined);
    }).toThrow('already set');
    const weak = go.newGlobal();
    go.storePointer(weak, go.weakPointer(object));
    expect(go.weakPointer(object), 'one handle for all').toBe(go.loadPointer(weak));
    go.collect();
    expect([ran, go.specials.weakValue(go.loadPointer(weak))]).toEqual([[], object]);
    go.storePointer(slot, 0);
    go.collect();
    expect(go.specials.weakValue(go.loadPointer(weak)), 'nil before the finalizer runs').toBe(0);
    expect(go.loadPointer(object), 'whole').toBe(child);
    const { HeapObjects } = readMemStats(go);
    go.specials.check();
    expect(go.specials.run()).toBe(1);
    expect(ran).toEqual([object]);
    go.collect();
    // The object, its child, and nothing else.
    expect(readMemStats(go).HeapObjects).toBe(HeapObjects - 2);
  });

  test('cleanups: any number, when the object is gone', () => {
    const go = newRuntime(profile);
    const slot = go.newGlobal();
    const object = go.new(4000);
    go.storePointer(slot, object);
    const ran: string[] = [];
    go.specials.addCleanup(object, () => ran.push('a'));
    go.specials.addCleanup(object + 8, () => ran.push('b'));
    go.collect();
    expect(go.specials.pending).toBe(0);
    go.storePointer(slot, 0);
    go.collect();
    const queued = '/gc/cleanups/queued:cleanups';
    const executed = '/gc/cleanups/executed:cleanups';
    expect(readMetrics(go)).toMatchObject({ [queued]: 2, [executed]: 0 });
    go.specials.run();
    expect(readMetrics(go)).toMatchObject({ [queued]: 2, [executed]: 2 });
    expect(ran).toEqual(['a', 'b']);
  });
});
