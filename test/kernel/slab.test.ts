// PAGEWALK_STEPS=1000000 runs the random test that long (2 to 4 minutes for each kind of cache).
// check() follows each step: all lists, counts and chains, and with debugging the red zones and
// poison of the slab that the step was about; those of all slabs each ALL_BYTES steps, since each
// byte of each object is read for it.

import seedrandom from 'seedrandom';
import { describe, expect, test } from 'vitest';
import { bootMemory } from '../../kernel/boot.ts';
import {
  SLAB_DEBUG,
  SLAB_HARDENED,
  SLAB_HWCACHE,
  SLAB_RANDOM,
  SLAB_RECLAIM,
} from '../../kernel/caches.ts';
import { GFP_KERNEL, __GFP_ACCOUNT, __GFP_DMA, __GFP_ZERO } from '../../kernel/gfp.ts';
import { Kmalloc } from '../../kernel/kmalloc.ts';
import { Machine } from '../../kernel/machine.ts';
import { below } from '../../kernel/prng.ts';
import { SlabHeap, type SlabOptions } from '../../kernel/slab_common.ts';
import { objectsInUse } from '../../kernel/slab_inspect.ts';
import { TRACEPOINTS } from '../../kernel/trace.ts';
import { PAGE_SIZE, type PhysAddr } from '../../kernel/types.ts';

const ALL_BYTES = 50;
const STEPS = Number(process.env['PAGEWALK_STEPS'] ?? 2000);

function heapOf(options: SlabOptions = {}, cpus = 2): SlabHeap {
  return new SlabHeap(bootMemory({ ram: 2 ** 28, cpus }).alloc, 1, options);
}

describe.each([
  ['plain', {}],
  ['hardened, random order', { flags: SLAB_HARDENED | SLAB_RANDOM }],
  ['debugging', { flags: SLAB_DEBUG }],
])('%s', (name, options) => {
  const debugging = name === 'debugging';
  test('random allocations from caches of many sizes overlap nowhere and lose nothing', () => {
    const prng = seedrandom('7');
    const heap = heapOf({ ...options, prng: seedrandom('1'), merge: false }, 3);
    const free = heap.alloc.freePages;
    // bytes of objects are looked at with debugging on: few large ones
    const sizes = [8, 24, 64, 96, 192, 700].concat(debugging ? [] : [1600, 2112, 5888, 8192]);
    const caches = sizes.map((size) => heap.create({ name: `c${size}`, size }));
    const inUse = new Map<(typeof caches)[number], number>();
    const held: { object: PhysAddr; cache: (typeof caches)[number]; tag: number }[] = [];
    for (let step = 0; step < STEPS; step++) {
      heap.alloc.cpu = below(prng, 3);
      let touched: PhysAddr;
      const grow = Math.floor(step / 1500) % 2 === 0 ? 0.65 : 0.35;
      if (held.length === 0 || prng() < grow) {
        const cache = caches[below(prng, caches.length)];
        const object = cache.alloc();
        const tag = below(prng, 256);
        heap.fill(object, cache.layout.objectSize, tag);
        held.push({ object, cache, tag });
        touched = object;
        inUse.set(cache, (inUse.get(cache) ?? 0) + 1);
      } else {
        const at = below(prng, held.length);
        const { object, cache, tag } = held[at];
        held[at] = held[held.length - 1];
        held.pop();
        for (let i = 0; i < cache.layout.objectSize; i += 7) {
          const byte = heap.alloc.mem.readByte(
            Math.floor((object + i) / PAGE_SIZE),
            (object + i) & 0xfff,
          );
          if (byte !== tag) expect(byte, `${cache.name} object ${object} byte ${i}`).toBe(tag);
        }
        cache.free(object);
        inUse.set(cache, (inUse.get(cache) ?? 0) - 1);
        touched = object;
      }
      const { pages } = heap.alloc;
      const all = !debugging || step % ALL_BYTES === 0;
      heap.check(all ? undefined : pages.head(Math.floor(touched / PAGE_SIZE)));
      for (const cache of caches) {
        const wrong = objectsInUse(cache) - (inUse.get(cache) ?? 0);
        if (wrong !== 0) expect(wrong, `${cache.name}, step ${step}`).toBe(0);
      }
    }
    for (const { object, cache } of held) cache.free(object);
    for (const cache of caches) expect(objectsInUse(cache)).toBe(0);
    for (const cache of caches) heap.destroy(cache.name);
    expect(heap.reclaimablePages + heap.unreclaimablePages).toBe(0);
    heap.alloc.drainAll();
    expect(heap.alloc.freePages).toBe(free);
    heap.alloc.check();
  }, 3_600_000);
});

