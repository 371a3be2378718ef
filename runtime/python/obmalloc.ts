// CPython's allocator for small blocks (pymalloc), in the bytes of its process.
//
//     usedpools[i] -> pool <-> pool <-> …   pools of class i with a block in use and one free
//
//     pool (16 KiB, from an arena)
//     +0 ref.count   +8 freeblock   +16 nextpool   +24 prevpool
//     +32 arenaindex +36 szidx      +40 nextoffset +44 maxnextoffset
//     +48 | block | block | block | never carved |
//
// States of a pool: used (on usedpools), full (on no list), empty (on its arena's freepools).
// Blocks are carved one by one: freeblock heads a list that is threaded through the free blocks'
// first eight bytes, and ends at the last block that was carved ahead; when the list runs out, the
// next block is carved, and when none is left the pool is full. A free puts its block in front
// (so the last freed is the first reused); the first free of a full pool puts the pool in front of
// its class; the free of its last block gives the pool to the arena, header and list untouched: a
// class that finds its own szidx in a pool it takes goes on where it stopped.
//
// usedpools is an array of pairs of pointers that pretend to be the nextpool and prevpool of a pool
// 16 bytes before: an empty class needs no special case.
//
// Invariants (check()): count in use + length of free list + blocks never carved = blocks of the
// pool; free lists stay in their pool and never meet themselves; usedpools holds exactly the pools
// that are neither full nor empty.
// Source: CPython 3.11 Objects/obmalloc.c pymalloc_alloc(), pymalloc_free(), pymalloc_realloc().

import { assert } from '../../kernel/errors.ts';
import type { Memory } from '../memory.ts';
import { ARENA_OBJECT_BYTES, Arenas } from './arena.ts';
import type { Profile } from './profile.ts';
import type { RawAllocator } from './raw-allocator.ts';
import type { StaticData } from './static-data.ts';

export const POOL_OVERHEAD = 48;
const HI = 4294967296;
const PAGE_MASK = 511;

export class Obmalloc {
  readonly arenas: Arenas;
  readonly profile: Profile;
  readonly classes: number;
  /** Blocks that the raw allocator serves for the object and memory domains. */
  rawBlocks = 0;
  private readonly mem: Memory;
  private readonly raw: RawAllocator;
  private readonly usedpools: number;
  private readonly alignShift: number;
  private readonly threshold: number;
  private readonly poolMask: number;
  /** Low word of the pretended pool header of class 0. */
  private readonly headLo: number;
  private readonly headHi: number;
  private epoch = -1;
  private usedIndex = 0;
  private readonly hotLo = new Int32Array(PAGE_MASK + 1);
  private readonly hotHi = new Int32Array(PAGE_MASK + 1);
  private readonly hotIndex = new Int32Array(PAGE_MASK + 1);

  constructor(mem: Memory, raw: RawAllocator, data: StaticData, profile: Profile) {
    this.mem = mem;
    this.raw = raw;
    this.profile = profile;
    this.alignShift = profile.alignShift;
    this.threshold = profile.smallRequestThreshold;
    this.poolMask = (1 << profile.poolBits) - 1;
    this.classes = this.threshold >> this.alignShift;
    this.usedpools = data.variable(this.classes * 16, 1024); // within one page
    this.headLo = (this.usedpools - 16) | 0;
    this.headHi = Math.floor(this.usedpools / HI);
    for (let i = 0; i < this.classes; i++) {
      const pair = this.usedpools + 16 * i;
      mem.store64(pair, pair - 16);
      mem.store64(pair + 8, pair - 16);
    }
    this.arenas = new Arenas(mem, raw, data, profile);
  }

  /** Block size of a class, in bytes. */
  sizeOf(szidx: number): number {
    return (szidx + 1) << this.alignShift;
  }

  /** A block of at least `bytes`; 0 bytes ask the raw allocator for one. @returns 0 if none. */
  malloc(bytes: number): number {
    if (bytes > this.threshold || bytes === 0) return this.rawMalloc(bytes);
    const szidx = (bytes - 1) >> this.alignShift;
    const m = this.mem;
    const w = m.words;
    if (m.epoch !== this.epoch) this.refresh();
    const u = this.usedIndex + szidx * 4;
    const poolLo = w[u];
    if (poolLo === this.headLo + szidx * 16) return this.newPool(szidx, bytes);
    const k = (poolLo >>> 12) & PAGE_MASK;
    const isHot = this.hotLo[k] === poolLo && this.hotHi[k] === w[u + 1];
    const p = isHot ? this.hotIndex[k] : this.heat(poolLo, w[u + 1]);
    w[p]++;
    const lowWord = w[p + 2];
    const block = w[p + 3] * HI + (lowWord >>> 0);
    const b = this.indexOf(lowWord, w[p + 3]);
    const lo = w[b];
    const hi = w[b + 1];
    w[p + 2] = lo;
    w[p + 3] = hi;
    if ((lo | hi) === 0) this.extend(p, poolLo, w[u + 1]);
    return block;
  }

