// The loops of a collection that touch every object of a generation: steps 1 to 3 of gc.ts.
//
// They walk the lists in the two words of each pointer, look each page up once for a head and the
// header behind it, and follow references of many objects together (gc-refs.ts).
//
//     gc_refs > 0 after subtraction: reached from outside; its members are put back into play
//     gc_refs = 0: perhaps unreachable; moved away, and back if a later object refers to it
//
// Source: CPython 3.11 Modules/gcmodule.c update_refs(), subtract_refs(), move_unreachable().

import { assert } from '../../kernel/errors.ts';
import type { CachedMemory } from '../cached-memory.ts';
import { COLLECTING, FINALIZED, type GcLists } from './gc-list.ts';
import { NO_HEAD, References } from './gc-refs.ts';
import { KIND_WEAKREF } from './kinds.ts';
import type { ObjectCore } from './object.ts';

const HI = 4294967296;
const REFS_SHIFT = 2;
/** Objects that are looked at together, and references after which no more are taken up. */
const BATCH = 64;
const ENOUGH_REFS = 1024;

/** Something done with each container that a reference leads to. */
abstract class Follower {
  protected readonly mem: CachedMemory;

  constructor(mem: CachedMemory) {
    this.mem = mem;
  }

  /** Called for each: its address, and where in the store its head lies. */
  protected abstract reached(lo: number, hi: number, g: number): void;

  /** Follows the references from number `from` to before number `to`, which are resolved. */
  follow(refs: References, from: number, to: number): void {
    const { head, hi, lo } = refs;
    for (let n = from; n < to; n++) {
      const g = refs.isAtHand() ? head[n] : refs.headOf(lo[n], hi[n]);
      if (g !== NO_HEAD) this.reached(lo[n], hi[n], g);
    }
  }
}

/** Takes one off the gc_refs of each object that is visited. */
class Subtract extends Follower {
  protected override reached(_lo: number, _hi: number, g: number): void {
    const w = this.mem.words;
    if ((w[g + 2] & COLLECTING) !== 0) w[g + 2] -= 1 << REFS_SHIFT;
  }
}

/** Makes each object that is visited reachable. */
class Reach extends Follower {
  list = 0;
  private readonly lists: GcLists;
  constructor(mem: CachedMemory, lists: GcLists) {
    super(mem);
    this.lists = lists;
  }
  protected override reached(lo: number, hi: number, g: number): void {
    const w = this.mem.words;
    const word = w[g + 2];
    if ((word & COLLECTING) === 0) return;
    if ((w[g] & this.lists.unreachable) !== 0) this.putBack(hi * HI + (lo >>> 0) - 16);
    else if (word >> REFS_SHIFT === 0) w[g + 2] = word + (1 << REFS_SHIFT);
  }

  /** It was moved to unreachable; it is not, so it goes back to the end of the list. */
  private putBack(gc: number): void {
    const { lists, mem } = this;
    const prev = lists.prev(gc);
    mem.store64(prev, mem.load64(gc)); // the flag with it
    lists.setPrev(lists.next(gc), prev);
    lists.append(gc, this.list);
    const g = mem.touch(gc, true);
    mem.words[g + 2] = (1 << REFS_SHIFT) | (mem.words[g + 2] & 3);
    mem.words[g + 3] = 0;
  }
}

