// userfaultfd(2): faults of a range are told to a program, which fills the pages itself.
//
//     the task faults -> a message -> somebody reads it, resolves the page, wakes -> the task tries
//                                     COPY, ZEROPAGE, CONTINUE, WRITEPROTECT          again
//
//     missing   no page there: anonymous, or shared memory that has none in its file
//     minor     shared memory: the file has the page, this table has not
//     wp        a write to a page that WRITEPROTECT marked (bit 10 of its entry)
//
// One thread runs at a time here, so a fault does one of two things. With a `handler` it is called
// at once, as if that were the thread that reads: when it returns and the fault was woken, the
// access is tried again. Without one, or where it did not wake, the access returns FAULT_BLOCKED,
// and whoever made it repeats it once the fault is woken: `blocked` says so.
//
// Invariant: a mapping has VM_UFFD_* flags exactly where it has a context.
// Source: Linux 6.18 fs/userfaultfd.c, and ioctl_userfaultfd(2); the filling is uffd-fill.ts.
// Not modelled: events of fork; write-protecting shared memory, swapped or huge pages; hugetlb;
// MOVE, POISON; blocking faults of the kernel itself, which fail.

import { EAGAIN, EBUSY, EINVAL, ENOENT, EPERM, SysError } from '../kernel/errors.ts';
import { FAULT_BLOCKED, FAULT_SIGBUS, type FaultResult } from '../kernel/ports.ts';
import { PAGE_SIZE, TASK_SIZE, pageDown } from '../kernel/types.ts';
import { FAULT_AGAIN } from './fault-flags.ts';
import { modifyVma } from './merge.ts';
import type { Mm } from './mm.ts';
import {
  UFFD_API,
  UFFD_EVENT_PAGEFAULT,
  UFFD_PAGEFAULT_FLAG_WRITE,
  UFFD_PAGEFAULT_FLAG_WP,
  UFFD_PAGEFAULT_FLAG_MINOR,
  UFFD_FEATURE_EVENT_REMAP,
  UFFD_FEATURE_EVENT_REMOVE,
  UFFD_FEATURE_EVENT_UNMAP,
  UFFD_FEATURE_SIGBUS,
  UFFD_FEATURE_EXACT_ADDRESS,
  UFFDIO_REGISTER_MODE_MISSING,
  UFFDIO_REGISTER_MODE_WP,
  UFFDIO_REGISTER_MODE_MINOR,
  UFFDIO_COPY_MODE_DONTWAKE,
  UFFDIO_COPY_MODE_WP,
  UFFDIO_WRITEPROTECT_MODE_WP,
  UFFDIO_WRITEPROTECT_MODE_DONTWAKE,
  type UffdMessage,
} from './uffd-abi.ts';
import { fillRange, writeProtectRange, type Fill } from './uffd-fill.ts';
import {
  VM_MAYWRITE,
  VM_UFFD_MASK,
  VM_UFFD_MINOR,
  VM_UFFD_MISSING,
  VM_UFFD_WP,
  type Vma,
} from './vma.ts';

/** Features that can be asked for here: those above, and the flags that are always told. */
const KNOWN_FEATURES =
  1 |
  UFFD_FEATURE_EVENT_REMAP |
  UFFD_FEATURE_EVENT_REMOVE |
  (1 << 5) | // MISSING_SHMEM
  UFFD_FEATURE_EVENT_UNMAP |
  UFFD_FEATURE_SIGBUS |
  (1 << 10) | // MINOR_SHMEM
  UFFD_FEATURE_EXACT_ADDRESS;

/** What an ioctl of a range did: bytes done, or -errno; and the call's own result, 0 or -errno. */
export interface UffdResult {
  readonly ret: number;
  readonly done: number;
}

export class Userfaultfd {
  readonly mm: Mm;
  /** Reads the messages as they come, if there is one. */
  handler: ((message: UffdMessage) => void) | null = null;
  /** UFFD_FEATURE_* in force; -1 before UFFDIO_API. */
  features = -1;
  private readonly unread: UffdMessage[] = [];
  /** Page of the fault that waits; -1 where none does. */
  private waiting = -1;

  constructor(mm: Mm) {
    this.mm = mm;
  }

  /** True while an access that returned FAULT_BLOCKED would block again. */
  get blocked(): boolean {
    return this.waiting >= 0;
  }

  /** UFFDIO_API. @throws SysError EINVAL: wrong version, unknown features, or called before. */
  api(version: number, features: number): void {
    if (version !== UFFD_API || (features & KNOWN_FEATURES) !== features)
      throw new SysError(EINVAL);
    if (this.features >= 0) throw new SysError(EINVAL);
    this.features = features;
  }

