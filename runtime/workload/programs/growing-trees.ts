// Complete binary trees of growing depth, built, walked and dropped while one long-lived tree
// stays. Python's nodes have __slots__.

import type { Heap, Ref } from '../heap.ts';

export function growingTrees(h: Heap, scale: number): string {
  const node = h.record('Node', { left: 'ref', right: 'ref' }, { slots: true });
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

  const top = 14 + Math.round(Math.log2(scale));
  const stretch = build(top + 1);
  h.print(`stretch ${String(check(stretch))}`);
  h.drop(stretch);
  const longLived = build(top);
  for (let depth = 4; depth <= top; depth += 4) {
    const rounds = 2 ** (top - depth + 2);
    let total = 0;
    h.loop(rounds, () => {
      total += check(build(depth));
    });
    h.print(`${String(depth)} ${String(rounds)} ${String(total)}`);
  }
  return `long lived ${String(check(longLived))}`;
}
