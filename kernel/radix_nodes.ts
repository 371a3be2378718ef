// The nodes of one xarray: which a tree of so many entries at these indexes has, from a slab cache.
//
//     level 1        |        root        |        a node has 64 slots; a slot of level n spans
//     level 0   | node 0 |      ...       | node 5 |         64^n indexes
//
// A node exists as long as one of its slots is filled. The tree is as high as its largest index
// needs; it gets lower when only slot 0 of the root is left. A single entry, at index 0, needs no
// node.
// Invariant: `count` of a node is the number of its filled slots, 1..64.
// Source: Linux 6.18 lib/xarray.c xas_expand(), xas_create(), xas_delete_node(), xas_shrink().
// Not modelled: entries that span several slots (folios of 64 pages and more lie a level higher).

import type { SlabCache } from './slab.ts';
import type { PhysAddr } from './types.ts';

const SLOTS = 64;
/** Levels are numbered in the keys of nodes above the index's 2^40. */
const LEVEL = 2 ** 40;

interface Node {
  readonly object: PhysAddr;
  count: number;
}

export class RadixNodes {
  private readonly cache: SlabCache;
  /** By level * LEVEL + first index / 64^(level + 1). */
  private readonly nodes = new Map<number, Node>();
  /** Levels of nodes; 0 for an empty tree, and for a single entry at index 0. */
  private height = 0;
  private single = false;

  /** @param cache `radix_tree_node`. */
  constructor(cache: SlabCache) {
    this.cache = cache;
  }

  /** Nodes that the tree has. */
  get size(): number {
    return this.nodes.size;
  }

  /** An empty slot was filled. */
  add(index: number): void {
    if (this.height === 0 && index === 0 && !this.single) {
      this.single = true;
      return;
    }
    this.grow(index);
    this.fill(index);
  }

  /** A filled slot was emptied; one that add() was not told of is passed over. */
  remove(index: number): void {
    if (this.height === 0) {
      if (index === 0) this.single = false;
      return;
    }
    let place = Math.floor(index / SLOTS);
    for (let level = 0; level < this.height; level++) {
      const node = this.nodes.get(level * LEVEL + place);
      if (node === undefined) return;
      if (--node.count > 0) {
        if (level === this.height - 1) this.shrink();
        return;
      }
      this.free(level * LEVEL + place);
      place = Math.floor(place / SLOTS);
    }
    this.height = 0; // the root went as well
  }

  /** The tree is destroyed. */
  clear(): void {
    for (const key of this.nodes.keys()) this.free(key);
    this.height = 0;
    this.single = false;
  }

  /** Makes the tree high enough for an index. */
  private grow(index: number): void {
    const empty = this.height === 0;
    while (this.height === 0 || index >= SLOTS ** this.height) {
      // the old root becomes slot 0 of a new one
      if (!empty) this.make(this.height, 0);
      this.height++;
    }
    if (!this.single) return;
    this.single = false;
    this.fill(0);
  }

  /** Counts an entry in its leaf; nodes that were not there count in the node above. */
  private fill(index: number): void {
    let place = Math.floor(index / SLOTS);
    for (let level = 0; level < this.height; level++) {
      const node = this.nodes.get(level * LEVEL + place);
      if (node !== undefined) {
        node.count++;
        return;
      }
      this.make(level, place);
      place = Math.floor(place / SLOTS);
    }
  }

  private make(level: number, place: number): void {
    this.nodes.set(level * LEVEL + place, { object: this.cache.alloc(), count: 1 });
  }

  /** Takes roots away that have only slot 0. */
  private shrink(): void {
    while (this.height > 0) {
      const level = this.height - 1;
      const root = this.nodes.get(level * LEVEL);
      if (root?.count !== 1) return;
      if (level > 0 ? !this.nodes.has((level - 1) * LEVEL) : !this.filledZero()) return;
      this.free(level * LEVEL);
      this.height--;
      if (level === 0) this.single = true;
    }
  }

  /** Whether index 0 is filled: the owner of the entries knows. */
  filledZero: () => boolean = () => false;

  private free(key: number): void {
    const node = this.nodes.get(key);
    if (node !== undefined && node.object !== 0) this.cache.free(node.object);
    this.nodes.delete(key);
  }
}
