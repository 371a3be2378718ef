// Linked lists of frames, threaded through the records that the frames have anyway.
//
// A list is a number. Its two ends lie in `head` and `tail`; the links lie in two words of each
// member's record. Where a link leaves the list it holds ~list (negative), so a member knows which
// list it ends:
//
//     head[l] = a     a: prev = ~l, next = b     b: prev = a, next = ~l     tail[l] = b
//
// The same code threads lists through any table of fixed-size records: mem_map (words 6 and 7 of
// struct page: LRU, buddy and per-CPU lists), or a small table with one record a block of frames,
// which lets the buddy allocator list millions of blocks without touching their mem_map.
//
// Invariants (check() of a list):
//   1. An empty list has head = tail = ~l; length counts the members.
//   2. next of each member's prev is the member, and the other way round.
// Source: Linux 6.18 include/linux/list.h.

import { KernelBug } from './errors.ts';
import { PAGE_NEXT, PAGE_RECORD, type MemMap } from './page.ts';

export class PageLists {
  /** First and last member of each list, or ~list. Hot paths read them directly. */
  head: Int32Array;
  tail: Int32Array;
  /** Members of each list. */
  length: Int32Array;
  /** Lists made so far. */
  count = 0;
  /** The table of records, words a record, and the word of `next`; `prev` follows it. */
  readonly words: Int32Array;
  readonly stride: number;
  readonly offset: number;

  constructor(words: Int32Array, stride: number, offset: number) {
    this.words = words;
    this.stride = stride;
    this.offset = offset;
    this.head = new Int32Array(64);
    this.tail = new Int32Array(64);
    this.length = new Int32Array(64);
  }

  /** Lists threaded through mem_map; a frame is on one of them at most. */
  static ofFrames(pages: MemMap): PageLists {
    return new PageLists(pages.words, PAGE_RECORD, PAGE_NEXT);
  }

  /** Makes `n` empty lists and returns the first; the others follow it. */
  make(n: number): number {
    const first = this.count;
    this.count += n;
    if (this.count > this.head.length) this.grow(Math.max(this.count, 2 * this.head.length));
    for (let list = first; list < this.count; list++) this.head[list] = this.tail[list] = ~list;
    return first;
  }

  /** The member after `id`, negative at the end. */
  next(id: number): number {
    return this.words[id * this.stride + this.offset];
  }

  /** The member before `id`, negative at the end. */
  prev(id: number): number {
    return this.words[id * this.stride + this.offset + 1];
  }

  /** Makes `id` the first member. It is on no list. */
  pushHead(list: number, id: number): void {
    const words = this.words;
    const at = id * this.stride + this.offset;
    const next = this.head[list];
    words[at] = next;
    words[at + 1] = ~list;
    if (next < 0) this.tail[list] = id;
    else words[next * this.stride + this.offset + 1] = id;
    this.head[list] = id;
    this.length[list]++;
  }

  /** Makes `id` the last member. It is on no list. */
  pushTail(list: number, id: number): void {
    const words = this.words;
    const at = id * this.stride + this.offset;
    const prev = this.tail[list];
    words[at] = ~list;
    words[at + 1] = prev;
    if (prev < 0) this.head[list] = id;
    else words[prev * this.stride + this.offset] = id;
    this.tail[list] = id;
    this.length[list]++;
  }

  /** Takes `id` off `list`; its own links are left as they were. */
  remove(list: number, id: number): void {
    const words = this.words;
    const at = id * this.stride + this.offset;
    const next = words[at];
    const prev = words[at + 1];
    if (prev < 0) this.head[list] = next;
    else words[prev * this.stride + this.offset] = next;
    if (next < 0) this.tail[list] = prev;
    else words[next * this.stride + this.offset + 1] = prev;
    this.length[list]--;
  }

  /** Moves a member to the head of another list, or of its own. */
  moveToHead(from: number, to: number, id: number): void {
    this.remove(from, id);
    this.pushHead(to, id);
  }

  /** Moves a member to the tail of another list, or of its own. */
  moveToTail(from: number, to: number, id: number): void {
    this.remove(from, id);
    this.pushTail(to, id);
  }

  /** Walks a list and throws KernelBug where it is broken. `visit` sees each member in order. */
  check(list: number, visit: (id: number) => void = () => undefined): void {
    let prev = ~list;
    let n = 0;
    for (let id = this.head[list]; id >= 0; id = this.next(id)) {
      if (this.prev(id) !== prev) broken(list, `prev of ${id} is ${this.prev(id)}`);
      if (n >= this.length[list]) broken(list, `more members than its length ${n}`);
      visit(id);
      prev = id;
      n++;
    }
    if (this.tail[list] !== prev) broken(list, `tail is ${this.tail[list]}, not ${prev}`);
    if (prev >= 0 && this.next(prev) !== ~list) broken(list, 'ends in another list');
    if (n !== this.length[list]) broken(list, `${n} members, length ${this.length[list]}`);
  }

  private grow(capacity: number): void {
    const copy = (old: Int32Array): Int32Array => {
      const grown = new Int32Array(capacity);
      grown.set(old);
      return grown;
    };
    this.head = copy(this.head);
    this.tail = copy(this.tail);
    this.length = copy(this.length);
  }
}

function broken(list: number, what: string): never {
  throw new KernelBug(`list ${list}: ${what}`);
}
