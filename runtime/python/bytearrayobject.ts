// bytearray: a header, and the bytes in a block of their own.
//
//     +16 ob_size  +24 ob_alloc  +32 ob_bytes  +40 ob_start  +48 ob_exports       56 bytes
//
// bytearray(n) clears its n bytes, so all of them become resident; one more byte is a zero at the
// end.
// Source: CPython 3.11 Objects/bytearrayobject.c PyByteArray_Resize(), bytearray___init___impl(),
// bytearray_setslice_linear().
// Growing leaves room, an eighth, where it is little by little; deletion in front only moves
// ob_start, so the block shrinks (and moves) when less than half of it is in use.

import { KIND_BYTEARRAY } from './kinds.ts';
import type { ObjectCore } from './object.ts';

const BYTES = 56;

export class ByteArrays {
  private readonly core: ObjectCore;
  private readonly type: number;

  constructor(core: ObjectCore) {
    this.core = core;
    this.type = core.register(KIND_BYTEARRAY, {
      name: 'bytearray',
      isGc: false,
      dealloc: (op) => {
        if (this.data(op) !== 0) core.free(this.data(op));
        core.free(op);
        return 0;
      },
      sizeOf: (op) => core.profile.bytearrayHeadBytes + core.mem.load64(op + 24),
    });
  }

  /** Address of the first byte. */
  data(op: number): number {
    return this.core.mem.load64(op + 40);
  }

  /** bytearray(length): zeros. */
  make(length: number): number {
    const { core } = this;
    const op = core.malloc(BYTES);
    core.mem.zero(op, BYTES);
    core.init(op, this.type);
    if (length === 0) return op;
    const data = core.malloc(length + 1);
    core.mem.zero(data, length + 1);
    core.mem.store64(op + 16, length);
    core.mem.store64(op + 24, length + 1);
    core.mem.store64(op + 32, data);
    core.mem.store64(op + 40, data);
    return op;
  }

  length(op: number): number {
    return this.core.mem.load64(op + 16);
  }

  /** PyByteArray_Resize(): new bytes are whatever the block held. */
  resize(op: number, length: number): void {
    const m = this.core.mem;
    if (length === this.length(op)) return;
    const block = m.load64(op + 32);
    const dropped = this.data(op) - block;
    const room = m.load64(op + 24);
    let wanted = length + 1;
    if (length + dropped + 1 <= room) {
      if (length >= Math.floor(room / 2)) {
        m.store64(op + 16, length);
        m.store8(this.data(op) + length, 0);
        return;
      }
    } else if (length <= room * 1.125) wanted = length + (length >> 3) + (length < 9 ? 3 : 6);
    this.move(op, block, dropped, Math.min(length, this.length(op)), wanted);
    m.store64(op + 16, length);
    m.store64(op + 24, wanted);
    m.store8(this.data(op) + length, 0);
  }

  private move(op: number, block: number, dropped: number, used: number, wanted: number): void {
    const { core } = this;
    let to: number;
    if (dropped > 0) {
      to = core.malloc(wanted);
      core.mem.copy(to, block + dropped, used);
      core.free(block);
    } else to = block === 0 ? core.malloc(wanted) : core.realloc(block, wanted);
    core.mem.store64(op + 32, to);
    core.mem.store64(op + 40, to);
  }

  /** del bytes[:count] */
  dropFront(op: number, count: number): void {
    const m = this.core.mem;
    m.store64(op + 40, this.data(op) + count);
    this.resize(op, this.length(op) - count);
  }
}
