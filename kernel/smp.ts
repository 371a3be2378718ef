// The CPUs of a machine, which address space each runs, and how translations are forgotten.
//
// Each CPU keeps the translations of the last few address spaces it ran apart by PCID, as Linux
// does: six slots, each naming a space and the generation of its flushes that the CPU has seen.
//
//     switch to a space   slot found, generation seen       -> load CR3 without flush
//                         slot found, flushed since         -> load CR3 with flush of its PCID
//                         none                              -> take the next slot, flush its PCID
//     flush of a space    generation + 1; CPUs that run it flush now (the others by IPI in Linux,
//                         counted as remote), all others when they switch to it again
//
// A flush of up to 33 pages invalidates page by page, a larger one everything of the space.
// Invariant (check()): a CPU's current slot names the space that its CR3 holds, at the space's own
// generation; no space has two slots on a CPU.
// Source: Linux 6.18 arch/x86/mm/tlb.c: switch_mm_irqs_off(), choose_new_asid(),
// flush_tlb_mm_range(). Not modelled: lazy TLB mode of kernel threads, the user half of PTI.

import { assert } from './errors.ts';
import { Cpu } from './mmu.ts';
import type { PhysMem } from './physmem.ts';
import type { AddressSpace } from './ports.ts';
import {
  NR_TLB_LOCAL_FLUSH_ALL,
  NR_TLB_LOCAL_FLUSH_ONE,
  NR_TLB_REMOTE_FLUSH,
  type VmStat,
} from './stats.ts';
import type { TlbConfig } from './tlb.ts';
import { tlb_flush, type Trace } from './trace.ts';
import { PAGE_SIZE } from './types.ts';

/** Address spaces that a CPU keeps apart (TLB_NR_DYN_ASIDS). */
const SLOTS = 6;
/** Pages up to which a flush goes page by page (tlb_single_page_flush_ceiling). */
const SINGLE_PAGE_CEILING = 33;

interface Slot {
  space: AddressSpace | null;
  generation: number;
}

/** A CPU with the slots it keeps for address spaces. */
interface Context {
  readonly cpu: Cpu;
  readonly slots: readonly Slot[];
  current: number;
  next: number;
}

export class Smp {
  /** The CPU that runs now. */
  current = 0;
  /** Flushes so far, of any space: who keeps what a translation gave looks whether it moved on. */
  readonly flushes = new Int32Array(1);
  private readonly contexts: (Context | undefined)[];
  private readonly generations = new Map<AddressSpace, number>();
  private readonly mem: PhysMem;
  private readonly stat: VmStat;
  private readonly trace: Trace;
  private readonly tlb: TlbConfig | undefined;

  /** @param tlb what TLBs the CPUs have; the plain direct form where it is not given. */
  constructor(mem: PhysMem, stat: VmStat, trace: Trace, nrCpus: number, tlb?: TlbConfig) {
    this.mem = mem;
    this.stat = stat;
    this.trace = trace;
    this.tlb = tlb;
    this.contexts = new Array<Context | undefined>(nrCpus).fill(undefined);
  }

  /** A CPU, made when it is first asked for. */
  cpu(id: number): Cpu {
    return this.context(id).cpu;
  }

  /** The current CPU, running this space (switch_mm()). */
  run(space: AddressSpace): Cpu {
    const context = this.context(this.current);
    const slot = context.slots[context.current];
    if (slot.space === space && slot.generation === this.generation(space)) return context.cpu;
    this.switchTo(context, space);
    return context.cpu;
  }

  /** Forgets one page of a space. */
  flushPage(space: AddressSpace, va: number): void {
    this.flushRange(space, va - (va & 0xfff), va - (va & 0xfff) + PAGE_SIZE);
  }

  /** Forgets [start, end) of a space. */
  flushRange(space: AddressSpace, start: number, end: number): void {
    const pages = Math.ceil((end - start) / PAGE_SIZE);
    if (pages <= 0) return;
    this.flushes[0]++;
    const before = this.generation(space);
    this.generations.set(space, before + 1);
    this.contexts.forEach((context, id) => {
      const slot = context?.slots[context.current];
      if (context === undefined || slot?.space !== space) return;
      if (id !== this.current) this.stat.counts[NR_TLB_REMOTE_FLUSH]++;
      if (pages > SINGLE_PAGE_CEILING || slot.generation !== before) this.flushCpu(context);
      else for (let va = start; va < end; va += PAGE_SIZE) this.flushOne(context.cpu, va);
      slot.generation = before + 1;
    });
    if (this.trace.on) this.trace.emit(tlb_flush, 0, pages);
  }

  /** Forgets all of a space. */
  flushSpace(space: AddressSpace): void {
    this.flushRange(space, 0, Infinity);
  }

  /** A space ends: no CPU runs it or keeps its translations. */
  forget(space: AddressSpace): void {
    this.generations.delete(space);
    for (const context of this.contexts) {
      if (context === undefined) continue;
      for (const slot of context.slots) if (slot.space === space) slot.space = null;
      if (context.cpu.space === space) context.cpu.flushAll();
    }
  }

  /** Throws KernelBug where an invariant does not hold. */
  check(): void {
    for (const context of this.contexts) {
      if (context === undefined) continue;
      const { space, generation } = context.slots[context.current];
      if (space === null) continue;
      assert(context.cpu.space === space, 'a CPU runs the space of its current slot');
      assert(generation <= this.generation(space), 'no CPU is ahead of a flush');
      const same = context.slots.filter((slot) => slot.space === space);
      assert(same.length === 1, 'a space has one slot on a CPU');
    }
  }

  private context(id: number): Context {
    assert(id >= 0 && id < this.contexts.length, `CPU ${id} exists`);
    let context = this.contexts[id];
    if (context === undefined) {
      const cpu = new Cpu(id, this.mem, this.tlb);
      cpu.control({ pcide: true });
      const slots = Array.from({ length: SLOTS }, () => ({ space: null, generation: 0 }));
      context = { cpu, slots, current: 0, next: 0 };
      this.contexts[id] = context;
    }
    return context;
  }

  private switchTo(context: Context, space: AddressSpace): void {
    const wanted = this.generation(space);
    let index = context.slots.findIndex((slot) => slot.space === space);
    const known = index >= 0 && context.slots[index].generation === wanted;
    if (index < 0) {
      index = context.next;
      context.next = (context.next + 1) % SLOTS;
    }
    const slot = context.slots[index];
    slot.space = space;
    slot.generation = wanted;
    context.current = index;
    context.cpu.loadSpace(space, index + 1, known);
  }

  private generation(space: AddressSpace): number {
    return this.generations.get(space) ?? 0;
  }

  private flushCpu(context: Context): void {
    this.stat.counts[NR_TLB_LOCAL_FLUSH_ALL]++;
    context.cpu.invpcid(1, context.current + 1);
  }

  private flushOne(cpu: Cpu, va: number): void {
    this.stat.counts[NR_TLB_LOCAL_FLUSH_ONE]++;
    cpu.invlpg(va);
  }
}
