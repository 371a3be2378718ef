// Compaction: moves pages towards the end of a zone until a large block is free at its start.
//
//     zone   | used pages that can move -->         <-- free frames |
//              migrate scanner, upwards              free scanner, downwards
//
// The migrate scanner collects movable pages of one pageblock, the free scanner as many free frames
// from Movable pageblocks at the other end; each page is moved to one of the frames. The scanners
// meet in the middle: then the zone is as compact as it gets.
// A whole range of frames is cleared in the same way for CMA (cma.ts): allocRange().
// Invariant: frames taken from the free lists are given back or hold a moved page; nothing is lost
// when a page refuses to move.
// Source: Linux 6.18 mm/compaction.c compact_zone(), isolate_migratepages_block(),
// isolate_freepages(), compaction_suitable(); mm/page_alloc.c alloc_contig_range(),
// mm/page_isolation.c. Not modelled: deferral, proactive compaction, skip bits.

import { MAX_BLOCK_PAGES, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES } from './free_tables.ts';
import { fragmentationIndex } from './fragmentation.ts';
import { MIGRATE_CMA, MIGRATE_ISOLATE, MIGRATE_MOVABLE } from './migrate_type.ts';
import { PAGE_PRIVATE, PAGE_RECORD, PAGE_REFCOUNT } from './page.ts';
import type { PageAllocator } from './page_alloc.ts';
import { COSTLY_ORDER } from './pcp.ts';
import type { PageMigrator } from './ports.ts';
import { moveFreeBlocks } from './steal.ts';
import { MAX_ORDER, type Pfn } from './types.ts';
import { WMARK_LOW, type Zone } from './zone.ts';

/** Pages that are moved at a time (COMPACT_CLUSTER_MAX). */
const CLUSTER = 32;
/** Below this fragmentation index failure is for want of memory: compaction would not help. */
const EXTFRAG_THRESHOLD = 500;

export class Compaction {
  /** Set by the layer that knows who maps a page; nothing can be moved without it. */
  migrator: PageMigrator | null = null;
  // as /proc/vmstat counts them
  migrateScanned = 0;
  freeScanned = 0;
  pagesMigrated = 0;
  migrateFailed = 0;
  private readonly alloc: PageAllocator;
  private readonly targets: Pfn[] = [];

  constructor(alloc: PageAllocator) {
    this.alloc = alloc;
  }

  /** Whether compacting the zone can give a block of this order (compaction_suitable()). */
  isSuitable(zone: Zone, order: number): boolean {
    const gap = 2 << order;
    if (zone.free < zone.mark(WMARK_LOW) + gap) return false;
    if (order <= COSTLY_ORDER) return true;
    const index = fragmentationIndex(zone, order);
    return index < 0 || index > EXTFRAG_THRESHOLD;
  }

  /**
   * Compacts a zone until it has a free block of 2^order frames that Movable pages may use.
   * @returns whether it has one now.
   */
  compact(zone: Zone, order: number): boolean {
    zone.drain();
    if (hasBlock(zone, order)) return true;
    if (this.migrator === null || !this.isSuitable(zone, order)) return false;
    let migrate = zone.startPfn;
    const scan = { pfn: zone.endPfn - (zone.endPfn % PAGEBLOCK_PAGES) };
    while (migrate < scan.pfn && !hasBlock(zone, order)) {
      const end = migrate + PAGEBLOCK_PAGES - (migrate % PAGEBLOCK_PAGES);
      const type = this.alloc.tables.typeOf(migrate);
      if (type === MIGRATE_MOVABLE || type === MIGRATE_CMA) {
        this.moveOut(zone, migrate, Math.min(end, zone.endPfn), scan);
      }
      migrate = end;
    }
    this.giveBack(zone);
    return hasBlock(zone, order);
  }

  /**
   * Clears the frames start..end-1, both multiples of a pageblock, of one zone, and takes them:
   * each gets refcount 1 and belongs to the caller (alloc_contig_range()).
   * @param type migrate type of the pageblocks, which they keep.
   * @returns false where a page would not move; nothing is taken then.
   */
  allocRange(start: number, end: number, type: number): boolean {
    const zone = this.alloc.zoneOf(start);
    zone.drain();
    this.isolate(zone, start, end);
    const done = this.clear(zone, start, end);
    if (done) this.takeRange(zone, start, end);
    for (let block = start; block < end; block += PAGEBLOCK_PAGES) {
      moveFreeBlocks(zone, block, MIGRATE_ISOLATE, type);
    }
    return done;
  }

  /** Gives frames that allocRange() took back. */
  freeRange(start: number, end: number): void {
    const { words } = this.alloc.pages;
    const zone = this.alloc.zoneOf(start);
    for (let pfn = start; pfn < end; pfn++) {
      words.fill(0, pfn * PAGE_RECORD, (pfn + 1) * PAGE_RECORD);
      zone.buddy.release(pfn, 0);
    }
  }

