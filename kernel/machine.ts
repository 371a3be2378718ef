// A computer: RAM, what the kernel knows of it, and the services that everything above uses.
//
// The one file that knows all parts of hardware and kernel: it boots them in order. Processes live
// above (userspace/system.ts).
// Source: the order of Linux 6.18 init/main.c start_kernel().

import { bootMemory, type BootConfig, type BootedMemory } from './boot.ts';
import { Compaction } from './compaction.ts';
import { MemGroups } from './memcg.ts';
import type { MemMap } from './page.ts';
import type { PageAllocator } from './page_alloc.ts';
import type { PhysMem } from './physmem.ts';
import type { Prng } from './prng.ts';
import type { MakePolicy } from './reclaim/policy.ts';
import { Lru } from './reclaim/pools.ts';
import { Reclaim } from './reclaim/reclaim.ts';
import { Rmap } from './rmap.ts';
import { SlabHeap, type SlabOptions } from './slab_common.ts';
import { Smp } from './smp.ts';
import { VmStat } from './stats.ts';
import type { TlbConfig } from './tlb.ts';
import { Trace } from './trace.ts';
import { Vmalloc } from './vmalloc.ts';
import type { Pfn } from './types.ts';

export interface MachineConfig extends BootConfig {
  /** Slab debugging, hardening, merging. */
  readonly slab?: SlabOptions;
  /** The TLBs of the CPUs; without it they translate as fast as they can, and count less. */
  readonly tlb?: TlbConfig;
  /** Decides which pages leave memory (reclaim/policies.ts); Linux's two lists where not given. */
  readonly replacement?: MakePolicy;
  /** For policies that draw. */
  readonly prng?: Prng;
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
  readonly compaction: Compaction;
  /** Pages that can be reclaimed. */
  readonly lru: Lru;
  readonly reclaim: Reclaim;
  /** Memory groups; null until the first is made. */
  groups: MemGroups | null = null;
  /** The PGD whose upper half every address space shares. */
  readonly kernelRoot: Pfn;
  readonly smp: Smp;

  constructor(config: MachineConfig = {}) {
    this.booted = bootMemory(config);
    this.mem = this.booted.mem;
    this.pages = this.booted.pages;
    this.alloc = this.booted.alloc;
    this.kernelRoot = this.booted.kernelRoot;
    this.alloc.trace = this.trace;
    const { alloc, pages, stat, trace } = this;
    const { zones } = alloc;
    const oneNode = zones.every((zone) => zone.node === zones[0].node);
    const nodeOf = oneNode ? null : (pfn: number): number => alloc.zoneOf(pfn).node;
    this.lru = new Lru(pages, nodeOf, config.replacement, config.prng);
    this.rmap = new Rmap(pages, alloc, stat, this.lru);
    this.reclaim = new Reclaim({ pages, rmap: this.rmap, stat, trace, zones }, this.lru);
    alloc.walk.pressure = this.reclaim;
    this.slab = SlabHeap.boot(this.alloc, this.booted.nrNodes, config.slab);
    this.reclaim.slabPages = () => this.slab.reclaimablePages + this.slab.unreclaimablePages;
    this.compaction = new Compaction(this.alloc);
    this.reclaim.compactor = (zone, order) => this.compaction.compact(zone, order);
    this.vmalloc = new Vmalloc(this.alloc, this.kernelRoot);
    this.smp = new Smp(this.mem, this.stat, this.trace, this.booted.cpus, config.tlb);
  }

  /** Memory groups, switched on with the first call: pages are charged from then on. */
  useGroups(): MemGroups {
    if (this.groups !== null) return this.groups;
    const groups: MemGroups = new MemGroups(this.pages, (group, pages) =>
      this.reclaim.reclaimGroup(group, pages),
    );
    this.reclaim.groups = groups;
    this.groups = groups;
    this.lru.useGroups(groups.groupOf);
    this.alloc.account(groups);
    return groups;
  }
}
