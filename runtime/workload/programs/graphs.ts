// Graphs whose nodes point to each other in cycles: built, walked from the first, and dropped
// whole. Reference counts alone never free one.

import { type Heap, newRandom } from '../heap.ts';

const NODES = 1000;
const EDGES = 4;

export function graphs(h: Heap, scale: number): string {
  const rnd = newRandom();
  const refs = h.list('ref');
  const node = h.record('Node', { id: 'int', seen: 'bool', edges: refs });
  const { id, seen, edges } = node.fields;
  let [reached, sum] = [0, 0];
  h.loop(60 * scale, () => {
    const nodes = refs.make();
    h.loop(NODES, (i) => {
      refs.push(nodes, node.make(i, 0, refs.make(EDGES)));
    });
    refs.each(nodes, (from) => {
      const to = edges.get(from);
      h.loop(EDGES, () => {
        refs.push(to, refs.get(nodes, rnd(NODES)));
      });
    });
    const work = refs.make();
    refs.push(work, refs.get(nodes, 0));
    while (refs.length(work) > 0) {
      h.scope(() => {
        const at = refs.pop(work);
        if (seen.get(at) !== 0) return;
        seen.set(at, 1);
        reached++;
        sum += id.get(at);
        refs.each(edges.get(at), (next) => {
          if (seen.get(next) === 0) refs.push(work, next);
        });
      });
    }
  });
  return `${String(reached)} ${String(sum)}`;
}
