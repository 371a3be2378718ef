// What a seeded generator is, and pick, shuffle and chance on top of it.
//
// The kernel has no randomness of its own: tools/ and test/ hand in a generator (seedrandom), so
// that one seed gives one run. Everything that draws, draws through this file.

/** A generator of uniform doubles in [0, 1). seedrandom's instances are one. */
export type Prng = () => number;

/** A uniform integer in 0..n-1; n from 1 to 2^31. */
export function below(prng: Prng, n: number): number {
  return Math.floor(prng() * n);
}

/** One element of a non-empty list. */
export function pick<T>(prng: Prng, list: readonly T[]): T {
  return list[below(prng, list.length)];
}

/** True with probability p. */
export function chance(prng: Prng, p: number): boolean {
  return prng() < p;
}

/** Shuffles in place (Fisher-Yates) and returns its argument. */
export function shuffle<T>(prng: Prng, list: T[]): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = below(prng, i + 1);
    const t = list[i];
    list[i] = list[j];
    list[j] = t;
  }
  return list;
}
