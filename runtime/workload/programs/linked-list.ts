// A singly linked list: pushed in front, turned round in place, every third node taken out.

import { type Heap, newRandom, type Ref } from '../heap.ts';

export function linkedList(h: Heap, scale: number): string {
  const rnd = newRandom();
  const node = h.record('Node', { value: 'int', next: 'ref' });
  const { value, next } = node.fields;
  const holder = h.record('Holder', { head: 'ref' });
  const { head } = holder.fields;
  const list = holder.make(0);
  h.loop(200000 * scale, () => {
    head.set(list, node.make(rnd(1000000), head.get(list)));
  });
  /** Calls visit for each node, holding one at a time. */
  const walk = (visit: (at: Ref, i: number) => void): void => {
    const cursor = holder.make(head.get(list));
    for (let i = 0; ; i++) {
      const more = h.scope(() => {
        const at = head.get(cursor);
        if (at === 0) return false;
        head.set(cursor, next.get(at));
        visit(at, i);
        return true;
      });
      if (!more) return;
    }
  };
  const turned = holder.make(0);
  walk((at) => {
    next.set(at, head.get(turned));
    head.set(turned, at);
  });
  head.set(list, head.get(turned));
  head.set(turned, 0);
  walk((at, i) => {
    const after = next.get(at);
    if (i % 2 === 1 && after !== 0) next.set(at, next.get(after));
  });
  let [count, sum] = [0, 0];
  walk((at) => {
    count++;
    sum += value.get(at);
  });
  return `${String(count)} ${String(sum)}`;
}