  /** Moves the movable pages of start..end-1 to free frames that the other scanner finds. */
  private moveOut(zone: Zone, start: number, end: number, scan: { pfn: number }): void {
    for (let pfn = start; pfn < end && pfn < scan.pfn; pfn++) {
      const order = this.alloc.tables.freeOrder(pfn);
      if (order >= 0) {
        pfn += (1 << order) - 1;
        continue;
      }
      this.migrateScanned++;
      if (this.migrator?.isMovable(pfn as Pfn) !== true) continue;
      if (this.targets.length === 0) this.findTargets(zone, end, scan);
      if (this.targets.length === 0) return;
      this.move(zone, pfn as Pfn);
    }
  }

  /** Moves one page to a target; its old frame is free then. */
  private move(zone: Zone, pfn: Pfn): boolean {
    const to = this.targets.pop();
    if (to === undefined) return false;
    if (this.migrator?.migrate(pfn, to) !== true) {
      this.migrateFailed++;
      this.targets.push(to);
      return false;
    }
    this.pagesMigrated++;
    const { words } = this.alloc.pages;
    words.fill(0, pfn * PAGE_RECORD, (pfn + 1) * PAGE_RECORD);
    zone.buddy.release(pfn, 0);
    return true;
  }

  /** Takes free frames from Movable pageblocks, the last first, not below `floor`. */
  private findTargets(zone: Zone, floor: number, scan: { pfn: number }): void {
    const { tables } = this.alloc;
    while (this.targets.length < CLUSTER && scan.pfn > floor) {
      const start = Math.max(scan.pfn - PAGEBLOCK_PAGES, zone.startPfn);
      const type = tables.typeOf(start);
      if (start >= floor && (type === MIGRATE_MOVABLE || type === MIGRATE_CMA)) {
        for (let pfn = start; pfn < scan.pfn; pfn++) {
          this.freeScanned++;
          const order = tables.freeOrder(pfn);
          if (order < 0) continue;
          // a free block that is larger than a pageblock starts at its first one
          if (order > PAGEBLOCK_ORDER) break;
          zone.buddy.unlink(pfn, order, type);
          for (let p = pfn; p < pfn + (1 << order); p++) this.targets.push(p as Pfn);
          pfn += (1 << order) - 1;
        }
      }
      scan.pfn = start;
    }
  }

  private giveBack(zone: Zone): void {
    for (const pfn of this.targets) zone.buddy.release(pfn, 0);
    this.targets.length = 0;
  }

  /** Nobody may allocate from these pageblocks any more (start_isolate_page_range()). */
  private isolate(zone: Zone, start: number, end: number): void {
    const { tables } = this.alloc;
    for (let block = start; block < end; block += PAGEBLOCK_PAGES) {
      const whole = block - (block % MAX_BLOCK_PAGES);
      if (tables.freeOrder(whole) === MAX_ORDER) {
        // a free block of two pageblocks: isolate them one by one
        const type = tables.typeOf(whole);
        zone.buddy.unlink(whole, MAX_ORDER, type);
        zone.buddy.link(whole, PAGEBLOCK_ORDER, type, false);
        zone.buddy.link(whole + PAGEBLOCK_PAGES, PAGEBLOCK_ORDER, type, false);
      }
      moveFreeBlocks(zone, block, tables.typeOf(block), MIGRATE_ISOLATE);
    }
  }

  private clear(zone: Zone, start: number, end: number): boolean {
    for (let pfn = start; pfn < end; pfn++) {
      const order = this.alloc.tables.freeOrder(pfn);
      if (order >= 0) {
        pfn += (1 << order) - 1;
        continue;
      }
      if (this.migrator?.isMovable(pfn as Pfn) !== true) return false;
      const to = zone.buddy.take(0, MIGRATE_MOVABLE);
      if (to < 0) return false;
      this.targets.push(to);
      const moved = this.move(zone, pfn as Pfn);
      this.giveBack(zone);
      if (!moved) return false;
    }
    return true;
  }

  private takeRange(zone: Zone, start: number, end: number): void {
    const { pages, tables } = this.alloc;
    for (let pfn = start; pfn < end;) {
      const order = tables.freeOrder(pfn);
      zone.buddy.unlink(pfn, order, MIGRATE_ISOLATE);
      for (const stop = pfn + (1 << order); pfn < stop; pfn++) {
        pages.words[pfn * PAGE_RECORD + PAGE_REFCOUNT] = 1;
        pages.words[pfn * PAGE_RECORD + PAGE_PRIVATE] = 0;
      }
    }
  }
}

function hasBlock(zone: Zone, order: number): boolean {
  for (let o = order; o <= MAX_ORDER; o++) {
    if (!zone.buddy.isEmpty(o, MIGRATE_MOVABLE)) return true;
  }
  return false;
}
