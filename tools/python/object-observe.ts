// What an object script asks of an object or of the collector, without changing either.

import { KIND_WEAKREF, type PythonRuntime } from '../../runtime/index.ts';
import type { Observation } from './object-ast.ts';
import { PyError } from './object-ops.ts';

/** The answer to an observation of one object, as the format gives it. */
export function observe(py: PythonRuntime, what: Exclude<Observation, 'len'>, op: number): unknown {
  const { core, gc } = py;
  switch (what) {
    case 'refcount':
      return py.isShared(op) ? 'shared' : core.refcount(op);
    case 'sizeof':
      return py.sizeof(op);
    case 'tracked':
      return core.isGc(op) && gc.isTracked(op);
    case 'generation': {
      const generation = core.isGc(op) ? gc.generationOf(op) : -1;
      return generation < 0 ? null : generation === 3 ? 'permanent' : generation;
    }
    case 'alive':
      if (core.kindOf(op) !== KIND_WEAKREF) throw new PyError('TypeError');
      return py.weakrefs.isAlive(op);
  }
}

/** The collector's figures, and of 3.11 the free lists. */
export function collectorStats(py: PythonRuntime): object {
  const { gc } = py;
  const generations = gc.stats.map((s, i) => ({
    objects: gc.lists.size(gc.head(i)),
    collections: s.collections,
    collected: s.collected,
    uncollectable: s.uncollectable,
  }));
  const stats = {
    threshold: [0, 1, 2].map((i) => gc.threshold(i)),
    enabled: gc.enabled,
    generations,
    frozen: gc.lists.size(gc.head(3)),
    long_lived_total: gc.longLivedTotal,
    long_lived_pending: gc.longLivedPending,
  };
  return py.profile.name === '3.11' ? { ...stats, free_lists: py.freeLists() } : stats;
}
