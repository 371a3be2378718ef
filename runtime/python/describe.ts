// From an address to what lies there: block, pool and arena, and the object's type and count; one
// step of the chain from a Python object down to a frame.

import { ARENA_OBJECT_BYTES } from './arena.ts';
import { POOL_OVERHEAD } from './obmalloc.ts';
import type { PythonRuntime } from './runtime.ts';

/** Where an address lies in a Python heap; plain data. */
export interface PythonPlace {
  /** 'pool': in a pool of an arena; 'data': in the data section; 'raw': elsewhere. */
  readonly where: 'pool' | 'data' | 'raw';
  /** First byte, size and state of the block; in a pool only. */
  readonly block?: { address: number; bytes: number; index: number; isFree: boolean };
  readonly pool?: { address: number; szidx: number; used: number; index: number };
  readonly arena?: { address: number; index: number; freePools: number };
}

/** Describes any address of the process. O(blocks of the pool). */
export function describe(py: PythonRuntime, address: number): PythonPlace {
  const { mem, obmalloc } = py;
  const { arenas } = obmalloc;
  if (address >= py.data.base && address < py.data.end) return { where: 'data' };
  if (!arenas.inRange(address)) return { where: 'raw' };
  const pool = address - (address & (arenas.poolSize - 1));
  const index = mem.load32(pool + 32);
  const object = arenas.objects + index * ARENA_OBJECT_BYTES;
  const base = mem.load64(object);
  const arena = { address: base, index, freePools: mem.load32(object + 16) };
  const first = Math.ceil(base / arenas.poolSize) * arenas.poolSize;
  const szidx = mem.load32(pool + 36);
  const at = {
    address: pool,
    szidx,
    used: mem.load32(pool),
    index: (pool - first) / arenas.poolSize,
  };
  if (pool < first || pool >= mem.load64(object + 8)) return { where: 'pool', arena };
  if (address < pool + POOL_OVERHEAD) return { where: 'pool', arena, pool: at };
  const start = obmalloc.blockOf(address);
  const bytes = obmalloc.sizeOf(szidx);
  let isFree = start >= pool + mem.load32(pool + 40) - bytes;
  for (let free = mem.load64(pool + 8); free !== 0 && !isFree; free = mem.load64(free))
    isFree = free === start;
  const block = { address: start, bytes, index: (start - pool - POOL_OVERHEAD) / bytes, isFree };
  return { where: 'pool', arena, pool: at, block };
}
