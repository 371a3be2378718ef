// The state of one CPU that software sets: privilege level, CR3, control bits, and what it flushes.
// mmu.ts adds what the CPU does with an address.
//
// Changing tables in memory changes nothing that a TLB or a paging-structure cache already holds:
// whoever removes a mapping or a right flushes, with invlpg(), invpcid(), loadSpace() or
// flushAll(), on every CPU that may hold it (smp.ts).
// Source: Intel SDM volume 3, 2.5 (control registers), 4.10.4 (invalidation).

import { assert } from './errors.ts';
import type { PhysMem } from './physmem.ts';
import {
  FAULT_MAPERR,
  FAULT_OK,
  PF_INSTR,
  PF_USER,
  type AddressSpace,
  type FaultResult,
} from './ports.ts';
import { DIRECT_TLB, Tlb, type TlbConfig } from './tlb.ts';
import { addressOf, hiOf, TASK_SIZE, type VirtAddr } from './types.ts';
import { Walker, type CpuFeatures } from './walker.ts';

/** A tag that no paging-structure cache holds: turns the straight line of Cpu.miss() off. */
const NO_TAG = 2;

/** Counts since boot. */
export interface CpuCounters {
  readonly l1Hits: number;
  readonly l2Hits: number;
  /** Accesses that no TLB entry answered. */
  readonly misses: number;
  /** Walks because an entry lacked a right, or D for a write. */
  readonly rewalks: number;
  readonly evictions: number;
  readonly pdeHits: number;
  readonly pdpteHits: number;
  readonly pml4eHits: number;
  /** TLB flushes of one page, and of more. */
  readonly pageFlushes: number;
  readonly flushes: number;
  readonly pageFaults: number;
}

export class CpuState {
  readonly id: number;
  readonly mem: PhysMem;
  /** The host's store of RAM, which touch() indexes. */
  readonly words: Int32Array;
  readonly tlb: Tlb;
  readonly walker: Walker;
  /** Who handles this CPU's page faults and names its tables; null before the first load. */
  space: AddressSpace | null = null;

  /** FAULT_* of the last access that failed; FAULT_OK when none did since takeFault(). */
  fault: FaultResult = FAULT_OK;
  /** Error code of the last #PF, PF_* bits. */
  errorCode = 0;
  /** #PF exceptions so far. */
  pageFaults = 0;
  /** The high word of what load64() returned the low word of. */
  high = 0;

  /** Misses of the direct form that took the straight line of Cpu.miss(). */
  protected quickWalks = 0;
  protected front: Int32Array;
  protected mode = PF_USER; // PF_USER or 0: the current privilege level
  protected pdeTag = NO_TAG;
  private cr2Lo = 0;
  private cr2Hi = 0;

  constructor(id: number, mem: PhysMem, tlb: TlbConfig = DIRECT_TLB) {
    this.id = id;
    this.mem = mem;
    this.words = mem.words;
    this.tlb = new Tlb(tlb);
    this.walker = new Walker(mem, tlb.structure);
    this.front = this.tlb.userFront;
  }

  /** True at privilege level 3, where programs run; a new CPU is there. */
  get userMode(): boolean {
    return this.mode !== 0;
  }

  set userMode(on: boolean) {
    this.mode = on ? PF_USER : 0;
    this.front = on ? this.tlb.userFront : this.tlb.kernelFront;
  }

  /** EFLAGS.AC: STAC and CLAC. */
  set ac(on: boolean) {
    this.walker.ac = on; // user pages never enter the supervisor's front: nothing to flush
  }

  /** CR2: the address of the last #PF. */
  get cr2(): VirtAddr {
    return addressOf(this.cr2Lo, this.cr2Hi);
  }

  get pcid(): number {
    return this.walker.pcid;
  }

  /** Changes control bits (CR0, CR4, EFER); empties the TLB, as a change of these bits may. */
  control(bits: Partial<CpuFeatures>): void {
    this.walker.control(bits);
    this.flushAll();
  }

