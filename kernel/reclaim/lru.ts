// Least recently used: the page goes whose last use is longest ago.
//
// A ring of pages with a head of its own, newest behind the head; each access moves its page there.
// Page p's links lie side by side in one array, so an access reaches one line of the host's cache
// for them, not three:
//
//     words 0, 1   unused     2p + 2  next, 0 where p is in no frame     2p + 3  prev
//
// Links are places in that array. A page that is the newest already is not moved.
// A stack algorithm: the pages in n frames are among those in n + 1, so no anomaly is possible.
// Source: R. L. Mattson et al., "Evaluation techniques for storage hierarchies" (1970).

import type { References } from './policy.ts';

/** Faults of exact LRU. O(1) a reference. */
export function lru(refs: References, frames: number): number {
  const { pages, nrPages } = refs;
  const head = 2 * nrPages + 2;
  const links = new Int32Array(head + 2);
  links[head] = links[head + 1] = head;
  let used = 0;
  let faults = 0;
  for (let i = 0; i < pages.length; i++) {
    const at = (pages[i] << 1) + 2;
    const next = links[at];
    if (next !== 0) {
      const prev = links[at + 1];
      if (prev === head) continue;
      links[prev] = next;
      links[next + 1] = prev;
    } else {
      faults++;
      if (used < frames) used++;
      else {
        const victim = links[head + 1];
        const before = links[victim + 1];
        links[head + 1] = before;
        links[before] = head;
        links[victim] = 0;
      }
    }
    const first = links[head];
    links[at] = first;
    links[at + 1] = head;
    links[first + 1] = at;
    links[head] = at;
  }
  return faults;
}
