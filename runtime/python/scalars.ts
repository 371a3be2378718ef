// Objects that refer to nothing: None, int, float, str and bytes.
//
//     int    +16 ob_size, signed (3.12: lv_tag, digits and sign)     +24 digits of 30 bits
//     float  +16 the double
//     str    +16 length  +24 hash  +32 state (interned, kind, compact, ascii)  data behind the head
//     bytes  +16 length  +24 hash  +32 data and a zero byte
//
// Shared by all who ask: the integers -5 … 256, the empty str and bytes, the 256 strings of one
// Latin-1 character. Freed floats wait on a list that is threaded through their ob_type.
// Source: CPython 3.11 Objects/{long,float,unicode,bytes}object.c. Not modelled: strings whose kind
// is not known when they are made, UTF-8 caches, subclasses.

import { Hash } from './hash.ts';
import { KIND_BYTES, KIND_FLOAT, KIND_INT, KIND_NONE, KIND_STR } from './kinds.ts';
import type { ObjectCore } from './object.ts';

const SMALL_INT_MIN = -5;
const SMALL_INT_MAX = 256;
const DIGIT = 2 ** 30;
/** Bits of str's state: where kind and the flags lie. */
const STATE_KIND_SHIFT = 2;
const STATE_COMPACT = 1 << 5;
const STATE_ASCII = 1 << 6;

/** How a string stores a character: bytes each, and whether all are below 128. */
export type StrKind = 'ascii' | 'latin1' | 'ucs2' | 'ucs4';
const kindBytes: Readonly<Record<StrKind, number>> = { ascii: 1, latin1: 1, ucs2: 2, ucs4: 4 };

export class Scalars {
  readonly none: number;
  readonly hash: Hash;
  /** Length and head of the list of freed floats, as C variables. */
  private readonly floatList: number;
  private readonly core: ObjectCore;
  private readonly smallInts: number;
  private readonly oneChar: number;
  private readonly emptyStr: number;
  private readonly emptyBytes: number;

  constructor(core: ObjectCore) {
    this.core = core;
    this.hash = new Hash(core.profile.name !== '3.8' && core.profile.name !== '2.7');
    const plain = (op: number): number => {
      core.free(op);
      return 0;
    };
    const row = { isGc: false, dealloc: plain };
    core.register(KIND_NONE, { ...row, name: 'NoneType', sizeOf: () => 16 });
    core.register(KIND_INT, { ...row, name: 'int', sizeOf: (op) => this.intBytes(op) });
    core.register(KIND_FLOAT, {
      ...row,
      name: 'float',
      sizeOf: () => 24,
      dealloc: (op) => this.deallocFloat(op),
    });
    core.register(KIND_STR, { ...row, name: 'str', sizeOf: (op) => this.strBytes(op) });
    const bytesHead = core.profile.bytesHeadBytes;
    const sizeOfBytes = (op: number): number => bytesHead + 1 + core.mem.load64(op + 16);
    core.register(KIND_BYTES, { ...row, name: 'bytes', sizeOf: sizeOfBytes });
    this.floatList = core.data.variable(16);
    this.none = this.shared(16, KIND_NONE);
    this.smallInts = core.data.variable(32 * (SMALL_INT_MAX - SMALL_INT_MIN + 1), 16);
    for (let v = SMALL_INT_MIN; v <= SMALL_INT_MAX; v++) {
      const op = this.smallInts + 32 * (v - SMALL_INT_MIN);
      this.initShared(op, KIND_INT);
      this.storeInt(op, v === 0 ? [] : [Math.abs(v)], v < 0);
    }
    this.emptyBytes = this.shared(40, KIND_BYTES);
    this.emptyStr = this.shared(this.headBytes('ascii') + 8, KIND_STR);
    this.initStr(this.emptyStr, 0, 'ascii');
    const each = this.charBytes;
    this.oneChar = core.data.variable(256 * each, 16);
    for (let c = 0; c < 256; c++) {
      const op = this.oneChar + c * each;
      this.initShared(op, KIND_STR);
      this.initStr(op, 1, c < 128 ? 'ascii' : 'latin1');
      core.mem.store8(op + this.headBytes(c < 128 ? 'ascii' : 'latin1'), c);
      if (c >= 128 && core.profile.latin1HasUtf8) this.addUtf8(op, c);
    }
  }

