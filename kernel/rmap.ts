// Reverse map: from a frame to the page-table entries that map it, and the counts that go with it.
//
// A frame knows its owner (an anon_vma or a file) by id and its index there; the owner, through
// ports.PageOwner, visits the places that may map it; each is checked against the page tables.
//
// References: a page-table entry holds one reference (on the head, of a compound page) and one map
// count (on the page itself; a PMD that maps a whole compound page counts in the head's entire
// map count). The page cache holds one reference a page. When the last reference goes, the frames
// go back to the allocator.
// Invariants: mapcount + entire mapcount = entries that map the page (fsck counts them); a frame
// with PG_anon_exclusive is mapped by one entry alone.
// Source: Linux 6.18 mm/rmap.c, include/linux/rmap.h, mm/swap.c (folio_put()).

import { assert } from './errors.ts';
import {
  PAGE_FLAGS,
  PAGE_INDEX,
  PAGE_MAPCOUNT,
  PAGE_OWNER,
  PAGE_RECORD,
  PAGE_REFCOUNT,
  PG_anon,
  PG_anon_exclusive,
  PG_lru,
  PG_mlocked,
  PG_swapbacked,
  PG_unevictable,
  PG_uptodate,
  type MemMap,
} from './page.ts';
import type { AddressSpace, FrameAllocator, PageOwner } from './ports.ts';
import { NR_ANON_MAPPED, NR_ANON_THPS, NR_FILE_MAPPED, NR_MLOCK, type VmStat } from './stats.ts';
import type { Lru } from './reclaim/pools.ts';
import { HPAGE_PMD_NR, type Pfn, type VirtAddr } from './types.ts';

/** Ids of the owners that frames name in their records. Id 0 is nobody. */
export class OwnerTable {
  private readonly owners: (PageOwner | undefined)[] = [undefined];
  private readonly free: number[] = [];

  /** An id that register() then binds to its owner. */
  reserve(): number {
    return this.free.pop() ?? this.owners.push(undefined) - 1;
  }

  /** Binds an owner to the id it got from reserve(). */
  register(owner: PageOwner): void {
    this.owners[owner.id] = owner;
  }

  /** The owner with this id; undefined for 0 and for ids that were released. */
  get(id: number): PageOwner | undefined {
    return this.owners[id];
  }

  /** Gives an id back: no frame names it any more. */
  release(id: number): void {
    this.owners[id] = undefined;
    this.free.push(id);
  }
}

export class Rmap {
  readonly owners = new OwnerTable();
  private readonly pages: MemMap;
  private readonly alloc: FrameAllocator;
  /** Locked mappings of each mlocked page (folio->mlock_count). */
  private readonly mlockCount = new Map<Pfn, number>();
  private readonly stat: VmStat;
  private readonly lru: Lru;

  constructor(pages: MemMap, alloc: FrameAllocator, stat: VmStat, lru: Lru) {
    this.pages = pages;
    this.alloc = alloc;
    this.stat = stat;
    this.lru = lru;
  }

  /** Takes a reference on the page (on its head). */
  get(pfn: Pfn): void {
    this.pages.words[this.pages.head(pfn) * PAGE_RECORD + PAGE_REFCOUNT]++;
  }

  /** Drops a reference; with the last one the page (the whole compound page) is freed. */
  put(pfn: Pfn): void {
    const head = this.pages.head(pfn);
    const at = head * PAGE_RECORD;
    const words = this.pages.words;
    const left = --words[at + PAGE_REFCOUNT];
    if (left > 0) return;
    assert(left === 0, `put: frame ${pfn} had no reference`);
    if ((words[at] & PG_mlocked) !== 0) this.clearMlocked(head, true);
    if ((words[at] & PG_lru) !== 0) this.lru.remove(head);
    this.alloc.free(head, this.pages.compoundOrder(head));
  }

  /**
   * A new anonymous page is mapped by its first entry, which alone owns it
   * (folio_add_new_anon_rmap()). The reference is the one that the allocator gave.
   */
  addNewAnon(pfn: Pfn, owner: number, index: number): void {
    const at = pfn * PAGE_RECORD;
    const words = this.pages.words;
    words[at + PAGE_FLAGS] |= PG_anon | PG_swapbacked | PG_uptodate | PG_anon_exclusive;
    words[at + PAGE_OWNER] = owner;
    words[at + PAGE_INDEX] = index | 0;
    words[at + PAGE_MAPCOUNT] = 1;
    this.stat.node[NR_ANON_MAPPED]++;
    this.lru.add(pfn);
  }

