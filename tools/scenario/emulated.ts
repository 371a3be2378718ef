// A scenario's target that is our own kernel: a System on a Machine, with the start process that
// the format describes.

import {
  FAULT_ACCERR,
  FAULT_GP,
  FAULT_MAPERR,
  FAULT_OK,
  FAULT_SIGBUS,
  PF_USER,
  PF_WRITE,
} from '../../kernel/ports.ts';
import { assert, EINVAL } from '../../kernel/errors.ts';
import { PAGE_SIZE, TASK_SIZE, type Pfn } from '../../kernel/types.ts';
import { access, byteAt } from '../../userspace/access.ts';
import { fsckSystem } from '../../userspace/fsck.ts';
import { forEachPage, KPAGE_FLAGS, kpageCount, kpageFlags } from '../../userspace/pagemap.ts';
import { PM_EXCLUSIVE, PM_FILE, PM_PRESENT, PM_SWAP } from '../../userspace/pagemap.ts';
import type { Task } from '../../userspace/process.ts';
import { MM_SWAPENTS } from '../../userspace/rss.ts';
import { smapsOf } from '../../userspace/smaps.ts';
import { reg, Syscalls } from '../../userspace/syscall.ts';
import { System } from '../../userspace/system.ts';
import { VM_GROWSDOWN, VM_LOCKED, permsOf, type Vma } from '../../userspace/vma.ts';
import { configureSwap } from '../zswap.ts';
import { mapLine, pathOf } from './map-line.ts';
import { Observer } from './notes.ts';
import type { AccessResult, CallResult, Faults, MapLine, MemoryUse } from './observe.ts';
import { FrameLabels, ProcessKilled, type PageLine, type Refusal, type Target } from './observe.ts';
import { BRK0, IMAGE_START, STACK_PAGE, startProcess, touchImage } from './start.ts';
import type { Notes } from './story.ts';
import type { Scenario } from './syntax.ts';

/** What the reference machine has. */
const REFERENCE_RAM = 24 * 2 ** 30;

const REFUSALS: Readonly<Record<number, Pick<Refusal, 'signal' | 'code'>>> = {
  [FAULT_MAPERR]: { signal: 'SIGSEGV', code: 'SEGV_MAPERR' },
  [FAULT_ACCERR]: { signal: 'SIGSEGV', code: 'SEGV_ACCERR' },
  [FAULT_SIGBUS]: { signal: 'SIGBUS', code: 'BUS_ADRERR' },
  [FAULT_GP]: { signal: 'SIGSEGV', code: 'SI_KERNEL' },
};

export class EmulatedTarget implements Target {
  private system: System | undefined;
  private sys: Syscalls | undefined;
  private readonly tasks: Task[] = [];
  private labels = new FrameLabels();
  private readonly freed = new Set<number>();
  private usesStack = false;
  private pte0 = 0;
  private atFork: Faults = { minflt: 0, majflt: 0 };
  private readonly observer: Observer | undefined;
  private readonly zswap: boolean;

  /** @param options `zswap`: a compressed pool in front of the swap device. */
  constructor(options: { readonly notes?: boolean; readonly zswap?: boolean } = {}) {
    this.zswap = options.zswap === true;
    if (options.notes === true) this.observer = new Observer(this);
  }

  start(scenario: Scenario): { brk0: bigint; stack: bigint } {
    const { ram, swap, limit, cpus, thp } = scenario.machine;
    const system = new System({
      ram: ram ?? REFERENCE_RAM,
      ...(cpus === undefined ? {} : { cpus }),
      sysctl: { thp, largeFolios: false },
    });
    configureSwap(system, swap ?? 0, this.zswap);
    this.system = system;
    this.sys = new Syscalls(system);
    this.usesStack = scenario.usesStack;
    this.labels = new FrameLabels();
    this.tasks.length = 0;
    const task = startProcess(system);
    // The process joins its group when it is there: its image and stack stay charged to the root.
    if (limit !== undefined) task.mm.group = system.newGroup('/scenario', limit);
    this.tasks.push(task);
    this.pte0 = task.mm.pgt.bytes;
    this.watchFrees(system);
    return { brk0: BigInt(BRK0), stack: BigInt(STACK_PAGE) };
  }

  /** A label belongs to a frame until that is freed: notes every frame that goes back. */
  private watchFrees(system: System): void {
    const { alloc } = system.machine;
    const free = alloc.free.bind(alloc);
    alloc.free = (pfn, order) => {
      for (let i = 0; i < 1 << order; i++) this.freed.add(pfn + i);
      free(pfn, order);
    };
  }

