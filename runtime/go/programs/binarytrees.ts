// Binary trees: many short-lived complete trees beside one that lives long.

import type { GoProgram } from '../program.ts';

const NODE_BYTES = 16;

export function binarytrees(prog: GoProgram, max = 16): void {
  const node = prog.go.types.leading(NODE_BYTES, 2);

  const build = (d: number): number => {
    if (d === 0) return prog.new(NODE_BYTES, node);
    const left = prog.push(build(d - 1));
    const right = prog.push(build(d - 1));
    const at = prog.new(NODE_BYTES, node);
    prog.set(at, prog.slot(left));
    prog.set(at + 8, prog.slot(right));
    prog.pop(2);
    return at;
  };
  const count = (at: number): number => {
    prog.work(2);
    const left = prog.get(at);
    return left === 0 ? 1 : 1 + count(left) + count(prog.get(at + 8));
  };

  count(build(max + 1));
  const long = prog.push(build(max));
  for (let d = 4; d <= max; d += 4) {
    const n = 2 ** (max - d + 4);
    for (let i = 0; i < n; i++) {
      const tree = prog.push(build(d));
      count(prog.slot(tree));
      prog.pop(1);
    }
  }
  count(prog.slot(long));
}
