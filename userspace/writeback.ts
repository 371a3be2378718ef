// Dirty pages of disk files: counting them, and writing them back.
//
//     a store, write(2) --> markDirty: the page is one of its file's dirty pages
//     written back          by msync(2); by the flusher: above the background limit, when reclaim
//                           met nothing but dirty pages, and what was dirty for 30 s, every 5 s
//     above the limit       whoever dirties pages waits, in emulated time, until some are written
//
// Writing takes the write permission from all entries first, so that the next store is noticed. A
// page that reclaim gave up for being dirty is marked (PG_reclaim, the same bit as PG_readahead)
// and goes to the tail of its inactive list once it is written.
// The disk is a table of page contents by index; a page that was never written is zeros there. It
// takes no time of its own: a page is clean when writing it begins, so none is PG_writeback.
// Invariants (check()): a file's `dirty` has the first index of each of its cached folios that is
// PG_dirty, and NR_FILE_DIRTY counts their pages.
// Source: Linux 6.18 mm/page-writeback.c: folio_account_dirtied(), domain_dirty_limits(),
// balance_dirty_pages(), folio_clear_dirty_for_io(); fs/fs-writeback.c: wb_workfn().
// Not modelled: bandwidth estimates, strict limits of one device, limits of memory groups.

import { assert } from '../kernel/errors.ts';
import { PG_dirty, PG_readahead } from '../kernel/page.ts';
import { _PAGE_DIRTY, _PAGE_RW } from '../kernel/pte.ts';
import {
  NR_DIRTIED,
  NR_FILE_DIRTY,
  NR_FILE_PAGES,
  NR_SHMEM,
  NR_WRITTEN,
  PGPGOUT,
} from '../kernel/stats.ts';
import { NO_PFN, PAGE_SIZE, PAGE_WORDS, type Pfn } from '../kernel/types.ts';
import { Inode } from './file.ts';
import type { System } from './system.ts';

/** Settings, named as under /proc/sys/vm. */
export interface DirtySysctl {
  /** Parts of the memory that could be dirty, in percent. */
  dirtyBackgroundRatio: number;
  dirtyRatio: number;
  /** In hundredths of a second. */
  dirtyExpireCentisecs: number;
  dirtyWritebackCentisecs: number;
}

/** The longest that one who dirties pages waits at a time (MAX_PAUSE). */
const MAX_PAUSE_NS = 200e6;
const CENTISEC_NS = 1e7;

export class Writeback {
  readonly sysctl: DirtySysctl = {
    dirtyBackgroundRatio: 10,
    dirtyRatio: 20,
    dirtyExpireCentisecs: 3000,
    dirtyWritebackCentisecs: 500,
  };
  /** Files with dirty pages, the longest dirty first, and since when (emulated ns). */
  readonly files = new Map<Inode, number>();
  /** Time that those who dirtied pages waited, in ns. */
  throttledNs = 0;
  private readonly system: System;
  /** Pages were dirtied since balance() looked; when the flusher looks by itself, in ns. */
  unbalanced = false;
  nextNs = Infinity;

  constructor(system: System) {
    this.system = system;
  }

  /** The content of a page changed: it has to be written before it can go (folio_mark_dirty()). */
  markDirty(pfn: Pfn): void {
    const { pages, rmap, stat, trace } = this.system.machine;
    const head = pages.head(pfn);
    if (pages.hasFlags(head, PG_dirty)) {
      if (pages.hasFlags(head, PG_readahead)) pages.clearFlags(head, PG_readahead);
      return;
    }
    pages.setFlags(head, PG_dirty);
    const inode = rmap.owners.get(pages.owner(head));
    if (!(inode instanceof Inode) || inode.kind !== 'disk') return;
    pages.clearFlags(head, PG_readahead);
    if (inode.dirty.size === 0) this.files.set(inode, trace.timeNs);
    if (this.nextNs === Infinity) this.nextNs = trace.timeNs + this.intervalNs;
    inode.dirty.add(pages.index(head) >>> 0);
    const nr = 1 << pages.compoundOrder(head);
    stat.node[NR_FILE_DIRTY] += nr;
    stat.counts[NR_DIRTIED] += nr;
    this.unbalanced = true;
  }

  /** The page needs no writing any more: written, or dropped from its file. */
  markClean(inode: Inode, pfn: Pfn): void {
    const { pages, stat } = this.system.machine;
    const head = pages.head(pfn);
    if (!pages.hasFlags(head, PG_dirty)) return;
    pages.clearFlags(head, PG_dirty);
    if (!inode.dirty.delete(pages.index(head) >>> 0)) return;
    stat.node[NR_FILE_DIRTY] -= 1 << pages.compoundOrder(head);
    if (inode.dirty.size === 0) this.files.delete(inode);
  }

  /** Pages above which the flusher works, and above which writers wait (domain_dirty_limits()). */
  limits(): { background: number; limit: number } {
    const { alloc, booted, stat } = this.system.machine;
    const cached = stat.node[NR_FILE_PAGES] - stat.node[NR_SHMEM];
    const reserve = booted.figures.totalReserve;
    const usable = Math.max(0, alloc.freePages - reserve) + cached;
    return {
      background: Math.floor((usable * this.sysctl.dirtyBackgroundRatio) / 100),
      limit: Math.floor((usable * this.sysctl.dirtyRatio) / 100),
    };
  }

