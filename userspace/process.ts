// Tasks: threads of execution, their descriptors, and how they begin and end.
//
// A process is the tasks that share a thread group (tgid); tasks may share an address space without
// being one process (vfork, CLONE_VM). Faults are counted by task and kept by process, as
// getrusage() reports them.
// Source: Linux 6.18 include/linux/sched.h (struct task_struct, signal_struct), kernel/fork.c,
// kernel/exit.c.

import { EBADF, SysError } from '../kernel/errors.ts';
import type { File } from './file.ts';
import type { TaskObjects } from './kernel-objects.ts';
import { releaseFile } from './inode-refs.ts';
import type { Mm } from './mm.ts';
import type { System } from './system.ts';

/** Descriptors, shared by the tasks that share them (struct files_struct). */
export class Files {
  users = 1;
  private readonly open: (File | null)[] = [null, null, null];

  /** Binds a file to the lowest free descriptor, 3 and up. */
  add(file: File): number {
    file.users++;
    for (let fd = 3; fd < this.open.length; fd++) {
      if (this.open[fd] === null) {
        this.open[fd] = file;
        return fd;
      }
    }
    return this.open.push(file) - 1;
  }

  /** @throws SysError EBADF */
  get(fd: number): File {
    const file = this.open[fd] as File | null | undefined;
    if (file === null || file === undefined) throw new SysError(EBADF);
    return file;
  }

  /** @throws SysError EBADF */
  close(system: System, fd: number): void {
    const file = this.get(fd);
    this.open[fd] = null;
    releaseFile(system, file);
  }

  /** A copy for a new process. */
  dup(): Files {
    const copy = new Files();
    this.open.forEach((file, fd) => {
      copy.open[fd] = file;
      if (file !== null) file.users++;
    });
    return copy;
  }

  closeAll(system: System): void {
    this.open.forEach((file, fd) => {
      if (file !== null) this.close(system, fd);
    });
  }
}

export class Task {
  readonly pid: number;
  readonly tgid: number;
  readonly parent: Task | null;
  comm: string;
  mm: Mm;
  readonly files: Files;
  minflt = 0;
  majflt = 0;
  /** -1000 (never) .. 1000 (first): who goes when memory runs out. */
  oomScoreAdj = 0;
  alive = true;
  /** Its task_struct, stack and so on, while it lives. */
  objects: TaskObjects | null = null;
  /** What the last refused access would have raised: the address for siginfo. */
  faultAddr = 0;

  constructor(pid: number, tgid: number, parent: Task | null, comm: string, mm: Mm, files: Files) {
    this.pid = pid;
    this.tgid = tgid;
    this.parent = parent;
    this.comm = comm;
    this.mm = mm;
    this.files = files;
  }
}