  /** Bytes between the shared one-character strings. */
  private get charBytes(): number {
    return Math.ceil((this.headBytes('latin1') + 4) / 16) * 16;
  }

  /** Two bytes of UTF-8 for a Latin-1 character: length at +40, their address at +48. */
  private addUtf8(op: number, c: number): void {
    const m = this.core.mem;
    const utf8 = this.core.data.variable(3, 1);
    m.store8(utf8, 0xc0 | (c >> 6));
    m.store8(utf8 + 1, 0x80 | (c & 0x3f));
    m.store64(op + 40, 2);
    m.store64(op + 48, utf8);
  }

  private shared(bytes: number, kind: number): number {
    const op = this.core.data.variable(bytes, 16);
    this.initShared(op, kind);
    return op;
  }
  private initShared(op: number, kind: number): void {
    this.core.init(op, this.core.typeOfKind(kind));
    this.core.mem.store32(op, this.core.profile.immortal ? -1 : 0x3fffffff);
  }
  /** Whether the object lies in the data section: there before any program. */
  isShared(op: number): boolean {
    return op >= this.core.data.base && op < this.core.data.end;
  }

  // int --------------------------------------------------------------------------------------

  /** The integer, from -5 to 256 shared; a new reference. `value` is a safe integer. */
  int(value: number): number {
    if (value >= SMALL_INT_MIN && value <= SMALL_INT_MAX) {
      const op = this.smallInts + 32 * (value - SMALL_INT_MIN);
      this.core.incref(op);
      return op;
    }
    const digits: number[] = [];
    for (let rest = Math.abs(value); rest > 0; rest = Math.floor(rest / DIGIT))
      digits.push(rest % DIGIT);
    // One digit takes a whole struct, padding included; more take what they need.
    return this.intOf(digits, value < 0, digits.length === 1 ? 32 : 24 + 4 * digits.length);
  }

  /** An integer from digits of 30 bits, lowest first, in a block of `bytes`. */
  intOf(digits: readonly number[], negative: boolean, bytes: number): number {
    const op = this.core.malloc(bytes);
    this.core.init(op, this.core.typeOfKind(KIND_INT));
    this.storeInt(op, digits, negative);
    return op;
  }

  private storeInt(op: number, digits: readonly number[], negative: boolean): void {
    const m = this.core.mem;
    const n = digits.length;
    if (this.core.profile.immortal) m.store64(op + 16, n * 8 + (n === 0 ? 1 : negative ? 2 : 0));
    else m.store64(op + 16, negative ? -n : n);
    digits.forEach((d, i) => m.store32(op + 24 + 4 * i, d));
  }

  private intDigits(op: number): { digits: number[]; negative: boolean } {
    const m = this.core.mem;
    const tag = m.load64(op + 16);
    const modern = this.core.profile.immortal;
    const n = modern ? Math.floor(tag / 8) : Math.abs(tag);
    const negative = modern ? (tag & 3) === 2 : tag < 0;
    return {
      digits: Array.from({ length: n }, (_, i) => m.load32(op + 24 + 4 * i)),
      negative,
    };
  }

  /** The value as a number; exact below 2^53. */
  intValue(op: number): number {
    const { digits, negative } = this.intDigits(op);
    const value = digits.reduceRight((sum, d) => sum * DIGIT + d, 0);
    return negative ? -value : value;
  }

  private intBytes(op: number): number {
    const least = this.core.profile.zeroHasDigit ? 1 : 0;
    return 24 + 4 * Math.max(least, this.intDigits(op).digits.length);
  }

  // float ------------------------------------------------------------------------------------

  /** A new float. */
  float(value: number): number {
    const { core, floatList } = this;
    const m = core.mem;
    let op = m.load64(floatList);
    if (op !== 0) {
      m.store64(floatList, m.load64(op + 8));
      m.store32(floatList + 8, m.load32(floatList + 8) - 1);
    } else op = core.malloc(24);
    core.init(op, core.typeOfKind(KIND_FLOAT));
    scratch.setFloat64(0, value, true);
    m.store32(op + 16, scratch.getInt32(0, true));
    m.store32(op + 20, scratch.getInt32(4, true));
    return op;
  }

