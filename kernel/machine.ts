// A computer: RAM, what the kernel knows of it, and the services that everything above uses.
//
// The one file that knows all parts of hardware and kernel: it boots them in order. Processes live
// above (userspace/system.ts).
// Source: the order of Linux 6.18 init/main.c start_kernel().

import { bootMemory, type BootConfig, type BootedMemory } from './boot.ts';
import type { MemMap } from './page.ts';
import type { PageAllocator } from './page_alloc.ts';
import type { PhysMem } from './physmem.ts';
import type { AddressSpace } from './ports.ts';
import { Rmap } from './rmap.ts';
import { SlabHeap, type SlabOptions } from './slab_common.ts';
import { VmStat } from './stats.ts';
import { Trace } from './trace.ts';
import { Vmalloc } from './vmalloc.ts';
import type { Pfn } from './types.ts';

/** What forgets translations: the TLBs of all CPUs. */
export interface TlbFlusher {
  flushPage(space: AddressSpace, va: number): void;
  flushRange(space: AddressSpace, start: number, end: number): void;
  flushSpace(space: AddressSpace): void;
}

export interface MachineConfig extends BootConfig {
  /** Slab debugging, hardening, merging. */
  readonly slab?: SlabOptions;
}

export class Machine {
  readonly booted: BootedMemory;
  readonly mem: PhysMem;
  readonly pages: MemMap;
  readonly alloc: PageAllocator;
  readonly stat = new VmStat();
  readonly trace = new Trace();
  readonly rmap: Rmap;
  /** Slab caches, and areas of the vmalloc range with the kernel's stacks. */
  readonly slab: SlabHeap;
  readonly vmalloc: Vmalloc;
  /** The PGD whose upper half every address space shares. */
  readonly kernelRoot: Pfn;
  /** Set by the CPUs; nothing to flush before there are any. */
  tlb: TlbFlusher | null = null;

  constructor(config: MachineConfig = {}) {
    this.booted = bootMemory(config);
    this.mem = this.booted.mem;
    this.pages = this.booted.pages;
    this.alloc = this.booted.alloc;
    this.kernelRoot = this.booted.kernelRoot;
    this.rmap = new Rmap(this.pages, this.alloc, this.stat);
    this.slab = SlabHeap.boot(this.alloc, this.booted.nrNodes, config.slab);
    this.vmalloc = new Vmalloc(this.alloc, this.kernelRoot);
  }
}
