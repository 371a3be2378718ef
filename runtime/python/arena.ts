// Arenas: large pieces of memory from mmap, cut into pools, for obmalloc.
//
// An arena object (48 bytes, in an array that the raw allocator holds) describes one arena:
//
//     +0 address   +8 pool_address   +16 nfreepools  +20 ntotalpools
//     +24 freepools   +32 nextarena   +40 prevarena
//
//     address                pool_address                          address + ARENA_SIZE
//     | align |pool|pool|pool|  never carved yet                   |
//               `--freepools--> pools that emptied, singly linked by their nextpool
//
// States of an arena: unassociated (address 0, on unused_arena_objects), usable (some pool free, on
// usable_arenas, doubly linked), full (on no list). Transitions: newArena() unassociated -> usable;
// takePool() usable -> full with the last pool; givePool() full -> usable, at the list's front;
// usable -> unassociated when all pools are free and it is not last in the list (versions before
// 3.8: always).
//
// usable_arenas is sorted by nfreepools, fewest first, so that nearly empty arenas get a chance to
// empty. nfp2lasta[n] is the last arena in the list with n free pools, which makes the one move
// that a freed pool asks for O(1). Versions before 3.8 walk to the place instead.
//
// Invariants (check()): list sorted and doubly linked; nfp2lasta as said; nfreepools = pools never
// carved + length of freepools; the radix map covers exactly the associated arenas.
// Source: CPython 3.11 Objects/obmalloc.c new_arena(), insert_to_freepool(), arena_map_*().

import { assert } from '../../kernel/errors.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../userspace/mman.ts';
import type { Memory } from '../memory.ts';
import { ArenaMap } from './arena-map.ts';
import type { Profile } from './profile.ts';
import type { RawAllocator } from './raw-allocator.ts';
import type { StaticData } from './static-data.ts';

/** PyObjectArenaAllocator: where arenas come from. */
export interface ArenaAllocator {
  /** @returns the address, or 0. */
  alloc(bytes: number): number;
  free(address: number, bytes: number): void;
}

export const ARENA_OBJECT_BYTES = 48;
const INITIAL_ARENA_OBJECTS = 16;
const DUMMY_SIZE_IDX = 0xffff;

/** Plain mmap and munmap: what CPython does by default. */
export class MmapArenas implements ArenaAllocator {
  private readonly mem: Memory;
  constructor(mem: Memory) {
    this.mem = mem;
  }
  alloc(bytes: number): number {
    const prot = PROT_READ | PROT_WRITE;
    const at = this.mem.mmap(0, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS);
    return at > 0 ? at : 0;
  }
  free(address: number, bytes: number): void {
    this.mem.munmap(address, bytes);
  }
}

export class Arenas {
  readonly arenaSize: number;
  readonly poolSize: number;
  readonly poolsPerArena: number;
  /** Where new arenas come from; may be replaced before the first one. */
  source: ArenaAllocator;
  private readonly mem: Memory;
  private readonly raw: RawAllocator;
  private readonly profile: Profile;
  /** Address of the variables: arenas, maxarenas, unused_arena_objects, usable_arenas, and how many
   * arenas there were, were at most, and are. */
  readonly vars: number;
  private readonly nfp2lasta: number;
  /** Versions before 3.10 have none. */
  private readonly map: ArenaMap | null;

  constructor(mem: Memory, raw: RawAllocator, data: StaticData, profile: Profile) {
    this.mem = mem;
    this.raw = raw;
    this.profile = profile;
    this.source = new MmapArenas(mem);
    this.arenaSize = 2 ** profile.arenaBits;
    this.poolSize = 1 << profile.poolBits;
    this.poolsPerArena = this.arenaSize / this.poolSize;
    this.vars = data.variable(72);
    this.nfp2lasta = data.variable(8 * (this.poolsPerArena + 1));
    this.map = profile.radixMap ? new ArenaMap(mem, raw, data) : null;
  }

  /** The array of arena objects and its length; addresses and counts as the C variables say. */
  get objects(): number {
    return this.mem.load64(this.vars);
  }
  get maxArenas(): number {
    return this.mem.load32(this.vars + 8);
  }
  get usableArenas(): number {
    return this.mem.load64(this.vars + 24);
  }
  /** Arenas ever allocated. */
  get timesAllocated(): number {
    return this.mem.load64(this.vars + 32);
  }
  get highwater(): number {
    return this.mem.load64(this.vars + 40);
  }
  get current(): number {
    return this.mem.load64(this.vars + 48);
  }
  get midNodes(): number {
    return this.map?.midNodes ?? 0;
  }
  get bottomNodes(): number {
    return this.map?.bottomNodes ?? 0;
  }

