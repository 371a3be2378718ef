// Memory for the runtime's own records: what is never given back, and free lists of equal records.
//
// PersistentAlloc bumps through chunks of 256 KiB; each chunk's first word links to the one before.
// FixAlloc cuts 16 KiB of that into records of one size; freed records are linked through their own
// first word, last freed first out. Both lie in the process's memory, links and all.
//
//   chunk -> | link | record | record | free -> | record | free -> nil | bump ...      |
//
// Invariant of FixAlloc: inuse = records handed out and not freed, times the size.
// Source: Go 1.26.8 src/runtime/malloc.go (persistentalloc), mfixalloc.go.

import { assert } from '../../kernel/errors.ts';
import { S_OTHER, type Sys } from './sys.ts';

const CHUNK_BYTES = 256 << 10;
const MAX_BLOCK = 64 << 10;
const FIX_CHUNK = 16 << 10;

export class PersistentAlloc {
  /** Address of the newest chunk: head of the list of all. */
  chunks = 0;
  private readonly sys: Sys;
  // Before a processor exists the runtime bumps through one chunk, afterwards through another.
  private readonly base: [number, number] = [0, 0];
  private readonly off: [number, number] = [0, 0];
  private which: 0 | 1 = 0;

  constructor(sys: Sys) {
    this.sys = sys;
  }

  /** From now on a processor's own chunk is used. */
  haveProcessor(): void {
    this.which = 1;
  }

  get hasProcessor(): boolean {
    return this.which === 1;
  }

  /** Zeroed bytes for ever. @param align a power of two up to 8192. */
  alloc(bytes: number, align: number, kind: number): number {
    if (bytes >= MAX_BLOCK) return this.sys.alloc(bytes, kind);
    const i = this.which;
    this.off[i] = Math.ceil(this.off[i] / align) * align;
    if (this.base[i] === 0 || this.off[i] + bytes > CHUNK_BYTES) {
      this.base[i] = this.sys.alloc(CHUNK_BYTES, S_OTHER);
      this.sys.mem.store64(this.base[i], this.chunks);
      this.chunks = this.base[i];
      this.off[i] = Math.max(8, align);
    }
    const at = this.base[i] + this.off[i];
    this.off[i] += bytes;
    this.sys.stat[kind] += bytes;
    this.sys.stat[S_OTHER] -= bytes;
    return at;
  }
}

export class FixAlloc {
  readonly size: number;
  /** Bytes handed out and not freed. */
  inuse = 0;
  private readonly sys: Sys;
  private readonly from: PersistentAlloc;
  private readonly kind: number;
  private list = 0;
  private chunk = 0;
  private left = 0;

  constructor(sys: Sys, from: PersistentAlloc, size: number, kind: number) {
    assert(size >= 8, 'FixAlloc: a record holds a link');
    this.sys = sys;
    this.from = from;
    this.size = size;
    this.kind = kind;
  }

  /** A record; not cleared when it was used before. */
  alloc(): number {
    this.inuse += this.size;
    if (this.list !== 0) {
      const at = this.list;
      this.list = this.sys.mem.load64(at);
      return at;
    }
    if (this.left < this.size) {
      this.left = FIX_CHUNK - (FIX_CHUNK % this.size);
      this.chunk = this.from.alloc(this.left, 8, this.kind);
    }
    const at = this.chunk;
    this.chunk += this.size;
    this.left -= this.size;
    return at;
  }

  release(at: number): void {
    this.inuse -= this.size;
    this.sys.mem.store64(at, this.list);
    this.list = at;
  }

  /** Free records in the list; throws when the list does not end. */
  check(): number {
    let n = 0;
    for (let at = this.list; at !== 0; at = this.sys.mem.load64(at)) {
      assert(++n < 1 << 24, 'FixAlloc: the free list ends');
    }
    return n;
  }
}
