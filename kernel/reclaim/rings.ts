// Rings of pages for the policies that keep several lists, some of pages that are gone ("ghosts").
//
// A page is on one ring at most: `ring[page]` says on which, 0 for none. Ring k has its head at
// nrPages + k in the same arrays; the newest page is behind the head, the oldest before it.
// Invariant: length[k] counts the pages with ring[page] = k.

import { assert } from '../errors.ts';

export class Rings {
  /** By page; hot loops read it directly. */
  readonly ring: Uint8Array;
  readonly length: Int32Array;
  readonly next: Int32Array;
  readonly prev: Int32Array;
  private readonly nrPages: number;

  /** @param nr rings 1..nr. */
  constructor(nrPages: number, nr: number) {
    this.nrPages = nrPages;
    this.ring = new Uint8Array(nrPages);
    this.length = new Int32Array(nr + 1);
    this.next = new Int32Array(nrPages + nr + 1);
    this.prev = new Int32Array(nrPages + nr + 1);
    for (let k = 0; k <= nr; k++) this.next[nrPages + k] = this.prev[nrPages + k] = nrPages + k;
  }

  /** The page that is on ring k for longest; only of a ring with members. */
  oldest(k: number): number {
    return this.prev[this.nrPages + k];
  }

  /** Makes `page` the newest of ring k; it leaves the ring that it was on. */
  move(page: number, k: number): void {
    const { next, prev, ring, length } = this;
    const from = ring[page];
    if (from !== 0) {
      next[prev[page]] = next[page];
      prev[next[page]] = prev[page];
      length[from]--;
    }
    ring[page] = k;
    length[k]++;
    const head = this.nrPages + k;
    const first = next[head];
    next[page] = first;
    prev[page] = head;
    prev[first] = page;
    next[head] = page;
  }

  /** Takes the oldest page of ring k off it. */
  drop(k: number): void {
    const page = this.oldest(k);
    this.next[this.prev[page]] = this.next[page];
    this.prev[this.next[page]] = this.prev[page];
    this.length[k]--;
    this.ring[page] = 0;
  }

  /** Throws KernelBug where a ring is broken. */
  check(): void {
    for (let k = 1; k < this.length.length; k++) {
      let n = 0;
      const head = this.nrPages + k;
      for (let p = this.next[head]; p !== head; p = this.next[p]) {
        assert(this.prev[this.next[p]] === p, `ring ${k}: prev of next of ${p} is ${p}`);
        assert(this.ring[p] === k && n < this.length[k], `ring ${k}: member ${p}`);
        n++;
      }
      assert(n === this.length[k], `ring ${k}: ${n} members, length ${this.length[k]}`);
    }
  }
}
