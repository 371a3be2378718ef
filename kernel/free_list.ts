// Lists of free blocks: circles through a table of records, each closed by an anchor.
//
// An anchor is a record behind those of the members. Members and anchor link to each other, so
// neither end of a list is a special case:
//
//     anchor: next = a, prev = b     a: next = b, prev = anchor     b: next = anchor, prev = a
//
// The table is mem_map (words 6 and 7 of a block's first frame), or one of two words a block, which
// lists the blocks of the largest order without touching their mem_map.
// Invariant (check()): next of each member's prev is the member, and the other way round.
// Source: Linux 6.18 include/linux/mmzone.h struct free_area, include/linux/list.h.

import { assert } from './errors.ts';

export class FreeLists {
  /** First anchor; all ids below are members. */
  readonly firstAnchor: number;
  private readonly words: Int32Array;
  private readonly shift: number;
  private readonly offset: number;

  /**
   * @param words the table; a record has 2^shift words, its links are at `offset` and the next.
   * @param nrAnchors lists, all empty; their anchors are firstAnchor, firstAnchor + 1, ...
   */
  constructor(
    words: Int32Array,
    shift: number,
    offset: number,
    firstAnchor: number,
    nrAnchors: number,
  ) {
    this.words = words;
    this.shift = shift;
    this.offset = offset;
    this.firstAnchor = firstAnchor;
    for (let anchor = firstAnchor; anchor < firstAnchor + nrAnchors; anchor++) {
      const at = this.at(anchor);
      words[at] = words[at + 1] = anchor;
    }
  }

  /** Members of a list. O(members). */
  length(anchor: number): number {
    let n = 0;
    for (let id = this.next(anchor); id >= 0; id = this.next(id)) n++;
    return n;
  }

  /** The first member, or the one after a member; -1 at the end. */
  next(id: number): number {
    const next = this.words[this.at(id)];
    return next < this.firstAnchor ? next : -1;
  }

  /** Adds a block that is on no list, as the first member or the last. */
  add(anchor: number, id: number, toTail: boolean): void {
    const { words } = this;
    const end = this.at(anchor);
    const prev = toTail ? words[end + 1] : anchor;
    const before = this.at(prev);
    const next = words[before];
    const at = this.at(id);
    words[at] = next;
    words[at + 1] = prev;
    words[before] = id;
    words[this.at(next) + 1] = id;
  }

  /** Appends first, first + 1, ... first + count - 1 (count >= 1), none of which is on a list. */
  addRun(anchor: number, first: number, count: number): void {
    const { words } = this;
    for (let id = first; id < first + count; id++) {
      const at = this.at(id);
      words[at] = id + 1;
      words[at + 1] = id - 1;
    }
    const last = first + count - 1;
    const end = this.at(anchor);
    const prev = words[end + 1];
    words[this.at(first) + 1] = prev;
    words[this.at(last)] = anchor;
    words[this.at(prev)] = first;
    words[end + 1] = last;
  }

  /** Takes a member off its list; its own links are left as they were. */
  remove(id: number): void {
    const { words } = this;
    const at = this.at(id);
    const next = words[at];
    const prev = words[at + 1];
    words[this.at(prev)] = next;
    words[this.at(next) + 1] = prev;
  }

  /** Walks a list and throws KernelBug where it is broken; no text is made before. `visit` sees each member in order. */
  check(anchor: number, visit: (id: number) => void): void {
    const { words } = this;
    let prev = anchor;
    // a circle that leaves the anchor out has a member with two predecessors
    for (let id = this.next(anchor); id >= 0; id = this.next(id)) {
      const back = words[this.at(id) + 1];
      if (back !== prev)
        assert(false, `free list ${anchor - this.firstAnchor}: prev of ${id} is ${back}`);
      visit(id);
      prev = id;
    }
    const end = words[this.at(prev)];
    if (end !== anchor) assert(false, `free list ${anchor - this.firstAnchor}: ends in ${end}`);
    const tail = words[this.at(anchor) + 1];
    if (tail !== prev)
      assert(false, `free list ${anchor - this.firstAnchor}: tail is ${tail}, not ${prev}`);
  }

  /** Index of a record's links; an anchor's is up to 2^32. */
  private at(id: number): number {
    return ((id << this.shift) >>> 0) + this.offset;
  }
}
