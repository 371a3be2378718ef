// Replacement policies on a Zipf-distributed reference string, against the same policies in C: a
// million pages, a tenth as many frames, four references a page.

import { policyNamed } from '../../kernel/reclaim/policies.ts';
import { REF_READ, type References } from '../../kernel/reclaim/policy.ts';
import type { BenchCase, Size, Subject } from './bench.ts';
import { Xorshift } from './xorshift.ts';

const SEED = 42;
const made = new Map<number, References>();

/** References to `nrPages` pages, the i-th most popular of them 1/i as often as the first. */
function zipf(nrPages: number): References {
  const before = made.get(nrPages);
  if (before !== undefined) return before;
  const sums = new Float64Array(nrPages);
  let sum = 0;
  for (let i = 0; i < nrPages; i++) sums[i] = sum += 1 / (i + 1);
  const random = new Xorshift(SEED);
  const pages = new Int32Array(4 * nrPages);
  for (let i = 0; i < pages.length; i++) {
    const u = (random.next() / 2 ** 32) * sum;
    let low = 0;
    let high = nrPages - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! < u) low = middle + 1;
      else high = middle;
    }
    pages[i] = (low * 700001) % nrPages;
  }
  const refs = { pages, kinds: new Uint8Array(pages.length).fill(REF_READ), nrPages };
  made.set(nrPages, refs);
  return refs;
}

function subject(policy: string, size: Size): Subject {
  const nrPages = size === 'small' ? 10_000 : 1_000_000;
  const refs = zipf(nrPages);
  const faults = policyNamed(policy)!.faults;
  const random = new Xorshift(SEED);
  return {
    ops: refs.pages.length,
    run: () => faults(refs, nrPages / 10, () => random.next() / 2 ** 32),
  };
}

export const cases: readonly BenchCase[] = ['lru', 'clock', 'fifo', 'arc'].map((policy) => ({
  name: `replace.${policy}`,
  what: `page replacement: ${policy.toUpperCase()} on a million pages in a tenth of the frames`,
  unit: 'requests/s',
  yardstick: `replace:${policy}`,
  goal: 0.4,
  stretch: 0.6,
  make: (size) => subject(policy, size),
}));
