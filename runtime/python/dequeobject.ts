// collections.deque: blocks of 64 items, linked both ways, filled from the middle of the first.
//
//     +16 ob_size  +24 leftblock  +32 rightblock  +40 leftindex  +48 rightindex  +56 state
//     +64 maxlen   +72 numfreeblocks  +80 freeblocks[16]  +208 weakreflist           216 bytes
//     block:  leftlink | data[64] | rightlink                                        528 bytes
//
// Blocks that become empty wait in the deque, sixteen at the most; up to 3.8 in a list that all
// deques share (and weakreflist is at +72, 80 bytes in all). A block of 2.7 has 62 items.
// Source: CPython 3.11 Modules/_collectionsmodule.c deque_append_internal(), deque_popleft().
// Not modelled: rotation, maxlen; 2.7 has both links of a block at its end.

import { KIND_DEQUE, type Visitor } from './kinds.ts';
import type { ObjectCore } from './object.ts';

export class Deques {
  private readonly core: ObjectCore;
  private readonly type: number;
  private readonly bytes: number;
  private readonly blockItems: number;
  private readonly blockBytes: number;
  private readonly center: number;
  private readonly rightLink: number;
  private readonly maxFree: number;
  /** numfreeblocks and freeblocks that all deques share; 0 where each has its own. */
  private readonly shared: number;

  constructor(core: ObjectCore) {
    this.core = core;
    const { blockItems, maxFree, isShared } = core.profile.deque;
    this.blockItems = blockItems;
    this.blockBytes = 8 * (blockItems + 2);
    this.center = (blockItems - 1) >> 1;
    this.rightLink = 8 * (blockItems + 1);
    this.maxFree = maxFree;
    this.bytes = isShared ? 80 : 216;
    this.shared = isShared ? core.data.variable(8 * (1 + maxFree)) : 0;
    this.type = core.register(KIND_DEQUE, {
      name: 'collections.deque',
      isGc: true,
      dealloc: (op, position) => this.dealloc(op, position),
      traverse: (op, visitor) => this.traverse(op, visitor),
      clear: (op) => this.clear(op),
      sizeOf: (op) => this.bytes + this.blockBytes * this.blocks(op),
      weakrefs: (op) => op + this.bytes - 8,
    });
  }

  length(op: number): number {
    return this.core.mem.load32(op + 16);
  }

  private blocks(op: number): number {
    const left = this.core.mem.load32(op + 40);
    return Math.max(1, Math.ceil((left + this.length(op)) / this.blockItems));
  }

  /** deque() */
  make(): number {
    const { core } = this;
    const m = core.mem;
    const op = core.gc.alloc(this.bytes);
    m.zero(op, this.bytes);
    core.init(op, this.type);
    const block = this.newBlock(op);
    m.store64(block, 0);
    m.store64(block + this.rightLink, 0);
    m.store64(op + 24, block);
    m.store64(op + 32, block);
    m.store64(op + 40, this.center + 1);
    m.store64(op + 48, this.center);
    core.gc.track(op);
    return op;
  }

  /** Where the number of free blocks stands, and then the blocks. */
  private freeList(op: number): number {
    return this.shared === 0 ? op + 72 : this.shared;
  }

  private newBlock(op: number): number {
    const m = this.core.mem;
    const list = this.freeList(op);
    const free = m.load32(list);
    if (free === 0) return this.core.malloc(this.blockBytes);
    m.store64(list, free - 1);
    return m.load64(list + 8 * free);
  }

  /** Appends; the deque takes a reference of its own. */
  append(op: number, item: number): void {
    const m = this.core.mem;
    this.core.incref(item);
    let right = m.load64(op + 32);
    let index = m.load32(op + 48);
    if (index === this.blockItems - 1) {
      const block = this.newBlock(op);
      m.store64(block, right);
      m.store64(block + this.rightLink, 0);
      m.store64(right + this.rightLink, block);
      m.store64(op + 32, block);
      right = block;
      index = -1;
    }
    m.store64(op + 48, index + 1);
    m.store64(op + 16, this.length(op) + 1);
    m.store64(right + 8 + 8 * (index + 1), item);
  }

  /** Takes the first item out, with the deque's reference; 0 if there is none. */
  popLeft(op: number): number {
    const m = this.core.mem;
    const n = this.length(op);
    if (n === 0) return 0;
    const left = m.load64(op + 24);
    const index = m.load32(op + 40);
    const item = m.load64(left + 8 + 8 * index);
    m.store64(op + 40, index + 1);
    m.store64(op + 16, n - 1);
    if (index + 1 < this.blockItems) return item;
    if (n === 1) {
      m.store64(op + 40, this.center + 1);
      m.store64(op + 48, this.center);
    } else {
      const next = m.load64(left + this.rightLink);
      this.freeBlock(op, left);
      m.store64(op + 24, next);
      m.store64(op + 40, 0);
    }
    return item;
  }

  private freeBlock(op: number, block: number): void {
    const m = this.core.mem;
    const list = this.freeList(op);
    const free = m.load32(list);
    if (free === this.maxFree) {
      this.core.free(block);
      return;
    }
    m.store64(list, free + 1);
    m.store64(list + 8 * (free + 1), block);
  }

  /** Drops all items; the last block stays. */
  private clear(op: number): void {
    while (this.length(op) > 0) this.core.decref(this.popLeft(op));
  }

  private dealloc(op: number, position: number): number {
    const { core } = this;
    if (position === 0) {
      core.gc.untrack(op);
      if (!core.trashBegin(op)) return 0;
    }
    while (this.length(op) > 0) if (core.drop(this.popLeft(op))) return 1;
    const last = core.mem.load64(op + 24);
    if (this.shared !== 0) this.freeBlock(op, last);
    else {
      core.free(last);
      for (let i = core.mem.load32(op + 72) - 1; i >= 0; i--)
        core.free(core.mem.load64(op + 80 + 8 * i));
    }
    core.gc.del(op);
    core.trashEnd();
    return 0;
  }

  private traverse(op: number, visitor: Visitor): void {
    const m = this.core.mem;
    let block = m.load64(op + 24);
    let index = m.load32(op + 40);
    for (let left = this.length(op); left > 0;) {
      const here = Math.min(left, this.blockItems - index);
      this.core.visitArray(block + 8 + 8 * index, here, false, visitor);
      left -= here;
      index = 0;
      block = m.load64(block + this.rightLink);
    }
  }
}
