// The incremental collector of 3.14.0 to 3.14.4: young objects, and two spaces of old ones.
//
//            allocate                 increment: all young, and of the pending space as many as
//               │                     there is work to do, each with all that it reaches
//           ┌───▼───┐     ┌───────────────┐     ┌─────────────┐
//           │ young ├────►│  increment    ├────►│   visited   │
//           └───────┘  ┌─►│  (collected)  │     └──────┬──────┘
//                ┌─────┴─┐└───────────────┘            │
//                │pending│◄────────────────────────────┘ when nothing is pending any more the two
//                └───────┘                               spaces change places: a cycle is over
//
// Which space an object belongs to is bit 0 of its _gc_next; young ones are marked as pending. The
// young count is of objects that were tracked less those that are not any more, wherever they are.
// One that takes it over the threshold asks for an increment, whose work is
//
//     work_to_do += young count + heap size / 10 / threshold 1
//
// of which the heap's part is at most 1.5 times the young count. Nothing is done while that is
// below zero: earlier increments went further than they had to. A cycle starts with marking: what
// running frames reach goes to the visited space unexamined, and counts as work done, twice. After
// an increment its size comes off.
//
// gc.collect(0) collects the young objects, 1 does an increment, 2 collects everything and starts a
// new cycle. gc.get_stats() counts increments as generation 1, and marking not at all. The third
// threshold is 0 and cannot be set. gc.get_objects(): 0 is young, 2 is both spaces.
//
// Invariants: between collections a young or pending object has the bit of the pending space, a
// visited or permanent one that of the visited. heapSize is the number of containers that are
// tracked.
// Source: CPython 3.14 Python/gc.c gc_collect_increment(), expand_region_transitively_reachable(),
// mark_at_start(), completed_scavenge(); compared with 3.14.2. Not modelled: marking from the
// modules' and types' dicts.

import { assert } from '../../kernel/errors.ts';
import { Collector, NUM_GENERATIONS, PERMANENT } from './gc.ts';
import { OLD_SPACE } from './gc-list.ts';
import type { Visitor } from './kinds.ts';
import type { ObjectCore } from './object.ts';

const SCAN_RATE_DIVISOR = 10;
const HI = 4294967296;

/** Moves what it visits, if it is still pending, to the end of a list of the visited space. */
class Gather implements Visitor {
  list = 0;
  moved = 0;
  private readonly core: ObjectCore;
  private readonly gc: IncrementalCollector;

  constructor(core: ObjectCore, gc: IncrementalCollector) {
    this.core = core;
    this.gc = gc;
  }

  visit(lo: number, hi: number): void {
    if (this.core.isGcKind(this.core.kindAt(lo, hi))) this.take(hi * HI + (lo >>> 0));
  }
  visitRow(index: number, count: number, step: number): void {
    const w = this.core.mem.words;
    for (let at = index, end = index + count * step; at !== end; at += step)
      if ((w[at] | w[at + 1]) !== 0) this.visit(w[at], w[at + 1]);
  }

  take(op: number): void {
    const { core, gc } = this;
    if (core.isImmortal(op) || !gc.isTracked(op) || gc.spaceOf(op) === gc.visitedSpace) return;
    gc.setSpace(op, gc.visitedSpace);
    gc.lists.move(op - 16, this.list);
    this.moved++;
  }
}

export class IncrementalCollector extends Collector {
  /** 0 or 1: the old space of objects that this cycle has been through. */
  visitedSpace = 0;
  /** A cycle begins with marking. */
  cyclePhase: 'mark' | 'collect' = 'mark';
  /** Objects that the next increment should look at; negative where others did more. */
  workToDo = 0;
  /** Containers that are tracked. */
  heapSize = 0;
  private readonly gatherer: Gather;
  private readonly increment: number;
  private readonly survivors: number;
  private readonly reached: number;
  private incrementSize = 0;

