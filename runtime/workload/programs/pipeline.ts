// Three stages, each with a queue of bounded length before it: make, change, collect. Each stage
// takes its turn, as tasks on one processor do.

import { type Heap, newRandom, type Ref } from '../heap.ts';

const QUEUE = 64;

export function pipeline(h: Heap, scale: number): string {
  const rnd = newRandom();
  const message = h.record('Message', { id: 'int', weight: 'float', body: 'string' });
  const { id, weight, body } = message.fields;
  const refs = h.list('ref');
  const queue = h.record('Queue', { slots: refs, head: 'int', count: 'int' });
  const { slots, head, count } = queue.fields;
  const put = (q: Ref, m: Ref): void => {
    h.scope(() => {
      refs.set(slots.get(q), (head.get(q) + count.get(q)) % QUEUE, m);
      count.set(q, count.get(q) + 1);
    });
  };
  const take = (q: Ref): Ref =>
    h.call(() => {
      const list = slots.get(q);
      const m = refs.get(list, head.get(q));
      refs.set(list, head.get(q), 0);
      head.set(q, (head.get(q) + 1) % QUEUE);
      count.set(q, count.get(q) - 1);
      return m;
    });
  const first = queue.make(refs.filled(QUEUE), 0, 0);
  const second = queue.make(refs.filled(QUEUE), 0, 0);
  const total = 40000 * scale;
  let [made, done, bytes, sum] = [0, 0, 0, 0];
  while (done < total) {
    while (made < total && count.get(first) < QUEUE)
      h.scope(() => {
        put(first, message.make(made, rnd(1000) / 4, h.digits(made++)));
      });
    while (count.get(first) > 0 && count.get(second) < QUEUE)
      h.scope(() => {
        const m = take(first);
        const text = h.concat(body.get(m), h.string('!'));
        put(second, message.make(id.get(m), weight.get(m) * 2, text));
      });
    while (count.get(second) > 0)
      h.scope(() => {
        const m = take(second);
        bytes += h.size(body.get(m));
        sum += weight.get(m);
        done++;
      });
  }
  return `${String(done)} ${String(bytes)} ${sum.toFixed(2)}`;
}
