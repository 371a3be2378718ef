// One collection, step by step: what gc.ts tells, from the counts in the heads to tp_clear.
//
// It is a generator: between two steps, and after each object where the program's code may run,
// whoever drives it can stop and look at the bytes. From `copy` to `sort` gc_refs stand in the
// heads of the generation's objects. Driven to its end at once it is an ordinary collection.
//
// Source: CPython 3.11 Modules/gcmodule.c gc_collect_main(), deduce_unreachable(),
// handle_weakrefs(), finalize_garbage(), handle_resurrected_objects(), delete_garbage().

import { DEBUG_COLLECTABLE, DEBUG_SAVEALL, DEBUG_STATS, DEBUG_UNCOLLECTABLE } from './gc-debug.ts';
import { COLLECTING, type GcLists } from './gc-list.ts';
import type { GcScan } from './gc-scan.ts';
import { KIND_DICT, KIND_TUPLE, KIND_WEAKREF } from './kinds.ts';
import type { ObjectCore } from './object.ts';

/** What a collection found. */
export interface Collection {
  readonly generation: number;
  readonly collected: number;
  readonly uncollectable: number;
  /** gc.get_stats() counts it: the incremental collector's marking it does not. */
  readonly counted: boolean;
}

/** What a collection has just done. */
export interface GcStep {
  readonly step:
    | 'mark'
    | 'merge'
    | 'copy'
    | 'subtract'
    | 'sort'
    | 'survivors'
    | 'weakrefs'
    | 'callback'
    | 'finalizer'
    | 'resurrected'
    | 'clear'
    | 'done';
  /** The object that it was done to; 0 where it was done to the list. */
  readonly op: number;
  /** Head of the list that is looked at: the generation, or what seems unreachable. */
  readonly list: number;
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

/** What a collection sees of the collector. */
export interface Generations {
  readonly lists: GcLists;
  readonly scan: GcScan;
  readonly debug: number;
  readonly help: CollectorHelp;
  /** The list of what is to be collected, set by gather(). */
  readonly from: number;
  /** Where what survives goes; `from` itself where it stays. */
  readonly to: number;
  /** Puts together what a collection of `generation` looks at, and sets the counts.
   * @returns false if there is nothing to look at yet (the incremental collector has marked). */
  gather(generation: number): boolean;
  /** What is left of `from` goes where it belongs. */
  promote(generation: number): void;
  /** The garbage is gone. */
  finish(generation: number): void;
  isFinalized(op: number): boolean;
  setFinalized(op: number): void;
  forEach(head: number, visit: (op: number) => void): void;
  logStart(generation: number): void;
  logList(flag: number, what: string, head: number): void;
  logDone(collected: number, uncollectable: number): void;
}

/** Heads of the lists that live on C's stack. */
export const STACK_HEADS = 5;

type Steps<T> = Generator<GcStep, T, void>;

export class CollectionRun {
  private readonly core: ObjectCore;
  private readonly gc: Generations;
  private readonly lists: GcLists;
  private readonly scan: GcScan;
  private readonly unreachable: number;
  private readonly legacy: number;
  private readonly still: number;
  private readonly toCall: number;
  private readonly seen: number;
  /** Code of the program ran during this collection. */
  private ranCode = false;
  /** Somebody looks: steps are told for each object, too. */
  private isWatched = false;

  /** @param heads where the heads of STACK_HEADS lists lie. */
  constructor(core: ObjectCore, gc: Generations, heads: number) {
    this.core = core;
    this.gc = gc;
    this.lists = gc.lists;
    this.scan = gc.scan;
    this.unreachable = heads;
    this.legacy = heads + 16;
    this.still = heads + 32;
    this.toCall = heads + 48;
    this.seen = heads + 64;
  }

  /** Collects a generation. @param isWatched steps for single objects as well. */
  *run(generation: number, isWatched: boolean): Steps<Collection> {
    const { core, gc, unreachable } = this;
    this.ranCode = false;
    this.isWatched = isWatched;
    if ((gc.debug & DEBUG_STATS) !== 0) gc.logStart(generation);
    if (!gc.gather(generation)) {
      if ((gc.debug & DEBUG_STATS) !== 0) gc.logDone(0, 0);
      yield { step: 'mark', op: 0, list: gc.from };
      return { generation, collected: 0, uncollectable: 0, counted: false };
    }
    const young = gc.from;
    const old = gc.to;
    const isFull = generation === 2;
    yield { step: 'merge', op: 0, list: young };
    yield* this.deduceUnreachable(young, unreachable);
    if (core.profile.untracksTuples)
      this.scan.forKind(young, KIND_TUPLE, (op) => gc.help.maybeUntrackTuple(op));
    if (isFull && core.profile.untracksDicts)
      this.scan.forKind(young, KIND_DICT, (op) => gc.help.maybeUntrackDict(op));
    gc.promote(generation);
    yield { step: 'survivors', op: 0, list: old };
    this.moveLegacy();
    gc.logList(DEBUG_COLLECTABLE, 'collectable', unreachable);
    let collected = yield* this.handleWeakrefs(old);
    yield { step: 'weakrefs', op: 0, list: unreachable };
    yield* this.finalizeGarbage();
    yield* this.handleResurrected(old);
    collected += this.lists.size(this.still);
    yield { step: 'resurrected', op: 0, list: this.still };
    yield* this.deleteGarbage(old);
    const uncollectable = this.handleLegacy(old);
    gc.finish(generation);
    if ((gc.debug & DEBUG_STATS) !== 0) gc.logDone(collected, uncollectable);
    if (isFull) gc.help.clearFreeLists();
    yield { step: 'done', op: 0, list: old };
    return { generation, collected, uncollectable, counted: true };
  }

