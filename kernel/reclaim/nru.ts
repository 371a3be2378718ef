// Not recently used: a page of the lowest class goes.
//
//     class 0  neither used nor written      class 2  used
//           1  written                             3  used and written
//
// `Used` is forgotten at each tick; `written` until the page goes. A tick comes with every `size`
// victims, as there is no clock here that would be the same for all. Among equals the first in
// order of arrival goes.
// Source: A. S. Tanenbaum, "Modern Operating Systems", the algorithm of that name.

import { assert } from '../errors.ts';
import { scanBudget } from './budget.ts';
import type { PolicyContext, ReplacementPolicy, ScanControl } from './policy.ts';

export class Nru implements ReplacementPolicy {
  readonly name = 'nru';
  private readonly lists: PolicyContext['lists'];
  /** By frame: 1 where it was used since the last tick. */
  private readonly used: Uint8Array;
  private readonly queue: number;
  private budget = 0;
  private sinceTick = 0;

  constructor(context: PolicyContext) {
    this.lists = context.lists;
    this.used = context.note;
    this.queue = context.lists.make(1);
  }

  get size(): number {
    return this.lists.length[this.queue];
  }

  onAdd(pfn: number): void {
    this.used[pfn] = 1;
    this.lists.pushTail(this.queue, pfn);
  }

  onRemove(pfn: number): void {
    this.lists.remove(this.queue, pfn);
  }

  begin(control: ScanControl): void {
    this.budget = scanBudget(this.size, control.priority);
  }

  pick(victims: Int32Array, control: ScanControl): number {
    let n = 0;
    while (n < victims.length && this.budget > 0 && this.size > 0) {
      this.budget--;
      const pfn = this.lowest(control);
      this.lists.remove(this.queue, pfn);
      victims[n++] = pfn;
      if (++this.sinceTick >= this.size) this.tick();
    }
    return n > 0 ? n : -1;
  }

  onKeep(pfn: number): void {
    this.onAdd(pfn);
  }

  onEvict(): number {
    return 1;
  }

  check(): void {
    this.lists.check(this.queue);
  }

  /** The first frame of the lowest class. */
  private lowest(control: ScanControl): number {
    let best = -1;
    let bestClass = 4;
    for (let pfn = this.lists.head[this.queue]; pfn >= 0; pfn = this.lists.next(pfn)) {
      if (control.wasUsed(pfn) !== 0) this.used[pfn] = 1;
      const rank = this.used[pfn] * 2 + (control.isDirty(pfn) ? 1 : 0);
      if (rank >= bestClass) continue;
      best = pfn;
      bestClass = rank;
      if (rank === 0) break;
    }
    assert(best >= 0, 'nru: a list with members has a lowest one');
    return best;
  }

  private tick(): void {
    this.sinceTick = 0;
    for (let pfn = this.lists.head[this.queue]; pfn >= 0; pfn = this.lists.next(pfn)) {
      this.used[pfn] = 0;
    }
  }
}
