// What the emulated kernel's memory calls cost, against the real kernel of this host.
//
// A process with 64 MiB of private memory writes one byte a page through its CPU: TLB miss, walk,
// #PF, handler, walk again. Frames are reused from run to run, as the real kernel does.

import type { Cpu } from '../../kernel/mmu.ts';
import { hiOf } from '../../kernel/types.ts';
import { MADV_POPULATE_WRITE, MAP_ANONYMOUS, MAP_PRIVATE } from '../../userspace/mman.ts';
import { Syscalls, System, type Task } from '../../userspace/index.ts';
import type { BenchCase, Size, Subject } from './bench.ts';

const PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS;
const READ_WRITE = 3;
const PAGE = 4096;
const SMALL_MMAP = 16 * PAGE;

/** A process and its CPU. */
class Rig {
  readonly system = new System({ ram: 2 ** 30, sysctl: { thp: 'never', maxMapCount: 100_000 } });
  readonly sys = new Syscalls(this.system);
  readonly task: Task = this.system.spawn('bench');
  readonly bytes: number;

  constructor(size: Size) {
    this.bytes = size === 'small' ? 2 ** 20 : 2 ** 26;
  }

  map(): number {
    return this.sys.mmap(this.task, 0, this.bytes, READ_WRITE, PRIVATE, -1, 0);
  }

  unmap(at: number): void {
    if (this.sys.munmap(this.task, at, this.bytes) !== 0) throw new Error('munmap failed');
  }

  cpuOf(task: Task): Cpu {
    this.system.current = task;
    return this.system.machine.smp.run(task.mm);
  }

  /** Writes a byte into each page. @returns how many faults that took. */
  writeAll(task: Task, at: number): number {
    const cpu = this.cpuOf(task);
    const before = cpu.pageFaults;
    for (let va = at; va < at + this.bytes; va += PAGE) cpu.store8(va | 0, hiOf(va), 1);
    if (cpu.takeFault() !== 0) throw new Error('a store was refused');
    return cpu.pageFaults - before;
  }

  fork(): Task {
    const child = this.sys.fork(this.task);
    if (typeof child === 'number') throw new Error(`fork: errno ${-child}`);
    return child;
  }
}

function zeroFaults(size: Size): Subject {
  const rig = new Rig(size);
  let at = 0;
  return {
    ops: rig.bytes / PAGE,
    prepare: () => {
      if (at !== 0) rig.unmap(at);
      at = rig.map();
    },
    run: () => rig.writeAll(rig.task, at),
  };
}

function populate(size: Size): Subject {
  const rig = new Rig(size);
  let at = 0;
  return {
    ops: rig.bytes / PAGE,
    prepare: () => {
      if (at !== 0) rig.unmap(at);
      at = rig.map();
    },
    run: () => {
      const step = Math.min(rig.bytes, 2 ** 21);
      let failed = 0;
      for (let va = at; va < at + rig.bytes; va += step) {
        failed += rig.sys.madvise(rig.task, va, step, MADV_POPULATE_WRITE);
      }
      return failed;
    },
  };
}

function copyFaults(size: Size): Subject {
  const rig = new Rig(size);
  const at = rig.map();
  rig.writeAll(rig.task, at);
  let child: Task | null = null;
  return {
    ops: rig.bytes / PAGE,
    prepare: () => {
      if (child !== null) rig.system.exit(child);
      rig.writeAll(rig.task, at); // its own again
      child = rig.fork();
    },
    run: () => (child === null ? -1 : rig.writeAll(child, at)),
  };
}

function forkExit(size: Size): Subject {
  const rig = new Rig(size);
  rig.writeAll(rig.task, rig.map());
  return {
    ops: 1,
    run: () => {
      const child = rig.fork();
      rig.system.exit(child);
      return rig.task.mm.rss[1] ?? -1;
    },
  };
}

/** Pairs of mmap and munmap of 64 KiB, beside `mappings` others that cannot merge. */
function mmapPairs(mappings: number): Subject {
  const rig = new Rig('small');
  const { sys, task } = rig;
  const others = sys.mmap(task, 0, Math.max(1, mappings) * PAGE, 0, PRIVATE, -1, 0);
  for (let i = 0; i < mappings; i += 2) sys.mprotect(task, others + i * PAGE, PAGE, READ_WRITE);
  const pairs = 256;
  return {
    ops: pairs,
    run: () => {
      let failed = 0;
      for (let i = 0; i < pairs; i++) {
        const at = sys.mmap(task, 0, SMALL_MMAP, READ_WRITE, PRIVATE, -1, 0);
        failed += at < 0 ? 1 : sys.munmap(task, at, SMALL_MMAP);
      }
      return failed;
    },
  };
}

export const cases: readonly BenchCase[] = [
  {
    name: 'fault.zero',
    what: 'demand-zero fault: the first write to a page',
    unit: 'faults/s',
    yardstick: 'kernel:fault.zero',
    goal: 2,
    stretch: 3,
    make: zeroFaults,
  },
  {
    name: 'fault.zero.sterner',
    what: 'the same, against the kernel without its exceptions',
    unit: 'faults/s',
    yardstick: 'kernel:fault.populate',
    goal: 1,
    stretch: 1.5,
    make: zeroFaults,
  },
  {
    name: 'fault.populate',
    what: 'MADV_POPULATE_WRITE on both sides',
    unit: 'pages/s',
    yardstick: 'kernel:fault.populate',
    make: populate,
  },
  {
    name: 'fault.cow',
    what: 'copy-on-write fault: a child writes what it shares',
    unit: 'faults/s',
    yardstick: 'kernel:fault.cow',
    goal: 1.5,
    stretch: 2.5,
    make: copyFaults,
  },
  {
    name: 'fork',
    what: 'fork and exit with 64 MiB of pages',
    unit: 'forks/s',
    yardstick: 'kernel:fork',
    goal: 1,
    stretch: 2,
    make: forkExit,
  },
  {
    name: 'mmap',
    what: 'mmap and munmap of 64 KiB',
    unit: 'pairs/s',
    yardstick: 'kernel:mmap',
    make: () => mmapPairs(0),
  },
  {
    name: 'mmap.40k',
    what: 'the same beside 40,000 mappings',
    unit: 'pairs/s',
    yardstick: 'kernel:mmap.40k',
    goal: 1,
    stretch: 2,
    make: (size) => mmapPairs(size === 'small' ? 400 : 40_000),
  },
];
