// The Go form of the neutral heap: structs, slices, maps and strings as a Go compiler lays them
// out, in a process whose runtime allocates and collects.

import type { GoRuntime } from '../go/runtime.ts';
import { NO_POINTERS } from '../go/types.ts';
import { ACCESS_NS, ALLOC_NS, BYTE_NS, GoClock } from './go-clock.ts';
import { structOf } from './go-layout.ts';
import { GoList, type GoParts } from './go-lists.ts';
import { GoLocals } from './go-locals.ts';
import { GoMapType } from './go-map-type.ts';
import { GoMaps } from './go-map.ts';
import { GoStrings } from './go-strings.ts';
import { GoValues, isInPlace, isPointer } from './go-values.ts';
import type { Field, Heap, Kind, ListType, MapType, RecordType, Ref } from './heap.ts';

export class GoHeap implements Heap, GoParts {
  readonly runtime = 'go';
  readonly go: GoRuntime;
  readonly values: GoValues;
  readonly locals: GoLocals;
  readonly clock: GoClock;
  readonly maps: GoMaps;
  private readonly strings: GoStrings;

  /** @param faults page faults of the process so far. */
  constructor(go: GoRuntime, faults: () => number) {
    this.go = go;
    this.values = new GoValues(go);
    this.locals = new GoLocals(go);
    this.clock = new GoClock(go, faults);
    this.maps = new GoMaps(go);
    this.strings = new GoStrings(this);
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
      if (kind === 'string') return this.strings.copy(record + offset);
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

  list(of: Kind): ListType {
    return new GoList(this, of);
  }
  map(key: 'int' | 'string', of: Kind): MapType {
    return new GoMapType(this, key, of);
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

  mark(): void {
    // Nothing of Go's acts at a mark.
  }
}
