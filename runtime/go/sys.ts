// What the runtime asks of the operating system, and the heap as seen from the host.
//
// Address space goes None -> Reserved (mmap PROT_NONE) -> Prepared (mmap PROT_READ|PROT_WRITE) ->
// Ready (in use), and back by madvise. As in Go the counters of MemStats are kept here:
//
//   mappedReady = all mapped bytes - heapReleased          (check() in mstats.ts adds it up)
//
// Heap addresses are held as word numbers: w = (address - heapBase) / 8, an int32 for 16 GiB of
// heap. `heapAt(w)` gives the index in memory.words through a host-side table of the pages that
// were translated since the last system call; every system call empties it (see memory.ts).
// Reserved, never touched space costs nothing.
//
// Source: Go 1.26.8 src/runtime/mem.go, mem_linux.go; Go 1.19.8 likewise.
// Not modelled: heaps over 16 GiB or across several terabytes of arena hints.

import { assert } from '../../kernel/errors.ts';
import {
  MADV_DONTNEED,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../userspace/mman.ts';
import type { Memory } from '../memory.ts';
import type { GoProfile } from './profile.ts';

export const PAGE_BYTES = 8192;
/** 8-byte words in a page of the heap. */
export const PAGE_WORDS8 = 1024;
export const PHYS_PAGE = 4096;
export const HUGE_PAGE = 2 << 20;
export const ARENA_BYTES = 64 << 20;
/** The heap that word numbers can reach. */
export const MAX_HEAP_BYTES = 2 ** 34;

// Indexes into Sys.stat: bytes of each kind.
export const S_OTHER = 0;
export const S_MSPAN = 1;
export const S_MCACHE = 2;
export const S_GCMISC = 3;
export const S_BUCKHASH = 4;
export const S_STACKS = 5;
export const S_RELEASED = 6;
export const S_INUSE = 7;
export const S_FREE = 8;
export const S_INSTACKS = 9;
export const S_WORKBUFS = 10;
export const STAT_NAMES = [
  'other_sys',
  'mspan_sys',
  'mcache_sys',
  'gc_sys',
  'buckhash_sys',
  'stacks_sys',
  'heap_released',
  'heap_inuse',
  'heap_free',
  'stack_inuse',
  'workbufs',
] as const;

const ANON = MAP_PRIVATE | MAP_ANONYMOUS;
const RW = PROT_READ | PROT_WRITE;
const WINDOW_PAGES = MAX_HEAP_BYTES / PHYS_PAGE;

export class Sys {
  readonly mem: Memory;
  readonly profile: GoProfile;
  /** Bytes by kind, S_*. */
  readonly stat = new Float64Array(STAT_NAMES.length);
  mappedReady = 0;
  /** Heap words count from here: the heap's first arena, or a multiple of 4 GiB before it. */
  readonly heapBase: number;
  private readonly heapBaseHi: number;
  /** Set to see each call as strace prints it. */
  onCall: ((line: string) => void) | null = null;
  private named = false;
  /**
   * 1 + word index of a heap page known to be present and writable; 0 where it must be asked for.
   */
  private readonly window = new Int32Array(WINDOW_PAGES);
  /** Counts how often translations were forgotten; `seen` is mem.moved of the last time. */
  private forgotten = 1;
  private readonly moved: Int32Array;
  private seen: number;
  private filled = new Int32Array(1024);
  private filledCount = 0;

  constructor(mem: Memory, profile: GoProfile) {
    const { heapBase } = profile;
    assert(heapBase % 2 ** 32 === 0, 'Sys: heapBase is a multiple of 4 GiB');
    this.mem = mem;
    this.moved = mem.moved;
    this.seen = mem.moved[0];
    this.profile = profile;
    this.heapBase = heapBase;
    this.heapBaseHi = heapBase / 2 ** 32;
  }

  /** Index in mem.words of heap word `w`; the page becomes present and writable. */
  heapAt(w: number): number {
    if (this.moved[0] !== this.seen) this.forget();
    const at = this.window[w >> 9];
    return at !== 0 ? at - 1 + ((w & 511) << 1) : this.fillWindow(w);
  }

  private fillWindow(w: number): number {
    const page = w >> 9;
    const at = this.mem.touch(this.heapBase + page * PHYS_PAGE, true);
    if (this.moved[0] !== this.seen) this.forget();
    this.window[page] = at + 1;
    if (this.filledCount === this.filled.length) {
      const larger = new Int32Array(this.filled.length * 2);
      larger.set(this.filled);
      this.filled = larger;
    }
    this.filled[this.filledCount++] = page;
    return at + ((w & 511) << 1);
  }

  /** The same for a load: a page never written to stays shared with the zero page. */
  heapAtRead(w: number): number {
    if (this.moved[0] !== this.seen) this.forget();
    const at = this.window[w >> 9];
    if (at !== 0) return at - 1 + ((w & 511) << 1);
    return this.mem.touch(this.heapBase + w * 8, false);
  }

  /** Heap word number of a pointer's halves, -1 when it does not point into the window. */
  wordOf(lo: number, hi: number): number {
    const up = hi - this.heapBaseHi;
    return up >= 0 && up < 4 ? (up << 29) | (lo >>> 3) : -1;
  }

  addressOf(w: number): number {
    return this.heapBase + w * 8;
  }

  /** Word indexes are good for as long as this number is the same. */
  get epoch(): number {
    if (this.moved[0] !== this.seen) this.forget();
    return this.forgotten;
  }

  /** The kernel took pages away since: forgets translations. */
  private forget(): void {
    this.forgotten++;
    this.seen = this.moved[0];
    for (let i = 0; i < this.filledCount; i++) this.window[this.filled[i]] = 0;
    this.filledCount = 0;
  }

  // System calls.

  private mmap(addr: number, bytes: number, prot: number, flags: number): number {
    const result = this.mem.mmap(addr, bytes, prot, flags);
    if (this.onCall !== null) {
      const how = `MAP_PRIVATE${(flags & MAP_FIXED) !== 0 ? '|MAP_FIXED' : ''}|MAP_ANONYMOUS`;
      const access = prot === PROT_NONE ? 'PROT_NONE' : 'PROT_READ|PROT_WRITE';
      const at = addr === 0 ? 'NULL' : hex(addr);
      this.onCall(`mmap(${at}, ${String(bytes)}, ${access}, ${how}, -1, 0) = ${hex(result)}`);
    }
    this.nameMapping(result, bytes);
    return result;
  }

  /**
   * The first mapping gets a name; a kernel built without names refuses, and none is tried again.
   */
  private nameMapping(addr: number, bytes: number): void {
    if (this.named || !this.profile.metadataNoHuge) return;
    this.named = true;
    const what = `PR_SET_VMA, PR_SET_VMA_ANON_NAME, ${hex(addr)}, ${String(bytes)}`;
    this.onCall?.(`prctl(${what}, " Go: immortal metadata") = -1 EINVAL (Invalid argument)`);
  }

  private madvise(addr: number, bytes: number, advice: number, name: string): void {
    const result = this.mem.madvise(addr, bytes, advice);
    this.onCall?.(`madvise(${hex(addr)}, ${String(bytes)}, ${name}) = ${String(result)}`);
  }

  /**
   * Ready memory from nowhere, counted as `kind`. @returns its address; throws when there is
   * none.
   */
  alloc(bytes: number, kind: number): number {
    this.stat[kind] += bytes;
    this.mappedReady += bytes;
    const at = this.mmap(0, bytes, RW, ANON);
    assert(at > 0, 'runtime: cannot allocate memory');
    return at;
  }

  /** Reserved space at `addr`, or anywhere for 0. @returns its address, or -errno. */
  reserve(addr: number, bytes: number): number {
    return this.mmap(addr, bytes, PROT_NONE, ANON);
  }

  /** Asks whether address space is free, and lets it go again: the rest is taken on trust. */
  probe(addr: number, bytes: number): void {
    const at = this.reserve(addr, bytes);
    assert(at === addr, 'runtime: cannot reserve arena virtual address space');
    const result = this.mem.munmap(addr, bytes);
    this.onCall?.(`munmap(${hex(addr)}, ${String(bytes)}) = ${String(result)}`);
  }

  /** Reserved -> Prepared, counted as `kind`. */
  map(addr: number, bytes: number, kind: number): void {
    this.stat[kind] += bytes;
    const at = this.mmap(addr, bytes, RW, ANON | MAP_FIXED);
    assert(at === addr, 'runtime: cannot map pages in arena address space');
  }

  /** Prepared -> Ready; `preparedBytes` of it were not ready before. */
  used(addr: number, bytes: number, preparedBytes: number): void {
    this.mappedReady += preparedBytes;
    if (!this.profile.adviseHuge) return;
    const start = Math.ceil(addr / HUGE_PAGE) * HUGE_PAGE;
    const end = addr + bytes - ((addr + bytes) % HUGE_PAGE);
    if (start < end) this.madvise(start, end - start, MADV_HUGEPAGE, 'MADV_HUGEPAGE');
  }

  /** Ready -> Prepared: the pages go back to the system. */
  unused(addr: number, bytes: number): void {
    this.mappedReady -= bytes;
    if (this.profile.adviseHuge) this.keepFromHuge(addr, bytes);
    this.madvise(addr, bytes, MADV_DONTNEED, 'MADV_DONTNEED');
  }

  /** Keeps the kernel from filling the hole again: the huge pages that the range only touches. */
  private keepFromHuge(addr: number, bytes: number): void {
    const end = addr + bytes;
    const head = addr % HUGE_PAGE === 0 ? 0 : addr - (addr % HUGE_PAGE);
    const tail = end % HUGE_PAGE === 0 ? 0 : end - 1 - ((end - 1) % HUGE_PAGE);
    const none = 'MADV_NOHUGEPAGE';
    if (head !== 0 && head + HUGE_PAGE === tail)
      this.madvise(head, 2 * HUGE_PAGE, MADV_NOHUGEPAGE, none);
    else {
      if (head !== 0) this.madvise(head, HUGE_PAGE, MADV_NOHUGEPAGE, none);
      if (tail !== 0 && tail !== head) this.madvise(tail, HUGE_PAGE, MADV_NOHUGEPAGE, none);
    }
  }

  noHugePage(addr: number, bytes: number): void {
    this.madvise(addr, bytes, MADV_NOHUGEPAGE, 'MADV_NOHUGEPAGE');
  }

  /** Huge pages for the whole ones in a range. */
  hugePage(addr: number, bytes: number): void {
    const start = Math.ceil(addr / HUGE_PAGE) * HUGE_PAGE;
    const end = addr + bytes - ((addr + bytes) % HUGE_PAGE);
    if (start < end) this.madvise(start, end - start, MADV_HUGEPAGE, 'MADV_HUGEPAGE');
  }

  /** Ready -> None. */
  free(addr: number, bytes: number, kind: number): void {
    this.stat[kind] -= bytes;
    this.mappedReady -= bytes;
    const result = this.mem.munmap(addr, bytes);
    this.onCall?.(`munmap(${hex(addr)}, ${String(bytes)}) = ${String(result)}`);
  }

  // Clearing and bits, wherever they lie.

  /** Clears whole 8-byte words of the heap; makes the pages present. */
  zeroWords(w: number, count: number): void {
    const { words, bytes } = this.mem;
    for (let done = 0; done < count;) {
      const piece = Math.min(count - done, 512 - ((w + done) & 511));
      const at = this.heapAt(w + done);
      if (piece <= 32) for (let i = 0; i < piece << 1; i++) words[at + i] = 0;
      else bytes.fill(0, at * 4, at * 4 + (piece << 3));
      done += piece;
    }
  }

  /** Sets or clears the bits of `mask` in a byte. */
  setBits8(addr: number, mask: number, on: boolean): void {
    const at = this.mem.touch(addr, true) * 4 + (addr & 3);
    const { bytes } = this.mem;
    bytes[at] = on ? bytes[at] | mask : bytes[at] & ~mask;
  }
}

function hex(value: number): string {
  return value < 0 ? String(value) : `0x${value.toString(16)}`;
}
