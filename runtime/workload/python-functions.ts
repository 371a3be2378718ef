// Python closures and generators.
//
//   closure     function 136 bytes → tuple → a cell of 24 bytes for each captured variable, each
//               with the collector's head before it
//   generator   200 bytes with its frame, in which its variables are
//
// They are instances with slots: as large, collected alike, and holding the same references.
// Source: CPython 3.11 Include/cpython/funcobject.h, genobject.h; sys.getsizeof() of each. Not
// modelled: the code object, globals and name, which all functions made by one `def` share.

import type { PyClass } from '../python/classes.ts';
import type { ClosureType, Field, Kind, Ref, StreamType } from './heap.ts';
import { PythonFrame } from './python-frames.ts';
import type { PythonHeap } from './python-heap.ts';

const FUNCTION_SLOTS = 15;
const GENERATOR_SLOTS = 23;

function slotsClass(
  heap: PythonHeap,
  name: string,
  count: number,
  finalizer: ((self: number) => void) | null = null,
): PyClass {
  const slots = Array.from({ length: count }, (_, i) => `s${String(i)}`);
  return heap.py.instances.makeClass({
    name,
    slots,
    weakref: false,
    finalizer,
  });
}

export class PythonFunctions {
  private readonly heap: PythonHeap;
  private function: PyClass | undefined;
  private cell: PyClass | undefined;
  private methodFunction = 0;

  constructor(heap: PythonHeap) {
    this.heap = heap;
  }

  /** self.method: an object of 64 bytes that holds `self` and the class's function. */
  method(self: Ref): Ref {
    const { heap } = this;
    const { functions, scalars } = heap.py;
    heap.clock.allocate();
    if (this.methodFunction === 0) {
      const code = functions.makeCode({
        locals: 2,
        stack: 4,
        instructions: 64,
      });
      this.methodFunction = functions.make(code, scalars.none, heap.literal('method'));
    }
    return heap.hold(functions.makeMethod(this.methodFunction, self));
  }

  closure(captured: Readonly<Record<string, Kind>>): ClosureType {
    const { heap } = this;
    this.function ??= slotsClass(heap, 'function', FUNCTION_SLOTS);
    this.cell ??= slotsClass(heap, 'cell', 1);
    const [fn, cell] = [this.function, this.cell];
    const { instances, tuples, core } = heap.py;
    const slot = heap.py.scalars.str('s0');
    const kinds = Object.values(captured);
    const cellOf = (closure: Ref, i: number): number =>
      tuples.item(instances.getAttribute(closure, slot), i);
    const field = ([name, kind]: [string, Kind], i: number): [string, Field] => {
      const get = (closure: Ref): number => {
        heap.clock.access();
        return heap.unbox(kind, instances.getAttribute(cellOf(closure, i), slot));
      };
      const set = (closure: Ref, value: number): void => {
        heap.clock.access();
        const op = heap.box(kind, value);
        instances.setAttribute(cellOf(closure, i), slot, op);
        core.decref(op);
      };
      return [name, { name, kind, get, set }];
    };
    const make = (...given: number[]): Ref => {
      heap.clock.allocate();
      const cells = kinds.map((kind, i) => {
        const op = heap.box(kind, given[i] ?? 0);
        const made = instances.make(cell);
        instances.setAttribute(made, slot, op);
        core.decref(op);
        return made;
      });
      const tuple = tuples.make(kinds.length);
      cells.forEach((made, i) => {
        tuples.setItem(tuple, i, made);
      });
      const closure = heap.hold(instances.make(fn));
      instances.setAttribute(closure, slot, tuple);
      core.decref(tuple);
      return closure;
    };
    return {
      captured: Object.fromEntries(Object.entries(captured).map(field)),
      make,
    };
  }
}

interface Generator {
  readonly frame: PythonFrame;
  readonly body: () => () => number | undefined;
  next: (() => number | undefined) | null;
}

export class PythonGenerators {
  private readonly heap: PythonHeap;
  private readonly live = new Map<number, Generator>();
  private generator: PyClass | undefined;

  constructor(heap: PythonHeap) {
    this.heap = heap;
  }

  stream(of: Kind): StreamType {
    const { heap } = this;
    this.generator ??= slotsClass(heap, 'generator', GENERATOR_SLOTS, (op) => {
      this.end(op);
    });
    const cls = this.generator;
    const make = (body: Generator['body']): Ref => {
      heap.clock.allocate();
      const op = heap.hold(heap.py.instances.make(cls));
      this.live.set(op, {
        frame: new PythonFrame(heap.py.core),
        body,
        next: null,
      });
      return op;
    };
    const next = (stream: Ref): number | undefined => this.next(of, stream);
    const each = (stream: Ref, turn: (value: number) => void): void => {
      for (let more = true; more;) {
        heap.scope(() => {
          const value = next(stream);
          if (value === undefined) more = false;
          else turn(value);
        });
      }
    };
    return { of, make, next, each };
  }

  private next(of: Kind, stream: Ref): number | undefined {
    const { heap } = this;
    const g = this.live.get(stream);
    if (g === undefined) return undefined;
    heap.clock.access();
    const op = heap.inFrame(g.frame, () => {
      g.next ??= g.body();
      const { next } = g;
      return heap.scope(() => {
        const value = next();
        return value === undefined ? 0 : heap.box(of, value);
      });
    });
    if (op === 0) {
      this.end(stream);
      return undefined;
    }
    const value = heap.unbox(of, op);
    heap.py.core.decref(op);
    return value;
  }

  forEachRoot(visit: (root: string, object: number) => void): void {
    for (const { frame } of this.live.values()) frame.forEachRoot('a generator', visit);
  }

  /** The frame gives its variables up. */
  private end(stream: Ref): void {
    const g = this.live.get(stream);
    if (g === undefined) return;
    this.live.delete(stream);
    g.frame.release(0);
  }
}
