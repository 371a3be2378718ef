// First in, first out: the page that has been in memory for longest goes, used or not.
//
//     head (oldest) --> victim          tail <-- new pages
//
// The one classical policy here that shows Belady's anomaly: more frames may mean more faults.
// Source: L. A. Belady et al., "An anomaly in space-time characteristics of certain programs
// running in a paging machine", CACM 12 (1969).

import { scanBudget } from './budget.ts';
import type { PolicyContext, References, ReplacementPolicy, ScanControl } from './policy.ts';

export class Fifo implements ReplacementPolicy {
  readonly name = 'fifo';
  private readonly lists: PolicyContext['lists'];
  private readonly queue: number;
  private budget = 0;

  constructor(context: PolicyContext) {
    this.lists = context.lists;
    this.queue = context.lists.make(1);
  }

  get size(): number {
    return this.lists.length[this.queue];
  }

  onAdd(pfn: number): void {
    this.lists.pushTail(this.queue, pfn);
  }

  onRemove(pfn: number): void {
    this.lists.remove(this.queue, pfn);
  }

  begin(control: ScanControl): void {
    this.budget = scanBudget(this.size, control.priority);
  }

  pick(victims: Int32Array): number {
    const n = Math.min(victims.length, this.budget, this.size);
    if (n === 0) return -1;
    this.budget -= n;
    for (let i = 0; i < n; i++) {
      const pfn = this.lists.head[this.queue];
      this.lists.remove(this.queue, pfn);
      victims[i] = pfn;
    }
    return n;
  }

  onKeep(pfn: number): void {
    this.lists.pushTail(this.queue, pfn);
  }

  onEvict(): number {
    return 1;
  }

  check(): void {
    this.lists.check(this.queue);
  }
}

/** Faults of FIFO on a reference string: the class's victims, without its lists. */
export function fifo(refs: References, frames: number): number {
  const { pages } = refs;
  const resident = new Uint8Array(refs.nrPages);
  const queue = new Int32Array(frames);
  let used = 0;
  let oldest = 0;
  let faults = 0;
  for (let i = 0; i < pages.length; i++) {
    const page = pages[i];
    if (resident[page] !== 0) continue;
    faults++;
    if (used < frames) used++;
    else resident[queue[oldest]] = 0;
    queue[oldest] = page;
    resident[page] = 1;
    if (++oldest === frames) oldest = 0;
  }
  return faults;
}