  /** The same for a huge page, mapped as a whole by a PMD. */
  addNewAnonHuge(head: Pfn, owner: number, index: number): void {
    const words = this.pages.words;
    for (let i = 0; i < HPAGE_PMD_NR; i++) {
      const at = (head + i) * PAGE_RECORD;
      words[at + PAGE_FLAGS] |= PG_anon | PG_swapbacked | PG_uptodate | PG_anon_exclusive;
      words[at + PAGE_OWNER] = owner;
      words[at + PAGE_INDEX] = (index + i) | 0;
    }
    this.pages.setEntireMapcount(head, 1);
    this.stat.node[NR_ANON_MAPPED] += HPAGE_PMD_NR;
    this.stat.node[NR_ANON_THPS]++;
    this.lru.add(head);
  }

  /** One more entry maps the page, with a reference of its own. */
  dup(pfn: Pfn): void {
    const words = this.pages.words;
    const at = pfn * PAGE_RECORD;
    this.get(pfn);
    if (words[at + PAGE_MAPCOUNT]++ === 0) this.countMapped(pfn, 1);
  }

  /** An entry that maps the page is gone: one map count and one reference less. */
  remove(pfn: Pfn): void {
    const at = pfn * PAGE_RECORD;
    if (--this.pages.words[at + PAGE_MAPCOUNT] === 0) this.countMapped(pfn, -1);
    this.put(pfn);
  }

  /** One more PMD maps the compound page as a whole, with a reference of its own. */
  dupHuge(head: Pfn): void {
    this.get(head);
    this.pages.setEntireMapcount(head, this.pages.entireMapcount(head) + 1);
  }

  /** A PMD that maps the compound page is gone. */
  removeHuge(head: Pfn): void {
    const n = this.pages.entireMapcount(head) - 1;
    this.pages.setEntireMapcount(head, n);
    if (n === 0) {
      this.stat.node[NR_ANON_THPS]--;
      for (let i = 0; i < HPAGE_PMD_NR; i++) {
        if (this.pages.mapcount(head + i) === 0) this.stat.node[NR_ANON_MAPPED]--;
      }
    }
    this.put(head);
  }

  /** Entries that map the page, by itself or as part of its compound page. */
  mapcount(pfn: Pfn): number {
    const head = this.pages.head(pfn);
    const order = this.pages.compoundOrder(head);
    return this.pages.mapcount(pfn) + (order > 0 ? this.pages.entireMapcount(head) : 0);
  }

  /** One more locked mapping maps the page: it is locked in memory. */
  setMlocked(head: Pfn): void {
    this.mlockCount.set(head, (this.mlockCount.get(head) ?? 0) + 1);
    if (this.pages.hasFlags(head, PG_mlocked)) return;
    this.lru.remove(head);
    this.pages.setFlags(head, PG_mlocked | PG_unevictable);
    this.stat.node[NR_MLOCK] += 1 << this.pages.compoundOrder(head);
  }
  /** One locked mapping less; with the last one the page is not locked any more. */
  clearMlocked(head: Pfn, all = false): void {
    if (!this.pages.hasFlags(head, PG_mlocked)) return;
    const left = (this.mlockCount.get(head) ?? 1) - 1;
    if (left > 0 && !all) {
      this.mlockCount.set(head, left);
      return;
    }
    this.mlockCount.delete(head);
    this.pages.clearFlags(head, PG_mlocked | PG_unevictable);
    if (this.pages.refcount(head) > 0) this.lru.add(head);
    this.stat.node[NR_MLOCK] -= 1 << this.pages.compoundOrder(head);
  }

  /**
   * Visits every place that maps `pfn`, until visit returns false. The owner may name too many
   * places: each is asked whether its entry really maps the frame.
   */
  walk(pfn: Pfn, visit: (space: AddressSpace, va: VirtAddr) => boolean): void {
    const owner = this.owners.get(this.pages.owner(pfn));
    owner?.forEachMapping(this.pages.index(pfn), (space, va) =>
      space.maps(va, pfn) ? visit(space, va) : true,
    );
  }

  private countMapped(pfn: Pfn, delta: number): void {
    const head = this.pages.head(pfn);
    if (this.pages.compoundOrder(head) > 0 && this.pages.entireMapcount(head) > 0) return;
    const anon = this.pages.hasFlags(pfn, PG_anon);
    this.stat.node[anon ? NR_ANON_MAPPED : NR_FILE_MAPPED] += delta;
  }
}
