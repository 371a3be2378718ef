// Never a lost byte: random programs in a machine that has a quarter of the memory they use, with
// swap; every page is checked by its whole content, and everything by fsck.

import seedrandom from 'seedrandom';
import { describe, expect, test } from 'vitest';
import { SysError } from '../../kernel/errors.ts';
import { PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { below, chance, pick, type Prng } from '../../kernel/prng.ts';
import { memoryFiles } from '../../kernel/memcg_files.ts';
import { badness, oomReport, selectVictim } from '../../kernel/reclaim/oom.ts';
import { OOM_KILL, PGSTEAL_DIRECT, PGSTEAL_KSWAPD } from '../../kernel/stats.ts';
import { policyNamed } from '../../kernel/reclaim/policies.ts';
import { deflate } from '../../tools/zswap.ts';
import { fsckSystem } from '../../userspace/fsck.ts';
import { System, Syscalls, access, byteAt, type Task } from '../../userspace/index.ts';
import type { Swap } from '../../userspace/swap.ts';
import { addSwap } from '../../userspace/swap.ts';
import { swapOff } from '../../userspace/swapoff.ts';
import { expectNoLeaks, freeFrames } from '../support/no-leaks.ts';

const PAGE = 4096;
const ANON = 0x10000000;
const SHARED = 0x20000000;
const FILE = 0x30000000;
const MADV_COLD = 20;
const MADV_PAGEOUT = 21;

/** What one process must find, by page: the seed of its content. */
type Contents = Map<number, number>;

interface World {
  readonly system: System;
  readonly sys: Syscalls;
  readonly prng: Prng;
  /** Private memory by process; shared memory and the file once for all. */
  readonly own: Map<Task, Contents>;
  readonly common: Contents;
  readonly pages: number;
}

/** Words of a page: one in eight pages is zeros, one has the same word throughout. */
function wordOf(va: number, seed: number, i: number): number {
  if (seed % 8 === 0) return 0;
  return Math.imul(seed % 8 === 1 ? seed : seed + i, 0x9e3779b1) ^ va;
}

/** Fills the page at va with words that follow from `seed` and its address. */
function fill(w: World, task: Task, va: number, seed: number): void {
  if (access(task, va, PF_USER | PF_WRITE) !== 0) throw new Error(`no write at ${va.toString(16)}`);
  const { words } = w.system.machine.mem;
  const at = byteAt(task.mm, va) / 4;
  for (let i = 0; i < 1024; i++) words[at + i] = wordOf(va, seed, i);
}

/** Reads the page at va and finds what fill() wrote. */
function check(w: World, task: Task, va: number, seed: number | undefined): void {
  if (access(task, va, PF_USER) !== 0) throw new Error(`no read at ${va.toString(16)}`);
  const { words } = w.system.machine.mem;
  const at = byteAt(task.mm, va) / 4;
  for (let i = 0; i < 1024; i++) {
    const expected = seed === undefined ? 0 : wordOf(va, seed, i);
    if (words[at + i] !== expected) {
      expect({ va, word: i, found: words[at + i] }).toEqual({ va, word: i, found: expected });
    }
  }
}

function contentsOf(w: World, task: Task, va: number): Contents {
  return va < SHARED ? w.own.get(task)! : w.common;
}

function someAddress(w: World): number {
  return pick(w.prng, [ANON, ANON, SHARED, FILE]) + below(w.prng, w.pages) * PAGE;
}

/** How a machine differs from the plain one. */
interface Variant {
  readonly policy?: string;
  /** A second swap device of the same priority, switched off and on again now and then. */
  readonly second?: boolean;
  readonly zswap?: boolean;
}

function makeWorld(
  seed: string,
  ram: number,
  swap: number,
  limit: number,
  { policy, second, zswap }: Variant = {},
): World {
  const replacement = policy === undefined ? undefined : policyNamed(policy)?.make;
  const system = new System({
    ram,
    sysctl: { thp: 'never' },
    ...(replacement === undefined ? {} : { replacement, prng: seedrandom(seed) }),
  });
  addSwap(system, swap, { priority: 5 });
  if (second === true) addSwap(system, swap, { name: '/dev/second', priority: 5 });
  if (zswap === true) {
    (system.swap as Swap).usePool({
      maxPoolPercent: 1,
      compressor: deflate,
    });
  }
  const sys = new Syscalls(system);
  const first = system.spawn('p0');
  if (limit > 0) first.mm.group = system.newGroup('/test', limit);
  const room = limit > 0 ? limit : system.totalRamBytes;
  // Private, shared and file memory: together four times what there is.
  const pages = Math.floor((room * 4) / 3 / PAGE);
  expect(sys.mmap(first, ANON, pages * PAGE, 3, 0x4032, -1, 0)).toBe(ANON);
  expect(sys.mmap(first, SHARED, pages * PAGE, 3, 0x4031, -1, 0)).toBe(SHARED);
  const fd = sys.open(first, 'f', 0o102);
  sys.ftruncate(first, fd, pages * PAGE);
  expect(sys.mmap(first, FILE, pages * PAGE, 3, 0x11, fd, 0)).toBe(FILE);
  const prng = seedrandom(seed);
  const own = new Map([[first, new Map<number, number>()]]);
  return { system, sys, prng, own, common: new Map(), pages };
}

function step(w: World, n: number): void {
  const task = pick(w.prng, [...w.own.keys()]);
  const va = someAddress(w);
  const run = (1 + below(w.prng, 64)) * PAGE;
  const what = w.prng();
  if (what < 0.04) w.sys.madvise(task, va, run, MADV_PAGEOUT);
  else if (what < 0.06) w.sys.madvise(task, va, run, MADV_COLD);
  else if (what < 0.08) w.sys.msync(task, va, run, 4);
  else if (what < 0.1 && w.own.size < 4) {
    const child = w.sys.fork(task);
    if (typeof child !== 'number') w.own.set(child, new Map(w.own.get(task)));
  } else if (what < 0.12 && w.own.size > 1) {
    w.system.exit(task);
    w.own.delete(task);
  } else if (what < 0.13 && (w.system.swap as Swap).areas.length > 1) {
    const area = (w.system.swap as Swap).areas.find((a) => a?.name === '/dev/second');
    if (area === undefined) addSwap(w.system, 16 << 20, { name: '/dev/second', priority: 5 });
    else if (!canSwitchOff(w)) expect(area.closing).toBe(false);
  } else if (what < 0.14) {
    for (const zone of w.system.machine.alloc.zones) w.system.machine.compaction.compact(zone, 9);
  } else {
    for (let i = 0; i < 16; i++) {
      const at = chance(w.prng, 0.3) ? va + i * PAGE : someAddress(w);
      const base = at - (at % 0x10000000);
      if (at - base >= w.pages * PAGE) continue;
      const contents = contentsOf(w, task, at);
      if (chance(w.prng, 0.6)) {
        fill(w, task, at, n);
        contents.set(at, n);
      } else check(w, task, at, contents.get(at));
    }
  }
}

/** Tries to switch the second device off; memory may not suffice. */
function canSwitchOff(w: World): boolean {
  try {
    swapOff(w.system, '/dev/second');
    return true;
  } catch (e) {
    expect(e).toBeInstanceOf(SysError);
    return false;
  }
}

function checkAll(w: World): void {
  for (const [task, own] of w.own) {
    for (const [va, seed] of own) check(w, task, va, seed);
    for (const [va, seed] of w.common) check(w, task, va, seed);
  }
}

/** Larger by environment: PAGEWALK_FUZZ=seeds. */
const SEEDS = Number(process.env['PAGEWALK_FUZZ'] ?? 0);
const STEPS = SEEDS > 0 ? 2000 : 200;
const MORE = Array.from({ length: SEEDS }, (_, i): [string, Variant] => [
  `more-${i}`,
  {
    second: i % 2 === 0,
    zswap: i % 3 === 0,
    ...(i % 4 === 1 ? { policy: 'mglru' } : {}),
  },
]);

describe('a machine a quarter of its size loses no byte', () => {
  test.each([
    ['one', {}],
    ['two', { second: true }],
    ['three', { policy: 'mglru', second: true, zswap: true }],
    ['six', { policy: 'clock' }],
    ['seven', { policy: 'random', zswap: true }],
    ...MORE,
  ])('under a limit, seed %s, %j', (seed, variant) => {
    const w = makeWorld(seed, 256 << 20, 64 << 20, 3 << 20, variant);
    for (let n = 1; n <= STEPS; n++) {
      step(w, n);
      if (n % 25 === 0) {
        fsckSystem(w.system);
        w.system.machine.lru.check();
        w.system.machine.groups!.check();
        w.system.swap!.check();
      }
    }
    checkAll(w);
    fsckSystem(w.system);
    expect(w.system.swap!.available).toBeGreaterThan(0);
  });

  test.each(['four', 'five'])('with too little RAM, seed %s', (seed) => {
    const w = makeWorld(seed, 64 << 20, 256 << 20, 0);
    for (let n = 1; n <= 400; n++) {
      step(w, n);
      if (n % 100 === 0) {
        fsckSystem(w.system);
        w.system.machine.lru.check();
        w.system.swap!.check();
      }
    }
    checkAll(w);
    fsckSystem(w.system);
    expect(w.system.log).toEqual([]);
    const { counts } = w.system.machine.stat;
    expect(counts[PGSTEAL_KSWAPD] + counts[PGSTEAL_DIRECT]).toBeGreaterThan(1000);
  });
});

test('an OOM kill gives everything back, and is logged as the kernel logs it', () => {
  const system = new System({ ram: 64 << 20 });
  const sys = new Syscalls(system);
  const group = system.newGroup('/small', 2 << 20);
  const free = freeFrames(system);
  const small = system.spawn('small');
  const greedy = system.spawn('greedy');
  for (const task of [small, greedy]) sys.mmap(task, ANON, 4 << 20, 3, 0x32, -1, 0);
  for (let i = 0; i < 64; i++) access(small, ANON + i * PAGE, PF_USER | PF_WRITE);
  let refused = 0;
  for (let i = 0; i < 1024 && refused === 0; i++) {
    refused = access(greedy, ANON + i * PAGE, PF_USER | PF_WRITE);
  }
  expect(greedy.alive).toBe(false);
  expect(small.alive).toBe(true);
  expect(group.events.oom_kill).toBe(1);
  expect(system.log.join('\n')).toMatch(
    /greedy invoked oom-killer[^]*Memory cgroup out of memory: Killed process \d+ \(greedy\)/,
  );
  const groups = system.machine.groups!;
  groups.check();
  const files = new Map(memoryFiles(group, system.machine));
  expect(files.get('memory.max')).toBe(`${2 << 20}\n`);
  expect(files.get('memory.current')).toBe(`${group.usage * PAGE}\n`);
  expect(files.get('memory.high')).toBe('max\n');
  expect(files.get('memory.events')).toContain('oom_kill 1\n');
  expect(files.get('memory.stat')).toContain(`anon ${64 * PAGE}\n`);
  system.exit(small);
  expect(group.usage).toBe(0);
  expect(system.machine.stat.counts[OOM_KILL]).toBe(1);
  system.machine.stat.counts[OOM_KILL] = 0;
  expectNoLeaks(system, free);
});

describe('badness', () => {
  const task = {
    pid: 7,
    tgid: 7,
    uid: 0,
    comm: 'a',
    totalVm: 1000,
    rssAnon: 100,
    rssFile: 20,
    rssShmem: 3,
    swapEntries: 40,
    pageTableBytes: 8192,
    scoreAdj: 0,
  };
  test.each([
    ['resident, swapped and table pages', {}, 165],
    ['a thousandth of all memory a point', { scoreAdj: 10 }, 165 + 10 * 1000],
    ['less for a negative score', { scoreAdj: -1 }, 165 - 1000],
  ])('%s', (_what, change, points) => {
    expect(badness({ ...task, ...change }, 1_000_000)).toBe(points);
  });

  test('-1000 is never killed; the first of equals is', () => {
    const safe = { ...task, pid: 1, rssAnon: 1e6, scoreAdj: -1000 };
    const twin = { ...task, pid: 9 };
    expect(selectVictim([safe, task, twin], 1e6)?.pid).toBe(7);
    expect(selectVictim([safe], 1e6)).toBeUndefined();
    const cause = { comm: 'x', gfpText: '0x0', order: 0, scoreAdj: 0, group: undefined };
    expect(oomReport(cause, [safe], undefined).at(-1)).toMatch(/no killable processes/);
  });
});
