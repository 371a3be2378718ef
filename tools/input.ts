// Opens an input file as text: gzip or plain by its first bytes, never by its name; in big chunks.
//
//     file --1 MiB reads--> [gunzip, on a thread of its own] --1 MiB chunks--> parser
//
// Decompression runs beside the parsing. Everything that can be wrong with a file is an InputError
// that names the file and the line reached: missing, a folder, empty, gzip cut short or damaged,
// binary data. What the text means is for the parsers (trace/*.ts).

import { once } from 'node:events';
import { createReadStream, type ReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { InputError } from '../kernel/index.ts';
import type { LineVisitor, TextInput } from './text-input.ts';

const CHUNK = 1 << 20;
const NEWLINE = 10;

/** A text file that is read once, from its start to its end. Open it with openInput(). */
export class Input implements TextInput {
  readonly path: string;
  linesRead = 0;
  private readonly source: AsyncIterator<Uint8Array>;
  /** What head() took from the source, for chunks() to give out first. */
  private readonly peeked: Uint8Array[] = [];
  /** What head() ran into behind the bytes it took: for whoever reads that far. */
  private failure: unknown;

  constructor(path: string) {
    this.path = path;
    this.source = this.decoded();
  }

  /** The text's bytes, in chunks of about 1 MiB. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.peeked.shift() ?? (await this.next());
      if (chunk === undefined) return;
      yield chunk; // the reader counts its lines before it asks for more
    }
  }

  /** The first bytes of the text, `most` at the most, without using them up. */
  async head(most: number): Promise<string> {
    let bytes = 0;
    while (bytes < most) {
      try {
        const chunk = await this.next();
        if (chunk === undefined) break;
        this.peeked.push(chunk);
        bytes += chunk.length;
      } catch (e) {
        if (bytes === 0) throw e;
        this.failure ??= e;
        break;
      }
    }
    return Buffer.concat(this.peeked).toString('latin1', 0, most);
  }

  /** Calls `visit` for each line; a last line without a newline counts too. */
  async lines(visit: LineVisitor): Promise<void> {
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of this.chunks()) {
      const data = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
      let from = 0;
      for (;;) {
        const end = data.indexOf(NEWLINE, from);
        if (end < 0) break;
        if (visit(data.toString('utf8', from, end), ++this.linesRead) === false) return;
        from = end + 1;
      }
      rest = data.subarray(from);
    }
    if (rest.length > 0) visit(rest.toString('utf8'), this.linesRead + 1);
  }

  /** Lets go of the file, however far it was read. */
  async close(): Promise<void> {
    await this.source.return?.();
  }

  private async next(): Promise<Uint8Array | undefined> {
    if (this.failure !== undefined) throw this.explained(this.failure);
    const step = await this.source.next();
    return step.done === true ? undefined : step.value;
  }

  /** The file's bytes, through gunzip where they begin as gzip does. */
  private async *decoded(): AsyncGenerator<Uint8Array> {
    const raw = createReadStream(this.path, { highWaterMark: CHUNK });
    try {
      const first = await firstChunk(raw);
      if (first === undefined) throw new InputError(`${this.path}:1`, 'the file is empty');
      if (first[0] !== 0x1f || first[1] !== 0x8b) {
        for await (const chunk of raw) yield chunk as Uint8Array;
        return;
      }
      const text = createGunzip({ chunkSize: CHUNK });
      raw.on('error', (e) => text.destroy(e));
      raw.pipe(text);
      for await (const chunk of text) yield chunk as Uint8Array;
    } catch (e) {
      if (e instanceof InputError) throw e;
      this.failure = e;
      throw this.explained(e);
    } finally {
      raw.destroy();
    }
  }

  /** What a file or gunzip threw, as an InputError with the place reached. */
  private explained(e: unknown): unknown {
    if (!(e instanceof Error)) return e;
    const code = (e as NodeJS.ErrnoException).code;
    const where = `${this.path}:${this.linesRead + 1}`;
    if (code === 'Z_BUF_ERROR') {
      return new InputError(where, 'the gzip data is cut short: the file is truncated');
    }
    if (code?.startsWith('Z_') === true) {
      return new InputError(where, `the gzip data is damaged (${e.message})`);
    }
    const why = code === undefined ? undefined : OPEN_ERRORS[code];
    return why === undefined ? e : new InputError(this.path, why);
  }
}

/** Why a file could not be read, for people. */
const OPEN_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'not allowed to read it',
  EPERM: 'not allowed to read it',
  EISDIR: 'is a folder, not a recording',
  ENOTDIR: 'no such file: a folder of its path is a file',
};

/** The first bytes, put back into the stream; undefined where there are none. */
async function firstChunk(raw: ReadStream): Promise<Uint8Array | undefined> {
  await once(raw, 'readable');
  const first = raw.read() as Uint8Array | null;
  if (first === null) return undefined;
  raw.unshift(first);
  return first;
}

/** Opens a file for reading, once. It fails when it is read: missing, a folder, empty, damaged. */
export function openInput(path: string): Input {
  return new Input(path);
}
