// Doubly linked lists of spans, linked through the spans themselves (Go up to 1.14: mSpanList).
//
//   list: first, last      span: next, prev, and which list it is on; on at most one at a time
//
// The links are the first two words of a span's record in the process's memory; the host keeps the
// same numbers in columns, so that a pointer needs no mapping back to a span's number.
// Source: Go 1.9 src/runtime/mheap.go (mSpanList).

import { assert } from '../../kernel/errors.ts';
import type { SpanTable } from './mspan.ts';
import type { Sys } from './sys.ts';

const R_NEXT = 0;
const R_PREV = 8;

/** The links of all spans. */
export class SpanLinks {
  next = new Int32Array(1024);
  prev = new Int32Array(1024);
  /** Number of the list that a span is on; 0 for none. */
  on = new Int32Array(1024);
  readonly sys: Sys;
  readonly spans: SpanTable;
  private lists = 0;

  constructor(sys: Sys, spans: SpanTable) {
    this.sys = sys;
    this.spans = spans;
  }

  newList(): SpanList {
    return new SpanList(this, ++this.lists);
  }

  /** Writes a span's links into its record. */
  store(s: number): void {
    const { mem } = this.sys;
    const { record } = this.spans;
    mem.store64(record[s] + R_NEXT, this.next[s] === 0 ? 0 : record[this.next[s]]);
    mem.store64(record[s] + R_PREV, this.prev[s] === 0 ? 0 : record[this.prev[s]]);
  }

  reach(s: number): void {
    if (s < this.next.length) return;
    const n = Math.max(this.next.length * 2, this.spans.start.length);
    this.next = grown(this.next, n);
    this.prev = grown(this.prev, n);
    this.on = grown(this.on, n);
  }
}

export class SpanList {
  first = 0;
  last = 0;
  private readonly links: SpanLinks;
  private readonly id: number;

  constructor(links: SpanLinks, id: number) {
    this.links = links;
    this.id = id;
  }

  has(s: number): boolean {
    return s < this.links.on.length && this.links.on[s] === this.id;
  }

  /** The span behind `s`; 0 at the end. */
  after(s: number): number {
    return this.links.next[s];
  }

  /** Puts a span first. */
  insert(s: number): void {
    this.put(s, 0, this.first);
  }

  /** Puts a span last. */
  insertBack(s: number): void {
    this.put(s, this.last, 0);
  }

  private put(s: number, prev: number, next: number): void {
    const { links } = this;
    links.reach(s);
    assert(links.on[s] === 0, 'mSpanList.insert: the span is in no list');
    links.on[s] = this.id;
    links.prev[s] = prev;
    links.next[s] = next;
    if (prev === 0) this.first = s;
    else links.next[prev] = s;
    if (next === 0) this.last = s;
    else links.prev[next] = s;
    links.store(s);
    if (prev !== 0) links.store(prev);
    if (next !== 0) links.store(next);
  }

  remove(s: number): void {
    const { links } = this;
    assert(this.has(s), 'mSpanList.remove: the span is in this list');
    const prev = links.prev[s];
    const next = links.next[s];
    if (prev === 0) this.first = next;
    else links.next[prev] = next;
    if (next === 0) this.last = prev;
    else links.prev[next] = prev;
    links.on[s] = links.prev[s] = links.next[s] = 0;
    links.store(s);
    if (prev !== 0) links.store(prev);
    if (next !== 0) links.store(next);
  }

  /** Both directions agree, in columns and in memory. @returns its length. */
  check(): number {
    const { links } = this;
    const { mem } = links.sys;
    let n = 0;
    let prev = 0;
    for (let s = this.first; s !== 0; prev = s, s = links.next[s], n++) {
      const r = links.spans.record[s];
      const before = prev === 0 ? 0 : links.spans.record[prev];
      assert(links.on[s] === this.id && links.prev[s] === prev, 'mSpanList: linked both ways');
      assert(mem.load64(r + R_PREV) === before, 'mSpanList: the records are linked likewise');
    }
    assert(this.last === prev, 'mSpanList: last is the last');
    return n;
  }
}

function grown(old: Int32Array, n: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(n);
  larger.set(old);
  return larger;
}
