// The emulated kernel as a replay needs it: tasks by the calls that make and end them, accesses
// with the rights of whoever took them, files with a chosen state of their page cache.
//
// The one file of replay/ that reaches into userspace/ beyond its calls: execve as a recording has
// it (its mappings given, not read from an ELF file) has no system call of its own.

import type { FaultResult } from '../../kernel/ports.ts';
import { NO_PFN, PAGE_SIZE, type VirtAddr } from '../../kernel/types.ts';
import { access, gupWrite } from '../../userspace/access.ts';
import { chargeCommit } from '../../userspace/commit.ts';
import { File, type Inode, type InodeKind } from '../../userspace/file.ts';
import { addFolio, addPage } from '../../userspace/add-page.ts';
import { punchHole, readFile, truncateFile, writeFile } from '../../userspace/filemap.ts';
import { readPages } from '../../userspace/readahead.ts';
import { evictIfUnused, newInode } from '../../userspace/inode-refs.ts';
import { insertVma } from '../../userspace/merge.ts';
import type { Limits } from '../../userspace/mm.ts';
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../userspace/mman.ts';
import type { Task } from '../../userspace/process.ts';
import { Syscalls } from '../../userspace/syscall.ts';
import { System, type SystemConfig } from '../../userspace/system.ts';
import {
  VM_ACCOUNT,
  VM_DONTDUMP,
  VM_DONTEXPAND,
  VM_GROWSDOWN,
  VM_IO,
  VM_MAYEXEC,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_PFNMAP,
  VM_SHARED,
  VM_WRITE,
  Vma,
  vmFlagsOfProt,
} from '../../userspace/vma.ts';
import type { MapRecord } from '../trace/record.ts';
import type { RecordedFiles } from './files.ts';

/** Programs lie below, what mmap() places above. */
const MMAP_REGION = 2 ** 46;

const CLONE_VM = 0x100;
const CLONE_FILES = 0x400;
const CLONE_THREAD = 0x10000;

/** Which resource limit each RLIMIT_* number is. */
const LIMITS: Readonly<Record<number, keyof Limits>> = {
  2: 'data',
  3: 'stack',
  8: 'memlock',
  9: 'as',
};

export class Kernel {
  readonly system: System;
  readonly sys: Syscalls;

  constructor(config: SystemConfig = {}) {
    this.system = new System(config);
    this.sys = new Syscalls(this.system);
  }

  /** What the last faults did. */
  get fault(): System['fault'] {
    return this.system.fault;
  }

  /** The task runs from now on: faults are its. */
  enter(task: Task): void {
    this.system.current = task;
  }

  spawn(): Task {
    return this.system.spawn('replay');
  }

  clone(parent: Task, flags: number): Task {
    this.enter(parent);
    if ((flags & CLONE_VM) === 0) return this.system.fork(parent);
    const shareFiles = (flags & CLONE_FILES) !== 0;
    return this.system.cloneVm(parent, (flags & CLONE_THREAD) !== 0, shareFiles);
  }

  exit(task: Task): void {
    this.system.exit(task);
  }

  /** An access of the CPU for this task. @param code PF_WRITE, PF_INSTR; PF_USER for its own. */
  access(task: Task, address: number, code: number): FaultResult {
    return access(task, address, code);
  }

  /** get_user_pages() of one page for this task, to write it: no hardware fault. */
  gup(task: Task, address: number): FaultResult {
    return gupWrite(task, address);
  }

  /** The page of the argument list, where a recording does not say that execve made it. */
  touchStackTop(task: Task): void {
    const { startStack } = task.mm;
    if (startStack > 0) this.gup(task, startStack);
  }

  /**
   * execve(2) with the mappings that it made in the recording. The break begins behind the main
   * program's last mapping, its anonymous tail (bss) included.
   */
  exec(task: Task, maps: readonly MapRecord[], files: RecordedFiles): void {
    this.enter(task);
    const name = maps.find((m) => m.path.startsWith('/'))?.path ?? task.comm;
    this.system.exec(task, name.slice(name.lastIndexOf('/') + 1).slice(0, 15));
    const { mm } = task;
    const opened = new Map<string, File>();
    let brk = 0;
    for (const map of maps) {
      if (map.start < 0) continue; // [vsyscall] lies in the kernel's half
      const file = map.path.startsWith('/') ? this.execFile(map, opened, files) : null;
      const special = map.path.startsWith('[v');
      const vma = new Vma(
        mm,
        map.start,
        map.end,
        flagsOf(map),
        file === null && !special ? map.start / PAGE_SIZE : map.offset / PAGE_SIZE,
        file,
        special ? map.path : '',
      );
      insertVma(vma);
      mm.account(vma.flags, vma.pages);
      if ((vma.flags & VM_ACCOUNT) !== 0) chargeCommit(mm, vma.pages);
      if (map.path === '[stack]') mm.startStack = (map.end - 8) as VirtAddr;
      if (map.path === name || (map.path === '' && map.start === brk)) brk = map.end;
      if (map.path === '[heap]') brk = map.start;
    }
    mm.startBrk = brk as VirtAddr;
    mm.brk = brk as VirtAddr;
    // mmap() places downwards from the top of what execve itself placed (interpreter, vdso).
    const placed = maps.filter((m) => m.start > MMAP_REGION && m.path !== '[stack]');
    if (placed.length > 0) mm.mmapBase = Math.max(...placed.map((m) => m.end)) as VirtAddr;
  }

