// The loops of a collection that touch every object of a generation: steps 1 to 3 of gc.ts.
//
// They walk the lists in the two words of each pointer, and look each page up once for a head and
// the header behind it.
//
//     gc_refs > 0 after subtraction: reached from outside; its members are put back into play
//     gc_refs = 0: perhaps unreachable; moved away, and back if a later object refers to it
//
// Source: CPython 3.11 Modules/gcmodule.c update_refs(), subtract_refs(), move_unreachable().

import { assert } from '../../kernel/errors.ts';
import { type CachedMemory, ENTRY_MASK } from '../cached-memory.ts';
import { COLLECTING, FINALIZED, type GcLists } from './gc-list.ts';
import { KIND_WEAKREF, type Visitor } from './kinds.ts';
import { type ObjectCore, TYPE_CACHE_MASK } from './object.ts';

const HI = 4294967296;
const REFS_SHIFT = 2;

/** What the visitors share: from a pointer to the collector's head of its object. */
abstract class Heads implements Visitor {
  protected readonly core: ObjectCore;
  protected readonly mem: CachedMemory;
  private readonly words: Int32Array;
  private readonly entries: Int32Array;

  constructor(core: ObjectCore) {
    this.core = core;
    this.mem = core.mem;
    this.words = core.mem.words;
    this.entries = core.mem.entries;
  }

  /** Called for each container: address, and where in the store its head lies. */
  protected abstract reached(lo: number, hi: number, g: number): void;

  visit(lo: number, hi: number): void {
    if (!this.core.isGcKind(this.core.kindAt(lo, hi))) return;
    this.reached(lo, hi, this.headOf(lo, hi));
  }

  // One straight line for a pointer whose page and type are at hand, as nearly all are.
  visitRow(index: number, count: number, step: number): void {
    const { core, entries: e, mem, words: w } = this;
    const { gcKinds, knownHi, knownKind, knownLo } = core;
    mem.refresh();
    for (let at = index, end = index + count * step; at !== end; at += step) {
      const lo = w[at];
      const hi = w[at + 1];
      if ((lo | hi) === 0) continue;
      const k = (lo >>> 10) & ENTRY_MASK;
      const offset = lo & 0xfff;
      const isKnown = e[k + 1] === lo - offset && e[k + 2] === hi && offset !== 0xff8;
      if (!isKnown || offset < 16) {
        this.visit(lo, hi);
        continue;
      }
      const i = e[k + 3] + (offset >>> 2);
      const type = w[i + 2];
      const t = (type >>> 5) & TYPE_CACHE_MASK;
      const isType = knownLo[t] === type && knownHi[t] === w[i + 3];
      const kind = isType ? knownKind[t] : core.kindOfType(type, w[i + 3]);
      if (gcKinds[kind] !== 0) this.reached(lo, hi, i - 4);
    }
  }

  private headOf(lo: number, hi: number): number {
    // A head is 16 bytes before its object; below 16 that borrows from the high word.
    const isBorrowed = lo >>> 0 < 16;
    return this.mem.touchWords((lo - 16) | 0, isBorrowed ? hi - 1 : hi, true);
  }
}

/** Takes one off the gc_refs of each object that is visited. */
class Subtract extends Heads {
  protected override reached(_lo: number, _hi: number, g: number): void {
    const w = this.mem.words;
    if ((w[g + 2] & COLLECTING) !== 0) w[g + 2] -= 1 << REFS_SHIFT;
  }
}

/** Makes each object that is visited reachable. */
class Reach extends Heads {
  list = 0;
  private readonly lists: GcLists;
  constructor(core: ObjectCore, lists: GcLists) {
    super(core);
    this.lists = lists;
  }
  protected override reached(lo: number, hi: number, g: number): void {
    const w = this.mem.words;
    const word = w[g + 2];
    if ((word & COLLECTING) === 0) return;
    if ((w[g] & this.lists.unreachable) !== 0) this.putBack(lo, hi, g);
    else if (word >> REFS_SHIFT === 0) w[g + 2] = word + (1 << REFS_SHIFT);
  }

