// An address space: its mappings, its page table and what is counted of it (struct mm_struct).
//
// Invariants (check()): totalVm, lockedVm and the like are the sums over the mappings; the resident
// counts are what the page tables hold (fsck.ts counts them).
// Source: Linux 6.18 include/linux/mm_types.h, mm/mmap.c, kernel/fork.c (mm_init()).

import { assert } from '../kernel/errors.ts';
import type { MemGroup } from '../kernel/memcg.ts';
import { NO_ENTRY, PageTable } from '../kernel/pgtable.ts';
import { _PAGE_ACCESSED, ptePfnAny, ptePresent } from '../kernel/pte.ts';
import { USED_EXEC } from '../kernel/reclaim/policy.ts';
import type { AddressSpace, FaultResult } from '../kernel/ports.ts';
import { TASK_SIZE, type Pfn, type PhysAddr, type VirtAddr } from '../kernel/types.ts';
import { handleUserFault } from './fault.ts';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES } from './rss.ts';
import type { System } from './system.ts';
import { VmaTree } from './vma-tree.ts';
import {
  VM_EXEC,
  VM_GROWSDOWN,
  VM_LOCKED,
  VM_SEQ_READ,
  VM_SHARED,
  VM_WRITE,
  type Vma,
} from './vma.ts';

/** Resource limits in bytes; Infinity where there is none. */
export interface Limits {
  as: number;
  data: number;
  stack: number;
  memlock: number;
}

/** Where mmap() starts to place mappings, downwards: 128 MiB below the top, no randomization. */
export const MMAP_BASE = (TASK_SIZE - 0x8000000) as VirtAddr;

export class Mm implements AddressSpace {
  readonly system: System;
  readonly id: number;
  readonly pgt: PageTable;
  readonly vmas = new VmaTree();
  /** Resident pages and swap entries by kind. */
  readonly rss = new Int32Array(4);
  /** Most pages ever resident (hiwater_rss). */
  hiwaterRss = 0;
  /** Sizes in pages, by what the mappings are (VmSize, VmData, VmStk, VmExe+Lib, VmLck). */
  totalVm = 0;
  dataVm = 0;
  stackVm = 0;
  execVm = 0;
  lockedVm = 0;
  /** Most pages ever mapped (hiwater_vm). */
  hiwaterVm = 0;
  startBrk: VirtAddr = 0 as VirtAddr;
  brk: VirtAddr = 0 as VirtAddr;
  startStack: VirtAddr = 0 as VirtAddr;
  mmapBase: VirtAddr = MMAP_BASE;
  /** What a position-independent program was moved by. */
  loadBias = 0;
  /** Flags that every new mapping gets (mlockall(MCL_FUTURE)). */
  defFlags = 0;
  limits: Limits;
  /** How far each limit may be raised (rlimit.ts). */
  hardLimits: Limits = { as: Infinity, data: Infinity, stack: Infinity, memlock: Infinity };
  /** The memory group that pays for its pages; null for the root group. */
  group: MemGroup | null = null;
  /** Its mm_struct. */
  readonly object: PhysAddr;
  /** Tasks that use it. */
  users = 1;
  /** Page tables put aside for huge pages, one each. */
  readonly deposits: Pfn[] = [];

  constructor(system: System, id: number, root: Pfn, limits: Limits) {
    const { mem, pages, alloc, kernelRoot } = system.machine;
    this.system = system;
    this.id = id;
    this.pgt = new PageTable(mem, pages, alloc, id, kernelRoot, root);
    this.limits = limits;
    this.object = system.objects.take(system.objects.mm);
  }

  get root(): Pfn {
    return this.pgt.root;
  }

  /** Resident pages of all kinds. */
  get rssPages(): number {
    return this.rss[MM_FILEPAGES] + this.rss[MM_ANONPAGES] + this.rss[MM_SHMEMPAGES];
  }

  handleFault(va: VirtAddr, errorCode: number): FaultResult {
    return handleUserFault(this, va, errorCode);
  }

