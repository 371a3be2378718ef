// A runtime's memory on the emulated kernel: every load, store and system call is a process's own.
//
// Accesses go through a CPU with its TLB: translate, walk, fault, retry, as the hardware does. A
// word index from touch() is the frame's place in RAM, so it stays right until the mapping changes.
// newProcess() makes the address space that a static program finds at its start:
//
//     0x7ffff7ff7000  [vvar] 4 + 2 pages, [vdso] 2 pages, up to mmap_base
//     0x7ffffffde000  stack, 132 KiB
//
// or, where the system draws random addresses, wherever userspace/aslr.ts puts them.
// Source: Linux 6.18 fs/binfmt_elf.c, arch/x86/entry/vdso/vma.c.

import { FAULT_BLOCKED, PF_USER, PF_WRITE } from '../kernel/ports.ts';
import type { Cpu } from '../kernel/mmu.ts';
import { hiOf, PAGE_SIZE, type VirtAddr } from '../kernel/types.ts';
import { access } from '../userspace/access.ts';
import { PIE_BASE, layoutOf } from '../userspace/aslr.ts';
import { mmapRegion } from '../userspace/mmap.ts';
import type { Task } from '../userspace/process.ts';
import { Syscalls } from '../userspace/syscall.ts';
import type { System } from '../userspace/system.ts';
import { UFFD_API, type UffdMessage } from '../userspace/uffd-abi.ts';
import { Userfaultfd } from '../userspace/userfaultfd.ts';
import * as vm from '../userspace/vma.ts';
import { GuestSignal, type Memory } from './memory.ts';

const STACK_BYTES = 33 * PAGE_SIZE;
const VVAR_PAGES = 4;
const VVAR_CLOCK_PAGES = 2;
const VDSO_PAGES = 2;
const MAY = vm.VM_MAYREAD | vm.VM_MAYWRITE | vm.VM_MAYEXEC;

/**
 * A process as exec leaves it, without an image; its fault counters start at 0.
 * @param brk where the image ends, before anything moves: from PIE_BASE on it moves with the image.
 */
export function newProcess(system: System, comm: string, brk = 0x555555580000): Task {
  const task = system.spawn(comm);
  const { mm } = task;
  const layout = layoutOf(system.config.random ?? null, mm.limits.stack);
  mm.mmapBase = layout.mmapBase as VirtAddr;
  mm.loadBias = layout.loadBias;
  const vdso = mm.mmapBase - VDSO_PAGES * PAGE_SIZE;
  const clock = vdso - VVAR_CLOCK_PAGES * PAGE_SIZE;
  const vvar = clock - VVAR_PAGES * PAGE_SIZE;
  const noPages = vm.VM_READ | vm.VM_MAYREAD | vm.VM_IO | vm.VM_DONTEXPAND | vm.VM_PFNMAP;
  const stack = vm.VM_READ | vm.VM_WRITE | MAY | vm.VM_GROWSDOWN;
  const bottom = layout.stackTop - STACK_BYTES;
  mmapRegion(mm, null, vvar, clock, noPages | vm.VM_DONTDUMP, 0, '[vvar]');
  mmapRegion(mm, null, clock, vdso, noPages | vm.VM_DONTDUMP, 0, '[vvar_vclock]');
  mmapRegion(mm, null, vdso, mm.mmapBase, vm.VM_READ | vm.VM_EXEC | MAY, 0, '[vdso]');
  mmapRegion(mm, null, bottom, layout.stackTop, stack, bottom / PAGE_SIZE);
  const bias = brk >= PIE_BASE ? layout.loadBias : 0;
  mm.startBrk = mm.brk = (brk + bias + layout.brkGap) as VirtAddr;
  mm.startStack = layout.startStack as VirtAddr;
  access(task, mm.startStack, PF_USER | PF_WRITE);
  task.minflt = 0;
  task.majflt = 0;
  return task;
}

export class ProcessMemory implements Memory {
  readonly system: System;
  readonly task: Task;
  readonly cpu: Cpu;
  /** Moves on with each flush of any space: the kernel flushes whatever it takes away. */
  readonly moved: Int32Array;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  /** How often each system call was made, by name. */
  readonly calls: Record<string, number> = {};
  private readonly sys: Syscalls;

  constructor(system: System, task: Task) {
    const { machine } = system;
    this.system = system;
    this.task = task;
    this.words = machine.mem.words;
    this.bytes = machine.mem.bytes;
    this.sys = new Syscalls(system);
    this.cpu = machine.smp.run(task.mm);
    this.moved = machine.smp.flushes;
    this.enter();
  }

  touch(va: number, write: boolean): number {
    if (this.cpu.space !== this.task.mm) this.enter();
    const at = this.cpu.touch(va | 0, hiOf(va), write);
    return at >= 0 ? at : this.refused(va);
  }

