// The kernel's allocators against a buddy allocator in C: 1 GiB of frames, orders 0..10.

import { GFP_KERNEL } from '../../kernel/gfp.ts';
import { Machine } from '../../kernel/machine.ts';
import { NO_PFN, type PhysAddr } from '../../kernel/types.ts';
import type { BenchCase, Subject } from './bench.ts';
import { Xorshift } from './xorshift.ts';

const PAIRS = 4096;

function newMachine(): Machine {
  return new Machine({ ram: 2 ** 30 + 2 ** 28 });
}

/** Allocate one frame and free it. */
function cascade(): Subject {
  const { alloc } = newMachine();
  return {
    ops: PAIRS,
    run: () => {
      let sum = 0;
      for (let i = 0; i < PAIRS; i++) {
        const pfn = alloc.alloc(GFP_KERNEL, 0);
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
        const pfn = alloc.alloc(GFP_KERNEL, 0);
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
  const held = Int32Array.from({ length: frames }, () => alloc.alloc(GFP_KERNEL, 0));
  const random = new Xorshift(99);
  return {
    ops: PAIRS,
    run: () => {
      let got = 0;
      for (let i = 0; i < PAIRS; i++) {
        const j = random.next() & (frames - 1);
        const old = held[j] ?? 0;
        const pfn = alloc.alloc(GFP_KERNEL, 0);
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
    what: 'page allocator: one frame allocated and freed',
    unit: 'pairs/s',
    yardstick: 'machine:buddy.cascade',
    goal: 0.5,
    stretch: 0.7,
    make: cascade,
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
