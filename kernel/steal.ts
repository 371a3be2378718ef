// What happens when a migrate type has no free block left: another type's are taken.
//
// Taking a few frames out of a foreign pageblock mixes movable with unmovable pages, and then the
// block can never again be freed as a whole. So, in this order:
//   claim  take over the largest foreign free block: a whole pageblock changes its type, or a part
//          of one does where most of it is free or already of the wanted kind;
//   steal  failing that, take the smallest foreign block that fits and leave its pageblock.
// Each claim of part of a pageblock boosts the zone's watermarks, so that reclaim makes room.
//
// HighAtomic pageblocks are set aside (at most 1 % of a zone) when an atomic allocation of higher
// order had to be served, and given back when memory gets tight.
// Source: Linux 6.18 mm/page_alloc.c, __rmqueue_claim(), try_to_claim_block(), __rmqueue_steal(),
// boost_watermark(), reserve_highatomic_pageblock(), unreserve_highatomic_pageblock().

import { PAGEBLOCK_ORDER, PAGEBLOCK_PAGES } from './free_tables.ts';
import {
  MIGRATE_CMA,
  MIGRATE_FALLBACKS,
  MIGRATE_HIGHATOMIC,
  MIGRATE_MOVABLE,
  MIGRATE_RECLAIMABLE,
  MIGRATE_UNMOVABLE,
} from './migrate_type.ts';
import { PAGE_OWNER, PAGE_RECORD, PG_buddy, PG_lru } from './page.ts';
import { MAX_ORDER, NO_PFN, type Pfn } from './types.ts';
import { ALLOC_CMA, ALLOC_KSWAPD, ALLOC_NOFRAGMENT, WMARK_HIGH, type Zone } from './zone.ts';

/** How much a claim may raise the watermarks: 15000 is one and a half times `high`. */
const WATERMARK_BOOST_FACTOR = 15000;

/** Takes a block of `type` from a zone, from other types where needed (__rmqueue()). */
export function takeBlock(zone: Zone, order: number, type: number, allocFlags: number): Pfn {
  const buddy = zone.buddy;
  const mayCma = (allocFlags & ALLOC_CMA) !== 0;
  if (mayCma && buddy.freeCma > buddy.freePages / 2) {
    const pfn = buddy.take(order, MIGRATE_CMA);
    if (pfn >= 0) return pfn;
  }
  let pfn = buddy.take(order, type);
  if (pfn >= 0) return pfn;
  if (mayCma) {
    pfn = buddy.take(order, MIGRATE_CMA);
    if (pfn >= 0) return pfn;
  }
  if (type >= MIGRATE_HIGHATOMIC) return NO_PFN;
  pfn = claim(zone, order, type, allocFlags);
  if (pfn >= 0 || (allocFlags & ALLOC_NOFRAGMENT) !== 0) return pfn;
  return steal(zone, order, type);
}

/** Takes over the largest foreign block (__rmqueue_claim()). */
function claim(zone: Zone, order: number, type: number, allocFlags: number): Pfn {
  const noFragment = order < PAGEBLOCK_ORDER && (allocFlags & ALLOC_NOFRAGMENT) !== 0;
  const smallest = noFragment ? PAGEBLOCK_ORDER : order;
  for (let from = MAX_ORDER; from >= smallest; from--) {
    if (!worthClaiming(zone, from, type)) break;
    const other = fallbackType(zone, from, type);
    if (other < 0) continue;
    const pfn = claimBlock(zone, from, order, type, other, allocFlags);
    if (pfn >= 0) return pfn;
  }
  return NO_PFN;
}

/** The smallest foreign block that fits, its pageblock left as it is (__rmqueue_steal()). */
function steal(zone: Zone, order: number, type: number): Pfn {
  for (let from = order; from <= MAX_ORDER; from++) {
    const other = fallbackType(zone, from, type);
    if (other >= 0) return zone.buddy.take(order, other);
  }
  return NO_PFN;
}

/** First fallback type with a free block of this order; -1 where none has one. */
function fallbackType(zone: Zone, order: number, type: number): number {
  const first = MIGRATE_FALLBACKS[type * 2];
  if (!zone.buddy.isEmpty(order, first)) return first;
  const second = MIGRATE_FALLBACKS[type * 2 + 1];
  return zone.buddy.isEmpty(order, second) ? -1 : second;
}

/** Unmovable pages pollute a block for good, so they rather take all of it. */
function worthClaiming(zone: Zone, order: number, type: number): boolean {
  if (order >= PAGEBLOCK_ORDER >> 1) return true;
  return type === MIGRATE_RECLAIMABLE || type === MIGRATE_UNMOVABLE || !zone.groupByMobility;
}

function claimBlock(
  zone: Zone,
  from: number,
  order: number,
  type: number,
  other: number,
  allocFlags: number,
): Pfn {
  const buddy = zone.buddy;
  const pfn = buddy.first(from, other);
  if (from >= PAGEBLOCK_ORDER) {
    buddy.unlink(pfn, from, other);
    setBlockTypes(zone, pfn, 1 << from, type);
    buddy.expand(pfn, order, from, type);
    return pfn;
  }
  if (boostWatermark(zone) && (allocFlags & ALLOC_KSWAPD) !== 0) zone.boosted = true;
  const start = pfn - (pfn & (PAGEBLOCK_PAGES - 1));
  // a block that reaches out of the zone stays as it is
  if (start < zone.startPfn || start + PAGEBLOCK_PAGES > zone.endPfn) return NO_PFN;
  const { free, movable } = countBlock(zone, start);
  let alike = 0;
  if (type === MIGRATE_MOVABLE) alike = movable;
  else if (other === MIGRATE_MOVABLE) alike = PAGEBLOCK_PAGES - (free + movable);
  if (free + alike < 1 << (PAGEBLOCK_ORDER - 1) && zone.groupByMobility) return NO_PFN;
  moveFreeBlocks(zone, start, other, type);
  return buddy.take(order, type);
}

