// The arenas and pools of a CPython heap as places: a pool goes back to its arena, and an arena to
// the kernel, when nothing in it is in use. To be used inside asideOf().

import type { PythonRuntime } from '../../../runtime/python/runtime.ts';
import { type PythonArena, pythonArenas, type PythonPool } from '../python-arenas.ts';
import type { SubjectProcess } from '../subject.ts';
import type { HeldBlock, PinnedHeap } from './heap-pins.ts';
import type { Place } from './pin.ts';
import { PythonGraph } from './python-graph.ts';

export function pythonPinnedHeap(p: SubjectProcess, py: PythonRuntime): PinnedHeap {
  const named = p.heap?.runtime === 'python' ? p.heap.named : undefined;
  const arenas = pythonArenas(p);
  const graph = new PythonGraph(py, p.task.mm, arenas, named);
  const places: Place[] = [];
  const pools = new Map<Place, readonly PythonPool[]>();
  for (const arena of arenas) {
    const used = arena.pools.filter((pool) => pool.used > 0);
    if (used.length === 0) continue;
    const inPools = used.map((pool) => placeOfPool(arena, pool));
    const sum = (of: (q: Place) => number): number => inPools.reduce((n, q) => n + of(q), 0);
    const { address, bytes } = arena;
    const [blocks, usedBytes] = [sum((q) => q.blocks), sum((q) => q.usedBytes)];
    const place: Place = { kind: 'arena', address, bytes, blocks, usedBytes };
    places.push(place, ...inPools);
    pools.set(place, used);
    inPools.forEach((q, i) => pools.set(q, used.slice(i, i + 1)));
  }
  const kept = new Map<Place, HeldBlock[]>();
  const parts = new Set<number>();
  const blocksOf = (place: Place): HeldBlock[] => {
    const known = kept.get(place);
    if (known !== undefined) return known;
    const found: HeldBlock[] = [];
    for (const pool of pools.get(place) ?? [])
      graph.forEachBlock(pool, (block, object, isPart) => {
        if (isPart) parts.add(block);
        found.push({ block, bytes: pool.size, object });
      });
    kept.set(place, found);
    return found;
  };
  const what = ({ block, bytes, object }: HeldBlock): string => {
    if (object === 0) return graph.unknownBlock(block, bytes);
    return `${parts.has(block) ? 'part of ' : ''}${graph.describe(object)}`;
  };
  return { graph, places, blocksOf, what, unheld: (op) => graph.unheld(op) };
}

function placeOfPool(arena: PythonArena, pool: PythonPool): Place {
  const { address, used, size } = pool;
  return {
    kind: 'pool',
    address,
    bytes: arena.poolBytes,
    blocks: used,
    usedBytes: used * size,
  };
}
