// A cache of bounded size: a map, and a ring of entries from the newest to the oldest.

import { type Heap, newRandom, type Ref } from '../heap.ts';

const CAPACITY = 2000;

export function lruCache(h: Heap, scale: number): string {
  const rnd = newRandom();
  const entry = h.record('Entry', { key: 'int', value: 'string', prev: 'ref', next: 'ref' });
  const { key, value, prev, next } = entry.fields;
  const entries = h.map('int', 'ref');
  const map = entries.make();
  const ring = entry.make(-1, h.string(''), 0, 0);
  prev.set(ring, ring);
  next.set(ring, ring);
  const unlink = (e: Ref): void => {
    h.scope(() => {
      const [before, after] = [prev.get(e), next.get(e)];
      next.set(before, after);
      prev.set(after, before);
    });
  };
  const putFirst = (e: Ref): void => {
    h.scope(() => {
      const first = next.get(ring);
      prev.set(e, ring);
      next.set(e, first);
      next.set(ring, e);
      prev.set(first, e);
    });
  };
  let [hits, bytes] = [0, 0];
  h.loop(60000 * scale, () => {
    const wanted = rnd(rnd(8000) + 1);
    const e = entries.get(map, wanted);
    if (e !== 0) {
      hits++;
      bytes += h.size(value.get(e));
      unlink(e);
      putFirst(e);
      return;
    }
    if (entries.size(map) === CAPACITY) {
      const oldest = prev.get(ring);
      unlink(oldest);
      entries.delete(map, key.get(oldest));
      prev.set(oldest, 0);
      next.set(oldest, 0);
    }
    const made = entry.make(wanted, h.concat(h.string('value '), h.digits(wanted)), 0, 0);
    entries.set(map, wanted, made);
    putFirst(made);
  });
  return `${String(hits)} ${String(entries.size(map))} ${String(bytes)}`;
}
