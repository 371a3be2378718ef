// A running operating system on a machine: processes, files, settings, and the shared pages.
//
// Invariants (check()): every address space is sound; every mapped frame's counts are what the page
// tables say; what the processes hold plus what is free is all RAM (fsck).
// Source: the roles are those of Linux's init_task, kernel/fork.c, kernel/exit.c, fs/exec.c.

import { ENOMEM, KernelBug, SysError } from '../kernel/errors.ts';
import { GFP_KERNEL_ACCOUNT, __GFP_ZERO } from '../kernel/gfp.ts';
import { Machine, type MachineConfig } from '../kernel/machine.ts';
import type { MemGroup } from '../kernel/memcg.ts';
import { PG_reserved, PG_zero } from '../kernel/page.ts';
import type { AddressSpace } from '../kernel/ports.ts';
import type { Prng } from '../kernel/prng.ts';
import { NO_PFN, PAGE_SIZE, type Pfn } from '../kernel/types.ts';
import { FaultInfo } from './fault-info.ts';
import { KernelObjects } from './kernel-objects.ts';
import type { File, Inode } from './file.ts';
import { dupMm } from './fork.ts';
import { evictIfUnused, newInode, openFile } from './inode-refs.ts';
import { removeVma } from './merge.ts';
import { PageMigration } from './migrate.ts';
import { Mm, type Limits } from './mm.ts';
import { unchargeCommit } from './commit.ts';
import { Files, Task } from './process.ts';
import type { SwapPort } from './swap-port.ts';
import { VM_ACCOUNT } from './vma.ts';
import { reclaimPage } from './unmap.ts';
import { Writeback } from './writeback.ts';
import { zapRange } from './zap.ts';

/** Settings, named as under /proc/sys/vm and /sys/kernel/mm. */
export interface Sysctl {
  /** 0 heuristic, 1 always, 2 never more than the commit limit. */
  overcommitMemory: number;
  overcommitRatio: number;
  adminReserveKbytes: number;
  userReserveKbytes: number;
  maxMapCount: number;
  mmapMinAddr: number;
  /** Pages that fault-around looks at, a power of two; 1 is off. */
  faultAroundPages: number;
  /** Pages of read-ahead of a disk file; 0 is off. */
  readAheadPages: number;
  thp: 'always' | 'madvise' | 'never';
  /** The disk file system has folios of several pages. */
  largeFolios: boolean;
  /** The kernel was built with KSM, with swap (CONFIG_KSM, CONFIG_SWAP). */
  ksm: boolean;
  swapConfigured: boolean;
}

export interface SystemConfig extends MachineConfig {
  readonly sysctl?: Partial<Sysctl>;
  /** Pages of the vdso image. */
  readonly vdsoPages?: number;
  /** Draws the addresses of new processes (aslr.ts); without it they are always the same. */
  readonly random?: Prng;
}

const DEFAULT_SYSCTL: Sysctl = {
  overcommitMemory: 0,
  overcommitRatio: 50,
  adminReserveKbytes: 8192,
  userReserveKbytes: 131072,
  maxMapCount: 65530,
  mmapMinAddr: 0x10000,
  faultAroundPages: 16,
  readAheadPages: 32,
  thp: 'madvise',
  largeFolios: true,
  ksm: true,
  swapConfigured: true,
};

const NO_LIMITS: Limits = { as: Infinity, data: Infinity, stack: 8 << 20, memlock: Infinity };

export class System {
  /** What the machine was made from. */
  readonly config: SystemConfig;
  readonly machine: Machine;
  readonly sysctl: Sysctl;
  /** The kernel's own objects of tasks, spaces and mappings. */
  readonly objects: KernelObjects;
  readonly fault = new FaultInfo();
  readonly writeback: Writeback;
  readonly mms = new Set<Mm>();
  readonly tasks = new Map<number, Task>();
  /** Files by path. */
  readonly files = new Map<string, Inode>();
  /** The task that runs: faults are counted for it. */
  current: Task | null = null;
  /** Pages of a file that the fault now being handled asked for without waiting. */
  readonly inFlight: { inode: Inode | null; start: number; end: number } = {
    inode: null,
    start: 0,
    end: 0,
  };
  /** Pages promised (Committed_AS). */
  vmCommitted = 0;
  totalSwapPages = 0;
  /** May exceed RLIMIT_MEMLOCK and map address 0 (CAP_IPC_LOCK, CAP_SYS_RAWIO). */
  privileged = true;
  swap: SwapPort | null = null;
  /** The kernel's log, line by line. */
  readonly log: string[] = [];
  readonly zeroPfn: Pfn;
  hugeZeroPfn: Pfn = NO_PFN;
  private readonly vdso: Pfn[] = [];
  private readonly vvar: Pfn;
  private group: MemGroup | null = null;
  private nextPid = 1;

