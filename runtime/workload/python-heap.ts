// The Python form of the neutral heap: every value an object of CPython's, counted and collected.
//
// A local variable holds a reference of its own; a scope gives up its variables at the end, first
// to last, as a function's frame does. Integers that come out of a computation are made when they
// are stored and freed when they are replaced; the short-lived ones of an expression in between are
// not.

import { ByteArrays } from '../python/bytearrayobject.ts';
import { Deques } from '../python/dequeobject.ts';
import type { PythonRuntime } from '../python/runtime.ts';
import {
  type Builder,
  type ByteQueue,
  type ClosureType,
  type DequeType,
  type Field,
  type Heap,
  isFloat,
  isInt,
  type Kind,
  type ListType,
  type Local,
  type MapType,
  type RecordOptions,
  type RecordType,
  type Ref,
  type SetType,
  type StreamType,
  type TupleType,
} from './heap.ts';
import { PythonClock } from './python-clock.ts';
import { PythonDict } from './python-dict.ts';
import { PythonDeque, PythonSet, PythonTuple } from './python-containers.ts';
import { type PythonFrame, PythonFrames } from './python-frames.ts';
import { PythonFunctions, PythonGenerators } from './python-functions.ts';
import { PythonList } from './python-list.ts';
import { importModule } from './python-start.ts';

/** Which variants of a run act at a mark of the program. */
export interface PythonOptions {
  readonly gc?: 'disable' | 'freeze' | undefined;
}

export class PythonHeap implements Heap {
  readonly runtime = 'python';
  readonly py: PythonRuntime;
  readonly clock = new PythonClock();
  readonly options: PythonOptions;
  readonly byteArrays: ByteArrays;
  readonly deques: Deques;
  readonly frames: PythonFrames;
  readonly printed: string[] = [];
  private readonly functions: PythonFunctions;
  private readonly generators: PythonGenerators;
  private readonly literals = new Map<string, Ref>();
  private readonly imported = new Set<string>();

  constructor(py: PythonRuntime, options: PythonOptions = {}) {
    this.py = py;
    this.options = options;
    this.frames = new PythonFrames(py.core);
    this.byteArrays = new ByteArrays(py.core);
    this.deques = new Deques(py.core);
    this.functions = new PythonFunctions(this);
    this.generators = new PythonGenerators(this);
    if (options.gc === 'disable') py.gc.enabled = false;
  }

  // values -------------------------------------------------------------------------------------

  /** A reference to a value that the caller owns: a new object, or one more reference. */
  box(kind: Kind, value: number): number {
    const { scalars, core } = this.py;
    if (isInt(kind)) return scalars.int(value);
    if (isFloat(kind)) return scalars.float(value);
    const op = value === 0 ? scalars.none : value;
    core.incref(op);
    return op;
  }

  /** What the program gets for an object that something else holds. */
  unbox(kind: Kind, op: number): number {
    const { scalars, core } = this.py;
    if (isInt(kind)) return scalars.intValue(op);
    if (isFloat(kind)) return scalars.floatValue(op);
    if (op === scalars.none) return 0;
    core.incref(op);
    return this.hold(op);
  }

  /** A local variable takes a reference over. */
  hold(op: number): number {
    return this.frames.running.hold(op);
  }

  private release(mark: number): void {
    this.frames.running.release(mark);
    this.py.gc.runRequested(); // between bytecodes, where a version puts collections off
  }

  scope<T>(body: () => T): T {
    const mark = this.frames.running.top;
    const result = body();
    this.release(mark);
    return result;
  }

  call(body: () => Ref): Ref {
    const mark = this.frames.running.top;
    const ref = body();
    if (ref !== 0) this.py.core.incref(ref);
    this.release(mark);
    return ref === 0 ? 0 : this.hold(ref);
  }

  loop(n: number, turn: (i: number) => void): void {
    const mark = this.frames.running.top;
    for (let i = 0; i < n; i++) {
      turn(i);
      this.release(mark);
    }
  }

  drop(ref: Ref): void {
    this.frames.running.drop(ref);
  }

  local(kind: Kind, value = 0): Local {
    const frame = this.frames.running;
    const at = frame.top;
    this.hold(this.box(kind, value));
    const set = (now: number): void => {
      frame.assign(at, this.box(kind, now));
    };
    return { get: () => this.unbox(kind, frame.at(at)), set };
  }

  /** Visits what the program's variables and literals hold, each with its name. */
  readonly namedRoots = (visit: (root: string, object: number) => void): void => {
    this.frames.forEachRoot(visit);
    this.generators.forEachRoot(visit);
    for (const [text, op] of this.literals)
      visit(`the literal ${JSON.stringify(text.slice(0, 40))}`, op);
  };

  /** Runs something in another frame: a generator's. */
  inFrame<T>(frame: PythonFrame, body: () => T): T {
    const before = this.frames.running;
    this.frames.running = frame;
    try {
      return body();
    } finally {
      this.frames.running = before;
    }
  }

  mark(name: string): void {
    if (name === 'built' && this.options.gc === 'freeze') this.py.gc.freeze();
  }

  // types --------------------------------------------------------------------------------------

