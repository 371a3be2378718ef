// CMA: an area set aside for large contiguous allocations, lent to movable pages until it is
// needed.
//
// Its pageblocks are of migrate type CMA: only movable allocations may take frames there. When its
// owner asks for a run of frames, whatever lies there is moved away (Compaction.allocRange()), and
// free frames are taken as they are.
// Invariant (check()): the frames that `used` marks are taken; all others are the allocator's.
// Source: Linux 6.18 mm/cma.c cma_alloc(), cma_release(), cma_activate_area().

import { PAGEBLOCK_PAGES } from './free_tables.ts';
import type { Compaction } from './compaction.ts';
import { InputError, assert } from './errors.ts';
import { MIGRATE_CMA } from './migrate_type.ts';
import type { PageAllocator } from './page_alloc.ts';
import { MAX_ORDER, NO_PFN, type Pfn } from './types.ts';

export class CmaArea {
  readonly startPfn: number;
  readonly endPfn: number;
  /** Pageblocks that are handed out. */
  private readonly used: Uint8Array;
  private readonly alloc: PageAllocator;
  private readonly compaction: Compaction;

  /**
   * Declares start..start+count-1 as an area: whole blocks of 4 MiB of one zone that are all free.
   * @throws InputError where the frames cannot be one.
   */
  constructor(alloc: PageAllocator, compaction: Compaction, startPfn: number, count: number) {
    const size = 1 << MAX_ORDER;
    if (count <= 0 || startPfn % size !== 0 || count % size !== 0) {
      throw new InputError('', `CMA area: starts and ends at multiples of ${size} frames`);
    }
    this.alloc = alloc;
    this.compaction = compaction;
    this.startPfn = startPfn;
    this.endPfn = startPfn + count;
    const zone = alloc.zoneOf(startPfn);
    for (let pfn = startPfn; pfn < this.endPfn; pfn += size) {
      if (alloc.tables.freeOrder(pfn) !== MAX_ORDER || alloc.zoneOf(pfn) !== zone) {
        throw new InputError('', `CMA area: frame ${pfn} is not free`);
      }
    }
    for (let pfn = startPfn; pfn < this.endPfn; pfn += size) {
      const type = alloc.tables.typeOf(pfn);
      zone.buddy.unlink(pfn, MAX_ORDER, type);
      for (let p = pfn; p < pfn + size; p += PAGEBLOCK_PAGES) {
        alloc.tables.setType(p, MIGRATE_CMA);
      }
      zone.buddy.link(pfn, MAX_ORDER, MIGRATE_CMA, true);
    }
    zone.cma += count;
    alloc.updateLimits();
    this.used = new Uint8Array(count / PAGEBLOCK_PAGES);
  }

  /**
   * A run of whole pageblocks of at least `count` frames, each with refcount 1.
   * @returns the first frame; NO_PFN where no run could be cleared.
   */
  take(count: number): Pfn {
    const blocks = Math.ceil(count / PAGEBLOCK_PAGES);
    for (let first = 0; first + blocks <= this.used.length; first++) {
      if (this.used.subarray(first, first + blocks).some((taken) => taken !== 0)) continue;
      const start = this.startPfn + first * PAGEBLOCK_PAGES;
      const end = start + blocks * PAGEBLOCK_PAGES;
      if (!this.compaction.allocRange(start, end, MIGRATE_CMA)) continue;
      this.used.fill(1, first, first + blocks);
      return start as Pfn;
    }
    return NO_PFN;
  }

  /** Gives a run back that take(count) returned. */
  give(pfn: Pfn, count: number): void {
    const first = (pfn - this.startPfn) / PAGEBLOCK_PAGES;
    const blocks = Math.ceil(count / PAGEBLOCK_PAGES);
    const taken = this.used.subarray(first, first + blocks);
    assert(taken.length === blocks && taken.every((t) => t === 1), 'CmaArea.give: taken before');
    taken.fill(0);
    this.compaction.freeRange(pfn, pfn + blocks * PAGEBLOCK_PAGES);
  }

  /** Frames that are handed out. */
  get takenPages(): number {
    return this.used.reduce((n, t) => n + t, 0) * PAGEBLOCK_PAGES;
  }

  /** Throws KernelBug where a pageblock has another type, or a taken frame is free. */
  check(): void {
    for (const [i, taken] of this.used.entries()) {
      const start = this.startPfn + i * PAGEBLOCK_PAGES;
      assert(this.alloc.tables.typeOf(start) === MIGRATE_CMA, `CMA block at ${start} has its type`);
      for (let pfn = start; taken === 1 && pfn < start + PAGEBLOCK_PAGES; pfn++) {
        assert(this.alloc.pages.refcount(pfn) > 0, `CMA frame ${pfn} is taken`);
      }
    }
  }
}
