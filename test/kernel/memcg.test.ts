import { describe, expect, test } from 'vitest';
import { memoryFiles } from '../../kernel/memcg_files.ts';
import type { MemGroup } from '../../kernel/memcg.ts';
import { effectiveProtection, protectionOf } from '../../kernel/memcg_protection.ts';
import { PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { System, Syscalls, access, type Task } from '../../userspace/index.ts';
import { addSwap } from '../../userspace/swap.ts';

const PAGE = 4096;
const AT = 0x10000000;

interface World {
  readonly system: System;
  readonly sys: Syscalls;
  /** A process in a group, with room for 8 MiB. */
  run(group: MemGroup): Task;
}

function world(): World {
  const system = new System({ ram: 64 << 20 });
  addSwap(system, 64 << 20);
  const sys = new Syscalls(system);
  return {
    system,
    sys,
    run: (group) => {
      const task = system.spawn(group.name.slice(1));
      task.mm.group = group;
      sys.mmap(task, AT, 8 << 20, 3, 0x32, -1, 0);
      return task;
    },
  };
}

function store(task: Task, pages: number): void {
  for (let i = 0; i < pages && task.alive; i++) access(task, AT + i * PAGE, PF_USER | PF_WRITE);
}

describe('protection of groups', () => {
  test.each([
    ['what it sets, as far as it uses it', [100, 500, 50, 200, 80, false], 50],
    ['no more than it uses', [30, 500, 50, 200, 80, false], 30],
    ['a share, where siblings claim too much', [100, 500, 100, 100, 200, false], 50],
    ['nothing below an unprotected parent', [100, 500, 100, 0, 200, false], 0],
    ['and a part of what nobody claims', [100, 200, 0, 100, 0, true], 50],
  ] as const)('%s', (_what, [usage, parentUsage, setting, above, siblings, recursive], found) => {
    const got = effectiveProtection(usage, parentUsage, setting, above, siblings, recursive);
    expect(got).toBe(found);
  });

  test.each(['min', 'low'] as const)('memory.%s keeps a group in memory', (what) => {
    const w = world();
    const parent = w.system.newGroup('/parent', 4 << 20);
    const safe = w.system.newGroup('/safe', Infinity, parent);
    const other = w.system.newGroup('/other', Infinity, parent);
    safe[what] = 512;
    const a = w.run(safe);
    const b = w.run(other);
    store(a, 400);
    const faults = a.majflt;
    store(b, 1500);
    store(b, 1500);
    store(a, 400);
    expect(a.majflt - faults).toBe(0);
    expect(b.majflt).toBeGreaterThan(1000);
    expect(safe.events.low).toBe(0);
    expect(protectionOf(safe, parent, false)[what]).toBe(512);
    expect(protectionOf(parent, parent, false)).toEqual({ min: 0, low: 0 });
    w.system.machine.groups!.check();
  });

  test('memory.low gives way where nothing else is left, and says so', () => {
    const w = world();
    const parent = w.system.newGroup('/parent', 2 << 20);
    const low = w.system.newGroup('/low', Infinity, parent);
    low.low = 1024;
    store(w.run(low), 1000);
    expect(low.events.low).toBeGreaterThan(0);
    expect(parent.events.low).toBe(low.events.low);
    expect(parent.localEvents.low).toBe(0);
    expect(parent.usage).toBeLessThanOrEqual(512);
  });
});

test('memory.swap.max: a group without room in swap is killed at its limit', () => {
  const w = world();
  const group = w.system.newGroup('/g', 1 << 20);
  group.swapMax = 64;
  const task = w.run(group);
  store(task, 280);
  expect(task.alive).toBe(true);
  expect(group.swapUsage).toBeGreaterThan(0);
  store(task, 1000);
  expect(task.alive).toBe(false);
  expect(group.swapPeak).toBe(64);
  expect(group.swapUsage).toBe(0);
  expect(group.events.oom_kill).toBe(1);
  const log = w.system.log.join('\n');
  expect(log).toMatch(/^g invoked oom-killer: gfp_mask=0xcc0\(GFP_KERNEL\), order=0/);
  expect(log).toMatch(
    /\nmemory: usage 1024kB, limit 1024kB, failcnt \d+\nswap: usage 256kB, limit 256kB/,
  );
  expect(log).toMatch(/\nMemory cgroup stats for \/g:\nanon \d+\n/);
  expect(log).toContain(',oom_memcg=/g,task_memcg=/g,task=g,pid=1,uid=0\n');
});

test('memory.high reclaims and slows down, but kills nobody', () => {
  const w = world();
  const group = w.system.newGroup('/g');
  group.high = 256;
  const task = w.run(group);
  store(task, 2000);
  expect(task.alive).toBe(true);
  expect(group.events.high).toBeGreaterThan(0);
  expect(group.usage).toBeLessThan(400);
  expect(group.events.max).toBe(0);
});

test('memory.oom.group: one goes, all go', () => {
  const w = world();
  const parent = w.system.newGroup('/parent', 1 << 20);
  const jobs = w.system.newGroup('/jobs', Infinity, parent);
  const aside = w.system.newGroup('/aside', Infinity, parent);
  jobs.oomGroup = true;
  jobs.swapMax = aside.swapMax = 0;
  const [big, small, other] = [w.run(jobs), w.run(jobs), w.run(aside)];
  store(small, 20);
  store(other, 20);
  store(big, 1000);
  expect([big.alive, small.alive, other.alive]).toEqual([false, false, true]);
  expect(parent.events).toMatchObject({ oom_kill: 1 + 1, oom_group_kill: 1 });
  expect(w.system.log.join('\n')).toContain('Tasks in /parent/jobs are going to be killed');
});

test('the files of a group, as version 2 of cgroups shows them', () => {
  const w = world();
  const parent = w.system.newGroup('/parent', 8 << 20);
  const group = w.system.newGroup('/child', Infinity, parent);
  store(w.run(group), 100);
  const groups = w.system.machine.groups!;
  const filesOf = (g: MemGroup): Map<string, string> =>
    new Map(memoryFiles(g, w.system.machine));
  expect(group.path).toBe('/parent/child');
  const files = filesOf(parent);
  expect([...files.keys()].slice(0, 6)).toEqual(
    ['current', 'peak', 'min', 'low', 'high', 'max'].map((name) => `memory.${name}`),
  );
  expect(files.get('memory.max')).toBe(`${8 << 20}\n`);
  expect(files.get('memory.swap.max')).toBe('max\n');
  expect(files.get('memory.events')).toBe(
    'low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n',
  );
  expect(files.get('memory.stat')).toContain(`anon ${100 * PAGE}\n`);
  expect(files.get('memory.stat')).toContain(`inactive_anon ${100 * PAGE}\n`);
  expect(files.get('memory.current')).toBe(filesOf(group).get('memory.current'));
  expect([...filesOf(groups.root).keys()]).toEqual(['memory.stat']);
});
