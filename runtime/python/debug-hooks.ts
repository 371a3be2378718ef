// PYTHONMALLOC=debug: hooks that wrap an allocator, mark what is around each block and look at the
// marks when the block comes back.
//
//     | n, big-endian | api | 7 pads |  n bytes of the program  | 8 pads |( serial number )|
//     block           +8    +9       p                          p + n
//
// New bytes hold a pattern (0xCD), freed ones another (0xDD), pads a third (0xFD); before 3.8 these
// were 0xCB, 0xDB and 0xFB, and each block had a serial number. A block whose marks are not as they
// were is a bug of the program's: the interpreter prints what it sees and ends.
//
// Source: CPython 3.11 Objects/obmalloc.c _PyMem_DebugRawAlloc(), _PyMem_DebugRawRealloc(),
// _PyMem_DebugCheckAddress(), _PyObject_DebugDumpAddress(). Not modelled: tracemalloc's traceback.

import type { Memory } from '../memory.ts';
import type { Profile } from './profile.ts';
import type { RawAllocator } from './raw-allocator.ts';

const SST = 8;
/** Bytes that realloc() saves at each end before it fills the old block. */
const ERASED_SIZE = 64;

/** The interpreter ends: what it prints on standard error before. */
export class FatalError extends Error {
  override readonly name = 'FatalError';
}

export class DebugHooks implements RawAllocator {
  /** What lies before the program's bytes. */
  static readonly headBytes = 2 * SST;
  private readonly mem: Memory;
  private readonly inner: RawAllocator;
  /** 'r', 'm' or 'o': which family of functions a block belongs to. */
  private readonly api: string;
  private readonly profile: Profile;
  private readonly extra: number;
  private serial = 0;

  constructor(mem: Memory, inner: RawAllocator, api: string, profile: Profile) {
    this.mem = mem;
    this.inner = inner;
    this.api = api;
    this.profile = profile;
    this.extra = profile.debugBytes.hasSerial ? 4 * SST : 3 * SST;
  }

  malloc(bytes: number): number {
    const block = this.inner.malloc(bytes + this.extra);
    if (block === 0) return 0;
    this.fill(block + 2 * SST, this.profile.debugBytes.clean, bytes);
    return this.mark(block, bytes);
  }
  calloc(count: number, bytes: number): number {
    const block = this.inner.calloc(1, count * bytes + this.extra);
    return block === 0 ? 0 : this.mark(block, count * bytes);
  }
  free(p: number): void {
    if (p === 0) return;
    this.checkAddress('_PyMem_DebugRawFree', p);
    const block = p - 2 * SST;
    this.fill(block, this.profile.debugBytes.dead, this.sizeOf(block) + this.extra);
    this.inner.free(block);
  }

  /** Fills the old block before it asks for the new one: who uses the old one on sees it. */
  realloc(p: number, bytes: number): number {
    if (p === 0) return this.malloc(bytes);
    this.checkAddress('_PyMem_DebugRawRealloc', p);
    const { clean, dead } = this.profile.debugBytes;
    const old = this.sizeOf(p - 2 * SST);
    const isSaved = old <= 2 * ERASED_SIZE;
    const tail = isSaved ? old : old - ERASED_SIZE;
    const head = this.read(p, isSaved ? old : ERASED_SIZE);
    const end = this.read(p + tail, old - tail);
    this.fill(p - 2 * SST, dead, 2 * SST + head.length);
    this.fill(p + tail, dead, old - tail + this.extra - 2 * SST);
    const block = this.inner.realloc(p - 2 * SST, bytes + this.extra);
    if (block === 0) return 0;
    const now = this.mark(block, bytes);
    this.write(now, head.slice(0, bytes));
    if (bytes > tail) this.write(now + tail, end.slice(0, bytes - tail));
    if (bytes > old) this.fill(now + old, clean, bytes - old);
    return now;
  }

  /** Throws FatalError with the interpreter's report if a mark of the block is not as it was. */
  checkAddress(who: string, p: number): void {
    const { mem } = this;
    const { forbidden } = this.profile.debugBytes;
    const api = String.fromCharCode(mem.load8(p - SST));
    if (api !== this.api) {
      const what = `bad ID: Allocated using API '${api}', verified using API '${this.api}'`;
      this.fatal(who, what, p);
    }
    for (let i = SST - 1; i >= 1; i--)
      if (mem.load8(p - i) !== forbidden) this.fatal(who, 'bad leading pad byte', p);
    const tail = p + this.sizeOf(p - 2 * SST);
    for (let i = 0; i < SST; i++)
      if (mem.load8(tail + i) !== forbidden) this.fatal(who, 'bad trailing pad byte', p);
  }

  private fatal(who: string, what: string, p: number): never {
    const name = this.profile.fatalNamesFunction ? `${who}: ` : '';
    throw new FatalError(`${this.dump(p)}Fatal Python error: ${name}${what}`);
  }

