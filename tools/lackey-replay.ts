// What a lackey trace's references come to: pages, regions, and misses of TLBs.
//
//     reference --> page number --> dense page id --> each TLB: hit, or miss and replace
//
// Page numbers become small integers at first sight, so that a TLB's state is arrays by page id.
// A TLB is exact LRU in each set: a doubly linked list through `prev` and `next`, newest at the
// set's head; a hit moves to the front, a miss drops the tail of a full set. The cost of a
// reference does not grow with the TLB. A reference to the same page as the one before changes
// nothing in any LRU list, and is passed over.
//
// Counted as `NAME.counts.json` counts: `M` is one reference; bytes in two pages are two page
// references, the lower page first.

import { InputError } from '../kernel/index.ts';
import type { Input } from './input.ts';
import { LackeyReader, type ReferenceSink } from './trace/lackey.ts';

export interface TlbShape {
  /** How the user wrote it: `64`, `16x4`. */
  readonly name: string;
  readonly sets: number;
  readonly ways: number;
}

/** `64`: one set of 64, fully associative; `16x4`: 16 sets of 4. @throws InputError. */
export function parseTlb(text: string): TlbShape {
  const m = /^(\d{1,7})(?:x(\d{1,7}))?$/.exec(text);
  const first = Number(m?.[1] ?? 0);
  const second = m?.[2] === undefined ? undefined : Number(m[2]);
  if (first < 1 || second === 0 || first * (second ?? 1) > 1 << 24) {
    throw new InputError('', `--tlb ${text}: expected ENTRIES or SETSxWAYS, such as 64 or 16x4`);
  }
  return second === undefined
    ? { name: text, sets: 1, ways: first }
    : { name: text, sets: first, ways: second };
}

/** One TLB with exact LRU replacement in each set. */
class LruTlb {
  readonly shape: TlbShape;
  misses = 0;
  private readonly heads: Int32Array;
  private readonly tails: Int32Array;
  private readonly used: Int32Array;
  private prev = new Int32Array(1024);
  private next = new Int32Array(1024);
  private resident = new Uint8Array(1024);

  constructor(shape: TlbShape) {
    this.shape = shape;
    this.heads = new Int32Array(shape.sets).fill(-1);
    this.tails = new Int32Array(shape.sets).fill(-1);
    this.used = new Int32Array(shape.sets);
  }

  /** The set of a page: its number modulo the sets. */
  setOf(vpn: number): number {
    return vpn % this.shape.sets;
  }

  grow(ids: number): void {
    if (ids <= this.resident.length) return;
    this.prev = grown(this.prev, ids);
    this.next = grown(this.next, ids);
    const more = new Uint8Array(this.prev.length);
    more.set(this.resident);
    this.resident = more;
  }

  touch(id: number, set: number): void {
    const { prev, next, heads, tails } = this;
    const head = heads[set]!;
    if (head === id) return;
    if (this.resident[id] === 1) {
      const before = prev[id]!;
      const after = next[id]!;
      next[before] = after;
      if (after >= 0) prev[after] = before;
      else tails[set] = before;
    } else {
      this.misses++;
      this.resident[id] = 1;
      if (this.used[set] === this.shape.ways) {
        const old = tails[set]!;
        this.resident[old] = 0;
        const before = prev[old]!;
        tails[set] = before;
        if (before >= 0) next[before] = -1;
        if (old === head) {
          // One way: the set is empty for a moment.
          heads[set] = id;
          tails[set] = id;
          prev[id] = -1;
          next[id] = -1;
          return;
        }
      } else this.used[set]!++;
    }
    const first = heads[set]!;
    prev[id] = -1;
    next[id] = first;
    if (first >= 0) prev[first] = id;
    else tails[set] = id;
    heads[set] = id;
  }
}

function grown(old: Int32Array, atLeast: number): Int32Array<ArrayBuffer> {
  const more = new Int32Array(Math.max(atLeast, old.length * 2));
  more.set(old);
  return more;
}

/** Direct-mapped cache in front of the page-number map: a power of two of entries. */
const CACHE = 4096;

