// bytearray: a header, and the bytes in a block of their own.
//
//     +16 ob_size  +24 ob_alloc  +32 ob_bytes  +40 ob_start  +48 ob_exports       56 bytes
//
// bytearray(n) clears its n bytes, so all of them become resident; one more byte is a zero at the
// end.
// Source: CPython 3.11 Objects/bytearrayobject.c PyByteArray_Resize(), bytearray___init___impl().
// Not modelled: the room that growing leaves, deletion in front.

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
      sizeOf: (op) => BYTES + core.mem.load64(op + 24),
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
}
