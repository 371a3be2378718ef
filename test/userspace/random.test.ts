// Random programs: every system call and access on several processes, fsck after every step.

import seedrandom from 'seedrandom';
import { expect, test } from 'vitest';
import { PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { below, chance, pick, type Prng } from '../../kernel/prng.ts';
import { fsckSystem } from '../../userspace/fsck.ts';
import { System, Syscalls, access, byteAt, type Task } from '../../userspace/index.ts';
import { expectNoLeaks, freeFrames } from '../support/no-leaks.ts';

const PAGE = 4096;
const BASE = 0x10000000;
const PAGES = 1536;
const HUGE = 512 * PAGE;

interface World {
  readonly system: System;
  readonly sys: Syscalls;
  readonly prng: Prng;
  /** What each living process must read at a page's first byte. */
  readonly bytes: Map<Task, Map<number, number>>;
  readonly fds: number[];
}

function address(w: World): number {
  return BASE + below(w.prng, PAGES) * PAGE;
}

function length(w: World): number {
  return chance(w.prng, 0.2) ? HUGE : (1 + below(w.prng, 40)) * PAGE;
}

function forget(w: World, task: Task, start: number, bytes: number): void {
  const known = w.bytes.get(task)!;
  for (const va of [...known.keys()]) if (va >= start && va < start + bytes) known.delete(va);
}

type Step = (w: World, task: Task) => void;

const steps: readonly Step[] = [
  (w, task) => {
    const bytes = length(w);
    const fixed = chance(w.prng, 0.7) ? 0x10 : 0;
    const flags = pick(w.prng, [0x22, 0x22, 0x22, 0x21, 0x4022, 0x8022]) | fixed;
    const prot = pick(w.prng, [3, 3, 3, 1, 0, 7]);
    const made = w.sys.mmap(task, address(w), bytes, prot, flags, -1, 0);
    if (made >= 0) forget(w, task, made, bytes);
  },
  (w, task) => {
    const at = address(w);
    const bytes = length(w);
    const offset = below(w.prng, 8) * PAGE;
    const flags = pick(w.prng, [0x11, 0x12]);
    w.sys.mmap(task, at, bytes, 3, flags, pick(w.prng, w.fds), offset);
    forget(w, task, at, bytes);
  },
  (w, task) => {
    const at = address(w);
    const bytes = length(w);
    w.sys.munmap(task, at, bytes);
    forget(w, task, at, bytes);
  },
  (w, task) => void w.sys.mprotect(task, address(w), length(w), pick(w.prng, [0, 1, 3, 3])),
  (w, task) => {
    const at = address(w);
    const bytes = length(w);
    const advice = pick(w.prng, [4, 8, 9, 10, 11, 14, 15, 18, 19, 22, 23, 25, 102, 103]);
    w.sys.madvise(task, at, bytes, advice);
    if ([4, 8, 102].includes(advice)) forget(w, task, at, bytes);
  },
  (w, task) => {
    w.sys.mremap(task, address(w), length(w), length(w), pick(w.prng, [1, 1, 3, 5]), address(w));
    forget(w, task, 0, 2 ** 47); // pages moved
  },
  (w, task) => void w.sys.mlock(task, address(w), length(w)),
  (w, task) => void w.sys.munlock(task, address(w), length(w)),
  (w, task) => {
    if (w.system.tasks.size >= 5) return;
    const child = w.sys.fork(task);
    // What MADV_DONTFORK and MADV_WIPEONFORK leave out is not asked for: the child knows nothing.
    if (typeof child !== 'number') w.bytes.set(child, new Map());
  },
  (w, task) => {
    if (w.system.tasks.size < 2) return;
    w.system.exit(task);
    w.bytes.delete(task);
  },
];

function touch(w: World, task: Task, step: number): void {
  const known = w.bytes.get(task)!;
  const { bytes } = w.system.machine.mem;
  for (let i = 0; i < 12; i++) {
    const va = address(w);
    if (chance(w.prng, 0.5)) {
      if (access(task, va, PF_USER | PF_WRITE) !== 0) continue;
      bytes[byteAt(task.mm, va)] = step & 255;
      // Shared memory may change under others: only private anonymous bytes are remembered.
      if (task.mm.vmas.at(va)!.isAnonymous) known.set(va, step & 255);
    } else if (access(task, va, PF_USER) === 0 && known.has(va)) {
      expect(bytes[byteAt(task.mm, va)]).toBe(known.get(va));
    }
  }
}

test.each(['one', 'two', 'three', 'four', 'five', 'six'])('random programs, seed %s', (seed) => {
  const system = new System({ ram: 256 << 20, sysctl: { thp: 'always' } });
  const sys = new Syscalls(system);
  const free = freeFrames(system);
  const first = system.spawn('p0');
  const w: World = { system, sys, prng: seedrandom(seed), bytes: new Map(), fds: [] };
  w.bytes.set(first, new Map());
  w.fds.push(sys.memfdCreate(first, 'm', 0), sys.open(first, 'f', 0o102));
  for (const fd of w.fds) sys.ftruncate(first, fd, 300 * PAGE);
  for (let step = 1; step <= 250; step++) {
    const task = pick(w.prng, [...w.bytes.keys()]);
    pick(w.prng, steps)(w, task);
    for (const t of w.bytes.keys()) touch(w, t, step);
    fsckSystem(system);
  }
  expectNoLeaks(system, free);
});
