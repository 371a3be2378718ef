// Go maps and sets as the neutral interface has them: keys and values of any kind, in place.

import { InputError } from '../../kernel/errors.ts';
import { ACCESS_NS } from './go-clock.ts';
import { layoutOf, structOf } from './go-layout.ts';
import type { GoParts } from './go-lists.ts';
import { type GoMaps, type MapShape } from './go-map.ts';
import { readText } from './go-strings.ts';
import { isInPlace, isPointer } from './go-values.ts';
import { isFloat, isInt, type Kind, type MapType, type Ref, type SetType } from './heap.ts';

type MapParts = GoParts & { readonly maps: GoMaps };

export class GoMapType implements MapType {
  readonly type = 'map';
  readonly key: Kind;
  readonly of: Kind;
  private readonly parts: MapParts;
  private readonly shape: MapShape;
  private readonly valueAt: number;
  private readonly valueBytes: number;

  /** @param of null for a set: map[key]struct{}. */
  constructor(parts: MapParts, key: Kind, of: Kind | null) {
    this.parts = parts;
    this.key = key;
    this.of = of ?? 'int';
    const value = of === null ? { bytes: 0, align: 1, pointers: [] } : layoutOf(of);
    const { bytes, align, pointers } = layoutOf(key);
    this.valueAt = Math.ceil(bytes / value.align) * value.align;
    this.valueBytes = value.bytes;
    const most = Math.max(align, value.align);
    // A value of no bytes at the end takes one: no pointer to it may point past the slot.
    const slotBytes = Math.ceil((this.valueAt + Math.max(1, value.bytes)) / most) * most;
    const inSlot = [...pointers, ...value.pointers.map((p) => this.valueAt + p)];
    this.shape = this.shapeOf(slotBytes, inSlot);
  }

  private shapeOf(slotBytes: number, inSlot: readonly number[]): MapShape {
    const { values, go } = this.parts;
    const { mem } = go;
    const inGroup = Array.from({ length: 8 }, (_, i) => inSlot.map((p) => 8 + i * slotBytes + p));
    const { key } = this;
    const bytes = Math.ceil((8 + 8 * slotBytes) / 8) * 8;
    const hashAt = (at: number): number => hashValue(this.parts, key, at);
    return {
      keyBytes: layoutOf(key).bytes,
      slotBytes,
      groupType: values.typeWith('group', bytes, inGroup.flat()),
      headerType: values.typeWith('map', 48, [16]),
      tableType: values.typeWith('table', 32, [16]),
      directoryType: values.typeWith('directory', 8, [0]),
      hash: isInPlace(key) ? hashAt : isFloat(key) ? hashFloat : hashNumber,
      hashAt,
      equal: isInPlace(key)
        ? (slot, wanted) => sameValue(this.parts, key, slot, wanted)
        : (slot, wanted) => values.load(key, slot) === wanted,
      move: (to, from) => {
        if (isInPlace(key)) values.copy(key, to, from);
        else mem.copy(to, from, layoutOf(key).bytes);
        const [a, b] = [to + this.valueAt, from + this.valueAt];
        if (isPointer(this.of)) go.storePointer(a, mem.load64(b));
        else if (isInPlace(this.of)) values.copy(this.of, a, b);
        else mem.copy(a, b, this.valueBytes);
      },
      storeKey: (slot, wanted) => {
        values.store(key, slot, wanted);
      },
      clear: (slot) => {
        if (layoutOf(key).pointers.length > 0) values.copy(key, slot, 0);
        if (this.valueBytes > 0) values.copy(this.of, slot + this.valueAt, 0);
      },
    };
  }

  make(capacity = 0): Ref {
    return this.parts.locals.hold(this.parts.maps.make(this.shape, capacity));
  }
  size(map: Ref): number {
    return this.parts.maps.size(map);
  }
  has(map: Ref, key: number): boolean {
    this.parts.clock.run(10 * ACCESS_NS);
    return this.parts.maps.find(map, key, this.shape) !== 0;
  }

  get(map: Ref, key: number): number {
    const { clock, maps } = this.parts;
    clock.run(10 * ACCESS_NS);
    const slot = maps.find(map, key, this.shape);
    return slot === 0 ? 0 : this.valueOf(slot);
  }

