// Words of a generated text of two million characters, counted in a map.

import { type Heap, newRandom, type Ref } from '../heap.ts';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

export function wordCount(h: Heap, scale: number): string {
  const rnd = newRandom();
  const strings = h.list('string');
  const counts = h.map('string', 'int');

  const generate = (size: number): Ref =>
    h.call(() => {
      const vocabulary = strings.make();
      h.loop(5000, () => {
        const letters = strings.make();
        h.loop(2 + rnd(9), () => {
          const at = rnd(26);
          strings.push(letters, h.slice(h.string(LETTERS), at, at + 1));
        });
        strings.push(vocabulary, h.join(strings, letters, ''));
      });
      const words = strings.make();
      for (let length = 0; length < size;) {
        h.scope(() => {
          const w = strings.get(vocabulary, rnd(rnd(5000) + 1));
          strings.push(words, w);
          length += h.size(w) + 1;
        });
      }
      return h.join(strings, words, ' ');
    });

  const text = generate(2000000 * scale);
  const words = h.words(strings, text);
  const found = counts.make();
  strings.each(words, (w) => {
    counts.set(found, w, counts.get(found, w) + 1);
  });
  let top = '';
  let most = 0;
  counts.each(found, (w, n) => {
    const word = h.text(w);
    if (n > most || (n === most && word < top)) [top, most] = [word, n];
  });
  const sizes = [h.size(text), strings.length(words), counts.size(found)];
  return `${sizes.join(' ')} ${top} ${String(most)}`;
}
