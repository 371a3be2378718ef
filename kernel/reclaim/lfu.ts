// Least frequently used: the page goes that was used least often since it came; among equals the
// one whose last use is longest ago.
//
//     bucket count 1        2           7          ascending, only counts that occur
//            newest…oldest  newest…oldest
//
// Buckets form a ring, and so do the pages of each bucket; an access moves a page to the bucket of
// the next count, which is made if it does not exist. So all steps are O(1).
// Source: K. Shah, A. Mitra, D. Matani, "An O(1) algorithm for implementing the LFU cache
// eviction scheme" (2010). Counts are forgotten when a page goes (no "perfect" LFU).

import type { References } from './policy.ts';

/**
 * The buckets of one run: ring nodes 0..frames (0 is the ring's head), pages in rings by bucket.
 */
class Buckets {
  readonly bucketOf: Int32Array;
  private readonly count: Int32Array;
  private readonly nextBucket: Int32Array;
  private readonly prevBucket: Int32Array;
  /** Rings of pages: page, or nrPages + bucket for the bucket's head. */
  private readonly next: Int32Array;
  private readonly prev: Int32Array;
  private readonly unused: Int32Array;
  private nrUnused = 0;
  private readonly nrPages: number;

  constructor(nrPages: number, frames: number) {
    // One bucket a page at most, and one more while a page moves.
    const nr = Math.min(frames, nrPages) + 2;
    this.nrPages = nrPages;
    this.bucketOf = new Int32Array(nrPages);
    this.count = new Int32Array(nr);
    this.nextBucket = new Int32Array(nr);
    this.prevBucket = new Int32Array(nr);
    this.next = new Int32Array(nrPages + nr);
    this.prev = new Int32Array(nrPages + nr);
    this.unused = new Int32Array(nr);
    for (let b = nr - 1; b > 0; b--) this.unused[this.nrUnused++] = b;
  }

  /** A page comes, with count 1. */
  add(page: number): void {
    this.enter(page, 0, 1);
  }

  /** One more use of a page. */
  use(page: number): void {
    const bucket = this.bucketOf[page];
    const after = this.unlink(page) ? this.prevBucket[bucket] : bucket;
    const count = this.count[bucket] + 1;
    if (after !== bucket) this.drop(bucket);
    this.enter(page, after, count);
  }

  /** Takes the victim out and returns it. */
  evict(): number {
    const bucket = this.nextBucket[0];
    const page = this.prev[this.nrPages + bucket];
    if (this.unlink(page)) this.drop(bucket);
    this.bucketOf[page] = 0;
    return page;
  }

  /** Puts a page into the bucket of `count`, which stands or is made right after bucket `after`. */
  private enter(page: number, after: number, count: number): void {
    let bucket = this.nextBucket[after];
    if (bucket === 0 || this.count[bucket] !== count) {
      const made = this.unused[--this.nrUnused];
      this.count[made] = count;
      this.nextBucket[made] = bucket;
      this.prevBucket[made] = after;
      this.nextBucket[after] = made;
      this.prevBucket[bucket] = made;
      bucket = made;
      this.next[this.nrPages + made] = this.prev[this.nrPages + made] = this.nrPages + made;
    }
    const head = this.nrPages + bucket;
    const first = this.next[head];
    this.next[page] = first;
    this.prev[page] = head;
    this.prev[first] = page;
    this.next[head] = page;
    this.bucketOf[page] = bucket;
  }

  /** @returns true where the page's bucket is empty now. */
  private unlink(page: number): boolean {
    this.next[this.prev[page]] = this.next[page];
    this.prev[this.next[page]] = this.prev[page];
    const head = this.nrPages + this.bucketOf[page];
    return this.next[head] === head;
  }

  private drop(bucket: number): void {
    this.nextBucket[this.prevBucket[bucket]] = this.nextBucket[bucket];
    this.prevBucket[this.nextBucket[bucket]] = this.prevBucket[bucket];
    this.unused[this.nrUnused++] = bucket;
  }
}

/** Faults of LFU. O(1) a reference. */
export function lfu(refs: References, frames: number): number {
  const { pages, nrPages } = refs;
  const buckets = new Buckets(nrPages, frames);
  const { bucketOf } = buckets;
  let used = 0;
  let faults = 0;
  for (let i = 0; i < pages.length; i++) {
    const page = pages[i];
    if (bucketOf[page] !== 0) {
      buckets.use(page);
      continue;
    }
    faults++;
    if (used < frames) used++;
    else buckets.evict();
    buckets.add(page);
  }
  return faults;
}
