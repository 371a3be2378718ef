// Ranges as programs pass them: an address and a length, each any 64-bit value.
//
// They arrive as registers' values (syscall.ts): numbers of the upper half of 64 bits are negative.

/** Does `start + bytes` pass 2^64? */
export function wrapsRound(start: number, bytes: number): boolean {
  if (start >= 0 && bytes >= 0) return false;
  return (start < 0 && bytes < 0) || start + bytes >= 0;
}

/** Where a range that starts in the lower half ends; Infinity where that is in the upper half. */
export function rangeEnd(start: number, bytes: number): number {
  return bytes < 0 ? Infinity : start + bytes;
}
