// Python lists as the neutral interface has them: references to objects, whatever the items are.

import { type Kind, type ListType, recordOf, type Ref } from './heap.ts';
import type { PythonHeap } from './python-heap.ts';

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

  each(list: Ref, turn: (item: number, i: number) => void): void {
    this.heap.loop(this.length(list), (i) => {
      turn(this.get(list, i), i);
    });
  }
}
