// Go maps from strings to one word, in the two forms that the runtime has had.
//
// Keys are looked up on the host; where entries lie, which groups and buckets there are, when they
// grow and what is allocated for it is the real map's, and key and value pointers are stored there.
//
//   swiss (go1.24+)   a group is 8 control bytes and 8 slots of 24 bytes; up to 8 entries live in
//   one
//                     group, more in tables of 16 to 1024 slots behind a directory; a table that is
//                     7/8 full doubles, or splits in two when it has 1024
//
//   buckets           a bucket is 8 tophash bytes, 8 keys, 8 values and an overflow pointer, 208
//   bytes;
//                     at 6.5 entries a bucket the array doubles, and moves bucket by bucket
//
// Source: Go 1.26.8 src/internal/runtime/maps (map.go, table.go, group.go); Go 1.19.8
// src/runtime/map.go.

import type { GoProgram } from './program.ts';

/** A string on the heap: where its bytes are, and what they are. */
export interface GoString {
  readonly at: number;
  readonly text: string;
}

export interface GoMap {
  readonly size: number;
  /** The value's word; 0 where there is no such key. */
  get(key: string): number;
  /** Inserts or overwrites. */
  set(key: GoString, value: number): void;
  delete(key: string): void;
  keys(): IterableIterator<string>;
}

/** A map as the runtime's version makes it. @param pointers whether values are pointers. */
export function newGoMap(prog: GoProgram, pointers: boolean): GoMap {
  return prog.go.profile.swissMaps ? new SwissMap(prog, pointers) : new BucketMap(prog, pointers);
}

/** Two independent 32-bit hashes of a string, the low one first. */
function hash(text: string): [number, number] {
  let a = 0x811c9dc5;
  let b = 0x1b873593;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 0x01000193);
    b = Math.imul(b ^ c, 0x85ebca6b) ^ (b >>> 13);
  }
  a ^= a >>> 16;
  a = Math.imul(a, 0x7feb352d);
  a ^= a >>> 15;
  b = Math.imul(b ^ (b >>> 16), 0x846ca68b);
  return [(a ^ (a >>> 16)) >>> 0, (b ^ (b >>> 13)) >>> 0];
}

const SLOT_BYTES = 24;
const GROUP_BYTES = 8 + 8 * SLOT_BYTES;
const TABLE_BYTES = 32;
const MAX_TABLE = 1024;
const EMPTY = 0;
const FULL = 1;
const DELETED = 2;

interface Entry {
  readonly hash: [number, number];
  table: Table | null;
  slot: number;
}

/** A table of groups; host-side control bytes, entries in emulated memory at `groups`. */
interface Table {
  readonly groups: number;
  readonly capacity: number;
  readonly depth: number;
  readonly root: number;
  growthLeft: number;
  readonly control: Uint8Array;
  readonly keys: (string | null)[];
}

class SwissMap implements GoMap {
  private readonly prog: GoProgram;
  private readonly entries = new Map<string, Entry>();
  private readonly groupType: number;
  private readonly tableType: number;
  private readonly valuePointer: boolean;
  private directory: Table[] = [];
  private depth = 0;
  /** Stack slot that holds the only group, or the directory. */
  private readonly root: number;

  constructor(prog: GoProgram, valuePointer: boolean) {
    this.prog = prog;
    this.valuePointer = valuePointer;
    const mask = new Int32Array(1);
    for (let i = 0; i < 8; i++) {
      mask[0] |= 1 << (1 + i * 3);
      if (valuePointer) mask[0] |= 1 << (3 + i * 3);
    }
    const { types } = prog.go;
    this.groupType = types.add({ name: 'group', bytes: GROUP_BYTES, ptrWords: 25, mask });
    const tableMask = Int32Array.of(0b100);
    this.tableType = types.add({ name: 'table', bytes: TABLE_BYTES, ptrWords: 3, mask: tableMask });
    this.root = prog.push(0);
  }

  get size(): number {
    return this.entries.size;
  }

  keys(): IterableIterator<string> {
    return this.entries.keys();
  }

  private address(e: Entry): number {
    const base = e.table === null ? this.prog.slot(this.root) : e.table.groups;
    return base + (e.slot >> 3) * GROUP_BYTES + 8 + (e.slot & 7) * SLOT_BYTES;
  }

  get(key: string): number {
    this.prog.work(20);
    const e = this.entries.get(key);
    return e === undefined ? 0 : this.prog.get(this.address(e) + 16);
  }

