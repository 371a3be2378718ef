// Each recorded system call as a call to the emulated kernel: name -> handler.
//
// A handler reads the recorded arguments as numbers, makes the call as the recorded task, and
// returns its result, or undefined where the call has none that matters. Calls that are not in the
// table do not touch memory. Buffers are not copied here: what the kernel does to a program's
// memory in a call are the recording's own `kernel` faults, which follow it.

import { EBADF, EINVAL } from '../../kernel/errors.ts';
import { PAGE_SIZE } from '../../kernel/types.ts';
import type { File } from '../../userspace/file.ts';
import type { CallRecord } from '../trace/record.ts';
import { unquote } from '../trace/record.ts';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_SHARED,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../../userspace/mman.ts';
import { filePath, number } from './args.ts';
import type { Description } from './files.ts';
import type { ReplayTask, Replayer } from './replayer.ts';

const O_ACCMODE = 3;
const O_WRONLY = 1;
const O_CREAT = 0o100;
const O_TRUNC = 0o1000;

/** One recorded call with its task, and its arguments as they are asked for. */
export class Call {
  readonly replayer: Replayer;
  readonly task: ReplayTask;
  readonly record: CallRecord;

  constructor(replayer: Replayer, task: ReplayTask, record: CallRecord) {
    this.replayer = replayer;
    this.task = task;
    this.record = record;
  }

  /** An argument as a number; 0 where the recording does not have it. */
  num(index: number): number {
    const text = this.record.args[index];
    if (text === undefined) return 0;
    return number(text, `${this.replayer.recording.path}:${this.record.line}`);
  }

  /** The result as a number; 0 for `?`. */
  get result(): number {
    const { result } = this.record;
    if (result === '?') return 0;
    return number(result, `${this.replayer.recording.path}:${this.record.line}`);
  }

  get failed(): boolean {
    return this.record.result === '-1';
  }

  /** The path that a string argument spells; undefined where it is an address alone. */
  path(index: number): string | undefined {
    const text = this.record.args[index];
    return text?.startsWith('"') === true ? unquote(text) : undefined;
  }
}

/** The file of a descriptor argument: as the recording names it, or as it was last used. */
function fileOf(call: Call, index: number): string {
  const text = call.record.args[index] ?? '';
  const named = filePath(text);
  if (named !== '' || !/^(\d|0x)/.test(text)) return named;
  return call.task.process.files.get(call.num(index))?.path ?? '';
}

export type Handler = (call: Call) => number | undefined;

function mmap(call: Call): number {
  const { sys } = call.replayer.kernel;
  const length = call.num(1);
  const file = mappedFile(call);
  if (file === undefined) return -EBADF;
  const { task } = call.task;
  return sys.mmapFile(task, call.num(0), length, call.num(2), call.num(3), file, call.num(5));
}

/** The file that an mmap maps, null for anonymous memory; undefined where there is none. */
function mappedFile(call: Call): File | null | undefined {
  if ((call.num(3) & MAP_ANONYMOUS) !== 0) return null;
  const path = filePath(call.record.args[4] ?? '');
  if (path === '') return undefined;
  if (path === '/dev/zero' && (call.num(3) & MAP_SHARED) === 0) return null;
  const { files } = call.replayer;
  files.mapped(path);
  return files.resolve(describe(call, call.num(4)), path, call.num(5) + call.num(1));
}

/** The open description behind a descriptor; one is made where the recording begins later. */
function describe(call: Call, fd: number): Description {
  const { files } = call.task.process;
  let description = files.get(fd);
  if (description === undefined) {
    description = { readable: true, writable: true, created: false, file: undefined, path: '' };
    files.set(fd, description);
  }
  return description;
}

function open(call: Call, pathIndex: number, flagsIndex: number): undefined {
  if (call.failed) return undefined;
  const flags = flagsIndex < 0 ? O_CREAT | O_WRONLY | O_TRUNC : call.num(flagsIndex);
  const access = flags & O_ACCMODE;
  const description: Description = {
    readable: access !== O_WRONLY,
    writable: access !== 0,
    created: (flags & O_CREAT) !== 0,
    file: undefined,
    path: '',
  };
  const path = call.path(pathIndex);
  call.task.process.files.set(call.result, description);
  if (path === undefined) return undefined;
  call.replayer.files.opened(path, description);
  const inode = call.replayer.files.inode(path);
  if (inode !== undefined && (flags & O_TRUNC) !== 0) call.replayer.kernel.truncate(inode, 0);
  return undefined;
}

function memfd(call: Call): undefined {
  if (call.failed) return undefined;
  const description = { readable: true, writable: true, created: false, file: undefined, path: '' };
  call.task.process.files.set(call.result, description);
  return undefined;
}

function duplicate(call: Call): undefined {
  if (call.failed) return undefined;
  const { files } = call.task.process;
  const description = files.get(call.num(0));
  if (description !== undefined && call.result !== call.num(0)) files.set(call.result, description);
  return undefined;
}

/** read(2) and its kin: the pages come into the page cache. @param at index of the offset, or -1 */
function read(call: Call, at: number): undefined {
  const bytes = call.result;
  if (call.failed || bytes <= 0) return undefined;
  transfer(call, at, bytes, false);
  return undefined;
}

