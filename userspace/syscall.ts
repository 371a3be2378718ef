// System calls: from a program's registers to the kernel's functions, and back.
//
// Arguments are register values as signed doubles: -1 is 0xffff'ffff'ffff'ffff. Magnitudes above
// 2^53 are exact where they are whole pages, else saturated, keeping their place within a page (see
// reg()), which is all that any check looks at. Results are as in the register: >= 0, or -errno.
// This is the one place where a SysError becomes an errno.
// Source: Linux 6.18 arch/x86/entry/syscalls/syscall_64.tbl and the man pages of section 2.

import {
  EBADF,
  EEXIST,
  EFAULT,
  EFBIG,
  EINVAL,
  EISDIR,
  ENOENT,
  SysError,
} from '../kernel/errors.ts';
import { PAGE_SIZE, pageUp } from '../kernel/types.ts';
import { doBrk } from './brk.ts';
import { type File, maxFileBytes } from './file.ts';
import { openFile } from './inode-refs.ts';
import { readFile, truncateFile, writeFile } from './filemap.ts';
import { mmPopulate } from './gup.ts';
import { doMadvise } from './madvise.ts';
import {
  MAP_ANONYMOUS,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_EXEC,
  MFD_NOEXEC_SEAL,
} from './mman.ts';
import { doMlock, doMlockall, doMunlock, doMunlockall } from './mlock.ts';
import { doMmap, doMunmap } from './mmap.ts';
import { doMprotect } from './mprotect.ts';
import { doMremap } from './mremap.ts';
import { doMincore, doMsync } from './msync.ts';
import type { Task } from './process.ts';
import { setLimit } from './rlimit.ts';
import type { System } from './system.ts';

/** What reg() gives for the last page of positive values: 2^63 - 4096 and what follows. */
const LAST_PAGE = 2 ** 53 - PAGE_SIZE;

/** A 64-bit register, given as its two halves, as the number that system calls here take. */
export function reg(lo: number, hi: number): number {
  const value = (hi | 0) * 2 ** 32 + (lo >>> 0);
  if (Math.abs(value) < LAST_PAGE || (lo & 0xfff) === 0) return value; // exact
  if (hi === 0x7fffffff && lo >>> 12 === 0xfffff) return LAST_PAGE + (lo & 0xfff);
  const limit = 2 ** 53 - 2 * PAGE_SIZE;
  return (value < 0 ? -limit : limit) + (lo & 0xfff);
}

/** No access may reach past the last place that 63 bits can name (rw_verify_area()). */
function checkFileRange(offset: number, length: number): void {
  if (length < 0) throw new SysError(EFAULT); // the buffer would leave the address space
  const isLast = offset >= LAST_PAGE && offset < LAST_PAGE + PAGE_SIZE;
  const limit = isLast ? LAST_PAGE + PAGE_SIZE : 2 ** 63;
  if (length > 0 && offset + length >= limit) throw new SysError(EINVAL);
}

// open(2) flags.
export const O_ACCMODE = 3;
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;

export class Syscalls {
  readonly system: System;
  /** What the last mincore() wrote: a string of 0 and 1. */
  mincoreVector = '';
  /** The last byte that pread() read, -1 if it read none. */
  lastByte = -1;

  constructor(system: System) {
    this.system = system;
  }

  mmap(
    task: Task,
    addr: number,
    length: number,
    prot: number,
    flags: number,
    fd: number,
    offset: number,
  ): number {
    return this.run(task, () => {
      if (offset % PAGE_SIZE !== 0) throw new SysError(EINVAL);
      const file = (flags & MAP_ANONYMOUS) === 0 ? task.files.get(fd) : null;
      return this.mapFile(task, addr, length, prot, flags, file, offset);
    });
  }

  /** mmap() of a file that is at hand without a descriptor; for replays. */
  mmapFile(
    task: Task,
    addr: number,
    length: number,
    prot: number,
    flags: number,
    file: File | null,
    offset: number,
  ): number {
    return this.run(task, () => this.mapFile(task, addr, length, prot, flags, file, offset));
  }

  munmap(task: Task, addr: number, length: number): number {
    return this.run(task, () => doMunmap(task.mm, addr, length));
  }

  mprotect(task: Task, addr: number, length: number, prot: number): number {
    return this.run(task, () => doMprotect(task.mm, addr, length, prot));
  }

  mremap(
    task: Task,
    addr: number,
    oldLength: number,
    newLength: number,
    flags: number,
    newAddr = 0,
  ): number {
    return this.run(task, () => doMremap(task.mm, addr, oldLength, newLength, flags, newAddr));
  }

  madvise(task: Task, addr: number, length: number, advice: number): number {
    return this.run(task, () => doMadvise(task.mm, addr, length, advice));
  }

  brk(task: Task, addr: number): number {
    return this.run(task, () => doBrk(task.mm, addr));
  }

  mlock(task: Task, addr: number, length: number): number {
    return this.run(task, () => doMlock(task.mm, addr, length, 0));
  }

  mlock2(task: Task, addr: number, length: number, flags: number): number {
    return this.run(task, () => doMlock(task.mm, addr, length, flags));
  }

