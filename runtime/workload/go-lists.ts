// Go slices: a header of pointer, length and capacity in a variable, and an array behind it.
//
// append() beyond the capacity takes a new array: twice as large below 256 items, then a quarter
// and 192 items more, rounded up to the size class (or whole pages). Of an array without pointers
// the part that is not copied into is cleared; one with pointers comes cleared.
// Source: Go 1.26 src/runtime/slice.go growslice(), nextslicecap(), msize.go roundupsize().

import type { GoRuntime } from '../go/runtime.ts';
import { NO_POINTERS } from '../go/types.ts';
import { ACCESS_NS, ALLOC_NS, BYTE_NS, type GoClock } from './go-clock.ts';
import { layoutOf, structOf } from './go-layout.ts';
import type { GoLocals } from './go-locals.ts';
import { type GoValues, isInPlace, isPointer } from './go-values.ts';
import { type Kind, type ListType, recordOf, type Ref } from './heap.ts';

const PAGE = 8192;
const THRESHOLD = 256;

export interface GoParts {
  readonly go: GoRuntime;
  readonly values: GoValues;
  readonly locals: GoLocals;
  readonly clock: GoClock;
  scope<T>(body: () => T): T;
}

export class GoList implements ListType {
  readonly type = 'list';
  readonly of: Kind;
  readonly itemBytes: number;
  private readonly parts: GoParts;
  private readonly elemType: number;
  private offsets: readonly number[] | undefined;

  constructor(parts: GoParts, of: Kind) {
    this.parts = parts;
    this.of = of;
    const { bytes, pointers } = layoutOf(of);
    this.itemBytes = bytes;
    this.elemType = parts.values.typeWith('item', bytes, pointers);
  }

  make(capacity = 0): Ref {
    return this.header(capacity === 0 ? 0 : this.array(capacity), 0, capacity);
  }
  filled(length: number): Ref {
    return this.header(this.array(length), length, length);
  }

  private array(items: number): number {
    const bytes = items * this.itemBytes;
    this.parts.clock.run(ALLOC_NS + bytes * BYTE_NS);
    return this.parts.go.new(bytes, this.elemType);
  }

  private header(array: number, length: number, capacity: number): Ref {
    const { mem } = this.parts.go;
    const at = this.parts.locals.take(24);
    mem.store64(at, array);
    mem.store64(at + 8, length);
    mem.store64(at + 16, capacity);
    return at;
  }

  length(list: Ref): number {
    return this.parts.go.mem.load64(list + 8);
  }
  private at(list: Ref, i: number): number {
    return this.parts.go.mem.load64(list) + i * this.itemBytes;
  }

  get(list: Ref, i: number): number {
    const { clock, locals, values } = this.parts;
    clock.run(ACCESS_NS);
    const at = this.at(list, i);
    if (!isInPlace(this.of)) {
      const value = values.load(this.of, at);
      return isPointer(this.of) ? locals.hold(value) : value;
    }
    if (this.of === 'string') return this.copyOfString(at);
    return locals.hold(at); // a pointer into the array
  }

  private copyOfString(from: number): Ref {
    const { go, locals } = this.parts;
    const at = locals.take(16);
    go.mem.copy(at, from, 16);
    return at;
  }

  set(list: Ref, i: number, value: number): void {
    this.parts.clock.run(ACCESS_NS);
    this.parts.values.store(this.of, this.at(list, i), value);
  }

  push(list: Ref, value: number): void {
    this.parts.values.store(this.of, this.room(list), value);
  }

  add(list: Ref, ...given: number[]): void {
    const fields = Object.values(recordOf(this.of).fields);
    const { values, clock } = this.parts;
    const at = this.room(list);
    clock.run(fields.length * ACCESS_NS);
    this.offsets ??= structOf(fields.map((f) => f.kind)).offsets;
    for (let i = 0; i < fields.length; i++)
      values.store(fields[i].kind, at + this.offsets[i], given[i] ?? 0);
  }

  /** One more item, in a larger array if need be. @returns its address. */
  private room(list: Ref): number {
    const { go, clock } = this.parts;
    const { mem } = go;
    clock.run(2 * ACCESS_NS);
    const length = mem.load64(list + 8);
    if (length === mem.load64(list + 16)) this.grow(list, length);
    mem.store64(list + 8, length + 1);
    return mem.load64(list) + length * this.itemBytes;
  }

  pop(list: Ref): number {
    const length = this.length(list);
    const value = this.get(list, length - 1);
    this.parts.go.mem.store64(list + 8, length - 1);
    return value;
  }

  private grow(list: Ref, length: number): void {
    const { go, clock, locals } = this.parts;
    const { mem } = go;
    const old = mem.load64(list);
    const bytes = this.roundUp(nextCapacity(length) * this.itemBytes);
    const capacity = Math.floor(bytes / this.itemBytes);
    const used = length * this.itemBytes;
    clock.run(ALLOC_NS + used * BYTE_NS);
    const noscan = this.elemType === NO_POINTERS;
    // A whole number of items, so that the type divides it; the class is the same.
    const asked = noscan ? bytes : capacity * this.itemBytes;
    const array = go.new(asked, this.elemType);
    if (noscan) mem.zero(array + used + this.itemBytes, bytes - used - this.itemBytes);
    mem.copy(array, old, used);
    if (locals.isLocal(list)) mem.store64(list, array);
    else go.storePointer(list, array);
    mem.store64(list + 16, capacity);
  }

  /** The bytes that an allocation of `bytes` really gets. */
  private roundUp(bytes: number): number {
    const { profile, malloc } = this.parts.go;
    const header = profile.mallocHeaders && this.elemType !== NO_POINTERS && bytes > 512 ? 8 : 0;
    if (bytes + header > profile.maxSmallBytes + header) return Math.ceil(bytes / PAGE) * PAGE;
    return profile.classes.size[malloc.classOf(bytes + header)] - header;
  }

  each(list: Ref, turn: (item: number, i: number) => void): void {
    const n = this.length(list);
    const { locals } = this.parts;
    const mark = locals.top;
    for (let i = 0; i < n; i++) {
      turn(this.get(list, i), i);
      locals.top = mark;
    }
  }
}

function nextCapacity(length: number): number {
  if (length === 0) return 1;
  if (length < THRESHOLD) return 2 * length;
  return length + ((length + 3 * THRESHOLD) >> 2);
}
