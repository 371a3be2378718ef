import seedrandom from 'seedrandom';
import { describe, expect, test } from 'vitest';
import { CmaArea } from '../../kernel/cma.ts';
import { fragmentationIndex, unusableFreeIndex } from '../../kernel/fragmentation.ts';
import { fsckKernel } from '../../kernel/fsck.ts';
import { GFP_KERNEL, GFP_TRANSHUGE, __GFP_DMA32 } from '../../kernel/gfp.ts';
import { PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { PAGE_SIZE, type Pfn } from '../../kernel/types.ts';
import { fsckSystem } from '../../userspace/fsck.ts';
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
  Syscalls,
  System,
  type Task,
  access,
  byteAt,
} from '../../userspace/index.ts';

interface Running {
  readonly system: System;
  readonly task: Task;
  readonly at: number;
  readonly pages: number;
}

/** A process that holds `pages` pages in each of which it wrote its own byte. */
function fragmented(pages: number): Running {
  const system = new System({ ram: 128 * 2 ** 20 });
  const sys = new Syscalls(system);
  const task = system.spawn('a');
  const flags = MAP_PRIVATE | MAP_ANONYMOUS;
  const at = sys.mmap(task, 0, pages * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
  for (let i = 0; i < pages; i++) {
    access(task, at + i * PAGE_SIZE, PF_USER | PF_WRITE);
    write(system, task, at + i * PAGE_SIZE, i & 255);
  }
  return { system, task, at, pages };
}

function write(system: System, task: Task, va: number, byte: number): void {
  system.machine.mem.bytes[byteAt(task.mm, va)] = byte;
}

function read(task: Task, va: number): number {
  return task.mm.system.machine.mem.bytes[byteAt(task.mm, va)];
}

/** Unmaps two pages of three at random: what is left lies scattered over all RAM. */
function thin(running: Running): Set<number> {
  const { system, task, at, pages } = running;
  const sys = new Syscalls(system);
  const prng = seedrandom('5');
  const kept = new Set<number>();
  for (let i = 0; i < pages; i++) {
    if (prng() < 0.34) kept.add(i);
    else sys.munmap(task, at + i * PAGE_SIZE, PAGE_SIZE);
  }
  system.machine.alloc.drainAll();
  return kept;
}

function expectContents({ task, at }: Running, kept: ReadonlySet<number>): void {
  for (const i of kept) expect(read(task, at + i * PAGE_SIZE)).toBe(i & 255);
}

describe('compaction', () => {
  test('moves scattered pages together until a huge page can be had, and changes no byte', () => {
    const running = fragmented(18_000);
    const kept = thin(running);
    const { machine } = running.system;
    const zone = machine.alloc.zones[1];
    const unusable = unusableFreeIndex(zone, 9);
    expect(unusable).toBeGreaterThan(500);
    // huge pages, as long as there are any without compaction, then with it
    let huge = 0;
    while (machine.alloc.alloc(GFP_TRANSHUGE | __GFP_DMA32, 9) >= 0) huge++;
    expect(machine.compaction.pagesMigrated).toBeGreaterThan(100);
    expect(huge * 512).toBeGreaterThan((18_000 - kept.size) * 0.5);
    expectContents(running, kept);
    fsckSystem(running.system);
    fsckKernel(machine);
  });

  test('shared pages move too, under both of their users', () => {
    const running = fragmented(3000);
    const { system, task, at } = running;
    const child = system.fork(task);
    const kept = thin(running);
    const { machine } = system;
    const zone = machine.alloc.zones[1];
    // leave nothing free above order 3
    for (let order = 10; order > 3; order--) {
      while (zone.buddy.nrFree(order) > 0) {
        for (let type = 0; type < 6; type++) if (zone.buddy.take(order, type) >= 0) break;
      }
    }
    const before = machine.compaction.pagesMigrated;
    machine.compaction.compact(zone, 4);
    expect(machine.compaction.pagesMigrated).toBeGreaterThanOrEqual(before);
    expectContents(running, kept);
    for (let i = 0; i < running.pages; i++) {
      expect(read(child, at + i * PAGE_SIZE)).toBe(i & 255);
    }
    fsckSystem(system);
  });
});

describe('indexes', () => {
  test('say whether memory is short or in pieces', () => {
    const { system } = fragmented(10);
    const { alloc } = system.machine;
    const zone = alloc.zones[1];
    expect(fragmentationIndex(zone, 9)).toBe(-1000);
    expect(unusableFreeIndex(zone, 0)).toBe(0);
    // every second frame of a zone is free: all in pieces
    const all: Pfn[] = [];
    for (let type = 0; type < 3; type++) {
      for (let pfn = zone.buddy.take(0, type); pfn >= 0; pfn = zone.buddy.take(0, type)) {
        all.push(pfn);
      }
    }
    for (const pfn of all) if (pfn % 2 === 0) zone.buddy.release(pfn, 0);
    expect(unusableFreeIndex(zone, 1)).toBe(1000);
    expect(fragmentationIndex(zone, 1)).toBeGreaterThan(490);
    expect(fragmentationIndex(zone, 4)).toBeGreaterThan(fragmentationIndex(zone, 1));
  });
});

describe('a CMA area', () => {
  test('is lent to movable pages, which leave when its owner wants it', () => {
    const system = new System({ ram: 128 * 2 ** 20 });
    const { machine } = system;
    const cma = new CmaArea(machine.alloc, machine.compaction, 20 * 1024, 4 * 1024);
    const zone = machine.alloc.zones[1];
    expect(zone.buddy.freeCma).toBe(4096);
    const sys = new Syscalls(system);
    const task = system.spawn('a');
    const n = 16_000;
    const flags = MAP_PRIVATE | MAP_ANONYMOUS;
    const at = sys.mmap(task, 0, n * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
    for (let i = 0; i < n; i++) {
      access(task, at + i * PAGE_SIZE, PF_USER | PF_WRITE);
      write(system, task, at + i * PAGE_SIZE, i & 255);
    }
    expect(zone.buddy.freeCma).toBeLessThan(4096); // movable pages use it
    sys.munmap(task, at, 6000 * PAGE_SIZE); // room for those that must leave
    const first = cma.take(2048);
    expect(first).toBeGreaterThanOrEqual(20 * 1024);
    for (let i = 6000; i < n; i++) expect(read(task, at + i * PAGE_SIZE)).toBe(i & 255);
    cma.check();
    fsckSystem(system);
    fsckKernel(machine);
    expect(cma.takenPages).toBe(2048);
    cma.give(first, 2048);
    fsckKernel(machine);
  });

  test('nothing unmovable is ever put there', () => {
    const system = new System({ ram: 128 * 2 ** 20 });
    const { machine } = system;
    const start = 20 * 1024;
    new CmaArea(machine.alloc, machine.compaction, start, 4 * 1024).check();
    for (;;) {
      const pfn = machine.alloc.alloc(GFP_KERNEL, 0);
      if (pfn < 0) break;
      if (pfn >= start && pfn < start + 4096) expect(pfn).toBeLessThan(start);
    }
    expect(machine.alloc.zones[1].buddy.freeCma).toBe(4096);
  });
});
