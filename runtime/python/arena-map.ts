// The radix tree that tells whether an address lies in an arena (3.10 on).
//
//     address | 15 bits | 15 bits | 14 bits | 20 bits |
//               root      mid       bottom    offset in a chunk of 1 MiB
//
//     leaf: tail_hi, tail_lo: an arena begins at tail_hi in this chunk (-1: at 0), and one that
//     began in the chunk before ends at tail_lo
//
// The root lies in the data section; the other nodes come from the raw allocator when an arena
// needs them, and stay. Source: CPython 3.11 Objects/obmalloc.c arena_map_*().

import type { Memory } from '../memory.ts';
import type { RawAllocator } from './raw-allocator.ts';
import type { StaticData } from './static-data.ts';

const ARENA_SIZE = 1 << 20;
const MAP_TOP_LENGTH = 1 << 15;
const MAP_MID_LENGTH = 1 << 15;
const MAP_BOT_LENGTH = 1 << 14;
const LEAF_CACHE = 64;

export class ArenaMap {
  private readonly mem: Memory;
  private readonly raw: RawAllocator;
  private readonly root: number;
  /** arena_map_mid_count, arena_map_bot_count. */
  private readonly counts: number;
  /** Where the leaves lie that were looked at last, by chunk, until the epoch changes. */
  private readonly leafChunk = new Int32Array(LEAF_CACHE).fill(-1);
  private readonly leafIndex = new Int32Array(LEAF_CACHE);
  private leafEpoch = -1;

  constructor(mem: Memory, raw: RawAllocator, data: StaticData) {
    this.mem = mem;
    this.raw = raw;
    this.counts = data.variable(8);
    this.root = data.variable(8 * MAP_TOP_LENGTH);
  }

  get midNodes(): number {
    return this.mem.load32(this.counts);
  }
  get bottomNodes(): number {
    return this.mem.load32(this.counts + 4);
  }

  /** Whether an arena holds the address. */
  covers(p: number): boolean {
    const chunk = (p / 1048576) | 0; // below 2^27 for a user address
    const k = chunk & (LEAF_CACHE - 1);
    const isKnown = this.leafChunk[k] === chunk && this.leafEpoch === this.mem.epoch;
    const bot = isKnown ? this.leafIndex[k] : this.findLeaf(chunk, k);
    if (bot < 0) return false;
    const w = this.mem.words;
    const tail = p & 0xfffff;
    const tailHi = w[bot];
    return tail < w[bot + 1] || (tailHi !== 0 && tail >= tailHi);
  }

  /** Walks the tree to a chunk's leaf. @returns the index of its word, -1 if there is none. */
  private findLeaf(chunk: number, k: number): number {
    const m = this.mem;
    const w = m.words;
    const top = m.touch(this.root + (chunk >>> 29) * 8, false);
    const midLo = w[top];
    const midHi = w[top + 1];
    if ((midLo | midHi) === 0) return -1;
    const midAt = midHi * 4294967296 + (midLo >>> 0) + ((chunk >>> 14) & (MAP_MID_LENGTH - 1)) * 8;
    const mid = m.touch(midAt, false);
    const botLo = w[mid];
    const botHi = w[mid + 1];
    if ((botLo | botHi) === 0) return -1;
    const at = botHi * 4294967296 + (botLo >>> 0) + (chunk & (MAP_BOT_LENGTH - 1)) * 8;
    const bot = m.touch(at, false);
    if (this.leafEpoch !== m.epoch) {
      this.leafChunk.fill(-1);
      this.leafEpoch = m.epoch;
    }
    this.leafChunk[k] = chunk;
    this.leafIndex[k] = bot;
    return bot;
  }

  /** The eight bytes that say how much of a 1 MiB chunk arenas cover: tail_hi, tail_lo. */
  private coverage(address: number, create: boolean): number {
    const m = this.mem;
    const chunk = Math.floor(address / ARENA_SIZE);
    const top = this.root + (chunk >>> 29) * 8;
    let mid = m.load64(top);
    if (mid === 0) {
      if (!create) return 0;
      mid = this.raw.calloc(1, MAP_MID_LENGTH * 8);
      if (mid === 0) return 0;
      m.store64(top, mid);
      m.store32(this.counts, this.midNodes + 1);
    }
    const midAt = mid + ((chunk >>> 14) & (MAP_MID_LENGTH - 1)) * 8;
    let bottom = m.load64(midAt);
    if (bottom === 0) {
      if (!create) return 0;
      bottom = this.raw.calloc(1, MAP_BOT_LENGTH * 8);
      if (bottom === 0) return 0;
      m.store64(midAt, bottom);
      m.store32(this.counts + 4, this.bottomNodes + 1);
    }
    return bottom + (chunk & (MAP_BOT_LENGTH - 1)) * 8;
  }

  /** An arena that is not aligned covers the tail of one chunk and the head of the next. */
  markUsed(address: number, used: boolean): boolean {
    const m = this.mem;
    this.leafEpoch = -1; // a leaf that was read only may move when it is written
    const hi = this.coverage(address, used);
    if (hi === 0) return false;
    const tail = address & (ARENA_SIZE - 1);
    if (tail === 0) {
      m.store32(hi, used ? -1 : 0);
      return true;
    }
    const lo = this.coverage(address + ARENA_SIZE, used);
    if (lo === 0) return false;
    m.store32(hi, used ? tail : 0);
    m.store32(lo + 4, used ? tail : 0);
    return true;
  }
}
