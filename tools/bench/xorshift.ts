// Marsaglia's xorshift32: the yardsticks in C draw the same numbers from the same seed.

export class Xorshift {
  private state: number;

  /** @param seed not 0. */
  constructor(seed: number) {
    this.state = seed;
  }

  /** 1..2^32-1. */
  next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return x >>> 0;
  }
}
