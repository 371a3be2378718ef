// Who pins the arenas and pools of a CPython heap, or the spans of a Go heap.
//
//   1. places: each arena, pool or span with anything in use, and how much of it is used
//   2. blocks: the objects in its used blocks, each with the way from a root to it
//   3. roots: for those that hold most blocks, the heap is walked again without the root. A place
//      all of whose blocks are out of reach then would be free.

import type { Pin, PinHolder, PinRoot, Place } from './pin.ts';
import { type HeapGraph, pathTo, type Retention, retention, rootOf } from './retention.ts';

/** A block in use of a place, and the object that it belongs to: 0 where it is none of the heap's. */
export interface HeldBlock {
  readonly block: number;
  readonly bytes: number;
  readonly object: number;
}

/** A heap that is asked who pins it. */
export interface PinnedHeap {
  readonly graph: HeapGraph;
  readonly places: readonly Place[];
  /** The blocks in use of a place. */
  blocksOf(place: Place): readonly HeldBlock[];
  /** What a block is, in words. */
  what(b: HeldBlock): string;
  /** Why an object that no root leads to is there. */
  unheld(object: number): string;
}

/** Blocks that are shown of a place; roots that are left out one by one. */
const MOST_HOLDERS = 8;
const MOST_ROOTS = 3;

/** Who holds each of these places. O(heap), and again for each root that is named. */
export function heapPins(heap: PinnedHeap, asked: readonly Place[]): Pin[] {
  const found = retention(heap.graph);
  const freed = new Map<string, ReadonlySet<Place>>();
  const freedBy = (root: string): ReadonlySet<Place> => {
    const known = freed.get(root);
    if (known !== undefined) return known;
    const places = freedWithout(heap, root);
    freed.set(root, places);
    return places;
  };
  return asked.map((place) => {
    const blocks = heap.blocksOf(place);
    const byRoot = new Map<string, number>();
    const none = new Set<string>();
    for (const b of blocks) {
      const held = b.object === 0 ? undefined : rootOf(found, b.object);
      const root = held ?? (b.object === 0 ? heap.what(b) : heap.unheld(b.object));
      if (held === undefined) none.add(root);
      byRoot.set(root, (byRoot.get(root) ?? 0) + 1);
    }
    const most = [...byRoot].sort((a, b) => b[1] - a[1]).slice(0, MOST_ROOTS);
    const roots = most.map(([root, n]): PinRoot => {
      const places = freedBy(root);
      let freesBytes = 0;
      for (const p of places) if (p.kind === place.kind) freesBytes += p.bytes;
      const isNone = none.has(root);
      return { root, isNone, blocks: n, frees: places.has(place), freesBytes };
    });
    return { ...place, holders: holdersOf(heap, found, blocks), roots };
  });
}

/** A few blocks, each kind of thing once before any comes again. */
function holdersOf(heap: PinnedHeap, found: Retention, blocks: readonly HeldBlock[]): PinHolder[] {
  const seen = new Set<string>();
  const first: PinHolder[] = [];
  const more: PinHolder[] = [];
  for (const b of blocks) {
    const what = heap.what(b);
    const kind = what.replace(/[\d"].*$/, '');
    const isNew = !seen.has(kind);
    if (!isNew && more.length >= MOST_HOLDERS) continue;
    seen.add(kind);
    const path = b.object === 0 ? [] : pathTo(heap.graph, found, b.object);
    const why = path.length > 0 || b.object === 0 ? '' : `: ${heap.unheld(b.object)}`;
    (isNew ? first : more).push({
      address: b.block,
      bytes: b.bytes,
      what: what + why,
      path,
    });
  }
  return [...first, ...more].slice(0, MOST_HOLDERS);
}

/** The places all of whose blocks are out of reach without a root. */
function freedWithout(heap: PinnedHeap, root: string): Set<Place> {
  const { holder } = retention(heap.graph, root);
  const isFreed = (b: HeldBlock): boolean => b.object !== 0 && !holder.has(b.object);
  return new Set(heap.places.filter((place) => heap.blocksOf(place).every(isFreed)));
}