  /** malloc() of count × bytes, all zeros. */
  calloc(count: number, bytes: number): number {
    const total = count * bytes;
    if (total > this.threshold || total === 0) {
      const big = total === 0 ? this.raw.calloc(1, 1) : this.raw.calloc(count, bytes);
      if (big !== 0) this.rawBlocks++;
      return big;
    }
    const p = this.malloc(total);
    if (p !== 0) this.mem.zero(p, total);
    return p;
  }

  /** Gives a block back; 0 does nothing. */
  free(block: number): void {
    if (block === 0) return;
    if (!this.arenas.inRange(block)) {
      this.raw.free(block);
      this.rawBlocks--;
      return;
    }
    const m = this.mem;
    const w = m.words;
    if (m.epoch !== this.epoch) this.refresh();
    const lowWord = block | 0;
    const highWord = (block / HI) | 0;
    const p = this.indexOf(lowWord & ~this.poolMask, highWord);
    const b = this.indexOf(lowWord, highWord);
    const lo = w[p + 2];
    const hi = w[p + 3];
    w[b] = lo;
    w[b + 1] = hi;
    w[p + 2] = lowWord;
    w[p + 3] = highWord;
    const left = --w[p];
    if ((lo | hi) === 0) this.linkUsed(p, lowWord & ~this.poolMask, highWord);
    else if (left === 0) {
      this.unlinkUsed(p);
      this.arenas.givePool(block - (block & this.poolMask));
    }
  }

  // Pages of pools that were written lately: where they lie in the store, by their low page number,
  // until the epoch changes. (A block that malloc() only reads was written when it was freed, or
  // when the block before it was handed out.)

  /** The index of an address's word; its page is written. */
  private indexOf(lo: number, hi: number): number {
    const page = lo & ~0xfff;
    const k = (lo >>> 12) & PAGE_MASK;
    const isHot = this.hotLo[k] === page && this.hotHi[k] === hi;
    return (isHot ? this.hotIndex[k] : this.heat(page, hi)) + ((lo & 0xfff) >>> 2);
  }

  private heat(lo: number, hi: number): number {
    const k = (lo >>> 12) & PAGE_MASK;
    const at = this.mem.touchWords(lo, hi, true);
    this.hotLo[k] = lo;
    this.hotHi[k] = hi;
    this.hotIndex[k] = at;
    return at;
  }

  private refresh(): void {
    this.hotLo.fill(1); // no page starts there
    this.usedIndex = this.mem.touch(this.usedpools, true);
    this.epoch = this.mem.epoch;
  }

  /** Resizes; keeps the block if the new size fills more than three quarters of its class. */
  realloc(block: number, bytes: number): number {
    if (block === 0) return this.malloc(bytes);
    if (!this.arenas.inRange(block)) return this.raw.realloc(block, bytes === 0 ? 1 : bytes);
    const m = this.mem;
    let size = this.sizeOf(m.load32(block - (block & this.poolMask) + 36));
    if (bytes <= size) {
      if (4 * bytes > 3 * size) return block;
      size = bytes;
    }
    const moved = this.malloc(bytes);
    if (moved === 0) return 0;
    m.copy(moved, block, size);
    this.free(block);
    return moved;
  }

  /** The first byte of the block that an address in an arena lies in. */
  blockOf(p: number): number {
    const offset = p & this.poolMask;
    const size = this.sizeOf(this.mem.load32(p - offset + 36));
    return p - ((offset - POOL_OVERHEAD) % size);
  }

  /** sys.getallocatedblocks(). */
  allocatedBlocks(): number {
    let blocks = this.rawBlocks;
    this.forEachPool((pool) => {
      blocks += this.mem.load32(pool);
    });
    return blocks;
  }

  /** Calls visit for every pool that was ever carved, in order of arena objects and addresses. */
  forEachPool(visit: (pool: number) => void): void {
    const { objects, maxArenas, poolSize } = this.arenas;
    for (let i = 0; i < maxArenas; i++) {
      const ao = objects + i * ARENA_OBJECT_BYTES;
      const address = this.mem.load64(ao);
      if (address === 0) continue;
      const end = this.mem.load64(ao + 8);
      for (let pool = Math.ceil(address / poolSize) * poolSize; pool < end; pool += poolSize)
        visit(pool);
    }
  }

  private rawMalloc(bytes: number): number {
    const p = this.raw.malloc(bytes === 0 ? 1 : bytes);
    if (p !== 0) this.rawBlocks++;
    return p;
  }