/** Moves what objects with legacy finalizers reach to their list. */
class ReachLegacy extends Follower {
  list = 0;
  private readonly lists: GcLists;
  constructor(mem: CachedMemory, lists: GcLists) {
    super(mem);
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
  /** References of many objects; those of object i of a batch are ends[i] to before ends[i + 1]. */
  private readonly refs: References;
  private readonly ends = new Int32Array(BATCH + 1);
  /** References of one object. */
  private readonly own: References;
  private readonly subtract: Subtract;
  private readonly reach: Reach;
  private readonly legacy: ReachLegacy;

  constructor(core: ObjectCore, lists: GcLists) {
    this.core = core;
    this.mem = core.mem;
    this.lists = lists;
    this.refs = new References(core);
    this.own = new References(core);
    this.subtract = new Subtract(core.mem);
    this.reach = new Reach(core.mem, lists);
    this.legacy = new ReachLegacy(core.mem, lists);
  }

  /** Adds what an object refers to, in the order of its tp_traverse; its head is at word `g`. */
  private gather(lo: number, hi: number, g: number, refs: References): void {
    const op = hi * HI + (lo >>> 0) + 16;
    this.core.ops[this.kindAt(lo, hi, g)].traverse?.(op, refs);
  }

  /** The kind of the object whose head has this address, and is at word `g`. */
  private kindAt(lo: number, hi: number, g: number): number {
    const { core } = this;
    const w = this.mem.words;
    const isSplit = (lo & 0xff0) === 0xff0; // the object is on the page after its head
    if (isSplit) return core.kindOf(hi * HI + (lo >>> 0) + 16);
    return core.kindOfType(w[g + 6], w[g + 7]);
  }

  /** Follows what the object with one head refers to. */
  private followAll(gc: number, follower: Follower): void {
    const { own } = this;
    own.count = 0;
    this.gather(gc | 0, (gc / HI) | 0, this.mem.touch(gc, false), own);
    own.resolve();
    follower.follow(own, 0, own.count);
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

  /** Step 2: less the references from the list's own objects; their order does not matter. */
  subtractRefs(head: number): void {
    const { refs } = this;
    const m = this.mem;
    const w = m.words;
    const headLo = head | 0;
    const headHi = (head / HI) | 0;
    let i = m.touch(head, false);
    refs.count = 0;
    for (;;) {
      const lo = w[i] & ~3;
      const hi = w[i + 1];
      const isEnd = lo === headLo && hi === headHi;
      if (isEnd || refs.count >= ENOUGH_REFS) {
        refs.resolve();
        this.subtract.follow(refs, 0, refs.count);
        refs.count = 0;
      }
      if (isEnd) return;
      this.gather(lo, hi, m.touchWords(lo, hi, false), refs);
      i = m.touchWords(lo, hi, false);
    }
  }

  /** Step 3: sorts the list; what seems unreachable goes to `unreachable`, flagged. */
  moveUnreachable(young: number, unreachable: number): void {
    const { ends, lists, reach, refs } = this;
    const m = this.mem;
    const w = m.words;
    reach.list = young;
    // All objects of the list are in one old space.
    const flags = lists.unreachable + (m.load32(lists.next(young)) & lists.kept);
    let prev = young;
    let gc = lists.next(young);
    let looksAhead = true;
    while (gc !== young) {
      const gathered = looksAhead ? this.lookAhead(gc, young) : 0;
      let reachable = 0;
      let n = 0;
      for (; n < BATCH && gc !== young; n++) {
        let i = m.touch(gc, true);
        if (w[i + 2] >> REFS_SHIFT !== 0) {
          reachable++;
          if (n < gathered) reach.follow(refs, ends[n], ends[n + 1]);
          else this.followAll(gc, reach);
          i = m.touch(gc, true);
          w[i + 2] = (prev | 0) + (w[i + 2] & FINALIZED);
          w[i + 3] = (prev / HI) | 0;
          prev = gc;
        } else this.setAside(gc, prev, unreachable, flags);
        gc = lists.next(prev);
      }
      looksAhead = 2 * reachable > n;
    }
    m.store64(young + 8, prev);
    // Heads have no flags.
    m.store64(young, lists.next(young));
    m.store64(unreachable, lists.next(unreachable));
  }

  /** Gathers and resolves what the next objects of a list refer to. None of them leaves the list,
   * nor comes another between them, before the sorting gets there. @returns how many they are. */
  private lookAhead(first: number, head: number): number {
    const { ends, mem, refs } = this;
    const w = mem.words;
    const headLo = head | 0;
    const headHi = (head / HI) | 0;
    let lo = first | 0;
    let hi = (first / HI) | 0;
    let n = 0;
    refs.count = 0;
    while ((lo !== headLo || hi !== headHi) && n < BATCH && refs.count < ENOUGH_REFS) {
      const g = mem.touchWords(lo, hi, true);
      const nextLo = w[g] & ~3;
      const nextHi = w[g + 1];
      this.gather(lo, hi, g, refs);
      ends[++n] = refs.count;
      lo = nextLo;
      hi = nextHi;
    }
    refs.resolve();
    return n;
  }

  /** Moves an object, which follows `prev`, to the end of the list of the unreachable. */
  private setAside(gc: number, prev: number, unreachable: number, flags: number): void {
    const m = this.mem;
    const w = m.words;
    let epoch: number;
    let i: number;
    let p: number;
    let u: number;
    let last: number;
    do {
      epoch = m.epoch;
      i = m.touch(gc, true);
      p = m.touch(prev, true);
      u = m.touch(unreachable, true);
      last = m.touchWords(w[u + 2] & ~3, w[u + 3], true);
    } while (m.epoch !== epoch); // one page came in and another may have gone
    w[p] = w[i];
    w[p + 1] = w[i + 1];
    w[last] = (gc | 0) + flags;
    w[last + 1] = (gc / HI) | 0;
    w[i + 2] = (w[u + 2] & ~3) + (w[i + 2] & 3);
    w[i + 3] = w[u + 3];
    w[i] = (unreachable | 0) + flags;
    w[i + 1] = (unreachable / HI) | 0;
    w[u + 2] = gc | 0;
    w[u + 3] = (gc / HI) | 0;
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
    const { lists } = this;
    this.legacy.list = list;
    for (let gc = lists.next(list); gc !== list; gc = lists.next(gc))
      this.followAll(gc, this.legacy);
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
      const op = hi * HI + (lo >>> 0) + 16;
      const nextLo = w[g] & ~3;
      const nextHi = w[g + 1];
      const kind = this.kindAt(lo, hi, g);
      lo = nextLo;
      hi = nextHi;
      if (!visit(kind, op)) return false;
    }
    return true;
  }
}