  /** What the TLB and the walker counted; hits only where the TLB has levels. */
  counters(): CpuCounters {
    const { tlb, walker } = this;
    return {
      l1Hits: tlb.l1Hits,
      l2Hits: tlb.l2Hits,
      misses: tlb.misses + this.quickWalks,
      rewalks: tlb.rewalks,
      evictions: tlb.evictions,
      pdeHits: walker.pde.hits + this.quickWalks,
      pdpteHits: walker.pdpte.hits,
      pml4eHits: walker.pml4e.hits,
      pageFlushes: tlb.pageFlushes,
      flushes: tlb.flushes,
      pageFaults: this.pageFaults,
    };
  }

  /**
   * Loads CR3. Entries of this PCID are dropped unless `noFlush` (bit 63 of the value), which is
   * for a PCID whose entries are known to be good; global entries stay in both cases.
   * @param pcid 0..4095; 0 where CR4.PCIDE is off.
   */
  loadSpace(space: AddressSpace, pcid = 0, noFlush = false): void {
    const { walker } = this;
    assert(pcid >= 0 && pcid < 4096, 'loadSpace: a PCID has 12 bits');
    assert(pcid === 0 || walker.features.pcide, 'loadSpace: a PCID needs CR4.PCIDE');
    assert(space.root >= 0 && space.root < this.mem.nrFrames, 'loadSpace: the root is in RAM');
    this.space = space;
    walker.root = space.root;
    walker.pcid = pcid;
    if (noFlush && walker.features.pcide) this.tlb.flushFront();
    else {
      this.tlb.flush(pcid, false);
      walker.flush();
    }
    this.setPdeTag();
  }

  /** INVLPG: drops the page of `va`, global too, and the paging-structure caches of this PCID. */
  invlpg(va: number): void {
    this.tlb.pageFlushes++;
    this.tlb.dropPage(va | 0, hiOf(va), this.walker.pcid);
    this.walker.flush();
    this.setPdeTag();
  }

  /** INVPCID. Type 0: an address of a PCID; 1: a PCID; 2: everything; 3: all but global entries. */
  invpcid(type: number, pcid: number, va = 0): void {
    if (type === 0) {
      this.tlb.pageFlushes++;
      this.tlb.dropPage(va | 0, hiOf(va), pcid);
    } else this.tlb.flush(type === 1 ? pcid : -1, type === 2);
    this.walker.flush();
    this.setPdeTag();
  }

  /** Drops every entry, global ones included (a toggle of CR4.PGE). */
  flushAll(): void {
    this.tlb.flush(-1, true);
    this.walker.flush();
    this.setPdeTag();
  }

  /** The FAULT_* of the last access that failed, cleared by the reading. */
  takeFault(): FaultResult {
    const { fault } = this;
    this.fault = FAULT_OK;
    return fault;
  }

  /** The physical address behind `va`, or -1; no effect on tables, TLB or counters. */
  peek(va: number): number {
    return this.walker.peek(va);
  }

  /** Raises #PF: sets CR2 and the error code, and asks the space's handler. */
  protected pageFault(lo: number, hi: number, errorCode: number): FaultResult {
    const { nxe, smep } = this.walker.features;
    this.cr2Lo = lo;
    this.cr2Hi = hi;
    this.errorCode = nxe || smep ? errorCode : errorCode & ~PF_INSTR;
    this.pageFaults++;
    const va = addressOf(lo, hi);
    if (this.space === null || va < 0 || va >= TASK_SIZE) return FAULT_MAPERR;
    return this.space.handleFault(va, this.errorCode);
  }

  /** The straight line of miss() serves the direct form, with NXE on: bit 63 is then no error. */
  private setPdeTag(): void {
    const straight = this.tlb.l2 === null && this.walker.features.nxe;
    this.pdeTag = straight ? this.walker.pde.stamp(this.walker.pcid) : NO_TAG;
  }
}
