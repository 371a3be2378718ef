// Valgrind lackey's text (`--trace-mem=yes --trace-syscalls=yes`), read as bytes.
//
//     I  0401ab70,3          instruction fetch: address in hexadecimal, size in decimal
//      L 1fff000d18,8        load; S store; M load and store of the same bytes
//     SYSCALL[17407,1](12) sys_brk ( 0x0 ) --> [pre-success] Success(0x4035000)
//     ==17407== …            valgrind's own text
//
// A line costs some ten nanoseconds: its bytes are scanned once in the chunk they came in, and no
// string is made. A line cut by a chunk's end is moved in front of the next chunk. An address is
// collected in two 32-bit halves, so that all 64-bit addresses are exact.
//
// A line that begins like a reference must be one: otherwise InputError with file:line:column.
// All others are counted by their first bytes (SYSCALL[…) and skipped, as a system call's text may
// run into the next line's. Source: valgrind 3.19 lackey/lk_main.c, m_syswrap/syswrap-main.c.

import { InputError } from '../../kernel/index.ts';
import type { TextInput } from '../text-input.ts';

/** Kinds of reference, as indexes of LackeyReader.refs. */
export const REF_I = 0;
export const REF_L = 1;
export const REF_S = 2;
export const REF_M = 3;

/** Who takes the references. */
export interface ReferenceSink {
  /**
   * One reference.
   * @param lo address bits 0..31, as an int32.
   * @param hi address bits 32..63, as an int32.
   * @param size bytes, at least 1.
   */
  reference(kind: number, lo: number, hi: number, size: number): void;
}

const NEWLINE = 10;
const SPACE = 32;
const COMMA = 44;
const CR = 13;

/** Value of a lower-case hexadecimal digit's byte; 255 for every other byte. */
const HEX = new Uint8Array(256).fill(255);
for (let i = 0; i < 10; i++) HEX[48 + i] = i;
for (let i = 0; i < 6; i++) HEX[97 + i] = 10 + i;

/** Kind of reference by the byte that stands for it; 255 for every other byte. */
const KIND = new Uint8Array(256).fill(255);
KIND[0x49] = REF_I;
KIND[0x4c] = REF_L;
KIND[0x53] = REF_S;
KIND[0x4d] = REF_M;

export class LackeyReader {
  lines = 0;
  syscallLines = 0;
  otherLines = 0;
  private readonly input: TextInput;
  private readonly sink: ReferenceSink;

  constructor(input: TextInput, sink: ReferenceSink) {
    this.input = input;
    this.sink = sink;
  }

  /** Reads everything. @throws InputError on a malformed reference or a damaged file. */
  async read(): Promise<void> {
    let rest: Uint8Array = new Uint8Array(0);
    for await (const chunk of this.input.chunks()) {
      let data = chunk;
      if (rest.length > 0) {
        // Only the cut line is copied, up to its end in this chunk.
        const end = chunk.indexOf(NEWLINE) + 1;
        const line = concat(rest, end === 0 ? chunk : chunk.subarray(0, end));
        if (end === 0) {
          rest = line;
          continue;
        }
        this.scan(line);
        data = chunk.subarray(end);
      }
      const done = this.scan(data);
      rest = data.slice(done);
    }
    if (rest.length > 0) this.scan(concat(rest, Uint8Array.of(NEWLINE)));
  }

  /** Takes all whole lines of `data`. @returns the index where an unfinished line begins. */
  private scan(data: Uint8Array): number {
    const end = data.lastIndexOf(NEWLINE) + 1;
    let at = 0;
    while (at < end) at = this.line(data, at);
    return end;
  }

  /** Takes the line at `start`. @returns where the next one begins. */
  private line(data: Uint8Array, start: number): number {
    this.input.linesRead = this.lines++;
    const c = data[start]!;
    if ((c !== SPACE && c !== 0x49) || data[start + 2] !== SPACE) return this.other(data, start);
    // `I  address`, or ` L address`: the letter, a blank, the digits.
    const kind = c === SPACE ? KIND[data[start + 1]!]! : data[start + 1] === SPACE ? REF_I : 255;
    if (kind === 255) return this.other(data, start);
    let at = start + 3;
    let lo = 0;
    let hi = 0;
    let digit = HEX[data[at]!]!;
    while (digit < 16) {
      hi = (hi << 4) | (lo >>> 28);
      lo = (lo << 4) | digit;
      digit = HEX[data[++at]!]!;
    }
    if (data[at] !== COMMA || at - start < 4 || at - start > 19)
      return this.malformed(data, start, at);
    let size = 0;
    let byte = data[++at]!;
    while (byte >= 48 && byte <= 57 && size < 100_000) {
      size = size * 10 + byte - 48;
      byte = data[++at]!;
    }
    if (byte === CR) byte = data[++at]!;
    if (byte !== NEWLINE || size === 0) return this.malformed(data, start, at);
    this.sink.reference(kind, lo, hi, size);
    return at + 1;
  }

  private other(data: Uint8Array, start: number): number {
    const end = data.indexOf(NEWLINE, start);
    if (startsWith(data, start, 'SYSCALL[')) this.syscallLines++;
    else this.otherLines++;
    for (let i = start; i < end; i++) {
      if (data[i]! < 9) {
        throw new InputError(this.where(i - start), 'binary data, not text of valgrind lackey');
      }
    }
    return end + 1;
  }

  private malformed(data: Uint8Array, start: number, at: number): never {
    const text = Buffer.from(data.subarray(start, data.indexOf(NEWLINE, start))).toString('latin1');
    throw new InputError(
      this.where(at - start),
      `expected ${data[start] === SPACE ? 'a blank and ' : ''}a letter, an address in ` +
        `hexadecimal, a comma and a size, found "${text.slice(0, 40)}"`,
    );
  }

  private where(column: number): string {
    return `${this.input.path}:${this.lines}:${column + 1}`;
  }
}

function startsWith(data: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (data[at + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
