// Go values in memory: loads, stores and copies by kind, with the write barrier for pointers.
//
// A Ref of a record, map or buffer is a pointer. A Ref of a string or list is the address of its
// header (16 or 24 bytes) in a local variable or inside an object, as of the program's variables.

import type { GoRuntime } from '../go/runtime.ts';
import { NO_POINTERS } from '../go/types.ts';
import { layoutOf, structOf } from './go-layout.ts';
import type { Kind } from './heap.ts';

const scratch = new DataView(new ArrayBuffer(8));

export class GoValues {
  private readonly go: GoRuntime;
  private readonly types = new Map<string, number>();

  constructor(go: GoRuntime) {
    this.go = go;
  }

  /** Type number of values of these kinds in a row. */
  typeOf(name: string, kinds: readonly Kind[]): number {
    const { bytes, pointers } = structOf(kinds);
    return this.typeWith(name, bytes, pointers);
  }

  /** Type number of `bytes` bytes with pointers at these offsets. */
  typeWith(name: string, bytes: number, pointers: readonly number[]): number {
    if (pointers.length === 0) return NO_POINTERS;
    const key = `${String(bytes)}:${pointers.join(',')}`;
    let type = this.types.get(key);
    if (type === undefined) {
      const ptrWords = Math.max(...pointers) / 8 + 1;
      const mask = new Int32Array((ptrWords >> 5) + 1);
      for (const p of pointers) mask[p >> 8] |= 1 << ((p >> 3) & 31);
      type = this.go.types.add({ name, bytes, ptrWords, mask });
      this.types.set(key, type);
    }
    return type;
  }

  load(kind: Kind, at: number): number {
    const { mem } = this.go;
    switch (kind) {
      case 'int':
        return mem.load64(at);
      case 'bool':
      case 'byte':
        return mem.load8(at);
      case 'int16':
        return (mem.load16(at) << 16) >> 16;
      case 'int32':
        return mem.load32(at);
      case 'float32':
        scratch.setInt32(0, mem.load32(at), true);
        return scratch.getFloat32(0, true);
      case 'float':
        scratch.setInt32(0, mem.load32(at), true);
        scratch.setInt32(4, mem.load32(at + 4), true);
        return scratch.getFloat64(0, true);
      default:
        return mem.load64(at);
    }
  }

  /** Stores a value; what is not a number is copied from where it is (string, list, record). */
  store(kind: Kind, at: number, value: number): void {
    const { mem } = this.go;
    if (kind === 'int') mem.store64(at, value);
    else if (kind === 'bool' || kind === 'byte') mem.store8(at, value);
    else if (kind === 'int16') mem.store16(at, value);
    else if (kind === 'int32') mem.store32(at, value);
    else if (kind === 'float32') {
      scratch.setFloat32(0, value, true);
      mem.store32(at, scratch.getInt32(0, true));
    } else if (kind === 'float') {
      scratch.setFloat64(0, value, true);
      mem.store32(at, scratch.getInt32(0, true));
      mem.store32(at + 4, scratch.getInt32(4, true));
    } else if (isPointer(kind)) this.go.storePointer(at, value);
    else this.copy(kind, at, value);
  }

  /** *to = *from; a from of 0 is the zero value. */
  copy(kind: Kind, to: number, from: number): void {
    const { bytes, pointers } = layoutOf(kind);
    const { mem } = this.go;
    let next = 0;
    for (let off = 0; off < bytes; off += 8) {
      if (pointers[next] !== off) {
        const length = Math.min(8, bytes - off);
        if (from === 0) mem.zero(to + off, length);
        else mem.copy(to + off, from + off, length); // may be a float: not through a number
        continue;
      }
      next++;
      this.go.storePointer(to + off, from === 0 ? 0 : mem.load64(from + off));
    }
  }
}

/** A kind whose value is one pointer. */
export function isPointer(kind: Kind): boolean {
  return kind === 'ref' || (typeof kind !== 'string' && kind.type === 'map');
}
/** A kind whose Ref is the address of where the value lies. */
export function isInPlace(kind: Kind): boolean {
  return kind === 'string' || (typeof kind !== 'string' && kind.type !== 'map');
}
/** A kind in place that is copied when it is read: of a record or list the program has a pointer. */
export function isValue(kind: Kind): boolean {
  return kind === 'string' || (typeof kind !== 'string' && kind.type === 'tuple');
}
