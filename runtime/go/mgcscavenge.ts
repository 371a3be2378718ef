// Giving free pages back to the system: the scavenger.
//
// Eagerly, when an allocation takes released pages while memory is over its goal; in the
// background, 64 KiB at a time; and all of it when asked (debug.FreeOSMemory). Chunks are taken
// from high addresses to low, and in a chunk the highest run of free pages that are not yet
// released.
//
//   goal by GOGC    what the heap held after the last cycle, grown like the goal, plus 10 %
//   goal by limit   95 % of the memory limit
//
// Source: Go 1.26.8 and Go 1.19.8 src/runtime/mgcscavenge.go.
// The sleep between two pieces of background work is up to who knows the time: `pacedBy`.

import type { Heap } from './mheap.ts';
import { chunkBase } from './mpagealloc.ts';
import { NO_LIMIT } from './mgcpacer.ts';
import { CHUNK_PAGES, clearRange, setRange } from './pallocbits.ts';
import { HUGE_PAGE, PAGE_BYTES, PHYS_PAGE, S_FREE, S_INUSE, S_RELEASED } from './sys.ts';

const QUANTUM = 64 << 10;
/** go1.9 gives back what was free for five minutes. */
const UNUSED_LIMIT_NS = 300e9;
/** Background work pauses after a millisecond; releasing a 4 KiB page takes about this long. */
const WORK_NS = 1e6;
const NS_PER_PAGE = 200;
const RETAIN_EXTRA_PERCENT = 10;
const REDUCE_EXTRA_PERCENT = 5;
const PAGES_PER_HUGE = HUGE_PAGE / PAGE_BYTES;

export interface ScavengePacing {
  readonly memoryLimit: number;
  readonly heapGoal: number;
  readonly lastHeapGoal: number;
}

/** Who knows the time: background work may take a hundredth of it. */
export interface ScavengeClock {
  mayWork(): boolean;
  worked(ns: number): void;
}

export class Scavenger {
  /** null: nobody knows the time, and the scavenger never sleeps. */
  pacedBy: ScavengeClock | null = null;
  /** Bytes released since the last trace line: in the background, and eagerly. */
  releasedBackground = 0;
  releasedEager = 0;
  /** Heap in use when the last cycle ended. */
  lastHeapInUse = 0;
  private percentGoal = Infinity;
  private limitGoal = Infinity;
  private readonly heap: Heap;
  private readonly pacing: ScavengePacing;

  constructor(heap: Heap, pacing: ScavengePacing) {
    this.heap = heap;
    this.pacing = pacing;
  }

  /** Sets the goals, after a cycle or when GOGC or the limit change. */
  pace(): void {
    const { sys } = this.heap;
    const { memoryLimit, heapGoal, lastHeapGoal } = this.pacing;
    const limit = memoryLimit * (1 - REDUCE_EXTRA_PERCENT / 100);
    this.limitGoal = sys.mappedReady <= limit ? Infinity : limit;
    this.percentGoal = Infinity;
    if (lastHeapGoal === 0) return;
    const ratio = Math.min(heapGoal, 2 ** 64) / Math.min(lastHeapGoal, 2 ** 64);
    let goal = Math.floor(this.lastHeapInUse * ratio);
    goal += Math.floor(goal / (1 / (RETAIN_EXTRA_PERCENT / 100)));
    goal = Math.ceil(goal / PHYS_PAGE) * PHYS_PAGE;
    if (this.heap.retained - goal >= PHYS_PAGE) this.percentGoal = goal;
  }

  /** Pages were taken, `scav` bytes of them released ones, and the heap grew by `growth`. */
  allocated(scav: number, growth: number): void {
    const { sys } = this.heap;
    let todo = 0;
    let force = false;
    const { memoryLimit } = this.pacing;
    if (memoryLimit !== NO_LIMIT && scav + sys.mappedReady > memoryLimit) {
      todo = scav + sys.mappedReady - memoryLimit;
      force = true;
    }
    if (this.percentGoal !== Infinity && growth > 0) {
      const overage = this.heap.retained + growth - this.percentGoal;
      if (overage > 0) todo = Math.max(todo, Math.min(growth, overage));
    }
    if (todo > 0) this.releasedEager += this.scavenge(todo, force);
  }

