// A Go runtime in a process: boots as a Go program does, allocates, collects, reports.
//
// The program's image (read-only data with type descriptors, data with the global variables) is
// mapped before the runtime runs, as exec does it; everything after that goes through the runtime's
// own system calls, in Go's order.
//
//   image:  | type descriptors ... | zerobase | global pointer variables ... |
//
// Source: Go 1.26.8 src/runtime/proc.go (schedinit), malloc.go (mallocinit).

import { assert } from '../../kernel/errors.ts';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
} from '../../userspace/mman.ts';
import type { Memory } from '../memory.ts';
import { Malloc } from './malloc.ts';
import { Bitmaps } from './mbitmap.ts';
import { AllocStats, Proc } from './mcache.ts';
import { Central, type CentralList } from './mcentral.ts';
import { ListCentral } from './mcentral-lists.ts';
import { Gc, type RootScanner } from './mgc.ts';
import { Marker } from './mgcmark.ts';
import { Pacer } from './mgcpacer.ts';
import { RatioPacer } from './mgcpacer-ratio.ts';
import { Scavenger } from './mgcscavenge.ts';
import { Sweep } from './mgcsweep.ts';
import { GcWork } from './mgcwork.ts';
import { Heap, SPAN_STACK } from './mheap.ts';
import { Specials } from './mspecial.ts';
import { go126, type GoProfile } from './profile.ts';
import { S_INSTACKS, Sys } from './sys.ts';
import { NO_POINTERS, TypeTable } from './types.ts';

/** Where the image lies if nobody says. */
const IMAGE_BASE = 0x400000;
const TYPES_BYTES = 256 << 10;
/** Globals are marked in blocks of this size. */
const ROOT_BLOCK = 256 << 10;

export interface GoOptions {
  readonly profile?: GoProfile;
  /** Processors (GOMAXPROCS). */
  readonly procs?: number;
  readonly gcPercent?: number;
  readonly memoryLimit?: number;
  /** Room for global pointer variables, in bytes. */
  readonly globalsBytes?: number;
  /**
   * Where type descriptors and global variables lie; the program's own image may be before them.
   */
  readonly imageBase?: number;
  /** Told of each system call, as strace prints it. */
  readonly onCall?: (line: string) => void;
}

export class GoRuntime {
  readonly profile: GoProfile;
  readonly mem: Memory;
  readonly sys: Sys;
  readonly heap: Heap;
  readonly types: TypeTable;
  readonly stats: AllocStats;
  readonly pacer: Pacer;
  readonly sweep: Sweep;
  readonly scavenger: Scavenger;
  readonly marker: Marker;
  readonly gc: Gc;
  readonly bitmaps: Bitmaps;
  readonly specials: Specials;
  readonly central: readonly CentralList[];
  readonly procs: Proc[] = [];
  readonly malloc: Malloc;
  /** Address of the first global pointer variable, and how many are in use. */
  readonly globalsBase: number;
  globals = 0;
  /** The span that main's stack is in. */
  bootStack = 0;
  private readonly globalsBytes: number;

  constructor(mem: Memory, options: GoOptions = {}) {
    const profile = options.profile ?? go126;
    this.profile = profile;
    this.mem = mem;
    this.globalsBytes = options.globalsBytes ?? 4 << 20;
    const image = options.imageBase ?? IMAGE_BASE;
    mapImage(mem, image, TYPES_BYTES + 4096 + this.globalsBytes);
    const sys = new Sys(mem, profile);
    sys.onCall = options.onCall ?? null;
    this.sys = sys;
    this.types = new TypeTable(mem, image, image + TYPES_BYTES);
    this.globalsBase = image + TYPES_BYTES + 4096;
    this.stats = new AllocStats(profile.classes.count);
    const { stats } = this;
    this.heap = new Heap(sys);
    const inUse = (): number => stats.totalAlloc - stats.totalFree;
    this.pacer = profile.triggerRatio ? new RatioPacer(sys, inUse) : new Pacer(sys, inUse);
    this.bitmaps = new Bitmaps(this.heap, this.types);
    this.sweep = new Sweep(this.heap, this.bitmaps, stats, this.pacer);
    this.scavenger = new Scavenger(this.heap, this.pacer);
    this.central = Array.from({ length: profile.classes.count * 2 }, (_, spc) =>
      this.newCentral(spc),
    );
    this.sweep.central = this.central;
    const first = this.newProc();
    const work = new GcWork(this.heap, first);
    this.marker = new Marker(this.heap, this.bitmaps, this.types, work);
    this.gc = new Gc(this.heap, this.marker, this.sweep, this.pacer, this.scavenger);
    for (let i = 1; i < (options.procs ?? 1); i++) this.newProc();
    this.gc.procs = this.procs;
    this.specials = new Specials(this.heap, this.gc, this.marker, this.sweep);
    this.gc.roots = [this.globalRoots(), this.specials.roots];
    this.heap.recordUser = first;
    this.heap.hooks = {
      allocated: (scav, growth) => {
        this.scavenger.allocated(scav, growth);
      },
      reclaim: (npages) => {
        this.sweep.reclaim(npages);
      },
    };
    this.malloc = new Malloc(this.heap, this.bitmaps, this.types, stats, this.gc);
    this.malloc.zerobase = image + TYPES_BYTES;
    this.pacer.setGcPercent(options.gcPercent ?? 100);
    this.pacer.setMemoryLimit(options.memoryLimit ?? -1);
    this.pacer.commit(true);
  }