/** Free and movable frames of a pageblock (prep_move_freepages_block()). */
function countBlock(zone: Zone, start: number): { free: number; movable: number } {
  const { tables } = zone.buddy;
  const words = tables.pages.words;
  let free = 0;
  let movable = 0;
  for (let pfn = start; pfn < start + PAGEBLOCK_PAGES;) {
    const order = tables.freeOrder(pfn);
    if (order >= 0) {
      free += 1 << order;
      pfn += 1 << order;
      continue;
    }
    if (isMovable(words, pfn)) movable++;
    pfn++;
  }
  return { free, movable };
}

/** Pages on an LRU list, or on their way to one, can be moved by copying them. */
function isMovable(words: Int32Array, pfn: number): boolean {
  const at = pfn * PAGE_RECORD;
  return (words[at] & PG_lru) !== 0 && (words[at] & PG_buddy) === 0 && words[at + PAGE_OWNER] !== 0;
}

/**
 * Gives a pageblock another type and moves its free blocks to the lists of that type
 * (__move_freepages_block()). No free block may reach across its end.
 */
export function moveFreeBlocks(zone: Zone, start: number, from: number, to: number): void {
  const { tables } = zone.buddy;
  tables.setType(start, to);
  for (let pfn = start; pfn < start + PAGEBLOCK_PAGES;) {
    const order = tables.freeOrder(pfn);
    if (order < 0) {
      pfn++;
      continue;
    }
    zone.buddy.unlink(pfn, order, from);
    if (order < PAGEBLOCK_ORDER) zone.buddy.link(pfn, order, to, false);
    else zone.buddy.release(pfn, order); // may merge with its neighbour now
    pfn += 1 << order;
  }
}

function setBlockTypes(zone: Zone, pfn: number, frames: number, type: number): void {
  const { tables } = zone.buddy;
  for (let p = pfn; p < pfn + frames; p += PAGEBLOCK_PAGES) tables.setType(p, type);
}

/** Raises the watermarks by a pageblock, up to the limit; false where the zone is too small. */
function boostWatermark(zone: Zone): boolean {
  if (PAGEBLOCK_PAGES * 4 > zone.managed) return false;
  let most = Math.floor((zone.watermark[WMARK_HIGH] * WATERMARK_BOOST_FACTOR) / 10000);
  if (most === 0) return false;
  most = Math.max(most, PAGEBLOCK_PAGES);
  zone.boost = Math.min(zone.boost + PAGEBLOCK_PAGES, most);
  return true;
}

/** Sets the pageblock of a block just allocated aside for atomic allocations. */
export function reserveHighAtomic(zone: Zone, pfn: number, order: number): void {
  if (Math.floor(zone.managed / 100) < PAGEBLOCK_PAGES) return;
  const most = Math.ceil(Math.floor(zone.managed / 100) / PAGEBLOCK_PAGES) * PAGEBLOCK_PAGES;
  if (zone.highAtomic >= most) return;
  const type = zone.buddy.tables.typeOf(pfn);
  if (type >= MIGRATE_HIGHATOMIC) return;
  if (order < PAGEBLOCK_ORDER) {
    const start = pfn - (pfn & (PAGEBLOCK_PAGES - 1));
    moveFreeBlocks(zone, start, type, MIGRATE_HIGHATOMIC);
    zone.highAtomic += PAGEBLOCK_PAGES;
  } else {
    setBlockTypes(zone, pfn, 1 << order, MIGRATE_HIGHATOMIC);
    zone.highAtomic += 1 << order;
  }
}

/**
 * Gives one reserved pageblock with free frames to `type`.
 * @param force gives the last one too.
 * @returns whether there was one.
 */
export function unreserveHighAtomic(zone: Zone, type: number, force: boolean): boolean {
  if (!force && zone.highAtomic <= PAGEBLOCK_PAGES) return false;
  for (let order = 0; order <= MAX_ORDER; order++) {
    const pfn = zone.buddy.first(order, MIGRATE_HIGHATOMIC);
    if (pfn < 0) continue;
    if (order < PAGEBLOCK_ORDER) {
      const start = pfn - (pfn & (PAGEBLOCK_PAGES - 1));
      zone.highAtomic -= Math.min(PAGEBLOCK_PAGES, zone.highAtomic);
      moveFreeBlocks(zone, start, MIGRATE_HIGHATOMIC, type);
    } else {
      zone.highAtomic -= Math.min(1 << order, zone.highAtomic);
      zone.buddy.unlink(pfn, order, MIGRATE_HIGHATOMIC);
      setBlockTypes(zone, pfn, 1 << order, type);
      zone.buddy.release(pfn, order, true);
    }
    return true;
  }
  return false;
}
