// Protocol buffers, written: as many kinds of field as a trace needs.
//
//     field = varint(number << 3 | wire type), then: 0 varint; 1 eight bytes; 2 length and bytes
//
// A message inside another is written first and its bytes put in as wire type 2.
// Source: protobuf.dev, "Encoding".

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const UTF8 = new TextEncoder();

export class Message {
  private data = new Uint8Array(64);
  private length = 0;

  /** An integer, -2^53 < value < 2^53: int64, uint64, bool or enum; negative ones take ten bytes. */
  int(field: number, value: number): this {
    this.tag(field, VARINT);
    this.varint(value);
    return this;
  }

  /** A fixed64, 0 <= value < 2^53. */
  fixed64(field: number, value: number): this {
    this.tag(field, FIXED64);
    this.reserve(8);
    const view = new DataView(this.data.buffer);
    view.setUint32(this.length, value >>> 0, true);
    view.setUint32(this.length + 4, Math.floor(value / 2 ** 32), true);
    this.length += 8;
    return this;
  }

  text(field: number, value: string): this {
    return this.raw(field, UTF8.encode(value));
  }

  message(field: number, value: Message): this {
    return this.raw(field, value.bytes);
  }

  /** What was written so far. */
  get bytes(): Uint8Array {
    return this.data.subarray(0, this.length);
  }

  private raw(field: number, bytes: Uint8Array): this {
    this.tag(field, BYTES);
    this.varint(bytes.length);
    this.reserve(bytes.length);
    this.data.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  private tag(field: number, wire: number): void {
    this.varint(field * 8 + wire);
  }

  private varint(value: number): void {
    this.reserve(10);
    // Two's complement in 64 bits, in two halves.
    let lo = value >>> 0;
    let hi = Math.floor(value / 2 ** 32) >>> 0;
    while (hi !== 0 || lo > 0x7f) {
      this.data[this.length++] = (lo & 0x7f) | 0x80;
      lo = ((lo >>> 7) | (hi << 25)) >>> 0;
      hi >>>= 7;
    }
    this.data[this.length++] = lo;
  }

  private reserve(more: number): void {
    if (this.length + more <= this.data.length) return;
    const larger = new Uint8Array(Math.max(this.data.length * 2, this.length + more));
    larger.set(this.data);
    this.data = larger;
  }
}