  constructor(core: ObjectCore) {
    super(core);
    this.increment = core.data.variable(48, 16);
    this.survivors = this.increment + 16;
    this.reached = this.increment + 32;
    this.gatherer = new Gather(core, this);
  }

  /** Generation 1 is what has been visited, 2 what is pending. */
  override head(generation: number): number {
    const space = generation === 1 ? this.visitedSpace : 1 - this.visitedSpace;
    const isOld = generation === 1 || generation === 2;
    return super.head(isOld ? 1 + space : generation);
  }
  /** gc.get_threshold(): the second belongs to old space 0, whichever that is. */
  override threshold(generation: number): number {
    if (generation === 2) return 0;
    return this.core.mem.load32(super.head(generation) + 16);
  }
  override setThreshold(generation: number, value: number): void {
    if (generation < 2) this.core.mem.store32(super.head(generation) + 16, value);
  }

  /** An allocation does not count; being tracked does. */
  override alloc(bytes: number, presize = this.headBytes): number {
    const { core } = this;
    const op = core.malloc(presize + bytes) + presize;
    core.mem.zero(op - 16, 16);
    return op;
  }
  override del(op: number, presize = this.headBytes): void {
    this.untrack(op);
    this.core.free(op - presize);
  }

  override track(op: number): void {
    super.track(op);
    this.setSpace(op, 1 - this.visitedSpace);
    this.heapSize++;
    const count = this.count(0) + 1;
    this.setCount(0, count);
    const threshold = this.threshold(0);
    if (count > threshold && threshold !== 0 && this.enabled && !this.collecting)
      this.requested = true;
  }
  override untrack(op: number): void {
    if (!this.isTracked(op)) return;
    super.untrack(op);
    this.heapSize--;
    if (this.count(0) > 0) this.setCount(0, this.count(0) - 1);
  }

  /** The old space of a tracked object, or the one that it will go to. */
  spaceOf(op: number): number {
    return this.core.mem.load32(op - 16) & OLD_SPACE;
  }
  setSpace(op: number, space: number): void {
    const m = this.core.mem;
    m.store32(op - 16, (m.load32(op - 16) & ~OLD_SPACE) + space);
  }
  private setListSpace(head: number, space: number): void {
    this.forEach(head, (op) => {
      this.setSpace(op, space);
    });
  }

  protected override collectGenerations(): void {
    this.collect(1);
  }

  override freeze(): void {
    for (let i = 0; i < NUM_GENERATIONS; i++) {
      this.setListSpace(this.head(i), this.visitedSpace);
      this.lists.merge(this.head(i), this.head(PERMANENT));
      this.setCount(i, 0);
    }
  }
  override unfreeze(): void {
    this.lists.merge(this.head(PERMANENT), this.head(1));
  }

  override gather(generation: number): boolean {
    if (generation === 1) return this.gatherIncrement();
    const { lists } = this;
    this.untrackTuples(this.head(0));
    this.from = this.head(0);
    if (generation === 0) {
      this.setListSpace(this.from, this.visitedSpace);
      this.to = this.survivors;
      lists.initHead(this.survivors);
      return true;
    }
    const [pending, visited] = [this.head(2), this.head(1)];
    lists.merge(this.from, pending);
    this.setListSpace(pending, this.visitedSpace);
    this.setCount(0, 0);
    lists.merge(pending, visited);
    this.from = visited;
    this.to = visited;
    return true;
  }

  private untrackTuples(head: number): void {
    this.forEach(head, (op) => {
      if (this.core.typeName(op) === 'tuple') this.help.maybeUntrackTuple(op);
    });
  }

  /** What is taken from the heap's size: a hundredth, with the default threshold of 10. */
  private get heapShare(): number {
    const scale = Math.max(2, this.threshold(1));
    return Math.floor(Math.floor(this.heapSize / SCAN_RATE_DIVISOR) / scale);
  }

