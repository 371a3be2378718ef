// What processes, mappings and files take of the slab caches, and give back: objects a piece as a
// real Linux 6.18 counted them in /proc/slabinfo around thousands of each.

import { expect, test } from 'vitest';
import { PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { SLABS_SCANNED } from '../../kernel/stats.ts';
import { objectsInUse } from '../../kernel/slab_inspect.ts';
import { fsckSystem } from '../../userspace/fsck.ts';
import { System, Syscalls, access, type Task } from '../../userspace/index.ts';

const N = 200;
const O_CREAT_RDWR = 0o102;
const PRIVATE = 2;
const PRIVATE_ANON = 0x22;

/** Objects in use by cache. */
function census(system: System): Map<string, number> {
  return new Map(system.machine.slab.caches.map((cache) => [cache.name, objectsInUse(cache)]));
}

/** By how many objects each cache has grown since `before`, a piece of N. */
function grown(system: System, before: ReadonlyMap<string, number>): Record<string, number> {
  const changes: Record<string, number> = {};
  for (const [name, now] of census(system)) {
    const change = now - (before.get(name) ?? 0);
    if (change !== 0) changes[name] = change / N;
  }
  return changes;
}

/** Maps a page N times, so that no mapping merges with the next; half of them are written to. */
function mapMany(sys: Syscalls, task: Task, flags: number, fd: number, touch: boolean): number[] {
  return Array.from({ length: N }, (_, i) => {
    const at = sys.mmap(task, 0, 4096, i % 2 === 0 ? 3 : 1, flags, fd, 0);
    if (touch && i % 2 === 0) access(task, at, PF_USER | PF_WRITE);
    return at;
  });
}

type Act = (sys: Syscalls, task: Task) => () => void;

const closeAll =
  (sys: Syscalls, task: Task, fds: readonly number[]): (() => void) =>
  () => {
    for (const fd of fds) sys.close(task, fd);
  };

const repeat = (make: (i: number) => number): number[] =>
  Array.from({ length: N }, (_, i) => make(i));

const mapped =
  (flags: number, touch: boolean): Act =>
  (sys, task) => {
    const fd = flags === PRIVATE ? sys.open(task, '/f', 2) : -1;
    const places = mapMany(sys, task, flags, fd, touch);
    if (fd >= 0) sys.close(task, fd);
    return () => {
      for (const at of places) sys.munmap(task, at, 4096);
    };
  };

const ONE_FILE = { filp: 1 / N, lsm_file_cache: 1 / N };

test.each<[string, Act, Record<string, number>, Record<string, number>]>([
  [
    'an open of a known file',
    (sys, task) =>
      closeAll(
        sys,
        task,
        repeat(() => sys.open(task, '/f', 2)),
      ),
    { filp: 1, lsm_file_cache: 1 },
    {},
  ],
  [
    'a new file, removed at the end: its name stays',
    (sys, task) => {
      const fds = repeat((i) => sys.open(task, `/new${i}`, O_CREAT_RDWR));
      return () => {
        closeAll(sys, task, fds)();
        for (let i = 0; i < N; i++) sys.system.unlink(`/new${i}`);
      };
    },
    { ext4_inode_cache: 1, lsm_inode_cache: 1, dentry: 1, filp: 1, lsm_file_cache: 1 },
    { dentry: 1 },
  ],
  [
    'a file in memory',
    (sys, task) =>
      closeAll(
        sys,
        task,
        repeat(() => sys.memfdCreate(task, 'x', 0)),
      ),
    { shmem_inode_cache: 1, lsm_inode_cache: 1, dentry: 1, filp: 1, lsm_file_cache: 1 },
    {},
  ],
  ['a mapping of a file', mapped(PRIVATE, false), { vm_area_struct: 1, ...ONE_FILE }, {}],
  [
    'a mapping of a file, every second written to',
    mapped(PRIVATE, true),
    { vm_area_struct: 1, anon_vma: 0.5, anon_vma_chain: 0.5, ...ONE_FILE },
    {},
  ],
  [
    'a mapping of memory, every second written to',
    mapped(PRIVATE_ANON, true),
    { vm_area_struct: 1, anon_vma: 0.5, anon_vma_chain: 0.5 },
    {},
  ],
])('%s', (_, act, taken, left) => {
  const system = new System({ ram: 256 << 20 });
  const sys = new Syscalls(system);
  const task = system.spawn('test');
  sys.close(task, sys.open(task, '/f', O_CREAT_RDWR));
  const before = census(system);
  const undo = act(sys, task);
  expect(grown(system, before)).toEqual(taken);
  undo();
  expect(grown(system, before)).toEqual(left);
});

test('a process takes its own objects, and for each mapping those of its parent', () => {
  const system = new System({ ram: 256 << 20 });
  const sys = new Syscalls(system);
  const task = system.spawn('test');
  const maps = mapMany(sys, task, PRIVATE_ANON, -1, true).length;
  const before = census(system);
  const children = Array.from({ length: 4 }, () => system.fork(task));
  const now = grown(system, before);
  for (const name of ['task_struct', 'mm_struct', 'signal_cache', 'sighand_cache', 'files_cache']) {
    expect(now[name] * N, name).toBe(4);
  }
  expect(now['pid'] * N).toBe(4);
  expect(now['vm_area_struct']).toBe((4 * maps) / N);
  // a child's mapping has a family of its own, and is linked to its parent's as well
  expect(now['anon_vma']).toBe((4 * maps) / 2 / N);
  expect(now['anon_vma_chain']).toBe((4 * maps) / N);
  for (const child of children) system.exit(child);
  expect(grown(system, before)).toEqual({});
});

test('short memory takes names and inodes of closed files; an open takes them again', () => {
  const system = new System({ ram: 64 << 20, sysctl: { thp: 'never' } });
  const sys = new Syscalls(system);
  const task = system.spawn('test');
  const paths = Array.from({ length: 5000 }, (_, i) => `/f${i}`);
  for (const path of paths) sys.close(task, sys.open(task, path, O_CREAT_RDWR));
  const open = sys.open(task, '/f0', 2);
  const inUse = (name: string): number => census(system).get(name) ?? 0;
  const all = ['dentry', 'ext4_inode_cache'].map(inUse);
  const pagesBefore = system.machine.slab.reclaimablePages;
  for (let mapped = 0; system.machine.stat.counts[SLABS_SCANNED] === 0; mapped += 2 ** 20) {
    expect(mapped).toBeLessThan(64 << 20);
    const at = sys.mmap(task, 0, 2 ** 20, 3, PRIVATE_ANON, -1, 0);
    for (let page = at; page < at + 2 ** 20; page += 4096) access(task, page, PF_USER | PF_WRITE);
  }
  expect(inUse('dentry')).toBeLessThan(all[0]);
  // the open file keeps what it has
  expect(system.objects.dentries.count()).toBeLessThan(paths.length);
  system.machine.reclaim.shrinkers.shrink(0);
  system.machine.reclaim.shrinkers.shrink(0);
  expect([inUse('dentry'), inUse('ext4_inode_cache')]).toEqual([1, 1]);
  expect(system.machine.slab.reclaimablePages).toBeLessThan(pagesBefore);
  sys.close(task, sys.open(task, '/f1', 2));
  expect([inUse('dentry'), inUse('ext4_inode_cache')]).toEqual([2, 2]);
  sys.close(task, open);
  for (const path of paths) system.unlink(path);
  expect(inUse('ext4_inode_cache')).toBe(0);
  fsckSystem(system);
});
