// A million integers, appended one by one, and their sum.

import { type Heap, newRandom } from '../heap.ts';

export function intList(h: Heap, scale: number): string {
  const rnd = newRandom();
  const ints = h.list('int');
  const xs = ints.make();
  h.loop(1000000 * scale, () => {
    ints.push(xs, rnd(1 << 24));
  });
  let sum = 0;
  ints.each(xs, (x) => {
    sum += x;
  });
  return `${String(ints.length(xs))} ${String(sum)}`;
}
