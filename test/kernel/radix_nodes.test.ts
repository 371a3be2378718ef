// Nodes of page-cache trees: as many as a real Linux 6.18 took for files with pages at the same
// indexes (the growth of radix_tree_node in /proc/slabinfo over thousands of files), and after each
// of many random changes as many as a tree of these entries must have.

import seedrandom from 'seedrandom';
import { expect, test } from 'vitest';
import { Machine } from '../../kernel/machine.ts';
import { PageCache } from '../../kernel/pagecache.ts';
import { below } from '../../kernel/prng.ts';
import { objectsInUse } from '../../kernel/slab_inspect.ts';
import type { Pfn } from '../../kernel/types.ts';

function newCache(): { cache: PageCache; inUse: () => number } {
  const nodes = new Machine({ ram: 2 ** 27 }).slab.cache('radix_tree_node');
  return { cache: new PageCache(nodes), inUse: () => objectsInUse(nodes) };
}

test.each([
  [[0], 0],
  [[0, 1], 1],
  [[5], 1],
  [[0, 63], 1],
  [[0, 64], 3],
  [[64], 2],
  [[0, 5000], 5],
  [[5000], 3],
  [[1, 300000], 7],
  [[0, 1, 70, 4100], 6],
])('pages at %j take %i nodes', (indexes, nodes) => {
  const { cache, inUse } = newCache();
  for (const index of indexes) cache.add(index, 1 as Pfn);
  expect(cache.nrNodes).toBe(nodes);
  expect(inUse()).toBe(nodes);
  for (const index of indexes) cache.remove(index);
  expect(inUse()).toBe(0);
});

/** What a tree with these entries has: a node for each part of its index space that has one. */
function expected(entries: ReadonlySet<number>): number {
  const highest = Math.max(...entries);
  if (entries.size === 0 || highest === 0) return 0;
  let nodes = 0;
  for (let span = 64; ; span *= 64) {
    nodes += new Set([...entries].map((index) => Math.floor(index / span))).size;
    if (highest < span) return nodes;
  }
}

test('random pages and shadows: the nodes are those of what is there', () => {
  const prng = seedrandom('3');
  const { cache, inUse } = newCache();
  const entries = new Set<number>();
  const reaches = [2, 70, 300, 5000, 300_000];
  for (let step = 0; step < 4000; step++) {
    const index = below(prng, reaches[below(prng, reaches.length)]);
    const known = [...entries];
    const some = known[below(prng, Math.max(1, known.length))] ?? 0;
    const grow = Math.floor(step / 300) % 2 === 0 ? 0.6 : 0.3;
    if (prng() < grow) {
      if (cache.get(index) < 0) cache.add(index, 7 as Pfn);
      entries.add(index);
    } else if (prng() < 0.2) {
      cache.remove(some, 9); // its shadow stays
    } else {
      cache.remove(some);
      cache.dropShadows(some, some + 1);
      entries.delete(some);
    }
    if (cache.nrNodes !== expected(entries)) {
      expect(cache.nrNodes, `step ${step}`).toBe(expected(entries));
    }
  }
  expect(inUse()).toBe(expected(entries));
  cache.destroy();
  expect(inUse()).toBe(0);
});