  /** _PyObject_DebugDumpAddress(): what is known of a block, as text. */
  dump(p: number): string {
    const { mem } = this;
    const { forbidden } = this.profile.debugBytes;
    const size = this.read(p - 2 * SST, SST);
    const api = String.fromCharCode(mem.load8(p - SST));
    let text = `Debug memory block at address p=0x${p.toString(16)}: API '${api}'\n`;
    text += `    ${decimal(size)} bytes originally requested\n`;
    const pads = this.read(p - SST + 1, SST - 1);
    text += '    The 7 pad bytes at p-7 are ';
    if (pads.every((byte) => byte === forbidden)) text += 'FORBIDDENBYTE, as expected.\n';
    else {
      text += `not all FORBIDDENBYTE (0x${forbidden.toString(16)}):\n`;
      text += this.badBytes(pads, (i) => `p-${7 - i}`);
      text += '    Because memory is corrupted at the start, the count of bytes requested\n';
      text += '       may be bogus, and checking the trailing pad bytes may segfault.\n';
    }
    return text + this.dumpTail(p, size);
  }

  private dumpTail(p: number, size: readonly number[]): string {
    const { forbidden, hasSerial } = this.profile.debugBytes;
    // A count that was overwritten leads nowhere: the real report ends with a segmentation fault.
    if ((size[0] | size[1] | size[2]) !== 0) return '';
    const n = this.sizeOf(p - 2 * SST);
    const tail = p + n;
    const pads = this.read(tail, SST);
    let text = `    The 8 pad bytes at tail=0x${tail.toString(16)} are `;
    if (pads.every((byte) => byte === forbidden)) text += 'FORBIDDENBYTE, as expected.\n';
    else {
      text += `not all FORBIDDENBYTE (0x${forbidden.toString(16)}):\n`;
      text += this.badBytes(pads, (i) => `tail+${i}`);
    }
    if (hasSerial) {
      const serial = decimal(this.read(tail + SST, SST));
      text += `    The block was made by call #${serial} to debug malloc/realloc.\n`;
    }
    if (n === 0) return text;
    const hex = (bytes: readonly number[]): string =>
      bytes.map((byte) => ` ${byte.toString(16).padStart(2, '0')}`).join('');
    const first = Math.min(8, n);
    const last = Math.min(8, n - first);
    text += `    Data at p:${hex(this.read(p, first))}${n > 16 ? ' ...' : ''}`;
    text += `${hex(this.read(tail - last, last))}\n\n`;
    return `${text}Enable tracemalloc to get the memory block allocation traceback\n\n`;
  }

  private badBytes(bytes: readonly number[], where: (i: number) => string): string {
    const { forbidden } = this.profile.debugBytes;
    const line = (byte: number, i: number): string => {
      const ouch = byte === forbidden ? '' : ' *** OUCH';
      return `        at ${where(i)}: 0x${byte.toString(16).padStart(2, '0')}${ouch}\n`;
    };
    return bytes.map(line).join('');
  }

  // marks ---------------------------------------------------------------------------------------

  /** Writes what surrounds a block. @returns where the program's bytes begin. */
  private mark(block: number, bytes: number): number {
    const { mem } = this;
    const { forbidden, hasSerial } = this.profile.debugBytes;
    const p = block + 2 * SST;
    this.write(block, bigEndian(bytes));
    mem.store8(block + SST, this.api.charCodeAt(0));
    this.fill(block + SST + 1, forbidden, SST - 1);
    this.fill(p + bytes, forbidden, SST);
    if (hasSerial) this.write(p + bytes + SST, bigEndian(++this.serial));
    return p;
  }

  /** The size that was asked for; 0 to 2^40. */
  private sizeOf(block: number): number {
    return this.read(block + 3, 5).reduce((sum, byte) => sum * 256 + byte, 0);
  }

  private fill(at: number, byte: number, bytes: number): void {
    for (let i = 0; i < bytes; i++) this.mem.store8(at + i, byte);
  }
  private read(at: number, bytes: number): number[] {
    return Array.from({ length: bytes }, (_, i) => this.mem.load8(at + i));
  }
  private write(at: number, bytes: readonly number[]): void {
    bytes.forEach((byte, i) => {
      this.mem.store8(at + i, byte);
    });
  }
}

function bigEndian(value: number): number[] {
  return Array.from({ length: SST }, (_, i) => Math.floor(value / 256 ** (SST - 1 - i)) % 256);
}

/** The decimal digits of a big-endian number of any length. */
function decimal(bytes: readonly number[]): string {
  let digits = '';
  let rest = [...bytes];
  do {
    let carry = 0;
    rest = rest.map((byte) => {
      const value = carry * 256 + byte;
      carry = value % 10;
      return Math.floor(value / 10);
    });
    digits = String(carry) + digits;
  } while (rest.some((byte) => byte !== 0));
  return digits;
}
