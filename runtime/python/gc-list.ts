// The collector's lists: rings of containers, threaded through the 16 bytes before each object.
//
//     gc -> | _gc_next            | bit 0: unreachable, while a collection sorts                 |
//           |                     | (incremental: bit 0: which old space; bit 1: unreachable)    |
//           | _gc_prev            | bit 0: finalized; bit 1: being collected                     |
//           |                     | bits 2…: the previous object, or while a collection runs,    |
//           |                     |          gc_refs, the references not yet accounted for       |
//     op -> | ob_refcnt | ob_type |
//
// A head of a list has the same two words. An object with _gc_next 0 is not tracked.
// Source: CPython 3.11 Include/internal/pycore_gc.h, Modules/gcmodule.c gc_list_*().

import type { Memory } from '../memory.ts';

export const FINALIZED = 1;
export const COLLECTING = 2;
/** Of the incremental collector: the object belongs to, or will go to, old space 1. */
export const OLD_SPACE = 1;
const FLAGS = 3;
const HI = 4294967296;

export class GcLists {
  readonly mem: Memory;
  /** The flag in _gc_next of an object that a collection has found unreachable so far. */
  readonly unreachable: number;
  /** The flags in _gc_next that stay with an object as it moves between lists. */
  readonly kept: number;

  constructor(mem: Memory, incremental = false) {
    this.mem = mem;
    this.unreachable = incremental ? 2 : 1;
    this.kept = incremental ? OLD_SPACE : 0;
  }

  /** The next in the ring, flags removed. */
  next(gc: number): number {
    const m = this.mem;
    const i = m.touch(gc, false);
    return m.words[i + 1] * HI + ((m.words[i] & ~FLAGS) >>> 0);
  }
  prev(gc: number): number {
    const m = this.mem;
    const i = m.touch(gc, false);
    return m.words[i + 3] * HI + ((m.words[i + 2] & ~FLAGS) >>> 0);
  }
  /** Sets the next and clears the unreachable flag. */
  setNext(gc: number, to: number): void {
    const m = this.mem;
    const i = m.touch(gc, true);
    m.words[i] = (to | 0) + (m.words[i] & this.kept);
    m.words[i + 1] = (to / HI) | 0;
  }
  /** Sets the previous one and keeps the flags. */
  setPrev(gc: number, to: number): void {
    const m = this.mem;
    const i = m.touch(gc, true);
    m.words[i + 2] = (to | 0) + (m.words[i + 2] & FLAGS);
    m.words[i + 3] = (to / HI) | 0;
  }
  flags(gc: number): number {
    return this.mem.load32(gc + 8) & FLAGS;
  }
  isTracked(gc: number): boolean {
    const m = this.mem;
    const i = m.touch(gc, false);
    return (m.words[i] | m.words[i + 1]) !== 0;
  }

  /** Makes a head the head of an empty list. */
  initHead(head: number): void {
    this.mem.store64(head, head);
    this.mem.store64(head + 8, head);
  }
  isEmpty(head: number): boolean {
    return this.mem.load64(head) === head;
  }
  append(gc: number, head: number): void {
    const m = this.mem;
    const w = m.words;
    const lo = gc | 0;
    const hi = (gc / HI) | 0;
    let epoch: number;
    let h: number;
    let last: number;
    let g: number;
    do {
      epoch = m.epoch;
      h = m.touch(head, true);
      last = m.touchWords(w[h + 2] & ~FLAGS, w[h + 3], true);
      g = m.touch(gc, true);
    } while (m.epoch !== epoch); // one page came in and another may have gone
    w[g + 2] = (w[h + 2] & ~FLAGS) | (w[g + 2] & FLAGS);
    w[g + 3] = w[h + 3];
    const { kept } = this;
    w[last] = lo + (w[last] & kept);
    w[last + 1] = hi;
    w[g] = (head | 0) + (w[g] & kept);
    w[g + 1] = (head / HI) | 0;
    w[h + 2] = lo;
    w[h + 3] = hi;
  }
  /** Takes a node out of its ring; the node's own words are left. */
  unlink(gc: number): void {
    const m = this.mem;
    const w = m.words;
    const g = m.touch(gc, false);
    const nextLo = w[g] & ~FLAGS;
    const prevLo = w[g + 2] & ~FLAGS;
    const prev = m.touchWords(prevLo, w[g + 3], true);
    w[prev] = nextLo + (w[prev] & this.kept);
    w[prev + 1] = w[g + 1];
    const next = m.touchWords(nextLo, w[g + 1], true);
    w[next + 2] = prevLo | (w[next + 2] & FLAGS);
    w[next + 3] = w[g + 3];
  }
  move(gc: number, head: number): void {
    this.unlink(gc);
    this.append(gc, head);
  }
  /** Moves all of one list to the end of another. */
  merge(from: number, to: number): void {
    if (!this.isEmpty(from)) {
      const toTail = this.prev(to);
      const first = this.next(from);
      const last = this.prev(from);
      this.setNext(toTail, first);
      this.setPrev(first, toTail);
      this.setNext(last, to);
      this.setPrev(to, last);
    }
    this.initHead(from);
  }
  size(head: number): number {
    let n = 0;
    for (let gc = this.next(head); gc !== head; gc = this.next(gc)) n++;
    return n;
  }
}