  /** A piece of background work: until the goals hold, or for a millisecond. @returns bytes. */
  background(): number {
    if (this.heap.lists !== null) return this.heap.lists.scavenge(UNUSED_LIMIT_NS);
    if (this.pacedBy?.mayWork() === false) return 0;
    let released = 0;
    while ((released / PHYS_PAGE) * NS_PER_PAGE < WORK_NS && !this.reached) {
      const r = this.scavenge(QUANTUM, false);
      released += r;
      if (r < QUANTUM) break;
    }
    this.releasedBackground += released;
    this.pacedBy?.worked((released / PHYS_PAGE) * NS_PER_PAGE);
    return released;
  }

  private get reached(): boolean {
    return this.heap.retained <= this.percentGoal && this.heap.sys.mappedReady <= this.limitGoal;
  }

  /** Releases at least `bytes` if there is as much. @returns how much was released. */
  scavenge(bytes: number, force: boolean): number {
    if (this.heap.lists !== null) return force ? this.heap.lists.scavenge(0) : 0;
    const { pages } = this.heap;
    let released = 0;
    while (released < bytes) {
      const ci = pages.scav.find(force);
      if (ci < 0) break;
      released += this.scavengeOne(ci, pages.scav.foundPage, bytes - released);
    }
    return released;
  }

  private scavengeOne(ci: number, from: number, bytes: number): number {
    const { pages, sys } = this.heap;
    const max = Math.min(CHUNK_PAGES, Math.ceil(bytes / PAGE_BYTES));
    const run = pages.chunkMax(ci) >= 1 ? this.candidate(ci, from, max) : null;
    if (run === null) {
      pages.scav.setEmpty(ci);
      return 0;
    }
    const addr = chunkBase(ci) + run.first * PAGE_BYTES;
    const size = run.count * PAGE_BYTES;
    // In use while the system call lasts, so that nobody takes them.
    setRange(sys.mem.words, pages.chunkAt(ci), run.first, run.count);
    pages.update(addr, run.count, true, true);
    this.heap.locks++;
    sys.unused(addr, size);
    sys.stat[S_RELEASED] += size;
    sys.stat[S_FREE] -= size;
    if (addr < pages.searchAddr) pages.searchAddr = addr;
    clearRange(sys.mem.words, pages.chunkAt(ci), run.first, run.count);
    pages.update(addr, run.count, true, false);
    setRange(sys.mem.words, pages.chunkAt(ci) + 16, run.first, run.count);
    return size;
  }

  /** The highest run of free, unreleased pages at or below the 64-page group of `from`. */
  private candidate(
    ci: number,
    from: number,
    max: number,
  ): { first: number; count: number } | null {
    const { words } = this.heap.sys.mem;
    const at = this.heap.pages.chunkAt(ci);
    const usable = (i: number): boolean =>
      ((words[at + (i >> 5)] | words[at + 16 + (i >> 5)]) & (1 << (i & 31))) === 0;
    let end = from | 63;
    while (end >= 0 && !usable(end)) end--;
    if (end < 0) return null;
    let low = end;
    while (low > 0 && usable(low - 1)) low--;
    end++;
    let first = Math.max(low, end - max);
    // A run that ends above a huge page's start takes the whole page, if that is free.
    const above = Math.ceil(first / PAGES_PER_HUGE) * PAGES_PER_HUGE;
    if (above <= end) {
      const below = first - (first % PAGES_PER_HUGE);
      if (below >= low) first = below;
    }
    return { first, count: end - first };
  }

  /** The line that GODEBUG=scavtrace=1 prints. */
  traceLine(forced: boolean, eagerBytes: number): string {
    const { sys } = this.heap;
    const kib = (n: number): string => String(Math.floor(n / 1024));
    const util = String(Math.floor((sys.stat[S_INUSE] * 100) / Math.max(1, this.heap.retained)));
    const now = kib(sys.stat[S_RELEASED]);
    const tail = forced ? ' (forced)' : '';
    if (!sys.profile.scavCounts)
      return `scav ${kib(eagerBytes)} KiB work, ${now} KiB total, ${util}% util${tail}`;
    const background = kib(forced ? 0 : this.releasedBackground);
    const work = `${background} KiB work (bg), ${kib(eagerBytes)} KiB work (eager)`;
    return `scav ${work}, ${now} KiB now, ${util}% util${tail}`;
  }
}
