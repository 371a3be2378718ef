// How many frames one round of reclaim looks at.

/** 1/2^priority of `size` frames, but all of a small list in the last round, and 0 of none. */
export function scanBudget(size: number, priority: number): number {
  return Math.floor(size / 2 ** priority);
}
