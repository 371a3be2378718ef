// Slab caches as plain data, down to the objects of one slab.

import { forEachSlab, freeInPartial, objectsInUse } from '../../kernel/slab_inspect.ts';
import { SLAB_OF_CPU, WORDS_OF_CPU } from '../../kernel/slab_places.ts';
import type { SlabCache } from '../../kernel/slab.ts';
import { PAGE_SIZE } from '../../kernel/types.ts';
import type { Subject } from './subject.ts';

export interface CacheView {
  readonly name: string;
  readonly size: number;
  readonly order: number;
  readonly perSlab: number;
  readonly slabs: number;
  readonly objects: number;
  readonly used: number;
  readonly partialFree: number;
  readonly bytes: number;
}

/** Every cache that has a slab. O(slabs and free objects). */
export function slabView(subject: Subject): CacheView[] {
  return subject.system.machine.slab.caches
    .filter((cache) => cache.nrSlabs > 0)
    .map((cache) => ({
      name: cache.name,
      size: cache.layout.size,
      order: cache.layout.order,
      perSlab: cache.layout.objects,
      slabs: cache.nrSlabs,
      objects: cache.nrObjects,
      used: objectsInUse(cache),
      partialFree: freeInPartial(cache),
      bytes: cache.nrSlabs * PAGE_SIZE * 2 ** cache.layout.order,
    }))
    .sort((a, b) => b.bytes - a.bytes);
}

export interface SlabDetail {
  /** First frame. */
  readonly pfn: number;
  readonly frames: number;
  /** 1 for each object that is handed out. */
  readonly objects: Uint8Array<ArrayBuffer>;
  /** Bytes from the slab's start to the first object. */
  readonly first: number;
  /** A CPU allocates from it now. */
  readonly onCpu: boolean;
}

const MOST_SLABS = 256;

/** The slabs of one cache, MOST_SLABS at the most; none where there is no such cache. */
export function slabDetail(subject: Subject, name: string): SlabDetail[] {
  const { slab, pages } = subject.system.machine;
  const cache = slab.caches.find((c) => c.name === name);
  const found: SlabDetail[] = [];
  if (cache === undefined) return found;
  const cpus = cpuSlabs(cache);
  forEachSlab(cache, (pfn) => {
    if (found.length >= MOST_SLABS) return;
    const objects = new Uint8Array(cache.slabs.objectsOf(pfn)).fill(1);
    const free = cache.slabs.chain(cache.slabs.firstFree(pfn), pfn);
    const own = cpus.get(pfn);
    const start = pfn * PAGE_SIZE + cache.layout.redLeft;
    for (const at of own === undefined ? free : [...free, ...own]) {
      objects[Math.floor((at - start) / cache.layout.size)] = 0;
    }
    found.push({
      pfn,
      frames: 2 ** pages.compoundOrder(pfn),
      objects,
      first: cache.layout.redLeft,
      onCpu: own !== undefined,
    });
  });
  return found.sort((a, b) => a.pfn - b.pfn);
}

/** The slabs that CPUs allocate from, and the objects that are free in them. */
function cpuSlabs(cache: SlabCache): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (let c = 0; c < cache.cpus.length; c += WORDS_OF_CPU) {
    const slab = cache.cpus[c + SLAB_OF_CPU] ?? -1;
    if (slab >= 0) found.set(slab, cache.cpuFree(c));
  }
  return found;
}
