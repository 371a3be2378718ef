// Free spans of 1 MiB and more, in a treap: a search tree by (pages, address of the span's record)
// that is a heap by random priority at the same time, and so balanced in expectation.
//
//   node, 48 bytes:  right | left | parent | pages | span | priority
//
// Taking the smallest span that is large enough (best fit, lowest record first) is one walk down.
// The nodes lie in the process's memory, from a fixalloc of their own; the root is the heap's.
//
// Invariants (check): in order by key; no node's priority is below its parent's.
// Source: Go 1.9 src/runtime/mgclarge.go.

import { assert } from '../../kernel/errors.ts';
import { FixAlloc, type PersistentAlloc } from './persistent.ts';
import { S_OTHER, type Sys } from './sys.ts';

const NODE_BYTES = 48;
const RIGHT = 0;
const LEFT = 8;
const PARENT = 16;
const PAGES = 24;
const SPAN = 32;
const PRIORITY = 40;

export class Treap {
  private root = 0;
  private random = 0x49f6428a; // one run is like the next
  private readonly sys: Sys;
  private readonly nodes: FixAlloc;
  /** Span number of each node, and the node of each span number. */
  private readonly spanOf = new Map<number, number>();
  private readonly nodeOf = new Map<number, number>();

  constructor(sys: Sys, persistent: PersistentAlloc) {
    this.sys = sys;
    this.nodes = new FixAlloc(sys, persistent, NODE_BYTES, S_OTHER);
  }

  get size(): number {
    return this.spanOf.size;
  }

  private get(node: number, field: number): number {
    return this.sys.mem.load64(node + field);
  }

  private set(node: number, field: number, value: number): void {
    this.sys.mem.store64(node + field, value);
  }

  /** A number from 0 to 2^31 - 1 (xorshift). */
  private fastrand(): number {
    let x = this.random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.random = x;
    return x & 0x7fffffff;
  }

  /** Adds span `s` of `pages` pages, whose record lies at `record`. */
  insert(s: number, pages: number, record: number): void {
    let parent = 0;
    let side = LEFT;
    for (let t = this.root; t !== 0; t = this.get(t, side)) {
      parent = t;
      const p = this.get(t, PAGES);
      side = p < pages || (p === pages && this.get(t, SPAN) < record) ? RIGHT : LEFT;
    }
    const node = this.nodes.alloc();
    for (let field = 0; field < NODE_BYTES; field += 8) this.set(node, field, 0);
    this.set(node, PARENT, parent);
    this.set(node, PAGES, pages);
    this.set(node, SPAN, record);
    this.set(node, PRIORITY, this.fastrand());
    if (parent === 0) this.root = node;
    else this.set(parent, side, node);
    this.spanOf.set(node, s);
    this.nodeOf.set(s, node);
    for (let up = parent; up !== 0; up = this.get(node, PARENT)) {
      if (this.get(up, PRIORITY) <= this.get(node, PRIORITY)) break;
      this.rotateUp(node);
    }
  }

  /** Makes a node its parent's parent. */
  private rotateUp(node: number): void {
    const parent = this.get(node, PARENT);
    const grand = this.get(parent, PARENT);
    const fromLeft = this.get(parent, LEFT) === node;
    const inner = this.get(node, fromLeft ? RIGHT : LEFT);
    this.set(parent, fromLeft ? LEFT : RIGHT, inner);
    if (inner !== 0) this.set(inner, PARENT, parent);
    this.set(node, fromLeft ? RIGHT : LEFT, parent);
    this.set(parent, PARENT, node);
    this.replace(grand, parent, node);
  }

  private replace(grand: number, old: number, node: number): void {
    if (node !== 0) this.set(node, PARENT, grand);
    if (grand === 0) this.root = node;
    else this.set(grand, this.get(grand, LEFT) === old ? LEFT : RIGHT, node);
  }

  /** The smallest span of at least `pages` pages, taken out; 0 when there is none. */
  take(pages: number): number {
    let best = 0;
    for (let t = this.root; t !== 0;) {
      const fits = this.get(t, PAGES) >= pages;
      if (fits) best = t;
      t = this.get(t, fits ? LEFT : RIGHT);
    }
    if (best === 0) return 0;
    const s = this.spanOf.get(best) ?? 0;
    this.remove(s);
    return s;
  }

  remove(s: number): void {
    const node = this.nodeOf.get(s);
    assert(node !== undefined, 'treap: the span is in it');
    for (;;) {
      const left = this.get(node, LEFT);
      const right = this.get(node, RIGHT);
      if (left === 0 && right === 0) break;
      const byLeft =
        right === 0 || (left !== 0 && this.get(left, PRIORITY) < this.get(right, PRIORITY));
      this.rotateUp(byLeft ? left : right);
    }
    this.replace(this.get(node, PARENT), node, 0);
    this.nodes.release(node);
    this.spanOf.delete(node);
    this.nodeOf.delete(s);
  }

  /** Calls visit with each span, in order of size. */
  forEach(visit: (s: number) => void): void {
    const walk = (t: number): void => {
      if (t === 0) return;
      walk(this.get(t, LEFT));
      visit(this.spanOf.get(t) ?? 0);
      walk(this.get(t, RIGHT));
    };
    walk(this.root);
  }

  check(): void {
    let n = 0;
    let before = [0, 0];
    const walk = (t: number, parent: number): void => {
      if (t === 0) return;
      assert(this.get(t, PARENT) === parent, 'treap: parents are linked');
      const heap = parent === 0 || this.get(parent, PRIORITY) <= this.get(t, PRIORITY);
      assert(heap, 'treap: priorities make a heap');
      walk(this.get(t, LEFT), t);
      const key = [this.get(t, PAGES), this.get(t, SPAN)];
      const later = key[0] > before[0] || (key[0] === before[0] && key[1] > before[1]);
      assert(later, 'treap: keys are in order');
      before = key;
      n++;
      walk(this.get(t, RIGHT), t);
    };
    walk(this.root, 0);
    assert(n === this.spanOf.size, 'treap: each span once');
  }
}
