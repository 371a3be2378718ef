// The cycle collector: three generations of containers, and what it does with those that only refer
// to each other.
//
//   1. copy       each container's reference count goes into its head, as gc_refs
//   2. subtract   every reference from a container of the generation takes 1 off: what is left
//                 comes from outside
//   3. sort       containers with none left move to `unreachable`; what a reachable one refers to
//                 moves back (it is appended, so the walk reaches it again)
//   4. survivors  are untracked if they cannot be in a cycle (tuples; dicts in a full collection),
//                 and move to the next generation
//   5. weak references to the unreachable are cleared, callbacks of those that survive are called
//   6. finalizers are called, once in an object's life; then 1 to 3 again for the unreachable
//   alone,
//                 because a finalizer may have made some reachable
//   7. tp_clear   of each that is left breaks the cycles, and reference counting frees them
//
// A generation is collected when its count is over its threshold: generation 0 counts allocations
// less deallocations, the others collections of the younger one. The oldest waits, too, until more
// than a quarter of what the last full collection left has come in (the 25 % rule). Up to 3.11 a
// collection runs in the very allocation that is one too many; from 3.12 on that only asks for one.
//
// Invariants (check()): the lists are sound rings; between collections no object has a flag but
// "finalized"; a tracked object is in one generation.
// Source: CPython 3.11 Modules/gcmodule.c gc_collect_main() and what it calls. The
// incremental collector of 3.14.0 to 3.14.4 is in gc-incremental.ts.

import { assert } from '../../kernel/errors.ts';
import { COLLECTING, FINALIZED, GcLists } from './gc-list.ts';
import {
  type Collection,
  CollectionRun,
  type CollectorHelp,
  type Generations,
  type GcStep,
  STACK_HEADS,
} from './gc-collection.ts';
import { doneLine, objectLine, oldDoneLine, startLines } from './gc-debug.ts';
import { GcScan } from './gc-scan.ts';
import { KIND_TUPLE } from './kinds.ts';
import type { GcAllocator, ObjectCore } from './object.ts';

export const NUM_GENERATIONS = 3;
const GENERATION_BYTES = 24; // head of 16, threshold, count
export const PERMANENT = NUM_GENERATIONS;

export interface GenerationStats {
  collections: number;
  collected: number;
  uncollectable: number;
}

export class Collector implements Generations, GcAllocator {
  readonly lists: GcLists;
  enabled = true;
  /** A collection is under way; allocations do not start another. */
  collecting = false;
  /** An allocation has asked for a collection (3.12 on). */
  requested = false;
  debug = 0;
  longLivedTotal = 0;
  longLivedPending = 0;
  /** Set by the runtime before the first collection. */
  help!: CollectorHelp;
  /** Called at the end of each collection. */
  onCollection: ((done: Collection) => void) | null = null;
  /** Told of each step of each collection, while somebody looks. */
  onStep: ((step: GcStep, generation: number) => void) | null = null;
  /** Lines that gc.set_debug() asks for. */
  log: (line: string) => void = () => undefined;
  /** How long a collection took, for those lines; whoever has a clock sets it. */
  seconds: () => number = () => 0;
  readonly stats: GenerationStats[] = [];
  protected readonly core: ObjectCore;
  /** What lies before a container: 16 bytes, 32 in 2.7. */
  protected readonly headBytes: number;
  /** generations[3] and the permanent one. */
  protected readonly base: number;
  from = 0;
  to = 0;
  readonly scan: GcScan;
  private readonly run: CollectionRun;

  constructor(core: ObjectCore) {
    this.core = core;
    this.headBytes = core.profile.gcHeadBytes;
    this.lists = new GcLists(core.mem, core.profile.incrementalGc);
    this.base = core.data.variable(GENERATION_BYTES * (NUM_GENERATIONS + 1), 16);
    const heads = core.data.variable(16 * STACK_HEADS, 16);
    for (let i = 0; i <= PERMANENT; i++) this.lists.initHead(this.base + GENERATION_BYTES * i);
    for (let i = 0; i < NUM_GENERATIONS; i++) {
      this.setThreshold(i, core.profile.thresholds[i] ?? 0);
      this.stats.push({ collections: 0, collected: 0, uncollectable: 0 });
    }
    this.scan = new GcScan(core, this.lists);
    this.run = new CollectionRun(core, this, heads);
  }

