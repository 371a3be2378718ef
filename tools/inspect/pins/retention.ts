// Who keeps an object alive: a walk over a heap from its roots, each object with the one that it
// was first reached from. So the way back from an object to a root is a shortest one.
//
//     root "main's variable 3" → list of 100 items → dict of 4 entries → str "name"
//
// Nothing is marked in the heap: what was met is kept aside.

/** A heap as a graph of objects, named by their addresses. */
export interface HeapGraph {
  /** Visits each root: what it is, and the object that it holds. Those of a name come together. */
  roots(visit: (root: string, object: number) => void): void;
  references(object: number, visit: (to: number) => void): void;
  /** `list of 100 items`. */
  describe(object: number): string;
}

export interface Retention {
  /** The object that holds this one; 0 where a root does. Objects that nothing holds are absent. */
  readonly holder: ReadonlyMap<number, number>;
  /** The root of an object that a root holds directly. */
  readonly rootOf: ReadonlyMap<number, string>;
}

/** Walks the heap. O(objects and references). @param without a root that is left out */
export function retention(graph: HeapGraph, without?: string): Retention {
  const holder = new Map<number, number>();
  const rootOf = new Map<number, string>();
  const queue: number[] = [];
  graph.roots((root, object) => {
    if (root === without || holder.has(object)) return;
    holder.set(object, 0);
    rootOf.set(object, root);
    queue.push(object);
  });
  for (let i = 0; i < queue.length; i++) {
    const from = queue[i] ?? 0;
    graph.references(from, (to) => {
      if (holder.has(to)) return;
      holder.set(to, from);
      queue.push(to);
    });
  }
  return { holder, rootOf };
}

/** The root that an object hangs on; undefined for none. */
export function rootOf(found: Retention, object: number): string | undefined {
  let at = object;
  for (let up = found.holder.get(at); up !== undefined && up !== 0; up = found.holder.get(at))
    at = up;
  return found.rootOf.get(at);
}

/** Steps of a path that are shown: its first and its last ones. */
const SHOWN = 4;

/** From the root down to the object; empty where nothing holds it. */
export function pathTo(graph: HeapGraph, found: Retention, object: number): string[] {
  const chain: number[] = [];
  for (let at: number | undefined = object; at !== undefined && at !== 0; at = found.holder.get(at))
    chain.push(at);
  const root = found.rootOf.get(chain.at(-1) ?? 0);
  if (root === undefined) return [];
  chain.reverse();
  const path = [root];
  chain.forEach((at, i) => {
    const left = chain.length - i;
    if (chain.length <= 2 * SHOWN || i < SHOWN || left <= SHOWN) path.push(graph.describe(at));
    else if (i === SHOWN) path.push(`… ${chain.length - 2 * SHOWN} more …`);
  });
  return path;
}
