// SIEVE: a queue that is never reordered, and a hand that sifts it.
//
//     newest  [1] [0] [1] [0] [1]  oldest       the hand moves from old to new, clears bits of
//                      ^ hand                    used pages, and takes the first unused one
//
// Unlike Clock, new pages enter at the queue's end and not behind the hand, so the hand meets them
// early while old ones that are used stay where they are.
// Source: Y. Zhang et al., "SIEVE is simpler than LRU" (NSDI 2024), algorithm 1.

import type { References } from './policy.ts';

const RESIDENT = 1;
const VISITED = 2;

/** Faults of SIEVE. O(1) a reference, spread over many. */
export function sieve(refs: References, frames: number): number {
  const { pages, nrPages } = refs;
  const end = nrPages;
  const newer = new Int32Array(nrPages + 1);
  const older = new Int32Array(nrPages + 1);
  const state = new Uint8Array(nrPages + 1);
  newer[end] = older[end] = end;
  let hand = end;
  let used = 0;
  let faults = 0;
  for (let i = 0; i < pages.length; i++) {
    const page = pages[i];
    if (state[page] !== 0) {
      state[page] = VISITED;
      continue;
    }
    faults++;
    if (used < frames) used++;
    else {
      if (hand === end) hand = newer[end];
      while (state[hand] === VISITED) {
        state[hand] = RESIDENT;
        hand = newer[hand];
        if (hand === end) hand = newer[end];
      }
      const victim = hand;
      hand = newer[victim];
      newer[older[victim]] = newer[victim];
      older[newer[victim]] = older[victim];
      state[victim] = 0;
    }
    // `end` lies behind the newest and before the oldest.
    const newest = older[end];
    older[page] = newest;
    newer[page] = end;
    newer[newest] = page;
    older[end] = page;
    state[page] = RESIDENT;
  }
  return faults;
}
