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
import { type GoValues, isInPlace, isPointer, isValue } from './go-values.ts';
import {
  type DequeType,
  type Kind,
  type ListType,
  recordOf,
  type Ref,
  sortedOrder,
} from './heap.ts';

const PAGE = 8192;
const THRESHOLD = 256;

export interface GoParts {
  readonly go: GoRuntime;
  readonly values: GoValues;
  readonly locals: GoLocals;
  readonly clock: GoClock;
  scope<T>(body: () => T): T;
}

export class GoList implements ListType, DequeType {
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
    if (!isValue(this.of)) return locals.hold(at); // a pointer into the array
    const copy = locals.take(this.itemBytes);
    this.parts.go.mem.copy(copy, at, this.itemBytes);
    return copy;
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

  /** Room for `count` more items, which are in the list from now on. @returns their address. */
  more(list: Ref, count: number): number {
    const { mem } = this.parts.go;
    const n = this.length(list);
    if (n + count > mem.load64(list + 16)) this.grow(list, n, n + count);
    mem.store64(list + 8, n + count);
    return this.at(list, n);
  }

  /** Address of the first item. */
  arrayOf(list: Ref): number {
    return this.parts.go.mem.load64(list);
  }

  pop(list: Ref): number {
    const length = this.length(list);
    const value = this.get(list, length - 1);
    this.parts.go.mem.store64(list + 8, length - 1);
    return value;
  }

  /** q[0], and q = q[1:]. The item stays in the array until that moves. */
  shift(list: Ref): number {
    const { mem } = this.parts.go;
    const value = this.get(list, 0);
    const room = mem.load64(list + 16) - 1;
    if (room > 0) mem.store64(list, this.at(list, 1));
    mem.store64(list + 8, this.length(list) - 1);
    mem.store64(list + 16, room);
    return value;
  }

  private grow(list: Ref, length: number, wanted = length + 1): void {
    const { go, clock, locals } = this.parts;
    const { mem } = go;
    const old = mem.load64(list);
    const room = mem.load64(list + 16);
    const bytes = this.roundUp(nextCapacity(room, wanted) * this.itemBytes);
    const capacity = Math.floor(bytes / this.itemBytes);
    const used = length * this.itemBytes;
    clock.run(ALLOC_NS + used * BYTE_NS);
    const noscan = this.elemType === NO_POINTERS;
    // A whole number of items, so that the type divides it; the class is the same.
    const asked = noscan ? bytes : capacity * this.itemBytes;
    const array = go.new(asked, this.elemType);
    const end = wanted * this.itemBytes;
    if (noscan) mem.zero(array + end, bytes - end);
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

  slice(list: Ref, from: number, to: number): Ref {
    const room = this.parts.go.mem.load64(list + 16);
    return this.header(this.at(list, from), to - from, room - from);
  }

  copy(list: Ref): Ref {
    const n = this.length(list);
    const copy = this.filled(n);
    this.moveItems(this.at(copy, 0), this.at(list, 0), n);
    return copy;
  }

  extend(list: Ref, other: Ref): void {
    const n = this.length(other);
    const to = this.more(list, n);
    this.moveItems(to, this.at(other, 0), n);
  }

  insert(list: Ref, i: number, value: number): void {
    const n = this.length(list);
    this.push(list, value); // the new item comes last, and goes to its place
    const last = this.kept([this.at(list, n)])[0] ?? 0;
    this.moveItems(this.at(list, i + 1), this.at(list, i), n - i);
    this.parts.values.copy(this.of, this.at(list, i), last);
    this.parts.locals.top = last;
  }

  remove(list: Ref, i: number): void {
    const n = this.length(list);
    this.moveItems(this.at(list, i), this.at(list, i + 1), n - 1 - i);
    this.parts.go.mem.store64(list + 8, n - 1);
  }

  removeRange(list: Ref, from: number, to: number): void {
    const n = this.length(list);
    const { mem } = this.parts.go;
    this.moveItems(this.at(list, from), this.at(list, to), n - to);
    // slices.Delete() clears what is behind the new end, for the collector's sake.
    for (let i = n - (to - from); i < n; i++) this.parts.values.copy(this.of, this.at(list, i), 0);
    mem.store64(list + 8, n - (to - from));
  }

  /** Items to another place, which may overlap, with the write barrier where they have pointers. */
  private moveItems(to: number, from: number, items: number): void {
    const { go, values, clock } = this.parts;
    const bytes = items * this.itemBytes;
    clock.run(bytes * BYTE_NS);
    if (this.elemType === NO_POINTERS || !go.gc.marking) {
      go.mem.copy(to, from, bytes);
      return;
    }
    for (let k = 0; k < items; k++) {
      const i = to > from ? items - 1 - k : k;
      values.copy(this.of, to + i * this.itemBytes, from + i * this.itemBytes);
    }
  }

  /** Copies of items in a variable that the collector scans. */
  private kept(from: readonly number[]): number[] {
    const { go, locals } = this.parts;
    return from.map((at) => {
      const to = locals.take(this.itemBytes);
      go.mem.copy(to, at, this.itemBytes);
      return to;
    });
  }

  /** In place: cycles of a permutation, one item at a time out of the array. */
  sort(list: Ref, key: (item: number) => number | string): void {
    const n = this.length(list);
    const keys = Array.from({ length: n }, (_, i) =>
      this.parts.scope(() => key(this.get(list, i))),
    );
    this.parts.clock.run(n * Math.log2(n + 1) * 4 * ACCESS_NS);
    const order = sortedOrder(keys);
    const { values } = this.parts;
    for (let start = 0; start < n; start++) {
      if ((order[start] ?? start) === start) continue;
      this.parts.scope(() => {
        const [first = 0] = this.kept([this.at(list, start)]);
        let to = start;
        for (let from = order[to] ?? to; from !== start; from = order[to] ?? to) {
          values.copy(this.of, this.at(list, to), this.at(list, from));
          order[to] = to;
          to = from;
        }
        values.copy(this.of, this.at(list, to), first);
        order[to] = to;
      });
    }
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

/** Room for `wanted` items where there was room for `old`. */
function nextCapacity(old: number, wanted: number): number {
  if (wanted > 2 * old) return wanted;
  if (old < THRESHOLD) return 2 * old;
  let room = old;
  while (room < wanted) room += (room + 3 * THRESHOLD) >> 2;
  return room;
}