  set(key: GoString, value: number): void {
    this.prog.work(25);
    let e = this.entries.get(key.text);
    if (e === undefined) {
      e = { hash: hash(key.text), table: null, slot: -1 };
      this.entries.set(key.text, e);
      this.insert(e, key.text);
      this.prog.set(this.address(e), key.at);
      this.prog.go.mem.store64(this.address(e) + 8, key.text.length);
    }
    const at = this.address(e) + 16;
    if (this.valuePointer) this.prog.set(at, value);
    else this.prog.go.mem.store64(at, value);
  }

  private insert(e: Entry, key: string): void {
    if (this.directory.length === 0) {
      if (this.prog.slot(this.root) === 0)
        this.prog.setSlot(this.root, this.prog.new(GROUP_BYTES, this.groupType));
      if (this.entries.size <= 8) {
        e.slot = this.freeSmall();
        return;
      }
      this.growToTable(key);
    }
    for (;;) {
      const t = this.tableOf(e);
      const slot = probe(t, e.hash[0]);
      if (t.control[slot] === DELETED || t.growthLeft > 0) {
        place(t, e, key, slot);
        return;
      }
      if (!prune(t, this.entries)) this.rehash(t);
    }
  }

  private freeSmall(): number {
    const used = new Set([...this.entries.values()].map((x) => x.slot));
    for (let i = 0; i < 8; i++) if (!used.has(i)) return i;
    return 7;
  }

  private tableOf(e: Entry): Table {
    return this.directory[this.depth === 0 ? 0 : e.hash[1] >>> (32 - this.depth)];
  }

  private newTable(capacity: number, depth: number): Table {
    const { prog } = this;
    const root = prog.new(TABLE_BYTES, this.tableType);
    prog.push(root);
    const groups = prog.new((capacity / 8) * GROUP_BYTES, this.groupType);
    prog.pop(1);
    prog.set(root + 16, groups);
    return {
      groups,
      capacity,
      depth,
      root,
      growthLeft: (capacity * 7) / 8,
      control: new Uint8Array(capacity),
      keys: Array.from({ length: capacity }, () => null),
    };
  }

  private growToTable(except: string): void {
    const { prog } = this;
    const small = prog.slot(this.root);
    const t = this.newTable(16, 0);
    prog.push(t.root);
    const directory = prog.new(8, prog.go.types.leading(8, 1));
    prog.pop(1);
    prog.set(directory, t.root);
    for (const [key, e] of this.entries) {
      if (key === except) continue;
      const from = small + 8 + e.slot * SLOT_BYTES;
      this.move(e, key, t, from);
    }
    prog.setSlot(this.root, directory);
    this.directory = [t];
  }

  private move(e: Entry, key: string, t: Table, from: number): void {
    place(t, e, key, probe(t, e.hash[0]));
    const to = this.address(e);
    this.prog.set(to, this.prog.get(from));
    const { mem } = this.prog.go;
    mem.store64(to + 8, mem.load64(from + 8));
    if (this.valuePointer) this.prog.set(to + 16, this.prog.get(from + 16));
    else mem.store64(to + 16, mem.load64(from + 16));
  }

  /** A full table doubles, or splits in two. */
  private rehash(t: Table): void {
    const { prog } = this;
    if (t.capacity * 2 <= MAX_TABLE) {
      const larger = this.newTable(t.capacity * 2, t.depth);
      prog.push(larger.root);
      this.refill(t, () => larger);
      this.install(t, larger, larger);
      prog.pop(1);
      return;
    }
    const left = this.newTable(MAX_TABLE, t.depth + 1);
    prog.push(left.root);
    const right = this.newTable(MAX_TABLE, t.depth + 1);
    prog.push(right.root);
    const bit = 31 - t.depth;
    this.refill(t, (e) => (((e.hash[1] >>> bit) & 1) === 0 ? left : right));
    if (t.depth === this.depth) this.doubleDirectory();
    this.install(t, left, right);
    prog.pop(2);
  }

  private refill(t: Table, to: (e: Entry) => Table): void {
    for (let slot = 0; slot < t.capacity; slot++) {
      const key = t.keys[slot];
      const e = key === null ? undefined : this.entries.get(key);
      if (key === null || e === undefined) continue;
      this.move(e, key, to(e), this.address(e));
    }
    this.prog.work(t.capacity * 8);
  }

  private doubleDirectory(): void {
    const { prog } = this;
    const n = this.directory.length * 2;
    const at = prog.new(n * 8, prog.go.types.leading(8, 1));
    this.directory = this.directory.flatMap((t) => [t, t]);
    this.depth++;
    this.directory.forEach((t, i) => {
      prog.set(at + i * 8, t.root);
    });
    prog.setSlot(this.root, at);
  }

