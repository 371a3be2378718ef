// Strings gathered by a number, in a map of lists; then a map of maps over the groups.

import { type Heap, newRandom } from '../heap.ts';

export function groups(h: Heap, scale: number): string {
  const rnd = newRandom();
  const strings = h.list('string');
  const lists = h.map('int', strings);
  const sizes = h.map('int', 'int');
  const names = h.map('string', sizes);
  const all = lists.make();
  h.loop(120000 * scale, (i) => {
    const key = rnd(8000);
    const isNew = !lists.has(all, key);
    const list = isNew ? strings.make() : lists.get(all, key);
    // In Go the map holds the slice's header, which append() changes: it is stored again.
    if (isNew && h.runtime === 'python') lists.set(all, key, list);
    strings.push(list, h.concat(h.string('item'), h.digits(i)));
    if (h.runtime === 'go') lists.set(all, key, list);
  });
  const index = names.make();
  lists.each(all, (key, list) => {
    const name = h.concat(h.string('g'), h.digits(key % 100));
    if (!names.has(index, name)) names.set(index, name, sizes.make());
    sizes.set(names.get(index, name), key, strings.length(list));
  });
  let [longest, total] = [0, 0];
  names.each(index, (_, group) => {
    sizes.each(group, (__, n) => {
      total += n;
      longest = Math.max(longest, n);
    });
  });
  return [lists.size(all), names.size(index), longest, total].join(' ');
}
