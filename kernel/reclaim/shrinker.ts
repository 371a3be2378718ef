// Shrinkers: caches of objects that give some up when memory runs short, beside the pages.
//
// Each round of reclaim asks each shrinker how many objects could go and presses it as hard as it
// presses the pages, twice as hard for objects that a disk must be read for again (seeks 2):
//
//     delta = (count >> priority) * 4 / seeks;   scan = deferred >> priority, plus delta
//
// Only whole batches are scanned, or all there is; what was not is deferred to a later round.
// Invariant: 0 <= deferred, and at most twice the count of the last round.
// Source: Linux 6.18 mm/shrinker.c do_shrink_slab(), shrink_slab().
// Not modelled: a count of its own for each node and memory group.

import { SLABS_SCANNED, type VmStat } from '../stats.ts';

/** Objects scanned at once where a shrinker does not say (SHRINK_BATCH). */
const SHRINK_BATCH = 128;

/** A cache that can shrink. Implemented by whoever owns the objects. */
export interface Shrinker {
  readonly name: string;
  /** What one object costs to make again, in disk seeks; 2 where nothing is known. */
  readonly seeks: number;
  /** Objects scanned at once; SHRINK_BATCH where it is absent. */
  readonly batch?: number;
  /** Objects that could be freed. */
  count(): number;
  /** Looks at up to `n` objects, the longest unused first. @returns how many were freed. */
  scan(n: number): number;
}

export class Shrinkers {
  private readonly stat: VmStat;
  private readonly all: { readonly shrinker: Shrinker; deferred: number }[] = [];

  constructor(stat: VmStat) {
    this.stat = stat;
  }

  /** Adds a shrinker; it is asked from the next round on. */
  register(shrinker: Shrinker): void {
    this.all.push({ shrinker, deferred: 0 });
  }

  /** One round. @param priority 12 (gently) .. 0 (all). @returns objects freed. */
  shrink(priority: number): number {
    let freed = 0;
    for (const entry of this.all) freed += this.shrinkOne(entry, priority);
    return freed;
  }

  private shrinkOne(entry: { shrinker: Shrinker; deferred: number }, priority: number): number {
    const { shrinker } = entry;
    const count = shrinker.count();
    if (count === 0) return 0;
    const delta = Math.floor((Math.floor(count / 2 ** priority) * 4) / shrinker.seeks);
    const batch = shrinker.batch ?? SHRINK_BATCH;
    const waiting = entry.deferred;
    let left = Math.min(Math.floor(waiting / 2 ** priority) + delta, 2 * count);
    let scanned = 0;
    let freed = 0;
    while (left >= batch || left >= count) {
      const n = Math.min(batch, left);
      freed += shrinker.scan(n);
      this.stat.counts[SLABS_SCANNED] += n;
      scanned += n;
      left -= n;
    }
    entry.deferred = Math.min(Math.max(0, waiting + delta - scanned), 2 * count);
    return freed;
  }
}
