// Random addresses of a process: their bounds, what one seed gives, and what real execs showed.

import seedrandom from 'seedrandom';
import { expect, test } from 'vitest';
import { newProcess } from '../../runtime/process-memory.ts';
import { BRK_RANGE, PIE_BASE, layoutOf } from '../../userspace/aslr.ts';
import { fsckSystem } from '../../userspace/fsck.ts';
import { procMaps } from '../../userspace/proc.ts';
import { System } from '../../userspace/system.ts';

const TOP = 0x7ffffffff000;
const STACK_LIMIT = 8 << 20;
const draw = (seed: string): ReturnType<typeof layoutOf> =>
  layoutOf(seedrandom.alea(seed), STACK_LIMIT);

/** Least and most of 400 runs of /bin/cat on Linux 6.18, vm.mmap_rnd_bits 28, as maps showed them. */
const SEEN = {
  loadBias: [0x5555b2c58000 - PIE_BASE, 0x565445081000 - PIE_BASE],
  brkGap: [0x1b7000, 0x3fedc000],
  stackTop: [0x7ffc00142000, 0x7fffffdd2000],
  mmapBase: [0x7efc0654e000, 0x7ffb01b6c000],
} as const;

test('without randomness the addresses are the well-known ones', () => {
  expect(layoutOf(null, STACK_LIMIT)).toEqual({
    stackTop: TOP,
    startStack: TOP - 16,
    mmapBase: 0x7ffff7fff000,
    loadBias: 0,
    brkGap: 0,
  });
  expect(layoutOf(null, 256 << 20).mmapBase).toBe(TOP - (257 << 20));
  expect(layoutOf(null, Infinity).mmapBase).toBe(0x155555556000);
});

test('5,000 draws keep the widths and gaps of Linux, and reach near both ends of each', () => {
  const low: Record<string, number> = {};
  const high: Record<string, number> = {};
  for (let i = 0; i < 5000; i++) {
    const layout = draw(`bounds ${i}`);
    expect(layout.stackTop - layout.mmapBase).toBeGreaterThanOrEqual(STACK_LIMIT + (1 << 20));
    expect(layout.startStack % 16).toBe(0);
    expect(layout.stackTop - layout.startStack).toBeLessThanOrEqual(8192 + 32);
    for (const [key, value] of Object.entries(layout) as [string, number][]) {
      low[key] = Math.min(low[key] ?? Infinity, value);
      high[key] = Math.max(high[key] ?? 0, value);
      if (key !== 'startStack') expect(value % 4096).toBe(0);
    }
  }
  const gap = STACK_LIMIT + (1 << 20) + 0x3fffff * 4096;
  const ends = {
    loadBias: [0, 2 ** 40],
    brkGap: [0, BRK_RANGE],
    stackTop: [TOP - 2 ** 34, TOP],
    mmapBase: [TOP - gap - 2 ** 40, TOP - gap],
  } as const;
  for (const key of Object.keys(ends) as (keyof typeof ends)[]) {
    const [least, most] = ends[key];
    const [seenLeast, seenMost] = SEEN[key];
    expect(low[key]).toBeGreaterThanOrEqual(least);
    expect(high[key]).toBeLessThanOrEqual(most);
    expect(low[key] - least).toBeLessThan((most - least) / 100);
    expect(most - high[key]).toBeLessThan((most - least) / 100);
    expect(seenLeast, `${key} of a real exec`).toBeGreaterThanOrEqual(least);
    expect(seenMost, `${key} of a real exec`).toBeLessThanOrEqual(most);
  }
});

test('one seed gives one layout; another another; the machine stays sound', () => {
  const maps = (seed?: string): string => {
    const random = seed === undefined ? {} : { random: seedrandom.alea(seed) };
    const system = new System({ ram: 64 << 20, ...random });
    const first = newProcess(system, 'first');
    const second = newProcess(system, 'second');
    if (seed !== undefined) expect(second.mm.mmapBase).not.toBe(first.mm.mmapBase);
    const child = system.fork(first);
    expect(child.mm.mmapBase).toBe(first.mm.mmapBase);
    fsckSystem(system);
    return procMaps(first.mm) + procMaps(second.mm);
  };
  expect(maps('a')).toBe(maps('a'));
  expect(maps('a')).not.toBe(maps('b'));
  expect(maps()).toContain('7ffff7ffd000-7ffff7fff000 r-xp');
  expect(maps()).toContain('7ffffffde000-7ffffffff000 rw-p');
});