  /** Takes a free pool, from the fullest arena that has one; its header is as it was left.
   * @returns the pool's address, or 0 when no memory is left. */
  takePool(): number {
    const m = this.mem;
    let ao = this.usableArenas;
    if (ao === 0) {
      ao = this.newArena();
      if (ao === 0) return 0;
      m.store64(ao + 32, 0);
      m.store64(ao + 40, 0);
      m.store64(this.vars + 24, ao);
      this.setLast(m.load32(ao + 16), ao);
    }
    const free = m.load32(ao + 16);
    // ao is first in the list: with one pool fewer it is the last one of that number, too.
    if (this.last(free) === ao) this.setLast(free, 0);
    if (free > 1) this.setLast(free - 1, ao);
    let pool = m.load64(ao + 24);
    if (pool !== 0) m.store64(ao + 24, m.load64(pool + 16));
    else {
      pool = m.load64(ao + 8);
      m.store32(pool + 32, (ao - this.objects) / ARENA_OBJECT_BYTES);
      m.store32(pool + 36, DUMMY_SIZE_IDX);
      m.store64(ao + 8, pool + this.poolSize);
    }
    m.store32(ao + 16, free - 1);
    if (free === 1) {
      const next = m.load64(ao + 32);
      m.store64(this.vars + 24, next);
      if (next !== 0) m.store64(next + 40, 0);
    }
    return pool;
  }

  /** Gives back an empty pool; may release its arena, or move it in the order. */
  givePool(pool: number): void {
    const m = this.mem;
    const ao = this.objects + m.load32(pool + 32) * ARENA_OBJECT_BYTES;
    m.store64(pool + 16, m.load64(ao + 24));
    m.store64(ao + 24, pool);
    const was = m.load32(ao + 16);
    const nf = was + 1;
    const lastWas = this.last(was);
    if (lastWas === ao) {
      const p = m.load64(ao + 40);
      this.setLast(was, p !== 0 && m.load32(p + 16) === was ? p : 0);
    }
    m.store32(ao + 16, nf);
    const isLast = was !== 0 && m.load64(ao + 32) === 0;
    if (nf === m.load32(ao + 20) && !(isLast && this.profile.keepsLastArena)) {
      this.releaseArena(ao);
      return;
    }
    if (nf === 1) {
      const first = this.usableArenas;
      m.store64(ao + 32, first);
      m.store64(ao + 40, 0);
      if (first !== 0) m.store64(first + 40, ao);
      m.store64(this.vars + 24, ao);
      if (this.last(1) === 0) this.setLast(1, ao);
      return;
    }
    if (!this.profile.nfp2lasta) {
      this.slideRight(ao, nf);
      return;
    }
    if (this.last(nf) === 0) this.setLast(nf, ao);
    if (lastWas === ao) return; // still in order
    this.unlink(ao);
    this.insertAfter(ao, lastWas);
  }

  /** Whether an arena holds the address. Reads the map, or the pool header, as the version does. */
  inRange(p: number): boolean {
    return this.map === null ? this.headerCovers(p) : this.map.covers(p);
  }

  /** Before 3.10: reads memory that may not be ours, which is why debuggers disliked it. */
  private headerCovers(p: number): boolean {
    const m = this.mem;
    const pool = p - (p & (this.poolSize - 1));
    const index = m.load32(pool + 32) >>> 0;
    if (index >= this.maxArenas) return false;
    const address = m.load64(this.objects + index * ARENA_OBJECT_BYTES);
    return address !== 0 && p >= address && p - address < this.arenaSize;
  }

  private last(free: number): number {
    return this.mem.load64(this.nfp2lasta + 8 * free);
  }
  private setLast(free: number, ao: number): void {
    this.mem.store64(this.nfp2lasta + 8 * free, ao);
  }

  private newArena(): number {
    const m = this.mem;
    if (m.load64(this.vars + 16) === 0 && !this.growObjects()) return 0;
    const ao = m.load64(this.vars + 16);
    const address = this.source.alloc(this.arenaSize);
    if (address === 0) return 0;
    if (this.map !== null && !this.map.markUsed(address, true)) {
      this.source.free(address, this.arenaSize);
      return 0;
    }
    m.store64(this.vars + 16, m.load64(ao + 32));
    m.store64(ao, address);
    m.store64(this.vars + 32, this.timesAllocated + 1);
    const current = this.current + 1;
    m.store64(this.vars + 48, current);
    if (current > this.highwater) m.store64(this.vars + 40, current);
    m.store64(ao + 24, 0);
    const excess = address & (this.poolSize - 1);
    const pools = this.poolsPerArena - (excess === 0 ? 0 : 1);
    m.store64(ao + 8, excess === 0 ? address : address + this.poolSize - excess);
    m.store32(ao + 16, pools);
    m.store32(ao + 20, pools);
    return ao;
  }

