import { describe, expect, test } from 'vitest';
import { PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { NR_DIRTIED, NR_FILE_DIRTY, NR_WRITTEN } from '../../kernel/stats.ts';
import { fsckSystem } from '../../userspace/fsck.ts';
import { System, Syscalls, access, type Task } from '../../userspace/index.ts';

const PAGE = 4096;
const AT = 0x10000000;
const MS_SYNC = 4;

function mapped(pages: number): { system: System; sys: Syscalls; task: Task } {
  const system = new System({ ram: 64 << 20, sysctl: { largeFolios: false } });
  const sys = new Syscalls(system);
  const task = system.spawn('writer');
  const fd = sys.open(task, 'f', 0o102);
  sys.ftruncate(task, fd, pages * PAGE);
  sys.mmap(task, AT, pages * PAGE, 3, 0x11, fd, 0);
  return { system, sys, task };
}

function store(task: Task, first: number, n: number): void {
  for (let i = first; i < first + n; i++) access(task, AT + i * PAGE, PF_USER | PF_WRITE);
}

describe('dirty pages', () => {
  test('are counted once each, and are clean when msync(2) has written them', () => {
    const { system, sys, task } = mapped(64);
    const { counts, node } = system.machine.stat;
    store(task, 0, 20);
    store(task, 0, 20);
    expect(node[NR_FILE_DIRTY]).toBe(20);
    sys.msync(task, AT, 10 * PAGE, MS_SYNC);
    expect(node[NR_FILE_DIRTY]).toBe(10);
    expect(counts[NR_WRITTEN]).toBe(10);
    const faults = task.minflt;
    store(task, 0, 20); // the written ones are write-protected: each is noticed again
    expect(task.minflt - faults).toBe(10);
    expect(counts[NR_DIRTIED]).toBe(30);
    fsckSystem(system);
  });

  test('are written by the flusher when they have been dirty for 30 s', () => {
    const { system, task } = mapped(128);
    const { node } = system.machine.stat;
    const { trace } = system.machine;
    store(task, 0, 16);
    trace.timeNs += 29e9;
    store(task, 16, 1);
    expect(node[NR_FILE_DIRTY]).toBe(17);
    trace.timeNs += 5e9;
    store(task, 17, 1);
    expect(system.machine.stat.counts[NR_WRITTEN]).toBeGreaterThanOrEqual(17);
    expect(node[NR_FILE_DIRTY]).toBe(1); // the one that came just now
    fsckSystem(system);
  });

  test('stay below the limit, and who makes too many of them waits', () => {
    const { system, task } = mapped(8000);
    const { writeback } = system;
    const { node } = system.machine.stat;
    let most = 0;
    for (let i = 0; i < 8000; i++) {
      store(task, i, 1);
      most = Math.max(most, node[NR_FILE_DIRTY]);
    }
    const { background, limit } = writeback.limits();
    expect(most).toBeGreaterThan(background / 2);
    expect(most).toBeLessThanOrEqual(limit + 1);
    expect(writeback.throttledNs).toBe(0); // the flusher keeps up
    writeback.sysctl.dirtyBackgroundRatio = 0;
    writeback.sysctl.dirtyRatio = 0;
    store(task, 0, 200);
    expect(writeback.throttledNs).toBeGreaterThan(0);
    fsckSystem(system);
  });

  test('go with a file that is cut short', () => {
    const { system, sys, task } = mapped(64);
    store(task, 0, 64);
    const fd = sys.open(task, 'f', 2);
    sys.ftruncate(task, fd, 10 * PAGE);
    expect(system.machine.stat.node[NR_FILE_DIRTY]).toBe(10);
    system.exit(task);
    system.unlink('f');
    expect(system.machine.stat.node[NR_FILE_DIRTY]).toBe(0);
    expect(system.writeback.files.size).toBe(0);
  });
});
