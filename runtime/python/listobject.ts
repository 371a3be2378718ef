// Lists: a header, and the items in a block of their own that grows ahead of need.
//
//     +16 ob_size   +24 ob_item ──> | item | item | … | spare |
//     +32 allocated
//
// A new size n gets room for n + n/8 + 6, rounded down to a multiple of four (0, 4, 8, 16, 24, 32,
// 40, 52, 64, …); a jump that is larger than that gains, only n rounded up. Below half of what is
// allocated the block shrinks by the same rule. Items are dropped last to first.
// Source: CPython 3.11 Objects/listobject.c list_resize(), list_extend(), list_ass_slice().

import { KIND_LIST, type Visitor } from './kinds.ts';
import type { ObjectCore } from './object.ts';

export class Lists {
  private readonly core: ObjectCore;
  private readonly type: number;
  /** numfree, then the freed lists. */
  private readonly freeList: number;

  constructor(core: ObjectCore) {
    this.core = core;
    this.type = core.register(KIND_LIST, {
      name: 'list',
      isGc: true,
      dealloc: (op, position) => this.dealloc(op, position),
      traverse: (op, visitor) => this.traverse(op, visitor),
      clear: (op) => this.clear(op),
      sizeOf: (op) => 40 + 8 * core.mem.load64(op + 32),
    });
    this.freeList = core.data.variable(8 * (core.profile.maxFreeLists.list + 1));
  }

  length(op: number): number {
    return this.core.mem.load32(op + 16);
  }
  item(op: number, i: number): number {
    return this.core.mem.load64(this.core.mem.load64(op + 24) + 8 * i);
  }
  /** Stores an item where none was, and takes over the reference. */
  initItem(op: number, i: number, item: number): void {
    this.core.mem.store64(this.core.mem.load64(op + 24) + 8 * i, item);
  }
  get free(): number {
    return this.core.mem.load32(this.freeList);
  }

  /** PyList_New(): exactly `length` items, all NULL, tracked. */
  make(length: number): number {
    const { core } = this;
    const m = core.mem;
    const free = this.free;
    let op: number;
    if (free > 0) {
      m.store32(this.freeList, free - 1);
      op = m.load64(this.freeList + 8 * free);
    } else op = core.gc.alloc(40);
    core.init(op, this.type);
    m.store64(op + 24, length === 0 ? 0 : core.memCalloc(8 * length));
    m.store64(op + 16, length);
    m.store64(op + 32, length);
    core.gc.track(op);
    return op;
  }

  /** Sets the length; new items are whatever the block held. */
  resize(op: number, length: number): void {
    const { core } = this;
    const m = core.mem;
    const allocated = m.load64(op + 32);
    if (allocated >= length && length >= Math.floor(allocated / 2)) {
      m.store64(op + 16, length);
      return;
    }
    let room = overallocate(length, core.profile.listsByFours);
    const byFours = core.profile.listsByFours;
    if (byFours && length - this.length(op) > room - length) room = Math.ceil(length / 4) * 4;
    if (length === 0) room = 0;
    m.store64(op + 24, core.memRealloc(m.load64(op + 24), 8 * room));
    m.store64(op + 16, length);
    m.store64(op + 32, room);
  }

  /** Appends; the list takes a reference of its own. */
  append(op: number, item: number): void {
    this.core.incref(item);
    this.appendTake(op, item);
  }
  private appendTake(op: number, item: number): void {
    const m = this.core.mem;
    const n = this.length(op);
    if (m.load64(op + 32) > n) m.store64(op + 16, n + 1);
    else this.resize(op, n + 1);
    this.initItem(op, n, item);
  }

  /** Inserts before index `where`, which counts from the end if negative. */
  insert(op: number, where: number, item: number): void {
    const m = this.core.mem;
    const n = this.length(op);
    this.resize(op, n + 1);
    const at = Math.max(0, Math.min(n, where < 0 ? where + n : where));
    const items = m.load64(op + 24);
    if (at < n) m.copy(items + 8 * at + 8, items + 8 * at, 8 * (n - at));
    this.core.incref(item);
    m.store64(items + 8 * at, item);
  }

  /** Makes room for `count` more items at the end. @returns the index of the first. */
  extendBy(op: number, count: number): number {
    const m = this.core.mem;
    const n = this.length(op);
    if (m.load64(op + 24) !== 0) this.resize(op, n + count);
    else {
      const room = this.core.profile.listsByFours ? count + (count & 1) : count;
      m.store64(op + 24, this.core.memMalloc(8 * room));
      m.store64(op + 32, room);
      m.store64(op + 16, count);
    }
    return n;
  }

