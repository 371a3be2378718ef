// Channels: a header on the heap, and a ring of values behind it or in a block of its own.
//
//   hchan   qcount | dataqsiz | buf | elemsize, closed | ... | elemtype | sendx | recvx | ...
//
//   values without pointers   one object, header and ring, without pointers
//   values with pointers      two objects: the header, which points to the ring
//
// A value is copied into the ring and out of it, with the write barrier; what was taken out is
// cleared. Goroutines that wait are not modelled: a send to a full channel and a receive from an
// empty one say so, as a select with a default does.
//
// Invariants: qcount <= dataqsiz; sendx = (recvx + qcount) mod dataqsiz; free places are clear.
// Source: Go 1.26.8 and Go 1.19.8 src/runtime/chan.go (makechan, chansend, chanrecv, closechan).

import { assert } from '../../kernel/errors.ts';
import type { GoRuntime } from './runtime.ts';
import { NO_POINTERS } from './types.ts';

const QCOUNT = 0;
const DATAQSIZ = 8;
const BUF = 16;
const ELEMSIZE = 24;
const CLOSED = 28;

export class Channels {
  private readonly go: GoRuntime;
  private readonly header: number;
  private readonly held: number;
  /** Bytes of a header: 96, and with timers and synctest 112. */
  private readonly headerBytes: number;
  /** Where sendx and recvx are, behind elemtype. */
  private readonly sendx: number;
  private readonly recvx: number;

  constructor(go: GoRuntime) {
    this.go = go;
    this.headerBytes = go.profile.chanBytes;
    this.held = go.newGlobal();
    const timer = this.headerBytes > 96 ? 8 : 0;
    this.sendx = 40 + timer;
    this.recvx = 48 + timer;
    // buf, timer, elemtype, and the first and last of both wait queues are pointers.
    const words = [2, ...(timer > 0 ? [4, 5] : [4]), ...[7, 8, 9, 10].map((w) => w + timer / 8)];
    const mask = Int32Array.of(words.reduce((bits, w) => bits | (1 << w), 0));
    const ptrWords = Math.max(...words) + 1;
    this.header = go.types.add({ name: 'hchan', bytes: this.headerBytes, ptrWords, mask });
  }

  /**
   * make(chan T, size).
   * @param type of T; @param elemBytes its bytes, a multiple of 8; 0 for struct{}.
   */
  make(elemBytes: number, type = NO_POINTERS, size = 0): number {
    const { go } = this;
    assert(elemBytes % 8 === 0 && size >= 0, 'makechan: size out of range');
    const ring = elemBytes * size;
    let c: number;
    if (type === NO_POINTERS || ring === 0) {
      c = go.new(this.headerBytes + ring, NO_POINTERS);
      go.mem.store64(c + BUF, c + (ring === 0 ? BUF : this.headerBytes));
    } else {
      c = go.new(this.headerBytes, this.header);
      // The new header is held by nothing but the stack while the ring is made.
      go.storePointer(this.held, c);
      const buf = go.new(ring, type);
      go.storePointer(c + BUF, buf);
      go.storePointer(this.held, 0);
    }
    go.mem.store32(c + ELEMSIZE, elemBytes);
    go.mem.store64(c + DATAQSIZ, size);
    return c;
  }

  /** len(c) and cap(c). */
  length(c: number): number {
    return this.go.mem.load64(c + QCOUNT);
  }
  capacity(c: number): number {
    return this.go.mem.load64(c + DATAQSIZ);
  }

  /** Sends the value at `from`. @returns false where it would wait. */
  send(c: number, from: number, type = NO_POINTERS): boolean {
    const { mem } = this.go;
    assert(mem.load32(c + CLOSED) === 0, 'send on closed channel');
    const n = this.length(c);
    const size = this.capacity(c);
    if (n === size) return false;
    const i = mem.load64(c + this.sendx);
    const bytes = mem.load32(c + ELEMSIZE);
    this.copy(mem.load64(c + BUF) + i * bytes, from, bytes, type);
    mem.store64(c + this.sendx, (i + 1) % size);
    mem.store64(c + QCOUNT, n + 1);
    return true;
  }

  /**
   * Receives into `to`, 0 to drop the value. @returns true for a value; false where it would wait,
   * or where the channel is closed and empty.
   */
  receive(c: number, to: number, type = NO_POINTERS): boolean {
    const { mem } = this.go;
    const n = this.length(c);
    if (n === 0) return false;
    const i = mem.load64(c + this.recvx);
    const bytes = mem.load32(c + ELEMSIZE);
    const at = mem.load64(c + BUF) + i * bytes;
    if (to !== 0) this.copy(to, at, bytes, type);
    this.clear(at, bytes, type);
    mem.store64(c + this.recvx, (i + 1) % this.capacity(c));
    mem.store64(c + QCOUNT, n - 1);
    return true;
  }

  close(c: number): void {
    const { mem } = this.go;
    assert(mem.load32(c + CLOSED) === 0, 'close of closed channel');
    mem.store32(c + CLOSED, 1);
  }

  isClosed(c: number): boolean {
    return this.go.mem.load32(c + CLOSED) !== 0;
  }

  private copy(to: number, from: number, bytes: number, type: number): void {
    const { go } = this;
    for (let i = 0; i < bytes / 8; i++) {
      if (type !== NO_POINTERS && go.types.isPointer(type, i))
        go.storePointer(to + i * 8, go.loadPointer(from + i * 8));
      else go.mem.copy(to + i * 8, from + i * 8, 8);
    }
  }

  private clear(at: number, bytes: number, type: number): void {
    const { go } = this;
    for (let i = 0; i < bytes / 8; i++) {
      if (type !== NO_POINTERS && go.types.isPointer(type, i)) go.storePointer(at + i * 8, 0);
      else go.mem.zero(at + i * 8, 8);
    }
  }

  /** The counters of a channel agree. */
  check(c: number): void {
    const { mem } = this.go;
    const n = this.length(c);
    const size = this.capacity(c);
    assert(n <= size, 'hchan: qcount <= dataqsiz');
    if (size === 0) return;
    const sendx = (mem.load64(c + this.recvx) + n) % size;
    assert(mem.load64(c + this.sendx) === sendx, 'hchan: sendx = recvx + qcount');
  }
}
