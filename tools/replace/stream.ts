// Collects a reference string: pages become small integers in order of first use.
//
// A page is named by two words (hi, lo): 52 bits of page number and, for recordings of several
// processes, the address space in the bits above. A direct-mapped cache stands before the map, as
// most references go to pages that were just used.

import { REF_READ, type References } from '../../kernel/reclaim/policy.ts';

const CACHE = 8192;

export class ReferenceStream {
  count = 0;
  nrPages = 0;
  private pages = new Int32Array(1 << 16);
  private kinds = new Uint8Array(1 << 16);
  private readonly ids = new Map<number, number>();
  private readonly cacheLo = new Int32Array(CACHE).fill(-1);
  private readonly cacheHi = new Int32Array(CACHE).fill(-1);
  private readonly cacheId = new Int32Array(CACHE);

  /**
   * One more reference.
   * @param lo page number bits 0..19 as an integer 0..2^20-1.
   * @param hi the bits above, 0..2^32-1 as int32.
   * @param kind REF_READ or REF_WRITE.
   */
  add(lo: number, hi: number, kind: number): void {
    const slot = (lo ^ (hi << 7)) & (CACHE - 1);
    if (this.cacheLo[slot] !== lo || this.cacheHi[slot] !== hi) this.lookUp(lo, hi, slot);
    this.push(this.cacheId[slot]!, kind);
  }

  /** One more reference to a page that any number names. */
  addNumber(page: number, kind = REF_READ): void {
    this.push(this.idOf(page), kind);
  }

  /** All that was collected; a view, not a copy. */
  references(): References {
    return {
      pages: this.pages.subarray(0, this.count),
      kinds: this.kinds.subarray(0, this.count),
      nrPages: this.nrPages,
    };
  }

  private push(id: number, kind: number): void {
    if (this.count === this.pages.length) this.grow();
    this.pages[this.count] = id;
    this.kinds[this.count++] = kind;
  }

  private lookUp(lo: number, hi: number, slot: number): void {
    this.cacheId[slot] = this.idOf((hi >>> 0) * 2 ** 20 + lo);
    this.cacheLo[slot] = lo;
    this.cacheHi[slot] = hi;
  }

  private idOf(page: number): number {
    let id = this.ids.get(page);
    if (id === undefined) {
      id = this.nrPages++;
      this.ids.set(page, id);
    }
    return id;
  }

  private grow(): void {
    const pages = new Int32Array(2 * this.count);
    const kinds = new Uint8Array(2 * this.count);
    pages.set(this.pages);
    kinds.set(this.kinds);
    this.pages = pages;
    this.kinds = kinds;
  }
}
