// S3-FIFO: three FIFO queues; most pages that are used once leave soon.
//
//     S  small: new pages, a tenth of the frames     used twice there: on to M, else out, to G
//     M  main: a used page goes round again, one use less; an unused one goes
//     G  ghosts of what left S, as many as M has frames: back from there means M at once
//
// Uses are counted up to 3, and an access does nothing else.
// Source: J. Yang et al., "FIFO queues are all you need for cache eviction" (SOSP 2023),
// algorithm 1.

import type { References } from './policy.ts';
import { Rings } from './rings.ts';

const SMALL = 1;
const MAIN = 2;
const GHOST = 3;
const MOST_USES = 3;

/** Faults of S3-FIFO. O(1) a reference, spread over many. */
export function s3Fifo(refs: References, frames: number): number {
  const { pages } = refs;
  const rings = new Rings(refs.nrPages, 3);
  const uses = new Uint8Array(refs.nrPages);
  const { ring, length } = rings;
  const small = Math.max(1, Math.floor(frames / 10));
  let faults = 0;
  for (let i = 0; i < pages.length; i++) {
    const page = pages[i];
    const k = ring[page];
    if (k === SMALL || k === MAIN) {
      if (uses[page] < MOST_USES) uses[page]++;
      continue;
    }
    faults++;
    while (length[SMALL] + length[MAIN] >= frames) {
      if (length[SMALL] >= small) evictSmall(rings, uses, frames - small);
      else evictMain(rings, uses);
    }
    // Making room may have dropped its ghost.
    rings.move(page, ring[page] === GHOST ? MAIN : SMALL);
    uses[page] = 0;
  }
  return faults;
}

/** One page leaves S for good, or all that were used twice move to M. */
function evictSmall(rings: Rings, uses: Uint8Array, main: number): void {
  const { length } = rings;
  while (length[SMALL] > 0) {
    const page = rings.oldest(SMALL);
    if (uses[page] > 1) {
      uses[page] = 0;
      rings.move(page, MAIN);
      if (length[MAIN] > main) evictMain(rings, uses);
      continue;
    }
    rings.move(page, GHOST);
    if (length[GHOST] > Math.max(1, main)) rings.drop(GHOST);
    return;
  }
}

function evictMain(rings: Rings, uses: Uint8Array): void {
  while (rings.length[MAIN] > 0) {
    const page = rings.oldest(MAIN);
    if (uses[page] === 0) {
      rings.drop(MAIN);
      return;
    }
    uses[page]--;
    rings.move(page, MAIN);
  }
}