  constructor(config: SystemConfig = {}) {
    this.config = config;
    this.machine = new Machine(config);
    this.objects = new KernelObjects(this.machine, this.files);
    this.writeback = new Writeback(this);
    this.machine.compaction.migrator = new PageMigration(this);
    this.sysctl = { ...DEFAULT_SYSCTL, ...config.sysctl };
    this.zeroPfn = this.kernelPage(PG_reserved | PG_zero);
    this.vvar = this.kernelPage(PG_reserved);
    for (let i = 0; i < (config.vdsoPages ?? 2); i++) this.vdso.push(this.kernelPage(PG_reserved));
    this.machine.reclaim.evictor = {
      evict: (pfn) => reclaimPage(this, pfn),
      swapFree: () => this.swap?.available ?? 0,
      writeDirty: () => this.writeback.flush(),
    };
  }

  get rmap(): Machine['rmap'] {
    return this.machine.rmap;
  }

  /** Pages that the allocator manages (MemTotal). */
  get totalRamPages(): number {
    let pages = 0;
    for (const zone of this.machine.alloc.zones) pages += zone.managed;
    return pages;
  }

  /**
   * A memory group for processes; those that are made from now on belong to it, and their children.
   * @param maxBytes what the group may have at most.
   * @param parent the group above it; the root group where not given.
   */
  newGroup(name: string, maxBytes = Infinity, parent?: MemGroup): MemGroup {
    const groups = this.machine.useGroups();
    this.group = groups.create(name, parent ?? groups.root);
    this.group.max = Math.floor(maxBytes / PAGE_SIZE);
    groups.run(this.group);
    return this.group;
  }

  /** An id for a new address space: what its page tables name as owner. */
  newMmId(): number {
    return this.machine.rmap.owners.reserve();
  }

  addMm(mm: Mm): void {
    this.mms.add(mm);
  }

  /** The address space of ours that the kernel knows as `space`. */
  mmOf(space: AddressSpace): Mm {
    for (const mm of this.mms) if (mm === space) return mm;
    throw new KernelBug('every address space is in the list');
  }

  /** An empty address space. @throws SysError ENOMEM */
  newMm(): Mm {
    const root = this.machine.alloc.alloc(GFP_KERNEL_ACCOUNT | __GFP_ZERO, 0);
    if (root === NO_PFN) throw new SysError(ENOMEM);
    const mm = new Mm(this, this.newMmId(), root, { ...NO_LIMITS });
    mm.group = this.group;
    this.mms.add(mm);
    return mm;
  }

  /** A process of its own with an empty address space. */
  spawn(comm: string): Task {
    return this.addTask(null, comm, this.newMm(), new Files(), 0);
  }

  /** fork(2): a process with a copy of the address space. @throws SysError ENOMEM */
  fork(parent: Task): Task {
    return this.addTask(parent, parent.comm, dupMm(parent.mm), parent.files.dup(), 0);
  }

  /** clone(CLONE_VM): a task in the same address space; a thread of its process, or not. */
  cloneVm(parent: Task, thread: boolean, shareFiles: boolean): Task {
    parent.mm.users++;
    if (shareFiles) parent.files.users++;
    const files = shareFiles ? parent.files : parent.files.dup();
    return this.addTask(parent, parent.comm, parent.mm, files, thread ? parent.tgid : 0);
  }

  /** execve(2): the task gets an empty address space; the old one loses a user. */
  exec(task: Task, comm: string): void {
    const old = task.mm;
    task.comm = comm;
    task.mm = this.newMm();
    task.mm.limits = { ...old.limits };
    task.mm.hardLimits = { ...old.hardLimits };
    this.putMm(old);
  }