  /** read(2): the next message. @throws SysError EINVAL before api(); EAGAIN where none waits. */
  read(): UffdMessage {
    if (this.features < 0) throw new SysError(EINVAL);
    const message = this.unread.shift();
    if (message === undefined) throw new SysError(EAGAIN);
    return message;
  }

  /**
   * UFFDIO_REGISTER: faults in [start, start + length) are told.
   * @throws SysError EINVAL, EPERM (a mapping that may never be written), EBUSY (another's)
   */
  register(start: number, length: number, mode: number): void {
    this.checkReady();
    if (mode === 0 || (mode & ~7) !== 0) throw new SysError(EINVAL);
    const end = checkRange(start, length);
    const flags =
      ((mode & UFFDIO_REGISTER_MODE_MISSING) !== 0 ? VM_UFFD_MISSING : 0) |
      ((mode & UFFDIO_REGISTER_MODE_WP) !== 0 ? VM_UFFD_WP : 0) |
      ((mode & UFFDIO_REGISTER_MODE_MINOR) !== 0 ? VM_UFFD_MINOR : 0);
    const vmas = this.mm.vmas.range(start, end);
    if (vmas.length === 0) throw new SysError(EINVAL);
    for (const vma of vmas) {
      if (!canRegister(vma, flags)) throw new SysError(EINVAL);
      if ((vma.flags & VM_MAYWRITE) === 0) throw new SysError(EPERM);
      if (vma.uffd !== null && vma.uffd !== this) throw new SysError(EBUSY);
    }
    for (const vma of vmas) this.setFlags(vma, start, end, flags, this);
  }

  /**
   * UFFDIO_UNREGISTER: whoever waits for a missing page goes on, others have to be woken.
   * @throws SysError EINVAL
   */
  unregister(start: number, length: number): void {
    this.checkReady();
    const end = checkRange(start, length);
    const vmas = this.mm.vmas.range(start, end);
    if (vmas.length === 0) throw new SysError(EINVAL);
    for (const vma of vmas) if (!canRegister(vma, vma.flags)) throw new SysError(EINVAL);
    for (const vma of vmas) {
      if (vma.uffd !== this) continue;
      const [from, to] = [Math.max(start, vma.start), Math.min(end, vma.end)];
      const { flags } = vma;
      if ((flags & VM_UFFD_WP) !== 0) writeProtectRange(vma, from, to, false);
      this.setFlags(vma, start, end, 0, null);
      if ((flags & VM_UFFD_MISSING) !== 0) this.wakeRange(from, to);
    }
  }

  /** UFFDIO_COPY of pages of this very process. */
  copy(to: number, from: number, length: number, mode: number): UffdResult {
    const known = UFFDIO_COPY_MODE_DONTWAKE | UFFDIO_COPY_MODE_WP;
    const wp = (mode & UFFDIO_COPY_MODE_WP) !== 0;
    const fits = from >= 0 && length > 0 && from + length <= TASK_SIZE;
    return this.fill(to, length, mode, known, { kind: 'copy', from, wp }, fits);
  }

  /** UFFDIO_ZEROPAGE. */
  zeropage(start: number, length: number, mode: number): UffdResult {
    return this.fill(start, length, mode, 1, { kind: 'zero', from: 0, wp: false });
  }

  /** UFFDIO_CONTINUE: maps what the file has. */
  continue(start: number, length: number, mode: number): UffdResult {
    const wp = (mode & 2) !== 0;
    return this.fill(start, length, mode, 3, { kind: 'continue', from: 0, wp });
  }

  /** UFFDIO_WRITEPROTECT. @throws SysError EINVAL, ENOENT */
  writeprotect(start: number, length: number, mode: number): void {
    this.checkReady();
    const end = checkRange(start, length);
    const wp = (mode & UFFDIO_WRITEPROTECT_MODE_WP) !== 0;
    const quiet = (mode & UFFDIO_WRITEPROTECT_MODE_DONTWAKE) !== 0;
    if ((mode & ~3) !== 0 || (wp && quiet)) throw new SysError(EINVAL);
    const vmas = this.mm.vmas.range(start, end);
    if (vmas.length === 0) throw new SysError(ENOENT);
    for (const vma of vmas) {
      if ((vma.flags & VM_UFFD_WP) === 0) throw new SysError(ENOENT);
      writeProtectRange(vma, Math.max(start, vma.start), Math.min(end, vma.end), wp);
    }
    if (!wp && !quiet) this.wakeRange(start, end);
  }

