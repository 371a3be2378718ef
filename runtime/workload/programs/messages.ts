// Two stages that each make one message of another, each a task of its own: goroutines with
// channels, generators.

import { type Heap, newRandom, type Ref } from '../heap.ts';

const ROOM = 64;

export function messages(h: Heap, scale: number): string {
  const rnd = newRandom();
  const message = h.record('Message', { id: 'int', body: 'string' });
  const { id, body } = message.fields;
  const stream = h.stream('ref', ROOM);
  const produce = (count: number): Ref =>
    stream.make(() => {
      let i = 0;
      return () => (i < count ? message.make(i++, h.digits(rnd(1000000))) : undefined);
    });
  const decorate = (source: Ref): Ref =>
    stream.make(() => () => {
      const m = stream.next(source);
      if (m === undefined) return undefined;
      return message.make(id.get(m), h.concat(body.get(m), h.string('!')));
    });
  const refs = h.list('ref');
  const kept = refs.make();
  let [count, bytes] = [0, 0];
  stream.each(decorate(produce(200000 * scale)), (m) => {
    count++;
    bytes += h.size(body.get(m));
    if (id.get(m) % 4 === 0) refs.push(kept, m);
  });
  return `${String(count)} ${String(bytes)} ${String(refs.length(kept))}`;
}
