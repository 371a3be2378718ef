// Python lists as the neutral interface has them: references to objects, whatever the items are.

import { type Kind, type ListType, recordOf, type Ref, sortedOrder } from './heap.ts';
import type { PythonHeap } from './python-heap.ts';

/** Lists shorter than this are sorted within the C stack. */
const SMALL_SORT = 128;

export class PythonList implements ListType {
  readonly type = 'list';
  readonly of: Kind;
  private readonly heap: PythonHeap;

  constructor(heap: PythonHeap, of: Kind) {
    this.heap = heap;
    this.of = of;
  }

  /** [], whatever is to come: a list does not say. */
  make(): Ref {
    return this.heap.hold(this.heap.py.lists.make(0));
  }

  /** [0] * length, [None] * length */
  filled(length: number): Ref {
    const { heap } = this;
    const list = heap.py.lists.make(length);
    for (let i = 0; i < length; i++) heap.py.lists.initItem(list, i, heap.box(this.of, 0));
    return heap.hold(list);
  }

  length(list: Ref): number {
    return this.heap.py.lists.length(list);
  }
  get(list: Ref, i: number): number {
    this.heap.clock.access();
    return this.heap.unbox(this.of, this.heap.py.lists.item(list, i));
  }

  set(list: Ref, i: number, value: number): void {
    const { heap } = this;
    heap.clock.access();
    const op = heap.box(this.of, value);
    heap.py.lists.setItem(list, i, op);
    heap.py.core.decref(op);
  }

  push(list: Ref, value: number): void {
    const { heap } = this;
    heap.clock.access();
    const op = heap.box(this.of, value);
    heap.py.lists.append(list, op);
    heap.py.core.decref(op);
  }

  add(list: Ref, ...given: number[]): void {
    const { of, heap } = this;
    heap.scope(() => {
      this.push(list, recordOf(of).make(...given));
    });
  }

  pop(list: Ref): number {
    const { heap } = this;
    const op = heap.py.lists.pop(list);
    const value = heap.unbox(this.of, op);
    heap.py.core.decref(op);
    return value;
  }

  slice(list: Ref, from: number, to: number): Ref {
    const { lists, core } = this.heap.py;
    this.heap.clock.allocate();
    const copy = lists.make(to - from);
    for (let i = from; i < to; i++) {
      const op = lists.item(list, i);
      core.incref(op);
      lists.initItem(copy, i - from, op);
    }
    return this.heap.hold(copy);
  }
  copy(list: Ref): Ref {
    return this.slice(list, 0, this.length(list));
  }

  extend(list: Ref, other: Ref): void {
    const { lists, core } = this.heap.py;
    const n = lists.length(other);
    const at = lists.extendBy(list, n);
    for (let i = 0; i < n; i++) {
      const op = lists.item(other, i);
      core.incref(op);
      lists.initItem(list, at + i, op);
    }
  }

  insert(list: Ref, i: number, value: number): void {
    const { heap } = this;
    heap.clock.access();
    const op = heap.box(this.of, value);
    heap.py.lists.insert(list, i, op);
    heap.py.core.decref(op);
  }
  remove(list: Ref, i: number): void {
    this.heap.clock.access();
    this.heap.py.lists.deleteItem(list, i);
  }

  removeRange(list: Ref, from: number, to: number): void {
    this.heap.clock.access();
    this.heap.py.lists.deleteRange(list, from, to);
  }

  /**
   * list.sort(key=…): an array of the keys, and room for the smaller of two runs that are merged,
   * keys and items, which grows as runs do. Keys are taken for objects that exist already.
   * Source: CPython 3.11 Objects/listobject.c list_sort_impl(), merge_getmem().
   */
  sort(list: Ref, key: (item: number) => number | string): void {
    const { heap } = this;
    const { lists, core } = heap.py;
    const n = this.length(list);
    const keys = Array.from({ length: n }, (_, i) => heap.scope(() => key(this.get(list, i))));
    const table = n < SMALL_SORT ? 0 : core.malloc(8 * n);
    if (table !== 0) core.mem.zero(table, 8 * n);
    let room = 0;
    for (let run = SMALL_SORT; run <= n / 2; run *= 2) {
      if (room !== 0) core.free(room);
      const bytes = 16 * Math.floor(n / 2 ** Math.floor(Math.log2(n / run)));
      room = core.malloc(bytes);
      core.mem.zero(room, bytes);
    }
    const items = Array.from({ length: n }, (_, i) => lists.item(list, i));
    sortedOrder(keys).forEach((from, i) => {
      lists.initItem(list, i, items[from] ?? 0);
    });
    if (room !== 0) core.free(room);
    if (table !== 0) core.free(table);
  }

  each(list: Ref, turn: (item: number, i: number) => void): void {
    this.heap.loop(this.length(list), (i) => {
      turn(this.get(list, i), i);
    });
  }
}