  private install(old: Table, left: Table, right: Table): void {
    const at = this.prog.slot(this.root);
    const first = this.directory.indexOf(old);
    const count = this.directory.lastIndexOf(old) - first + 1;
    for (let i = first; i < first + count; i++) {
      this.directory[i] = i < first + count / 2 || left === right ? left : right;
      this.prog.set(at + i * 8, this.directory[i].root);
    }
  }

  delete(key: string): void {
    this.prog.work(25);
    const e = this.entries.get(key);
    if (e === undefined) return;
    const at = this.address(e);
    this.prog.set(at, 0);
    if (this.valuePointer) this.prog.set(at + 16, 0);
    this.entries.delete(key);
    const t = e.table;
    if (t === null) return;
    t.keys[e.slot] = null;
    const first = e.slot & ~7;
    const hasEmpty = t.control.subarray(first, first + 8).includes(EMPTY);
    t.control[e.slot] = hasEmpty ? EMPTY : DELETED;
    if (hasEmpty) t.growthLeft++;
  }
}

/** The first slot for a new entry: a deleted one passed on the way, or the first empty one. */
function probe(t: Table, h: number): number {
  const mask = t.capacity / 8 - 1;
  let deleted = -1;
  for (let group = (h >>> 7) & mask, step = 1; ; group = (group + step++) & mask) {
    for (let i = 0; i < 8; i++) {
      const slot = group * 8 + i;
      if (t.control[slot] === EMPTY) return deleted >= 0 ? deleted : slot;
      if (t.control[slot] === DELETED && deleted < 0) deleted = slot;
    }
    if (step > mask + 1) return deleted >= 0 ? deleted : group * 8;
  }
}

function place(t: Table, e: Entry, key: string, slot: number): void {
  if (t.control[slot] !== DELETED) t.growthLeft--;
  t.control[slot] = FULL;
  t.keys[slot] = key;
  e.table = t;
  e.slot = slot;
}

/** Makes deleted slots empty in groups that no probe passes; worth it for a tenth of the table. */
function prune(t: Table, entries: ReadonlyMap<string, Entry>): boolean {
  let deleted = 0;
  for (const c of t.control) if (c === DELETED) deleted++;
  if (deleted * 10 < t.capacity) return false;
  const mask = t.capacity / 8 - 1;
  const needed = new Uint8Array(mask + 1);
  t.keys.forEach((key, slot) => {
    const e = key === null ? undefined : entries.get(key);
    if (e === undefined) return;
    const home = slot >> 3;
    for (let g = (e.hash[0] >>> 7) & mask, step = 1; g !== home && step <= mask + 1;) {
      needed[g] = 1;
      g = (g + step++) & mask;
    }
  });
  let freed = 0;
  t.control.forEach((c, slot) => {
    if (c === DELETED && needed[slot >> 3] === 0) freed++;
  });
  if (freed * 10 < t.capacity) return false;
  t.control.forEach((c, slot) => {
    if (c === DELETED && needed[slot >> 3] === 0) t.control[slot] = EMPTY;
  });
  t.growthLeft += freed;
  return true;
}

const BUCKET_BYTES = 208;
const HMAP_BYTES = 48;

class BucketMap implements GoMap {
  private readonly prog: GoProgram;
  private readonly where = new Map<string, { h: number; at: number; value: number }>();
  private readonly bucketType: number;
  private readonly valuePointer: boolean;
  private readonly hmap: number;
  private b = 0;
  private buckets = 0;
  private preallocated = 0;
  /** Where the value of the key that place() placed goes. */
  private placedValue = 0;
  /** Entries of each bucket by key; what lies beyond 8 is in overflow buckets. */
  private chains: { keys: (string | null)[]; at: number[] }[] = [];
  private old: { keys: (string | null)[]; at: number[] }[] = [];
  private evacuated = 0;

  constructor(prog: GoProgram, valuePointer: boolean) {
    this.prog = prog;
    this.valuePointer = valuePointer;
    const mask = new Int32Array(1);
    for (let i = 0; i < 8; i++) {
      mask[0] |= 1 << (1 + i * 2);
      if (valuePointer) mask[0] |= 1 << (17 + i);
    }
    mask[0] |= 1 << 25;
    const { types } = prog.go;
    this.bucketType = types.add({ name: 'bucket', bytes: BUCKET_BYTES, ptrWords: 26, mask });
    // count, B, hash0; buckets, oldbuckets, nevacuate, extra
    const hmap = { name: 'hmap', bytes: HMAP_BYTES, ptrWords: 6, mask: Int32Array.of(0b101100) };
    this.hmap = prog.push(prog.new(HMAP_BYTES, types.add(hmap)));
  }

  get size(): number {
    return this.where.size;
  }

  keys(): IterableIterator<string> {
    return this.where.keys();
  }

