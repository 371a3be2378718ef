// Strings: numbers as text, glued together, cut, compared.

import { type Heap, newRandom } from '../heap.ts';

export function strings(h: Heap, scale: number): string {
  const rnd = newRandom();
  const list = h.list('string');
  const all = list.make();
  h.loop(60000 * scale, (i) => {
    const line = h.concat(h.concat(h.digits(i), h.string(':')), h.digits(rnd(1000000)));
    list.push(all, line);
  });
  const heads = list.make();
  let bytes = 0;
  list.each(all, (s) => {
    bytes += h.size(s);
    if (h.size(s) % 2 === 0) list.push(heads, h.slice(s, 0, h.size(s) / 2));
  });
  const text = h.join(list, heads, ',');
  const tail = h.slice(text, h.size(text) - 9, h.size(text));
  return `${String(bytes)} ${String(h.size(text))} ${h.text(tail)}`;
}
