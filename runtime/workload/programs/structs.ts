// Records of six fields in a list: made, changed, filtered, summed up.

import { type Heap, newRandom } from '../heap.ts';

export function structs(h: Heap, scale: number): string {
  const rnd = newRandom();
  const record = h.record('Record', {
    id: 'int',
    quantity: 'int',
    name: 'string',
    x: 'float',
    y: 'float',
    active: 'bool',
  });
  const { id, quantity, name, x, y, active } = record.fields;
  const list = h.list(record);
  const records = list.make();
  h.loop(200000 * scale, (i) => {
    const q = rnd(1000);
    const text = h.concat(h.string('item'), h.digits(i));
    list.add(records, i, q, text, rnd(1000) * 0.5, 0.25, 1);
  });
  h.mark('built');
  list.each(records, (r) => {
    quantity.set(r, quantity.get(r) + rnd(100000));
    x.set(r, x.get(r) + 1.5);
    y.set(r, y.get(r) * x.get(r));
    active.set(r, quantity.get(r) % 5 !== 0 ? 1 : 0);
  });
  const kept = list.make();
  list.each(records, (r) => {
    if (id.get(r) % 3 !== 0) list.push(kept, r);
  });
  h.drop(records);
  let [total, count, sum] = [0, 0, 0];
  list.each(kept, (r) => {
    total += quantity.get(r);
    sum += y.get(r);
    if (active.get(r) !== 0) count++;
  });
  const n = list.length(kept);
  const last = h.scope(() => h.text(name.get(list.get(kept, n - 1))));
  return `${String(n)} ${String(total)} ${String(count)} ${sum.toFixed(3)} ${last}`;
}
