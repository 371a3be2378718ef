// The ordered set of an address space's mappings: lookup by address, neighbours, gap search.
//
// Two levels: leaves of at most 64 mappings, ascending, under one array of leaves. Linux allows
// 65,530 mappings an address space, so two levels are always enough, and an insertion moves at
// most 64 + 2048 references. Each leaf knows the largest gap before any of its mappings, and each
// block of 32 leaves the largest of theirs, so that a search for free space passes over them.
//
//     leaves   [ m m m ]      [ m m m m ]     [ m m ]
//     maxGap      12 KiB          0            8 GiB      largest hole just below one of the m's
//
// Invariants (check()): mappings ascend and do not overlap; no leaf is empty (but for the only one)
// or larger than LEAF_MAX; gaps of leaves and blocks are right or marked unknown (-1); `size`
// counts the mappings.
// Source: what Linux 6.18 lib/maple_tree.c does for mm/vma.c; the shape is ours.

import { assert } from '../kernel/errors.ts';
import type { Vma } from './vma.ts';

const LEAF_MAX = 64;

/** Leaves in a block, a power of two. */
const BLOCK = 32;

export class VmaTree {
  size = 0;
  private readonly leaves: Vma[][] = [[]];
  /** Largest gap below a mapping of each leaf, in bytes; -1 where it has to be counted anew. */
  private readonly leafGaps: number[] = [0];
  /** The largest of each block's leaves, likewise. */
  private readonly blockGaps: number[] = [0];

  /** The first mapping that ends above `addr` (find_vma()): it may start above it too. */
  find(addr: number): Vma | undefined {
    const leaf = this.leafFor(addr);
    const vmas = this.leaves[leaf];
    return vmas[firstEndingAbove(vmas, addr)];
  }

  /** The mapping that contains `addr`, if any. */
  at(addr: number): Vma | undefined {
    const vma = this.find(addr);
    return vma !== undefined && vma.start <= addr ? vma : undefined;
  }

  /** The first mapping that overlaps [start, end), if any. */
  overlapping(start: number, end: number): Vma | undefined {
    const vma = this.find(start);
    return vma !== undefined && vma.start < end ? vma : undefined;
  }

  /** The last mapping that ends at or below `addr`, if any. */
  before(addr: number): Vma | undefined {
    const leaf = this.leafFor(addr);
    const i = firstEndingAbove(this.leaves[leaf], addr);
    if (i > 0) return this.leaves[leaf][i - 1];
    if (leaf === 0) return undefined;
    return this.leaves[leaf - 1].at(-1);
  }

  /** The mapping after `vma`, which is in the tree. */
  next(vma: Vma): Vma | undefined {
    return this.find(vma.end);
  }

  /** The mapping before `vma`, which is in the tree. */
  prev(vma: Vma): Vma | undefined {
    return this.before(vma.start);
  }

  /** All mappings that overlap [start, end), ascending: a copy, safe to change the tree under. */
  range(start: number, end: number): Vma[] {
    const out: Vma[] = [];
    for (let vma = this.find(start); vma !== undefined && vma.start < end; vma = this.next(vma)) {
      out.push(vma);
    }
    return out;
  }

  *[Symbol.iterator](): IterableIterator<Vma> {
    for (const vmas of this.leaves) yield* vmas;
  }

  /** Adds a mapping that overlaps none. */
  insert(vma: Vma): void {
    const n = this.leafFor(vma.start);
    const vmas = this.leaves[n];
    vmas.splice(firstEndingAbove(vmas, vma.start), 0, vma);
    this.size++;
    this.gapsChanged(n);
    if (vmas.length <= LEAF_MAX) return;
    this.leaves.splice(n + 1, 0, vmas.splice(LEAF_MAX / 2));
    this.leafGaps.splice(n + 1, 0, -1);
    this.blocksShifted(n);
  }

  /** Removes a mapping that is in the tree. */
  remove(vma: Vma): void {
    const n = this.leafFor(vma.start);
    const vmas = this.leaves[n];
    const i = vmas.indexOf(vma);
    assert(i >= 0, 'VmaTree.remove: the mapping is in the tree');
    vmas.splice(i, 1);
    this.size--;
    this.gapsChanged(n);
    if (vmas.length > 0 || this.leaves.length === 1) return;
    this.leaves.splice(n, 1);
    this.leafGaps.splice(n, 1);
    this.blocksShifted(n);
  }

  /**
   * Moves the borders of a mapping that stays in its place in the order. The one way to change
   * start or end of a mapping that is in the tree.
   */
  resize(vma: Vma, start: number, end: number): void {
    const n = this.leafFor(vma.start);
    vma.start = start;
    vma.end = end;
    this.gapsChanged(n);
  }

