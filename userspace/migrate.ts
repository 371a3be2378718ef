// Page migration: a page changes its frame while processes have it mapped.
//
// Every entry that maps it is found through the reverse map; the page is copied, its record moved,
// each entry written anew with the same flags, and the TLBs told. Its place in the page cache is
// changed as well. Pages move that nobody refers to but entries and the cache: no pins, not locked
// in memory, no compound pages, not in the swap cache.
// Source: Linux 6.18 mm/migrate.c migrate_pages(), folio_migrate_mapping(), remove_migration_pte().

import {
  PAGE_NEXT,
  PAGE_PREV,
  PAGE_RECORD,
  PG_active,
  PG_anon,
  PG_head,
  PG_ksm,
  PG_lru,
  PG_locked,
  PG_mlocked,
  PG_reserved,
  PG_slab,
  PG_swapcache,
  PG_table,
  PG_tail,
  PG_vmalloc,
  PG_writeback,
  PG_zero,
} from '../kernel/page.ts';
import { PFN_LO_MASK, _PAGE_NX_HI, pteHi, pteLo } from '../kernel/pte.ts';
import type { PageMigrator } from '../kernel/ports.ts';
import type { Pfn } from '../kernel/types.ts';
import { Inode } from './file.ts';
import { Mm } from './mm.ts';
import type { System } from './system.ts';

const NEVER =
  PG_head |
  PG_tail |
  PG_reserved |
  PG_slab |
  PG_table |
  PG_vmalloc |
  PG_zero |
  PG_mlocked |
  PG_swapcache |
  PG_ksm |
  PG_locked |
  PG_writeback;

export class PageMigration implements PageMigrator {
  private readonly system: System;

  constructor(system: System) {
    this.system = system;
  }

  isMovable(pfn: Pfn): boolean {
    const { pages } = this.system.machine;
    const references = pages.refcount(pfn);
    if (references === 0 || pages.hasFlags(pfn, NEVER) || pages.owner(pfn) === 0) return false;
    return references === pages.mapcount(pfn) + (this.cachedIn(pfn) === undefined ? 0 : 1);
  }

  migrate(from: Pfn, to: Pfn): boolean {
    const { groups, lru, mem, pages, rmap } = this.system.machine;
    const entries: { mm: Mm; va: number; pte: number }[] = [];
    rmap.walk(from, (space, va) => {
      if (space instanceof Mm) entries.push({ mm: space, va, pte: space.pgt.pteAt(va) });
      return true;
    });
    if (entries.length !== pages.mapcount(from) || entries.some((e) => e.pte < 0)) return false;
    const inode = this.cachedIn(from);
    const marks = pages.flags(from) & (PG_lru | PG_active);
    lru.remove(from);
    mem.copyFrame(to, from);
    for (let word = 0; word < PAGE_RECORD; word++) {
      if (word === PAGE_NEXT || word === PAGE_PREV) continue;
      pages.words[to * PAGE_RECORD + word] = pages.words[from * PAGE_RECORD + word];
    }
    groups?.migrate(from, to);
    if ((marks & PG_lru) !== 0) {
      pages.setFlags(to, marks & PG_active);
      lru.add(to);
    }
    if (inode !== undefined) {
      inode.cache.replace(pages.index(from) >>> 0, to);
    }
    for (const { mm, va, pte } of entries) {
      const flags = mem.words[pte] & ~PFN_LO_MASK;
      mem.words[pte] = pteLo(to, flags);
      mem.words[pte + 1] = pteHi(to, flags, mem.words[pte + 1] & _PAGE_NX_HI);
      this.system.flushTlbPage(mm, va);
    }
    return true;
  }

  /** The file whose cache the page is in. */
  private cachedIn(pfn: Pfn): Inode | undefined {
    const { pages, rmap } = this.system.machine;
    if (pages.hasFlags(pfn, PG_anon)) return undefined;
    const owner = rmap.owners.get(pages.owner(pfn));
    const inode = owner instanceof Inode ? owner : undefined;
    return inode?.cache.get(pages.index(pfn) >>> 0) === pfn ? inode : undefined;
  }
}