  private valueOf(slot: number): number {
    const { values, locals } = this.parts;
    const at = slot + this.valueAt;
    if (isInPlace(this.of)) {
      const copy = locals.take(layoutOf(this.of).bytes);
      this.parts.go.mem.copy(copy, at, layoutOf(this.of).bytes);
      return copy;
    }
    const value = values.load(this.of, at);
    return isPointer(this.of) ? locals.hold(value) : value;
  }

  set(map: Ref, key: number, value: number): void {
    const { clock, maps, values } = this.parts;
    clock.run(15 * ACCESS_NS);
    const slot = maps.assign(map, key, this.shape);
    if (this.valueBytes > 0) values.store(this.of, slot + this.valueAt, value);
  }
  delete(map: Ref, key: number): void {
    this.parts.clock.run(15 * ACCESS_NS);
    this.parts.maps.delete(map, key, this.shape);
  }

  each(map: Ref, turn: (key: number, value: number) => void): void {
    const { go, maps, locals, values } = this.parts;
    maps.forEach(map, this.shape, (slot) => {
      this.parts.scope(() => {
        let key: number;
        if (isInPlace(this.key)) {
          const { bytes } = layoutOf(this.key);
          key = locals.take(bytes);
          go.mem.copy(key, slot, bytes);
        } else {
          key = values.load(this.key, slot);
          if (this.key === 'ref') locals.hold(key);
        }
        turn(key, this.valueBytes === 0 ? 0 : this.valueOf(slot));
      });
    });
  }
}

/** map[key]struct{} */
export class GoSet implements SetType {
  readonly key: Kind;
  private readonly map: GoMapType;

  constructor(parts: MapParts, key: Kind) {
    this.key = key;
    this.map = new GoMapType(parts, key, null);
  }
  make(): Ref {
    return this.map.make();
  }
  size(set: Ref): number {
    return this.map.size(set);
  }
  has(set: Ref, key: number): boolean {
    return this.map.has(set, key);
  }
  add(set: Ref, key: number): void {
    this.map.set(set, key, 0);
  }
  delete(set: Ref, key: number): void {
    this.map.delete(set, key);
  }
  each(set: Ref, turn: (key: number) => void): void {
    this.map.each(set, turn);
  }
}

/** Hash of the value of a kind at an address. */
function hashValue(parts: MapParts, kind: Kind, at: number): number {
  const { mem } = parts.go;
  if (kind === 'string') return hashOf(readText(mem, mem.load64(at), mem.load64(at + 8)));
  if (typeof kind !== 'string' && kind.type === 'tuple') {
    let h = 0;
    const { offsets } = structOf(kind.kinds);
    kind.kinds.forEach((k, i) => {
      h = mix(Math.imul(h, 31) + hashValue(parts, k, at + (offsets[i] ?? 0)));
    });
    return h;
  }
  if (!isFloat(kind) && !isInt(kind) && kind !== 'ref')
    throw new InputError('', 'a key is a number, a string, a ref or a tuple of these');
  const value = parts.values.load(kind, at);
  return isFloat(kind) ? hashFloat(value) : hashNumber(value);
}

function sameValue(parts: MapParts, kind: Kind, a: number, b: number): boolean {
  if (kind === 'string') return sameText(parts.go.mem, a, b);
  if (typeof kind !== 'string' && kind.type === 'tuple') {
    const { offsets } = structOf(kind.kinds);
    return kind.kinds.every((k, i) =>
      sameValue(parts, k, a + (offsets[i] ?? 0), b + (offsets[i] ?? 0)),
    );
  }
  return parts.values.load(kind, a) === parts.values.load(kind, b);
}

function sameText(
  mem: { bytes: Uint8Array; load64(va: number): number; touch(va: number, write: boolean): number },
  a: number,
  b: number,
): boolean {
  const length = mem.load64(a + 8);
  if (length !== mem.load64(b + 8)) return false;
  const [x, y] = [mem.load64(a), mem.load64(b)];
  return x === y || readText(mem, x, length) === readText(mem, y, length);
}

/** 32 bits of a text's hash: FNV-1a and a final mix. */
function hashOf(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return mix(h);
}
function hashNumber(n: number): number {
  return mix(mix(n | 0) ^ Math.floor(n / 2 ** 32));
}
function hashFloat(x: number): number {
  return mix(mix((x * 65536) | 0) ^ Math.floor(x));
}
function mix(x: number): number {
  let h = x ^ (x >>> 16);
  h = Math.imul(h, 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}
