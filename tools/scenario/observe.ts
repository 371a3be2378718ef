// What a kernel, emulated or real, must be able to do for a scenario, and what is observed of it.
//
// The runner (run.ts) knows only this interface; emulated.ts implements it on our System, and
// host/host.ts on the host's Linux through the worker. Processes are numbers in the order of
// creation: 0 is p0. Addresses and register values are 64-bit BigInts, unsigned; results signed.

import type { Scenario } from './syntax.ts';

export interface MapLine {
  readonly start: string;
  readonly end: string;
  readonly perms: string;
  readonly offset: number;
  readonly path: string;
  readonly rss: number;
  readonly pss: number;
  readonly shared_clean: number;
  readonly shared_dirty: number;
  readonly private_clean: number;
  readonly private_dirty: number;
  readonly anonymous: number;
  readonly anon_huge: number;
  readonly swap: number;
  readonly locked: number;
}

export interface PageLine {
  readonly addr: string;
  readonly present: number;
  readonly swapped: number;
  readonly file: number;
  readonly exclusive: number;
  readonly frame?: string;
  readonly mapcount?: number;
  readonly flags?: readonly string[];
}

/** The part of usage() that is a state; the fault totals are the runner's. Sizes in KiB. */
export interface MemoryUse {
  readonly vm_size: number;
  readonly vm_rss: number;
  readonly rss_anon: number;
  readonly rss_file: number;
  readonly rss_shmem: number;
  readonly vm_data: number;
  readonly vm_lck: number;
  readonly vm_pte: number;
  readonly vm_swap: number;
}

export interface Faults {
  readonly minflt: number;
  readonly majflt: number;
}

/** An access that was refused. */
export interface Refusal {
  readonly signal: 'SIGSEGV' | 'SIGBUS';
  readonly code: 'SEGV_MAPERR' | 'SEGV_ACCERR' | 'SI_KERNEL' | 'BUS_ADRERR';
  readonly addr: bigint;
}

export interface CallResult {
  /** What the system call returned: a result or -errno. */
  readonly ret: bigint;
  /** Of mincore: one character a page. */
  readonly vec?: string;
  /** Of pread: the last byte read. */
  readonly value?: number;
}

export interface AccessResult {
  readonly refused?: Refusal;
  /** The byte loaded last. */
  readonly value: number;
}

/** One observation: what --json prints, in its order. */
export type Observation = Readonly<Record<string, unknown>> & {
  readonly line: number;
  readonly proc: string;
  readonly call: string;
};

/** The kernel ended a process (out of memory): the scenario cannot go on. */
export class ProcessKilled extends Error {
  override readonly name = 'ProcessKilled';
}

export interface Target {
  /** Makes process 0 as the format describes it. */
  start(scenario: Scenario): { brk0: bigint; stack: bigint };
  /** Faults of a process since it exists. */
  faults(proc: number): Faults;
  /** A system call other than fork and exit. */
  syscall(proc: number, call: string, args: readonly bigint[], path: string): CallResult;
  /** The next process number is the child's, unless the result is -errno. */
  fork(proc: number): bigint;
  /** The parent's faults when the last fork() returned, where making the child takes more. */
  forkFaults?(): Faults;
  exit(proc: number, status: bigint): number;
  /** `count` bytes, `step` apart. Ends at the first access that is refused. */
  access(
    proc: number,
    write: boolean,
    address: bigint,
    count: bigint,
    step: bigint,
    value: number,
  ): AccessResult;
  maps(proc: number): MapLine[];
  pages(proc: number, address: bigint, length: bigint): PageLine[];
  use(proc: number): MemoryUse;
}

/** Labels for physical frames, in order of first observation; a freed frame loses its label. */
export class FrameLabels {
  private readonly labels = new Map<number, string>();
  private next = 0;

  label(frame: number): string {
    let label = this.labels.get(frame);
    if (label === undefined) {
      label = `f${this.next++}`;
      this.labels.set(frame, label);
    }
    return label;
  }

  /** Forgets the frames that `freed` says are free. */
  forget(freed: (frame: number) => boolean): void {
    for (const frame of this.labels.keys()) if (freed(frame)) this.labels.delete(frame);
  }
}
