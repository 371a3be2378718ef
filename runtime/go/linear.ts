// The linear arena of Go up to 1.10: all address space that the heap can ever use, in one piece.
//
//   0xc000000000    spans, 512 MiB         a pointer to its mspan for each 8 KiB page of the arena
//   0xc020000000    bitmap, 16 GiB         two bits a word of the arena, growing downwards
//   0xc420000000    arena, 512 GiB         the heap, used upwards; 0xc420000000 is its first object
//
// The three lie back to back, so page, span and bitmap of an address follow from each other by
// shifts. Nothing is reserved for real: the kernel is asked whether 64 KiB are free where the area
// begins, and the rest is taken on trust. As the arena grows, bitmap and spans are mapped with it.
//
//   bitmap byte of word w of the arena: bitmapEnd - 1 - w / 4, low nibble "is a pointer", high
//   nibble "more may follow" (in an object's second word: the checkmark bit, not used here)
//
// Source: Go 1.9 src/runtime/malloc.go (mallocinit, sysAlloc), mbitmap.go (mapBits), mheap.go
// (mapSpans), mem_linux.go (sysReserve).

import { assert } from '../../kernel/errors.ts';
import type { PageMaps } from './arena.ts';
import {
  ARENA_BYTES,
  MAX_HEAP_BYTES,
  PAGE_BYTES,
  PAGE_WORDS8,
  PHYS_PAGE,
  S_FREE,
  S_GCMISC,
  S_OTHER,
  type Sys,
} from './sys.ts';

export const LINEAR_BASE = 0xc000000000;
export const LINEAR_ARENA_BYTES = 2 ** 39;
/** Bytes of the arena that one byte of the bitmap describes. */
const BITMAP_SCALE = 32;
export const LINEAR_BITMAP_BYTES = LINEAR_ARENA_BYTES / BITMAP_SCALE;
export const LINEAR_SPANS_BYTES = (LINEAR_ARENA_BYTES / PAGE_BYTES) * 8;
/** The heap's first byte: 0xc420000000. */
export const LINEAR_ARENA_START = LINEAR_BASE + LINEAR_SPANS_BYTES + LINEAR_BITMAP_BYTES;
const BITMAP_CHUNK = 8192;

export class LinearArena implements PageMaps {
  /** Pieces of 64 MiB in use, as arenas are numbered; they have no bitmaps of pages. */
  readonly list: number[] = [];
  readonly pageSpan = new Int32Array(MAX_HEAP_BYTES / PAGE_BYTES);
  readonly start = LINEAR_ARENA_START;
  /** One past the last byte that the heap has grown to. */
  used = LINEAR_ARENA_START;
  private bitmapMapped = 0;
  private spansMapped = 0;
  private readonly sys: Sys;
  private readonly firstWord: number;

  constructor(sys: Sys) {
    this.sys = sys;
    this.firstWord = (LINEAR_ARENA_START - sys.heapBase) / 8;
    sys.probe(LINEAR_BASE, 64 << 10);
  }

  /** Maps the next `bytes` of the arena, their bits and their pointers. @returns the address. */
  grow(bytes: number): number {
    const at = this.used;
    const end = at + bytes;
    assert(end - this.sys.heapBase <= MAX_HEAP_BYTES, 'runtime: out of memory');
    this.sys.map(at, bytes, S_FREE);
    this.sys.mappedReady += bytes;
    this.used = end;
    const piece = (addr: number): number => Math.floor((addr - this.sys.heapBase) / ARENA_BYTES);
    for (let i = piece(at); i <= piece(end - 1); i++) if (this.list.at(-1) !== i) this.list.push(i);
    this.mapBits();
    this.mapSpans();
    return at;
  }

  private mapBits(): void {
    const used = (this.used - LINEAR_ARENA_START) / BITMAP_SCALE;
    const n = Math.ceil(used / BITMAP_CHUNK) * BITMAP_CHUNK;
    if (n <= this.bitmapMapped) return;
    this.ready(LINEAR_ARENA_START - n, n - this.bitmapMapped, S_GCMISC);
    this.bitmapMapped = n;
  }

  private mapSpans(): void {
    const used = ((this.used - LINEAR_ARENA_START) / PAGE_BYTES) * 8;
    const n = Math.ceil(used / PHYS_PAGE) * PHYS_PAGE;
    if (n <= this.spansMapped) return;
    this.ready(LINEAR_BASE + this.spansMapped, n - this.spansMapped, S_OTHER);
    this.spansMapped = n;
  }

  private ready(addr: number, bytes: number, kind: number): void {
    this.sys.map(addr, bytes, kind);
    this.sys.mappedReady += bytes;
  }

  bits(): number {
    return 0; // no bitmaps of pages
  }

  setBit(): void {
    // Pages are not marked: spans are looked up one by one.
  }

  bitmapByte(w: number): number {
    return LINEAR_ARENA_START - 1 - ((w - this.firstWord) >> 2);
  }

  /** Address of the pointer to the span of heap word `w`'s page. */
  spanEntry(w: number): number {
    return LINEAR_BASE + ((w - this.firstWord) / PAGE_WORDS8) * 8;
  }

  mapPages(s: number, w: number, npages: number, record: number): void {
    const first = w / PAGE_WORDS8;
    const entry = this.spanEntry(w);
    for (let i = 0; i < npages; i++) {
      this.pageSpan[first + i] = s;
      this.sys.mem.store64(entry + i * 8, record);
    }
  }

  /** Notes a free span at its two ends: all that its neighbours look at. */
  mapEnds(s: number, w: number, npages: number, record: number): void {
    const last = w + (npages - 1) * PAGE_WORDS8;
    for (const at of [w, last]) {
      this.pageSpan[at >> 10] = s;
      this.sys.mem.store64(this.spanEntry(at), record);
    }
  }

  spanRecordAt(w: number): number {
    return this.sys.mem.load64(this.spanEntry(w - (w % PAGE_WORDS8)));
  }
}
