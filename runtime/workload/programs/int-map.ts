// A map from integers to integers: filled, counted up, half of it deleted.

import { type Heap, newRandom } from '../heap.ts';

export function intMap(h: Heap, scale: number): string {
  const rnd = newRandom();
  const ints = h.map('int', 'int');
  const map = ints.make();
  const n = 100000 * scale;
  h.loop(2 * n, () => {
    const key = rnd(n);
    ints.set(map, key, ints.get(map, key) + 1);
  });
  const before = ints.size(map);
  h.loop(n / 2, (i) => {
    if (ints.has(map, 2 * i)) ints.delete(map, 2 * i);
  });
  let sum = 0;
  ints.each(map, (key, count) => {
    sum += key * count;
  });
  return `${String(before)} ${String(ints.size(map))} ${String(sum)}`;
}