  private forgetFreed(): void {
    if (this.freed.size === 0) return;
    this.labels.forget((frame) => this.freed.has(frame));
    this.freed.clear();
  }

  task(proc: number): Task {
    const task = this.tasks[proc];
    assert(task !== undefined, `process ${proc} exists`);
    if (!task.alive) throw new ProcessKilled('the kernel killed a process');
    return task;
  }

  forkFaults(): Faults {
    return this.atFork;
  }

  isAlive(proc: number): boolean {
    return this.tasks[proc]?.alive === true;
  }

  /** What a refused access raises. @param result FAULT_* */
  refusal(result: number, va: number): Refusal {
    const kind = REFUSALS[result];
    if (kind === undefined) throw new ProcessKilled('the kernel killed a process');
    return { ...kind, addr: result === FAULT_GP ? 0n : BigInt.asUintN(64, BigInt(va)) };
  }

  get running(): System {
    assert(this.system !== undefined, 'the scenario was started');
    return this.system;
  }

  faults(proc: number): Faults {
    const { minflt, majflt } = this.task(proc);
    return { minflt, majflt };
  }

  fork(proc: number): bigint {
    const parent = this.task(proc);
    const child = this.sys!.fork(parent);
    this.atFork = this.faults(proc);
    if (typeof child === 'number') return BigInt(child);
    this.tasks.push(child);
    touchImage(parent);
    touchImage(child);
    this.forgetFreed();
    return BigInt(child.pid);
  }

  exit(proc: number, status: bigint): number {
    this.running.exit(this.task(proc));
    this.forgetFreed();
    return Number(status & 255n);
  }

  syscall(proc: number, call: string, args: readonly bigint[], path: string): CallResult {
    const task = this.task(proc);
    const n = args.map(register);
    const ret = this.dispatch(task, call, n, path);
    this.forgetFreed();
    const result = { ret: BigInt(ret) };
    if (call === 'mincore' && ret === 0) return { ...result, vec: this.sys!.mincoreVector };
    if (call === 'pread' && ret > 0) return { ...result, value: this.sys!.lastByte };
    return result;
  }

  private dispatch(task: Task, call: string, n: readonly number[], path: string): number {
    const sys = this.sys!;
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = n;
    switch (call) {
      case 'mmap':
        return sys.mmap(task, a, b, c, d, e | 0, f);
      case 'munmap':
        return sys.munmap(task, a, b);
      case 'mprotect':
        return sys.mprotect(task, a, b, c);
      case 'mremap':
        return sys.mremap(task, a, b, c, d, e);
      case 'madvise':
        return sys.madvise(task, a, b, c | 0);
      case 'brk':
        return sys.brk(task, a);
      case 'mlock':
        return sys.mlock(task, a, b);
      case 'mlock2':
        return sys.mlock2(task, a, b, c | 0);
      case 'munlock':
        return sys.munlock(task, a, b);
      case 'mlockall':
        return sys.mlockall(task, a | 0);
      case 'munlockall':
        return sys.munlockall(task);
      case 'msync':
        return sys.msync(task, a, b, c | 0);
      case 'mincore':
        return sys.mincore(task, a, b);
      case 'memfd_create':
        return sys.memfdCreate(task, path, a | 0);
      case 'open':
        return sys.open(task, path, a | 0);
      case 'ftruncate':
        return sys.ftruncate(task, a | 0, b);
      case 'close':
        return sys.close(task, a | 0);
      case 'pwrite':
        return sys.pwrite(task, a | 0, b, c, d & 255);
      case 'pread':
        return sys.pread(task, a | 0, b, c);
      default:
        return -EINVAL;
    }
  }

  access(
    proc: number,
    write: boolean,
    address: bigint,
    count: bigint,
    step: bigint,
    value: number,
  ): AccessResult {
    const task = this.task(proc);
    const { mem } = this.running.machine;
    const kind = PF_USER | (write ? PF_WRITE : 0);
    let byte = 0;
    // Between statements the CPU ran the one who gives them: the process finds an empty TLB, and
    // its accesses set the accessed bits that reclaim looks at.
    const { smp } = this.running.machine;
    smp.cpu(smp.current).flushAll();
    // Addresses are numbers while they are canonical: as BigInts only to wrap and to report.
    for (let i = 0n, at = address; i < count; i++, at = BigInt.asUintN(64, at + step)) {
      const va = register(at);
      const result = this.observer?.access(task, va, write) ?? access(task, va, kind);
      if (result !== FAULT_OK) {
        this.forgetFreed();
        return { value: 0, refused: { ...this.refusal(result, 0), ...addressOf(result, at) } };
      }
      const index = byteAt(task.mm, va);
      if (write) mem.bytes[index] = value;
      else byte = mem.bytes[index] ?? 0;
    }
    this.forgetFreed();
    return { value: byte };
  }

