// The Go form of the neutral heap: structs, slices, maps and strings as a Go compiler lays them
// out, in a process whose runtime allocates and collects.

import type { GoRuntime } from '../go/runtime.ts';
import { NO_POINTERS } from '../go/types.ts';
import { ACCESS_NS, ALLOC_NS, BYTE_NS, GoClock } from './go-clock.ts';
import { layoutOf, structOf } from './go-layout.ts';
import { GoList, type GoParts } from './go-lists.ts';
import { GoLocals } from './go-locals.ts';
import { GoMapType, GoSet } from './go-map-type.ts';
import { GoMaps } from './go-map.ts';
import { GoBuilder, GoStrings } from './go-strings.ts';
import { GoClosure, GoStream, GoTasks, GoTuple } from './go-tasks.ts';
import { GoValues, isInPlace, isPointer, isValue } from './go-values.ts';
import type {
  Builder,
  ByteQueue,
  ClosureType,
  DequeType,
  Field,
  Heap,
  Kind,
  ListType,
  Local,
  MapType,
  RecordType,
  Ref,
  SetType,
  StreamType,
  TupleType,
} from './heap.ts';

export class GoHeap implements Heap, GoParts {
  readonly runtime = 'go';
  readonly go: GoRuntime;
  readonly values: GoValues;
  readonly locals: GoLocals;
  readonly clock: GoClock;
  readonly maps: GoMaps;
  readonly printed: string[] = [];
  private readonly strings: GoStrings;
  private readonly tasks: GoTasks;

  /** @param faults page faults of the process so far. @param seed see GoClock. */
  constructor(go: GoRuntime, faults: () => number, seed = 0) {
    this.go = go;
    this.values = new GoValues(go);
    this.locals = new GoLocals(go);
    this.clock = new GoClock(go, faults, seed);
    this.maps = new GoMaps(go);
    this.strings = new GoStrings(this);
    this.tasks = new GoTasks(this);
  }

  record<const F extends Readonly<Record<string, Kind>>>(name: string, kinds: F): RecordType<F> {
    const names = Object.keys(kinds);
    const { bytes, offsets } = structOf(Object.values(kinds));
    const type = this.values.typeOf(name, Object.values(kinds));
    const fields = names.map((n, i) => this.field(n, kinds[n] ?? 'int', offsets[i] ?? 0));
    const make = (...given: number[]): Ref => {
      this.clock.run(ALLOC_NS + bytes * BYTE_NS);
      const at = this.go.new(bytes, type);
      for (let i = 0; i < given.length; i++) {
        const value = given[i];
        if (value !== 0) this.values.store(fields[i].kind, at + offsets[i], value);
      }
      return this.locals.hold(at);
    };
    const byName = Object.fromEntries(fields.map((f) => [f.name, f]));
    return { type: 'record', name, fields: byName as RecordType<F>['fields'], make };
  }

  private field(name: string, kind: Kind, offset: number): Field {
    const { clock, locals, values } = this;
    const get = (record: Ref): number => {
      clock.run(ACCESS_NS);
      if (isValue(kind)) return this.copied(kind, record + offset);
      if (isInPlace(kind)) return locals.hold(record + offset);
      const value = values.load(kind, record + offset);
      return isPointer(kind) ? locals.hold(value) : value;
    };
    const set = (record: Ref, value: number): void => {
      clock.run(ACCESS_NS);
      values.store(kind, record + offset, value);
    };
    return { name, kind, get, set };
  }

  /** A copy of a value in a variable. */
  private copied(kind: Kind, from: number): Ref {
    const { bytes } = layoutOf(kind);
    const at = this.locals.take(bytes);
    this.go.mem.copy(at, from, bytes);
    return at;
  }

  list(of: Kind): ListType {
    return new GoList(this, of);
  }
  map(key: Kind, of: Kind): MapType {
    return new GoMapType(this, key, of);
  }
  set(key: Kind): SetType {
    return new GoSet(this, key);
  }
  tuple(...kinds: Kind[]): TupleType {
    return new GoTuple(this, kinds);
  }
  deque(of: Kind): DequeType {
    return new GoList(this, of);
  }
  closure<F extends string>(
    captured: Readonly<Record<F, Kind>>,
    assigned: readonly NoInfer<F>[] = [],
  ): ClosureType<F> {
    return new GoClosure(this, captured, new Set<string>(assigned));
  }
  stream(of: Kind, room: number): StreamType {
    return new GoStream(this.tasks, of, room);
  }