  floatValue(op: number): number {
    scratch.setInt32(0, this.core.mem.load32(op + 16), true);
    scratch.setInt32(4, this.core.mem.load32(op + 20), true);
    return scratch.getFloat64(0, true);
  }

  get freeFloats(): number {
    return this.core.mem.load32(this.floatList + 8);
  }

  private deallocFloat(op: number): number {
    const { core, floatList } = this;
    const m = core.mem;
    const free = m.load32(floatList + 8);
    if (free >= core.profile.maxFreeLists.float) {
      core.free(op);
      return 0;
    }
    m.store32(floatList + 8, free + 1);
    m.store64(op + 8, m.load64(floatList));
    m.store64(floatList, op);
    return 0;
  }

  clearFloats(): void {
    const m = this.core.mem;
    for (let op = m.load64(this.floatList); op !== 0;) {
      const next = m.load64(op + 8);
      this.core.free(op);
      op = next;
    }
    m.store64(this.floatList, 0);
    m.store32(this.floatList + 8, 0);
  }

  // str and bytes ----------------------------------------------------------------------------

  private headBytes(kind: StrKind): number {
    const { profile } = this.core;
    return kind === 'ascii' ? profile.asciiHeadBytes : profile.compactHeadBytes;
  }

  private initStr(op: number, length: number, kind: StrKind): void {
    const m = this.core.mem;
    m.store64(op + 16, length);
    m.store64(op + 24, -1);
    const ascii = kind === 'ascii' ? STATE_ASCII : 0;
    if (ascii === 0 && this.headBytes(kind) > 40) m.zero(op + 40, this.headBytes(kind) - 40);
    m.store32(op + 32, (kindBytes[kind] << STATE_KIND_SHIFT) | STATE_COMPACT | ascii);
  }

  /** A new string of `length` characters of a kind, zeros; "" is shared. */
  private newStr(length: number, kind: StrKind): number {
    if (length === 0) {
      this.core.incref(this.emptyStr);
      return this.emptyStr;
    }
    const op = this.core.malloc(this.headBytes(kind) + (length + 1) * kindBytes[kind]);
    this.core.init(op, this.core.typeOfKind(KIND_STR));
    this.initStr(op, length, kind);
    return op;
  }

  /** The string of one character below 256, which all share; borrowed. */
  latin1Char(code: number): number {
    return this.oneChar + code * this.charBytes;
  }

  /** A character `length` times over. One Latin-1 character is shared. */
  repeat(code: number, length: number, kind: StrKind): number {
    if (length === 1 && code < 256) {
      const op = this.latin1Char(code);
      this.core.incref(op);
      return op;
    }
    const op = this.newStr(length, kind);
    const m = this.core.mem;
    const size = kindBytes[kind];
    for (let i = 0, at = op + this.headBytes(kind); i < length; i++, at += size) {
      if (size === 1) m.store8(at, code);
      else if (size === 2) m.store16(at, code);
      else m.store32(at, code);
    }
    return op;
  }

  /** A new string with a text. */
  str(text: string): number {
    const codes = Array.from(text, (c) => c.codePointAt(0) ?? 0);
    const max = codes.reduce((a, b) => Math.max(a, b), 0);
    const kind = max < 128 ? 'ascii' : max < 256 ? 'latin1' : max < 65536 ? 'ucs2' : 'ucs4';
    const first = codes[0] ?? 0;
    if (codes.length === 1 && first < 256) return this.repeat(first, 1, kind);
    const op = this.newStr(codes.length, kind);
    const m = this.core.mem;
    const size = kindBytes[kind];
    const at = op + this.headBytes(kind);
    codes.forEach((code, i) => {
      if (size === 1) m.store8(at + i, code);
      else if (size === 2) m.store16(at + 2 * i, code);
      else m.store32(at + 4 * i, code);
    });
    return op;
  }

  private strData(op: number): { at: number; bytes: number; size: number } {
    const m = this.core.mem;
    const state = m.load32(op + 32);
    const size = (state >> STATE_KIND_SHIFT) & 7;
    const { profile } = this.core;
    const head = (state & STATE_ASCII) !== 0 ? profile.asciiHeadBytes : profile.compactHeadBytes;
    return { at: op + head, bytes: m.load64(op + 16) * size, size };
  }

