// Tuples: a header and the items, in one block.
//
//     +16 ob_size   +24 ob_item[0] …
//
// Freed tuples of 1 to 20 items wait by length, up to 2000 each, threaded through ob_item[0]. Up to
// 3.12 those of 20 enter the list but are never taken from it (the two tests differ by one).
// Items are dropped last to first. The empty tuple is shared.
// Source: CPython 3.11 Objects/tupleobject.c maybe_freelist_push(), _PyTuple_MaybeUntrack().

import { KIND_TUPLE, type Visitor } from './kinds.ts';
import type { ObjectCore } from './object.ts';

export class Tuples {
  /** The empty tuple. */
  readonly empty: number;
  private readonly core: ObjectCore;
  private readonly type: number;
  /** numfree and head for each length 1..20: 8 and 8 bytes. */
  private readonly lists: number;
  private readonly maxLength: number;
  /** Bytes before the items. */
  private readonly headBytes: number;

  constructor(core: ObjectCore) {
    this.core = core;
    this.maxLength = core.profile.maxFreeLists.tupleLength;
    this.headBytes = core.profile.tupleHeadBytes;
    this.type = core.register(KIND_TUPLE, {
      name: 'tuple',
      isGc: true,
      dealloc: (op, position) => this.dealloc(op, position),
      traverse: (op, visitor) => this.traverse(op, visitor),
      sizeOf: (op) => this.headBytes + 8 * this.length(op),
    });
    this.lists = core.data.variable(16 * (this.maxLength + 1));
    this.empty = core.data.variable(16 + this.headBytes, 16) + 16;
    core.init(this.empty, this.type);
    core.mem.store32(this.empty, core.profile.immortal ? -1 : 0x3fffffff);
  }

  length(op: number): number {
    return this.core.mem.load32(op + 16);
  }
  item(op: number, i: number): number {
    return this.core.mem.load64(op + this.headBytes + 8 * i);
  }
  /** Stores an item and takes over the reference. */
  setItem(op: number, i: number, item: number): void {
    this.core.mem.store64(op + this.headBytes + 8 * i, item);
  }

  /**
   * PyTuple_New(): `length` items, all NULL, tracked. Taking a freed one counts as no allocation.
   */
  make(length: number): number {
    const { core } = this;
    if (length === 0) {
      core.incref(this.empty);
      return this.empty;
    }
    const op = this.takeFree(length);
    core.init(op, this.type);
    core.mem.store64(op + 16, length);
    if (this.headBytes > 24) core.mem.store64(op + 24, -1); // ob_hash: not computed yet
    core.mem.zero(op + this.headBytes, 8 * length);
    core.gc.track(op);
    return op;
  }

  private takeFree(length: number): number {
    const { core } = this;
    const m = core.mem;
    const list = this.lists + 16 * length;
    const taken = core.profile.takesLongestTuple ? this.maxLength : this.maxLength - 1;
    const op = length <= taken ? m.load64(list + 8) : 0;
    if (op === 0) return core.gc.alloc(this.headBytes + 8 * length);
    m.store64(list + 8, this.item(op, 0));
    m.store32(list, m.load32(list) - 1);
    return op;
  }

  /** Freed tuples that wait, by length; lengths with none are left out. */
  freeLists(): Record<string, number> {
    const free: Record<string, number> = {};
    for (let length = 1; length <= this.maxLength; length++) {
      const n = this.core.mem.load32(this.lists + 16 * length);
      if (n > 0) free[String(length)] = n;
    }
    return free;
  }

  clearFree(): void {
    const { core } = this;
    const m = core.mem;
    for (let length = 1; length <= this.maxLength; length++) {
      const list = this.lists + 16 * length;
      let op = m.load64(list + 8);
      m.store64(list, 0);
      m.store64(list + 8, 0);
      while (op !== 0) {
        const next = this.item(op, 0);
        core.gc.del(op);
        op = next;
      }
    }
  }

  /** @param position 1 + the number of items left. */
  private dealloc(op: number, position: number): number {
    const { core } = this;
    const m = core.mem;
    const length = this.length(op);
    let left = position - 1;
    if (position === 0) {
      core.gc.untrack(op);
      if (!core.trashBegin(op)) return 0;
      left = length;
    }
    while (left > 0) {
      const item = this.item(op, --left);
      if (item !== 0 && core.drop(item)) return left + 1;
    }
    const list = this.lists + 16 * length;
    if (length <= this.maxLength && m.load32(list) < core.profile.maxFreeLists.tuple) {
      this.setItem(op, 0, m.load64(list + 8));
      m.store64(list + 8, op);
      m.store32(list, m.load32(list) + 1);
    } else core.gc.del(op);
    core.trashEnd();
    return 0;
  }

  private traverse(op: number, visitor: Visitor): void {
    this.core.visitArray(op + this.headBytes, this.length(op), true, visitor);
  }

  /** The tuple has its items, which were at hand when it was made. */
  made(op: number): void {
    if (this.core.profile.tracksTuplesLazily) this.maybeUntrack(op);
  }

  /** Takes a tuple off its generation if no item can be part of a cycle. */
  maybeUntrack(op: number): void {
    const { gc } = this.core;
    const n = this.length(op);
    for (let i = 0; i < n; i++) {
      const item = this.item(op, i);
      if (item === 0 || gc.mayBeTracked(item)) return;
    }
    gc.untrack(op);
  }
}