  /** Head of a generation's list; generation 3 is the permanent one. */
  head(generation: number): number {
    return this.base + GENERATION_BYTES * generation;
  }
  threshold(generation: number): number {
    return this.core.mem.load32(this.head(generation) + 16);
  }
  setThreshold(generation: number, value: number): void {
    this.core.mem.store32(this.head(generation) + 16, value);
  }
  count(generation: number): number {
    return this.core.mem.load32(this.head(generation) + 20);
  }
  protected setCount(generation: number, value: number): void {
    this.core.mem.store32(this.head(generation) + 20, value);
  }

  /** Memory for a container: `presize` bytes before it (the head among them), `bytes` of its own.
   * May collect before it returns. @returns the object's address, not tracked yet. */
  alloc(bytes: number, presize = this.headBytes): number {
    const { core } = this;
    const op = core.malloc(presize + bytes) + presize;
    const m = core.mem;
    m.store64(op - 16, 0);
    m.store64(op - 8, 0);
    const i = m.touch(this.base, true);
    const count = ++m.words[i + 5];
    const threshold = m.words[i + 4];
    if (count > threshold && threshold !== 0 && this.enabled && !this.collecting) {
      if (core.profile.deferredCollection) this.requested = true;
      else this.collectGenerations();
    }
    return op;
  }

  /** PyObject_GC_Del(): gives a container's memory back. */
  del(op: number, presize = this.headBytes): void {
    if (this.isTracked(op)) this.lists.unlink(op - 16);
    const m = this.core.mem;
    const i = m.touch(this.base, true);
    if (m.words[i + 5] > 0) m.words[i + 5]--;
    this.core.free(op - presize);
  }

  isTracked(op: number): boolean {
    return this.lists.isTracked(op - 16);
  }
  /** Puts a container at the end of generation 0. */
  track(op: number): void {
    this.lists.append(op - 16, this.base);
  }
  /** Takes a container off its list, if it is on one. */
  untrack(op: number): void {
    const gc = op - 16;
    const m = this.core.mem;
    const i = m.touch(gc, true);
    if ((m.words[i] | m.words[i + 1]) === 0) return;
    this.lists.unlink(gc);
    m.words[i] = 0;
    m.words[i + 1] = 0;
    m.words[i + 2] &= FINALIZED;
    m.words[i + 3] = 0;
  }
  /** Whether a reference to the object can be part of a cycle. */
  mayBeTracked(op: number): boolean {
    const kind = this.core.kindOf(op);
    const isGc = this.core.ops[kind].isGc;
    return isGc && (kind !== KIND_TUPLE || this.isTracked(op));
  }
  isFinalized(op: number): boolean {
    return (this.lists.flags(op - 16) & FINALIZED) !== 0;
  }
  setFinalized(op: number): void {
    const m = this.core.mem;
    m.store32(op - 8, m.load32(op - 8) | FINALIZED);
  }

  /**
   * The generation that an object is in: 0 to 2, 3 for permanent, -1 if not tracked. O(objects).
   */
  generationOf(op: number): number {
    if (!this.isTracked(op)) return -1;
    const gc = op - 16;
    for (let i = 0; i <= PERMANENT; i++) {
      const head = this.head(i);
      for (let at = this.lists.next(head); at !== head; at = this.lists.next(at))
        if (at === gc) return i;
    }
    return -1;
  }

  /** gc.freeze(): all objects go to the permanent generation, which is never collected. */
  freeze(): void {
    for (let i = 0; i < NUM_GENERATIONS; i++) {
      this.lists.merge(this.head(i), this.head(PERMANENT));
      this.setCount(i, 0);
    }
  }
  unfreeze(): void {
    this.lists.merge(this.head(PERMANENT), this.head(NUM_GENERATIONS - 1));
  }

  /** Runs the collection that an allocation asked for, if one is still due. */
  runRequested(): void {
    if (!this.requested) return;
    this.requested = false;
    if (this.enabled && !this.collecting) this.collectGenerations();
  }

  /** Objects that the running frames hold, for the incremental collector to mark from. */
  forEachRoot: (visit: (op: number) => void) => void = () => undefined;

  /** Collects the oldest generation whose count is over its threshold. */
  protected collectGenerations(): void {
    for (let i = NUM_GENERATIONS - 1; i >= 0; i--) {
      if (this.count(i) <= this.threshold(i)) continue;
      const waits = this.longLivedPending < Math.floor(this.longLivedTotal / 4);
      if (i === NUM_GENERATIONS - 1 && waits) continue;
      this.collect(i);
      return;
    }
  }

