// What Go's language and library allocate: strings, slices that grow by append, builders,
// formatting.
//
// Contents are the host's; one word in each 512 bytes is stored, so that pages are touched as the
// program touches them.
//
// Source: Go 1.26.8 src/runtime/slice.go (growslice, nextslicecap), msize.go (roundupsize),
// src/strings/builder.go, src/fmt/print.go.

import type { GoProgram } from './program.ts';

/** The capacity in bytes that a request of `bytes` without pointers really gets. */
export function roundUpSize(prog: GoProgram, bytes: number): number {
  const { classes } = prog.go.profile;
  if (bytes > prog.go.profile.maxSmallBytes) return Math.ceil(bytes / 8192) * 8192;
  if (bytes === 0) return 0;
  const c =
    bytes <= 1016 ? classes.by8[(bytes + 7) >> 3] : classes.by128[Math.ceil((bytes - 1024) / 128)];
  return classes.size[c];
}

/** The capacity that append gives a slice that has to hold `needed` elements. */
export function nextCap(needed: number, old: number): number {
  if (needed > old * 2) return needed;
  const threshold = 256;
  if (old < threshold) return old * 2;
  let cap = old;
  while (cap < needed) cap += (cap + 3 * threshold) >> 2;
  return cap;
}

/** Stores something in every 512 bytes of [from, to). */
export function touchBytes(prog: GoProgram, from: number, to: number): void {
  const { mem } = prog.go;
  for (let at = from - (from % 8); at < to; at += 512) mem.store32(at, 0x6f476f47);
}

/** A byte slice that grows by append; its array is in a stack slot. */
export class ByteSlice {
  length = 0;
  private capacity = 0;
  private readonly prog: GoProgram;
  private readonly slot: number;

  constructor(prog: GoProgram) {
    this.prog = prog;
    this.slot = prog.push(0);
  }

  get at(): number {
    return this.prog.slot(this.slot);
  }

  append(count: number): void {
    const { prog } = this;
    const needed = this.length + count;
    if (needed > this.capacity) {
      const capacity = roundUpSize(prog, nextCap(needed, this.capacity));
      const larger = prog.new(capacity);
      if (this.length > 0) prog.go.mem.copy(larger, this.at, this.length);
      prog.work(this.length * 0.1);
      prog.setSlot(this.slot, larger);
      this.capacity = capacity;
    }
    const from = this.at + this.length;
    if (from % 512 < count || from % 512 === 0) touchBytes(prog, from, from + count);
    this.length = needed;
  }
}

/** A string of `length` bytes on the heap. */
export function newString(prog: GoProgram, length: number): number {
  const at = prog.new(length);
  touchBytes(prog, at, at + length);
  return at;
}