  private strBytes(op: number): number {
    const { at, bytes, size } = this.strData(op);
    const { mem, profile } = this.core;
    const isAscii = (mem.load32(op + 32) & STATE_ASCII) !== 0;
    const hasUtf8 = profile.latin1HasUtf8 && !isAscii && mem.load64(op + 48) !== 0;
    return at - op + bytes + size + (hasUtf8 ? mem.load64(op + 40) + 1 : 0);
  }

  /** The text of a string. */
  text(op: number): string {
    const { at, bytes, size } = this.strData(op);
    const m = this.core.mem;
    let text = '';
    for (let i = 0; i < bytes; i += size) {
      const code = size === 1 ? m.load8(at + i) : size === 2 ? m.load16(at + i) : m.load32(at + i);
      text += String.fromCodePoint(code);
    }
    return text;
  }

  /** bytes(length): zeros; b'' is shared. */
  bytes(length: number): number {
    if (length === 0) {
      this.core.incref(this.emptyBytes);
      return this.emptyBytes;
    }
    const op = this.core.calloc(this.core.profile.bytesHeadBytes + 1 + length);
    this.core.init(op, this.core.typeOfKind(KIND_BYTES));
    this.core.mem.store64(op + 16, length);
    this.core.mem.store64(op + 24, -1);
    return op;
  }

  // hashes and equality ------------------------------------------------------------------------

  /** Puts a scalar's hash into `hash`. Strings and bytes remember theirs. */
  hashOf(op: number, kind: number): void {
    const { core, hash } = this;
    const m = core.mem;
    if (kind === KIND_STR || kind === KIND_BYTES) {
      const lo = m.load32(op + 24);
      const hi = m.load32(op + 28);
      if (lo !== -1 || hi !== -1) {
        hash.lo = lo;
        hash.hi = hi;
        return;
      }
      this.hashData(op, kind);
      m.store32(op + 24, hash.lo);
      m.store32(op + 28, hash.hi);
    } else if (kind === KIND_INT) {
      const { digits, negative } = this.intDigits(op);
      hash.ofDigits(digits, negative);
    } else if (kind === KIND_FLOAT) hash.ofDouble(this.floatValue(op));
    else hash.ofPointer(op);
  }

  private hashData(op: number, kind: number): void {
    const m = this.core.mem;
    const data =
      kind === KIND_STR
        ? this.strData(op)
        : { at: op + this.core.profile.bytesHeadBytes, bytes: m.load64(op + 16) };
    const copy = new Uint8Array(data.bytes);
    for (let i = 0; i < data.bytes; i++) copy[i] = m.load8(data.at + i);
    this.hash.ofBytes(copy, 0, data.bytes);
  }

  /** a == b for two different scalars. */
  equal(a: number, b: number, kindA: number, kindB: number): boolean {
    const isNumber = (k: number): boolean => k === KIND_INT || k === KIND_FLOAT;
    if (isNumber(kindA) && isNumber(kindB)) {
      if (kindA === KIND_INT && kindB === KIND_INT) {
        const x = this.intDigits(a);
        const y = this.intDigits(b);
        return (
          x.negative === y.negative &&
          x.digits.length === y.digits.length &&
          x.digits.every((d, i) => d === y.digits[i])
        );
      }
      const value = (op: number, k: number): number =>
        k === KIND_INT ? this.intValue(op) : this.floatValue(op);
      return value(a, kindA) === value(b, kindB);
    }
    if (kindA !== kindB || (kindA !== KIND_STR && kindA !== KIND_BYTES)) return false;
    const m = this.core.mem;
    const x =
      kindA === KIND_STR
        ? this.strData(a)
        : { at: a + this.core.profile.bytesHeadBytes, bytes: m.load64(a + 16), size: 1 };
    const y =
      kindB === KIND_STR
        ? this.strData(b)
        : { at: b + this.core.profile.bytesHeadBytes, bytes: m.load64(b + 16), size: 1 };
    if (x.bytes !== y.bytes || x.size !== y.size) return false;
    for (let i = 0; i < x.bytes; i++) if (m.load8(x.at + i) !== m.load8(y.at + i)) return false;
    return true;
  }
}

const scratch = new DataView(new ArrayBuffer(8));
