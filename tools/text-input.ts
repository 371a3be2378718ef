// What a parser reads: a text that comes line by line or chunk by chunk, from wherever it lies.
//
// A file on disk is one (tools/input.ts); bytes in memory are another: what a page in a browser
// was given, unpacked.

import { InputError } from '../kernel/errors.ts';

const NEWLINE = 10;

/** Called for each line, without its newline; `number` counts from 1. False: read no further. */
export type LineVisitor = (text: string, number: number) => boolean | undefined;

/** A text that is read once, from its start to its end. */
export interface TextInput {
  /** Names the text in errors. */
  readonly path: string;
  /** Newlines seen so far by whoever reads: says in an error how far the reading came. */
  linesRead: number;
  /** The text's bytes, in chunks. */
  chunks(): AsyncGenerator<Uint8Array>;
  /** The first bytes of the text, `most` at the most, without using them up. */
  head(most: number): Promise<string>;
  /** Calls `visit` for each line; a last line without a newline counts too. */
  lines(visit: LineVisitor): Promise<void>;
  /** Lets go of the source, however far it was read. */
  close(): Promise<void>;
}

/** Bytes that are there already. */
export class BytesInput implements TextInput {
  readonly path: string;
  linesRead = 0;
  private readonly bytes: Uint8Array;

  /** @throws InputError where there are none */
  constructor(path: string, bytes: Uint8Array) {
    this.path = path;
    this.bytes = bytes;
    if (bytes.length === 0) throw new InputError(`${path}:1`, 'the file is empty');
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the interface's form
  async *chunks(): AsyncGenerator<Uint8Array> {
    yield this.bytes;
  }

  head(most: number): Promise<string> {
    let text = '';
    for (const byte of this.bytes.subarray(0, most)) text += String.fromCharCode(byte);
    return Promise.resolve(text);
  }

  lines(visit: LineVisitor): Promise<void> {
    const decoder = new TextDecoder();
    const { bytes } = this;
    for (let from = 0; from < bytes.length;) {
      const end = bytes.indexOf(NEWLINE, from);
      const cut = end < 0;
      const text = decoder.decode(bytes.subarray(from, cut ? bytes.length : end));
      const number = cut ? this.linesRead + 1 : ++this.linesRead;
      try {
        if (visit(text, number) === false || cut) break;
      } catch (e) {
        return Promise.reject(e instanceof Error ? e : new Error(String(e)));
      }
      from = end + 1;
    }
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
