// Physical memory: the bytes of RAM, sparse on the host.
//
// One big store of 32-bit words holds the frames that were ever written; `slotOf` says where:
//
//     pfn --slotOf--> slot --* 1024--> index of the frame's first word in `words`
//
// Slot 0 is a page of zeros that all never-written frames share, so a read needs no test, and a
// machine of 1 TiB costs the host only what was touched (both arrays are committed by the host
// page by page). Slots are given out once and stay: an index got from writable() holds for as long
// as the machine lives, and a loop over a page translates once.
//
// Invariants (check()):
//   1. slotOf[pfn] is 0 or a slot in 1..used-1, and no slot belongs to two frames.
//   2. Slot 0 is all zeros.
// Words are little-endian, as on x86; so is every host that runs JavaScript engines of today.

import { assert } from './errors.ts';
import { PAGE_SIZE, PAGE_WORDS } from './types.ts';

/** Most frames whose contents the host stores: 4 GiB, what a Uint8Array of Node 20 can span. */
export const MAX_HOST_FRAMES = 2 ** 20 - 1;

/** The host has no room for the contents of another touched frame. */
export class HostMemoryExhausted extends Error {
  override readonly name = 'HostMemoryExhausted';
}

export class PhysMem {
  /** Frames of the physical address space, holes included: 0..nrFrames-1. */
  readonly nrFrames: number;
  /** The store. A frame's words are at writable(pfn) .. +1023. */
  readonly words: Int32Array;
  /** The same store as bytes. */
  readonly bytes: Uint8Array;
  /** Frame to slot; 0 for a frame never written. Hot paths in mmu.ts read it directly. */
  readonly slotOf: Int32Array;
  private used = 1;

  /** @param nrFrames size of the physical address space in frames, 1..2^28 and more. */
  constructor(nrFrames: number) {
    assert(nrFrames > 0, 'PhysMem: at least one frame');
    this.nrFrames = nrFrames;
    this.slotOf = lazyTable(nrFrames);
    this.words = allocateStore(Math.min(nrFrames + 1, MAX_HOST_FRAMES));
    this.bytes = new Uint8Array(this.words.buffer);
  }

  /** Frames that the host stores so far. */
  get touchedFrames(): number {
    return this.used - 1;
  }

  /** Index of the frame's first word, for reading only: it may be the shared page of zeros. */
  readable(pfn: number): number {
    return this.slotOf[pfn] << 10;
  }

  /** Index of the frame's first word, for reading and writing; stays valid. */
  writable(pfn: number): number {
    const slot = this.slotOf[pfn];
    return (slot === 0 ? this.commit(pfn) : slot) << 10;
  }

  /** Makes the frame all zeros; a never-written frame is left unwritten. */
  zeroFrame(pfn: number): void {
    const slot = this.slotOf[pfn];
    if (slot !== 0) this.words.fill(0, slot << 10, (slot << 10) + PAGE_WORDS);
  }

  /** Copies a frame's 4096 bytes. */
  copyFrame(to: number, from: number): void {
    const source = this.slotOf[from];
    if (source === 0) {
      this.zeroFrame(to);
      return;
    }
    this.words.copyWithin(this.writable(to), source << 10, (source << 10) + PAGE_WORDS);
  }

  /** Fills a frame with one byte value. */
  fillFrame(pfn: number, byte: number): void {
    const at = this.writable(pfn) * 4;
    this.bytes.fill(byte, at, at + PAGE_SIZE);
  }

  /** The byte at an offset (0..4095) of a frame. */
  readByte(pfn: number, offset: number): number {
    return this.bytes[this.readable(pfn) * 4 + offset];
  }

  /** Writes one byte at an offset (0..4095) of a frame. */
  writeByte(pfn: number, offset: number, value: number): void {
    this.bytes[this.writable(pfn) * 4 + offset] = value;
  }

  /** Throws KernelBug where an invariant does not hold. O(nrFrames). */
  check(): void {
    const owner = new Int32Array(this.used).fill(-1);
    for (let pfn = 0; pfn < this.nrFrames; pfn++) {
      const slot = this.slotOf[pfn];
      if (slot === 0) continue;
      assert(slot > 0 && slot < this.used, `frame ${pfn}: slot ${slot} was never given out`);
      assert(owner[slot] === -1, `frames ${owner[slot]} and ${pfn} share slot ${slot}`);
      owner[slot] = pfn;
    }
    for (let i = 0; i < PAGE_WORDS; i++) assert(this.words[i] === 0, 'slot 0 is all zeros');
  }

  private commit(pfn: number): number {
    assert(pfn >= 0 && pfn < this.nrFrames, `frame ${pfn} is outside physical memory`);
    if (this.used * PAGE_WORDS >= this.words.length) {
      throw new HostMemoryExhausted(
        `the machine touched more than ${this.used - 1} frames, all that this host can store`,
      );
    }
    const slot = this.used++;
    this.slotOf[pfn] = slot;
    return slot;
  }
}

/**
 * A large table of zeros that the host commits page by page. In shared memory where there is any:
 * V8 reckons it to no heap, and so does not collect garbage (5 to 20 ms) because it was made. Not
 * for the store: fill() and copyWithin() of a page take four times as long in shared memory.
 */
export function lazyTable(length: number): Int32Array {
  if (typeof SharedArrayBuffer === 'undefined') return new Int32Array(length);
  return new Int32Array(new SharedArrayBuffer(length * 4));
}

/** As many frames as asked for, or halves of it where the host refuses. Committed on touch. */
function allocateStore(frames: number): Int32Array {
  for (let n = frames; ; n = Math.floor(n / 2)) {
    try {
      return new Int32Array(n * PAGE_WORDS);
    } catch (e) {
      if (!(e instanceof RangeError) || n < 4096) throw e;
    }
  }
}