/** Counts references, pages and TLB misses. */
class Counter implements ReferenceSink {
  readonly refs = new Float64Array(4);
  twoPages = 0;
  pages = 0;
  readonly tlbs: readonly LruTlb[];
  private readonly ids = new Map<number, number>();
  private readonly regions = new Set<number>();
  private readonly cacheLo = new Int32Array(CACHE).fill(-1);
  private readonly cacheHi = new Int32Array(CACHE);
  private readonly cacheId = new Int32Array(CACHE);
  private readonly sets: Int32Array[];
  private lastLo = -1;
  private lastHi = 0;

  constructor(shapes: readonly TlbShape[]) {
    this.tlbs = shapes.map((s) => new LruTlb(s));
    this.sets = shapes.map(() => new Int32Array(1024));
  }

  reference(kind: number, lo: number, hi: number, size: number): void {
    this.refs[kind]!++;
    const page = lo >>> 12;
    if (page !== this.lastLo || hi !== this.lastHi) this.page(page, hi);
    if ((lo & 0xfff) + size > 4096) {
      this.twoPages++;
      if (page === 0xfffff) this.page(0, (hi + 1) | 0);
      else this.page(page + 1, hi);
    }
  }

  regionCount(): number {
    return this.regions.size;
  }

  private page(lo: number, hi: number): void {
    this.lastLo = lo;
    this.lastHi = hi;
    const slot = (lo ^ (hi << 6)) & (CACHE - 1);
    if (this.cacheLo[slot] !== lo || this.cacheHi[slot] !== hi) this.lookUp(lo, hi, slot);
    const id = this.cacheId[slot]!;
    const { tlbs, sets } = this;
    for (let i = 0; i < tlbs.length; i++) tlbs[i]!.touch(id, sets[i]![id]!);
  }

  private lookUp(lo: number, hi: number, slot: number): void {
    const vpn = (hi >>> 0) * 0x10_0000 + lo;
    let id = this.ids.get(vpn);
    if (id === undefined) {
      id = this.pages++;
      this.ids.set(vpn, id);
      this.regions.add(Math.floor(vpn / 512));
      for (let i = 0; i < this.tlbs.length; i++) {
        const tlb = this.tlbs[i]!;
        tlb.grow(id + 1);
        if (id >= this.sets[i]!.length) this.sets[i] = grown(this.sets[i]!, id + 1);
        this.sets[i]![id] = tlb.setOf(vpn);
      }
    }
    this.cacheLo[slot] = lo;
    this.cacheHi[slot] = hi;
    this.cacheId[slot] = id;
  }
}

/** The counts, with the names of NAME.counts.json. */
export interface LackeyCounts {
  lines: number;
  syscall_lines: number;
  other_lines: number;
  refs: { I: number; L: number; S: number; M: number; total: number };
  refs_in_two_pages: number;
  page_refs: number;
  pages_4k: number;
  regions_2m: number;
  tlb_misses: Record<string, number>;
}

/** Reads a lackey trace and counts. @throws InputError on a malformed line or a damaged file. */
export async function replayLackey(
  input: Input,
  shapes: readonly TlbShape[],
): Promise<LackeyCounts> {
  const counter = new Counter(shapes);
  const reader = new LackeyReader(input, counter);
  await reader.read();
  const [I = 0, L = 0, S = 0, M = 0] = counter.refs;
  const total = I + L + S + M;
  const tlb_misses: Record<string, number> = {};
  for (const tlb of counter.tlbs) tlb_misses[tlbKey(tlb.shape)] = tlb.misses;
  return {
    lines: reader.lines,
    syscall_lines: reader.syscallLines,
    other_lines: reader.otherLines,
    refs: { I, L, S, M, total },
    refs_in_two_pages: counter.twoPages,
    page_refs: total + counter.twoPages,
    pages_4k: counter.pages,
    regions_2m: counter.regionCount(),
    tlb_misses,
  };
}

/** `full_64_lru` for `64`, `set_16x4_lru` for `16x4`, as NAME.counts.json names them. */
export function tlbKey(shape: TlbShape): string {
  return shape.name.includes('x') ? `set_${shape.name}_lru` : `full_${shape.name}_lru`;
}
