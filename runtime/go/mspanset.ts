// A set of spans, first in first out: a spine of pointers to blocks of 512 pointers to spans.
//
//   spine -> [ block0 ][ block1 ][ ... ]      head ........ tail      index / 512 is the block
//
// Blocks and spines are the runtime's own records in the process's memory; a block whose 512 spans
// were all taken goes to a pool that all sets share. The order is also kept in a ring on the host,
// so that taking a span does not have to map a pointer back to its number.
//
// Source: Go 1.26.8 src/runtime/mspanset.go.

import type { PersistentAlloc } from './persistent.ts';
import type { SpanTable } from './mspan.ts';
import { S_GCMISC, type Sys } from './sys.ts';

const BLOCK_ENTRIES = 512;
const SPINE_ENTRIES = 256;

export class SpanSetPool {
  readonly sys: Sys;
  readonly spans: SpanTable;
  /** Byte offset of the pointers in a block. */
  readonly header: number;
  private readonly persistent: PersistentAlloc;
  private readonly blocks: number[] = [];

  constructor(sys: Sys, persistent: PersistentAlloc, spans: SpanTable) {
    this.sys = sys;
    this.persistent = persistent;
    this.spans = spans;
    this.header = sys.profile.setBlockHeader;
  }

  takeBlock(): number {
    return this.blocks.pop() ?? this.newBlock();
  }

  private newBlock(): number {
    const bytes = this.header + BLOCK_ENTRIES * 8;
    return this.persistent.alloc(bytes, this.header >= 64 ? this.header : 64, S_GCMISC);
  }

  giveBlock(block: number): void {
    this.blocks.push(block);
  }

  takeSpine(entries: number): number {
    return this.persistent.alloc(entries * 8, 64, S_GCMISC);
  }
}

export class SpanSet {
  private readonly pool: SpanSetPool;
  private ring = new Int32Array(16);
  private head = 0;
  private tail = 0;
  private spine = 0;
  private spineEntries = 0;
  private blocks: number[] = [];

  constructor(pool: SpanSetPool) {
    this.pool = pool;
  }

  get length(): number {
    return this.tail - this.head;
  }

  push(s: number): void {
    if (this.tail - this.head === this.ring.length) this.growRing();
    const { mem } = this.pool.sys;
    const top = Math.floor(this.tail / BLOCK_ENTRIES);
    if (top === this.blocks.length) this.addBlock(top);
    const at = this.blocks[top] + this.pool.header + (this.tail % BLOCK_ENTRIES) * 8;
    mem.store64(at, this.pool.spans.record[s]);
    this.ring[this.tail & (this.ring.length - 1)] = s;
    this.tail++;
  }

  private addBlock(top: number): void {
    if (top >= this.spineEntries) {
      this.spineEntries = this.spineEntries === 0 ? SPINE_ENTRIES : this.spineEntries * 2;
      this.spine = this.pool.takeSpine(this.spineEntries);
      this.blocks.forEach((block, i) => this.pool.sys.mem.store64(this.spine + i * 8, block));
    }
    const block = this.pool.takeBlock();
    this.pool.sys.mem.store64(this.spine + top * 8, block);
    this.blocks.push(block);
  }

  private growRing(): void {
    const larger = new Int32Array(this.ring.length * 2);
    for (let i = this.head; i < this.tail; i++)
      larger[i & (larger.length - 1)] = this.ring[i & (this.ring.length - 1)];
    this.ring = larger;
  }

  /** The span that has been in it for longest; 0 when it is empty. */
  pop(): number {
    if (this.head === this.tail) return 0;
    const s = this.ring[this.head & (this.ring.length - 1)];
    const at = this.head % BLOCK_ENTRIES;
    const block = Math.floor(this.head / BLOCK_ENTRIES);
    this.pool.sys.mem.store64(this.blocks[block] + this.pool.header + at * 8, 0);
    this.head++;
    if (at === BLOCK_ENTRIES - 1) this.dropBlock(block);
    return s;
  }

  /** The span that came last; 0 when it is empty (go1.9's gcSweepBuf). */
  popLast(): number {
    if (this.head === this.tail) return 0;
    this.tail--;
    const block = this.blocks[Math.floor(this.tail / BLOCK_ENTRIES)];
    this.pool.sys.mem.store64(block + this.pool.header + (this.tail % BLOCK_ENTRIES) * 8, 0);
    return this.ring[this.tail & (this.ring.length - 1)];
  }

  private dropBlock(i: number): void {
    this.pool.sys.mem.store64(this.spine + i * 8, 0);
    this.pool.giveBlock(this.blocks[i]);
    this.blocks[i] = 0;
  }

  /** Makes an empty set begin at its first block again. */
  reset(): void {
    const top = Math.floor(this.head / BLOCK_ENTRIES);
    if (top < this.blocks.length && this.blocks[top] !== 0) this.dropBlock(top);
    this.blocks = [];
    this.head = 0;
    this.tail = 0;
  }

  /** Calls visit with each span in it, oldest first. */
  forEach(visit: (s: number) => void): void {
    for (let i = this.head; i < this.tail; i++) visit(this.ring[i & (this.ring.length - 1)]);
  }
}
