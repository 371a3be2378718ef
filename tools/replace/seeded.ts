// A generator from a number: seedrandom behind the kernel's Prng.

import seedrandom from 'seedrandom';
import type { Prng } from '../../kernel/prng.ts';

/** The same seed gives the same draws. */
export function seeded(seed: number): Prng {
  return seedrandom.alea(String(seed));
}