  /** UFFDIO_WAKE. @throws SysError EINVAL */
  wake(start: number, length: number): void {
    this.checkReady();
    this.wakeRange(start, checkRange(start, length));
  }

  /** close(2): every mapping loses it, and who waits goes on. */
  close(): void {
    for (const vma of [...this.mm.vmas]) {
      if (vma.uffd !== this) continue;
      if ((vma.flags & VM_UFFD_WP) !== 0) writeProtectRange(vma, vma.start, vma.end, false);
      this.setFlags(vma, vma.start, vma.end, 0, null);
    }
    this.waiting = -1;
    this.unread.length = 0;
  }

  /** A fault of kind VM_UFFD_* (handle_userfault()). */
  fault(va: number, write: boolean, reason: number): FaultResult {
    if ((this.features & UFFD_FEATURE_SIGBUS) !== 0) return FAULT_SIGBUS;
    const page = pageDown(va);
    const flags =
      (write ? UFFD_PAGEFAULT_FLAG_WRITE : 0) |
      (reason === VM_UFFD_WP ? UFFD_PAGEFAULT_FLAG_WP : 0) |
      (reason === VM_UFFD_MINOR ? UFFD_PAGEFAULT_FLAG_MINOR : 0);
    if (this.waiting === page) return FAULT_BLOCKED; // told before
    this.waiting = page;
    const exact = (this.features & UFFD_FEATURE_EXACT_ADDRESS) !== 0;
    this.tell({ event: UFFD_EVENT_PAGEFAULT, flags, address: exact ? va : page, to: 0 });
    return this.blocked ? FAULT_BLOCKED : FAULT_AGAIN;
  }

  /** Did its owner ask for this event? */
  hears(feature: number): boolean {
    return this.features >= 0 && (this.features & feature) !== 0;
  }

  /** Memory goes or moves: told where its feature was asked for. */
  tellEvent(event: number, feature: number, address: number, to: number): void {
    if (!this.hears(feature)) return;
    this.tell({ event, flags: 0, address, to });
  }

  private tell(message: UffdMessage): void {
    if (this.handler === null) this.unread.push(message);
    else this.handler(message);
  }

  private fill(
    start: number,
    length: number,
    mode: number,
    known: number,
    how: Fill,
    fits = true,
  ): UffdResult {
    try {
      this.checkReady();
      const end = checkRange(start, length);
      if (!fits || (mode & ~known) !== 0) throw new SysError(EINVAL);
      const done = fillRange(this, start, end, how);
      if (done > 0 && (mode & 1) === 0) this.wakeRange(start, start + done);
      return { ret: done === length ? 0 : done < 0 ? done : -EAGAIN, done };
    } catch (e) {
      if (e instanceof SysError) return { ret: -e.errno, done: 0 };
      throw e;
    }
  }

  private setFlags(
    vma: Vma,
    start: number,
    end: number,
    flags: number,
    owner: Userfaultfd | null,
  ): void {
    const from = Math.max(start, vma.start);
    const to = Math.min(end, vma.end);
    const wanted = (vma.flags & ~VM_UFFD_MASK) | flags;
    if (vma.flags === wanted && vma.uffd === owner) return;
    modifyVma(vma, from, to, wanted, owner);
  }

  private wakeRange(start: number, end: number): void {
    if (this.waiting < start || this.waiting >= end) return;
    this.waiting = -1;
    const isFault = (m: UffdMessage): boolean => m.event === UFFD_EVENT_PAGEFAULT;
    const at = this.unread.findIndex((m) => isFault(m) && m.address >= start && m.address < end);
    if (at >= 0) this.unread.splice(at, 1); // nobody read it, and nobody waits any more
  }

  private checkReady(): void {
    if (this.features < 0) throw new SysError(EINVAL);
  }
}

/** @returns the end of the range. @throws SysError EINVAL (validate_range()) */
function checkRange(start: number, length: number): number {
  const aligned = start % PAGE_SIZE === 0 && length % PAGE_SIZE === 0;
  if (!aligned || length <= 0 || start < 0x10000 || start >= TASK_SIZE) throw new SysError(EINVAL);
  if (length > TASK_SIZE - start) throw new SysError(EINVAL);
  return start + length;
}

/** Only anonymous and shared memory; minor faults only where there is a file (vma_can_userfault). */
function canRegister(vma: Vma, flags: number): boolean {
  const shmem = vma.file?.inode.kind === 'shmem';
  if ((flags & VM_UFFD_MINOR) !== 0 && !shmem) return false;
  if ((flags & VM_UFFD_WP) !== 0 && shmem) return false; // not modelled
  return vma.isAnonymous || shmem;
}
