// What sys._debugmallocstats() tells of the small-block allocator, as figures and as its text.
//
// Source: CPython 3.11 Objects/obmalloc.c _PyObject_DebugMallocStats(), printone().

import type { Memory } from '../memory.ts';
import { ARENA_OBJECT_BYTES } from './arena.ts';
import { type Obmalloc, POOL_OVERHEAD } from './obmalloc.ts';

/** Figures of the allocator; `bytes` all in bytes. */
export interface MallocStats {
  /** Used pools only, by block size: pools, blocks in use, free blocks. */
  classes: Record<string, [number, number, number]>;
  arenas: { total: number; reclaimed: number; highwater: number; current: number };
  bytes: {
    arenas: number;
    allocated: number;
    available: number;
    unused_pools: number;
    pool_headers: number;
    quantization: number;
    arena_alignment: number;
    total: number;
  };
  map: { mid_nodes: number; bot_nodes: number };
  allocated_blocks: number;
}

/** Walks every pool. O(pools). */
export function mallocStats(mem: Memory, ob: Obmalloc): MallocStats {
  const { arenas } = ob;
  const classes: Record<string, [number, number, number]> = {};
  let [allocated, available, headers, quantization] = [0, 0, 0, 0];
  let blocks = 0;
  const byClass = new Int32Array(ob.classes * 3);
  ob.forEachPool((pool) => {
    const count = mem.load32(pool);
    if (count === 0) return;
    const szidx = mem.load32(pool + 36);
    const all = Math.floor((arenas.poolSize - POOL_OVERHEAD) / ob.sizeOf(szidx));
    byClass[3 * szidx]++;
    byClass[3 * szidx + 1] += count;
    byClass[3 * szidx + 2] += all - count;
  });
  for (let i = 0; i < ob.classes; i++) {
    const pools = byClass[3 * i];
    const used = byClass[3 * i + 1];
    const free = byClass[3 * i + 2];
    if (pools === 0) continue;
    const size = ob.sizeOf(i);
    classes[String(size)] = [pools, used, free];
    allocated += used * size;
    available += free * size;
    headers += pools * POOL_OVERHEAD;
    quantization += pools * ((arenas.poolSize - POOL_OVERHEAD) % size);
    blocks += used;
  }
  const { free, alignment } = freePoolsAndAlignment(mem, ob);
  const unused = free * arenas.poolSize;
  const total = allocated + available + unused + headers + quantization + alignment;
  return {
    classes,
    arenas: {
      total: arenas.timesAllocated,
      reclaimed: arenas.timesAllocated - arenas.current,
      highwater: arenas.highwater,
      current: arenas.current,
    },
    bytes: {
      arenas: arenas.current * arenas.arenaSize,
      allocated,
      available,
      unused_pools: unused,
      pool_headers: headers,
      quantization,
      arena_alignment: alignment,
      total,
    },
    map: { mid_nodes: arenas.midNodes, bot_nodes: arenas.bottomNodes },
    allocated_blocks: blocks + ob.rawBlocks,
  };
}

function freePoolsAndAlignment(mem: Memory, ob: Obmalloc): { free: number; alignment: number } {
  const { objects, maxArenas, poolSize } = ob.arenas;
  let free = 0;
  let alignment = 0;
  for (let i = 0; i < maxArenas; i++) {
    const ao = objects + i * ARENA_OBJECT_BYTES;
    const address = mem.load64(ao);
    if (address === 0) continue;
    free += mem.load32(ao + 16);
    if ((address & (poolSize - 1)) !== 0) alignment += poolSize;
  }
  return { free, alignment };
}
