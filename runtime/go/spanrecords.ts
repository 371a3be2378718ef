// The records of spans (mspan) in the process's memory: where they come from, and the list of all.
//
//   fixalloc -> record -> (used) -> a processor's cache of records -> fixalloc's free list
//
// A record that was never used before is noted in allspans, an array of pointers that grows by half
// and is never shortened: records are used again, and so found twice in it never.
// Source: Go 1.26.8 and Go 1.9 src/runtime/mheap.go (allocMSpanLocked, recordspan).

import { FixAlloc, type PersistentAlloc } from './persistent.ts';
import { S_MSPAN, S_OTHER, type Sys } from './sys.ts';

/** Records that a processor takes from the heap at once. */
const REFILL = 64;
const FIRST_ENTRIES = (64 << 10) / 8;

export class SpanRecords {
  readonly alloc: FixAlloc;
  private capacity = 0;
  private count = 0;
  private at = 0;
  private readonly sys: Sys;
  private readonly persistent: PersistentAlloc;

  constructor(sys: Sys, persistent: PersistentAlloc) {
    this.sys = sys;
    this.persistent = persistent;
    this.alloc = new FixAlloc(sys, persistent, sys.profile.mspanBytes, S_MSPAN);
  }

  /** Bytes of records in use. */
  get inuse(): number {
    return this.alloc.inuse;
  }

  /** A record by way of a processor's cache, once there is a processor. */
  take(user: { readonly spanCache: number[] }): number {
    if (!this.persistent.hasProcessor) return this.fresh();
    if (user.spanCache.length === 0)
      for (let i = 0; i < REFILL; i++) user.spanCache.push(this.fresh());
    return user.spanCache.pop() ?? this.fresh();
  }

  /** A record from the fixalloc; noted among all spans when it is used for the first time. */
  fresh(): number {
    const { inuse } = this.alloc;
    const record = this.alloc.alloc();
    if (inuse / this.alloc.size >= this.count) this.note(record);
    return record;
  }

  private note(record: number): void {
    const { sys } = this;
    if (this.count === this.capacity) {
      const n = Math.max(FIRST_ENTRIES, Math.floor((this.capacity * 3) / 2));
      const at = sys.alloc(n * 8, S_OTHER);
      if (this.at !== 0) {
        sys.mem.copy(at, this.at, this.count * 8);
        sys.free(this.at, this.capacity * 8, S_OTHER);
      }
      this.at = at;
      this.capacity = n;
    }
    sys.mem.store64(this.at + this.count * 8, record);
    this.count++;
  }

  /** Gives a record back, to a processor's cache where there is one with room. */
  release(record: number, user: { readonly spanCache: number[] } | null): void {
    const cache = user?.spanCache;
    if (cache !== undefined && cache.length < 2 * REFILL) cache.push(record);
    else this.alloc.release(record);
  }
}
