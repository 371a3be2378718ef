// How a slab cache of some object size is laid out: how many pages a slab has and how many objects.
//
// More pages a slab waste less at its end and are asked for less often, but are harder to get. So
// the least order is taken at which the waste is at most 1/16 of the slab, or 1/8, or 1/4, with at
// least `min_objects` objects, of which there are more on machines with more CPUs.
// Source: Linux 6.1 mm/slub.c calculate_order(), slab_order(), order_objects().

import { MAX_ORDER, PAGE_SIZE } from './types.ts';
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
