// Resource limits as a program met them on Linux 6.18: RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK.

import { expect, test } from 'vitest';
import { errnoName } from '../../kernel/errors.ts';
import * as mman from '../../userspace/mman.ts';
import { Syscalls } from '../../userspace/syscall.ts';
import { System } from '../../userspace/system.ts';

const RW = mman.PROT_READ | mman.PROT_WRITE;
const ANON = mman.MAP_PRIVATE | mman.MAP_ANONYMOUS;
const K = 1024;

function start(): { sys: Syscalls; task: ReturnType<System['spawn']>; system: System } {
  const system = new System({ ram: 64 << 20 });
  const sys = new Syscalls(system);
  const task = system.spawn('limits');
  sys.mmap(task, 0, 64 * K, RW, ANON, -1, 0);
  return { sys, task, system };
}

function word(result: number): string {
  return result < 0 ? errnoName(-result) : 'ok';
}

test('RLIMIT_AS counts every mapping, whatever its protection', () => {
  const { sys, task } = start();
  const map = (n: number, prot = RW): number => sys.mmap(task, 0, n * K, prot, ANON, -1, 0);
  task.mm.limits.as = task.mm.totalVm * 4096 + 64 * K;
  expect(word(map(68))).toBe('ENOMEM');
  const a = map(64);
  expect(word(a)).toBe('ok');
  expect(word(map(4, mman.PROT_NONE))).toBe('ENOMEM');
  const over = sys.mmap(task, a, 64 * K, mman.PROT_READ, ANON | mman.MAP_FIXED, -1, 0);
  expect(word(over)).toBe('ok');
  expect(word(sys.mremap(task, a, 64 * K, 68 * K, mman.MREMAP_MAYMOVE))).toBe('ENOMEM');
});

test('RLIMIT_DATA counts private writable memory, also what becomes writable', () => {
  const { sys, task } = start();
  task.mm.limits.data = task.mm.dataVm * 4096 + 64 * K;
  const map = (prot: number, flags: number): number =>
    sys.mmap(task, 0, 68 * K, prot, flags, -1, 0);
  expect(word(map(RW, ANON))).toBe('ENOMEM');
  const a = map(mman.PROT_READ, ANON);
  expect(word(a)).toBe('ok');
  expect(word(sys.mprotect(task, a, 68 * K, RW))).toBe('ENOMEM');
  expect(word(sys.mprotect(task, a, 64 * K, RW))).toBe('ok');
  expect(word(map(RW, mman.MAP_SHARED | mman.MAP_ANONYMOUS))).toBe('ok');
});

test('RLIMIT_MEMLOCK holds for who is not privileged', () => {
  const { sys, task, system } = start();
  system.privileged = false;
  task.mm.limits.memlock = 64 * K;
  const m = sys.mmap(task, 0, 1024 * K, RW, ANON, -1, 0);
  expect(word(sys.mlock(task, m, 64 * K))).toBe('ok');
  expect(word(sys.mlock(task, m, 64 * K))).toBe('ok');
  expect(word(sys.mlock(task, m + 64 * K, 4 * K))).toBe('ENOMEM');
  const locked = ANON | mman.MAP_LOCKED;
  expect(word(sys.mmap(task, 0, 4 * K, RW, locked, -1, 0))).toBe('EAGAIN');
  expect(word(sys.mlockall(task, mman.MCL_CURRENT))).toBe('ENOMEM');
  expect(word(sys.mremap(task, m, 64 * K, 68 * K, mman.MREMAP_MAYMOVE))).toBe('EAGAIN');
  task.mm.limits.memlock = 0;
  expect(word(sys.mlock(task, m + 64 * K, 4 * K))).toBe('EPERM');
  expect(word(sys.mmap(task, 0, 4 * K, RW, locked, -1, 0))).toBe('EPERM');
  expect(word(sys.munlock(task, m, 64 * K))).toBe('ok');
});
