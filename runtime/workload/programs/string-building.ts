// Strings: concatenation, joining, formatting, slicing, replacing, encoding.

import type { Heap, Ref } from '../heap.ts';

export function stringBuilding(h: Heap, scale: number): string {
  const strings = h.list('string');
  const rowsType = h.list(strings);
  const buffers = h.list('ref');
  let total = 0;
  const grown = h.local('string', h.string(''));
  h.loop(12000 * scale, (i) => {
    grown.set(h.concat(grown.get(), i % 7 === 0 ? h.digits(i) : h.string('x')));
    if (i % 500 !== 499) return;
    const n = h.size(grown.get());
    total += n;
    grown.set(h.slice(grown.get(), Math.floor(n / 2), n));
  });
  const rows = strings.make();
  h.loop(8000 * scale, (i) => {
    const square = (i * i).toString().replace(/\B(?=(\d{3})+$)/g, ',');
    strings.push(
      rows,
      h.computed(`${String(i).padStart(5, '0')}|${'ab'.repeat(i % 30)}|${square}`),
    );
  });
  const table = h.local('string', h.join(strings, rows, '\n'));
  h.loop(40, (i) => {
    const at = `ab${String(i)}`;
    const text = h.text(table.get());
    if (text.includes(at)) table.set(h.computed(text.replaceAll(at, 'c')));
    let left = 50;
    const marked = h.text(table.get());
    if (i % 2 === 1)
      table.set(h.computed(marked.replace(/\|/g, (bar) => (left-- > 0 ? ';' : bar))));
  });
  const fields = rowsType.make();
  const lines = h.split(strings, table.get(), '\n');
  strings.each(lines, (row) => {
    rowsType.push(fields, h.split(strings, row, '|'));
  });
  h.drop(lines);
  const joined = strings.make();
  let joinedSize = 0;
  rowsType.each(fields, (row) => {
    const parts = Array.from({ length: strings.length(row) }, (_, i) =>
      h.scope(() => h.text(strings.get(row, i))),
    );
    const text = parts.reverse().join('/');
    joinedSize += text.length;
    strings.push(joined, h.computed(text));
  });
  const accents = strings.make();
  h.loop(Math.min(5000 * scale, strings.length(joined)), (i) => {
    const text = h.text(strings.get(joined, i)).replaceAll('a', 'é').replaceAll('b', 'ж');
    strings.push(accents, h.computed(text + String.fromCodePoint(0x1f600 + (i % 50))));
  });
  const encoded = buffers.make();
  const lengths: number[] = [];
  const back = strings.make();
  strings.each(accents, (s) => {
    const length = utf8Bytes(h.text(s));
    lengths.push(length);
    const bytes = h.buffer(length);
    h.fill(bytes, 0, length, 0x61);
    buffers.push(encoded, bytes);
  });
  strings.each(accents, (s) => {
    strings.push(back, h.computed(h.text(s)));
  });
  const pieces = strings.make();
  strings.each(back, (s) => {
    const characters = Array.from(h.text(s));
    for (let k = 0; k < characters.length; k += 9)
      h.scope(() => {
        strings.push(pieces, h.computed(characters.slice(k, k + 9).join('')));
      });
  });
  const buffer = h.byteQueue();
  for (const length of lengths) {
    buffer.write(length);
    if (buffer.length() > 20000) buffer.drop(15000);
  }
  const unique = h.set('string');
  const found = unique.make();
  let most = '';
  strings.each(pieces, (p) => {
    const text = h.text(p);
    if (isAfter(text, most)) most = text;
    unique.add(found, upper(h, p, text.trim().toUpperCase()));
  });
  const sizes = [total, Array.from(h.text(table.get())).length, strings.length(pieces)];
  h.print([...sizes, unique.size(found), buffer.length()].join(' '));
  const grouped = joinedSize.toString().replace(/\B(?=(\d{3})+$)/g, ',');
  return `${grouped} ${`'${most}'`.slice(0, 20)}`;
}

/** Another string where the text is another. */
function upper(h: Heap, s: Ref, text: string): Ref {
  return text === h.text(s) ? s : h.computed(text);
}

function utf8Bytes(text: string): number {
  let bytes = 0;
  for (const c of text) {
    const code = c.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

/** Whether a comes after b by code points. */
function isAfter(a: string, b: string): boolean {
  const [x, y] = [Array.from(a), Array.from(b)];
  for (let i = 0; i < x.length && i < y.length; i++)
    if (x[i] !== y[i]) return (x[i].codePointAt(0) ?? 0) > (y[i].codePointAt(0) ?? 0);
  return x.length > y.length;
}
