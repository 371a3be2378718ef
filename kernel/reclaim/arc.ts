// ARC, the adaptive replacement cache: balances recency against frequency by what it regrets.
//
//     T1 seen once, in memory      B1 seen once, gone (a ghost)
//     T2 seen again, in memory     B2 seen again, gone
//
// |T1| aims at `target`. A fault on a ghost of B1 says that T1 was too small, on one of B2 too
// large. Invariants: |T1| + |T2| <= c, |T1| + |B1| <= c, all four <= 2c.
// Source: N. Megiddo, D. S. Modha, "ARC: a self-tuning, low overhead replacement cache"
// (FAST 2003), figure 4.

import type { References } from './policy.ts';
import { Rings } from './rings.ts';

const T1 = 1;
const T2 = 2;
const B1 = 3;
const B2 = 4;

/** Faults of ARC. O(1) a reference. */
export function arc(refs: References, frames: number): number {
  const { pages } = refs;
  const rings = new Rings(refs.nrPages, 4);
  const { ring, length, next, prev } = rings;
  const hot = refs.nrPages + T2;
  let target = 0;
  let faults = 0;
  for (let i = 0; i < pages.length; i++) {
    const page = pages[i];
    const k = ring[page];
    if (k === T1 || k === T2) {
      // rings.move(page, T2) by hand: most references come here
      next[prev[page]] = next[page];
      prev[next[page]] = prev[page];
      if (k === T1) {
        length[T1]--;
        length[T2]++;
        ring[page] = T2;
      }
      const first = next[hot];
      next[page] = first;
      prev[page] = hot;
      prev[first] = page;
      next[hot] = page;
      continue;
    }
    faults++;
    if (k === B1) {
      target = Math.min(frames, target + Math.max(1, length[B2] / length[B1]));
      replace(rings, target, false);
      rings.move(page, T2);
    } else if (k === B2) {
      target = Math.max(0, target - Math.max(1, length[B1] / length[B2]));
      replace(rings, target, true);
      rings.move(page, T2);
    } else {
      makeRoom(rings, target, frames);
      rings.move(page, T1);
    }
  }
  return faults;
}

/** A page goes, and its ghost stays: of T1 where that is larger than its target, else of T2. */
function replace(rings: Rings, target: number, inB2: boolean): void {
  const t1 = rings.length[T1];
  if (t1 > 0 && (t1 > target || (inB2 && t1 === Math.floor(target)))) {
    rings.move(rings.oldest(T1), B1);
  } else rings.move(rings.oldest(T2), B2);
}

/** Room for a page of which nothing is known. */
function makeRoom(rings: Rings, target: number, frames: number): void {
  const { length } = rings;
  const all = length[T1] + length[T2] + length[B1] + length[B2];
  if (length[T1] + length[B1] === frames) {
    if (length[T1] < frames) {
      rings.drop(B1);
      replace(rings, target, false);
    } else rings.drop(T1);
  } else if (all >= frames) {
    if (all === 2 * frames) rings.drop(B2);
    replace(rings, target, false);
  }
}
