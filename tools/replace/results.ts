// Runs policies over a reference string, and finds Belady's anomaly in what they give.

import { POLICIES, policyNamed, type PolicyRow } from '../../kernel/reclaim/policies.ts';
import type { References } from '../../kernel/reclaim/policy.ts';
import { InputError } from '../../kernel/index.ts';
import { seeded } from './seeded.ts';

/** Faults of one policy, in the order of `frames`. */
export interface Curve {
  readonly policy: string;
  readonly faults: readonly number[];
}

export interface Results {
  readonly references: number;
  readonly pages: number;
  /** Frame counts, ascending. */
  readonly frames: readonly number[];
  readonly curves: readonly Curve[];
}

/** More frames, and more faults. */
export interface Anomaly {
  readonly policy: string;
  readonly frames: number;
  readonly faults: number;
  readonly moreFrames: number;
  readonly moreFaults: number;
}

/** `3,4,16-64:8`: single counts, ranges, ranges with a step. @throws InputError */
export function parseFrames(text: string): number[] {
  const found = new Set<number>();
  for (const part of text.split(',')) {
    const m = /^(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?$/.exec(part.trim());
    const first = Number(m?.[1] ?? 0);
    const last = Number(m?.[2] ?? first);
    const step = Number(m?.[3] ?? 1);
    if (first < 1 || last < first || step < 1 || last > 2 ** 28 || (last - first) / step > 4096) {
      throw new InputError('', `--frames ${text}: expected counts such as 3,4 or 16-64:8`);
    }
    for (let n = first; n <= last; n += step) found.add(n);
  }
  return [...found].sort((a, b) => a - b);
}

/** Names of policies, or `all`. @throws InputError */
export function parsePolicies(text: string): PolicyRow[] {
  if (text === 'all') return [...POLICIES];
  return [...new Set(text.split(',').map((name) => name.trim().toLowerCase()))].map((name) => {
    const row = policyNamed(name);
    if (row === undefined) {
      const known = POLICIES.map((p) => p.name).join(', ');
      throw new InputError('', `--policy ${name}: expected one of ${known}, all`);
    }
    return row;
  });
}

/** Runs every policy with every number of frames; each run starts from the same seed. */
export function runAll(
  refs: References,
  frames: readonly number[],
  policies: readonly PolicyRow[],
  seed: number,
): Results {
  const curves = policies.map((row) => ({
    policy: row.name,
    // As many frames as pages: each page faults once, whatever the policy.
    faults: frames.map((n) =>
      n >= refs.nrPages ? refs.nrPages : row.faults(refs, n, seeded(seed)),
    ),
  }));
  return { references: refs.pages.length, pages: refs.nrPages, frames, curves };
}

/** Each step to more frames that brought more faults. `random` is no policy to blame. */
export function anomalies(results: Results): Anomaly[] {
  const found: Anomaly[] = [];
  for (const { policy, faults } of results.curves) {
    if (policy === 'random') continue;
    for (let i = 1; i < faults.length; i++) {
      if (faults[i]! <= faults[i - 1]!) continue;
      found.push({
        policy,
        frames: results.frames[i - 1]!,
        faults: faults[i - 1]!,
        moreFrames: results.frames[i]!,
        moreFaults: faults[i]!,
      });
    }
  }
  return found;
}
