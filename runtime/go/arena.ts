// Arenas: address space for the heap in pieces of 64 MiB, and what is recorded of each page in
// them.
//
// For each arena there is a record in the process's memory: which span each page belongs to, and
// bitmaps of pages at which a span in use begins, holds a marked object, has specials, or carries
// its own mark bits. An index of 2^22 pointers finds it. The page -> span map is mirrored on the
// host (pageSpan), because marking asks it for every pointer.
//
//   arenas -> [ ... *heapArena ... ]      heapArena = spans[8192] pageInUse pageMarks ...
//
// Source: Go 1.26.8 and Go 1.19.8 src/runtime/mheap.go (heapArena), malloc.go (sysAlloc).

import { assert } from '../../kernel/errors.ts';
import { FixAlloc, type PersistentAlloc } from './persistent.ts';
import {
  ARENA_BYTES,
  MAX_HEAP_BYTES,
  PAGE_BYTES,
  PAGE_WORDS8,
  S_GCMISC,
  S_OTHER,
  type Sys,
} from './sys.ts';

export const PAGES_PER_ARENA = ARENA_BYTES / PAGE_BYTES;
const ARENA_INDEX_BYTES = 2 ** 22 * 8;
const ARENA_BIAS = 2 ** 47 / ARENA_BYTES;
/** Addresses at which arenas are tried, 1 TiB apart. */
const HINTS = 128;

// The bitmaps of an arena record, one bit a page.
export const BITS_IN_USE = 0;
export const BITS_MARKS = 1;
export const BITS_SPECIALS = 2;
export const BITS_INLINE = 3;

/** What the heap asks of its pages: span and bitmaps of each. Two forms: arenas, and one arena. */
export interface PageMaps {
  /** Numbers of the arenas of 64 MiB, whose bitmaps of pages bits() finds. */
  readonly list: readonly number[];
  /** Span that each page of the window belongs to; 0 for none. */
  readonly pageSpan: Int32Array;
  bits(w: number, which: number): number;
  setBit(w: number, which: number, on: boolean): void;
  /** Address of the byte of the heap's pointer bitmap that describes words w & ~3 to w | 3. */
  bitmapByte(w: number): number;
  mapPages(s: number, w: number, npages: number, record: number): void;
  /** Record of the span at heap word `w`, as the map of pages has it. */
  spanRecordAt(w: number): number;
}

export class Arenas implements PageMaps {
  /** Numbers of the arenas, in the order of their reservation. */
  readonly list: number[] = [];
  /** Span that each page of the window belongs to; 0 for none. */
  readonly pageSpan = new Int32Array(MAX_HEAP_BYTES / PAGE_BYTES);
  private readonly sys: Sys;
  private readonly persistent: PersistentAlloc;
  /** Address of each arena's record, by number (64 MiB of heap, 2^23 words). */
  private readonly records = new Float64Array(MAX_HEAP_BYTES / ARENA_BYTES);
  private readonly zeroedBase = new Map<number, number>();
  private readonly hintAlloc: FixAlloc;
  private index = 0;
  private hint: number;
  private listCapacity = 0;

  constructor(sys: Sys, persistent: PersistentAlloc) {
    this.sys = sys;
    this.persistent = persistent;
    this.hintAlloc = new FixAlloc(sys, persistent, 24, S_OTHER);
    for (let i = 0; i < HINTS; i++) this.hintAlloc.alloc();
    this.hint = sys.heapBase;
  }

  /** Address of the record of the arena that holds heap word `w`. */
  recordAt(w: number): number {
    return this.records[w >> 23];
  }

  bitmapByte(w: number): number {
    return this.recordAt(w) + Math.floor((w % (ARENA_BYTES / 8)) / 4);
  }

  /** Number of page `w` >> 10 within its arena. */
  private pageIn(w: number): number {
    return (w >>> 10) % PAGES_PER_ARENA;
  }

  /** Address of the byte of a bitmap (BITS_*) that holds the bit of `w`'s page. */
  bits(w: number, which: number): number {
    const { heapArenaSpans } = this.sys.profile;
    const bitmap = heapArenaSpans + PAGES_PER_ARENA * 8 + (which * PAGES_PER_ARENA) / 8;
    return this.recordAt(w) + bitmap + (this.pageIn(w) >>> 3);
  }

  setBit(w: number, which: number, on: boolean): void {
    this.sys.setBits8(this.bits(w, which), 1 << ((w >>> 10) & 7), on);
  }

  /** Address space for at least `bytes`, in whole arenas, with their records. */
  reserve(bytes: number): { base: number; bytes: number } {
    const size = Math.ceil(bytes / ARENA_BYTES) * ARENA_BYTES;
    const at = this.sys.reserve(this.hint, size);
    assert(at === this.hint, 'runtime: the arena hint is taken');
    this.hint += size;
    const first = (at - this.sys.heapBase) / ARENA_BYTES;
    assert((first + 1) * ARENA_BYTES <= MAX_HEAP_BYTES, 'runtime: out of memory');
    if (this.index === 0) {
      this.index = this.sys.alloc(ARENA_INDEX_BYTES, S_OTHER);
      this.sys.stat[S_OTHER] -= ARENA_INDEX_BYTES; // mapped by sysAllocOS: counted nowhere
      this.sys.mappedReady -= ARENA_INDEX_BYTES;
      if (this.sys.profile.metadataNoHuge) this.sys.noHugePage(this.index, ARENA_INDEX_BYTES);
    }
    for (let i = first; i < first + size / ARENA_BYTES; i++) this.newArena(i);
    return { base: at, bytes: size };
  }

  private newArena(i: number): void {
    const record = this.persistent.alloc(this.sys.profile.heapArenaBytes, 8, S_GCMISC);
    if (this.list.length === this.listCapacity) {
      this.listCapacity = this.listCapacity === 0 ? 512 : this.listCapacity * 2;
      this.persistent.alloc(this.listCapacity * 8, 8, S_GCMISC);
    }
    this.list.push(i);
    const index = this.sys.heapBase / ARENA_BYTES + i + ARENA_BIAS;
    this.sys.mem.store64(this.index + index * 8, record);
    this.records[i] = record;
    this.zeroedBase.set(i, 0);
  }

  /** Whether any of the pages was used before; they count as used from now on. */
  needsZero(w: number, npages: number): boolean {
    let dirty = false;
    for (let at = w * 8, left = npages * PAGE_BYTES; left > 0;) {
      const arena = Math.floor(at / ARENA_BYTES);
      const from = at % ARENA_BYTES;
      const to = Math.min(ARENA_BYTES, from + left);
      const zeroed = this.zeroedBase.get(arena) ?? 0;
      if (from < zeroed) dirty = true;
      if (to > zeroed) {
        this.zeroedBase.set(arena, to);
        const { heapArenaBytes } = this.sys.profile;
        this.sys.mem.store64(this.records[arena] + heapArenaBytes - 8, to);
      }
      at += to - from;
      left -= to - from;
    }
    return dirty;
  }

  mapPages(s: number, w: number, npages: number, record: number): void {
    const { mem, profile } = this.sys;
    const first = w / PAGE_WORDS8;
    for (let p = first; p < first + npages; p++) {
      this.pageSpan[p] = s;
      const arena = this.records[p >> 13];
      mem.store64(arena + profile.heapArenaSpans + (p % PAGES_PER_ARENA) * 8, record);
    }
  }

  spanRecordAt(w: number): number {
    const at = this.recordAt(w) + this.sys.profile.heapArenaSpans + this.pageIn(w) * 8;
    return this.sys.mem.load64(at);
  }
}
