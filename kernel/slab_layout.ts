// How a slab cache of some object size is laid out: how many pages a slab has and how many objects.
//
// More pages a slab waste less at its end and are asked for less often, but are harder to get. So
// the least order is taken at which the waste is at most 1/16 of the slab, or 1/8, or 1/4, with at
// least `min_objects` objects, of which there are more on machines with more CPUs.
//
//     | red zone | object, free pointer in its middle | red zone | [pointer] | [tracks] |
//
// A slot holds the object and what debugging adds. The free pointer lies in the object's middle,
// out of reach of a small overrun from a neighbour; behind the object where its bytes must survive
// being free: with a constructor, with poison, with SLAB_TYPESAFE_BY_RCU.
// Source: Linux 6.1 mm/slub.c calculate_sizes(), calculate_order(), slab_order(), order_objects().

import {
  SLAB_HWCACHE,
  SLAB_POISON,
  SLAB_RED_ZONE,
  SLAB_STORE_USER,
  SLAB_TYPESAFE,
} from './caches.ts';
import { InputError } from './errors.ts';
import { MAX_ORDER, PAGE_SIZE, alignDown, alignUp } from './types.ts';
import { fls } from './watermarks.ts';

/** Slabs of higher order are made only for objects that need it (slub_max_order). */
export const SLUB_MAX_ORDER = 3;
/** An object's index in its slab has 15 bits. */
const MAX_OBJS_PER_PAGE = 32767;

/** Objects of `size` bytes in a slab of 2^order pages. */
export function orderObjects(order: number, size: number): number {
  return Math.floor((PAGE_SIZE * 2 ** order) / size);
}

/** Least order whose pages hold `bytes` (get_order()). */
export function orderOf(bytes: number): number {
  return fls(Math.ceil(bytes / PAGE_SIZE) - 1);
}

/**
 * Order of the slabs of a cache.
 * @param size bytes from one object to the next, 8..2^22.
 * @param cpus CPUs of the machine.
 * @returns 0..MAX_ORDER, or -1 where an object is larger than any block.
 */
export function calculateOrder(size: number, cpus: number): number {
  const most = orderObjects(SLUB_MAX_ORDER, size);
  for (let objects = Math.min(4 * (fls(cpus) + 1), most); objects > 1; objects--) {
    for (let fraction = 16; fraction >= 4; fraction /= 2) {
      const order = slabOrder(size, objects, SLUB_MAX_ORDER, fraction);
      if (order <= SLUB_MAX_ORDER) return order;
    }
  }
  const order = slabOrder(size, 1, SLUB_MAX_ORDER, 1);
  if (order <= SLUB_MAX_ORDER) return order;
  const large = slabOrder(size, 1, MAX_ORDER, 1);
  return large <= MAX_ORDER ? large : -1;
}

/** Least order with so many objects and at most 1/fraction wasted; above maxOrder for none. */
function slabOrder(size: number, objects: number, maxOrder: number, fraction: number): number {
  if (orderObjects(0, size) > MAX_OBJS_PER_PAGE) return orderOf(size * MAX_OBJS_PER_PAGE) - 1;
  let order = orderOf(objects * size);
  for (; order <= maxOrder; order++) {
    const bytes = PAGE_SIZE * 2 ** order;
    if (bytes % size <= bytes / fraction) break;
  }
  return order;
}

/** Where things lie in an object's slot. */
export interface CacheLayout {
  /** Bytes that the user has. */
  readonly objectSize: number;
  /** Bytes up to the free pointer or the tracks: the object and its right red zone. */
  readonly inuse: number;
  /** Bytes from one object to the next. */
  readonly size: number;
  readonly align: number;
  /** Of the free pointer, from the object's first byte. */
  readonly offset: number;
  /** Bytes of the red zone before the object. */
  readonly redLeft: number;
  /** Of the two records of who allocated and who freed it; -1 for none. */
  readonly track: number;
  readonly order: number;
  readonly objects: number;
  /** Order to fall back to where memory is short. */
  readonly minOrder: number;
}

const CACHE_LINE = 64;
/** Bytes of each of the two records of SLAB_STORE_USER (struct track). */
export const TRACK_SIZE = 32;

/**
 * Lays a cache's objects out (calculate_sizes()).
 * @param align asked for; a power of two.
 * @param keep the object's bytes must survive being free (constructor, SLAB_TYPESAFE_BY_RCU).
 * @throws InputError where an object does not fit into the largest block.
 */
export function layoutOf(
  objectSize: number,
  align: number,
  flags: number,
  keep: boolean,
  cpus: number,
): CacheLayout {
  const alignment = alignmentOf(objectSize, align, flags);
  let size = alignUp(objectSize, 8);
  const redZone = (flags & SLAB_RED_ZONE) !== 0;
  if (redZone && size === objectSize) size += 8;
  const inuse = size;
  let offset = alignDown(objectSize / 2, 8);
  if (keep || (flags & (SLAB_TYPESAFE | SLAB_POISON)) !== 0 || (redZone && objectSize < 8)) {
    offset = size;
    size += 8;
  }
  let track = -1;
  if ((flags & SLAB_STORE_USER) !== 0) {
    track = size;
    size += 2 * TRACK_SIZE;
  }
  let redLeft = 0;
  if (redZone) {
    redLeft = alignUp(8, alignment);
    size += 8 + redLeft;
  }
  size = alignUp(size, alignment);
  const order = calculateOrder(size, cpus);
  if (order < 0) throw new InputError('', `a slab object of ${objectSize} bytes: 4 MiB at most`);
  const objects = orderObjects(order, size);
  const minOrder = orderOf(size);
  return {
    objectSize,
    inuse,
    size,
    align: alignment,
    offset,
    redLeft,
    track,
    order,
    objects,
    minOrder,
  };
}

/** Cache-line alignment halves while two objects fit into a line (calculate_alignment()). */
function alignmentOf(size: number, align: number, flags: number): number {
  let most = align;
  if ((flags & SLAB_HWCACHE) !== 0) {
    let line = CACHE_LINE;
    while (size <= line / 2) line /= 2;
    most = Math.max(most, line);
  }
  return alignUp(Math.max(most, 8), 8);
}
