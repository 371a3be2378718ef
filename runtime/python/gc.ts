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
// Source: CPython 3.11 Modules/gcmodule.c gc_collect_main() and what it calls. Not modelled: the
// incremental collector of 3.14.0 to 3.14.4; profile 3.14 is what came after, generational again.

import { assert } from '../../kernel/errors.ts';
import { COLLECTING, FINALIZED, GcLists } from './gc-list.ts';
import { GcScan } from './gc-scan.ts';
import { KIND_DICT, KIND_TUPLE, KIND_WEAKREF, type ObjectCore } from './object.ts';

export const NUM_GENERATIONS = 3;
const GENERATION_BYTES = 24; // head of 16, threshold, count
const PERMANENT = NUM_GENERATIONS;

/** gc.set_debug() flags. */
export const DEBUG_STATS = 1;
export const DEBUG_COLLECTABLE = 2;
export const DEBUG_UNCOLLECTABLE = 4;
export const DEBUG_SAVEALL = 32;

/** What a collection found. */
export interface Collection {
  readonly generation: number;
  readonly collected: number;
  readonly uncollectable: number;
}

export interface GenerationStats {
  collections: number;
  collected: number;
  uncollectable: number;
}

/** What the collector asks of the types that it treats specially; set by the runtime. */
export interface CollectorHelp {
  maybeUntrackTuple(op: number): void;
  maybeUntrackDict(op: number): void;
  /** Clears a weak reference but leaves its callback. */
  clearRef(ref: number): void;
  callbackOf(ref: number): number;
  /** Calls a weak reference's callback. */
  callback(ref: number): void;
  clearFreeLists(): void;
  /** Puts an object on gc.garbage. */
  saveGarbage(op: number): void;
}

export class Collector {
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
  /** Called between the steps of a collection, with what the step was. */
  onStep: ((step: string, generation: number) => void) | null = null;
  /** Lines that gc.set_debug() asks for. */
  log: (line: string) => void = () => undefined;
  readonly stats: GenerationStats[] = [];
  private readonly core: ObjectCore;
  /** generations[3] and the permanent one; then heads of lists that live on C's stack. */
  private readonly base: number;
  private readonly heads: number;
  private readonly scan: GcScan;
  /** Code of the program ran during this collection. */
  private ranCode = false;