  /** Takes the last item out. @returns it, with the list's reference; 0 if the list is empty. */
  pop(op: number): number {
    const n = this.length(op);
    if (n === 0) return 0;
    const item = this.item(op, n - 1);
    if (n === 1 && this.core.profile.popClears) {
      this.core.incref(item);
      this.clear(op);
    } else this.resize(op, n - 1);
    return item;
  }

  /** list[i] = item; the list takes a reference of its own. */
  setItem(op: number, i: number, item: number): void {
    const old = this.item(op, i);
    this.core.incref(item);
    this.initItem(op, i, item);
    this.core.decref(old);
  }

  /** del list[i] */
  deleteItem(op: number, i: number): void {
    const m = this.core.mem;
    const n = this.length(op);
    if (n === 1 && !this.core.profile.deleteKeepsRoom) {
      this.clear(op);
      return;
    }
    const items = m.load64(op + 24);
    const old = m.load64(items + 8 * i);
    if (i < n - 1) m.copy(items + 8 * i, items + 8 * i + 8, 8 * (n - 1 - i));
    if (this.core.profile.deleteKeepsRoom) m.store64(op + 16, n - 1);
    else this.resize(op, n - 1);
    this.core.decref(old);
  }

  /**
   * del list[from:to]: the items behind move down, the block is resized once, then the items taken
   * out are dropped, last to first.
   */
  deleteRange(op: number, from: number, to: number): void {
    const { core } = this;
    const m = core.mem;
    const n = this.length(op);
    if (to <= from) return;
    if (to - from === n) {
      this.clear(op);
      return;
    }
    const items = m.load64(op + 24);
    const dropped = Array.from({ length: to - from }, (_, i) => this.item(op, from + i));
    if (to < n) m.copy(items + 8 * from, items + 8 * to, 8 * (n - to));
    this.resize(op, n - (to - from));
    for (const item of dropped.reverse()) core.xdecref(item);
  }

  /** Drops all items and their block. */
  clear(op: number): void {
    const { core } = this;
    const m = core.mem;
    const items = m.load64(op + 24);
    if (items === 0) return;
    let i = this.length(op);
    m.store64(op + 16, 0);
    m.store64(op + 24, 0);
    m.store64(op + 32, 0);
    while (--i >= 0) core.xdecref(m.load64(items + 8 * i));
    core.memFree(items);
  }

  clearFree(): void {
    const m = this.core.mem;
    for (let free = this.free; free > 0; free--) {
      m.store32(this.freeList, free - 1);
      this.core.gc.del(m.load64(this.freeList + 8 * free));
    }
  }

  /** @param position 1 + the number of items left. */
  private dealloc(op: number, position: number): number {
    const { core } = this;
    const m = core.mem;
    let left = position - 1;
    if (position === 0) {
      core.gc.untrack(op);
      if (!core.trashBegin(op)) return 0;
      left = this.length(op);
    }
    const items = m.load64(op + 24);
    while (left > 0) {
      const item = m.load64(items + 8 * --left);
      if (item !== 0 && core.drop(item)) return left + 1;
    }
    if (items !== 0) core.memFree(items);
    const free = this.free;
    if (free < core.profile.maxFreeLists.list) {
      m.store32(this.freeList, free + 1);
      m.store64(this.freeList + 8 * free + 8, op);
    } else core.gc.del(op);
    core.trashEnd();
    return 0;
  }

  private traverse(op: number, visitor: Visitor): void {
    const { core } = this;
    const m = core.mem;
    const w = m.words;
    const i = m.touch(op, false);
    const inOnePage = (op & 0xfff) <= 4096 - 32;
    const length = inOnePage ? w[i + 4] : this.length(op);
    const lo = inOnePage ? w[i + 6] : m.load32(op + 24);
    const hi = inOnePage ? w[i + 7] : m.load32(op + 28);
    // Nearly all blocks of items lie within one page, and are one row.
    if (length > 0 && (lo & 0xfff) + 8 * length <= 4096)
      visitor.visitRow(m.touchWords(lo + 8 * (length - 1), hi, false), length, -2);
    else core.visitArray(hi * 4294967296 + (lo >>> 0), length, true, visitor);
  }
}

/** Room for a list of n items. Before 3.9: n + n/8 + 3, or + 6 from nine on. */
function overallocate(n: number, byFours: boolean): number {
  if (byFours) return Math.floor((n + Math.floor(n / 8) + 6) / 4) * 4;
  return n + Math.floor(n / 8) + (n < 9 ? 3 : 6);
}
