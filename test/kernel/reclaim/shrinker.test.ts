// How hard shrinkers are pressed: the figures follow do_shrink_slab()'s arithmetic.

import { expect, test } from 'vitest';
import { Shrinkers, type Shrinker } from '../../../kernel/reclaim/shrinker.ts';
import { SLABS_SCANNED, VmStat } from '../../../kernel/stats.ts';

/** A cache of objects that can all go, and the sizes of the scans that it was asked for. */
function cacheOf(objects: number, more: Partial<Shrinker> = {}): Shrinker & { scans: number[] } {
  const scans: number[] = [];
  return {
    name: 'test',
    seeks: 2,
    scans,
    count: () => objects,
    scan: (n) => {
      scans.push(n);
      const freed = Math.min(n, objects);
      objects -= freed;
      return freed;
    },
    ...more,
  };
}

function shrinkers(...all: Shrinker[]): { stat: VmStat; shrinkers: Shrinkers } {
  const stat = new VmStat();
  const shrinkers = new Shrinkers(stat);
  for (const shrinker of all) shrinkers.register(shrinker);
  return { stat, shrinkers };
}

test('a round takes twice the count in 2^priority, in whole batches', () => {
  const cache = cacheOf(10_000);
  const { stat, shrinkers: s } = shrinkers(cache);
  expect(s.shrink(5)).toBe(512); // 10000 >> 5 = 312, times 4 / 2 = 624
  expect(cache.scans).toEqual([128, 128, 128, 128]);
  expect(stat.counts[SLABS_SCANNED]).toBe(512);
});

test('what makes no batch is deferred, and comes with the pressure', () => {
  const cache = cacheOf(4096);
  const { shrinkers: s } = shrinkers(cache);
  for (let i = 0; i < 10; i++) expect(s.shrink(12)).toBe(0); // 2 each: 20 deferred
  expect(s.shrink(6)).toBe(128); // 2 * (4096 >> 6) + (20 >> 6)
  expect(cache.scans).toEqual([128]);
});

test('few objects go in the last round, all of them at once', () => {
  const cache = cacheOf(20, { batch: 1024 });
  const { stat, shrinkers: s } = shrinkers(cache);
  expect([3, 2, 1].map((priority) => s.shrink(priority))).toEqual([0, 0, 20]);
  expect(cache.scans).toEqual([27]); // 2 * (20 >> 1), and half of what was deferred, 4 and 10
  expect(stat.counts[SLABS_SCANNED]).toBe(27);
  expect(s.shrink(0)).toBe(0); // nothing is left
});

test('objects that cost nothing to make again are pressed harder', () => {
  const cache = cacheOf(10_000, { seeks: 1 });
  expect(shrinkers(cache).shrinkers.shrink(5)).toBe(9 * 128); // 312 * 4
});
