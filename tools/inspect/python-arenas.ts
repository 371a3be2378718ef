// CPython's arenas and pools as plain data, read from the process's memory without effect.
//
// A page of it that is not present reads as zeros: a pool whose header was swapped out shows as
// free. Source of the layouts: runtime/python/arena.ts, obmalloc.ts.

import { ARENA_OBJECT_BYTES } from '../../runtime/python/arena.ts';
import { POOL_OVERHEAD } from '../../runtime/python/obmalloc.ts';
import type { PythonRuntime } from '../../runtime/python/runtime.ts';
import { Peek } from './peek.ts';
import type { SubjectProcess } from './subject.ts';

export interface PythonPool {
  readonly address: number;
  /** Blocks in use. */
  readonly used: number;
  /** Blocks that fit; 0 for a pool that never had a class. */
  readonly blocks: number;
  /** Size of a block, in bytes. */
  readonly size: number;
  readonly szidx: number;
}

export interface PythonArena {
  readonly index: number;
  readonly address: number;
  readonly bytes: number;
  readonly poolBytes: number;
  readonly freePools: number;
  readonly totalPools: number;
  /** Pools that were ever carved. */
  readonly pools: readonly PythonPool[];
}

/** All arenas of a process whose heap is CPython's; none for others. O(pools). */
export function pythonArenas(p: SubjectProcess): PythonArena[] {
  if (p.heap?.runtime !== 'python') return [];
  const { arenas } = p.heap.py.obmalloc;
  const peek = new Peek(p.task.mm);
  const objects = peek.load64(arenas.vars);
  const count = peek.load32(arenas.vars + 8);
  const found: PythonArena[] = [];
  for (let index = 0; index < count; index++) {
    const at = objects + index * ARENA_OBJECT_BYTES;
    const address = peek.load64(at);
    if (address === 0) continue;
    const end = peek.load64(at + 8);
    const pools: PythonPool[] = [];
    const first = Math.ceil(address / arenas.poolSize) * arenas.poolSize;
    for (let pool = first; pool < end; pool += arenas.poolSize) {
      pools.push(poolAt(p.heap.py, peek, pool));
    }
    found.push({
      index,
      address,
      bytes: arenas.arenaSize,
      poolBytes: arenas.poolSize,
      freePools: peek.load32(at + 16),
      totalPools: peek.load32(at + 20),
      pools,
    });
  }
  return found;
}

function poolAt(py: PythonRuntime, peek: Peek, address: number): PythonPool {
  const { obmalloc } = py;
  const szidx = peek.load32(address + 36);
  const known = szidx >= 0 && szidx < obmalloc.classes && peek.at(address) >= 0;
  const size = known ? obmalloc.sizeOf(szidx) : 0;
  return {
    address,
    used: peek.load32(address),
    blocks: known ? Math.floor((obmalloc.arenas.poolSize - POOL_OVERHEAD) / size) : 0,
    size,
    szidx,
  };
}

/** State of a block in PythonBlocks.blocks. */
export const BLOCK_UNUSED = 0;
export const BLOCK_FREE = 1;
export const BLOCK_USED = 2;

export interface PythonBlocks {
  /** Without its pools. */
  readonly arena: PythonArena;
  readonly pool: PythonPool;
  readonly poolIndex: number;
  /** BLOCK_* of each block. */
  readonly blocks: Uint8Array<ArrayBuffer>;
  /** Address of the first block. */
  readonly first: number;
  /** Blocks of the free list, in its order. */
  readonly freeList: readonly number[];
}

/** The pool that an address lies in, with all its blocks; undefined outside of pools. */
export function pythonBlocksAt(p: SubjectProcess, va: number): PythonBlocks | undefined {
  const arena = pythonArenas(p).find((a) => va >= a.address && va < a.address + a.bytes);
  if (arena === undefined) return undefined;
  const poolIndex = arena.pools.findIndex(
    (q) => va >= q.address && va < q.address + arena.poolBytes,
  );
  const pool = arena.pools[poolIndex];
  if (pool === undefined) return undefined;
  const peek = new Peek(p.task.mm);
  const first = pool.address + POOL_OVERHEAD;
  const carved = peek.load32(pool.address + 40);
  const blocks = new Uint8Array(pool.blocks);
  for (let i = 0; i < pool.blocks; i++) {
    if (POOL_OVERHEAD + i * pool.size < carved) blocks[i] = BLOCK_USED;
  }
  const freeList: number[] = [];
  let at = peek.load64(pool.address + 8);
  while (at >= first && at < pool.address + arena.poolBytes && freeList.length < pool.blocks) {
    freeList.push(at);
    blocks[Math.floor((at - first) / pool.size)] = BLOCK_FREE;
    at = peek.load64(at);
  }
  return { arena: { ...arena, pools: [] }, pool, poolIndex, blocks, first, freeList };
}
