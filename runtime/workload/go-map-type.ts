// Go maps as the neutral interface has them: keys of int or string, values of any kind in place.

import { ACCESS_NS } from './go-clock.ts';
import { layoutOf } from './go-layout.ts';
import type { GoParts } from './go-lists.ts';
import { type GoMaps, type MapShape } from './go-map.ts';
import { readText } from './go-strings.ts';
import { isInPlace, isPointer } from './go-values.ts';
import type { Kind, MapType, Ref } from './heap.ts';

export class GoMapType implements MapType {
  readonly type = 'map';
  readonly key: 'int' | 'string';
  readonly of: Kind;
  private readonly parts: GoParts & { readonly maps: GoMaps };
  private readonly shape: MapShape;
  private readonly valueAt: number;

  constructor(parts: GoParts & { readonly maps: GoMaps }, key: 'int' | 'string', of: Kind) {
    this.parts = parts;
    this.key = key;
    this.of = of;
    this.valueAt = key === 'int' ? 8 : 16;
    this.shape = this.shapeOf();
  }

  private shapeOf(): MapShape {
    const { values, go } = this.parts;
    const { mem } = go;
    const value = layoutOf(this.of);
    const slotBytes = Math.ceil((this.valueAt + value.bytes) / 8) * 8;
    const inSlot = [
      ...(this.key === 'string' ? [0] : []),
      ...value.pointers.map((p) => this.valueAt + p),
    ];
    const inGroup = Array.from({ length: 8 }, (_, i) => inSlot.map((p) => 8 + i * slotBytes + p));
    const hashText = (at: number): number =>
      hashOf(readText(mem, mem.load64(at), mem.load64(at + 8)));
    const isText = this.key === 'string';
    return {
      keyBytes: this.valueAt,
      slotBytes,
      groupType: values.typeWith('group', 8 + 8 * slotBytes, inGroup.flat()),
      headerType: values.typeWith('map', 48, [16]),
      tableType: values.typeWith('table', 32, [16]),
      directoryType: values.typeWith('directory', 8, [0]),
      hash: isText ? hashText : hashNumber,
      hashAt: isText ? hashText : (slot) => hashNumber(mem.load64(slot)),
      equal: isText
        ? (slot, key) => sameText(mem, slot, key)
        : (slot, key) => mem.load64(slot) === key,
      move: (to, from) => {
        if (isText) values.copy('string', to, from);
        else mem.copy(to, from, 8);
        if (isPointer(this.of)) go.storePointer(to + this.valueAt, mem.load64(from + this.valueAt));
        else if (isInPlace(this.of)) values.copy(this.of, to + this.valueAt, from + this.valueAt);
        else mem.copy(to + this.valueAt, from + this.valueAt, value.bytes);
      },
      storeKey: (slot, key) => {
        values.store(this.key, slot, key);
      },
    };
  }

  make(): Ref {
    return this.parts.locals.hold(this.parts.maps.make(this.shape));
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
    values.store(this.of, slot + this.valueAt, value);
  }
  delete(map: Ref, key: number): void {
    this.parts.clock.run(15 * ACCESS_NS);
    this.parts.maps.delete(map, key, this.shape);
  }

  each(map: Ref, turn: (key: number, value: number) => void): void {
    const { go, maps, locals } = this.parts;
    maps.forEach(map, this.shape, (slot) => {
      this.parts.scope(() => {
        let key = go.mem.load64(slot);
        if (this.key === 'string') {
          key = locals.take(16);
          go.mem.copy(key, slot, 16);
        }
        turn(key, this.valueOf(slot));
      });
    });
  }
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
function mix(x: number): number {
  let h = x ^ (x >>> 16);
  h = Math.imul(h, 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}