  /** Doubles the array of arena objects and chains the new ones, lowest first. */
  private growObjects(): boolean {
    const m = this.mem;
    const had = this.maxArenas;
    const have = had === 0 ? INITIAL_ARENA_OBJECTS : had * 2;
    const was = this.objects;
    const now = this.raw.realloc(was, have * ARENA_OBJECT_BYTES);
    if (now === 0) return false;
    // Only called with every object associated and no arena usable, so no object is linked.
    m.store64(this.vars, now);
    m.store32(this.vars + 8, have);
    for (let i = had; i < have; i++) {
      const ao = now + i * ARENA_OBJECT_BYTES;
      m.store64(ao, 0);
      m.store64(ao + 32, i < have - 1 ? ao + ARENA_OBJECT_BYTES : 0);
    }
    m.store64(this.vars + 16, now + had * ARENA_OBJECT_BYTES);
    return true;
  }

  private releaseArena(ao: number): void {
    const m = this.mem;
    this.unlink(ao);
    m.store64(ao + 32, m.load64(this.vars + 16));
    m.store64(this.vars + 16, ao);
    const address = m.load64(ao);
    this.map?.markUsed(address, false);
    m.store64(ao, 0);
    m.store64(this.vars + 48, this.current - 1);
    this.source.free(address, this.arenaSize);
  }

  private unlink(ao: number): void {
    const m = this.mem;
    const next = m.load64(ao + 32);
    const prev = m.load64(ao + 40);
    if (prev === 0) m.store64(this.vars + 24, next);
    else m.store64(prev + 32, next);
    if (next !== 0) m.store64(next + 40, prev);
  }

  private insertAfter(ao: number, prev: number): void {
    const m = this.mem;
    const next = m.load64(prev + 32);
    m.store64(ao + 40, prev);
    m.store64(ao + 32, next);
    m.store64(prev + 32, ao);
    if (next !== 0) m.store64(next + 40, ao);
  }

  /** The order of versions without nfp2lasta: past all arenas with fewer free pools. */
  private slideRight(ao: number, nf: number): void {
    const m = this.mem;
    let after = 0;
    for (let at = m.load64(ao + 32); at !== 0 && m.load32(at + 16) < nf; at = m.load64(at + 32))
      after = at;
    if (after === 0) return;
    this.unlink(ao);
    this.insertAfter(ao, after);
  }

  /** Throws KernelBug where an invariant does not hold. O(arenas × pools). */
  check(): void {
    const m = this.mem;
    const seen = new Set<number>();
    let before = 0;
    for (let ao = this.usableArenas; ao !== 0; ao = m.load64(ao + 32)) {
      assert(!seen.has(ao), 'usable_arenas has no cycle');
      seen.add(ao);
      assert(m.load64(ao + 40) === before, 'prevarena points back');
      const nf = m.load32(ao + 16);
      assert(nf > 0 && nf <= m.load32(ao + 20), 'a usable arena has a free pool');
      if (before !== 0) assert(m.load32(before + 16) <= nf, 'usable_arenas is sorted');
      const next = m.load64(ao + 32);
      const isLastOfCount = next === 0 || m.load32(next + 16) !== nf;
      if (this.profile.nfp2lasta && isLastOfCount)
        assert(this.last(nf) === ao, 'nfp2lasta names the last arena of each count');
      before = ao;
    }
    let associated = 0;
    for (let i = 0; i < this.maxArenas; i++) {
      const ao = this.objects + i * ARENA_OBJECT_BYTES;
      const address = m.load64(ao);
      if (address === 0) continue;
      associated++;
      this.checkArena(ao, address, seen.has(ao));
    }
    assert(associated === this.current, 'narenas_currently_allocated counts the arenas');
  }

  private checkArena(ao: number, address: number, isListed: boolean): void {
    const m = this.mem;
    const nf = m.load32(ao + 16);
    assert(isListed === nf > 0, 'an arena is listed if and only if a pool of it is free');
    const uncarved = Math.floor((address + this.arenaSize - m.load64(ao + 8)) / this.poolSize);
    let listed = 0;
    for (let pool = m.load64(ao + 24); pool !== 0; pool = m.load64(pool + 16)) {
      listed++;
      assert(listed <= nf, 'freepools is not longer than nfreepools says');
      assert(pool >= address && pool < m.load64(ao + 8), 'a free pool lies in its arena');
      assert(m.load32(pool) === 0, 'a free pool has no block in use');
    }
    assert(listed + uncarved === nf, 'nfreepools = emptied + never carved');
    assert(this.inRange(address) || !this.profile.radixMap, 'the map knows the first byte');
    assert(this.inRange(address + this.arenaSize - 1) || !this.profile.radixMap, 'and the last');
  }
}