  private gatherIncrement(): boolean {
    const { lists } = this;
    const young = this.count(0);
    this.workToDo += young + Math.min(this.heapShare, Math.floor((young * 3) / 2));
    this.setCount(0, 0);
    this.from = this.increment;
    this.to = this.survivors;
    lists.initHead(this.increment);
    lists.initHead(this.survivors);
    if (this.workToDo < 0) return false;
    this.untrackTuples(this.head(0));
    const marked = this.mark();
    this.workToDo -= marked;
    if (this.cyclePhase === 'mark') {
      this.workToDo -= marked;
      this.cyclePhase = 'collect';
      return false;
    }
    this.setListSpace(this.head(0), this.visitedSpace);
    lists.merge(this.head(0), this.increment);
    this.incrementSize = lists.size(this.increment);
    const pending = this.head(2);
    while (this.incrementSize < this.workToDo && !lists.isEmpty(pending)) {
      const gc = lists.next(pending);
      lists.move(gc, this.increment);
      this.setSpace(gc + 16, this.visitedSpace);
      this.incrementSize += 1 + this.reach(gc, this.increment);
    }
    return true;
  }

  /** All that the objects of a list from `gc` on reach, and that is pending, follows them there. */
  private reach(gc: number, list: number): number {
    const { core, gatherer, lists } = this;
    gatherer.list = list;
    gatherer.moved = 0;
    for (let at = gc; at !== list; at = lists.next(at))
      core.ops[core.kindOf(at + 16)].traverse?.(at + 16, gatherer);
    return gatherer.moved;
  }

  /** What running frames reach goes to the visited space. @returns how many objects that are. */
  private mark(): number {
    const { core, gatherer, lists, reached } = this;
    lists.initHead(reached);
    gatherer.list = reached;
    gatherer.moved = 0;
    this.forEachRoot((op) => {
      if (core.isGc(op)) gatherer.take(op);
    });
    const first = gatherer.moved;
    const more = lists.isEmpty(reached) ? 0 : this.reach(lists.next(reached), reached);
    lists.merge(reached, this.head(1));
    return first + more;
  }

  override promote(): void {
    this.untrackTuples(this.from);
    if (this.from !== this.to) this.lists.merge(this.from, this.to);
  }

  override finish(generation: number): void {
    if (generation < 2) this.lists.merge(this.survivors, this.head(1));
    if (generation === 0) {
      this.setCount(0, 0);
      this.setCount(1, this.count(1) + 1);
      return;
    }
    if (generation === 1) {
      this.workToDo -= this.incrementSize;
      if (this.lists.isEmpty(this.head(2))) this.completeCycle();
      return;
    }
    for (let i = 0; i < NUM_GENERATIONS; i++) this.setCount(i, 0);
    this.completeCycle();
  }

  override check(): void {
    super.check();
    let tracked = 0;
    for (let i = 0; i <= PERMANENT; i++) {
      const isVisited = i === 1 || i === PERMANENT;
      const space = isVisited ? this.visitedSpace : 1 - this.visitedSpace;
      this.forEach(this.head(i), (op) => {
        tracked++;
        assert(this.spaceOf(op) === space, 'an object has the bit of the space that it is in');
      });
    }
    assert(tracked === this.heapSize, 'heapSize counts the tracked objects');
  }

  /** The visited space becomes the pending one. Permanent objects stay marked as visited. */
  private completeCycle(): void {
    const visited = this.visitedSpace;
    if (this.lists.isEmpty(this.head(PERMANENT))) {
      this.visitedSpace = 1 - visited;
      this.setListSpace(this.head(0), visited);
    } else {
      const [from, to] = [this.head(1), this.head(2)];
      this.lists.merge(from, to);
      this.setListSpace(to, 1 - visited);
    }
    assert(this.lists.isEmpty(this.head(1)), 'nothing is visited when a cycle begins');
    this.workToDo = 0;
    this.cyclePhase = 'mark';
  }
}