  /** gc.collect(generation). @returns the number of unreachable objects found. */
  collect(generation: number): number {
    if (this.collecting) return 0;
    const steps = this.steps(generation, this.onStep !== null);
    for (;;) {
      const { done, value } = steps.next();
      if (done === true) return value.collected + value.uncollectable;
      this.onStep?.(value, generation);
    }
  }

  /** gc.collect(generation), stopping after each step and each object that code ran for. Until it
   * is driven to its end, the program must not go on. */
  collectInSteps(generation: number): Generator<GcStep, Collection, void> {
    assert(!this.collecting, 'collectInSteps: no collection is under way');
    return this.steps(generation, true);
  }

  private *steps(generation: number, isWatched: boolean): Generator<GcStep, Collection, void> {
    this.collecting = true;
    this.phase('start');
    const done = yield* this.run.run(generation, isWatched);
    const stats = this.stats[generation];
    if (done.counted) stats.collections++;
    stats.collected += done.collected;
    stats.uncollectable += done.uncollectable;
    this.phase('stop');
    this.collecting = false;
    this.onCollection?.(done);
    return done;
  }

  /** From 3.12 on the name of the phase is made a string, whether or not anybody listens. */
  private phase(name: string): void {
    const { core } = this;
    if (core.profile.phaseStrings)
      core.free(core.malloc(core.profile.asciiHeadBytes + name.length + 1));
  }

  gather(generation: number): boolean {
    if (generation + 1 < NUM_GENERATIONS)
      this.setCount(generation + 1, this.count(generation + 1) + 1);
    for (let i = 0; i <= generation; i++) this.setCount(i, 0);
    const young = this.head(generation);
    for (let i = 0; i < generation; i++) this.lists.merge(this.head(i), young);
    this.from = young;
    this.to = generation === NUM_GENERATIONS - 1 ? young : this.head(generation + 1);
    return true;
  }

  promote(generation: number): void {
    const { lists } = this;
    const young = this.head(generation);
    if (generation === NUM_GENERATIONS - 1) {
      this.longLivedPending = 0;
      this.longLivedTotal = lists.size(young);
      return;
    }
    if (generation === NUM_GENERATIONS - 2) this.longLivedPending += lists.size(young);
    lists.merge(young, this.head(generation + 1));
  }

  /** Survivors are in their generation already. */
  finish(generation: number): void {
    assert(generation < NUM_GENERATIONS, 'finish: a generation was collected');
  }

  /** Calls visit for each object of a list; visit may take that object off it. */
  forEach(head: number, visit: (op: number) => void): void {
    for (let gc = this.lists.next(head); gc !== head;) {
      const next = this.lists.next(gc);
      visit(gc + 16);
      gc = next;
    }
  }

  // reports ----------------------------------------------------------------------------------

  /** gc.get_count() */
  counts(): number[] {
    return [0, 1, 2].map((i) => this.count(i));
  }
  /** gc_refs of an object while a collection sorts, else -1. */
  gcRefs(op: number): number {
    const word = this.core.mem.load32(op - 8);
    return (word & COLLECTING) !== 0 ? word >> 2 : -1;
  }

  logStart(generation: number): void {
    const sizes = [0, 1, 2].map((i) => this.lists.size(this.head(i)));
    const permanent = this.core.profile.freezes ? this.lists.size(this.head(PERMANENT)) : null;
    for (const line of startLines(generation, sizes, permanent)) this.log(line);
  }
  logList(flag: number, what: string, head: number): void {
    if ((this.debug & flag) === 0) return;
    this.forEach(head, (op) => {
      this.log(objectLine(what, this.core.typeName(op), op));
    });
  }
  logDone(collected: number, uncollectable: number): void {
    const line = this.core.profile.freezes ? doneLine : oldDoneLine;
    this.log(line(collected, uncollectable, this.seconds()));
  }

  /** Throws KernelBug where an invariant does not hold. O(objects). */
  check(): void {
    const seen = new Set<number>();
    for (let i = 0; i <= PERMANENT; i++) {
      const head = this.head(i);
      let before = head;
      for (let gc = this.lists.next(head); gc !== head; gc = this.lists.next(gc)) {
        assert(!seen.has(gc), 'an object is tracked once');
        seen.add(gc);
        assert(this.lists.prev(gc) === before, 'a list can be walked both ways');
        assert((this.lists.flags(gc) & COLLECTING) === 0, 'nothing is being collected');
        assert(this.core.refcount(gc + 16) !== 0, 'a tracked object is alive');
        before = gc;
      }
      assert(this.lists.prev(head) === before, 'the head of a list knows its last');
    }
  }
}
