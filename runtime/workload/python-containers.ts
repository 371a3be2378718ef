// Python tuples, sets and deques as the neutral interface has them.

import type { DequeType, Kind, Ref, SetType, TupleType } from './heap.ts';
import type { PythonHeap } from './python-heap.ts';

export class PythonTuple implements TupleType {
  readonly type = 'tuple';
  readonly kinds: readonly Kind[];
  private readonly heap: PythonHeap;

  constructor(heap: PythonHeap, kinds: readonly Kind[]) {
    this.heap = heap;
    this.kinds = kinds;
  }

  make(...given: number[]): Ref {
    const { heap, kinds } = this;
    const { tuples } = heap.py;
    heap.clock.allocate();
    // The items are on the evaluation stack before the tuple is made.
    const items = kinds.map((kind, i) => heap.box(kind, given[i] ?? 0));
    const tuple = heap.hold(tuples.make(kinds.length));
    items.forEach((item, i) => {
      tuples.setItem(tuple, i, item);
    });
    tuples.made(tuple);
    return tuple;
  }

  get(tuple: Ref, i: number): number {
    const { heap } = this;
    heap.clock.access();
    return heap.unbox(this.kinds[i] ?? 'int', heap.py.tuples.item(tuple, i));
  }
}

export class PythonSet implements SetType {
  readonly key: Kind;
  private readonly heap: PythonHeap;

  constructor(heap: PythonHeap, key: Kind) {
    this.heap = heap;
    this.key = key;
  }

  make(): Ref {
    this.heap.clock.allocate();
    return this.heap.hold(this.heap.py.sets.make());
  }
  size(set: Ref): number {
    return this.heap.py.sets.length(set);
  }

  private with<T>(key: number, act: (op: number) => T): T {
    const { heap } = this;
    heap.clock.access();
    const op = heap.box(this.key, key);
    const result = act(op);
    heap.py.core.decref(op);
    return result;
  }
  has(set: Ref, key: number): boolean {
    return this.with(key, (op) => this.heap.py.sets.has(set, op));
  }
  add(set: Ref, key: number): void {
    this.with(key, (op) => this.heap.py.sets.add(set, op));
  }
  delete(set: Ref, key: number): void {
    this.with(key, (op) => this.heap.py.sets.discard(set, op));
  }

  each(set: Ref, turn: (key: number) => void): void {
    const { heap } = this;
    heap.py.sets.forEach(set, (op) => {
      heap.scope(() => {
        heap.clock.access();
        turn(heap.unbox(this.key, op));
      });
    });
  }
}

export class PythonDeque implements DequeType {
  readonly of: Kind;
  private readonly heap: PythonHeap;

  constructor(heap: PythonHeap, of: Kind) {
    this.heap = heap;
    this.of = of;
  }

  make(): Ref {
    this.heap.clock.allocate();
    return this.heap.hold(this.heap.deques.make());
  }
  length(deque: Ref): number {
    return this.heap.deques.length(deque);
  }

  push(deque: Ref, value: number): void {
    const { heap } = this;
    heap.clock.access();
    const op = heap.box(this.of, value);
    heap.deques.append(deque, op);
    heap.py.core.decref(op);
  }

  shift(deque: Ref): number {
    const { heap } = this;
    heap.clock.access();
    const op = heap.deques.popLeft(deque);
    const value = heap.unbox(this.of, op);
    heap.py.core.decref(op);
    return value;
  }
}