  /**
   * Called where a program dirtied pages and holds none of them: lets the flusher work, and makes
   * the program wait where too much is dirty (balance_dirty_pages()).
   */
  balance(): void {
    const { stat, trace } = this.system.machine;
    if (trace.timeNs >= this.nextNs) this.flushExpired();
    if (!this.unbalanced) return;
    this.unbalanced = false;
    const dirty = stat.node[NR_FILE_DIRTY];
    if (dirty < 64) return;
    const { background, limit } = this.limits();
    if (dirty <= background) return;
    if (dirty > (background + limit) / 2) {
      // the nearer to the limit, the longer
      const share = Math.min(1, (dirty - background) / Math.max(1, limit - background));
      this.throttledNs += MAX_PAUSE_NS * share;
      trace.timeNs += MAX_PAUSE_NS * share;
    }
    this.flush(background);
  }

  /** Writes dirty pages of all files until no more than `left` are dirty. @returns how many. */
  flush(left = 0): number {
    const { node } = this.system.machine.stat;
    let written = 0;
    for (const inode of [...this.files.keys()]) {
      if (node[NR_FILE_DIRTY] <= left) break;
      written += this.writeRange(inode, 0, Infinity);
    }
    return written;
  }

  /** Writes the dirty pages of one file in [first, end), by index. @returns how many. */
  writeRange(inode: Inode, first: number, end: number): number {
    let written = 0;
    for (const index of [...inode.dirty].sort((a, b) => a - b)) {
      const head = inode.cache.get(index);
      assert(head !== NO_PFN, `dirty page ${index} of ${inode.path} is cached`);
      const nr = 1 << this.system.machine.pages.compoundOrder(head);
      if (index >= end || index + nr <= first) continue;
      this.writeFolio(inode, index, head, nr);
      written += nr;
    }
    return written;
  }

  /** Throws KernelBug where a file's dirty pages are not those that are marked. */
  check(inode: Inode): void {
    const { pages } = this.system.machine;
    const dirty = new Set<number>();
    for (const index of inode.cache.indexes(0, Infinity)) {
      const head = pages.head(inode.cache.get(index));
      if (pages.hasFlags(head, PG_dirty)) dirty.add(pages.index(head) >>> 0);
    }
    const same = dirty.size === inode.dirty.size && [...dirty].every((n) => inode.dirty.has(n));
    assert(same, `${inode.path}: ${inode.dirty.size} dirty folios noted, ${dirty.size} marked`);
    assert(this.files.has(inode) === dirty.size > 0, `${inode.path} is known to be dirty`);
  }

  private flushExpired(): void {
    const { timeNs } = this.system.machine.trace;
    const age = this.sysctl.dirtyExpireCentisecs * CENTISEC_NS;
    for (const [inode, since] of [...this.files]) {
      if (timeNs - since >= age) this.writeRange(inode, 0, Infinity);
    }
    this.nextNs = this.files.size === 0 ? Infinity : timeNs + this.intervalNs;
  }

  private get intervalNs(): number {
    return this.sysctl.dirtyWritebackCentisecs * CENTISEC_NS;
  }

  private writeFolio(inode: Inode, index: number, head: Pfn, nr: number): void {
    const { lru, mem, pages, rmap, stat } = this.system.machine;
    for (let i = 0; i < nr; i++) {
      this.protect((head + i) as Pfn);
      const at = mem.readable(head + i);
      inode.stored.set(index + i, mem.words.slice(at, at + PAGE_WORDS));
    }
    rmap.get(head);
    this.markClean(inode, head);
    stat.counts[PGPGOUT] += (nr * PAGE_SIZE) / 1024;
    stat.counts[NR_WRITTEN] += nr;
    if (pages.hasFlags(head, PG_readahead)) {
      pages.clearFlags(head, PG_readahead);
      lru.rotate(head);
    }
    rmap.put(head);
  }

  /** The next store to the page is to be noticed (folio_mkclean()). */
  private protect(pfn: Pfn): void {
    const { system } = this;
    const { mem, rmap } = system.machine;
    rmap.walk(pfn, (space, va) => {
      const mm = system.mmOf(space);
      const pte = mm.pgt.pteAt(va);
      if (pte < 0 || (mem.words[pte] & (_PAGE_DIRTY | _PAGE_RW)) === 0) return true;
      mem.words[pte] &= ~(_PAGE_DIRTY | _PAGE_RW);
      system.flushTlbPage(mm, va);
      return true;
    });
  }
}

/** The disk has nothing any more in [first, end). */
export function discardDisk(inode: Inode, first: number, end: number): void {
  for (const index of [...inode.stored.keys()]) {
    if (index >= first && index < end) inode.stored.delete(index);
  }
}

/** The file ends within page `index`, after `kept` bytes: the rest of it reads as zeros. */
export function zeroDiskTail(inode: Inode, index: number, kept: number): void {
  const stored = inode.stored.get(index);
  if (stored !== undefined)
    new Uint8Array(stored.buffer, stored.byteOffset).fill(0, kept, PAGE_SIZE);
}