  touchWords(lo: number, hi: number, write: boolean): number {
    if (this.cpu.space !== this.task.mm) this.enter();
    const at = this.cpu.touch(lo, hi, write);
    return at >= 0 ? at : this.refused(hi * 2 ** 32 + (lo >>> 0));
  }

  get epoch(): number {
    return this.moved[0];
  }

  /** The task gets the CPU: another one had it. */
  private enter(): void {
    this.system.machine.smp.run(this.task.mm);
    this.system.current = this.task;
  }

  private refused(va: number): never {
    if (this.cpu.takeFault() === FAULT_BLOCKED) {
      throw new GuestSignal(`a fault at 0x${va.toString(16)} that no userfaultfd handler resolved`);
    }
    throw new GuestSignal(`SIGSEGV at 0x${va.toString(16)}`);
  }

  load8(va: number): number {
    return this.bytes[this.touch(va, false) * 4 + (va & 3)];
  }
  store8(va: number, value: number): void {
    this.bytes[this.touch(va, true) * 4 + (va & 3)] = value;
  }
  load16(va: number): number {
    const at = this.touch(va, false) * 4 + (va & 3);
    return this.bytes[at] | (this.bytes[at + 1] << 8);
  }
  store16(va: number, value: number): void {
    const at = this.touch(va, true) * 4 + (va & 3);
    this.bytes[at] = value;
    this.bytes[at + 1] = value >>> 8;
  }
  load32(va: number): number {
    return this.words[this.touch(va, false)];
  }
  store32(va: number, value: number): void {
    this.words[this.touch(va, true)] = value;
  }
  load64(va: number): number {
    const at = this.touch(va, false);
    return this.words[at + 1] * 2 ** 32 + (this.words[at] >>> 0);
  }
  store64(va: number, value: number): void {
    const at = this.touch(va, true);
    this.words[at] = value;
    this.words[at + 1] = Math.floor(value / 2 ** 32);
  }

  zero(va: number, lengthBytes: number): void {
    for (let done = 0; done < lengthBytes;) {
      const piece = Math.min(lengthBytes - done, PAGE_SIZE - ((va + done) & 0xfff));
      const at = this.touch(va + done, true) * 4 + ((va + done) & 3);
      this.bytes.fill(0, at, at + piece);
      done += piece;
    }
  }

  copy(to: number, from: number, lengthBytes: number): void {
    if (lengthBytes <= 0) return;
    const backwards = to > from && to < from + lengthBytes;
    for (let done = 0; done < lengthBytes;) {
      // Pieces that cross no page on either side, from the end where the ranges overlap upwards.
      const left = lengthBytes - done;
      let piece: number;
      let at: number;
      if (backwards) {
        const toEnd = ((to + left - 1) & 0xfff) + 1;
        const fromEnd = ((from + left - 1) & 0xfff) + 1;
        piece = Math.min(left, toEnd, fromEnd);
        at = left - piece;
      } else {
        at = done;
        piece = Math.min(left, PAGE_SIZE - ((to + at) & 0xfff), PAGE_SIZE - ((from + at) & 0xfff));
      }
      const target = this.touch(to + at, true) * 4 + ((to + at) & 3);
      const source = this.touch(from + at, false) * 4 + ((from + at) & 3);
      this.bytes.copyWithin(target, source, source + piece);
      done += piece;
    }
  }

  mmap(addr: number, lengthBytes: number, prot: number, flags: number): number {
    this.count('mmap');
    return this.sys.mmap(this.task, addr, lengthBytes, prot, flags, -1, 0);
  }
  munmap(addr: number, lengthBytes: number): number {
    this.count('munmap');
    return this.sys.munmap(this.task, addr, lengthBytes);
  }
  madvise(addr: number, lengthBytes: number, advice: number): number {
    this.count('madvise');
    return this.sys.madvise(this.task, addr, lengthBytes, advice);
  }
  mprotect(addr: number, lengthBytes: number, prot: number): number {
    this.count('mprotect');
    return this.sys.mprotect(this.task, addr, lengthBytes, prot);
  }
  mremap(addr: number, oldBytes: number, newBytes: number, flags: number): number {
    this.count('mremap');
    return this.sys.mremap(this.task, addr, oldBytes, newBytes, flags);
  }
  brk(addr: number): number {
    this.count('brk');
    return this.sys.brk(this.task, addr);
  }

  /**
   * userfaultfd(2): `handler` is called with each message, as a thread that reads them would be; it
   * resolves the fault, or the access fails. Registering and filling are the returned object's.
   */
  userfaultfd(handler: (message: UffdMessage) => void): Userfaultfd {
    this.count('userfaultfd');
    const uffd = new Userfaultfd(this.task.mm);
    uffd.api(UFFD_API, 0);
    uffd.handler = handler;
    return uffd;
  }

  private count(name: string): void {
    this.calls[name] = (this.calls[name] ?? 0) + 1;
  }
}