  private newCentral(spc: number): CentralList {
    const { heap, sweep, bitmaps } = this;
    if (heap.lists === null) return new Central(heap, sweep, bitmaps, spc);
    return new ListCentral(heap, heap.lists, heap.links, sweep, bitmaps, spc);
  }

  private newProc(): Proc {
    const p = new Proc(this.procs.length, this.heap, this.central, this.stats, this.pacer);
    this.procs.push(p);
    return p;
  }

  private globalRoots(): RootScanner {
    return {
      prepare: () => Math.ceil((this.globals * 8) / ROOT_BLOCK),
      scan: (job) => {
        const from = job * (ROOT_BLOCK / 8);
        const to = Math.min(this.globals, from + ROOT_BLOCK / 8);
        for (let i = from; i < to; i++) {
          const at = this.mem.touch(this.globalsBase + i * 8, false);
          const { words } = this.mem;
          const lo = words[at];
          const hi = words[at + 1];
          if ((lo | hi) !== 0) this.marker.grey(lo, hi);
        }
        return 0; // counted as part of the program's data segment
      },
      forEachRoot: (load, visit) => {
        for (let i = 0; i < this.globals; i++) visit(`global ${i}`, load(this.globalsBase + i * 8));
      },
    };
  }

  /** From now on marking also costs what a small program's own globals and stacks do. */
  programRoots(): void {
    const { globalsScan, stackScan } = this.profile;
    this.pacer.globalsScan += globalsScan;
    this.pacer.maxStackScan += stackScan;
    this.gc.roots = [
      ...this.gc.roots,
      { prepare: () => 1, scan: () => globalsScan },
      { prepare: () => 1, scan: () => -stackScan },
    ];
    this.pacer.commit(true);
  }

  // What a program does.

  /** A new global pointer variable, nil. @returns its address. */
  newGlobal(): number {
    assert((this.globals + 1) * 8 <= this.globalsBytes, 'newGlobal: room in the data segment');
    return this.globalsBase + this.globals++ * 8;
  }

  /** An object of `bytes`, cleared. @returns its address. */
  new(bytes: number, type = NO_POINTERS, p: Proc = this.procs[0]): number {
    return this.malloc.alloc(p, bytes, type);
  }

  /** Stores a pointer into a word of an object or a global variable, with the write barrier. */
  storePointer(slot: number, value: number): void {
    const at = this.mem.touch(slot, true);
    const { words } = this.mem;
    const lo = value | 0;
    const hi = Math.floor(value / 2 ** 32);
    if (this.gc.marking) {
      const oldLo = words[at];
      const oldHi = words[at + 1];
      words[at] = lo;
      words[at + 1] = hi;
      this.gc.barrier(oldLo, oldHi, lo, hi);
      return;
    }
    words[at] = lo;
    words[at + 1] = hi;
  }

  /** weak.Make. @returns the address of the weak handle. */
  weakPointer(object: number, p: Proc = this.procs[0]): number {
    return this.specials.weak(object, () => this.malloc.alloc(p, 8, NO_POINTERS));
  }

  loadPointer(slot: number): number {
    return this.mem.load64(slot);
  }

  /** A stack of `npages` pages, a span of its own. @returns the span's number. */
  newStack(npages: number, p: Proc = this.procs[0]): number {
    const s = this.heap.allocManual(p, npages, SPAN_STACK);
    this.heap.spans.allocCount[s] = 1;
    this.heap.spans.store(s);
    return s;
  }

  freeStack(s: number): void {
    this.heap.spans.allocCount[s] = 0;
    this.heap.freeSpan(s, S_INSTACKS);
  }

  // runtime and runtime/debug.

  /** runtime.GC. */
  collect(p: Proc = this.procs[0]): void {
    this.gc.collect(p);
  }

  /** debug.FreeOSMemory. @returns bytes given back. */
  freeOSMemory(p: Proc = this.procs[0]): number {
    this.gc.collect(p);
    return this.scavenger.scavenge(Infinity, true);
  }

  /** debug.SetGCPercent. */
  setGcPercent(percent: number): number {
    const old = this.pacer.setGcPercent(percent);
    this.gc.commit();
    return old;
  }

  /** debug.SetMemoryLimit. */
  setMemoryLimit(bytes: number): number {
    const old = this.pacer.setMemoryLimit(bytes);
    if (bytes >= 0 && bytes !== old) this.gc.commit();
    return old;
  }

  /** What runtime.ReadMemStats does before it reads: caches are flushed. */
  flushCaches(): void {
    for (const p of this.procs) p.releaseAll();
  }
}

/** The program's image, where exec would have put it. */
function mapImage(mem: Memory, base: number, bytes: number): void {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  const at = mem.mmap(base, bytes, PROT_READ | PROT_WRITE, flags);
  assert(at === base, 'the image is mapped at its address');
}