function write(call: Call, at: number): undefined {
  const bytes = call.result;
  if (call.failed || bytes <= 0) return undefined;
  transfer(call, at, bytes, true);
  return undefined;
}

function transfer(call: Call, at: number, bytes: number, writes: boolean): void {
  const { replayer } = call;
  const fd = call.num(0);
  const path = fileOf(call, 0);
  if (!path.startsWith('/') || !replayer.files.has(path)) return;
  const description = describe(call, fd);
  const file = replayer.files.resolve(description, path, 0);
  const position = at < 0 ? file.position : call.num(at);
  const plain = /^p?read(64)?$/.test(call.record.name);
  if (at < 0) file.position += bytes;
  if (replayer.files.isUnborn(path)) {
    if (writes) file.inode.size = Math.max(file.inode.size, position + bytes);
  } else if (writes) replayer.kernel.writeFile(file, position, bytes);
  else replayer.kernel.readFile(file, position, plain ? call.num(2) : bytes, bytes);
}

function seek(call: Call): undefined {
  const path = fileOf(call, 0);
  if (call.failed || !call.replayer.files.has(path)) return undefined;
  call.replayer.files.resolve(describe(call, call.num(0)), path, 0).position = call.result;
  return undefined;
}

function truncate(call: Call): undefined {
  const path = fileOf(call, 0) || call.path(0);
  if (call.failed || path === undefined) return undefined;
  const inode = call.replayer.files.inode(path);
  if (inode !== undefined) call.replayer.kernel.truncate(inode, call.num(1));
  else call.replayer.files.learnSize(path, call.num(1));
  return undefined;
}

const FALLOC_KEEP_SIZE = 1;
const FALLOC_PUNCH_HOLE = 2;

function fallocate(call: Call): undefined {
  const inode = call.replayer.files.inode(fileOf(call, 0));
  if (call.failed || inode === undefined) return undefined;
  const [mode, start, length] = [call.num(1), call.num(2), call.num(3)];
  const { kernel } = call.replayer;
  if ((mode & FALLOC_PUNCH_HOLE) !== 0) {
    const first = Math.ceil(start / PAGE_SIZE);
    kernel.punchHole(inode, first, Math.floor((start + length) / PAGE_SIZE));
    return undefined;
  }
  if ((mode & FALLOC_KEEP_SIZE) === 0 && start + length > inode.size) inode.size = start + length;
  // A disk only promises blocks; shared memory has its pages at once.
  if (inode.kind === 'shmem') {
    const first = Math.floor(start / PAGE_SIZE);
    kernel.allocate(inode, first, Math.ceil((start + length) / PAGE_SIZE));
  }
  return undefined;
}

/** System V shared memory: a segment is a file in memory, attaching maps it whole. */
function shmget(call: Call): undefined {
  if (call.failed) return undefined;
  const key = (call.num(0) >>> 0).toString(16).padStart(8, '0');
  const size = Math.ceil(call.num(1) / PAGE_SIZE) * PAGE_SIZE;
  call.replayer.segments.add(call.replayer.kernel, call.result, `/SYSV${key}`, size);
  return undefined;
}

const SHM_RDONLY = 0o10000;
const SHM_REMAP = 0o40000;
const SHM_EXEC = 0o100000;

function shmat(call: Call): number {
  const flags = call.num(2);
  const file = call.replayer.segments.get(call.replayer.kernel, call.num(0));
  const prot =
    PROT_READ |
    ((flags & SHM_RDONLY) === 0 ? PROT_WRITE : 0) |
    ((flags & SHM_EXEC) !== 0 ? PROT_EXEC : 0);
  const place = call.num(1) === 0 ? 0 : (flags & SHM_REMAP) !== 0 ? MAP_FIXED : MAP_FIXED_NOREPLACE;
  const { task } = call.task;
  const { size } = file.inode;
  const { sys } = call.replayer.kernel;
  return sys.mmapFile(task, call.num(1), size, prot, MAP_SHARED | place, file, 0);
}

function shmdt(call: Call): number {
  const { mm } = call.task.task;
  const start = call.num(0);
  const inode = mm.vmas.at(start)?.file?.inode;
  if (inode === undefined) return -EINVAL;
  const { sys } = call.replayer.kernel;
  for (const vma of [...mm.vmas]) {
    const first = vma.start - vma.pgoff * PAGE_SIZE;
    if (vma.file?.inode === inode && first === start) {
      sys.munmap(call.task.task, vma.start, vma.end - vma.start);
    }
  }
  return 0;
}

function shmctl(call: Call): undefined {
  if (call.failed || !/^(IPC_RMID|0|0x0)$/.test(call.record.args[1] ?? '')) return undefined;
  call.replayer.segments.remove(call.replayer.kernel, call.num(0));
  return undefined;
}

/** newfstatat, fstat: strace tells a file's size here. */
function stat(call: Call): undefined {
  const path = filePath(call.record.args[0] ?? '');
  const size = /st_size=(\d+)/.exec(call.record.args.join(','))?.[1];
  if (path.startsWith('/') && size !== undefined) call.replayer.files.learnSize(path, Number(size));
  return undefined;
}