  /**
   * The highest gap of at least `length` bytes within [low, high): its end, exclusive, cut at
   * high; -1 where there is none.
   */
  gapBelow(low: number, high: number, length: number): number {
    if (high - low < length) return -1;
    const above = this.find(high - 1);
    // The gap that reaches up to high, or into which high cuts.
    let n = this.leafFor(high - 1);
    let i = above === undefined ? this.leaves[n].length : this.leaves[n].indexOf(above);
    let gapEnd = above === undefined ? high : Math.min(high, above.start);
    for (;;) {
      const below = i > 0 ? this.leaves[n][i - 1] : n > 0 ? this.leaves[n - 1].at(-1) : undefined;
      const gapStart = Math.max(low, below === undefined ? 0 : below.end);
      if (gapEnd - gapStart >= length) return gapEnd;
      if (below === undefined || below.start <= low) return -1;
      gapEnd = below.start;
      if (i > 0) {
        i--;
        continue;
      }
      // Whole leaves, and blocks of them, whose gaps are all too small are passed over.
      n--;
      while (n > 0 && this.maxGap(n) < length) {
        n =
          n % BLOCK === BLOCK - 1 && this.blockGap((n + 1) / BLOCK - 1) < length
            ? n - BLOCK
            : n - 1;
      }
      if (n < 0) n = 0;
      i = this.leaves[n].length - 1;
      gapEnd = this.leaves[n][i].start;
    }
  }

  /** The lowest gap of at least `length` bytes within [low, high): its start; -1 where none is. */
  gapAbove(low: number, high: number, length: number): number {
    let at = low;
    const inside = this.at(low);
    if (inside !== undefined) at = inside.end;
    for (let vma = this.find(at); ; vma = this.next(vma)) {
      const end = vma === undefined ? high : Math.min(high, vma.start);
      if (end - at >= length) return at;
      if (vma === undefined || vma.end >= high) return -1;
      at = vma.end;
    }
  }

  /** Throws KernelBug where an invariant does not hold. */
  check(): void {
    let end = 0;
    let count = 0;
    this.leaves.forEach((vmas, n) => {
      assert(vmas.length <= LEAF_MAX, 'a leaf is not too large');
      assert(vmas.length > 0 || this.leaves.length === 1, 'no leaf is empty');
      const gap = gapIn(vmas, end);
      const known = this.leafGaps[n];
      assert(known === -1 || known === gap, `gap of leaf ${n}`);
      const block = this.blockGaps[Math.floor(n / BLOCK)];
      assert(block === -1 || block >= gap, `gap of the block of leaf ${n}`);
      for (const vma of vmas) {
        assert(vma.start >= end, `mapping at ${vma.start.toString(16)} overlaps the one before`);
        assert(vma.start < vma.end, `mapping at ${vma.start.toString(16)} has no pages`);
        assert(vma.start % 4096 === 0 && vma.end % 4096 === 0, 'mappings are page aligned');
        assert(
          vma.anonVma === null || vma.anonVmaChain.includes(vma.anonVma),
          'anonVma is in its chain',
        );
        end = vma.end;
        count++;
      }
    });
    assert(this.leafGaps.length === this.leaves.length, 'each leaf has its gap');
    assert(count === this.size, `size ${this.size}, counted ${count}`);
  }

  /** Index of the leaf that holds, or would hold, the mapping that contains addr or follows it. */
  private leafFor(addr: number): number {
    let lo = 0;
    let hi = this.leaves.length - 1;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      const vmas = this.leaves[mid];
      if (vmas[vmas.length - 1].end > addr) hi = mid;
      else lo = mid + 1;
    }
    return lo;
  }

  private maxGap(n: number): number {
    const known = this.leafGaps[n];
    if (known !== -1) return known;
    const below = n > 0 ? this.leaves[n - 1].at(-1) : undefined;
    const gap = gapIn(this.leaves[n], below === undefined ? 0 : below.end);
    this.leafGaps[n] = gap;
    return gap;
  }

  /** The largest gap of a block's leaves. */
  private blockGap(block: number): number {
    let gap = this.blockGaps[block];
    if (gap !== -1) return gap;
    const end = Math.min(this.leaves.length, (block + 1) * BLOCK);
    for (let n = block * BLOCK; n < end; n++) gap = Math.max(gap, this.maxGap(n));
    this.blockGaps[block] = gap;
    return gap;
  }

  /** The gaps of a leaf, and the one below the next leaf, may have changed. */
  private gapsChanged(n: number): void {
    this.leafGaps[n] = -1;
    this.blockGaps[Math.floor(n / BLOCK)] = -1;
    if (n + 1 >= this.leaves.length) return;
    this.leafGaps[n + 1] = -1;
    this.blockGaps[Math.floor((n + 1) / BLOCK)] = -1;
  }

  /** A leaf came or went at n: the blocks from there on hold other leaves. */
  private blocksShifted(n: number): void {
    this.blockGaps.length = Math.ceil(this.leaves.length / BLOCK);
    this.blockGaps.fill(-1, Math.floor(n / BLOCK));
  }
}

function gapIn(vmas: readonly Vma[], endBefore: number): number {
  let max = 0;
  let end = endBefore;
  for (const vma of vmas) {
    if (vma.start - end > max) max = vma.start - end;
    end = vma.end;
  }
  return max;
}

function firstEndingAbove(vmas: readonly Vma[], addr: number): number {
  let lo = 0;
  let hi = vmas.length;
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if (vmas[mid].end > addr) hi = mid;
    else lo = mid + 1;
  }
  return lo;
}
