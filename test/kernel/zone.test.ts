import { describe, expect, test } from 'vitest';
import { bootMemory } from '../../kernel/boot.ts';
import {
  GFP_ATOMIC,
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  __GFP_DMA,
  __GFP_KSWAPD_RECLAIM,
  __GFP_MEMALLOC,
  __GFP_RECLAIMABLE,
} from '../../kernel/gfp.ts';
import {
  MIGRATE_HIGHATOMIC,
  MIGRATE_MOVABLE,
  MIGRATE_RECLAIMABLE,
  MIGRATE_UNMOVABLE,
} from '../../kernel/migrate_type.ts';
import type { PageAllocator } from '../../kernel/page_alloc.ts';
import { WMARK_HIGH, WMARK_LOW, WMARK_MIN } from '../../kernel/zone.ts';

const boot = (): PageAllocator => bootMemory({ ram: 256 * 2 ** 20 }).alloc;

/** Allocates single frames until there are no more; returns how many. */
function exhaust(alloc: PageAllocator, gfp: number): number {
  let n = 0;
  while (alloc.alloc(gfp, 0) >= 0) n++;
  return n;
}

describe('watermarks', () => {
  test('ordinary ones stop at min, atomic ones below, those that free memory nowhere', () => {
    const alloc = boot();
    const [, dma32] = alloc.zones;
    const min = dma32.mark(WMARK_MIN);
    const slack = 64; // a batch may go to a per-CPU list at once
    exhaust(alloc, GFP_KERNEL);
    expect(dma32.free).toBeLessThanOrEqual(min + 1);
    expect(dma32.free).toBeGreaterThan(min - slack);
    expect(exhaust(alloc, __GFP_KSWAPD_RECLAIM)).toBe(0); // not waiting alone gives no right
    exhaust(alloc, GFP_ATOMIC);
    const half = Math.ceil(dma32.mark(WMARK_MIN) / 2); // claims have raised min meanwhile
    expect(dma32.free).toBeLessThanOrEqual(half - (half >> 2) + 1);
    expect(dma32.free).toBeGreaterThan(0);
    exhaust(alloc, GFP_KERNEL | __GFP_MEMALLOC);
    expect(dma32.free).toBe(0);
    alloc.check();
  });

  test('memory that only DMA has is kept for those who need it', () => {
    const alloc = boot();
    const [dma] = alloc.zones;
    exhaust(alloc, GFP_KERNEL);
    expect(dma.free).toBeGreaterThanOrEqual(dma.watermark[WMARK_MIN] + dma.protection[2] - 2);
    expect(exhaust(alloc, GFP_KERNEL | __GFP_DMA | __GFP_MEMALLOC)).toBeGreaterThan(
      dma.protection[2] - 2,
    );
  });

  test('kswapd is woken when low is reached, and asked once for a boost', () => {
    const alloc = boot();
    const [, dma32] = alloc.zones;
    let woken = 0;
    let freeThen = 0;
    alloc.walk.pressure = {
      reclaim: () => 0,
      compact: () => false,
      wakeKswapd: (zone) => {
        if (zone === dma32 && woken++ === 0) freeThen = zone.free;
      },
    };
    exhaust(alloc, GFP_KERNEL);
    expect(woken).toBeGreaterThan(0);
    expect(freeThen).toBeLessThanOrEqual(dma32.mark(WMARK_HIGH));
    expect(dma32.watermark[WMARK_LOW]).toBeGreaterThan(dma32.watermark[WMARK_MIN]);
  });

  test('what is reclaimed is handed out', () => {
    const alloc = boot();
    const held: number[] = [];
    for (let pfn = alloc.alloc(GFP_KERNEL, 0); pfn >= 0; pfn = alloc.alloc(GFP_KERNEL, 0)) {
      held.push(pfn);
    }
    alloc.walk.pressure = {
      compact: () => false,
      wakeKswapd: () => undefined,
      reclaim: () => {
        const some = held.splice(0, 32);
        for (const pfn of some) alloc.free(pfn as never, 0);
        return some.length;
      },
    };
    expect(alloc.alloc(GFP_KERNEL, 0)).toBeGreaterThan(0);
    expect(alloc.walk.nrStall).toBeGreaterThan(0);
  });
});

describe('migrate types', () => {
  test('unmovable pages take over whole pageblocks, not single pages of movable ones', () => {
    const alloc = boot();
    const blocks = new Set<number>();
    for (let i = 0; i < 1024; i++) blocks.add(alloc.alloc(GFP_KERNEL, 0) >> 9);
    expect(blocks.size).toBeLessThanOrEqual(4);
    for (const block of blocks) {
      expect(alloc.tables.typeOf(block << 9)).toBe(MIGRATE_UNMOVABLE);
    }
    const movable = alloc.alloc(GFP_HIGHUSER_MOVABLE, 0);
    expect(alloc.tables.typeOf(movable)).toBe(MIGRATE_MOVABLE);
    expect(blocks.has(movable >> 9)).toBe(false);
    const slab = alloc.alloc(GFP_KERNEL | __GFP_RECLAIMABLE, 0);
    expect(alloc.tables.typeOf(slab)).toBe(MIGRATE_RECLAIMABLE);
    alloc.check();
  });

  test('an atomic allocation of higher order sets a pageblock aside, until memory is short', () => {
    const alloc = bootMemory({ ram: 2 ** 30 }).alloc;
    const [, dma32] = alloc.zones;
    // down to the reserves, so that the atomic path is taken
    exhaust(alloc, GFP_HIGHUSER_MOVABLE);
    const pfn = alloc.alloc(GFP_ATOMIC, 2);
    expect(pfn).toBeGreaterThan(0);
    expect(alloc.tables.typeOf(pfn)).toBe(MIGRATE_HIGHATOMIC);
    expect(dma32.highAtomic).toBe(512);
    alloc.check();
  });
});
