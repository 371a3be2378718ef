// CPUs, address spaces and the flushing of translations.

import { expect, test } from 'vitest';
import { PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import {
  NR_TLB_LOCAL_FLUSH_ALL,
  NR_TLB_LOCAL_FLUSH_ONE,
  NR_TLB_REMOTE_FLUSH,
} from '../../kernel/stats.ts';
import { System, Syscalls, access } from '../../userspace/index.ts';

const PAGE = 4096;
const WRITE = PF_USER | PF_WRITE;

function boot(cpus: number) {
  const system = new System({ ram: 128 << 20, cpus });
  const sys = new Syscalls(system);
  return { system, sys, machine: system.machine, counts: system.machine.stat.counts };
}

test('a space that comes back finds its translations, unless they were flushed meanwhile', () => {
  const { system, sys, machine } = boot(1);
  const a = system.spawn('a');
  const b = system.spawn('b');
  const at = sys.mmap(a, 0, 4 * PAGE, 3, 0x22, -1, 0);
  expect(access(a, at, WRITE)).toBe(0);
  access(b, at, WRITE);
  const walks = () => machine.smp.cpu(0).counters().misses;
  const before = walks();
  expect(access(a, at, WRITE)).toBe(0); // CR3 loaded without flush
  expect(machine.smp.cpu(0).space).toBe(a.mm);
  machine.smp.check();
  access(b, at, WRITE);
  sys.munmap(a, at, 4 * PAGE); // while b runs: seen when a comes back
  expect(access(a, at, WRITE)).not.toBe(0);
  expect(walks()).toBeGreaterThan(before);
});

test('up to 33 pages are flushed one by one, more at once', () => {
  const { system, sys, counts } = boot(1);
  const task = system.spawn('a');
  const at = sys.mmap(task, 0, 100 * PAGE, 3, 0x22, -1, 0);
  for (let i = 0; i < 100; i++) access(task, at + i * PAGE, WRITE);
  const one = counts[NR_TLB_LOCAL_FLUSH_ONE];
  const all = counts[NR_TLB_LOCAL_FLUSH_ALL];
  sys.madvise(task, at, 33 * PAGE, 4);
  expect(counts[NR_TLB_LOCAL_FLUSH_ONE] - one).toBe(33);
  sys.madvise(task, at + 33 * PAGE, 34 * PAGE, 4);
  expect(counts[NR_TLB_LOCAL_FLUSH_ALL] - all).toBe(1);
});

test('a flush reaches the other CPUs that run the space, and only those', () => {
  const { system, sys, machine, counts } = boot(4);
  const task = system.spawn('a');
  const thread = system.cloneVm(task, true, true);
  const other = system.spawn('b');
  const at = sys.mmap(task, 0, PAGE, 3, 0x22, -1, 0);
  machine.smp.current = 1;
  access(thread, at, WRITE);
  machine.smp.current = 2;
  access(other, at, WRITE);
  machine.smp.current = 0;
  access(task, at, WRITE);
  const remote = counts[NR_TLB_REMOTE_FLUSH];
  sys.mprotect(task, at, PAGE, 1);
  expect(counts[NR_TLB_REMOTE_FLUSH] - remote).toBe(1);
  machine.smp.current = 1;
  expect(access(thread, at, WRITE)).not.toBe(0); // no stale writable translation
  machine.smp.check();
});

test('seven spaces share six slots', () => {
  const { system, machine } = boot(1);
  const tasks = Array.from({ length: 7 }, (_, i) => system.spawn(`t${i}`));
  for (let round = 0; round < 3; round++) {
    for (const task of tasks) {
      machine.smp.run(task.mm);
      machine.smp.check();
    }
  }
  for (const task of tasks) system.exit(task);
  machine.smp.check();
});
