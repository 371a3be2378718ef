// PAGEWALK_STEPS=1000000 runs the random test that long. check() follows each step; the number of
// frames lost is a difference of numbers, so that a million steps take minutes.

import seedrandom from 'seedrandom';
import { expect, test } from 'vitest';
import { bootMemory } from '../../kernel/boot.ts';
import * as gfp from '../../kernel/gfp.ts';
import { below, pick } from '../../kernel/prng.ts';
import { type Pfn, MAX_ORDER } from '../../kernel/types.ts';

const STEPS = Number(process.env['PAGEWALK_STEPS'] ?? 5000);

const FLAGS = [
  gfp.GFP_KERNEL,
  gfp.GFP_ATOMIC,
  gfp.GFP_USER,
  gfp.GFP_HIGHUSER_MOVABLE,
  gfp.GFP_KERNEL | gfp.__GFP_RECLAIMABLE,
  gfp.GFP_KERNEL | gfp.__GFP_DMA,
  gfp.GFP_KERNEL | gfp.__GFP_DMA32,
  gfp.GFP_KERNEL | gfp.__GFP_ZERO,
  gfp.GFP_KERNEL | gfp.__GFP_COMP,
  gfp.GFP_HIGHUSER_MOVABLE | gfp.__GFP_COMP,
];

test('random allocations of all orders, types and flags lose no frame and break no list', () => {
  const prng = seedrandom('42');
  const { alloc, memblock, pages } = bootMemory({ ram: 80 * 2 ** 20, cpus: 3 });
  const all = alloc.freePages;
  const held: { pfn: Pfn; order: number }[] = [];
  let out = 0;
  for (let step = 0; step < STEPS; step++) {
    alloc.cpu = below(prng, 3);
    // grow and shrink in waves, so that memory runs out now and then
    const grow = Math.floor(step / 4000) % 2 === 0 ? 0.7 : 0.3;
    if (held.length === 0 || prng() < grow) {
      const order = prng() < 0.7 ? 0 : below(prng, MAX_ORDER + 1);
      const pfn = alloc.alloc(pick(prng, FLAGS), order);
      if (pfn < 0) continue;
      if (pages.refcount(pfn) !== 1) expect(pages.refcount(pfn)).toBe(1);
      if (memblock.areaOf(pfn) !== undefined) expect(memblock.areaOf(pfn)).toBeUndefined();
      held.push({ pfn, order });
      out += 1 << order;
    } else {
      const at = below(prng, held.length);
      const { pfn, order } = held[at];
      held[at] = held[held.length - 1];
      held.pop();
      alloc.free(pfn, order);
      out -= 1 << order;
    }
    alloc.check();
    let lost = all - out - alloc.freePages;
    for (const zone of alloc.zones) for (const pcp of zone.pcp) lost -= pcp.count;
    if (lost !== 0) expect(lost, `step ${step}`).toBe(0);
  }
  for (const { pfn, order } of held) alloc.free(pfn, order);
  alloc.drainAll();
  alloc.check();
  expect(alloc.freePages).toBe(all);
  // all has merged again: no zone has two free blocks where one would do (check() says so), and
  // the large blocks are back
  for (const zone of alloc.zones) expect(zone.buddy.nrFree(MAX_ORDER)).toBeGreaterThan(0);
}, 3_600_000);

test('a machine of 1 TiB boots without touching its mem_map', () => {
  const { alloc, pages } = bootMemory({ ram: 2 ** 40 });
  expect(alloc.managedPages).toBeGreaterThan(2 ** 28 * 0.98);
  const pfn = alloc.alloc(gfp.GFP_HIGHUSER_MOVABLE, 0);
  expect(pages.refcount(pfn)).toBe(1);
  alloc.free(pfn, 0);
});