  method(self: Ref): Ref {
    return this.closure({ self: 'ref' }).make(self);
  }
  boxed(kind: Kind, value: number): Ref {
    return isPointer(kind) ? value : this.record('any', { value: kind }).make(value);
  }
  unboxed(kind: Kind, ref: Ref): number {
    return isPointer(kind) ? ref : this.field('value', kind, 0).get(ref);
  }
  imports(): void {
    // Linked into the program.
  }

  local(kind: Kind, value = 0): Local {
    const { values, locals } = this;
    const at = locals.take(layoutOf(kind).bytes);
    const set = (now: number): void => {
      values.store(kind, at, now);
    };
    set(value);
    const get = (): number => {
      if (isInPlace(kind)) return isValue(kind) ? this.copied(kind, at) : at;
      const now = values.load(kind, at);
      return isPointer(kind) ? locals.hold(now) : now;
    };
    return { get, set };
  }

  scope<T>(body: () => T): T {
    const mark = this.locals.top;
    const result = body();
    this.locals.top = mark;
    return result;
  }

  call(body: () => Ref): Ref {
    const { locals, go } = this;
    const mark = locals.top;
    const ref = body();
    if (!locals.isLocal(ref) || ref < mark) {
      locals.top = mark;
      return ref < mark && locals.isLocal(ref) ? ref : locals.hold(ref);
    }
    const bytes = Math.min(24, locals.top - ref);
    go.mem.copy(mark, ref, bytes);
    locals.top = mark + bytes;
    return mark;
  }

  loop(n: number, turn: (i: number) => void): void {
    const mark = this.locals.top;
    for (let i = 0; i < n; i++) {
      turn(i);
      this.locals.top = mark;
    }
  }

  drop(ref: Ref): void {
    this.locals.drop(ref);
  }

  string(text: string): Ref {
    return this.strings.literal(text);
  }
  concat(a: Ref, b: Ref): Ref {
    return this.strings.concat(a, b);
  }
  digits(n: number): Ref {
    return this.strings.digits(n);
  }
  slice(s: Ref, from: number, to: number): Ref {
    return this.strings.slice(s, from, to);
  }
  join(type: ListType, list: Ref, separator: string): Ref {
    return this.strings.join(type, list, separator);
  }
  words(type: ListType, text: Ref): Ref {
    return this.strings.words(type, text);
  }
  split(type: ListType, text: Ref, separator: string): Ref {
    return this.strings.split(type, text, separator);
  }
  computed(text: string): Ref {
    return this.strings.make(text);
  }
  builder(): Builder {
    return new GoBuilder(this, this.strings);
  }
  size(s: Ref): number {
    return this.go.mem.load64(s + 8);
  }
  text(s: Ref): string {
    return this.strings.text(s);
  }

  buffer(length: number): Ref {
    this.clock.run(ALLOC_NS + length * BYTE_NS);
    return this.locals.hold(this.go.new(length, NO_POINTERS));
  }
  fill(buffer: Ref, from: number, to: number, byte: number): void {
    const { mem } = this.go;
    this.clock.run((to - from) * BYTE_NS);
    mem.zero(buffer + from, to - from);
    if (byte !== 0) for (let at = from; at < to; at++) mem.store8(buffer + at, byte);
  }

  bytes(length: number): Ref {
    return this.buffer(length);
  }
  byteQueue(): ByteQueue {
    const bytes = new GoList(this, 'byte');
    const list = bytes.make();
    return {
      length: () => bytes.length(list),
      write: (count) => {
        bytes.more(list, count);
      },
      drop: (count) => {
        bytes.removeRange(list, 0, count);
      },
    };
  }
  byteAt(bytes: Ref, i: number): number {
    this.clock.run(ACCESS_NS);
    return this.go.mem.load8(bytes + i);
  }
  setByte(bytes: Ref, i: number, value: number): void {
    this.clock.run(ACCESS_NS);
    this.go.mem.store8(bytes + i, value);
  }
  print(text: string): void {
    this.printed.push(text);
  }

  mark(): void {
    // Nothing of Go's acts at a mark.
  }
}