test('a free object holds the direct-map address of the next one in its middle', () => {
  const heap = heapOf();
  const cache = heap.create({ name: 'x', size: 64 });
  const first = cache.alloc();
  const { mem } = heap.alloc;
  // the cache's second object is free and points at the third, 64 bytes on
  const w = mem.readable(Math.floor(first / PAGE_SIZE)) + (((first & 0xfff) + 64 + 32) >> 2);
  expect(mem.words[w]).toBe((first + 128) | 0);
  expect(mem.words[w + 1]).toBe(0xffff8880 | 0);
  cache.free(first);
  expect(cache.alloc()).toBe(first); // last freed, first used
});

test('freeing twice or what is no object is refused', () => {
  const heap = heapOf();
  const cache = heap.create({ name: 'x', size: 192 });
  const a = cache.alloc();
  cache.free(a);
  expect(() => cache.free(a)).toThrow('kmem_cache_free(x, 0x');
  expect(() => cache.free(4096 as PhysAddr)).toThrow('not an object of this cache');
});

describe('debugging reports', () => {
  const heap = heapOf({ flags: SLAB_DEBUG });
  const cache = heap.create({ name: 'dbg', size: 40 });
  const write = (address: number, byte: number): void => heap.fill(address, 1, byte);

  test('an overrun, at the next free', () => {
    const a = cache.alloc();
    write(a + 40, 1);
    expect(() => cache.free(a)).toThrow(
      /BUG dbg: Right Redzone overwritten \(free\): byte at object\+40 is 0x1, not 0xcc\n.*\n {2}allocated on CPU 0/,
    );
    write(a + 40, 0xcc);
    cache.free(a);
  });

  test('a write before the object', () => {
    const a = cache.alloc();
    write(a - 1, 0);
    expect(() => cache.free(a)).toThrow('Left Redzone overwritten (free): byte at object-1');
    write(a - 1, 0xcc);
    cache.free(a);
  });

  test('a use after free, at the next allocation', () => {
    const a = cache.alloc();
    cache.free(a);
    write(a + 3, 0);
    expect(() => heap.check()).toThrow('Poison overwritten (check)');
    expect(() => cache.alloc()).toThrow('Poison overwritten (alloc): byte at object+3 is 0x0');
  });

  test('a double free', () => {
    const other = heap.create({ name: 'dbg2', size: 100 });
    const a = other.alloc();
    const b = other.alloc();
    other.free(a);
    other.free(b);
    expect(() => other.free(a)).toThrow('BUG dbg2: Object already free');
  });
});

test('a hardened free pointer that was overwritten leads nowhere', () => {
  const heap = heapOf({ flags: SLAB_HARDENED, prng: seedrandom('3') });
  const cache = heap.create({ name: 'x', size: 64 });
  const a = cache.alloc();
  cache.free(a);
  heap.fill(a + 32, 8, 0x41);
  expect(() => {
    cache.alloc();
    cache.alloc();
  }).toThrow('its pointer is corrupt');
});

test('constructors run once for each object, and their work survives', () => {
  const heap = heapOf();
  let runs = 0;
  const ctor = (object: PhysAddr): void => {
    runs++;
    heap.fill(object, 100, 9);
  };
  const cache = heap.create({ name: 'made', size: 100, ctor });
  const a = cache.alloc();
  expect(runs).toBe(cache.nrObjects);
  cache.free(a);
  const b = cache.alloc();
  expect(heap.alloc.mem.readByte(Math.floor(b / PAGE_SIZE), (b & 0xfff) + 50)).toBe(9);
});

