// Mark and allocation bitmaps of spans, bump-allocated from arenas of 64 KiB.
//
//   | free | next | bits ...            the record of an arena: bytes used, link, bitmaps
//
// A span's two bitmaps change roles with each sweep: marks become allocation bits, and new marks
// come from the `next` arenas. So nothing needs freeing: after two cycles a whole generation of
// arenas is free, cleared when it is used again.
//
//   free -> next (being filled) -> current (last cycle's) -> previous -> free
//
// Source: Go 1.26.8 src/runtime/mheap.go (gcBitsArena).

import { S_GCMISC, type Sys } from './sys.ts';

const ARENA_BYTES = 64 << 10;
const HEADER_BYTES = 16;

export class GcBits {
  private readonly sys: Sys;
  private free: number[] = [];
  private next: number[] = [];
  private current: number[] = [];
  private previous: number[] = [];
  private used = 0;

  constructor(sys: Sys) {
    this.sys = sys;
  }

  /** A cleared bitmap of `nelems` bits, in whole 8-byte words. @returns its address. */
  alloc(nelems: number): number {
    const bytes = ((nelems + 63) >>> 6) * 8;
    if (this.next.length === 0 || this.used + bytes > ARENA_BYTES - HEADER_BYTES) this.newArena();
    const arena = this.next[this.next.length - 1];
    const at = arena + HEADER_BYTES + this.used;
    this.used += bytes;
    this.sys.mem.store64(arena, this.used);
    return at;
  }

  private newArena(): void {
    const { mem } = this.sys;
    const link = this.next.length > 0 ? this.next[this.next.length - 1] : 0;
    let arena = this.free.pop() ?? 0;
    if (arena === 0) arena = this.sys.alloc(ARENA_BYTES, S_GCMISC);
    else mem.zero(arena, ARENA_BYTES);
    mem.store64(arena + 8, link);
    this.next.push(arena);
    this.used = 0;
  }

  /** A cycle begins: the bitmaps of the cycle before the last are free. */
  nextEpoch(): void {
    this.free.push(...this.previous.reverse());
    this.previous = this.current;
    this.current = this.next;
    this.next = [];
  }
}
