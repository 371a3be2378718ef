// Python dicts as the neutral interface has them.

import type { Kind, MapType, Ref } from './heap.ts';
import type { PythonHeap } from './python-heap.ts';

export class PythonDict implements MapType {
  readonly type = 'map';
  readonly key: Kind;
  readonly of: Kind;
  private readonly heap: PythonHeap;

  constructor(heap: PythonHeap, key: Kind, of: Kind) {
    this.heap = heap;
    this.key = key;
    this.of = of;
  }

  make(): Ref {
    return this.heap.hold(this.heap.py.dicts.make());
  }
  size(map: Ref): number {
    return this.heap.py.dicts.length(map);
  }
  has(map: Ref, key: number): boolean {
    return this.find(map, key) > 0;
  }
  get(map: Ref, key: number): number {
    const op = this.find(map, key);
    return op > 0 ? this.heap.unbox(this.of, op) : 0;
  }

  private find(map: Ref, key: number): number {
    const { heap } = this;
    heap.clock.access();
    const k = heap.box(this.key, key);
    const op = heap.py.dicts.get(map, k);
    heap.py.core.decref(k);
    return op;
  }

  set(map: Ref, key: number, value: number): void {
    const { heap } = this;
    const { core, dicts } = heap.py;
    heap.clock.access();
    const k = heap.box(this.key, key);
    const v = heap.box(this.of, value);
    dicts.set(map, k, v);
    core.decref(k);
    core.decref(v);
  }

  delete(map: Ref, key: number): void {
    const { heap } = this;
    const k = heap.box(this.key, key);
    heap.py.dicts.delete(map, k);
    heap.py.core.decref(k);
  }

  each(map: Ref, turn: (key: number, value: number) => void): void {
    const { heap } = this;
    heap.py.dicts.forEach(map, (key, value) => {
      heap.scope(() => {
        turn(heap.unbox(this.key, key), heap.unbox(this.of, value));
      });
    });
  }
}
