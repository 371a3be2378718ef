// What the formats ask of an allocator: places as arena, pool and block numbers; arenas mapped at a
// chosen offset and numbered in order of creation.

import {
  type ArenaAllocator,
  MmapArenas,
  type Memory,
  type MallocStats,
  mallocStats,
  type Obmalloc,
  POOL_OVERHEAD,
} from '../../runtime/index.ts';
import { DebugHooks } from '../../runtime/python/debug-hooks.ts';
import type { RawAllocator } from '../../runtime/python/raw-allocator.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../userspace/mman.ts';

/** Where a block lies; 'large' if the raw allocator has it. */
export type Place = readonly [arena: number, pool: number, block: number] | 'large';

/** Arenas at a given offset after a multiple of the pool size, as address hints to mmap. */
class OffsetArenas implements ArenaAllocator {
  /** Of the i-th arena; the last counts for all later ones. */
  offsets: readonly number[] = [0];
  private readonly mem: Memory;
  private readonly plain: MmapArenas;
  private readonly align: number;
  private made = 0;

  constructor(mem: Memory, align: number) {
    this.mem = mem;
    this.plain = new MmapArenas(mem);
    this.align = align;
  }

  alloc(bytes: number): number {
    const offset = this.offsets[Math.min(this.made, this.offsets.length - 1)] ?? 0;
    this.made++;
    const at = this.plain.alloc(bytes);
    const excess = (((at - offset) % this.align) + this.align) % this.align;
    if (at === 0 || excess === 0) return at;
    // The place itself is free again, and so, as mmap works from the top down, is what lies below.
    this.plain.free(at, bytes);
    const prot = PROT_READ | PROT_WRITE;
    const moved = this.mem.mmap(at - excess, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS);
    return moved > 0 ? moved : 0;
  }

  free(address: number, bytes: number): void {
    this.plain.free(address, bytes);
  }
}

export class AllocatorProbe {
  readonly obmalloc: Obmalloc;
  /** What a script calls: obmalloc, or debug hooks around it. */
  readonly allocator: RawAllocator;
  private readonly hooks: DebugHooks | null;
  private readonly mem: Memory;
  private readonly source: OffsetArenas;
  /** Numbers of the living arenas, by the 1 MiB (or arena size) chunks they touch. */
  private readonly numbers = new Map<number, number>();
  private next = 0;
  private mapped: number[] = [];
  private unmapped: number[] = [];

  constructor(mem: Memory, obmalloc: Obmalloc, hooks: DebugHooks | null = null) {
    this.mem = mem;
    this.obmalloc = obmalloc;
    this.hooks = hooks;
    this.allocator = hooks ?? obmalloc;
    const { arenas } = obmalloc;
    const source = new OffsetArenas(mem, arenas.poolSize);
    this.source = source;
    arenas.source = {
      alloc: (bytes) => {
        const at = source.alloc(bytes);
        if (at !== 0) {
          this.mapped.push(this.next);
          this.numbers.set(at, this.next++);
        }
        return at;
      },
      free: (address, bytes) => {
        this.unmapped.push(this.numbers.get(address) ?? -1);
        this.numbers.delete(address);
        source.free(address, bytes);
      },
    };
  }

  setOffsets(offsets: readonly number[]): void {
    this.source.offsets = offsets.length === 0 ? [0] : offsets;
  }

  /** Arenas created and released since the last call. */
  takeArenaEvents(): { mapped: number[]; unmapped: number[] } {
    const { mapped, unmapped } = this;
    if (mapped.length > 0) this.mapped = [];
    if (unmapped.length > 0) this.unmapped = [];
    return { mapped, unmapped };
  }

  stats(): MallocStats {
    return mallocStats(this.mem, this.obmalloc);
  }

  /** A store by the program, wherever it may go. */
  write(address: number, byte: number): void {
    this.mem.store8(address, byte);
  }
  /** What the debug hooks know of a block, as text. */
  dump(p: number): string {
    return this.hooks?.dump(p) ?? '';
  }

  /** Where a living block lies, from the pool header's arenaindex. */
  place(block: number): Place {
    const { arenas } = this.obmalloc;
    const p = this.hooks === null ? block : block - DebugHooks.headBytes;
    if (!arenas.inRange(p)) return 'large';
    const offset = p & (arenas.poolSize - 1);
    const pool = p - offset;
    const address = this.mem.load64(arenas.objects + this.mem.load32(pool + 32) * 48);
    const first = Math.ceil(address / arenas.poolSize) * arenas.poolSize;
    const size = this.obmalloc.sizeOf(this.mem.load32(pool + 36));
    return [
      this.numbers.get(address) ?? -1,
      (pool - first) / arenas.poolSize,
      (offset - POOL_OVERHEAD) / size,
    ];
  }
}
