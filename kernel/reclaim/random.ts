// Random: any page goes, each with the same chance. What every policy has to beat.
//
// The frames lie in an array without order; a victim's place is filled with the last one. A frame
// finds its place through `at`.
// Invariant (check()): frames[at[pfn]] = pfn for every frame that is listed.

import { assert } from '../errors.ts';
import { below, type Prng } from '../prng.ts';
import { scanBudget } from './budget.ts';
import type { PolicyContext, ReplacementPolicy, ScanControl } from './policy.ts';

export class RandomPolicy implements ReplacementPolicy {
  readonly name = 'random';
  size = 0;
  private readonly prng: Prng;
  private frames = new Int32Array(64);
  private readonly at: Int32Array;
  private budget = 0;

  constructor(context: PolicyContext) {
    this.prng = context.prng;
    this.at = new Int32Array(context.pages.nrFrames);
  }

  onAdd(pfn: number): void {
    if (this.size === this.frames.length) {
      const grown = new Int32Array(2 * this.size);
      grown.set(this.frames);
      this.frames = grown;
    }
    this.at[pfn] = this.size;
    this.frames[this.size++] = pfn;
  }

  onRemove(pfn: number): void {
    const last = this.frames[--this.size];
    const place = this.at[pfn];
    this.frames[place] = last;
    this.at[last] = place;
  }

  begin(control: ScanControl): void {
    this.budget = scanBudget(this.size, control.priority);
  }

  pick(victims: Int32Array): number {
    const n = Math.min(victims.length, this.budget, this.size);
    if (n === 0) return -1;
    this.budget -= n;
    for (let i = 0; i < n; i++) {
      const pfn = this.frames[below(this.prng, this.size)];
      this.onRemove(pfn);
      victims[i] = pfn;
    }
    return n;
  }

  onKeep(pfn: number): void {
    this.onAdd(pfn);
  }

  onEvict(): number {
    return 1;
  }

  check(): void {
    for (let i = 0; i < this.size; i++) {
      assert(this.at[this.frames[i]] === i, `random: frame ${this.frames[i]} knows its place`);
    }
  }
}