test('alike caches are merged, unlike ones are not', () => {
  const heap = heapOf();
  const a = heap.create({ name: 'a', size: 120 });
  expect(heap.create({ name: 'b', size: 115 }).name).toBe('a');
  expect(heap.create({ name: 'c', size: 104 }).name).toBe('c');
  expect(heap.create({ name: 'd', size: 120, flags: SLAB_RECLAIM }).name).toBe('d');
  expect(heap.create({ name: 'e', size: 120, flags: SLAB_HWCACHE }).name).toBe('e');
  expect(a.aliases).toEqual(['b']);
  heap.destroy('b');
  expect(heap.cache('a').name).toBe('a');
});

describe('kmalloc', () => {
  const heap = SlabHeap.boot(bootMemory({ ram: 2 ** 28 }).alloc, 1);
  const kmalloc = new Kmalloc(heap);

  test.each([
    [1, 0, 'kmalloc-8'],
    [8, 0, 'kmalloc-8'],
    [9, 0, 'kmalloc-16'],
    [65, 0, 'kmalloc-96'],
    [97, 0, 'kmalloc-128'],
    [129, 0, 'kmalloc-192'],
    [193, 0, 'kmalloc-256'],
    [257, 0, 'kmalloc-512'],
    [4097, 0, 'kmalloc-8k'],
    [8192, 0, 'kmalloc-8k'],
    [100, __GFP_ACCOUNT, 'kmalloc-cg-128'],
    [2048, __GFP_DMA, 'dma-kmalloc-2k'],
  ])('%i bytes with flags %i come from %s', (size, flags, name) => {
    const a = kmalloc.alloc(size, GFP_KERNEL | flags);
    expect(heap.cacheOf(Math.floor(a / PAGE_SIZE))?.name).toBe(name);
    expect(kmalloc.sizeOf(a)).toBeGreaterThanOrEqual(size);
    kmalloc.free(a);
  });

  test('above 8 KiB come pages', () => {
    const a = kmalloc.alloc(40_000);
    expect(kmalloc.sizeOf(a)).toBe(65536);
    expect(kmalloc.largePages).toBe(16);
    kmalloc.free(a);
    expect(kmalloc.largePages).toBe(0);
    expect(() => kmalloc.free(a)).toThrow('kfree(');
  });

  test('__GFP_ZERO clears', () => {
    const a = kmalloc.alloc(64);
    heap.fill(a, 64, 0xff);
    kmalloc.free(a);
    const b = kmalloc.alloc(64, GFP_KERNEL | __GFP_ZERO);
    expect(b).toBe(a);
    const at = Math.floor(b / PAGE_SIZE);
    for (let i = 0; i < 64; i++) expect(heap.alloc.mem.readByte(at, (b & 0xfff) + i)).toBe(0);
    kmalloc.free(b);
    heap.check();
  });
});

test('allocations are traced, the fast paths as well', () => {
  const machine = new Machine({ ram: 2 ** 28 });
  const cache = machine.slab.cache('kmalloc-64');
  cache.free(cache.alloc());
  machine.alloc.free(machine.alloc.alloc(GFP_KERNEL, 0), 0);
  const seen: string[] = [];
  machine.trace.subscribe((point, _, a) => seen.push(`${TRACEPOINTS[point].name} ${a}`));
  const pfn = machine.alloc.alloc(GFP_KERNEL, 0);
  const object = cache.alloc();
  cache.free(object);
  machine.alloc.free(pfn, 0);
  expect(seen).toEqual([
    `mm_page_alloc ${pfn}`,
    `kmem_cache_alloc ${cache.id}`,
    `kmem_cache_free ${cache.id}`,
    `mm_page_free ${pfn}`,
  ]);
  machine.slab.check();
});
