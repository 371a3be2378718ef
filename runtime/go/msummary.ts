// The radix tree over the page heap's bitmaps: for each stretch of address space, how many pages
// are free at its start, in its longest run, and at its end.
//
//   level 0   2^14 entries of 16 GiB        one entry: start:21 max:21 end:21, bit 63 = all free
//   level 1..3  each 8 times as many
//   level 4   one entry a chunk of 4 MiB    merged upwards, 8 entries into 1
//
// The levels lie in address space reserved whole at start and made ready where the heap grows:
// level l's entry for an address is at base[l] + (address >> shift) * 8, counted from the bottom
// of the canonical addresses.
//
// Invariant: an entry equals what its eight children give (check()).
// Source: Go 1.26.8 src/runtime/mpagealloc.go (pallocSum), mpagealloc_64bit.go.

import { assert } from '../../kernel/errors.ts';
import { PHYS_PAGE, S_GCMISC, type Sys } from './sys.ts';

export const LEVELS = 5;
export const LEVEL_SHIFT: readonly number[] = [34, 31, 28, 25, 22];
export const LEVEL_LOG_PAGES: readonly number[] = [21, 18, 15, 12, 9];
export const LEVEL_BITS: readonly number[] = [14, 3, 3, 3, 3];
const MAX_PACKED = 1 << 21;

export interface Range {
  base: number;
  limit: number;
}

export class SummaryTree {
  private readonly sys: Sys;
  private readonly base = new Float64Array(LEVELS);

  constructor(sys: Sys) {
    this.sys = sys;
    for (let l = 0; l < LEVELS; l++) {
      const bytes = 2 ** (48 - LEVEL_SHIFT[l]) * 8;
      const at = sys.reserve(0, bytes);
      assert(at > 0, 'failed to reserve page summary memory');
      this.base[l] = at;
    }
  }

  /** Index in mem.words of an entry of level `l`. */
  at(l: number, index: number): number {
    return this.sys.mem.touch(this.base[l] + index * 8, true);
  }

  /** Writes an entry. @returns whether it changed. */
  store(l: number, i: number, start: number, max: number, end: number): boolean {
    let lo = 0;
    let hi = 1 << 31;
    if (max < MAX_PACKED) {
      lo = start | (max << 21);
      hi = (max >>> 11) | (end << 10);
    }
    const at = this.at(l, i);
    const { words } = this.sys.mem;
    if (words[at] === lo && words[at + 1] === hi) return false;
    words[at] = lo;
    words[at + 1] = hi;
    return true;
  }

  /** Brings the levels above the lowest up to date for [base, limit]. */
  propagate(base: number, limit: number): void {
    let changed = true;
    for (let l = LEVELS - 2; l >= 0 && changed; l--) {
      changed = false;
      const size = 2 ** LEVEL_SHIFT[l];
      const bias = 2 ** 47 / size;
      const lo = Math.floor(base / size) + bias;
      const hi = Math.floor(limit / size) + bias;
      for (let i = lo; i <= hi; i++) if (this.merge(l, i)) changed = true;
    }
  }

  /** Entry `i` of level `l` from its eight children. @returns whether it changed. */
  private merge(l: number, i: number): boolean {
    const full = 1 << LEVEL_LOG_PAGES[l + 1];
    const { words } = this.sys.mem;
    let at = this.at(l + 1, i * 8);
    let start = 0;
    let max = 0;
    let end = 0;
    for (let j = 0; j < 8; j++, at += 2) {
      const lo = words[at];
      const hi = words[at + 1];
      const s = startOf(lo, hi);
      const m = maxOf(lo, hi);
      const e = endOf(lo, hi);
      if (start === j * full) start += s;
      max = Math.max(max, end + s, m);
      end = e === full ? end + full : e;
    }
    return this.store(l, i, start, max, end);
  }

  /** Makes the parts of each level ready that describe [base, limit) and are not yet. */
  grow(base: number, limit: number, inUse: readonly Readonly<Range>[]): void {
    const after = inUse.findIndex((r) => r.base > base);
    const next = after < 0 ? inUse.length : after;
    for (let l = 0; l < LEVELS; l++) {
      let need = this.sumRange(l, base, limit);
      if (next > 0) need = subtract(need, this.sumRangeOf(l, inUse[next - 1]));
      if (next < inUse.length) need = subtract(need, this.sumRangeOf(l, inUse[next]));
      if (need.limit <= need.base) continue;
      this.sys.map(need.base, need.limit - need.base, S_GCMISC);
      this.sys.used(need.base, need.limit - need.base, need.limit - need.base);
    }
  }

  private sumRangeOf(l: number, r: Range): Range {
    return this.sumRange(l, r.base, r.limit);
  }

  /** Bytes of level `l` that describe [base, limit): whole blocks of entries, whole pages. */
  private sumRange(l: number, base: number, limit: number): Range {
    const size = 2 ** LEVEL_SHIFT[l];
    const block = 2 ** LEVEL_BITS[l];
    const bias = 2 ** 47 / size;
    const lo = Math.floor((Math.floor(base / size) + bias) / block) * block;
    const hi = Math.ceil((Math.floor((limit - 1) / size) + bias + 1) / block) * block;
    const start = this.base[l] + lo * 8;
    const end = this.base[l] + hi * 8;
    return { base: start - (start % PHYS_PAGE), limit: Math.ceil(end / PHYS_PAGE) * PHYS_PAGE };
  }

  /** Every entry above [base, limit) is what its children give. */
  check(base: number, limit: number): void {
    for (let l = LEVELS - 2; l >= 0; l--) {
      const size = 2 ** LEVEL_SHIFT[l];
      const bias = 2 ** 47 / size;
      const last = Math.floor((limit - 1) / size) + bias;
      for (let i = Math.floor(base / size) + bias; i <= last; i++)
        assert(!this.merge(l, i), `PageAlloc: level ${String(l)} is what its children give`);
    }
  }
}

export function startOf(lo: number, hi: number): number {
  return hi < 0 ? MAX_PACKED : lo & 0x1fffff;
}

export function maxOf(lo: number, hi: number): number {
  return hi < 0 ? MAX_PACKED : (lo >>> 21) | ((hi & 0x3ff) << 11);
}

export function endOf(lo: number, hi: number): number {
  return hi < 0 ? MAX_PACKED : (hi >>> 10) & 0x1fffff;
}

/** a without b; b covers one end of a, all of it, or nothing. */
function subtract(a: Range, b: Range): Range {
  if (b.base <= a.base && a.limit <= b.limit) return { base: 0, limit: 0 };
  if (a.base < b.base && b.limit < a.limit) return a; // would cut a in two: map it again
  if (b.limit < a.limit && a.base < b.limit) return { base: b.limit, limit: a.limit };
  if (a.base < b.base && b.base < a.limit) return { base: a.base, limit: b.base };
  return a;
}
