// collections.deque: blocks of 64 items, linked both ways, filled from the middle of the first.
//
//     +16 ob_size  +24 leftblock  +32 rightblock  +40 leftindex  +48 rightindex  +56 state
//     +64 maxlen   +72 numfreeblocks  +80 freeblocks[16]  +208 weakreflist           216 bytes
//     block:  leftlink | data[64] | rightlink                                        528 bytes
//
// Blocks that become empty wait in the deque, sixteen at the most.
// Source: CPython 3.11 Modules/_collectionsmodule.c deque_append_internal(), deque_popleft().
// Not modelled: before 3.11 free blocks were shared by all deques; rotation, maxlen.

import { KIND_DEQUE, type Visitor } from './kinds.ts';
import type { ObjectCore } from './object.ts';

const BYTES = 216;
const BLOCK_ITEMS = 64;
const BLOCK_BYTES = 8 * (BLOCK_ITEMS + 2);
const CENTER = (BLOCK_ITEMS - 1) >> 1;
const FREE_BLOCKS = 16;
const RIGHT_LINK = 8 * (BLOCK_ITEMS + 1);

export class Deques {
  private readonly core: ObjectCore;
  private readonly type: number;

  constructor(core: ObjectCore) {
    this.core = core;
    this.type = core.register(KIND_DEQUE, {
      name: 'collections.deque',
      isGc: true,
      dealloc: (op, position) => this.dealloc(op, position),
      traverse: (op, visitor) => this.traverse(op, visitor),
      clear: (op) => this.clear(op),
      sizeOf: (op) => BYTES + BLOCK_BYTES * this.blocks(op),
      weakrefs: (op) => op + 208,
    });
  }

  length(op: number): number {
    return this.core.mem.load32(op + 16);
  }

  private blocks(op: number): number {
    const left = this.core.mem.load32(op + 40);
    return Math.max(1, Math.ceil((left + this.length(op)) / BLOCK_ITEMS));
  }

  /** deque() */
  make(): number {
    const { core } = this;
    const m = core.mem;
    const op = core.gc.alloc(BYTES);
    m.zero(op, BYTES);
    core.init(op, this.type);
    const block = core.malloc(BLOCK_BYTES);
    m.store64(block, 0);
    m.store64(block + RIGHT_LINK, 0);
    m.store64(op + 24, block);
    m.store64(op + 32, block);
    m.store64(op + 40, CENTER + 1);
    m.store64(op + 48, CENTER);
    core.gc.track(op);
    return op;
  }

  private newBlock(op: number): number {
    const m = this.core.mem;
    const free = m.load32(op + 72);
    if (free === 0) return this.core.malloc(BLOCK_BYTES);
    m.store64(op + 72, free - 1);
    return m.load64(op + 80 + 8 * (free - 1));
  }

  /** Appends; the deque takes a reference of its own. */
  append(op: number, item: number): void {
    const m = this.core.mem;
    this.core.incref(item);
    let right = m.load64(op + 32);
    let index = m.load32(op + 48);
    if (index === BLOCK_ITEMS - 1) {
      const block = this.newBlock(op);
      m.store64(block, right);
      m.store64(block + RIGHT_LINK, 0);
      m.store64(right + RIGHT_LINK, block);
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
    if (index + 1 < BLOCK_ITEMS) return item;
    if (n === 1) {
      m.store64(op + 40, CENTER + 1);
      m.store64(op + 48, CENTER);
    } else {
      const next = m.load64(left + RIGHT_LINK);
      this.freeBlock(op, left);
      m.store64(op + 24, next);
      m.store64(op + 40, 0);
    }
    return item;
  }

  private freeBlock(op: number, block: number): void {
    const m = this.core.mem;
    const free = m.load32(op + 72);
    if (free === FREE_BLOCKS) {
      this.core.free(block);
      return;
    }
    m.store64(op + 72, free + 1);
    m.store64(op + 80 + 8 * free, block);
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
    core.free(core.mem.load64(op + 24));
    for (let i = core.mem.load32(op + 72) - 1; i >= 0; i--)
      core.free(core.mem.load64(op + 80 + 8 * i));
    core.gc.del(op);
    core.trashEnd();
    return 0;
  }

  private traverse(op: number, visitor: Visitor): void {
    const m = this.core.mem;
    let block = m.load64(op + 24);
    let index = m.load32(op + 40);
    for (let left = this.length(op); left > 0;) {
      const here = Math.min(left, BLOCK_ITEMS - index);
      this.core.visitArray(block + 8 + 8 * index, here, false, visitor);
      left -= here;
      index = 0;
      block = m.load64(block + RIGHT_LINK);
    }
  }
}
