// Values of a split table: an array of references, and the order in which they were first set.
//
//   up to 3.12, a block of its own, reached from its middle:
//     | … order[1] order[0] | used size | prefix size | value | value | …
//                                                      ^ values
//   3.13, in the instance behind its header ("embedded"), or a block:
//     | capacity size embedded valid, pad | value | value | … | order[0] order[1] …
//      ^ values
//
// Up to 3.10 there is no order: values are only ever set in the order of the keys.
// Source: CPython 3.11 Include/internal/pycore_dict.h, 3.13 the same.

import type { ObjectCore } from './object.ts';

export class DictValues {
  private readonly core: ObjectCore;
  private readonly isInline: boolean;
  private readonly hasOrder: boolean;

  constructor(core: ObjectCore) {
    this.core = core;
    this.isInline = core.profile.instanceLayout === 'inline';
    this.hasOrder = core.profile.instanceLayout !== 'dict';
  }

  /** A block for `size` values, all NULL. */
  make(size: number): number {
    const { core } = this;
    const prefix = this.hasOrder ? Math.ceil((size + 2) / 8) * 8 : 0;
    const block = core.malloc(prefix + 8 * size);
    const values = block + prefix;
    core.mem.zero(block, prefix + 8 * size);
    if (prefix !== 0) core.mem.store8(values - 1, prefix);
    return values;
  }

  free(values: number): void {
    const prefix = this.hasOrder ? this.core.mem.load8(values - 1) : 0;
    this.core.free(values - prefix);
  }

  /** Bytes of embedded values for `size` of them. */
  inlineBytes(size: number): number {
    return Math.ceil(size / 8) * 8 + 8 * (size + 1);
  }
  initInline(values: number, capacity: number): void {
    const m = this.core.mem;
    m.zero(values, this.inlineBytes(capacity));
    m.store8(values, capacity);
    m.store8(values + 2, 1);
    m.store8(values + 3, 1);
  }
  isValid(values: number): boolean {
    return this.core.mem.load8(values + 3) !== 0;
  }
  invalidate(values: number): void {
    this.core.mem.store8(values + 3, 0);
  }
  capacity(values: number): number {
    return this.core.mem.load8(values);
  }

  /** Address of the i-th value. */
  at(values: number, i: number): number {
    return values + 8 * i + (this.isInline ? 8 : 0);
  }
  get(values: number, i: number): number {
    return this.core.mem.load64(this.at(values, i));
  }
  set(values: number, i: number, value: number): void {
    this.core.mem.store64(this.at(values, i), value);
  }

  private sizeAt(values: number): number {
    return this.isInline ? values + 1 : values - 2;
  }
  private orderAt(values: number, n: number): number {
    return this.isInline ? this.at(values, this.capacity(values)) + n : values - 3 - n;
  }
  /** Entry number of the n-th value in order of setting. */
  order(values: number, n: number): number {
    return this.hasOrder ? this.core.mem.load8(this.orderAt(values, n)) : n;
  }
  addToOrder(values: number, i: number): void {
    if (!this.hasOrder) return;
    const m = this.core.mem;
    const n = m.load8(this.sizeAt(values));
    m.store8(this.orderAt(values, n), i);
    m.store8(this.sizeAt(values), n + 1);
  }
  removeFromOrder(values: number, i: number): void {
    if (!this.hasOrder) return;
    const m = this.core.mem;
    const n = m.load8(this.sizeAt(values));
    let at = 0;
    while (m.load8(this.orderAt(values, at)) !== i) at++;
    for (; at < n - 1; at++)
      m.store8(this.orderAt(values, at), m.load8(this.orderAt(values, at + 1)));
    m.store8(this.sizeAt(values), n - 1);
  }
}
