// A pointer in memory: eight bytes, low word first; as a number, exact below 2^53.

/** The number that two words hold. */
export function pointerOf(lo: number, hi: number): number {
  return hi * 4294967296 + (lo >>> 0);
}

/** The high word of a user address; the low one is `va | 0`. */
export function hiWord(va: number): number {
  return (va / 4294967296) | 0;
}
