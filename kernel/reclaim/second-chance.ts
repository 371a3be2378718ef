// Second chance: a queue as in FIFO, but a page at its head that was used since it was last looked
// at goes to the tail as if it had just come.
//
// The same victims as Clock, told differently: there the hand moves and the pages stay. What is
// different here is where a page goes that could not be evicted: to the head, as it had its chance.
// Source: A. S. Tanenbaum, "Modern Operating Systems".

import { Clock } from './clock.ts';

export class SecondChance extends Clock {
  override readonly name = 'second-chance';

  override onKeep(pfn: number): void {
    this.lists.pushHead(this.ring, pfn);
  }
}