  /** The break is where the recording says, before the program first moved it. */
  moveBrk(task: Task, address: number): void {
    if (address <= 0) return;
    task.mm.startBrk = address as VirtAddr;
    task.mm.brk = address as VirtAddr;
  }

  setLimit(task: Task, resource: number, bytes: number): void {
    const limit = LIMITS[resource];
    if (limit !== undefined) task.mm.limits[limit] = bytes;
  }

  /** A file; one in memory is held until drop(), as by an open descriptor. */
  createInode(kind: InodeKind, path: string, size: number): Inode {
    if (kind === 'disk') return this.system.createFile(path, size);
    const inode = newInode(this.system, 'shmem', path, size);
    inode.unlinked = !path.startsWith('/dev/shm/');
    return inode;
  }

  /** An open description; a recording does not say when the last reference to one goes, so these
   * take nothing of the kernel's slab caches. */
  open(inode: Inode, readable: boolean, writable: boolean): File {
    return new File(inode, readable, writable);
  }

  /** Pages [first, end) are in the page cache. */
  preload(inode: Inode, first: number, end: number): void {
    readPages(this.system, inode, first, end);
  }

  preloadFolio(inode: Inode, first: number, order: number): void {
    addFolio(this.system, inode, first, order);
  }

  /** read(2) of `asked` bytes that got `bytes`: through the page cache, with read-ahead. */
  readFile(file: File, offset: number, asked: number, bytes: number): void {
    const end = Math.min(offset + bytes, file.inode.size);
    if (end > offset) readFile(this.system, file, offset, Math.max(asked, bytes), end);
  }

  writeFile(file: File, offset: number, bytes: number): void {
    writeFile(this.system, file.inode, offset, bytes, 0);
  }

  truncate(inode: Inode, bytes: number): void {
    truncateFile(this.system, inode, bytes);
  }

  unlink(inode: Inode): void {
    if (this.system.files.get(inode.path) === inode) this.system.unlink(inode.path);
    else inode.unlinked = true;
  }

  /** Drops the reference that createInode() holds on a file in memory; it has no name any more. */
  drop(inode: Inode): void {
    inode.unlinked = true;
    inode.users--;
    evictIfUnused(this.system, inode);
  }

  /** Makes pages [first, end) of a file: of shared memory, or of what fallocate() promises. */
  allocate(inode: Inode, first: number, end: number): void {
    for (let i = first; i < end; i++) {
      if (inode.cache.get(i) === NO_PFN) addPage(this.system, inode, i, true);
    }
  }

  punchHole(inode: Inode, first: number, end: number): void {
    punchHole(this.system, inode, first, end);
  }

  private execFile(map: MapRecord, opened: Map<string, File>, files: RecordedFiles): File {
    let file = opened.get(map.path);
    if (file === undefined) {
      const description = {
        readable: true,
        writable: false,
        created: false,
        file: undefined,
        path: '',
      };
      file = files.resolve(description, map.path, map.offset + map.end - map.start);
      opened.set(map.path, file);
    } else files.atLeast(file, map.path, map.offset + map.end - map.start);
    return file;
  }
}

/** VM_* flags of a mapping that execve made. */
function flagsOf(map: MapRecord): number {
  const prot =
    (map.perms.startsWith('r') ? PROT_READ : 0) |
    (map.perms[1] === 'w' ? PROT_WRITE : 0) |
    (map.perms[2] === 'x' ? PROT_EXEC : 0);
  let flags = vmFlagsOfProt(prot) | VM_MAYREAD;
  if (map.path.startsWith('[vvar')) return flags | VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_DONTDUMP;
  flags |= VM_MAYWRITE | VM_MAYEXEC;
  if (map.path === '[vdso]') return flags | VM_DONTEXPAND;
  if (map.path === '[stack]') flags |= VM_GROWSDOWN;
  if (map.perms.endsWith('s')) return flags | VM_SHARED | VM_MAYSHARE;
  return (flags & VM_WRITE) !== 0 ? flags | VM_ACCOUNT : flags;
}
