// A random walk: the places that were met, as a set of pairs, and numbers met besides; then text
// of it all, built piece by piece and taken apart again.

import { type Heap, newRandom } from '../heap.ts';

export function walk(h: Heap, scale: number): string {
  const rnd = newRandom();
  const place = h.tuple('int', 'int');
  const places = h.set(place);
  const numbers = h.set('int');
  const seen = places.make();
  const met = numbers.make();
  const bytes = h.bytes(4096);
  let [x, y] = [0, 0];
  h.loop(100000 * scale, () => {
    x += rnd(1000) - 500;
    y += rnd(1000) - 500;
    places.add(seen, place.make(x, y));
    const number = rnd(200000);
    numbers.add(met, number);
    h.setByte(bytes, number & 4095, number & 255);
  });
  const line = h.builder();
  places.each(seen, (p) => {
    if (!numbers.has(met, Math.abs(place.get(p, 0)))) return;
    line.write(h.digits(Math.abs(place.get(p, 1)) % 7));
    line.write(h.string(','));
  });
  const parts = h.list('string');
  const pieces = h.split(parts, line.done(), ',');
  let [sum, checked] = [0, 0];
  parts.each(pieces, (s) => {
    sum += Number(h.text(s));
  });
  for (let i = 0; i < 4096; i++) checked += h.byteAt(bytes, i);
  const sizes = [places.size(seen), numbers.size(met), parts.length(pieces)];
  return `${sizes.join(' ')} ${String(sum)} ${String(checked)}`;
}
