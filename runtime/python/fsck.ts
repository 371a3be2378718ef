// Proves a Python heap sound: a shadow graph of all references beside the counts in the objects.
//
//   1. From the roots and from every object that the collector tracks, all objects that can be
//      reached are visited, and each reference is counted where it leads to.
//   2. What is counted must be what ob_refcnt says; an object with fewer references than its count
//      leaks, one with more will be freed while somebody still refers to it.
//   3. No object that was visited lies in a free block of a pool, and none twice in one block.
//
// Objects of the data section and those that the caller pins (literals) have counts of their own.

import { assert } from '../../kernel/errors.ts';
import {
  KIND_DICT,
  KIND_INSTANCE,
  KIND_LIST,
  KIND_SET,
  KIND_TUPLE,
  KIND_WEAKREF,
} from './kinds.ts';
import type { PythonRuntime } from './runtime.ts';

/** Calls visit for every reference that an object owns, untracked ones and keys included. */
export function forEachReference(py: PythonRuntime, op: number, visit: (to: number) => void): void {
  switch (py.core.kindOf(op)) {
    case KIND_LIST:
      for (let i = py.lists.length(op) - 1; i >= 0; i--) visit(py.lists.item(op, i));
      return;
    case KIND_TUPLE:
      for (let i = py.tuples.length(op) - 1; i >= 0; i--) visit(py.tuples.item(op, i));
      return;
    case KIND_DICT: {
      // The keys of a shared table belong to the table.
      const isShared = py.dicts.isSplit(op);
      py.dicts.forEach(op, (key, value) => {
        if (!isShared) visit(key);
        visit(value);
      });
      return;
    }
    case KIND_SET:
      py.sets.forEach(op, visit);
      return;
    case KIND_WEAKREF: {
      const callback = py.weakrefs.callbackOf(op);
      if (callback !== 0) visit(callback);
      return;
    }
    case KIND_INSTANCE:
      py.instances.forEachMember(op, visit);
      return;
    default:
      py.core.ops[py.core.kindOf(op)].traverse?.(op, {
        visit: (lo, hi) => visit(hi * 4294967296 + (lo >>> 0)),
        visitRow: () => undefined,
      });
  }
}

/**
 * Throws KernelBug where a count is not the number of references, or a reachable object was freed.
 * @param roots references that the program holds, one entry each.
 * @param pinned objects with references that are not listed.
 * @returns the number of objects visited.
 */
export function checkReferences(
  py: PythonRuntime,
  roots: readonly number[],
  pinned: ReadonlySet<number>,
): number {
  const found = new Map<number, number>();
  const todo: number[] = [];
  const refer = (op: number): void => {
    const n = found.get(op);
    if (n === undefined) todo.push(op);
    found.set(op, (n ?? 0) + 1);
  };
  const meet = (op: number): void => {
    if (found.has(op)) return;
    found.set(op, 0);
    todo.push(op);
  };
  for (const op of roots) refer(op);
  if (py.garbage !== 0) refer(py.garbage);
  py.frames.forEachRoot(refer);
  for (let generation = 0; generation <= 3; generation++)
    py.gc.forEach(py.gc.head(generation), meet);
  py.instances.classes.forEachName(refer);
  for (let op = todo.pop(); op !== undefined; op = todo.pop()) forEachReference(py, op, refer);
  const free = freeBlocks(py);
  for (const [op, references] of found) {
    if (py.isShared(op)) continue;
    assert(!free.has(op), `object 0x${op.toString(16)} is reachable and was freed`);
    if (pinned.has(op) || py.core.isImmortal(op)) continue;
    const count = py.core.refcount(op);
    const what = py.core.ops[py.core.kindOf(op)].name;
    assert(
      count === references,
      `${what} 0x${op.toString(16)}: count ${count}, but ${references} references`,
    );
  }
  return found.size;
}

/** Where objects would begin in blocks that are free: at the block, or behind what precedes it. */
function freeBlocks(py: PythonRuntime): Set<number> {
  const free = new Set<number>();
  py.obmalloc.forEachPool((pool) => {
    for (let block = py.mem.load64(pool + 8); block !== 0; block = py.mem.load64(block)) {
      free.add(block);
      for (let presize = 16; presize <= 32; presize += 16) {
        if (py.obmalloc.blockOf(block + presize) === block) free.add(block + presize);
      }
    }
  });
  return free;
}