function unlink(call: Call, index: number): undefined {
  if (!call.failed) call.replayer.files.unlink(call.path(index));
  return undefined;
}

/** A limit of the process: prlimit64(0, RLIMIT_STACK, {rlim_cur=…}) or setrlimit. */
function setLimit(call: Call, resource: number, value: number): undefined {
  if (call.failed) return undefined;
  const text = call.record.args[value] ?? '';
  const m = /rlim_cur=([^,}]+)/.exec(text);
  if (m === null) return undefined;
  const bytes = number(m[1]!, `${call.replayer.recording.path}:${call.record.line}`);
  call.replayer.kernel.setLimit(call.task.task, call.num(resource), bytes < 0 ? Infinity : bytes);
  return undefined;
}

/** The table; names as strace prints them. */
export const HANDLERS: Readonly<Record<string, Handler | undefined>> = {
  mmap,
  munmap: (c) => c.replayer.kernel.sys.munmap(c.task.task, c.num(0), c.num(1)),
  mremap: (c) =>
    c.replayer.kernel.sys.mremap(c.task.task, c.num(0), c.num(1), c.num(2), c.num(3), c.num(4)),
  mprotect: (c) => c.replayer.kernel.sys.mprotect(c.task.task, c.num(0), c.num(1), c.num(2)),
  pkey_mprotect: (c) => c.replayer.kernel.sys.mprotect(c.task.task, c.num(0), c.num(1), c.num(2)),
  madvise: (c) => c.replayer.kernel.sys.madvise(c.task.task, c.num(0), c.num(1), c.num(2)),
  brk: (c) => c.replayer.kernel.sys.brk(c.task.task, c.num(0)),
  mlock: (c) => c.replayer.kernel.sys.mlock(c.task.task, c.num(0), c.num(1)),
  mlock2: (c) => c.replayer.kernel.sys.mlock2(c.task.task, c.num(0), c.num(1), c.num(2)),
  munlock: (c) => c.replayer.kernel.sys.munlock(c.task.task, c.num(0), c.num(1)),
  mlockall: (c) => c.replayer.kernel.sys.mlockall(c.task.task, c.num(0)),
  munlockall: (c) => c.replayer.kernel.sys.munlockall(c.task.task),
  msync: (c) => c.replayer.kernel.sys.msync(c.task.task, c.num(0), c.num(1), c.num(2)),
  mincore: (c) => c.replayer.kernel.sys.mincore(c.task.task, c.num(0), c.num(1)),
  shmget,
  shmat,
  shmdt,
  shmctl,
  open: (c) => open(c, 0, 1),
  openat: (c) => open(c, 1, 2),
  creat: (c) => open(c, 0, -1),
  memfd_create: memfd,
  dup: duplicate,
  dup2: duplicate,
  dup3: duplicate,
  fcntl: (c) => ((c.record.args[1] ?? '').startsWith('F_DUPFD') ? duplicate(c) : undefined),
  close: (c) => {
    if (!c.failed) c.task.process.files.close(c.num(0));
    return undefined;
  },
  read: (c) => read(c, -1),
  readv: (c) => read(c, -1),
  pread64: (c) => read(c, 3),
  preadv: (c) => read(c, 3),
  write: (c) => write(c, -1),
  writev: (c) => write(c, -1),
  pwrite64: (c) => write(c, 3),
  pwritev: (c) => write(c, 3),
  lseek: seek,
  fallocate,
  truncate,
  ftruncate: truncate,
  fstat: stat,
  newfstatat: stat,
  unlink: (c) => unlink(c, 0),
  unlinkat: (c) => unlink(c, 1),
  setrlimit: (c) => setLimit(c, 0, 1),
  prlimit64: (c) => setLimit(c, 1, 2),
};

/**
 * Goes on with the recorded result where ours differs: what we made is taken back, and what was
 * made then is made at its place.
 */
export function followRecorded(call: Call, ours: number): void {
  const { sys } = call.replayer.kernel;
  const { task } = call.task;
  const recorded = call.failed ? -1 : call.result;
  switch (call.record.name) {
    case 'mmap': {
      if (ours >= 0) sys.munmap(task, ours, call.num(1));
      if (recorded < 0) return;
      const flags = (call.num(3) & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
      const file = mappedFile(call) ?? null;
      sys.mmapFile(task, recorded, call.num(1), call.num(2), flags, file, call.num(5));
      return;
    }
    case 'mremap': {
      const from = ours >= 0 ? ours : call.num(0);
      const length = ours >= 0 ? call.num(2) : call.num(1);
      if (recorded >= 0 && from !== recorded) {
        sys.mremap(task, from, length, call.num(2), MREMAP_MOVE_TO, recorded);
      }
      return;
    }
    case 'brk':
      if (call.num(0) === 0) call.replayer.kernel.moveBrk(task, recorded);
      else sys.brk(task, recorded);
  }
}

/** MREMAP_MAYMOVE | MREMAP_FIXED */
const MREMAP_MOVE_TO = 3;
