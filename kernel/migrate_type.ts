// Migrate types: what kind of page a pageblock is kept for, so that pages which can move and pages
// which cannot do not mix, and a large free block can be made again by moving the former away.
// Source: Linux 6.18 include/linux/mmzone.h enum migratetype, mm/page_alloc.c fallbacks[].

import { __GFP_MOVABLE, __GFP_RECLAIMABLE } from './gfp.ts';

export const MIGRATE_UNMOVABLE = 0;
export const MIGRATE_MOVABLE = 1;
export const MIGRATE_RECLAIMABLE = 2;
/** Kept back for atomic allocations of higher order. Types below are on per-CPU lists. */
export const MIGRATE_HIGHATOMIC = 3;
/** Lent to movable pages until its owner (cma.ts) asks for it. */
export const MIGRATE_CMA = 4;
/** Nobody may allocate from it: its pages are being moved away. */
export const MIGRATE_ISOLATE = 5;
export const MIGRATE_TYPES = 6;
export const MIGRATE_PCPTYPES = 3;

/** As /proc/pagetypeinfo names them. */
export const MIGRATE_NAMES: readonly string[] = [
  'Unmovable',
  'Movable',
  'Reclaimable',
  'HighAtomic',
  'CMA',
  'Isolate',
];

/** Where else to look, in order: MIGRATE_FALLBACKS[type * 2] and the next. */
export const MIGRATE_FALLBACKS: Readonly<Int32Array> = Int32Array.of(
  MIGRATE_RECLAIMABLE,
  MIGRATE_MOVABLE,
  MIGRATE_RECLAIMABLE,
  MIGRATE_UNMOVABLE,
  MIGRATE_UNMOVABLE,
  MIGRATE_MOVABLE,
);

/** The type an allocation asks for: two bits of its flags. */
export function migrateTypeOf(gfp: number): number {
  return (gfp & (__GFP_MOVABLE | __GFP_RECLAIMABLE)) >> 3;
}

/** Blocks of these types may merge with each other (migratetype_is_mergeable()). */
export function isMergeable(type: number): boolean {
  return type < MIGRATE_PCPTYPES;
}
