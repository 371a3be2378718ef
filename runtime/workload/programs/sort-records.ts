// Objects sorted by a text, and a copy of the list by a number.

import { type Heap, newRandom, type Ref } from '../heap.ts';

export function sortRecords(h: Heap, scale: number): string {
  const rnd = newRandom();
  const person = h.record('Person', { name: 'string', age: 'int', pay: 'float' });
  const { name, age, pay } = person.fields;
  const refs = h.list('ref');
  const people = refs.make();
  h.loop(100000 * scale, () => {
    const called = h.concat(h.string('p'), h.digits(rnd(1000000)));
    refs.push(people, person.make(called, rnd(90), rnd(100000) / 4));
  });
  refs.sort(people, (p) => h.text(name.get(p)));
  const byAge = refs.copy(people);
  refs.sort(byAge, (p) => age.get(p));
  let sum = 0;
  h.scope(() => {
    refs.each(refs.slice(byAge, 0, 1000 * scale), (p) => {
      sum += pay.get(p);
    });
  });
  const first = (list: Ref): string => h.scope(() => h.text(name.get(refs.get(list, 0))));
  return `${first(people)} ${first(byAge)} ${sum.toFixed(2)}`;
}
