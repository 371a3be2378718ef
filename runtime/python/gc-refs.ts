// References gathered from many objects, and where the collector's heads they lead to lie.
//
// A reference leads anywhere, so following it costs a miss of the host's caches; one after the
// other, as an object's traverse() finds them, that wait is most of a collection. Gathered first
// and followed in one short loop, the host waits for many at a time. What is done with each head
// still happens in the order in which the references were found.
//
//     lo, hi   the reference         head   index of the head's first word, or NO_HEAD
//
// Invariant: head[] holds while mem.moved is what it was when resolve() was done; isAtHand() tells.

import { type CachedMemory, ENTRY_MASK } from '../cached-memory.ts';
import type { Visitor } from './kinds.ts';
import { type ObjectCore, TYPE_CACHE_MASK } from './object.ts';

/** The object has no head: it is no container. */
export const NO_HEAD = -1;
const NOT_KNOWN = -2;

export class References implements Visitor {
  count = 0;
  lo = new Int32Array(1024);
  hi = new Int32Array(1024);
  head = new Int32Array(1024);
  /** So that reading ahead is not left out as useless. */
  warmed = 0;
  private epoch = 0;
  private readonly core: ObjectCore;
  private readonly mem: CachedMemory;

  constructor(core: ObjectCore) {
    this.core = core;
    this.mem = core.mem;
  }

  visit(lo: number, hi: number): void {
    if (this.count === this.lo.length) this.grow(1);
    this.lo[this.count] = lo;
    this.hi[this.count++] = hi;
  }

  visitRow(index: number, count: number, step: number): void {
    if (this.count + count > this.lo.length) this.grow(count);
    const { hi, lo } = this;
    const w = this.mem.words;
    let n = this.count;
    for (let at = index, end = index + count * step; at !== end; at += step) {
      lo[n] = w[at];
      hi[n] = w[at + 1];
      if ((w[at] | w[at + 1]) !== 0) n++;
    }
    this.count = n;
  }

  private grow(by: number): void {
    const room = Math.max(this.lo.length * 2, this.count + by);
    this.lo = grown(this.lo, room);
    this.hi = grown(this.hi, room);
    this.head = new Int32Array(room);
  }

  /** Whether head[] holds. */
  isAtHand(): boolean {
    return this.mem.moved[0] === this.epoch;
  }

  /** Fills head[]. Pages may have to come in for that, and others go: then nothing is at hand. */
  resolve(): void {
    this.mem.refresh();
    this.epoch = this.mem.moved[0];
    this.translate();
    this.warm();
    this.toHeads();
    if (this.mem.moved[0] !== this.epoch) this.epoch--;
  }

  // Three loops: the host overlaps more waits for memory the less there is that has to wait.

  /** Puts the index of each object's first word into head[], for those whose page is at hand. */
  private translate(): void {
    const { count, head, hi, lo } = this;
    const e = this.mem.entries;
    for (let n = 0; n < count; n++) {
      const at = lo[n];
      const k = (at >>> 10) & ENTRY_MASK;
      const offset = at & 0xfff;
      const isKnown = e[k + 1] === at - offset && e[k + 2] === hi[n];
      // Its head on the page before, or (2.7) its type on the next: not in one piece.
      const isWhole = offset >= 16 && offset <= 0xff0;
      head[n] = isKnown && isWhole ? e[k + 3] + (offset >>> 2) : NOT_KNOWN;
    }
  }

  /** Reads each object's type and head once. */
  private warm(): void {
    const { count, head } = this;
    const w = this.mem.words;
    let warmed = 0;
    for (let n = 0; n < count; n++) {
      const i = head[n];
      if (i !== NOT_KNOWN) warmed ^= w[i + 2] ^ w[i - 2];
    }
    this.warmed = warmed;
  }

  /** Makes it the head's, after a look at the type. */
  private toHeads(): void {
    const { core, count, head, hi, lo } = this;
    const { gcKinds, knownHi, knownKind, knownLo } = core;
    const w = this.mem.words;
    for (let n = 0; n < count; n++) {
      const i = head[n];
      if (i === NOT_KNOWN) {
        head[n] = this.headOf(lo[n], hi[n]);
        continue;
      }
      const type = w[i + 2];
      const t = (type >>> 5) & TYPE_CACHE_MASK;
      if (knownLo[t] !== type || knownHi[t] !== w[i + 3]) head[n] = this.headOf(lo[n], hi[n]);
      else head[n] = gcKinds[knownKind[t]] !== 0 ? i - 4 : NO_HEAD;
    }
  }

  /** The index of the head of the object at an address, or NO_HEAD. */
  headOf(lo: number, hi: number): number {
    if (this.core.gcKinds[this.core.kindAt(lo, hi)] === 0) return NO_HEAD;
    // A head is 16 bytes before its object; below 16 that borrows from the high word.
    const isBorrowed = lo >>> 0 < 16;
    return this.mem.touchWords((lo - 16) | 0, isBorrowed ? hi - 1 : hi, true);
  }
}

function grown(old: Int32Array, room: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(room);
  larger.set(old);
  return larger;
}
