// Which words of the heap hold pointers.
//
//   go1.26, slots up to 512 bytes   a bit a word at the end of the span (span bytes / 64), before
//                                   the 128 bytes of mark bits where the span carries those:
//                                   | slots .. | pointer bits | scans, owned | marks, class |
//   go1.26, larger slots            a type word before the object
//   go1.26, large objects           the type in the span's record
//   go1.19                          two bits a word in the arena's record, a byte for four words:
//                                   low nibble "is a pointer", high nibble "more may follow"
//   go1.9                           the same before the heap's arena, backwards; the high bit of
//                                   an object's second word is kept for checkmarks: always clear
//
// Source: Go 1.26.8 src/runtime/mbitmap.go, mgcmark_greenteagc.go; Go 1.19.8
// src/runtime/mbitmap.go.

import { type Heap, INLINE_BYTES } from './mheap.ts';
import type { TypeTable } from './types.ts';
import { PAGE_BYTES, type Sys } from './sys.ts';

export const MAX_BITS_IN_SPAN = 512;
/** Words from the end of a span's first page to its inline mark bits, in heap words. */
export const INLINE_WORDS8 = INLINE_BYTES / 8;

export class Bitmaps {
  private readonly heap: Heap;
  private readonly sys: Sys;
  private readonly types: TypeTable;

  constructor(heap: Heap, types: TypeTable) {
    this.heap = heap;
    this.sys = heap.sys;
    this.types = types;
  }

  /** Heap word at which the pointer bits of a one-page span begin. */
  bitsStart(s: number): number {
    const { spans } = this.heap;
    const end = spans.start[s] + PAGE_BYTES / 8;
    const inline = this.heap.usesInlineMarks(spans.elemsize[s]) ? INLINE_WORDS8 : 0;
    return end - inline - PAGE_BYTES / 64 / 8;
  }

  /** Clears a fresh span's bitmaps. Spans of 8-byte slots are all pointers from the start. */
  initHeapBits(s: number): void {
    const { spans } = this.heap;
    const noscan = (spans.spanclass[s] & 1) !== 0;
    const size = spans.elemsize[s];
    if (this.sys.profile.arenaBitmap) {
      this.initArenaBits(s, size === 8 && !noscan);
      return;
    }
    if (this.heap.usesInlineMarks(size)) {
      const end = spans.start[s] + PAGE_BYTES / 8;
      if (spans.needzero[s] !== 0) this.sys.zeroWords(end - INLINE_WORDS8, INLINE_WORDS8);
      const last = this.sys.heapAt(end - 1) + 1;
      this.sys.mem.words[last] |= spans.spanclass[s] << 24;
    }
    if (noscan || size > MAX_BITS_IN_SPAN) return;
    const bits = this.bitsStart(s);
    if (size === 8) {
      for (let i = 0; i < 16; i++) {
        const at = this.sys.heapAt(bits + i);
        this.sys.mem.words[at] = -1;
        this.sys.mem.words[at + 1] = -1;
      }
    } else this.sys.zeroWords(bits, 16);
  }

  /** Address of the byte in the arena's bitmap that describes heap words w & ~3 to w | 3. */
  private arenaByte(w: number): number {
    return this.heap.arenas.bitmapByte(w);
  }

  private initArenaBits(s: number, pointers: boolean): void {
    const { spans } = this.heap;
    const { mem } = this.sys;
    for (let p = 0; p < spans.npages[s]; p++) {
      const first = spans.start[s] + p * 1024;
      const at = Math.min(this.arenaByte(first), this.arenaByte(first + 1023));
      if (pointers) for (let i = 0; i < 256; i += 4) mem.store32(at + i, -1);
      else mem.zero(at, 256);
    }
  }

