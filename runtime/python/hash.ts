// 64-bit arithmetic and hashing on pairs of 32-bit words, as CPython hashes its keys.
//
// A hash is left in `lo` and `hi`. Strings and bytes go through SipHash with the key of
// PYTHONHASHSEED=0, sixteen zero bytes (SipHash-1-3 from 3.11, 2-4 before); numbers are taken
// modulo the prime 2^61 - 1, so that equal numbers of different types have one hash; tuples mix
// their items' hashes as xxHash does. Source: CPython 3.11 Python/pyhash.c, Objects/tupleobject.c.

export class Hash {
  lo = 0;
  hi = 0;
  private readonly finalRounds: number;
  private readonly rounds: number;
  // SipHash's four words
  private readonly v = new Int32Array(8);

  /** @param modern SipHash-1-3; else 2-4. */
  constructor(modern: boolean) {
    this.rounds = modern ? 1 : 2;
    this.finalRounds = modern ? 3 : 4;
  }

  set(lo: number, hi: number): void {
    this.lo = lo | 0;
    this.hi = hi | 0;
    // -1 says "error" in C.
    if (this.lo === -1 && this.hi === -1) this.lo = -2;
  }

  /** An address, its low four bits turned to the top. */
  ofPointer(p: number): void {
    const lo = p | 0;
    const hi = (p / 4294967296) | 0;
    this.set((lo >>> 4) | (hi << 28), (hi >>> 4) | (lo << 28));
  }

  /** A whole number in digits of 30 bits, lowest first. */
  ofDigits(digits: ArrayLike<number>, negative: boolean): void {
    this.lo = 0;
    this.hi = 0;
    for (let i = digits.length - 1; i >= 0; i--) {
      this.rotate61(30);
      this.add61(digits[i] ?? 0);
    }
    if (negative) this.negate();
    this.set(this.lo, this.hi);
  }

  ofDouble(value: number): void {
    if (!Number.isFinite(value)) {
      const infinity = 314159;
      this.set(value < 0 ? -infinity : value > 0 ? infinity : 0, value < 0 ? -1 : 0);
      return;
    }
    let m = Math.abs(value);
    let e = 0;
    while (m >= 1) {
      m /= 2;
      e++;
    }
    while (m !== 0 && m < 0.5) {
      m *= 2;
      e--;
    }
    this.lo = 0;
    this.hi = 0;
    while (m !== 0) {
      this.rotate61(28);
      m *= 268435456;
      e -= 28;
      const y = Math.floor(m);
      m -= y;
      this.add61(y);
    }
    this.rotate61(((e % 61) + 61) % 61);
    if (value < 0) this.negate();
    this.set(this.lo, this.hi);
  }

  /** Bytes from..from+length-1 of a buffer. */
  ofBytes(bytes: ArrayLike<number>, from: number, length: number): void {
    if (length === 0) {
      this.set(0, 0);
      return;
    }
    const { v } = this;
    v.set([
      0x70736575, 0x736f6d65, 0x6e646f6d, 0x646f7261, 0x6e657261, 0x6c796765, 0x79746573,
      0x74656462,
    ]);
    let at = from;
    const whole = from + length - (length & 7);
    for (; at < whole; at += 8) this.word(wordAt(bytes, at), wordAt(bytes, at + 4));
    let lo = 0;
    let hi = 0;
    for (let i = 0; i < (length & 7); i++) {
      const b = bytes[at + i] ?? 0;
      if (i < 4) lo |= b << (8 * i);
      else hi |= b << (8 * (i - 4));
    }
    this.word(lo, hi | (length << 24));
    v[4] ^= 0xff;
    for (let i = 0; i < this.finalRounds; i++) this.sipRound();
    this.set(v[0] ^ v[2] ^ v[4] ^ v[6], v[1] ^ v[3] ^ v[5] ^ v[7]);
  }

  private word(lo: number, hi: number): void {
    const { v } = this;
    v[6] ^= lo;
    v[7] ^= hi;
    for (let i = 0; i < this.rounds; i++) this.sipRound();
    v[0] ^= lo;
    v[1] ^= hi;
  }

