// Types as the collector sees them: how long a value is and which of its words are pointers.
//
// A type's descriptor lies in the program's read-only data, in the process's memory: 64 bytes that
// begin with size and pointer bytes as Go's do. Objects with a malloc header point to it. A value
// longer than its type is an array of it.
//
// Source: Go 1.26.8 src/internal/abi/type.go (Type: Size_, PtrBytes, …, GCData).

import type { Memory } from '../memory.ts';

export interface TypeLayout {
  readonly name: string;
  /** Bytes of a value; a multiple of 8 where it has pointers. */
  readonly bytes: number;
  /** Words up to and with the last pointer; 0 for none. */
  readonly ptrWords: number;
  /** Bit i: word i is a pointer. null: all of the first ptrWords are. */
  readonly mask: Int32Array | null;
}

/** Type 0: no pointers, of any size. */
export const NO_POINTERS = 0;

const DESCRIPTOR_BYTES = 64;

export class TypeTable {
  /** Columns for the marker, by type number. */
  ptrWords = new Int32Array(64);
  words = new Int32Array(64);
  readonly layouts: TypeLayout[] = [];
  private readonly mem: Memory;
  private readonly base: number;
  private readonly limit: number;
  private readonly byShape = new Map<number, number>();

  /** Descriptors go to [base, limit), which is mapped. */
  constructor(mem: Memory, base: number, limit: number) {
    this.mem = mem;
    this.base = base;
    this.limit = limit;
    this.add({ name: 'no pointers', bytes: 1, ptrWords: 0, mask: null });
  }

  /** Makes a type. @returns its number. */
  add(layout: TypeLayout): number {
    const t = this.layouts.length;
    this.layouts.push(layout);
    if (t >= this.ptrWords.length) {
      const ptrWords = new Int32Array(t * 2);
      ptrWords.set(this.ptrWords);
      const words = new Int32Array(t * 2);
      words.set(this.words);
      this.ptrWords = ptrWords;
      this.words = words;
    }
    this.ptrWords[t] = layout.ptrWords;
    this.words[t] = Math.max(1, layout.bytes / 8);
    const at = this.addressOf(t);
    if (at + DESCRIPTOR_BYTES <= this.limit) {
      this.mem.store64(at, layout.bytes);
      this.mem.store64(at + 8, layout.ptrWords * 8);
    }
    return t;
  }

  /** The type of `bytes` bytes whose first `ptrWords` words are pointers. */
  leading(bytes: number, ptrWords: number): number {
    if (ptrWords === 0) return NO_POINTERS;
    const key = bytes * 2 ** 24 + ptrWords;
    let t = this.byShape.get(key);
    if (t === undefined) {
      const name = `${String(bytes)} bytes, ${String(ptrWords)} pointers`;
      t = this.add({ name, bytes, ptrWords, mask: null });
      this.byShape.set(key, t);
    }
    return t;
  }

  addressOf(t: number): number {
    return this.base + t * DESCRIPTOR_BYTES;
  }

  /** Number of the type at an address that addressOf() gave. */
  numberOf(addr: number): number {
    return (addr - this.base) / DESCRIPTOR_BYTES;
  }

  /** Whether word `i` of a value of type `t` (or of an array of it) is a pointer. */
  isPointer(t: number, i: number): boolean {
    const word = i % this.words[t];
    if (word >= this.ptrWords[t]) return false;
    const { mask } = this.layouts[t];
    return mask === null || (mask[word >> 5] & (1 << (word & 31))) !== 0;
  }
}
