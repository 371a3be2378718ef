// The table of replacement policies: name -> policy. The command line and the explorer read it.

import type { Prng } from '../prng.ts';
import { arc } from './arc.ts';
import { Clock, clock } from './clock.ts';
import { Fifo, fifo } from './fifo.ts';
import { faultsOf } from './frame-cache.ts';
import { lfu } from './lfu.ts';
import { lru } from './lru.ts';
import { MgLru } from './mglru.ts';
import { Nru } from './nru.ts';
import { opt } from './opt.ts';
import type { MakePolicy, ReferencePolicy, References } from './policy.ts';
import { RandomPolicy } from './random.ts';
import { s3Fifo } from './s3-fifo.ts';
import { SecondChance } from './second-chance.ts';
import { sieve } from './sieve.ts';
import { makeTwoList } from './two-list.ts';
import { twoQueue } from './two-queue.ts';

export interface PolicyRow {
  readonly name: string;
  /** What it does, in a few words. */
  readonly about: string;
  /** Faults of a reference string in `frames` frames, empty at the start. */
  readonly faults: (refs: References, frames: number, prng: Prng) => number;
  /** Policies that decide by accessed bits can run a kernel's reclaim too. */
  readonly make: MakePolicy | undefined;
}

/** A policy that decides by accessed bits. */
function byBits(name: string, about: string, make: MakePolicy): PolicyRow {
  return { name, about, make, faults: (refs, frames, prng) => faultsOf(make, refs, frames, prng) };
}

/** A policy that decides by accessed bits, with a loop of its own for reference strings. */
function byBoth(name: string, about: string, make: MakePolicy, faults: ReferencePolicy): PolicyRow {
  return { name, about, make, faults };
}

/** A policy that sees each reference. */
function byReference(name: string, about: string, faults: ReferencePolicy): PolicyRow {
  return { name, about, make: undefined, faults };
}

export const POLICIES: readonly PolicyRow[] = [
  byBoth('fifo', 'first in, first out', (c) => new Fifo(c), fifo),
  byReference('lru', 'least recently used, exactly', lru),
  byBoth('clock', 'a hand that passes over used pages once', (c) => new Clock(c), clock),
  byBits('second-chance', 'FIFO, but used pages go round again', (c) => new SecondChance(c)),
  byBits('nru', 'not recently used: lowest of four classes', (c) => new Nru(c)),
  byReference('lfu', 'least frequently used', lfu),
  byReference('2q', 'hot only when it came back', twoQueue),
  byReference('arc', 'adaptive: recency against frequency', arc),
  byReference('s3-fifo', 'three FIFO queues', s3Fifo),
  byReference('sieve', 'a queue and a sifting hand', sieve),
  byBits('mglru', "generations, Linux's multi-gen LRU", (c) => new MgLru(c)),
  byBits('two-list', "Linux's active and inactive lists", makeTwoList),
  byReference('opt', 'knows the future: the lower bound', opt),
  byBits('random', 'any page', (c) => new RandomPolicy(c)),
];

/** The row of a name, undefined where there is none. */
export function policyNamed(name: string): PolicyRow | undefined {
  return POLICIES.find((row) => row.name === name);
}