  private *deduceUnreachable(base: number, unreachable: number): Steps<void> {
    this.scan.updateRefs(base);
    yield { step: 'copy', op: 0, list: base };
    this.scan.subtractRefs(base);
    yield { step: 'subtract', op: 0, list: base };
    this.lists.initHead(unreachable);
    this.scan.moveUnreachable(base, unreachable);
    yield { step: 'sort', op: 0, list: unreachable };
  }

  /** Takes objects with finalizers that may run only by hand, and all they reach, out of the way:
   * none from 3.4 on. Clears the unreachable flags. */
  private moveLegacy(): void {
    const { core, legacy, lists, unreachable } = this;
    lists.initHead(legacy);
    this.scan.clearUnreachable(unreachable);
    if (core.profile.safeFinalization) return;
    this.gc.forEach(unreachable, (op) => {
      if (!this.hasFinalizer(op)) return;
      this.scan.clearCollecting(op - 16);
      lists.move(op - 16, legacy);
    });
    this.scan.reachLegacy(legacy);
  }

  private hasFinalizer(op: number): boolean {
    const { core } = this;
    return core.ops[core.kindOf(op)].hasFinalizer?.(op) === true;
  }

  private handleLegacy(old: number): number {
    const { gc, legacy } = this;
    let found = 0;
    gc.logList(DEBUG_UNCOLLECTABLE, 'uncollectable', legacy);
    gc.forEach(legacy, (op) => {
      found++;
      if ((gc.debug & DEBUG_SAVEALL) !== 0 || this.hasFinalizer(op)) gc.help.saveGarbage(op);
    });
    this.lists.merge(legacy, old);
    return found;
  }

  /** @returns the number of weak references that their callbacks' calls freed. */
  private *handleWeakrefs(old: number): Steps<number> {
    const { core, gc, lists, toCall } = this;
    lists.initHead(toCall);
    this.scan.forWeakKinds(this.unreachable, (op, kind) => {
      if (kind === KIND_WEAKREF) gc.help.clearRef(op);
      const list = core.ops[kind].weakrefs?.(op) ?? 0;
      if (list !== 0) this.clearRefs(list);
    });
    let freed = 0;
    while (!lists.isEmpty(toCall)) {
      const head = lists.next(toCall);
      this.ranCode = true;
      gc.help.callback(head + 16);
      if (this.isWatched) yield { step: 'callback', op: head + 16, list: toCall };
      core.decref(head + 16);
      if (lists.next(toCall) === head) lists.move(head, old);
      else freed++;
    }
    return freed;
  }

  /** Clears a list of weak references; calls are due for those with callbacks that are no trash. */
  private clearRefs(list: number): void {
    const { core, gc, lists } = this;
    for (let ref = core.mem.load64(list); ref !== 0; ref = core.mem.load64(list)) {
      gc.help.clearRef(ref);
      if (gc.help.callbackOf(ref) === 0) continue;
      if ((lists.flags(ref - 16) & COLLECTING) !== 0) continue;
      core.incref(ref);
      lists.move(ref - 16, this.toCall);
    }
  }

  private *finalizeGarbage(): Steps<void> {
    const { core, gc, lists, seen, unreachable } = this;
    if (!this.scan.hasFinalizers(unreachable)) return; // each would go to a list and back
    lists.initHead(seen);
    while (!lists.isEmpty(unreachable)) {
      const head = lists.next(unreachable);
      const op = head + 16;
      lists.move(head, seen);
      const ops = core.ops[core.kindOf(op)];
      if (ops.finalize === undefined || gc.isFinalized(op)) continue;
      if (ops.hasFinalizer?.(op) !== true) continue;
      gc.setFinalized(op);
      core.incref(op);
      this.ranCode = true;
      ops.finalize(op);
      if (this.isWatched) yield { step: 'finalizer', op, list: seen };
      core.decref(op);
    }
    lists.merge(seen, unreachable);
  }

  /** Finds out again what is unreachable. Where no code ran, nothing can have changed. */
  private *handleResurrected(old: number): Steps<void> {
    const { lists, still, unreachable } = this;
    if (!this.ranCode && !this.isWatched) {
      lists.initHead(still);
      lists.merge(unreachable, still);
      return;
    }
    this.gc.forEach(unreachable, (op) => this.scan.clearCollecting(op - 16));
    yield* this.deduceUnreachable(unreachable, still);
    this.scan.clearUnreachable(still);
    lists.merge(unreachable, old);
  }

  private *deleteGarbage(old: number): Steps<void> {
    const { core, gc, lists, still } = this;
    while (!lists.isEmpty(still)) {
      const head = lists.next(still);
      const op = head + 16;
      if ((gc.debug & DEBUG_SAVEALL) !== 0) gc.help.saveGarbage(op);
      else {
        const ops = core.ops[core.kindOf(op)];
        if (ops.clear !== undefined) {
          core.incref(op);
          ops.clear(op);
          core.decref(op);
        }
      }
      if (this.isWatched) yield { step: 'clear', op, list: still };
      if (lists.next(still) !== head) continue;
      this.scan.clearCollecting(head);
      lists.move(head, old); // it may die later
    }
  }
}
