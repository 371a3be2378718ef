// A reader of one line of a script: takes tokens, knows its column, refuses with file:line:column.

import { InputError } from '../../kernel/errors.ts';

const suffixes: Readonly<Record<string, number>> = { K: 1024, M: 1024 ** 2, G: 1024 ** 3 };

export class Cursor {
  readonly file: string;
  readonly line: number;
  readonly text: string;
  at = 0;

  constructor(file: string, line: number, text: string) {
    this.file = file;
    this.line = line;
    this.text = text;
  }

  /** Refuses the script here. `expected` completes "expected …". */
  refuse(expected: string, at = this.at): never {
    const found =
      at >= this.text.length ? 'the end of the line' : `'${this.text.slice(at, at + 12)}'`;
    this.fail(`expected ${expected}, found ${found}`, at);
  }

  /** Refuses the script here, in words of its own. */
  fail(problem: string, at = this.at): never {
    throw new InputError(`${this.file}:${this.line}:${at + 1}`, problem);
  }

  blanks(): void {
    while (this.text[this.at] === ' ' || this.text[this.at] === '\t') this.at++;
  }

  /** Whether `token` comes next, blanks before it aside; takes it if so. */
  take(token: string): boolean {
    this.blanks();
    if (!this.text.startsWith(token, this.at)) return false;
    this.at += token.length;
    return true;
  }

  expect(token: string): void {
    if (!this.take(token)) this.refuse(`'${token}'`);
  }

  /** What a sticky pattern matches here, or null. */
  match(pattern: RegExp): RegExpExecArray | null {
    this.blanks();
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found !== null) this.at += found[0].length;
    return found;
  }

  name(what: string): string {
    return this.match(/[A-Za-z_][A-Za-z_0-9]*/y)?.[0] ?? this.refuse(what);
  }

  /** A number: decimal or 0x…, with a suffix K, M or G. Exact, so below 2^53. */
  size(what: string): number {
    const start = this.at;
    const found = this.match(/(0[xX][0-9a-fA-F]+|[0-9]+)([KMG])?/y) ?? this.refuse(what);
    const value = Number(found[1]) * (suffixes[found[2] ?? ''] ?? 1);
    if (!Number.isSafeInteger(value)) this.fail('the number is too large', start);
    return value;
  }

  /** Nothing may follow. */
  end(): void {
    this.blanks();
    if (this.at < this.text.length) this.refuse('the end of the statement');
  }
}

/** Cuts a comment off: `#`, except inside a string. */
export function withoutComment(line: string): string {
  let quoted = false;
  for (let i = 0; i < line.length; i++) {
    if (line[i] === '\\' && quoted) i++;
    else if (line[i] === '"') quoted = !quoted;
    else if (line[i] === '#' && !quoted) return line.slice(0, i).trimEnd();
  }
  return line.trimEnd();
}

/** The indices of a range `a..b:step`, both bounds inclusive, in the order they are taken. */
export function rangeOf(from: number, to: number, step: number): Int32Array {
  const count = Math.floor(Math.abs(to - from) / step) + 1;
  const direction = from <= to ? step : -step;
  return Int32Array.from({ length: count }, (_, i) => from + i * direction);
}
