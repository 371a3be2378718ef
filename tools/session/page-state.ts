// What stands at an address of a process at a moment: its mapping and its page-table entry, and
// what a fault at it means. Peeked at: nothing is changed.

import { PG_anon, PG_anon_exclusive, PG_zero } from '../../kernel/page.ts';
import { PF_INSTR, PF_PROT, PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import {
  _PAGE_DIRTY,
  _PAGE_RW,
  isMarker,
  MAX_SWAPFILES,
  PTE_MARKER_GUARD,
  pteNone,
  swapOffset,
  swapType,
} from '../../kernel/pte.ts';
import { hex, NO_PFN } from '../../kernel/types.ts';
import type { Mm } from '../../userspace/mm.ts';
import { vmaName } from '../../userspace/proc.ts';
import {
  permsOf,
  VM_EXEC,
  VM_GROWSDOWN,
  VM_SHARED,
  VM_WRITE,
  type Vma,
} from '../../userspace/vma.ts';
import type { System } from '../../userspace/system.ts';
import { walk } from '../inspect.ts';

export type EntryKind = 'none' | 'present' | 'swapped' | 'guard' | 'other';

/** The entry of an address, as numbers that can be compared. */
export interface PageState {
  readonly vma: Vma | undefined;
  /** `r--p` and name, in one text; '' where nothing is mapped. */
  readonly mapping: string;
  readonly kind: EntryKind;
  readonly pfn: number;
  /** The slot of swap of an entry that was swapped out. */
  readonly slot: number;
  readonly writable: boolean;
  readonly dirty: boolean;
  /** Bytes that the entry maps, where it is present. */
  readonly size: number;
}

/** The address space that a process had, or its threads: `pid` itself may not live yet. */
export function mmOfProcess(system: System, pid: number, tgid: number): Mm | undefined {
  const task = system.tasks.get(pid);
  if (task !== undefined) return task.mm;
  for (const other of system.tasks.values()) if (other.tgid === tgid) return other.mm;
  return undefined;
}

/** The state of `va` in an address space. */
export function pageState(mm: Mm, va: number): PageState {
  const vma = mm.vmas.at(va);
  const name = vma === undefined ? '' : vmaName(vma);
  const mapping =
    vma === undefined ? '' : `${permsOf(vma.flags)} ${name === '' ? 'anonymous' : name}`;
  const { steps, pfn, size } = walk(mm.system.machine.mem, mm.root, va);
  const { lo = 0, hi = 0, level = 4 } = steps.at(-1) ?? {};
  const present = pfn !== NO_PFN;
  const swapped = !present && level === 1 && !pteNone(lo, hi) && swapType(hi) < MAX_SWAPFILES;
  const guard = !present && level === 1 && isMarker(lo, hi, PTE_MARKER_GUARD);
  const none = !present && (level > 1 || pteNone(lo, hi));
  return {
    vma,
    mapping,
    kind: present ? 'present' : swapped ? 'swapped' : guard ? 'guard' : none ? 'none' : 'other',
    pfn,
    slot: swapped ? swapOffset(lo, hi) : 0,
    writable: present && (lo & _PAGE_RW) !== 0,
    dirty: present && (lo & _PAGE_DIRTY) !== 0,
    size,
  };
}

/** `a write by the program`: a fault's error code in words. */
export function accessText(errorCode: number): string {
  const what =
    (errorCode & PF_WRITE) !== 0
      ? 'a write'
      : (errorCode & PF_INSTR) !== 0
        ? 'a fetch of an instruction'
        : 'a read';
  const who = (errorCode & PF_USER) !== 0 ? 'the program' : "the kernel on the program's behalf";
  return `${what} by ${who}`;
}

/** Why an access that found this state faulted, and what the kernel does about it. */
export function faultCause(mm: Mm, va: number, errorCode: number, s: PageState): string {
  const vma = s.vma ?? growing(mm, va);
  if (vma === undefined) return noMapping(mm, va);
  const write = (errorCode & PF_WRITE) !== 0;
  if (write && (vma.flags & VM_WRITE) === 0) return refused(vma, 'a write');
  if ((errorCode & PF_INSTR) !== 0 && (vma.flags & VM_EXEC) === 0) return refused(vma, 'execution');
  if (permsOf(vma.flags).startsWith('---')) return refused(vma, 'any access');
  if (s.vma === undefined) return 'just below a mapping that grows down: the stack is extended';
  switch (s.kind) {
    case 'present':
      return presentCause(mm, errorCode, s, vma);
    case 'swapped':
      return `the page was swapped out to slot ${s.slot}: read back, or found in the swap cache`;
    case 'guard':
      return 'a guard marker (MADV_GUARD_INSTALL) stands there: SIGSEGV';
    case 'other':
      return 'the entry is a marker, not a page';
    case 'none':
      return absentCause(write, va, vma);
  }
}

function growing(mm: Mm, va: number): Vma | undefined {
  const above = mm.vmas.find(va);
  return above !== undefined && (above.flags & VM_GROWSDOWN) !== 0 ? above : undefined;
}

function noMapping(mm: Mm, va: number): string {
  const above = mm.vmas.find(va);
  const near = above === undefined ? '' : `; the next mapping begins at ${hex(above.start)}`;
  return `no mapping covers the address${near}: SIGSEGV, SEGV_MAPERR`;
}

function refused(vma: Vma, what: string): string {
  return `the mapping is ${permsOf(vma.flags)}, which forbids ${what}: SIGSEGV, SEGV_ACCERR`;
}

/** The entry is there, and still the access faulted. */
function presentCause(mm: Mm, errorCode: number, s: PageState, vma: Vma): string {
  const { pages } = mm.system.machine;
  if ((errorCode & PF_PROT) === 0) return 'the page is there by now: nothing is to be done';
  if ((errorCode & PF_WRITE) === 0 || s.writable) {
    return 'the entry allows the access by now: only the TLB was stale';
  }
  const head = pages.head(s.pfn);
  if ((pages.flags(head) & PG_zero) !== 0) {
    return 'the shared page of zeros is mapped there: the first write gets a frame of its own';
  }
  if ((vma.flags & VM_SHARED) !== 0) {
    return 'a shared page of a file, write-protected so that its first write is noted';
  }
  if ((pages.flags(head) & PG_anon) === 0) {
    return 'a private mapping shows the page of the file: the first write makes a copy';
  }
  if ((pages.flags(s.pfn) & PG_anon_exclusive) !== 0) {
    return 'write-protected, but nobody else has the page: it is made writable again';
  }
  const references = pages.refcount(head);
  return references === 1
    ? 'write-protected since fork(), but the others have let go of it: it is made writable again'
    : `write-protected since fork(), and ${references} references are held: the write gets a copy`;
}

/** Nothing stands there. */
function absentCause(write: boolean, va: number, vma: Vma): string {
  if (vma.special !== '') return `a page of ${vma.special} that was not mapped yet`;
  if (vma.file === null) {
    return write
      ? 'first touch of anonymous memory, a write: a frame of zeros is allocated (demand zero)'
      : 'first touch of anonymous memory, a read: the shared page of zeros will do';
  }
  const { inode } = vma.file;
  const index = vma.indexOf(va);
  const cached = inode.cache.get(index);
  const of = `page ${index} of ${inode.path}`;
  const copy =
    write && (vma.flags & VM_SHARED) === 0 ? ', and is copied at once for the write' : '';
  if (index >= inode.sizePages) return `${of} lies beyond its end: SIGBUS`;
  if (cached !== NO_PFN) {
    return `${of} is in the page cache (frame ${hex(cached)}) but not mapped here${copy}`;
  }
  const from = inode.kind === 'shmem' ? 'is made (shared memory)' : 'must be read from the disk';
  return `${of} is not in the page cache: it ${from}${copy}`;
}
