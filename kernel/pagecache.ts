// Page cache of one file: (index in the file) -> frame.
//
// A radix tree of one level: chunks of 64 slots, found by index / 64. A slot holds pfn + 1, so that
// a new chunk is empty; or -shadow, where a page was that reclaim took (workingset.c). A folio of
// several pages has a slot for each of its pages. The cache holds one reference on the head for
// each page of a folio. Its tree takes nodes of the kernel's memory, see radix_nodes.ts.
// Invariants (check()): nrPages counts the filled slots; each cached frame's record says this
// cache's owner id and its index, and has a reference.
// Source: Linux 6.18 mm/filemap.c, include/linux/xarray.h (struct address_space's i_pages).

import { assert } from './errors.ts';
import type { MemMap } from './page.ts';
import { RadixNodes } from './radix_nodes.ts';
import type { SlabCache } from './slab.ts';
import { NO_PFN, type Pfn } from './types.ts';

const CHUNK = 64;
/** Folios of this order and above have no slots in leaves of the tree. */
const CHUNK_ORDER = 6;

export class PageCache {
  /** Pages in the cache. */
  nrPages = 0;
  private readonly chunks = new Map<number, Int32Array>();
  private lastKey = -1;
  private last: Int32Array | undefined;
  private readonly nodes: RadixNodes | null;

  /** @param nodes the cache that nodes of the tree come from; null where nobody pays for them. */
  constructor(nodes: SlabCache | null = null) {
    this.nodes = nodes === null ? null : new RadixNodes(nodes);
    if (this.nodes !== null) this.nodes.filledZero = () => (this.chunks.get(0)?.[0] ?? 0) !== 0;
  }

  /** Nodes of the kernel's memory that the tree has. */
  get nrNodes(): number {
    return this.nodes?.size ?? 0;
  }

  /** The frame of a page of the file, or NO_PFN. */
  get(index: number): Pfn {
    const chunk = this.chunk(index);
    return (chunk === undefined ? NO_PFN : Math.max(NO_PFN, chunk[index % CHUNK] - 1)) as Pfn;
  }

  /**
   * Puts a frame at an index without a page. The caller sets owner, index and reference.
   * @param order of the folio that the page is of.
   * @returns the shadow of the page that was there before, forgotten with this; 0 for none.
   */
  add(index: number, pfn: Pfn, order = 0): number {
    let chunk = this.chunk(index);
    if (chunk === undefined) {
      chunk = new Int32Array(CHUNK);
      const key = Math.floor(index / CHUNK);
      this.chunks.set(key, chunk);
      this.lastKey = key;
      this.last = chunk;
    }
    const before = chunk[index % CHUNK];
    if (before > 0) assert(false, `PageCache.add: page ${index} is not cached yet`);
    chunk[index % CHUNK] = pfn + 1;
    this.nrPages++;
    if (before === 0 && order < CHUNK_ORDER) this.nodes?.add(index);
    return -before;
  }

  /** Another frame has the page at an index now. */
  replace(index: number, pfn: Pfn): void {
    const chunk = this.chunk(index);
    assert(chunk !== undefined && chunk[index % CHUNK] > 0, `page ${index} is cached`);
    chunk[index % CHUNK] = pfn + 1;
  }

  /**
   * Takes the page at an index out and returns its frame; NO_PFN where there is none.
   * @param shadow to be remembered in its place; 0 for none.
   */
  remove(index: number, shadow = 0): Pfn {
    const chunk = this.chunk(index);
    if (chunk === undefined) return NO_PFN;
    const pfn = Math.max(NO_PFN, chunk[index % CHUNK] - 1) as Pfn;
    if (pfn !== NO_PFN) {
      chunk[index % CHUNK] = shadow === 0 ? 0 : -shadow;
      this.nrPages--;
      if (shadow === 0) this.nodes?.remove(index);
    }
    return pfn;
  }

  /** Forgets the shadows in [first, end). */
  dropShadows(first: number, end: number): void {
    for (const [key, chunk] of this.chunks) {
      for (let i = 0; i < CHUNK; i++) {
        const index = key * CHUNK + i;
        if (chunk[i] >= 0 || index < first || index >= end) continue;
        chunk[i] = 0;
        this.nodes?.remove(index);
      }
    }
  }

  /** The file is gone, and its last page: so are the nodes. */
  destroy(): void {
    this.nodes?.clear();
  }

  /** Indexes of the cached pages in [first, end), ascending. For cold paths. */
  indexes(first: number, end: number): number[] {
    const keys = [...this.chunks.keys()].sort((a, b) => a - b);
    const found: number[] = [];
    for (const key of keys) {
      const chunk = this.chunks.get(key);
      if (chunk === undefined || (key + 1) * CHUNK <= first || key * CHUNK >= end) continue;
      for (let i = 0; i < CHUNK; i++) {
        const index = key * CHUNK + i;
        if (chunk[i] > 0 && index >= first && index < end) found.push(index);
      }
    }
    return found;
  }

  /** Throws KernelBug where an invariant does not hold. */
  check(pages: MemMap, id: number): void {
    const all = this.indexes(0, Infinity);
    assert(all.length === this.nrPages, `page cache ${id}: ${all.length} pages, not nrPages`);
    for (const index of all) {
      const pfn = this.get(index);
      assert(pages.owner(pfn) === id, `frame ${pfn} is in cache ${id}, owner ${pages.owner(pfn)}`);
      assert(pages.index(pfn) === (index | 0), `frame ${pfn}: index ${pages.index(pfn)}, ${index}`);
      assert(pages.refcount(pages.head(pfn)) > 0, `frame ${pfn} is cached without reference`);
    }
  }

  private chunk(index: number): Int32Array | undefined {
    const key = Math.floor(index / CHUNK);
    if (key === this.lastKey) return this.last;
    const chunk = this.chunks.get(key);
    if (chunk !== undefined) {
      this.lastKey = key;
      this.last = chunk;
    }
    return chunk;
  }
}
