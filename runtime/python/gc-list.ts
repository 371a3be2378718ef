// The collector's lists: rings of containers, threaded through the 16 bytes before each object.
//
//     gc -> | _gc_next            | bit 0: unreachable, while a collection sorts                 |
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
export const UNREACHABLE = 1;
const FLAGS = 3;
const HI = 4294967296;

export class GcLists {
  readonly mem: Memory;
  constructor(mem: Memory) {
    this.mem = mem;
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
    m.words[i] = to | 0;
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
    const last = this.prev(head);
    this.setPrev(gc, last);
    this.setNext(last, gc);
    this.setNext(gc, head);
    this.setPrev(head, gc);
  }
  /** Takes a node out of its ring; the node's own words are left. */
  unlink(gc: number): void {
    const prev = this.prev(gc);
    const next = this.next(gc);
    this.setNext(prev, next);
    this.setPrev(next, prev);
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