  /**
   * Notes where the pointers of a new object are.
   * @param w heap word where the slot begins. @param bytes what was asked for.
   * @returns bytes up to the last pointer.
   */
  setType(s: number, w: number, bytes: number, type: number): number {
    const { types } = this;
    const words = types.words[type];
    const count = Math.max(1, Math.floor(bytes / 8 / words));
    const last = (count - 1) * words + types.ptrWords[type];
    if (this.sys.profile.arenaBitmap) this.setArenaBits(s, w, last, type);
    else if (this.heap.spans.elemsize[s] <= MAX_BITS_IN_SPAN) this.setSpanBits(s, w, last, type);
    else if (this.heap.spans.spanclass[s] >> 1 === 0)
      this.heap.spans.largeType[s] = types.addressOf(type);
    else this.storeHeader(w, type);
    return last * 8;
  }

  private storeHeader(w: number, type: number): void {
    const addr = this.types.addressOf(type);
    const at = this.sys.heapAt(w);
    this.sys.mem.words[at] = addr | 0;
    this.sys.mem.words[at + 1] = Math.floor(addr / 2 ** 32);
  }

  private setSpanBits(s: number, w: number, last: number, type: number): void {
    const { spans } = this.heap;
    const size = spans.elemsize[s];
    if (size === 8) return;
    const first = w - spans.start[s];
    const n = size / 8;
    const bits = this.sys.heapAt(this.bitsStart(s));
    const { words } = this.sys.mem;
    const simple = this.types.layouts[type].mask === null && last === this.types.ptrWords[type];
    for (let i = 0; i < n;) {
      const word = first + i;
      const bit = word & 31;
      const run = Math.min(n - i, 32 - bit);
      let value = 0;
      if (simple) {
        const ones = Math.min(run, last - i);
        if (ones > 0) value = ones >= 32 ? -1 : (1 << ones) - 1;
      } else {
        for (let k = 0; k < run; k++)
          if (i + k < last && this.types.isPointer(type, i + k)) value |= 1 << k;
      }
      const mask = (run >= 32 ? -1 : (1 << run) - 1) << bit;
      const at = bits + (word >> 5);
      words[at] = (words[at] & ~mask) | (value << bit);
      i += run;
    }
  }

  private setArenaBits(s: number, w: number, last: number, type: number): void {
    const size = this.heap.spans.elemsize[s];
    if (size === 8) return;
    const { mem } = this.sys;
    const checkmarks = this.sys.profile.linearArena;
    // The word behind the last pointer stops a scan; what older objects left after it is not read.
    const n = Math.min(size / 8, last + 1);
    for (let i = 0; i < n;) {
      const word = w + i;
      const shift = word & 3;
      const run = Math.min(n - i, 4 - shift);
      const at = this.arenaByte(word);
      let value = 0;
      for (let k = 0; k < run; k++) {
        if (i + k >= last) break;
        if (!checkmarks || i + k !== 1) value |= 0x10 << (shift + k);
        if (this.types.isPointer(type, i + k)) value |= 1 << (shift + k);
      }
      const mask = (((1 << run) - 1) << shift) * 0x11;
      const index = mem.touch(at, true) * 4 + (at & 3);
      mem.bytes[index] = (mem.bytes[index] & ~mask) | value;
      i += run;
    }
  }

  /** The two bits of heap word `w` in an arena's bitmap: 1 pointer, 2 more may follow. */
  arenaBits(w: number): number {
    const at = this.arenaByte(w);
    const byte = this.sys.mem.load8(at) >> (w & 3);
    return (byte & 1) | ((byte >> 3) & 2);
  }

  /** Index in mem.bytes of the bitmap byte of heap word `w`; 16384 words on is another page. */
  arenaByteAt(w: number): number {
    const at = this.arenaByte(w);
    return this.sys.mem.touch(at, false) * 4 + (at & 3);
  }

  /** Address of the slot bit bytes: marks of an inline span are in the span itself. */
  inlineAt(s: number): number {
    const start = this.heap.spans.start[s];
    return this.sys.heapAt(start + PAGE_BYTES / 8 - INLINE_WORDS8);
  }
}
