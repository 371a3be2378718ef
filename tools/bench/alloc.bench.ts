// The kernel's allocators against a buddy allocator in C: 1 GiB of frames, orders 0..10.

import { GFP_KERNEL } from '../../kernel/gfp.ts';
import { Machine } from '../../kernel/machine.ts';
import { MIGRATE_MOVABLE } from '../../kernel/migrate_type.ts';
import { MAX_ORDER, NO_PFN, type PhysAddr } from '../../kernel/types.ts';
import type { BenchCase, Subject } from './bench.ts';
import { Xorshift } from './xorshift.ts';

const PAIRS = 4096;
// copies: an imported constant is a load and a check in the loops measured
const GFP = GFP_KERNEL;
const MOVABLE = MIGRATE_MOVABLE;

function newMachine(): Machine {
  return new Machine({ ram: 2 ** 30 + 2 ** 28 });
}

/**
 * The zone's own lists, with free blocks of 4 MiB alone: each frame taken halves one ten times, and
 * each frame given back merges ten times. Per-CPU lists would hide all of it.
 */
function cascade(): Subject {
  const { alloc } = newMachine();
  alloc.drainAll();
  const zone = alloc.zones.reduce((a, b) => (a.free > b.free ? a : b));
  const { buddy } = zone;
  for (let order = 0; order < MAX_ORDER; order++) {
    while (!buddy.isEmpty(order, MIGRATE_MOVABLE)) buddy.take(order, MIGRATE_MOVABLE);
  }
  return {
    ops: PAIRS,
    run: () => {
      let sum = 0;
      for (let i = 0; i < PAIRS; i++) {
        const pfn = buddy.take(0, MOVABLE);
        sum = (sum + pfn) | 0;
        buddy.release(pfn, 0);
      }
      if (!buddy.isEmpty(MAX_ORDER - 1, MOVABLE)) throw new Error('a block was not merged');
      return sum;
    },
  };
}

/** One frame allocated and freed again: the per-CPU list alone. */
function pair(): Subject {
  const { alloc } = newMachine();
  return {
    ops: PAIRS,
    run: () => {
      let sum = 0;
      for (let i = 0; i < PAIRS; i++) {
        const pfn = alloc.alloc(GFP, 0);
        sum = (sum + pfn) | 0;
        alloc.free(pfn, 0);
      }
      return sum === NO_PFN ? 1 : 0;
    },
  };
}

/** Allocate 4096 frames, then free them in another order. */
function batch(): Subject {
  const { alloc } = newMachine();
  const held = new Int32Array(PAIRS);
  return {
    ops: PAIRS,
    run: () => {
      let got = 0;
      for (let i = 0; i < PAIRS; i++) {
        const pfn = alloc.alloc(GFP, 0);
        held[i] = pfn;
        if (pfn >= 0) got++;
      }
      for (let i = 0; i < PAIRS; i++) {
        alloc.free((held[(i * 1597 + 13) & (PAIRS - 1)] ?? 0) as never, 0);
      }
      return got;
    },
  };
}

/** Many frames held, a random one replaced: a fragmented zone. */
function churn(frames: number): Subject {
  const { alloc } = newMachine();
  const held = Int32Array.from({ length: frames }, () => alloc.alloc(GFP, 0));
  const random = new Xorshift(99);
  return {
    ops: PAIRS,
    run: () => {
      let got = 0;
      for (let i = 0; i < PAIRS; i++) {
        const j = random.next() & (frames - 1);
        const old = held[j] ?? 0;
        const pfn = alloc.alloc(GFP, 0);
        held[j] = pfn;
        if (pfn >= 0) got++;
        alloc.free(old as never, 0);
      }
      return got;
    },
  };
}

/** A slab object allocated and one of 4096 others freed. */
function slab(objects: number): Subject {
  const { slab: heap } = newMachine();
  const cache = heap.create({ name: 'bench', size: 192 });
  const held = Float64Array.from({ length: objects }, () => cache.alloc());
  const random = new Xorshift(99);
  return {
    ops: PAIRS,
    run: () => {
      let got = 0;
      for (let i = 0; i < PAIRS; i++) {
        const j = random.next() & (objects - 1);
        const old = held[j] ?? 0;
        const object = cache.alloc();
        held[j] = object;
        if (object >= 0) got++;
        cache.free(old as PhysAddr);
      }
      return got;
    },
  };
}

export const cases: readonly BenchCase[] = [
  {
    name: 'buddy.cascade',
    what: 'free lists: 4 MiB split down to a frame, and merged again',
    unit: 'pairs/s',
    yardstick: 'machine:buddy.cascade',
    goal: 0.5,
    stretch: 0.7,
    make: cascade,
  },
  {
    name: 'buddy.pair',
    what: 'page allocator: one frame allocated and freed',
    unit: 'pairs/s',
    yardstick: null,
    make: pair,
  },
  {
    name: 'buddy.batch',
    what: 'page allocator: 4096 frames allocated, then freed',
    unit: 'pairs/s',
    yardstick: 'machine:buddy.batch',
    goal: 0.5,
    stretch: 0.7,
    make: batch,
  },
  {
    name: 'buddy.churn',
    what: 'page allocator: 65,536 frames held, a random one replaced',
    unit: 'pairs/s',
    yardstick: 'machine:buddy.churn',
    goal: 0.5,
    stretch: 0.7,
    make: (size) => churn(size === 'small' ? 1024 : 65536),
  },
  {
    name: 'slab',
    what: 'slab object of 192 bytes: one of 4096 replaced',
    unit: 'pairs/s',
    yardstick: 'machine:buddy.churn',
    goal: 0.3,
    stretch: 0.5,
    make: (size) => slab(size === 'small' ? 64 : 4096),
  },
];