  munlock(task: Task, addr: number, length: number): number {
    return this.run(task, () => doMunlock(task.mm, addr, length));
  }

  mlockall(task: Task, flags: number): number {
    return this.run(task, () => doMlockall(task.mm, flags));
  }

  munlockall(task: Task): number {
    return this.run(task, () => doMunlockall(task.mm));
  }

  msync(task: Task, addr: number, length: number, flags: number): number {
    return this.run(task, () => doMsync(task.mm, addr, length, flags));
  }

  /** mincore(2); the vector is left in mincoreVector. */
  mincore(task: Task, addr: number, length: number): number {
    this.mincoreVector = '';
    return this.run(task, () => {
      this.mincoreVector = doMincore(task.mm, addr, length);
    });
  }

  memfdCreate(task: Task, name: string, flags: number): number {
    return this.run(task, () => {
      const known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
      const both = MFD_NOEXEC_SEAL | MFD_EXEC;
      if ((flags & ~known) !== 0 || (flags & both) === both) throw new SysError(EINVAL);
      if (name.length > 249) throw new SysError(EINVAL);
      return task.files.add(this.system.createMemfd(name));
    });
  }

  open(task: Task, path: string, flags: number): number {
    return this.run(task, () => {
      if (path === '.' || path === '..' || path === '') throw new SysError(EISDIR);
      const known = this.system.files.get(path);
      if (known === undefined && (flags & O_CREAT) === 0) throw new SysError(ENOENT);
      if (known !== undefined && (flags & (O_CREAT | O_EXCL)) === (O_CREAT | O_EXCL)) {
        throw new SysError(EEXIST);
      }
      const inode = known ?? this.system.createFile(path, 0);
      if (known === undefined) inode.sparse = true;
      const mode = flags & O_ACCMODE;
      if (mode === O_ACCMODE) throw new SysError(EINVAL);
      if ((flags & O_TRUNC) !== 0 && mode !== O_RDONLY) truncateFile(this.system, inode, 0);
      return task.files.add(openFile(this.system, inode, mode !== O_WRONLY, mode !== O_RDONLY));
    });
  }

  close(task: Task, fd: number): number {
    return this.run(task, () => task.files.close(this.system, fd));
  }

  ftruncate(task: Task, fd: number, length: number): number {
    return this.run(task, () => {
      if (length < 0) throw new SysError(EINVAL);
      const file = task.files.get(fd);
      if (!file.writable) throw new SysError(EINVAL);
      if (length > maxFileBytes(file.inode)) throw new SysError(EFBIG);
      truncateFile(this.system, file.inode, length);
    });
  }

  /** pwrite(2) of `length` bytes of one value. */
  pwrite(task: Task, fd: number, length: number, offset: number, byte: number): number {
    return this.run(task, () => {
      if (offset < 0) throw new SysError(EINVAL);
      const file = task.files.get(fd);
      if (!file.writable) throw new SysError(EBADF);
      checkFileRange(offset, length);
      const room = maxFileBytes(file.inode) - offset;
      if (length === 0) return 0;
      if (room <= 0) throw new SysError(EFBIG);
      const count = Math.min(length, room);
      writeFile(this.system, file.inode, offset, count, byte);
      return count;
    });
  }

  /** pread(2); the last byte read is left in lastByte. */
  pread(task: Task, fd: number, length: number, offset: number): number {
    this.lastByte = -1;
    return this.run(task, () => {
      if (offset < 0) throw new SysError(EINVAL);
      const file = task.files.get(fd);
      if (!file.readable) throw new SysError(EBADF);
      checkFileRange(offset, length);
      const count = Math.max(0, Math.min(length, file.inode.size - offset));
      if (count === 0) return 0;
      this.lastByte = readFile(this.system, file, offset, length, offset + count);
      return count;
    });
  }

  /** setrlimit(2) of RLIMIT_DATA, STACK, MEMLOCK or AS; RLIM_INFINITY (-1) is no limit. */
  setrlimit(task: Task, resource: number, soft: number, hard: number): number {
    return this.run(task, () => setLimit(task.mm, resource, soft, hard));
  }

  /** fork(2). @returns the new task, or -errno. */
  fork(task: Task): Task | number {
    this.system.current = task;
    try {
      return this.system.fork(task);
    } catch (e) {
      if (e instanceof SysError) return -e.errno;
      throw e;
    }
  }

  private mapFile(
    task: Task,
    addr: number,
    length: number,
    prot: number,
    flags: number,
    file: File | null,
    offset: number,
  ): number {
    const made = doMmap(task.mm, file, addr, length, prot, flags, offset);
    if (made.populateBytes > 0) {
      mmPopulate(task.mm, made.addr, made.addr + pageUp(made.populateBytes), true);
    }
    return made.addr;
  }

  private run(task: Task, call: () => unknown): number {
    this.system.current = task;
    try {
      const result = call();
      return typeof result === 'number' ? result : 0;
    } catch (e) {
      if (e instanceof SysError) return -e.errno;
      throw e;
    }
  }
}
