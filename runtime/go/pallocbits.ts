// One chunk of the page heap: 512 pages as 512 bits, sixteen 32-bit words, 1 = in use.
//
// Functions over a word array and the index at which the sixteen words begin, so that they work on
// emulated memory in place. A run of free pages is described by three numbers, as summaries are:
// free pages at the start, the longest run, free pages at the end.
//
// Source: Go 1.26.8 src/runtime/mpallocbits.go.

export const CHUNK_PAGES = 512;
export const CHUNK_BITS_WORDS = 16;

/** Sets bits [first, first + count). */
export function setRange(words: Int32Array, at: number, first: number, count: number): void {
  for (let i = first; count > 0;) {
    const bit = i & 31;
    const n = Math.min(count, 32 - bit);
    words[at + (i >> 5)] |= maskOf(bit, n);
    i += n;
    count -= n;
  }
}

/** Clears bits [first, first + count). */
export function clearRange(words: Int32Array, at: number, first: number, count: number): void {
  for (let i = first; count > 0;) {
    const bit = i & 31;
    const n = Math.min(count, 32 - bit);
    words[at + (i >> 5)] &= ~maskOf(bit, n);
    i += n;
    count -= n;
  }
}

/** Set bits among [first, first + count). */
export function countRange(words: Int32Array, at: number, first: number, count: number): number {
  let sum = 0;
  for (let i = first; count > 0;) {
    const bit = i & 31;
    const n = Math.min(count, 32 - bit);
    sum += popcount(words[at + (i >> 5)] & maskOf(bit, n));
    i += n;
    count -= n;
  }
  return sum;
}

/** `n` ones from bit `bit`, n 1..32. */
export function maskOf(bit: number, n: number): number {
  return n === 32 ? -1 : ((1 << n) - 1) << bit;
}

export function popcount(x: number): number {
  x -= (x >>> 1) & 0x55555555;
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  x = (x + (x >>> 4)) & 0x0f0f0f0f;
  return Math.imul(x, 0x01010101) >>> 24;
}

/** Trailing zero bits; 32 for 0. */
export function ctz(x: number): number {
  return x === 0 ? 32 : 31 - Math.clz32(x & -x);
}

/** Where `find` left its second result: the first free page that it saw, or -1. */
export const found = { firstFree: -1 };

/**
 * First run of `npages` zero bits at or after the 64-page group of `from`.
 * @returns its first page, or -1; found.firstFree is the first free page from there on.
 */
export function find(words: Int32Array, at: number, npages: number, from: number): number {
  found.firstFree = -1;
  let start = -1;
  for (let i = from & ~63; i < CHUNK_PAGES;) {
    const word = words[at + (i >> 5)];
    const bit = i & 31;
    if (bit === 0 && word === -1) {
      start = -1;
      i += 32;
      continue;
    }
    if ((word & (1 << bit)) !== 0) {
      start = -1;
      i += Math.max(1, ctz(~(word >>> bit)));
      continue;
    }
    if (found.firstFree < 0) found.firstFree = i;
    if (start < 0) start = i;
    // Free pages from here to the next used one, or to the end of the word.
    const run = Math.min(32 - bit, ctz(word >>> bit));
    i += run;
    if (i - start >= npages) return start;
  }
  return -1;
}

/** The three numbers of a chunk. Reused: read before the next call. */
export const sum = { start: 0, max: 0, end: 0 };

export function summarize(words: Int32Array, at: number): void {
  let run = 0;
  let max = 0;
  let start = -1;
  for (let i = 0; i < CHUNK_BITS_WORDS; i++) {
    const word = words[at + i];
    if (word === 0) {
      run += 32;
      continue;
    }
    for (let bit = 0; bit < 32;) {
      const rest = word >>> bit;
      if ((rest & 1) === 0) {
        const n = Math.min(32 - bit, ctz(rest));
        run += n;
        bit += n;
        continue;
      }
      if (start < 0) start = run;
      if (run > max) max = run;
      run = 0;
      bit += Math.min(32 - bit, ctz(~rest));
    }
  }
  sum.start = start < 0 ? CHUNK_PAGES : start;
  sum.max = Math.max(max, run);
  sum.end = run;
}