  /** The mappings that the format shows. */
  visible(proc: number): Vma[] {
    const { mm } = this.task(proc);
    return [...mm.vmas].filter((vma) => {
      if (vma.start >= IMAGE_START && vma.end <= BRK0) return false;
      if (vma.special !== '' && vma.special !== '[stack]') return false;
      return this.usesStack || pathOf(vma) !== '[stack]';
    });
  }

  maps(proc: number): MapLine[] {
    return this.visible(proc).map(mapLine);
  }

  use(proc: number): MemoryUse {
    const { mm } = this.task(proc);
    const use = { vm_size: 0, vm_data: 0, vm_lck: 0, rss: 0, anon: 0, shmem: 0 };
    for (const vma of this.visible(proc)) {
      const s = smapsOf(vma);
      const kib = (vma.end - vma.start) / 1024;
      use.vm_size += kib;
      if ((vma.flags & VM_LOCKED) !== 0) use.vm_lck += kib;
      const isData = permsOf(vma.flags)[1] === 'w' && permsOf(vma.flags)[3] === 'p';
      if (isData && (vma.flags & VM_GROWSDOWN) === 0) use.vm_data += kib;
      use.rss += s.rss / 1024;
      use.anon += s.anonymous / 1024;
      if (vma.file?.inode.kind === 'shmem') use.shmem += (s.rss - s.anonymous) / 1024;
    }
    return {
      vm_size: use.vm_size,
      vm_rss: use.rss,
      rss_anon: use.anon,
      rss_file: use.rss - use.anon - use.shmem,
      rss_shmem: use.shmem,
      vm_data: use.vm_data,
      vm_lck: use.vm_lck,
      vm_pte: (mm.pgt.bytes - this.pte0) / 1024,
      vm_swap: ((mm.rss[MM_SWAPENTS] ?? 0) * PAGE_SIZE) / 1024,
    };
  }

  pages(proc: number, address: bigint, length: bigint): PageLine[] {
    const { mm } = this.task(proc);
    const top = BigInt(TASK_SIZE);
    const from = address < top ? address : top;
    const to = address + length < top ? address + length : top;
    const out: PageLine[] = [];
    if (length === 0n) return out;
    const start = Number(from & ~4095n);
    const end = Number((to + 4095n) & ~4095n);
    forEachPage(mm, start, end, (va, bits, pfn) => {
      out.push(this.pageLine(va, bits, pfn));
    });
    return out;
  }

  private pageLine(va: number, bits: number, pfn: Pfn): PageLine {
    const bit = (mask: number): number => ((bits & mask) !== 0 ? 1 : 0);
    const line = {
      addr: '0x' + va.toString(16),
      present: bit(PM_PRESENT),
      swapped: bit(PM_SWAP),
      file: bit(PM_FILE),
      exclusive: bit(PM_EXCLUSIVE),
    };
    if (line.present === 0) return line;
    const { running } = this;
    const flags = kpageFlags(running, pfn);
    return {
      ...line,
      frame: this.labels.label(pfn),
      mapcount: kpageCount(running, pfn),
      flags: KPAGE_FLAGS.filter(([, n]) => Math.floor(flags / 2 ** n) % 2 === 1)
        .map(([name]) => name)
        .sort(),
    };
  }

  /** Throws KernelBug where a structure of the kernel or of a process is not sound. */
  check(): void {
    fsckSystem(this.running);
    this.running.swap?.check();
  }

  beginNotes(proc: number): void {
    this.observer?.begin(proc);
  }

  endNotes(proc: number): Notes {
    assert(this.observer !== undefined, 'notes were asked for');
    return this.observer.end(proc);
  }
}

/** siginfo's address: none for a general protection fault. */
function addressOf(result: number, at: bigint): { addr: bigint } {
  return { addr: result === FAULT_GP ? 0n : at };
}

/** A 64-bit value as system calls take it: a signed number (userspace/syscall.ts, reg()). */
function register(value: bigint): number {
  const v = BigInt.asUintN(64, value);
  return reg(Number(v & 0xffffffffn) | 0, Number(v >> 32n) | 0);
}
