// Complete binary trees: one that stays, and forty smaller ones that come and go.

import type { Heap, Ref } from '../heap.ts';

export function binaryTrees(h: Heap, scale: number): string {
  const node = h.record('Node', { left: 'ref', right: 'ref' });
  const { left, right } = node.fields;

  const build = (depth: number): Ref =>
    h.call(() => {
      if (depth === 0) return node.make(0, 0);
      const l = build(depth - 1);
      return node.make(l, build(depth - 1));
    });
  const check = (tree: Ref): number =>
    h.scope(() => {
      const l = left.get(tree);
      return l === 0 ? 1 : 1 + check(l) + check(right.get(tree));
    });

  const less = Math.round(-Math.log2(scale));
  const long = build(16 - less);
  h.mark('built');
  let total = 0;
  h.loop(40, () => {
    total += check(build(14 - less));
  });
  return `${String(total)} ${String(check(long))}`;
}
