// Closures that count: each has a variable of its own, which it changes, and a step.

import { type Heap, newRandom } from '../heap.ts';

export function closures(h: Heap, scale: number): string {
  const rnd = newRandom();
  const counter = h.closure({ n: 'int', step: 'int' }, ['n']);
  const { n, step } = counter.captured;
  const refs = h.list('ref');
  const counters = refs.make();
  h.loop(100000 * scale, () => {
    const start = rnd(100000);
    refs.push(counters, counter.make(start, rnd(10)));
  });
  let sum = 0;
  for (let round = 0; round < 3; round++)
    refs.each(counters, (c) => {
      n.set(c, n.get(c) + step.get(c));
      sum += n.get(c);
    });
  return `${String(refs.length(counters))} ${String(sum)}`;
}
