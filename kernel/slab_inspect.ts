// Looking at a slab cache from outside: its slabs, its objects, and whether all of it is sound.
// Nothing here changes a cache.
// Source: Linux 6.1 mm/slub.c get_slabinfo(), validate_slab_cache().

import { KernelBug, assert } from './errors.ts';
import { PAGE_INDEX, PAGE_NEXT, PAGE_OWNER, PAGE_RECORD, PG_slab } from './page.ts';
import type { SlabCache } from './slab.ts';
import { NR_PARTIAL_OF_CPU, PARTIAL_OF_CPU, SLAB_OF_CPU, WORDS_OF_CPU } from './slab_places.ts';
import { PAGE_SIZE, type PhysAddr } from './types.ts';

/** An object of a cache. */
export interface SlabObject {
  readonly object: PhysAddr;
  /** Handed out, or free. */
  readonly allocated: boolean;
  /** Number in its slab, and the slab's first frame. */
  readonly index: number;
  readonly slab: number;
}

/** Calls `visit` with the first frame of each slab. */
export function forEachSlab(cache: SlabCache, visit: (slab: number) => void): void {
  for (const slab of cache.places.all) visit(slab);
}

/** Free objects in the nodes' partial slabs: what slabinfo counts as not active. */
export function freeInPartial(cache: SlabCache): number {
  let free = 0;
  for (let node = 0; node < cache.heap.nrNodes; node++) {
    for (const slab of cache.places.partialSlabs(node)) {
      free += cache.slabs.objectsOf(slab) - cache.slabs.inUseOf(slab);
    }
  }
  return free;
}

/** Objects handed out and not yet given back. O(slabs and free objects). */
export function objectsInUse(cache: SlabCache): number {
  let inUse = 0;
  forEachSlab(cache, (slab) => {
    inUse += cache.slabs.inUseOf(slab);
  });
  for (let c = 0; c < cache.cpus.length; c += WORDS_OF_CPU) inUse -= cache.nrCpuFree(c);
  return inUse;
}

/**
 * The object that an address lies in; undefined where it is in no object of this cache. O(free
 * objects of its slab).
 */
export function objectOf(cache: SlabCache, address: number): SlabObject | undefined {
  const { pages } = cache.heap.alloc;
  const slab = pages.head(Math.floor(address / PAGE_SIZE));
  if (!pages.hasFlags(slab, PG_slab) || pages.owner(slab) !== cache.id) return undefined;
  const index = Math.floor((address - slab * PAGE_SIZE) / cache.layout.size);
  if (index >= cache.slabs.objectsOf(slab)) return undefined;
  const object = cache.slabs.objectAt(slab, index);
  let free = cache.slabs.chain(cache.slabs.firstFree(slab), slab).includes(object);
  for (let c = 0; c < cache.cpus.length; c += WORDS_OF_CPU) {
    if (cache.cpus[c + SLAB_OF_CPU] === slab && cache.cpuFree(c).includes(object)) free = true;
  }
  return { object, allocated: !free, index, slab };
}

/**
 * Throws KernelBug where an invariant of slab.ts does not hold. O(all objects).
 * @param bytesOf the one slab whose red zones and poison are looked at; all where it is absent.
 */
export function checkCache(cache: SlabCache, bytesOf?: number): void {
  const words = cache.heap.alloc.pages.words;
  const waiting = new Set<number>();
  const wait = (slab: number, frozen: boolean): void => {
    if (waiting.has(slab)) broken(cache, slab, 'is in two places');
    const isFrozen = words[slab * PAGE_RECORD + PAGE_INDEX] < 0;
    if (isFrozen !== frozen)
      broken(cache, slab, 'is to be frozen where a CPU has it, and there alone');
    waiting.add(slab);
  };
  for (let node = 0; node < cache.heap.nrNodes; node++) {
    cache.heap.lists.check(cache.places.firstPartial + node, (slab) => wait(slab, false));
  }
  for (let c = 0; c < cache.cpus.length; c += WORDS_OF_CPU) checkCpu(cache, c, wait);
  let nrObjects = 0;
  for (const slab of cache.places.all) {
    const at = slab * PAGE_RECORD;
    if ((words[at] & PG_slab) === 0) broken(cache, slab, 'has no PG_slab');
    if (words[at + PAGE_OWNER] !== cache.id) broken(cache, slab, 'belongs to another cache');
    const first = cache.slabs.firstFree(slab);
    const free = cache.slabs.chainLength(first, slab);
    const expected = cache.slabs.objectsOf(slab) - cache.slabs.inUseOf(slab);
    if (free !== expected) broken(cache, slab, `has ${free} free objects, not ${expected}`);
    if (!waiting.delete(slab) && expected > 0) {
      broken(cache, slab, 'has free objects and waits nowhere');
    }
    if (cache.debug !== null && (bytesOf === undefined || bytesOf === slab)) {
      cache.debug.checkSlab(slab, cache.slabs.chain(first, slab));
    }
    nrObjects += cache.slabs.objectsOf(slab);
  }
  const { name, nrSlabs } = cache;
  assert(waiting.size === 0, `${name}: a slab waits that is none of its`);
  assert(cache.places.all.size === nrSlabs, `${name}: ${nrSlabs} slabs counted`);
  assert(nrObjects === cache.nrObjects, `${name}: ${nrObjects} objects, not ${cache.nrObjects}`);
}

function checkCpu(
  cache: SlabCache,
  c: number,
  wait: (slab: number, frozen: boolean) => void,
): void {
  const { cpus, name } = cache;
  const words = cache.heap.alloc.pages.words;
  const free = cache.nrCpuFree(c); // throws where the chain leaves the slab
  const own = cpus[c + SLAB_OF_CPU];
  assert(own >= 0 || free === 0, `${name}: free objects of a CPU without a slab`);
  if (own >= 0) wait(own, true);
  let queued = 0;
  let slab = cpus[c + PARTIAL_OF_CPU];
  for (; slab >= 0; slab = words[slab * PAGE_RECORD + PAGE_NEXT]) {
    wait(slab, true);
    queued++;
  }
  const counted = cpus[c + NR_PARTIAL_OF_CPU];
  assert(queued === counted, `${name}: ${queued} partial slabs of a CPU, not ${counted}`);
}

function broken(cache: SlabCache, slab: number, what: string): never {
  throw new KernelBug(`slab ${slab} of ${cache.name} ${what}`);
}
