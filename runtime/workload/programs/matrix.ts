// Two matrices of floats, as lists of rows, and their product.

import { type Heap, newRandom, type Ref } from '../heap.ts';

export function matrix(h: Heap, scale: number): string {
  const rnd = newRandom();
  const n = Math.max(4, Math.round(72 * Math.cbrt(scale)));
  const floats = h.list('float');
  const row = h.record('Row', { items: floats });
  const { items } = row.fields;
  const rows = h.list('ref');
  const make = (value: () => number): Ref =>
    h.call(() => {
      const m = rows.make(n);
      h.loop(n, () => {
        const r = row.make(floats.make(n));
        const list = items.get(r);
        for (let j = 0; j < n; j++) floats.push(list, value());
        rows.push(m, r);
      });
      return m;
    });
  const a = make(() => rnd(1000) / 8);
  const b = make(() => rnd(1000) / 8);
  const c = make(() => 0);
  h.loop(n, (i) => {
    const left = items.get(rows.get(a, i));
    const out = items.get(rows.get(c, i));
    h.loop(n, (k) => {
      const right = items.get(rows.get(b, k));
      const x = floats.get(left, k);
      for (let j = 0; j < n; j++) floats.set(out, j, floats.get(out, j) + x * floats.get(right, j));
    });
  });
  let trace = 0;
  h.loop(n, (i) => {
    trace += floats.get(items.get(rows.get(c, i)), i);
  });
  return `${String(n)} ${trace.toFixed(3)}`;
}
