// 2Q: a page has to come back before it counts as hot.
//
//     A1in  FIFO of new pages, about a quarter of the frames
//     A1out ghosts of those that left A1in, half as many as there are frames
//     Am    LRU of the pages that were asked for while they were in A1out
//
// Source: T. Johnson, D. Shasha, "2Q: a low overhead high performance buffer management
// replacement algorithm" (VLDB 1994), the full version with Kin = c/4, Kout = c/2.

import type { References } from './policy.ts';
import { Rings } from './rings.ts';

const A1IN = 1;
const AM = 2;
const A1OUT = 3;

/** Faults of 2Q. O(1) a reference. */
export function twoQueue(refs: References, frames: number): number {
  const { pages } = refs;
  const rings = new Rings(refs.nrPages, 3);
  const { ring, length } = rings;
  const kin = Math.max(1, Math.floor(frames / 4));
  const kout = Math.max(1, Math.floor(frames / 2));
  let faults = 0;
  for (let i = 0; i < pages.length; i++) {
    const page = pages[i];
    const k = ring[page];
    if (k === AM) rings.move(page, AM);
    if (k === AM || k === A1IN) continue;
    faults++;
    if (length[A1IN] + length[AM] === frames) {
      if (length[A1IN] > kin || length[AM] === 0) {
        rings.move(rings.oldest(A1IN), A1OUT);
        if (length[A1OUT] > kout) rings.drop(A1OUT);
      } else rings.drop(AM);
    }
    rings.move(page, k === A1OUT ? AM : A1IN);
  }
  return faults;
}
