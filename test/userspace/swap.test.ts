import { describe, expect, test } from 'vitest';
import { PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { PSWPIN, PSWPOUT, SWPIN_ZERO, SWPOUT_ZERO } from '../../kernel/stats.ts';
import { ZSWPIN, ZSWPOUT, ZSWPWB } from '../../kernel/stats.ts';
import { CLUSTER_SLOTS } from '../../kernel/swap.ts';
import { fsckSystem } from '../../userspace/fsck.ts';
import { System, Syscalls, access, byteAt, type Task } from '../../userspace/index.ts';
import { procSwaps } from '../../userspace/proc-memory.ts';
import type { Swap} from '../../userspace/swap.ts';
import { addSwap } from '../../userspace/swap.ts';
import { swapOff } from '../../userspace/swapoff.ts';

const PAGE = 4096;
const AT = 0x10000000;
const MADV_PAGEOUT = 21;

function machine(devices: readonly [number, number][]): {
  system: System;
  sys: Syscalls;
  task: Task;
  swap: Swap;
} {
  const system = new System({ ram: 64 << 20 });
  for (const [mib, priority] of devices) addSwap(system, mib << 20, { priority });
  const sys = new Syscalls(system);
  const task = system.spawn('p');
  sys.mmap(task, AT, 32 << 20, 3, 0x32, -1, 0);
  return { system, sys, task, swap: system.swap as Swap };
}

/** Writes a byte of its own into each page, and pages them out. */
function pageOut(sys: Syscalls, task: Task, first: number, n: number, byte = 1): void {
  const { bytes } = task.mm.system.machine.mem;
  for (let i = first; i < first + n; i++) {
    access(task, AT + i * PAGE, PF_USER | PF_WRITE);
    bytes[byteAt(task.mm, AT + i * PAGE)] = byte === 0 ? 0 : 1 + (i % 255);
  }
  sys.madvise(task, AT + first * PAGE, n * PAGE, MADV_PAGEOUT);
}

function expectBack(task: Task, first: number, n: number): void {
  const { bytes } = task.mm.system.machine.mem;
  for (let i = first; i < first + n; i++) {
    expect(access(task, AT + i * PAGE, PF_USER)).toBe(0);
    expect(bytes[byteAt(task.mm, AT + i * PAGE)]).toBe(1 + (i % 255));
  }
}

describe('several devices', () => {
  test('the highest priority first, equal ones in turns of a cluster', () => {
    const { sys, task, swap } = machine([
      [8, 1],
      [8, 5],
      [8, 5],
    ]);
    pageOut(sys, task, 0, 3 * CLUSTER_SLOTS);
    expect(swap.areas.map((area) => area!.used)).toEqual([0, 1023, 513]);
    pageOut(sys, task, 3 * CLUSTER_SLOTS, 3000);
    expect(swap.areas.map((area) => area!.used)).toEqual([4536 - 2 * 2047, 2047, 2047]);
    swap.check();
    expectBack(task, 0, 4000);
  });

  test('each later one has a lower priority where none is given; /proc/swaps', () => {
    const system = new System({ ram: 64 << 20 });
    addSwap(system, 8 << 20);
    addSwap(system, 16 << 20, { name: '/dev/vdb' });
    addSwap(system, 8 << 20, { name: '/dev/vdc', priority: 7 });
    expect(procSwaps(system)).toBe(
      'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n' +
        '/dev/ram0                               partition\t8188\t\t0\t\t-2\n' +
        '/dev/vdb                                partition\t16380\t\t0\t\t-3\n' +
        '/dev/vdc                                partition\t8188\t\t0\t\t7\n',
    );
  });

  test('swapoff brings everything back, and the device is gone', () => {
    const { system, sys, task, swap } = machine([[16, 1]]);
    pageOut(sys, task, 0, 500);
    const child = sys.fork(task) as Task;
    const faults = task.majflt;
    swapOff(system, '/dev/ram0');
    expect(swap.areas).toEqual([undefined]);
    expect(system.totalSwapPages).toBe(0);
    expect(task.majflt).toBe(faults);
    expectBack(task, 0, 500);
    expectBack(child, 0, 500);
    fsckSystem(system);
    expect(() => swapOff(system, '/dev/ram0')).toThrow('EINVAL');
  });

  test('swapoff fails where memory does not suffice, and nothing is lost', () => {
    const { system, sys, task, swap } = machine([[64, 1]]);
    const group = system.newGroup('/g', 2 << 20);
    task.mm.group = group;
    pageOut(sys, task, 0, 2000);
    expect(() => swapOff(system, '/dev/ram0')).toThrow('ENOMEM');
    expect(swap.areas[0]!.closing).toBe(false);
    swap.check();
    fsckSystem(system);
    expectBack(task, 0, 2000);
  });
});

test('pages of zeros take a slot and no content', () => {
  const { system, sys, task, swap } = machine([[16, 1]]);
  const { counts } = system.machine.stat;
  pageOut(sys, task, 0, 10, 0);
  expect([counts[SWPOUT_ZERO], counts[PSWPOUT]]).toEqual([10, 0]);
  expect([swap.areas[0]!.used, swap.areas[0]!.onDevice]).toEqual([10, 0]);
  for (let i = 0; i < 10; i++) access(task, AT + i * PAGE, PF_USER);
  expect([counts[SWPIN_ZERO], counts[PSWPIN], task.majflt]).toEqual([10, 0, 10]);
});

describe('zswap', () => {
  /** Halves a page whose second half is zeros; leaves others as they are. */
  const compressor = {
    name: 'half',
    compress: (page: Uint8Array) =>
      page.subarray(2048).every((b) => b === 0) ? page.slice(0, 2048) : page.slice(),
    decompress: (packed: Uint8Array, page: Uint8Array) => {
      page.fill(0);
      page.set(packed);
    },
  };

  test('holds compressed pages in frames of its own', () => {
    const { system, sys, task, swap } = machine([[16, 1]]);
    const { counts } = system.machine.stat;
    const pool = swap.usePool({ compressor });
    const free = system.machine.alloc.freePages;
    pageOut(sys, task, 0, 100);
    expect([counts[ZSWPOUT], counts[PSWPOUT]]).toEqual([100, 0]);
    expect([pool.storedPages, pool.poolPages]).toEqual([100, 50]);
    expect(free - system.machine.alloc.freePages).toBeGreaterThanOrEqual(0);
    swap.check();
    expectBack(task, 0, 100);
    expect([counts[ZSWPIN], counts[PSWPIN], pool.poolPages]).toEqual([100, 0, 0]);
    fsckSystem(system);
  });

  test('writes the longest-stored to the device when it is full', () => {
    const { system, sys, task, swap } = machine([[32, 1]]);
    const { counts } = system.machine.stat;
    const pool = swap.usePool({ compressor, maxPoolPercent: 1 });
    pageOut(sys, task, 0, 1000);
    expect(pool.poolLimitHit).toBeGreaterThan(0);
    expect(counts[ZSWPWB]).toBeGreaterThan(0);
    expect(counts[PSWPOUT]).toBeGreaterThan(0);
    expect(pool.poolPages).toBeLessThanOrEqual(Math.floor(system.totalRamPages / 100));
    swap.check();
    expectBack(task, 0, 1000);
  });
});
