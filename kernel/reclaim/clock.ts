// Clock: a ring of frames and a hand. A page that was used since the hand last came by is passed
// over, once; the first one that was not is replaced where it stands.
//
//            used            hand --> [1] [0] [1] …    bits by frame
//        [1]      [0]        the hand clears the 1 and moves on, and takes the 0
//
// On a reference string the ring is an array and the hand an index. In a kernel the ring is a list
// through mem_map: the hand is the list's head, passing over a frame moves it to the tail, and a
// new page enters just behind the hand. Both give the same victims.
// Source: F. J. Corbató, "A paging experiment with the Multics system" (1968).

import { scanBudget } from './budget.ts';
import type { PolicyContext, References, ReplacementPolicy, ScanControl } from './policy.ts';

export class Clock implements ReplacementPolicy {
  readonly name: string = 'clock';
  protected readonly lists: PolicyContext['lists'];
  protected readonly ring: number;
  private budget = 0;

  constructor(context: PolicyContext) {
    this.lists = context.lists;
    this.ring = context.lists.make(1);
  }

  get size(): number {
    return this.lists.length[this.ring];
  }

  onAdd(pfn: number): void {
    this.lists.pushTail(this.ring, pfn);
  }

  onRemove(pfn: number): void {
    this.lists.remove(this.ring, pfn);
  }

  begin(control: ScanControl): void {
    // Twice around, so that the last round finds a victim even where all were used.
    this.budget = scanBudget(2 * this.size, control.priority);
  }

  pick(victims: Int32Array, control: ScanControl): number {
    const { lists, ring } = this;
    let n = 0;
    while (n < victims.length && this.budget > 0 && lists.length[ring] > 0) {
      this.budget--;
      const pfn = lists.head[ring];
      if (control.wasUsed(pfn) !== 0) lists.moveToTail(ring, ring, pfn);
      else {
        lists.remove(ring, pfn);
        victims[n++] = pfn;
      }
    }
    return n > 0 ? n : -1;
  }

  onKeep(pfn: number): void {
    this.lists.pushTail(this.ring, pfn);
  }

  onEvict(): number {
    return 1;
  }

  check(): void {
    this.lists.check(this.ring);
  }
}

const RESIDENT = 1;
const USED = 2;

/** Faults of CLOCK on a reference string: the class's victims, without its list. */
export function clock(refs: References, frames: number): number {
  const { pages } = refs;
  const state = new Uint8Array(refs.nrPages);
  const ringOf = new Int32Array(frames);
  let used = 0;
  let hand = 0;
  let faults = 0;
  for (let i = 0; i < pages.length; i++) {
    const page = pages[i];
    if (state[page] !== 0) {
      state[page] = USED;
      continue;
    }
    faults++;
    if (used < frames) used++;
    else {
      while (state[ringOf[hand]] === USED) {
        state[ringOf[hand]] = RESIDENT;
        if (++hand === frames) hand = 0;
      }
      state[ringOf[hand]] = 0;
    }
    ringOf[hand] = page;
    state[page] = USED; // the access that loads it uses it
    if (++hand === frames) hand = 0;
  }
  return faults;
}