  get(key: string): number {
    this.prog.work(22);
    const e = this.where.get(key);
    return e === undefined ? 0 : this.prog.get(e.value);
  }

  set(key: GoString, value: number): void {
    this.prog.work(30);
    this.growWork();
    let e = this.where.get(key.text);
    if (e === undefined) {
      const full = this.where.size + 1 > 8 && this.where.size + 1 > 6.5 * 2 ** this.b;
      if (this.buckets === 0) this.makeBuckets();
      else if (this.old.length === 0 && full) this.grow();
      e = { h: hash(key.text)[0], at: 0, value: 0 };
      this.where.set(key.text, e);
      e.at = this.place(this.chains, e.h, key.text);
      e.value = this.placedValue;
      this.prog.set(e.at, key.at);
      this.prog.go.mem.store64(e.at + 8, key.text.length);
    }
    if (this.valuePointer) this.prog.set(e.value, value);
    else this.prog.go.mem.store64(e.value, value);
  }

  private field(i: number): number {
    return this.prog.slot(this.hmap) + i * 8;
  }

  private makeBuckets(): void {
    const n = 2 ** this.b;
    let total = n;
    if (this.b >= 4) {
      const { classes } = this.prog.go.profile;
      const bytes = (n + n / 16) * BUCKET_BYTES;
      const up =
        bytes <= 32768
          ? classes.size[classes.size.findIndex((size) => size >= bytes)]
          : Math.ceil(bytes / 8192) * 8192;
      total = Math.floor(up / BUCKET_BYTES);
    }
    this.buckets = this.prog.new(total * BUCKET_BYTES, this.bucketType);
    this.prog.set(this.field(2), this.buckets);
    this.preallocated = total - n;
    this.chains = Array.from({ length: n }, (_, i) => ({
      keys: [],
      at: [this.buckets + i * BUCKET_BYTES],
    }));
    if (this.preallocated > 0) this.prog.set(this.field(5), this.prog.new(24, this.extraType()));
  }

  private extraType(): number {
    return this.prog.go.types.leading(24, 3);
  }

  private grow(): void {
    this.prog.set(this.field(3), this.buckets);
    this.old = this.chains;
    this.evacuated = 0;
    this.b++;
    this.makeBuckets();
  }

  private growWork(): void {
    for (let i = 0; i < 2 && this.old.length > 0; i++) this.evacuate();
  }

  private evacuate(): void {
    const { prog } = this;
    for (const key of this.old[this.evacuated].keys) {
      const e = key === null ? undefined : this.where.get(key);
      if (key === null || e === undefined) continue;
      const from = e.at;
      const fromValue = e.value;
      e.at = this.place(this.chains, e.h, key);
      e.value = this.placedValue;
      prog.set(e.at, prog.get(from));
      prog.go.mem.store64(e.at + 8, prog.go.mem.load64(from + 8));
      if (this.valuePointer) prog.set(e.value, prog.get(fromValue));
      else prog.go.mem.store64(e.value, prog.go.mem.load64(fromValue));
    }
    prog.work(60);
    if (++this.evacuated < this.old.length) return;
    this.old = [];
    prog.set(this.field(3), 0);
  }

  /**
   * A place in the key's bucket, with another overflow bucket if it must. @returns the key slot.
   */
  private place(chains: typeof this.chains, h: number, key: string): number {
    const chain = chains[h & (chains.length - 1)];
    let i = chain.keys.indexOf(null);
    if (i < 0) i = chain.keys.push(key) - 1;
    else chain.keys[i] = key;
    const bucket = i >> 3;
    if (bucket === chain.at.length) {
      const last = chain.at[bucket - 1];
      let at: number;
      if (this.preallocated > 0) {
        const n = 2 ** this.b + --this.preallocated;
        at = this.buckets + n * BUCKET_BYTES;
      } else at = this.prog.new(BUCKET_BYTES, this.bucketType);
      this.prog.set(last + BUCKET_BYTES - 8, at);
      chain.at.push(at);
    }
    this.placedValue = chain.at[bucket] + 136 + (i & 7) * 8;
    return chain.at[bucket] + 8 + (i & 7) * 16;
  }

  delete(key: string): void {
    this.prog.work(30);
    this.growWork();
    const e = this.where.get(key);
    if (e === undefined) return;
    this.where.delete(key);
    this.prog.set(e.at, 0);
    if (this.valuePointer) this.prog.set(e.value, 0);
    for (const chains of [this.chains, this.old]) {
      if (chains.length === 0) continue;
      const chain = chains[e.h & (chains.length - 1)];
      const i = chain.keys.indexOf(key);
      if (i >= 0) chain.keys[i] = null;
    }
  }
}
