// OPT (MIN): the page goes whose next use is furthest away. Nobody can do with fewer faults.
//
// A page in memory is represented by the time of its next use: a bit at that place of the string.
// The times differ, so no page needs any other state:
//
//     reference i  is a hit if bit i is set; then the bit moves to the page's next use
//     a fault with all frames full clears the last bit that is set
//
// Pages that are never used again are only counted; any of them goes first. The bits lie in a tree
// of 32-way words, so that the last one is found in O(log32 n).
// Source: L. A. Belady, "A study of replacement algorithms for a virtual-storage computer" (1966).

import type { References } from './policy.ts';

/** A set of integers below n, with its largest. */
class BitTree {
  private readonly levels: Int32Array[] = [];

  constructor(n: number) {
    for (let words = n; ;) {
      words = Math.max(1, Math.ceil(words / 32));
      this.levels.push(new Int32Array(words));
      if (words === 1) return;
    }
  }

  /** Adds i. */
  set(i: number): void {
    const { levels } = this;
    for (let level = 0; level < levels.length; level++) {
      const words = levels[level];
      const at = i >>> 5;
      const before = words[at];
      words[at] = before | (1 << (i & 31));
      if (before !== 0) return;
      i = at;
    }
  }

  /** Takes i out. @returns whether it was in. */
  take(i: number): boolean {
    const { levels } = this;
    if ((levels[0][i >>> 5] & (1 << (i & 31))) === 0) return false;
    for (let level = 0; level < levels.length; level++) {
      const words = levels[level];
      const at = i >>> 5;
      words[at] &= ~(1 << (i & 31));
      if (words[at] !== 0) break;
      i = at;
    }
    return true;
  }

  /** The largest; only of a set that is not empty. */
  last(): number {
    let i = 0;
    for (let level = this.levels.length - 1; level >= 0; level--) {
      i = i * 32 + 31 - Math.clz32(this.levels[level][i]);
    }
    return i;
  }
}

/** Faults of OPT. Needs four bytes a reference. */
export function opt(refs: References, frames: number): number {
  const { pages } = refs;
  const next = nextUses(refs);
  const resident = new BitTree(pages.length);
  let known = 0; // pages in memory that will be used again
  let dead = 0; // pages in memory that will not
  let faults = 0;
  for (let i = 0; i < pages.length; i++) {
    if (known > 0 && resident.take(i)) known--;
    else {
      faults++;
      if (known + dead === frames) {
        if (dead > 0) dead--;
        else {
          resident.take(resident.last());
          known--;
        }
      }
    }
    if (next[i] < 0) dead++;
    else {
      resident.set(next[i]);
      known++;
    }
  }
  return faults;
}

/** For each reference the place of the next one to the same page, -1 for none. */
function nextUses(refs: References): Int32Array {
  const { pages } = refs;
  const next = new Int32Array(pages.length);
  const seen = new Int32Array(refs.nrPages).fill(-1);
  for (let i = pages.length - 1; i >= 0; i--) {
    next[i] = seen[pages[i]];
    seen[pages[i]] = i;
  }
  return next;
}