  record<const F extends Readonly<Record<string, Kind>>>(
    name: string,
    kinds: F,
    options: RecordOptions = {},
  ): RecordType<F> {
    const { instances } = this.py;
    const slots = options.slots === true ? Object.keys(kinds) : null;
    const cls = instances.makeClass({
      name,
      slots,
      weakref: slots === null,
      finalizer: null,
    });
    const fields = Object.entries(kinds).map(([n, kind]) => this.field(n, kind));
    const make = (...given: number[]): Ref => {
      this.clock.allocate();
      const op = this.hold(instances.make(cls));
      for (let i = 0; i < fields.length; i++) fields[i].set(op, given[i] ?? 0);
      return op;
    };
    const byName = Object.fromEntries(fields.map((f) => [f.name, f]));
    return {
      type: 'record',
      name,
      fields: byName as RecordType<F>['fields'],
      make,
    };
  }

  private field(name: string, kind: Kind): Field {
    const { instances, core } = this.py;
    const attribute = this.literal(name);
    const get = (record: Ref): number => {
      this.clock.access();
      return this.unbox(kind, instances.getAttribute(record, attribute));
    };
    const set = (record: Ref, value: number): void => {
      this.clock.access();
      const op = this.box(kind, value);
      instances.setAttribute(record, attribute, op);
      core.decref(op);
    };
    return { name, kind, get, set };
  }

  list(of: Kind): ListType {
    return new PythonList(this, of);
  }
  map(key: Kind, of: Kind): MapType {
    return new PythonDict(this, key, of);
  }
  set(key: Kind): SetType {
    return new PythonSet(this, key);
  }
  tuple(...kinds: Kind[]): TupleType {
    return new PythonTuple(this, kinds);
  }
  deque(of: Kind): DequeType {
    return new PythonDeque(this, of);
  }
  closure<F extends string>(captured: Readonly<Record<F, Kind>>): ClosureType<F> {
    return this.functions.closure(captured);
  }
  stream(of: Kind): StreamType {
    return this.generators.stream(of);
  }

  method(self: Ref): Ref {
    return this.functions.method(self);
  }
  boxed(kind: Kind, value: number): Ref {
    return this.hold(this.box(kind, value));
  }
  unboxed(kind: Kind, ref: Ref): number {
    return this.unbox(kind, ref);
  }

  imports(name: string): void {
    if (this.imported.has(name)) return;
    this.imported.add(name);
    importModule(this.py, name);
  }

  // strings ------------------------------------------------------------------------------------

  /** A constant of the program, which lives for ever. */
  literal(text: string): Ref {
    let op = this.literals.get(text);
    if (op === undefined) {
      op = this.py.scalars.str(text);
      this.literals.set(text, op);
    }
    return op;
  }

  private newString(text: string): Ref {
    this.clock.allocate();
    return this.hold(this.py.scalars.str(text));
  }

  string(text: string): Ref {
    const op = this.literal(text);
    this.py.core.incref(op);
    return this.hold(op);
  }
  concat(a: Ref, b: Ref): Ref {
    return this.newString(this.text(a) + this.text(b));
  }
  digits(n: number): Ref {
    return this.newString(String(n));
  }
  slice(s: Ref, from: number, to: number): Ref {
    return this.newString(this.text(s).slice(from, to));
  }

  join(type: ListType, list: Ref, separator: string): Ref {
    const parts: string[] = [];
    type.each(list, (s) => {
      parts.push(this.text(s));
    });
    return this.newString(parts.join(separator));
  }

  /** str.split(): a list with room for twelve, and a new string for each word. */
  words(type: ListType, text: Ref): Ref {
    return this.parted(type, this.text(text).match(/\S+/g) ?? []);
  }

  split(type: ListType, text: Ref, separator: string): Ref {
    return this.parted(type, this.text(text).split(separator));
  }

  private parted(type: ListType, parts: readonly string[]): Ref {
    const list = type.make();
    for (const part of parts) {
      this.scope(() => {
        type.push(list, this.newString(part));
      });
    }
    return list;
  }

  computed(text: string): Ref {
    return this.newString(text);
  }

  builder(): Builder {
    const pieces = this.list('string');
    const list = pieces.make();
    return {
      write: (s) => {
        pieces.push(list, s);
      },
      done: () => this.join(pieces, list, ''),
    };
  }

  size(s: Ref): number {
    return this.py.core.mem.load64(s + 16);
  }
  text(s: Ref): string {
    return this.py.scalars.text(s);
  }

  buffer(length: number): Ref {
    this.clock.allocate();
    return this.hold(this.py.scalars.bytes(length));
  }
  bytes(length: number): Ref {
    this.clock.allocate();
    return this.hold(this.byteArrays.make(length));
  }
  byteQueue(): ByteQueue {
    const { byteArrays } = this;
    const op = this.bytes(0);
    const length = (): number => byteArrays.length(op);
    return {
      length,
      write: (count) => {
        byteArrays.resize(op, length() + count);
      },
      drop: (count) => {
        byteArrays.dropFront(op, count);
      },
    };
  }
  byteAt(bytes: Ref, i: number): number {
    this.clock.access();
    return this.py.core.mem.load8(this.byteArrays.data(bytes) + i);
  }
  setByte(bytes: Ref, i: number, value: number): void {
    this.clock.access();
    this.py.core.mem.store8(this.byteArrays.data(bytes) + i, value);
  }
  print(text: string): void {
    this.printed.push(text);
  }

  fill(buffer: Ref, from: number, to: number, byte: number): void {
    const { mem } = this.py.core;
    for (let at = from; at < to; at++)
      mem.store8(buffer + this.py.profile.bytesHeadBytes + at, byte);
  }
}