  /** The task ends; with the last user its address space and its descriptors go. */
  exit(task: Task): void {
    task.alive = false;
    this.tasks.delete(task.pid);
    if (task.objects !== null) this.objects.freeTask(task.objects);
    if (--task.files.users === 0) task.files.closeAll(this);
    this.putMm(task.mm);
    if (this.current === task) this.current = null;
  }

  /** Drops one user of an address space. */
  putMm(mm: Mm): void {
    if (--mm.users === 0) this.destroyMm(mm);
  }

  /** Unmaps everything and frees the tables (exit_mmap()). */
  destroyMm(mm: Mm): void {
    const all = [...mm.vmas];
    for (const vma of all) zapRange(vma, vma.start, vma.end);
    if (all.length > 0) mm.pgt.freeRange(all[0].start, all[all.length - 1].end, 0, Infinity);
    all.forEach((vma, i) => mm.pgt.freeRange(vma.start, vma.end, 0, all[i + 1]?.start ?? Infinity));
    for (const vma of all) {
      if ((vma.flags & VM_ACCOUNT) !== 0) unchargeCommit(this, vma.pages);
      removeVma(vma);
    }
    this.flushTlbSpace(mm);
    mm.pgt.destroy();
    this.mms.delete(mm);
    this.objects.give(this.objects.mm, mm.object);
    this.machine.smp.forget(mm);
    this.machine.rmap.owners.release(mm.id);
  }

  /** The file at a path, made if need be. */
  createFile(path: string, size: number): Inode {
    let inode = this.files.get(path);
    if (inode === undefined) {
      inode = newInode(this, 'disk', path, size);
      this.files.set(path, inode);
    }
    return inode;
  }

  /** Takes a file's name away; its pages go with the last user. */
  unlink(path: string): void {
    const inode = this.files.get(path);
    if (inode === undefined) return;
    this.files.delete(path);
    inode.unlinked = true;
    evictIfUnused(this, inode);
  }

  /** A file in memory without a name (memfd_create()). */
  createMemfd(name: string): File {
    const inode = newInode(this, 'shmem', `/memfd:${name}`, 0);
    inode.unlinked = true;
    return openFile(this, inode, true, true);
  }

  /** The frame behind page `index` of a mapping that the kernel made; NO_PFN beyond its end. */
  specialPage(name: string, index: number): Pfn {
    if (name === '[vdso]') return this.vdso[index] ?? NO_PFN;
    return name.startsWith('[vvar') ? this.vvar : NO_PFN;
  }

  /** Are all `mapped` entries that map frames of the large folio this address space's? */
  mapsAllOf(mm: Mm, head: Pfn, nr: number, mapped: number): boolean {
    let mine = 0;
    for (let i = 0; i < nr; i++) {
      this.rmap.walk((head + i) as Pfn, (space) => {
        if (space === mm) mine++;
        return true;
      });
    }
    return mine === mapped;
  }

  flushTlb(mm: Mm, start: number, end: number): void {
    this.machine.smp.flushRange(mm, start, end);
  }
  flushTlbPage(mm: Mm, va: number): void {
    this.machine.smp.flushPage(mm, va);
  }
  flushTlbSpace(mm: Mm): void {
    this.machine.smp.flushSpace(mm);
  }

  /** Bytes of RAM in the allocator's hands. */
  get totalRamBytes(): number {
    return this.totalRamPages * PAGE_SIZE;
  }

  private addTask(parent: Task | null, comm: string, mm: Mm, files: Files, tgid: number): Task {
    const pid = this.nextPid++;
    const task = new Task(pid, tgid === 0 ? pid : tgid, parent, comm, mm, files);
    const objects = this.objects.newTask(tgid === 0, files.users === 1);
    if (objects === undefined) throw new SysError(ENOMEM);
    task.objects = objects;
    this.tasks.set(pid, task);
    return task;
  }

  private kernelPage(flags: number): Pfn {
    const { alloc, pages } = this.machine;
    const pfn = alloc.alloc(GFP_KERNEL_ACCOUNT | __GFP_ZERO, 0);
    if (pfn === NO_PFN) throw new SysError(ENOMEM);
    pages.setFlags(pfn, flags);
    return pfn;
  }
}
