// Go strings: a header of pointer and length; the bytes are in the program's data for literals, in
// the heap for what is computed, and shared by a string and its slices.
//
// Not modelled: the buffer of 32 bytes on the stack that short strings that do not escape use.
// Source: Go 1.26 src/runtime/string.go, src/strings (Builder, Join, Fields), src/strconv (Itoa).

import { NO_POINTERS } from '../go/types.ts';
import { ALLOC_NS, BYTE_NS } from './go-clock.ts';
import { GoList, type GoParts } from './go-lists.ts';
import type { Builder, ListType, Ref } from './heap.ts';

const LITERAL_BYTES = 16384;
/** strconv keeps the digits of small numbers ready. */
const SMALL = 100;

export class GoStrings {
  private readonly parts: GoParts;
  private readonly literals = new Map<string, number>();
  private readonly data: number;
  private used = 0;

  constructor(parts: GoParts) {
    this.parts = parts;
    // Behind the global variables: part of the image, touched when it is read.
    this.data = parts.go.globalsBase + 32768;
  }

  header(at: number, length: number): Ref {
    const { locals, go } = this.parts;
    const ref = locals.take(16);
    go.mem.store64(ref, at);
    go.mem.store64(ref + 8, length);
    return ref;
  }

  literal(text: string): Ref {
    let at = this.literals.get(text);
    if (at === undefined) {
      if (this.used + text.length > LITERAL_BYTES) return this.make(text);
      at = this.data + this.used;
      this.used += text.length;
      this.write(at, text);
      this.literals.set(text, at);
    }
    return this.header(at, text.length);
  }

  /** A string in the heap; none for an empty one. */
  make(text: string): Ref {
    if (text === '') return this.header(0, 0);
    const { clock, go } = this.parts;
    const raw = toUtf8(text);
    clock.run(ALLOC_NS + raw.length * BYTE_NS * 4);
    const at = go.new(raw.length, NO_POINTERS);
    const ref = this.header(at, raw.length);
    this.write(at, raw);
    return ref;
  }

  /** Writes bytes, a character each. */
  write(at: number, text: string): void {
    const { mem } = this.parts.go;
    for (let i = 0; i < text.length;) {
      const to = mem.touch(at + i, true) * 4 + ((at + i) & 3);
      const n = Math.min(text.length - i, 4096 - ((at + i) & 4095));
      for (let k = 0; k < n; k++) mem.bytes[to + k] = text.charCodeAt(i + k);
      i += n;
    }
  }

  text(s: Ref): string {
    const { mem } = this.parts.go;
    return fromUtf8(readText(mem, mem.load64(s), mem.load64(s + 8)));
  }

  concat(a: Ref, b: Ref): Ref {
    return this.make(this.text(a) + this.text(b));
  }
  digits(n: number): Ref {
    const text = String(n);
    return n >= 0 && n < SMALL ? this.literal(text) : this.make(text);
  }
  slice(s: Ref, from: number, to: number): Ref {
    const { mem } = this.parts.go;
    return this.header(mem.load64(s) + from, to - from);
  }

  join(type: ListType, list: Ref, separator: string): Ref {
    const parts: string[] = [];
    type.each(list, (s) => {
      parts.push(this.text(s));
    });
    return this.make(parts.join(separator));
  }

  words(type: ListType, text: Ref): Ref {
    const found = [...this.text(text).matchAll(/\S+/g)];
    return this.parted(
      type,
      text,
      found.map((m) => [m.index, m[0].length]),
    );
  }

  split(type: ListType, text: Ref, separator: string): Ref {
    let at = 0;
    const found = this.text(text)
      .split(separator)
      .map((part): [number, number] => {
        const from = at;
        at += part.length + separator.length;
        return [from, part.length];
      });
    return this.parted(type, text, found);
  }

  /** A list of parts of a text, by place and length; they share its bytes. */
  private parted(type: ListType, text: Ref, found: readonly (readonly [number, number])[]): Ref {
    const list = type.filled(found.length);
    found.forEach(([from, length], i) => {
      this.parts.scope(() => {
        type.set(list, i, this.slice(text, from, from + length));
      });
    });
    return list;
  }
}

/** strings.Builder: a byte slice that grows as by append(), and becomes the string itself. */
export class GoBuilder implements Builder {
  private readonly strings: GoStrings;
  private readonly bytes: GoList;
  private readonly list: Ref;

  constructor(parts: GoParts, strings: GoStrings) {
    this.strings = strings;
    this.bytes = new GoList(parts, 'byte');
    this.list = this.bytes.make();
  }

  write(s: Ref): void {
    const text = toUtf8(this.strings.text(s));
    if (text !== '') this.strings.write(this.bytes.more(this.list, text.length), text);
  }

  done(): Ref {
    const length = this.bytes.length(this.list);
    return this.strings.header(this.bytes.arrayOf(this.list), length);
  }
}

const BEYOND_ASCII = /[^\0-\x7f]/;

/** The bytes of a text in UTF-8, a character each. */
function toUtf8(text: string): string {
  if (!BEYOND_ASCII.test(text)) return text;
  return encodeURIComponent(text).replace(/%(..)/g, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
}
function fromUtf8(bytes: string): string {
  if (!BEYOND_ASCII.test(bytes)) return bytes;
  const hex = (c: string): string => `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`;
  return decodeURIComponent(bytes.replace(/[^\0-\x7f]|%/g, hex));
}

/** `length` bytes as Latin-1 text. */
export function readText(
  mem: { bytes: Uint8Array; touch(va: number, write: boolean): number },
  at: number,
  length: number,
): string {
  let text = '';
  for (let i = 0; i < length;) {
    const from = mem.touch(at + i, false) * 4 + ((at + i) & 3);
    const n = Math.min(length - i, 4096 - ((at + i) & 4095));
    text += String.fromCharCode(...mem.bytes.subarray(from, from + n));
    i += n;
  }
  return text;
}