  /** It was moved to unreachable; it is not, so it goes back to the end of the list. */
  private putBack(lo: number, hi: number, g: number): void {
    const { lists } = this;
    const w = this.mem.words;
    const gc = hi * HI + (lo >>> 0) - 16;
    const p = this.mem.touchWords(w[g + 2] & ~3, w[g + 3], true);
    w[p] = w[g]; // the flag with it
    w[p + 1] = w[g + 1];
    lists.setPrev(lists.next(gc), lists.prev(gc));
    lists.append(gc, this.list);
    w[g + 2] = (1 << REFS_SHIFT) | (w[g + 2] & 3);
    w[g + 3] = 0;
  }
}

/** Moves what objects with legacy finalizers reach to their list. */
class ReachLegacy extends Heads {
  list = 0;
  private readonly lists: GcLists;
  constructor(core: ObjectCore, lists: GcLists) {
    super(core);
    this.lists = lists;
  }
  protected override reached(lo: number, hi: number, g: number): void {
    const w = this.mem.words;
    if ((w[g + 2] & COLLECTING) === 0) return;
    w[g + 2] &= ~COLLECTING;
    this.lists.move(hi * HI + (lo >>> 0) - 16, this.list);
  }
}

export class GcScan {
  private readonly core: ObjectCore;
  private readonly mem: CachedMemory;
  private readonly lists: GcLists;
  private readonly subtract: Subtract;
  private readonly reach: Reach;
  private readonly legacy: ReachLegacy;

  constructor(core: ObjectCore, lists: GcLists) {
    this.core = core;
    this.mem = core.mem;
    this.lists = lists;
    this.subtract = new Subtract(core);
    this.reach = new Reach(core, lists);
    this.legacy = new ReachLegacy(core, lists);
  }

  /** Step 1: reference counts into heads. */
  updateRefs(head: number): void {
    const m = this.mem;
    const w = m.words;
    const headLo = head | 0;
    const headHi = (head / HI) | 0;
    let i = m.touch(head, false);
    for (;;) {
      const lo = w[i] & ~3;
      const hi = w[i + 1];
      if (lo === headLo && hi === headHi) return;
      i = m.touchWords(lo, hi, true);
      const isSplit = (lo & 0xff0) === 0xff0;
      const refs = isSplit ? m.load32(hi * HI + (lo >>> 0) + 16) : w[i + 4];
      assert(refs > 0, 'a tracked object has a reference');
      w[i + 2] = (refs << REFS_SHIFT) | COLLECTING | (w[i + 2] & FINALIZED);
      w[i + 3] = 0;
    }
  }

  /** Step 2: less the references from the list's own objects. */
  subtractRefs(head: number): void {
    const { core, subtract } = this;
    const m = this.mem;
    const w = m.words;
    const headLo = head | 0;
    const headHi = (head / HI) | 0;
    let i = m.touch(head, false);
    for (;;) {
      const lo = w[i] & ~3;
      const hi = w[i + 1];
      if (lo === headLo && hi === headHi) return;
      i = m.touchWords(lo, hi, false);
      const op = hi * HI + (lo >>> 0) + 16;
      core.ops[core.kindOf(op)].traverse?.(op, subtract);
    }
  }