  private sipRound(): void {
    const { v } = this;
    add(v, 0, 2);
    rotateLeft(v, 2, 13);
    xor(v, 2, 0);
    rotateLeft(v, 0, 32);
    add(v, 4, 6);
    rotateLeft(v, 6, 16);
    xor(v, 6, 4);
    add(v, 0, 6);
    rotateLeft(v, 6, 21);
    xor(v, 6, 0);
    add(v, 4, 2);
    rotateLeft(v, 2, 17);
    xor(v, 2, 4);
    rotateLeft(v, 4, 32);
  }

  /** Starts a tuple's hash. */
  beginTuple(): void {
    this.v[0] = 0x165667c5; // XXPRIME_5
    this.v[1] = 0x27d4eb2f;
  }
  /** Mixes in an item whose hash is in lo and hi. */
  mixTuple(): void {
    const { v } = this;
    v[2] = this.lo;
    v[3] = this.hi;
    multiply(v, 2, 0x27d4eb4f, 0xc2b2ae3d); // XXPRIME_2
    add(v, 0, 2);
    rotateLeft(v, 0, 31);
    multiply(v, 0, 0x85ebca87, 0x9e3779b1); // XXPRIME_1
  }
  endTuple(length: number): void {
    const { v } = this;
    v[2] = length ^ 0x165667c5 ^ 3527539;
    v[3] = 0x27d4eb2f;
    add(v, 0, 2);
    if (v[0] === -1 && v[1] === -1) this.set(1546275796, 0);
    else this.set(v[0], v[1]);
  }

  // arithmetic modulo 2^61 - 1 -------------------------------------------------------------------

  private rotate61(n: number): void {
    for (let left = n; left > 0;) {
      const s = Math.min(left, 28);
      const lo = this.lo >>> 0;
      const hi = this.hi;
      const top = hi >>> (29 - s); // the s bits that leave at the top
      this.hi = ((hi << s) | (lo >>> (32 - s))) & 0x1fffffff;
      this.lo = (lo << s) | top;
      left -= s;
    }
  }
  private add61(n: number): void {
    const lo = (this.lo >>> 0) + n;
    this.lo = lo | 0;
    if (lo >= 4294967296) this.hi++;
    const isModulus = this.hi === 0x1fffffff && this.lo === -1;
    if (this.hi > 0x1fffffff || isModulus) {
      const low = (this.lo >>> 0) + 1;
      this.lo = low | 0;
      this.hi = (this.hi + (low >= 4294967296 ? 1 : 0)) & 0x1fffffff;
    }
  }
  private negate(): void {
    this.lo = -this.lo | 0;
    this.hi = (~this.hi + (this.lo === 0 ? 1 : 0)) | 0;
  }
}

function wordAt(bytes: ArrayLike<number>, at: number): number {
  const b = (i: number): number => bytes[at + i] ?? 0;
  return b(0) | (b(1) << 8) | (b(2) << 16) | (b(3) << 24);
}
function add(v: Int32Array, to: number, from: number): void {
  const lo = (v[to] >>> 0) + (v[from] >>> 0);
  v[to] = lo;
  v[to + 1] = v[to + 1] + v[from + 1] + (lo >= 4294967296 ? 1 : 0);
}
function xor(v: Int32Array, to: number, from: number): void {
  v[to] ^= v[from];
  v[to + 1] ^= v[from + 1];
}
function rotateLeft(v: Int32Array, at: number, n: number): void {
  let lo = v[at];
  let hi = v[at + 1];
  if (n >= 32) [lo, hi] = [hi, lo];
  const s = n & 31;
  if (s !== 0) {
    const l = (lo << s) | (hi >>> (32 - s));
    hi = (hi << s) | (lo >>> (32 - s));
    lo = l;
  }
  v[at] = lo;
  v[at + 1] = hi;
}
/** v[at] *= b, modulo 2^64; b as two words. */
function multiply(v: Int32Array, at: number, bLo: number, bHi: number): void {
  const aLo = v[at];
  const aHi = v[at + 1];
  const a0 = aLo & 0xffff;
  const a1 = aLo >>> 16;
  const b0 = bLo & 0xffff;
  const b1 = bLo >>> 16;
  const mid = a1 * b0 + (((a0 * b0) / 65536) >>> 0);
  const mid2 = a0 * b1 + (mid % 65536);
  const high = a1 * b1 + Math.floor(mid / 65536) + Math.floor(mid2 / 65536);
  v[at] = Math.imul(aLo, bLo);
  v[at + 1] = (high | 0) + Math.imul(aLo, bHi) + Math.imul(aHi, bLo);
}