  constructor(core: ObjectCore) {
    this.core = core;
    this.lists = new GcLists(core.mem);
    this.base = core.data.variable(GENERATION_BYTES * (NUM_GENERATIONS + 1), 16);
    this.heads = core.data.variable(16 * 6, 16);
    for (let i = 0; i <= PERMANENT; i++) this.lists.initHead(this.head(i));
    for (let i = 0; i < NUM_GENERATIONS; i++) {
      this.setThreshold(i, core.profile.thresholds[i] ?? 0);
      this.stats.push({ collections: 0, collected: 0, uncollectable: 0 });
    }
    this.scan = new GcScan(core, this.lists);
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
  private setCount(generation: number, value: number): void {
    this.core.mem.store32(this.head(generation) + 20, value);
  }

  /** Memory for a container: `presize` bytes before it (the head among them), `bytes` of its own.
   * May collect before it returns. @returns the object's address, not tracked yet. */
  alloc(bytes: number, presize = 16): number {
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
  del(op: number, presize = 16): void {
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

  /** Collects the oldest generation whose count is over its threshold. */
  private collectGenerations(): void {
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
    this.collecting = true;
    this.phase('start');
    const done = this.collectMain(generation);
    this.phase('stop');
    this.collecting = false;
    this.onCollection?.(done);
    return done.collected + done.uncollectable;
  }

  /** From 3.12 on the name of the phase is made a string, whether or not anybody listens. */
  private phase(name: string): void {
    const { core } = this;
    if (core.profile.phaseStrings)
      core.free(core.malloc(core.profile.asciiHeadBytes + name.length + 1));
  }

  private step(what: string, generation: number): void {
    if (this.onStep !== null) this.onStep(what, generation);
  }

  private collectMain(generation: number): Collection {
    const { lists } = this;
    this.ranCode = false;
    const unreachable = this.heads;
    const legacy = this.heads + 16;
    const final = this.heads + 32;
    if ((this.debug & DEBUG_STATS) !== 0) this.logStart(generation);
    if (generation + 1 < NUM_GENERATIONS)
      this.setCount(generation + 1, this.count(generation + 1) + 1);
    for (let i = 0; i <= generation; i++) this.setCount(i, 0);
    const young = this.head(generation);
    for (let i = 0; i < generation; i++) lists.merge(this.head(i), young);
    const old = generation < NUM_GENERATIONS - 1 ? this.head(generation + 1) : young;
    this.deduceUnreachable(young, unreachable, generation);
    if (this.core.profile.untracksTuples) this.untrackTuples(young);
    if (young !== old) {
      if (generation === NUM_GENERATIONS - 2) this.longLivedPending += lists.size(young);
      lists.merge(young, old);
    } else {
      if (this.core.profile.untracksDicts) this.untrackDicts(young);
      this.longLivedPending = 0;
      this.longLivedTotal = lists.size(young);
    }
    this.step('survivors', generation);
    this.moveLegacy(unreachable, legacy);
    this.logList(DEBUG_COLLECTABLE, 'collectable', unreachable);
    let collected = this.handleWeakrefs(unreachable, old);
    this.step('weakrefs', generation);
    this.finalizeGarbage(unreachable);
    this.step('finalizers', generation);
    this.handleResurrected(unreachable, final, old);
    collected += lists.size(final);
    this.deleteGarbage(final, old);
    this.step('clear', generation);
    const uncollectable = this.handleLegacy(legacy, old);
    if ((this.debug & DEBUG_STATS) !== 0) {
      const found = collected + uncollectable;
      this.log(`gc: done, ${found} unreachable, ${uncollectable} uncollectable, 0.0000s elapsed`);
    }
    if (generation === NUM_GENERATIONS - 1) this.help.clearFreeLists();
    const stats = this.stats[generation];
    stats.collections++;
    stats.collected += collected;
    stats.uncollectable += uncollectable;
    return { generation, collected, uncollectable };
  }

  // steps 1 to 3 -----------------------------------------------------------------------------

  private deduceUnreachable(base: number, unreachable: number, generation: number): void {
    this.scan.updateRefs(base);
    this.step('copy', generation);
    this.scan.subtractRefs(base);
    this.step('subtract', generation);
    this.lists.initHead(unreachable);
    this.scan.moveUnreachable(base, unreachable);
    this.step('sort', generation);
  }

  // step 4 -----------------------------------------------------------------------------------

  private untrackTuples(head: number): void {
    this.scan.forKind(head, KIND_TUPLE, (op) => this.help.maybeUntrackTuple(op));
  }
  private untrackDicts(head: number): void {
    this.scan.forKind(head, KIND_DICT, (op) => this.help.maybeUntrackDict(op));
  }
  /** Calls visit for each object of a list; visit may take that object off it. */
  forEach(head: number, visit: (op: number) => void): void {
    for (let gc = this.lists.next(head); gc !== head;) {
      const next = this.lists.next(gc);
      visit(gc + 16);
      gc = next;
    }
  }

  /** Takes objects with finalizers that may run only by hand, and all they reach, out of the way:
   * none from 3.4 on. Clears the unreachable flags. */
  private moveLegacy(unreachable: number, legacy: number): void {
    const { core, lists } = this;
    lists.initHead(legacy);
    this.scan.clearUnreachable(unreachable);
    if (core.profile.safeFinalization) return;
    this.forEach(unreachable, (op) => {
      if (core.ops[core.kindOf(op)].hasFinalizer?.(op) !== true) return;
      this.scan.clearCollecting(op - 16);
      lists.move(op - 16, legacy);
    });
    this.scan.reachLegacy(legacy);
  }

  private handleLegacy(legacy: number, old: number): number {
    let found = 0;
    this.logList(DEBUG_UNCOLLECTABLE, 'uncollectable', legacy);
    this.forEach(legacy, (op) => {
      found++;
      const has = this.core.ops[this.core.kindOf(op)].hasFinalizer?.(op) === true;
      if (has || (this.debug & DEBUG_SAVEALL) !== 0) this.help.saveGarbage(op);
    });
    this.lists.merge(legacy, old);
    return found;
  }

  // steps 5 to 7 -----------------------------------------------------------------------------

  private handleWeakrefs(unreachable: number, old: number): number {
    const { core, help, lists } = this;
    const toCall = this.heads + 48;
    lists.initHead(toCall);
    this.scan.forWeakKinds(unreachable, (op) => {
      const kind = core.kindOf(op);
      if (kind === KIND_WEAKREF) help.clearRef(op);
      const list = core.ops[kind].weakrefs?.(op) ?? 0;
      if (list === 0) return;
      for (let ref = core.mem.load64(list); ref !== 0; ref = core.mem.load64(list)) {
        help.clearRef(ref);
        if (help.callbackOf(ref) === 0) continue;
        if ((lists.flags(ref - 16) & COLLECTING) !== 0) continue; // trash as well
        core.incref(ref);
        lists.move(ref - 16, toCall);
      }
    });
    let freed = 0;
    while (!lists.isEmpty(toCall)) {
      const gc = lists.next(toCall);
      this.ranCode = true;
      help.callback(gc + 16);
      core.decref(gc + 16);
      if (lists.next(toCall) === gc) lists.move(gc, old);
      else freed++;
    }
    return freed;
  }

  private finalizeGarbage(unreachable: number): void {
    const { core, lists } = this;
    if (!this.scan.hasFinalizers(unreachable)) return; // each would go to a list and back
    const seen = this.heads + 64;
    lists.initHead(seen);
    while (!lists.isEmpty(unreachable)) {
      const gc = lists.next(unreachable);
      const op = gc + 16;
      lists.move(gc, seen);
      const ops = core.ops[core.kindOf(op)];
      if (ops.finalize === undefined || this.isFinalized(op)) continue;
      if (ops.hasFinalizer?.(op) !== true) continue;
      this.setFinalized(op);
      core.incref(op);
      this.ranCode = true;
      ops.finalize(op);
      core.decref(op);
    }
    lists.merge(seen, unreachable);
  }

  /** Finds out again what is unreachable. Where no code ran, nothing can have changed. */
  private handleResurrected(unreachable: number, still: number, old: number): void {
    const { lists } = this;
    if (!this.ranCode && this.onStep === null) {
      lists.initHead(still);
      lists.merge(unreachable, still);
      return;
    }
    this.forEach(unreachable, (op) => this.scan.clearCollecting(op - 16));
    this.deduceUnreachable(unreachable, still, -1);
    this.scan.clearUnreachable(still);
    lists.merge(unreachable, old);
  }

  private deleteGarbage(garbage: number, old: number): void {
    const { core, lists } = this;
    while (!lists.isEmpty(garbage)) {
      const gc = lists.next(garbage);
      const op = gc + 16;
      if ((this.debug & DEBUG_SAVEALL) !== 0) this.help.saveGarbage(op);
      else {
        const ops = core.ops[core.kindOf(op)];
        if (ops.clear !== undefined) {
          core.incref(op);
          ops.clear(op);
          core.decref(op);
        }
      }
      if (lists.next(garbage) !== gc) continue;
      this.scan.clearCollecting(gc);
      lists.move(gc, old); // it may die later
    }
  }

  // reports ----------------------------------------------------------------------------------

  private logStart(generation: number): void {
    const sizes = [0, 1, 2].map((i) => this.lists.size(this.head(i)));
    this.log(`gc: collecting generation ${generation}...`);
    this.log(`gc: objects in each generation: ${sizes.join(' ')}`);
    this.log(`gc: objects in permanent generation: ${this.lists.size(this.head(PERMANENT))}`);
  }

  private logList(flag: number, what: string, head: number): void {
    if ((this.debug & flag) === 0) return;
    this.forEach(head, (op) => {
      const { name } = this.core.ops[this.core.kindOf(op)];
      this.log(`gc: ${what} <${name} 0x${op.toString(16)}>`);
    });
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
