// What a program does to its memory, by time: the pages that it touched in each ten microseconds of
// its virtual time, and its system calls. Played on another machine, in turns with another
// program's, it competes for that machine's memory.
//
//     record   program → its runtime → ProcessMemory (watched) → log
//     play     log → the same accesses and calls of a process that was started in the same way
//
// A page counts once a slot for reading and once for writing. A call gives the same address in both
// machines, as nothing is randomised. Not kept: what was written; so what is swapped is contents of
// another run's, which no one reads here.

import { FAULT_OK, PF_USER, PF_WRITE } from '../kernel/ports.ts';
import { PAGE_SIZE } from '../kernel/types.ts';
import type { ProcessMemory } from '../runtime/process-memory.ts';
import { access } from '../userspace/access.ts';
import type { StartedCase } from './cases.ts';

const CALLS = ['mmap', 'munmap', 'madvise', 'mprotect', 'mremap', 'brk'] as const;
type Call = (typeof CALLS)[number];
type CallFunction = (...args: number[]) => number;
const NR_ARGS = { mmap: 4, munmap: 2, madvise: 3, mprotect: 3, mremap: 4, brk: 1 } as const;

/** A page of 2^36 and two bits: 0 read, 1 written; 2 a call, whose arguments and result follow; 3
 * the end of a slot, and the virtual time. */
const READ = 0;
const WRITTEN = 1;
const CALL = 2;
const SLOT = 3;

export class AccessLog {
  private entries = new Float64Array(1 << 16);
  length = 0;
  private slot = new Map<number, number>();

  private push(value: number): void {
    if (this.length === this.entries.length) {
      const more = new Float64Array(this.length * 2);
      more.set(this.entries);
      this.entries = more;
    }
    this.entries[this.length++] = value;
  }

  at(i: number): number {
    return this.entries[i] ?? 0;
  }

  /** Watches a process's memory from now on; `heap.clock.watch` is taken for the slots. */
  watch({ heap, memory }: StartedCase): void {
    const touch = memory.touch.bind(memory);
    const touchWords = memory.touchWords.bind(memory);
    memory.touch = (va, write) => {
      this.seen(Math.floor(va / PAGE_SIZE), write);
      return touch(va, write);
    };
    memory.touchWords = (lo, hi, write) => {
      this.seen(hi * 2 ** 20 + (lo >>> 12), write);
      return touchWords(lo, hi, write);
    };
    for (const name of CALLS) this.watchCall(memory, name);
    // A new slot is a new epoch: places that are kept are asked for again.
    const expire = (): void => {
      memory.moved[0] = (memory.moved[0] ?? 0) + 1;
    };
    expire();
    heap.clock.watch = (ns) => {
      this.slot.clear();
      expire();
      this.push(SLOT);
      this.push(ns);
    };
  }

  private seen(page: number, write: boolean): void {
    const before = this.slot.get(page);
    if (before === WRITTEN || (before === READ && !write)) return;
    this.slot.set(page, write ? WRITTEN : READ);
    this.push(page * 4 + (write ? WRITTEN : READ));
  }

  private watchCall(memory: ProcessMemory, name: Call): void {
    const call: CallFunction = Reflect.get(memory, name);
    Reflect.set(memory, name, (...args: number[]): number => {
      this.push(CALL);
      this.push(CALLS.indexOf(name));
      for (const arg of args) this.push(arg);
      this.slot.clear(); // mappings change: touch again
      return Reflect.apply(call, memory, args);
    });
  }
}

/** Plays a log in a process of another machine. */
export class Player {
  /** Virtual time that was reached. */
  ns = 0;
  done = false;
  killed = false;
  private next = 0;
  private readonly log: AccessLog;
  private readonly started: StartedCase;

  constructor(log: AccessLog, started: StartedCase) {
    this.log = log;
    this.started = started;
  }

  /** How far in the log. */
  get position(): number {
    return this.next;
  }

  /** Goes on to the end of a slot. */
  slot(): void {
    const { log, started } = this;
    while (!this.done && this.next < log.length) {
      const entry = log.at(this.next++);
      const what = entry % 4;
      if (what === SLOT) {
        this.ns = log.at(this.next++);
        return;
      }
      if (what === CALL) this.call();
      else {
        const kind = PF_USER | (what === WRITTEN ? PF_WRITE : 0);
        const result = access(started.task, Math.floor(entry / 4) * PAGE_SIZE, kind);
        if (result !== FAULT_OK) this.killed = true;
      }
      if (!started.task.alive) this.killed = true;
      if (this.killed) this.done = true;
    }
    this.done = true;
  }

  private call(): void {
    const name = CALLS[this.log.at(this.next++)] ?? 'brk';
    const args: number[] = [];
    for (let i = 0; i < NR_ARGS[name]; i++) args.push(this.log.at(this.next++));
    const { memory } = this.started;
    const call: CallFunction = Reflect.get(memory, name);
    Reflect.apply(call, memory, args);
  }
}
