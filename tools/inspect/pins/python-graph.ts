// A CPython heap as a graph, and what is in each block of its pools.
//
//   named roots     variables, literals and classes of the program, frames that run
//   outside roots   an object whose count is larger than the references that other objects have to
//                   it: something outside of the heap's objects has the rest (the interpreter, C
//                   code). This is how CPython's own collector finds what it must keep.
//   blocks          hold an object, or a part of one that is elsewhere (a list's items, a dict's
//                   table): whichever object has a pointer to the block owns it
//
// To be used inside asideOf(): it reads through the runtime.

import { forEachReference } from '../../../runtime/python/fsck.ts';
import { POOL_OVERHEAD } from '../../../runtime/python/obmalloc.ts';
import type { PythonRuntime } from '../../../runtime/python/runtime.ts';
import type { Mm } from '../../../userspace/mm.ts';
import { Peek } from '../peek.ts';
import { freedObjectIn, objectIn, textOf, typeName } from '../python.ts';
import type { PythonArena, PythonPool } from '../python-arenas.ts';
import type { NamedRoots } from '../subject.ts';
import type { HeapGraph } from './retention.ts';

export const OUTSIDE = 'the interpreter or C code';
export const IMMORTAL = 'an immortal object';

export class PythonGraph implements HeapGraph {
  private readonly py: PythonRuntime;
  private readonly peek: Peek;
  private readonly named: NamedRoots | undefined;
  private readonly poolSize: number;
  private readonly pools = new Map<number, PythonPool>();
  private readonly usedBlocks = new Map<number, Uint8Array>();
  /** Block → object that has a pointer to it, of blocks that hold no object themselves. */
  private readonly owners = new Map<number, number>();
  private readonly counted = new Map<number, number>();

  constructor(
    py: PythonRuntime,
    mm: Mm,
    arenas: readonly PythonArena[],
    named: NamedRoots | undefined,
  ) {
    this.py = py;
    this.peek = new Peek(mm);
    this.named = named;
    this.poolSize = py.obmalloc.arenas.poolSize;
    for (const pool of arenas.flatMap((a) => a.pools))
      if (pool.used > 0) this.pools.set(pool.address, pool);
    this.count();
  }

  private isNothing(op: number): boolean {
    return op === 0 || this.py.isShared(op);
  }

  /** Every object that can be met, with the references to it that are accounted for. */
  private count(): void {
    const { py, counted } = this;
    const todo: number[] = [];
    const meet = (op: number, references: number): void => {
      if (this.isNothing(op)) return;
      const n = counted.get(op);
      if (n === undefined) todo.push(op);
      counted.set(op, (n ?? 0) + references);
    };
    this.namedRoots((_, op) => meet(op, 1)); // each holds a reference of its own
    for (let generation = 0; generation <= 3; generation++)
      py.gc.forEach(py.gc.head(generation), (op) => meet(op, 0));
    for (let op = todo.pop(); op !== undefined; op = todo.pop()) {
      forEachReference(py, op, (to) => meet(to, 1));
      this.ownParts(op);
    }
  }

  private namedRoots(visit: (root: string, op: number) => void): void {
    const { py } = this;
    this.named?.((root, op) => {
      if (!this.isNothing(op)) visit(root, op);
    });
    py.frames.forEachRoot((op) => visit('a frame that runs', op));
    py.instances.classes.forEachName((op) => visit('the attribute names of a class', op));
    if (py.garbage !== 0) visit('gc.garbage', py.garbage);
  }

  roots(visit: (root: string, object: number) => void): void {
    const { core } = this.py;
    this.namedRoots(visit);
    for (const [op, references] of this.counted) {
      if (core.isImmortal(op)) visit(IMMORTAL, op);
      else if (core.refcount(op) > references) visit(OUTSIDE, op);
    }
  }

  references(object: number, visit: (to: number) => void): void {
    forEachReference(this.py, object, (to) => {
      if (!this.isNothing(to)) visit(to);
    });
  }

  describe(object: number): string {
    const text = textOf(this.py, object);
    return `${typeName(this.py, object)}${text === '' ? '' : ` ${text}`}`;
  }

  // blocks ---------------------------------------------------------------------------------------

  private poolAt(va: number): PythonPool | undefined {
    return va > 0 ? this.pools.get(Math.floor(va / this.poolSize) * this.poolSize) : undefined;
  }

  /** Where the block of an address begins; 0 for none that is in use. */
  private blockAt(va: number): number {
    const pool = this.poolAt(va);
    if (pool === undefined) return 0;
    const first = pool.address + POOL_OVERHEAD;
    const i = Math.floor((va - first) / pool.size);
    return va >= first && this.usedIn(pool)[i] === 1 ? first + i * pool.size : 0;
  }

  /** 1 for each block of a pool that is in use. */
  private usedIn(pool: PythonPool): Uint8Array {
    const known = this.usedBlocks.get(pool.address);
    if (known !== undefined) return known;
    const { peek } = this;
    const first = pool.address + POOL_OVERHEAD;
    const carved = (peek.load32(pool.address + 40) - POOL_OVERHEAD) / pool.size;
    const used = new Uint8Array(pool.blocks).fill(1, 0, Math.max(0, Math.floor(carved)));
    let free = peek.load64(pool.address + 8);
    for (let n = 0; free !== 0 && n < pool.blocks; n++) {
      used[(free - first) / pool.size] = 0;
      free = peek.load64(free);
    }
    this.usedBlocks.set(pool.address, used);
    return used;
  }

  /** Blocks that the words of an object, and of its parts, point to. */
  private ownParts(op: number): void {
    const todo = [this.blockAt(op)];
    for (let block = todo.pop(); block !== undefined; block = todo.pop()) {
      const size = this.poolAt(block)?.size ?? 0;
      for (let at = block; at < block + size; at += 8) {
        const part = this.blockAt(this.peek.load64(at));
        if (part === 0 || part === block || this.owners.has(part)) continue;
        if (objectIn(this.py, this.peek, part, this.poolAt(part)?.size ?? 0) !== 0) continue;
        this.owners.set(part, op);
        todo.push(part);
      }
    }
  }

  /** Calls visit for each block in use: its object, or the object that it is a part of; or 0. */
  forEachBlock(
    pool: PythonPool,
    visit: (block: number, object: number, isPart: boolean) => void,
  ): void {
    const used = this.usedIn(pool);
    const first = pool.address + POOL_OVERHEAD;
    for (let i = 0; i < used.length; i++) {
      if (used[i] !== 1) continue;
      const block = first + i * pool.size;
      const op = objectIn(this.py, this.peek, block, pool.size);
      visit(block, op === 0 ? (this.owners.get(block) ?? 0) : op, op === 0);
    }
  }

  /** What a block is in which no object begins and that no object points to. */
  unknownBlock(block: number, size: number): string {
    return freedObjectIn(this.py, this.peek, block, size)
      ? 'a freed object, kept in a free list of its type'
      : 'memory of the interpreter itself: no object';
  }

  /** Why an object that no root leads to is there. */
  unheld(object: number): string {
    const { core } = this.py;
    if (!this.counted.has(object) && core.refcount(object) > 0) return OUTSIDE;
    return 'nothing but a cycle: gc.collect() frees it';
  }
}