  /** Step 3: sorts the list; what seems unreachable goes to `unreachable`, flagged. */
  moveUnreachable(young: number, unreachable: number): void {
    const { core, lists, reach } = this;
    const m = core.mem;
    const w = m.words;
    reach.list = young;
    // All objects of the list are in one old space.
    const flags = lists.unreachable + (m.load32(lists.next(young)) & lists.kept);
    let prev = young;
    let gc = lists.next(young);
    while (gc !== young) {
      const i = m.touch(gc, true);
      if (w[i + 2] >> REFS_SHIFT !== 0) {
        const op = gc + 16;
        core.ops[core.kindOf(op)].traverse?.(op, reach);
        w[i + 2] = (prev | 0) + (w[i + 2] & FINALIZED);
        w[i + 3] = (prev / HI) | 0;
        prev = gc;
      } else {
        const p = m.touch(prev, true);
        w[p] = w[i];
        w[p + 1] = w[i + 1];
        const u = m.touch(unreachable, true);
        const last = m.touchWords(w[u + 2] & ~3, w[u + 3], true);
        w[last] = (gc | 0) + flags;
        w[last + 1] = (gc / HI) | 0;
        w[i + 2] = (w[u + 2] & ~3) + (w[i + 2] & 3);
        w[i + 3] = w[u + 3];
        w[i] = (unreachable | 0) + flags;
        w[i + 1] = (unreachable / HI) | 0;
        w[u + 2] = gc | 0;
        w[u + 3] = (gc / HI) | 0;
      }
      gc = lists.next(prev);
    }
    m.store64(young + 8, prev);
    // Heads have no flags.
    m.store64(young, lists.next(young));
    m.store64(unreachable, lists.next(unreachable));
  }

  /** Clears the unreachable flag of each object of a list. */
  clearUnreachable(head: number): void {
    const m = this.mem;
    const { kept } = this.lists;
    const w = m.words;
    const headLo = head | 0;
    const headHi = (head / HI) | 0;
    let i = m.touch(head, true);
    for (;;) {
      const lo = w[i] & ~3;
      const hi = w[i + 1];
      w[i] = lo + (w[i] & kept);
      if (lo === headLo && hi === headHi) return;
      i = m.touchWords(lo, hi, true);
    }
  }

  clearCollecting(gc: number): void {
    const i = this.mem.touch(gc, true);
    this.mem.words[i + 2] &= ~COLLECTING;
  }

  /** What the objects of a list reach follows them there. */
  reachLegacy(list: number): void {
    const { core, lists } = this;
    this.legacy.list = list;
    for (let gc = lists.next(list); gc !== list; gc = lists.next(gc))
      core.ops[core.kindOf(gc + 16)].traverse?.(gc + 16, this.legacy);
  }

  /** Calls visit for the objects of one kind; it may take that object off the list. */
  forKind(head: number, kind: number, visit: (op: number) => void): void {
    this.walk(head, (kindOfOp, op) => {
      if (kindOfOp === kind) visit(op);
      return true;
    });
  }

  /** Calls visit for the objects that are weak references or may have some. */
  forWeakKinds(head: number, visit: (op: number, kind: number) => void): void {
    const { ops } = this.core;
    this.walk(head, (kind, op) => {
      if (ops[kind].weakrefs !== undefined || kind === KIND_WEAKREF) visit(op, kind);
      return true;
    });
  }

  /** Whether an object of the list is of a kind with finalizers. */
  hasFinalizers(head: number): boolean {
    const { ops } = this.core;
    return !this.walk(head, (kind, op) => ops[kind].hasFinalizer?.(op) !== true);
  }

  /** Calls visit with kind and address of each object until it says no. @returns its last word. */
  private walk(head: number, visit: (kind: number, op: number) => boolean): boolean {
    const m = this.mem;
    const w = m.words;
    const headLo = head | 0;
    const headHi = (head / HI) | 0;
    const i = m.touch(head, false);
    let lo = w[i] & ~3;
    let hi = w[i + 1];
    while (lo !== headLo || hi !== headHi) {
      const g = m.touchWords(lo, hi, false);
      const isSplit = (lo & 0xff0) === 0xff0;
      const op = hi * HI + (lo >>> 0) + 16;
      const kind = isSplit ? this.core.kindOf(op) : this.core.kindOfType(w[g + 6], w[g + 7]);
      lo = w[g] & ~3;
      hi = w[g + 1];
      if (!visit(kind, op)) return false;
    }
    return true;
  }
}
