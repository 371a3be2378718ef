// Resource limits as a program met them on Linux 6.18: RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK,
// RLIMIT_STACK, and setrlimit() itself.

import { expect, test } from 'vitest';
import { errnoName } from '../../kernel/errors.ts';
import { FAULT_OK, PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { newProcess } from '../../runtime/process-memory.ts';
import { access } from '../../userspace/access.ts';
import * as mman from '../../userspace/mman.ts';
import { Syscalls } from '../../userspace/syscall.ts';
import {
  RLIMIT_AS,
  RLIMIT_MEMLOCK,
  RLIMIT_STACK,
  RLIM_INFINITY,
  getLimit,
} from '../../userspace/rlimit.ts';
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

test('setrlimit() in the order that a program made the calls in, with what Linux answered', () => {
  const { sys, task } = start();
  const G = 2 ** 30;
  const rows: [number, number, number, string, number, number][] = [
    [RLIMIT_AS, G, RLIM_INFINITY, 'ok', G, Infinity],
    [RLIMIT_AS, 2 * G, G, 'EINVAL', G, Infinity],
    [RLIMIT_AS, G, 2 * G, 'ok', G, 2 * G],
    [RLIMIT_AS, G, 3 * G, 'EPERM', G, 2 * G],
    [RLIMIT_AS, 3 * G, 2 * G, 'EINVAL', G, 2 * G],
    [RLIMIT_AS, 2 * G, 2 * G, 'ok', 2 * G, 2 * G],
    [RLIMIT_STACK, 4096, RLIM_INFINITY, 'ok', 4096, Infinity],
    [RLIMIT_AS, 4096, 2 * G, 'ok', 4096, 2 * G],
    [RLIMIT_AS, 5000, 5000, 'ok', 5000, 5000],
    [RLIMIT_AS, 6000, 6000, 'EPERM', 5000, 5000],
    [RLIMIT_MEMLOCK, 0, 65536, 'ok', 0, 65536],
    [RLIMIT_MEMLOCK, 65536, 65536, 'ok', 65536, 65536],
    [RLIMIT_MEMLOCK, 65536, 131072, 'EPERM', 65536, 65536],
  ];
  for (const [resource, soft, hard, answer, ...after] of rows) {
    expect(word(sys.setrlimit(task, resource, soft, hard))).toBe(answer);
    expect(Object.values(getLimit(task.mm, resource))).toEqual(after);
  }
  expect(word(sys.setrlimit(task, 16, 1, 1))).toBe('EINVAL');
  expect(word(sys.setrlimit(task, -1, 1, 1))).toBe('EINVAL');
  expect(word(sys.mmap(task, 0, 4096, RW, ANON, -1, 0))).toBe('ENOMEM');
  const child = sys.fork(task);
  if (typeof child === 'number') throw new Error('the fork failed');
  expect(word(sys.setrlimit(child, RLIMIT_AS, 6000, 6000))).toBe('EPERM');
});

test.each([
  [1024 * K, 132 * K, true],
  [1024 * K, 136 * K, true],
  [1024 * K, 512 * K, true],
  [1024 * K, 1024 * K, true],
  [1024 * K, 1024 * K + 1, false],
  [1024 * K, 1028 * K, false],
  [1024 * K + 100, 1024 * K, true],
  [1024 * K + 100, 1024 * K + 1, false],
])('RLIMIT_STACK %d: a store %d bytes below the top is allowed: %s', (limit, below, allowed) => {
  const system = new System({ ram: 64 << 20 });
  const task = newProcess(system, 'stack');
  const sys = new Syscalls(system);
  expect(sys.setrlimit(task, RLIMIT_STACK, limit, RLIM_INFINITY)).toBe(0);
  const result = access(task, 0x7ffffffff000 - below, PF_USER | PF_WRITE);
  expect(result === FAULT_OK).toBe(allowed);
});

test('RLIMIT_AS holds for a stack that grows', () => {
  const grows = (below: number): boolean => {
    const system = new System({ ram: 64 << 20 });
    const task = newProcess(system, 'stack');
    const most = task.mm.totalVm * 4096 + 64 * K;
    new Syscalls(system).setrlimit(task, RLIMIT_AS, most, RLIM_INFINITY);
    return access(task, 0x7ffffffff000 - below, PF_USER | PF_WRITE) === FAULT_OK;
  };
  expect([grows(196 * K), grows(200 * K)]).toEqual([true, false]);
});
