// glibc's malloc: random calls under check(), and the rules that a program meets.

import seedrandom from 'seedrandom';
import { describe, expect, test } from 'vitest';
import { Malloc, StaticData } from '../../../runtime/index.ts';
import { FlatMemory } from '../../support/flat-memory.ts';

const KIB = 1024;

function heap(): { libc: Malloc; mem: FlatMemory } {
  const mem = new FlatMemory({ capacityBytes: 1 << 27 });
  const data = new StaticData(mem, 1 << 16);
  return { libc: new Malloc(mem, data.variable(Malloc.stateBytes)), mem };
}

describe('random calls', () => {
  test.each(['1', '2', '3', '4'])('contents stay, chunks tile, bins are whole: seed %s', (seed) => {
    const random = seedrandom(seed);
    const below = (n: number): number => Math.floor(random() * n);
    const { libc, mem } = heap();
    const live = new Map<number, { bytes: number; mark: number }>();
    const size = (): number => [below(100), below(1500), below(20000), below(300000)][below(4)] + 1;
    const put = (p: number, bytes: number): void => {
      const mark = below(1 << 30);
      mem.store32(p, mark);
      live.set(p, { bytes, mark });
    };
    for (let step = 0; step < 3000; step++) {
      const held = [...live.keys()];
      const p = held[below(held.length)] ?? 0;
      const roll = random();
      if (p === 0 || roll < 0.45) {
        const bytes = size() + 3;
        const q = roll < 0.05 ? libc.calloc(1, bytes) : libc.malloc(bytes);
        expect(q % 16).toBe(0);
        expect(live.has(q)).toBe(false);
        if (roll < 0.05) expect(mem.load32(q + bytes - (bytes % 4) - 4)).toBe(0);
        put(q, bytes);
      } else {
        expect(mem.load32(p)).toBe(live.get(p)?.mark);
        const mark = live.get(p)?.mark ?? 0;
        live.delete(p);
        if (roll < 0.65) {
          const bytes = size() + 3;
          const q = libc.realloc(p, bytes);
          expect(mem.load32(q)).toBe(mark);
          put(q, bytes);
        } else libc.free(p);
      }
      if (step % 50 === 0) libc.check();
    }
    for (const p of live.keys()) libc.free(p);
    libc.check();
  });
});

describe('rules', () => {
  test('the last freed of a size is the first used again', () => {
    const { libc } = heap();
    const [a, b] = [libc.malloc(100), libc.malloc(100)];
    libc.free(a);
    libc.free(b);
    expect([libc.malloc(100), libc.malloc(100)]).toEqual([b, a]);
  });

  test('what top cannot serve above 128 KiB is a mapping; freeing one raises the threshold', () => {
    const { libc } = heap();
    const a = libc.malloc(200 * KIB);
    expect(a % 4096).toBe(16);
    expect(libc.mmaps).toBe(1);
    libc.free(a);
    expect(libc.mmaps).toBe(0);
    expect(libc.mmapThreshold).toBe(204 * KIB);
    expect(libc.trimThreshold).toBe(408 * KIB);
    libc.malloc(200 * KIB);
    expect(libc.mmaps).toBe(0);
  });

  test('the break grows by 132 KiB at first, and the first block lies behind the tcache', () => {
    const { libc, mem } = heap();
    const start = mem.brk(0);
    const a = libc.malloc(24);
    expect(libc.heapBytes).toBe(132 * KIB);
    expect(a).toBe(start + 0x290 + 16);
  });

  test('a large free end of the heap goes back to the kernel', () => {
    const { libc } = heap();
    const blocks = Array.from({ length: 40 }, () => libc.malloc(20000));
    const grown = libc.heapBytes;
    for (const p of blocks) libc.free(p);
    expect(libc.heapBytes).toBeLessThan(grown / 3);
    libc.check();
  });
});
