// Collects what a statement did, for the story: each fault with the entry before and after.

import { FAULT_OK, PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { NO_ENTRY } from '../../kernel/pgtable.ts';
import {
  _PAGE_PRESENT,
  _PAGE_RW,
  _PAGE_SPECIAL,
  isMarker,
  PTE_MARKER_GUARD,
  pteFlagNames,
  pteNone,
  ptePfnAny,
  ptePresent,
  swapOffset,
} from '../../kernel/pte.ts';
import { access } from '../../userspace/access.ts';
import * as did from '../../userspace/fault-info.ts';
import type { Task } from '../../userspace/process.ts';
import { permsOf, VM_SHARED, type Vma } from '../../userspace/vma.ts';
import { pathOf } from './map-line.ts';
import type { MemoryUse, Refusal } from './observe.ts';
import type { FaultNote, Notes } from './story.ts';

/** What the notes are taken of. */
export interface Noted {
  isAlive(proc: number): boolean;
  use(proc: number): MemoryUse;
  /** The mappings to be shown. */
  visible(proc: number): readonly Vma[];
  /** What a refused access raises. @param result FAULT_* */
  refusal(result: number, va: number): Refusal;
}

export class Observer {
  private readonly target: Noted;
  private faults: FaultNote[] = [];
  private accesses = 0;
  private before: MemoryUse | undefined;
  private mapsBefore: readonly string[] = [];

  constructor(target: Noted) {
    this.target = target;
  }

  begin(proc: number): void {
    this.faults = [];
    this.accesses = 0;
    this.before = this.target.use(proc);
    this.mapsBefore = this.mappings(proc);
  }

  end(proc: number): Notes {
    const alive = this.target.isAlive(proc);
    const after = alive ? this.target.use(proc) : this.before;
    return {
      faults: this.faults,
      accesses: this.accesses,
      before: this.before ?? NO_MEMORY,
      after: after ?? NO_MEMORY,
      mapsBefore: this.mapsBefore,
      mapsAfter: alive ? this.mappings(proc) : [],
    };
  }

  private mappings(proc: number): string[] {
    return this.target.visible(proc).map(mappingText);
  }

  /** One access, noted where it faults. @returns FAULT_* */
  access(task: Task, va: number, write: boolean): number {
    this.accesses++;
    const { mm } = task;
    const { fault } = mm.system;
    const { minflt, majflt } = task;
    const before = entryText(task, va);
    const cause = before.includes('(zeros)') ? 'zeros' : isPresent(task, va) ? 'present' : 'absent';
    fault.reset();
    const result = access(task, va, PF_USER | (write ? PF_WRITE : 0));
    const minor = task.minflt - minflt;
    const major = task.majflt - majflt;
    if (result === FAULT_OK && minor + major === 0) return result;
    const vma = mm.vmas.at(va);
    this.faults.push({
      va: BigInt(va) & ((1n << 64n) - 1n),
      write,
      mapping: vma === undefined ? '' : mappingText(vma),
      before,
      after: entryText(task, va),
      cause: result === FAULT_OK ? causeOf(fault, cause) : refusalOf(vma, write, before),
      minor,
      major,
      ...(result === FAULT_OK ? {} : { refused: this.target.refusal(result, va) }),
    });
    return result;
  }
}

const NO_MEMORY: MemoryUse = {
  vm_size: 0,
  vm_rss: 0,
  rss_anon: 0,
  rss_file: 0,
  rss_shmem: 0,
  vm_data: 0,
  vm_lck: 0,
  vm_pte: 0,
  vm_swap: 0,
};

function mappingText(vma: Vma): string {
  const range = `${vma.start.toString(16)}-${vma.end.toString(16)}`;
  const kind = (vma.flags & VM_SHARED) !== 0 ? 'shared' : 'private';
  const path = pathOf(vma);
  return `${range} ${permsOf(vma.flags)} ${path === '' ? `${kind} anonymous` : path}`;
}

/** Place of the entry that translates va, and whether it is a huge page's; NO_ENTRY if none. */
function entryOf(task: Task, va: number): { at: number; huge: boolean } {
  const { pgt } = task.mm;
  if (va < 0 || va >= 2 ** 47) return { at: NO_ENTRY, huge: false };
  const pmd = pgt.pmdAt(va);
  if (pmd === NO_ENTRY) return { at: NO_ENTRY, huge: false };
  if (pgt.isHuge(pmd)) return { at: pmd, huge: true };
  return { at: pgt.pteIn(pmd, va), huge: false };
}

function isPresent(task: Task, va: number): boolean {
  const { at } = entryOf(task, va);
  return at !== NO_ENTRY && ((task.mm.system.machine.mem.words[at] ?? 0) & _PAGE_PRESENT) !== 0;
}

/** The entry in words. */
function entryText(task: Task, va: number): string {
  const { at, huge } = entryOf(task, va);
  if (at === NO_ENTRY) return 'no table';
  const { words } = task.mm.system.machine.mem;
  const [lo = 0, hi = 0] = [words[at], words[at + 1]];
  if (pteNone(lo, hi)) return 'empty';
  if (isMarker(lo, hi, PTE_MARKER_GUARD)) return 'guard marker';
  if (!ptePresent(lo)) return `swap slot ${swapOffset(lo, hi)}`;
  const frame = `frame 0x${ptePfnAny(lo, hi).toString(16)}`;
  const what = (lo & _PAGE_SPECIAL) !== 0 ? ' (zeros)' : '';
  const write = (lo & _PAGE_RW) !== 0 ? '' : ', write-protected';
  return `${huge ? '2 MiB ' : ''}${frame}${what} [${pteFlagNames(lo, hi).join(' ')}]${write}`;
}

/** The kind of a fault in words, from what the handler noted. */
function causeOf(fault: did.FaultInfo, entry: string): string {
  const { kinds, mapped } = fault;
  const has = (bit: number): boolean => (kinds & bit) !== 0;
  const huge = has(did.DID_HUGE) ? 'a huge page of ' : '';
  if (has(did.DID_SWAPIN)) return 'the page was swapped out: read back from swap';
  if (entry === 'zeros' && !has(did.DID_ZERO)) {
    return `the entry was the page of zeros: ${huge}a new frame, zeroed`;
  }
  if (has(did.DID_COPY)) return 'others map the page too: copied to a new frame';
  if (has(did.DID_REUSE)) return 'write-protected, but nobody else maps it any more: made writable';
  if (has(did.DID_COW_FILE)) return 'a write to private file memory: the page was copied';
  if (has(did.DID_ZERO)) return `a first read: ${huge === '' ? 'the shared page' : huge} of zeros`;
  if (has(did.DID_FILE)) {
    const around = mapped > 1 ? `, with ${mapped - 1} cached pages around it` : '';
    return `the file's page was mapped${around}`;
  }
  if (has(did.DID_ANON)) {
    return `nobody touched it before: ${huge}a new frame, zeroed`;
  }
  return 'the entry already allowed it';
}

function refusalOf(vma: Vma | undefined, write: boolean, before: string): string {
  if (vma === undefined) return 'nothing is mapped there';
  if (before === 'guard marker') return 'a guard page';
  const what = write ? 'writing' : 'reading';
  return permsOf(vma.flags)[write ? 1 : 0] === '-'
    ? `the mapping does not allow ${what}`
    : 'there is nothing behind it: past the end of the file';
}
