// Least recently used: the page goes whose last use is longest ago.
//
// A ring of pages through `next` and `prev` with a head of its own, newest behind the head; each
// access moves its page there. Pages are numbers below nrPages, so a ring is two arrays.
// A stack algorithm: the pages in n frames are among those in n + 1, so no anomaly is possible.
// Source: R. L. Mattson et al., "Evaluation techniques for storage hierarchies" (1970).

import type { References } from './policy.ts';

/** Faults of exact LRU. O(1) a reference. */
export function lru(refs: References, frames: number): number {
  const { pages, nrPages } = refs;
  const head = nrPages;
  const next = new Int32Array(nrPages + 1);
  const prev = new Int32Array(nrPages + 1);
  const resident = new Uint8Array(nrPages);
  next[head] = prev[head] = head;
  let used = 0;
  let faults = 0;
  for (let i = 0; i < pages.length; i++) {
    const page = pages[i];
    if (resident[page] !== 0) {
      next[prev[page]] = next[page];
      prev[next[page]] = prev[page];
    } else {
      faults++;
      if (used < frames) used++;
      else {
        const victim = prev[head];
        prev[head] = prev[victim];
        next[prev[victim]] = head;
        resident[victim] = 0;
      }
      resident[page] = 1;
    }
    const first = next[head];
    next[page] = first;
    prev[page] = head;
    prev[first] = page;
    next[head] = page;
  }
  return faults;
}