  /** The free list ran out: carves a block, or takes the full pool off its class. */
  private extend(p: number, poolLo: number, poolHi: number): void {
    const w = this.mem.words;
    const offset = w[p + 10];
    if (offset > w[p + 11]) {
      this.unlinkUsed(p);
      return;
    }
    const next = poolLo + offset; // a pool is aligned to its size: no carry
    w[p + 2] = next;
    w[p + 3] = poolHi;
    w[p + 10] = offset + ((w[p + 9] + 1) << this.alignShift);
    const n = this.indexOf(next, poolHi);
    w[n] = 0;
    w[n + 1] = 0;
  }

  /** Takes the pool whose header is at p off its list. */
  private unlinkUsed(p: number): void {
    const w = this.mem.words;
    const next = this.indexOf(w[p + 4] + 24, w[p + 5]);
    const prev = this.indexOf(w[p + 6] + 16, w[p + 7]);
    w[next] = w[p + 6];
    w[next + 1] = w[p + 7];
    w[prev] = w[p + 4];
    w[prev + 1] = w[p + 5];
  }

  /** A full pool got a free block: it goes to the front of its class. */
  private linkUsed(p: number, poolLo: number, poolHi: number): void {
    const w = this.mem.words;
    const szidx = w[p + 9];
    const u = this.usedIndex + szidx * 4;
    const next = this.indexOf(w[u] + 24, w[u + 1]);
    w[p + 4] = w[u];
    w[p + 5] = w[u + 1];
    w[p + 6] = this.headLo + szidx * 16;
    w[p + 7] = this.headHi;
    w[next] = poolLo;
    w[next + 1] = poolHi;
    w[u] = poolLo;
    w[u + 1] = poolHi;
  }

  /** No pool of the class has a free block: takes one from an arena. */
  private newPool(szidx: number, bytes: number): number {
    const pool = this.arenas.takePool();
    if (pool === 0) return this.rawMalloc(bytes);
    const m = this.mem;
    const head = this.usedpools + szidx * 16 - 16;
    m.store64(pool + 16, head);
    m.store64(pool + 24, head);
    m.store64(head + 16, pool);
    m.store64(head + 24, pool);
    m.store32(pool, 1);
    if (m.load32(pool + 36) === szidx) {
      const block = m.load64(pool + 8);
      m.store64(pool + 8, m.load64(block));
      return block;
    }
    const size = this.sizeOf(szidx);
    m.store32(pool + 36, szidx);
    m.store32(pool + 40, POOL_OVERHEAD + 2 * size);
    m.store32(pool + 44, this.poolMask + 1 - size);
    const block = pool + POOL_OVERHEAD;
    m.store64(pool + 8, block + size);
    m.store64(block + size, 0);
    return block;
  }

  /** Throws KernelBug where an invariant does not hold. O(blocks). */
  check(): void {
    this.arenas.check();
    const m = this.mem;
    const used = new Set<number>();
    for (let i = 0; i < this.classes; i++) {
      const head = this.usedpools + 16 * i - 16;
      for (let pool = m.load64(head + 16); pool !== head; pool = m.load64(pool + 16)) {
        assert(!used.has(pool), 'a pool is on usedpools once');
        used.add(pool);
        assert(m.load32(pool + 36) === i, 'a used pool is listed under its own class');
        assert(m.load64(m.load64(pool + 16) + 24) === pool, 'nextpool and prevpool agree');
      }
    }
    this.forEachPool((pool) => this.checkPool(pool, used.has(pool)));
  }

  private checkPool(pool: number, isUsed: boolean): void {
    const m = this.mem;
    const count = m.load32(pool);
    const szidx = m.load32(pool + 36);
    assert(szidx < this.classes, `pool ${pool}: szidx ${szidx}`);
    const size = this.sizeOf(szidx);
    const blocks = Math.floor((this.poolMask + 1 - POOL_OVERHEAD) / size);
    const nextoffset = m.load32(pool + 40);
    const carved = Math.floor((nextoffset - POOL_OVERHEAD) / size);
    const seen = new Set<number>();
    for (let at = m.load64(pool + 8); at !== 0; at = m.load64(at)) {
      assert(!seen.has(at), `pool ${pool}: its free list has a cycle`);
      seen.add(at);
      const offset = at - pool - POOL_OVERHEAD;
      assert(offset >= 0 && offset % size === 0, `pool ${pool}: a free block is a block`);
      assert(offset / size < carved, `pool ${pool}: a free block was carved`);
    }
    assert(count + seen.size === carved, `pool ${pool}: used + free = carved`);
    const isFull = count === blocks;
    assert(isUsed === (count > 0 && !isFull), `pool ${pool}: on usedpools iff partly used`);
  }
}