  /** Does the entry of va map this very frame, by itself or within a huge page? */
  maps(va: VirtAddr, pfn: Pfn): boolean {
    const { words } = this.system.machine.mem;
    const pmd = this.pgt.pmdAt(va);
    if (pmd === NO_ENTRY) return false;
    if (this.pgt.isHuge(pmd)) {
      return ptePfnAny(words[pmd], words[pmd + 1]) + ((va >>> 12) & 511) === pfn;
    }
    const pte = this.pgt.pteIn(pmd, va);
    if (pte === NO_ENTRY || !ptePresent(words[pte])) return false;
    return ptePfnAny(words[pte], words[pte + 1]) === pfn;
  }

  /** Was the present page of va used since the last call? Clears its accessed bit. */
  clearYoung(va: VirtAddr): number {
    const { words } = this.system.machine.mem;
    const pmd = this.pgt.pmdAt(va);
    if (pmd === NO_ENTRY) return 0;
    const entry = this.pgt.isHuge(pmd) ? pmd : this.pgt.pteIn(pmd, va);
    if (entry === NO_ENTRY || (words[entry] & _PAGE_ACCESSED) === 0) return 0;
    words[entry] &= ~_PAGE_ACCESSED;
    const vma = this.vmas.at(va);
    if (vma === undefined || (vma.flags & VM_SEQ_READ) !== 0) return 0;
    return (vma.flags & VM_EXEC) !== 0 ? 1 | USED_EXEC : 1;
  }

  /**
   * Counts a mapping's pages in (sign 1) or out (-1): totalVm and its parts (vm_stat_account()).
   */
  account(flags: number, pages: number): void {
    this.totalVm += pages;
    if (this.totalVm > this.hiwaterVm) this.hiwaterVm = this.totalVm;
    if (isExecMapping(flags)) this.execVm += pages;
    else if (isStackMapping(flags)) this.stackVm += pages;
    else if (isDataMapping(flags)) this.dataVm += pages;
  }

  /** Remembers the high-water mark of resident pages; call before pages go. */
  updateHiwater(): void {
    const rss = this.rssPages;
    if (rss > this.hiwaterRss) this.hiwaterRss = rss;
  }

  /** False where `pages` more would exceed RLIMIT_AS or RLIMIT_DATA (may_expand_vm()). */
  mayExpand(flags: number, pages: number): boolean {
    if (this.totalVm + pages > this.limits.as / 4096) return false;
    if (isDataMapping(flags) && this.dataVm + pages > this.limits.data / 4096) return false;
    return true;
  }

  /** The mapping that contains va, or the stack mapping above it that could grow down to it. */
  vmaFor(va: number): Vma | undefined {
    const vma = this.vmas.find(va);
    if (vma === undefined || vma.start <= va || (vma.flags & VM_GROWSDOWN) !== 0) return vma;
    return undefined;
  }

  /** Throws KernelBug where an invariant does not hold. */
  check(): void {
    this.vmas.check();
    this.pgt.check();
    let total = 0;
    let locked = 0;
    for (const vma of this.vmas) {
      total += vma.pages;
      if ((vma.flags & VM_LOCKED) !== 0) locked += vma.pages;
      for (const anon of vma.anonVmaChain) {
        assert(anon.vmas.includes(vma), 'each family of a mapping knows the mapping');
      }
    }
    assert(total === this.totalVm, `mm ${this.id}: totalVm ${this.totalVm}, counted ${total}`);
    assert(locked === this.lockedVm, `mm ${this.id}: lockedVm ${this.lockedVm}, counted ${locked}`);
  }
}

function isExecMapping(flags: number): boolean {
  return (flags & (VM_EXEC | VM_WRITE | VM_GROWSDOWN)) === VM_EXEC;
}

function isStackMapping(flags: number): boolean {
  return (flags & VM_GROWSDOWN) !== 0;
}

/** Private and writable, and no stack: what VmData and RLIMIT_DATA count. */
export function isDataMapping(flags: number): boolean {
  return (flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) === VM_WRITE;
}
