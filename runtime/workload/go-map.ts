// Go's maps since 1.24: swiss tables, in the process's memory.
//
//   map header  | used | seed | directory pointer, or the one group | directory length | depth … |
//   directory   | table | table | …   2^globalDepth pointers, several may be one table
//   table       | used, capacity, growthLeft, localDepth | index | groups | mask |        32 bytes
//   group       | 8 control bytes | key elem | key elem | … 8 of them |
//
// Up to eight entries there is one group and no table. Then tables double up to 1024 slots, filled
// to 7/8; one that is full splits in two by the next bit of the hash, doubling the directory where
// it has to. A control byte holds 7 bits of the hash, 0x80 for empty, 0xfe for deleted.
// Source: Go 1.26 src/internal/runtime/maps (map.go, table.go, group.go). The hash is not Go's,
// which differs in every process. Not modelled: iteration from a random place, the bucket maps
// before 1.24.

import type { GoRuntime } from '../go/runtime.ts';

export const MAP_BYTES = 48;
const TABLE_BYTES = 32;
const SLOTS = 8;
const MAX_CAPACITY = 1024;
const EMPTY = 0x80;
const DELETED = 0xfe;

/** Where keys are compared and hashed, and how entries lie in a group. */
export interface MapShape {
  readonly keyBytes: number;
  readonly slotBytes: number;
  /** Type number of a group. */
  readonly groupType: number;
  readonly headerType: number;
  readonly tableType: number;
  readonly directoryType: number;
  hash(key: number): number;
  /** Whether the key of a slot is `key`. */
  equal(slot: number, key: number): boolean;
  /** Hash of the key in a slot. */
  hashAt(slot: number): number;
  /** Copies a slot, with the write barrier, to memory that was never used. */
  move(to: number, from: number): void;
  /** Writes the key. */
  storeKey(slot: number, key: number): void;
  /** Clears the value, and the key where it has pointers, with the write barrier. */
  clear(slot: number): void;
}

export class GoMaps {
  private readonly go: GoRuntime;
  /** Two global variables for what is being made; 0 before the first. */
  private held = 0;
  constructor(go: GoRuntime) {
    this.go = go;
  }

  /** @param hint number of entries to make room for: below nine none is made. */
  make(shape: MapShape, hint = 0): number {
    const { go } = this;
    const map = go.new(MAP_BYTES, shape.headerType);
    if (hint <= SLOTS) return map;
    const wanted = Math.floor((hint * 8) / 7);
    const length = powerOfTwo(Math.ceil(wanted / MAX_CAPACITY));
    const dir = go.new(8 * length, go.types.leading(8, 1));
    if (this.held === 0) [this.held] = [go.newGlobal(), go.newGlobal()];
    go.storePointer(this.held, dir); // until the program holds them
    go.storePointer(this.held + 8, map);
    const capacity = Math.max(SLOTS, powerOfTwo(Math.ceil(wanted / length)));
    for (let i = 0; i < length; i++)
      go.storePointer(dir + 8 * i, this.newTable(capacity, Math.log2(length), i, shape));
    go.storePointer(map + 16, dir);
    go.storePointer(this.held, 0);
    go.storePointer(this.held + 8, 0);
    go.mem.store32(map + 24, length);
    return map;
  }

  size(map: number): number {
    return this.go.mem.load32(map);
  }

  /** Address of the slot of a key; 0 if there is none. */
  find(map: number, key: number, shape: MapShape): number {
    const { mem } = this.go;
    const dir = mem.load64(map + 16);
    if (dir === 0) return 0;
    const hash = shape.hash(key);
    const depthed = mem.load32(map + 24);
    if (depthed === 0) return this.findInGroup(dir, key, hash, shape);
    const table = mem.load64(dir + 8 * tableIndex(hash, depthed));
    const mask = mem.load32(table + 24);
    const groups = mem.load64(table + 16);
    for (let g = h1(hash) & mask, step = 1; ; g = (g + step++) & mask) {
      const group = groups + g * this.groupBytes(shape);
      const slot = this.findInGroup(group, key, hash, shape);
      if (slot !== 0) return slot;
      if (this.hasEmpty(group)) return 0;
    }
  }

  private groupBytes(shape: MapShape): number {
    return Math.ceil((8 + SLOTS * shape.slotBytes) / 8) * 8;
  }

  private findInGroup(group: number, key: number, hash: number, shape: MapShape): number {
    const { mem } = this.go;
    for (let i = 0; i < SLOTS; i++) {
      if (mem.load8(group + i) !== h2(hash)) continue;
      const slot = group + 8 + i * shape.slotBytes;
      if (shape.equal(slot, key)) return slot;
    }
    return 0;
  }

  private hasEmpty(group: number): boolean {
    const { mem } = this.go;
    for (let i = 0; i < SLOTS; i++) if (mem.load8(group + i) === EMPTY) return true;
    return false;
  }

  private newGroups(count: number, shape: MapShape): number {
    const groups = this.go.new(count * this.groupBytes(shape), shape.groupType);
    for (let i = 0; i < count; i++) this.clearControls(groups + i * this.groupBytes(shape));
    return groups;
  }

  private clearControls(group: number): void {
    this.go.mem.store32(group, 0x80808080 | 0);
    this.go.mem.store32(group + 4, 0x80808080 | 0);
  }

  /** The slot of a key, made if need be. */
  assign(map: number, key: number, shape: MapShape): number {
    const { mem } = this.go;
    const found = this.find(map, key, shape);
    if (found !== 0) return found;
    const hash = shape.hash(key);
    if (mem.load64(map + 16) === 0) this.go.storePointer(map + 16, this.newGroups(1, shape));
    if (mem.load32(map + 24) === 0) {
      if (this.size(map) < SLOTS) return this.take(map, mem.load64(map + 16), key, hash, shape);
      this.firstTable(map, shape);
    }
    for (;;) {
      const dir = mem.load64(map + 16);
      const table = mem.load64(dir + 8 * tableIndex(hash, mem.load32(map + 24)));
      const deleted = this.deletedOnWay(table, hash, shape);
      if (deleted !== 0) return this.take(map, deleted, key, hash, shape);
      if (mem.load32(table + 4) === 0) this.prune(table, shape);
      if (mem.load32(table + 4) > 0) {
        mem.store32(table + 4, mem.load32(table + 4) - 1);
        return this.take(map, this.groupWithRoom(table, hash, shape), key, hash, shape);
      }
      this.grow(map, table, shape);
    }
  }

  private groupWithRoom(table: number, hash: number, shape: MapShape): number {
    const { mem } = this.go;
    const mask = mem.load32(table + 24);
    const groups = mem.load64(table + 16);
    for (let g = h1(hash) & mask, step = 1; ; g = (g + step++) & mask) {
      const group = groups + g * this.groupBytes(shape);
      if (this.hasEmpty(group)) return group;
    }
  }

  /** The first group with a deleted slot on the way to where a key would go; 0 if there is none. */
  private deletedOnWay(table: number, hash: number, shape: MapShape): number {
    const { mem } = this.go;
    const mask = mem.load32(table + 24);
    const groups = mem.load64(table + 16);
    for (let g = h1(hash) & mask, step = 1; ; g = (g + step++) & mask) {
      const group = groups + g * this.groupBytes(shape);
      if (this.hasEmpty(group)) return 0;
      if (this.count(group, (c) => c === DELETED) > 0) return group;
    }
  }

  private count(group: number, is: (control: number) => boolean): number {
    let n = 0;
    for (let i = 0; i < SLOTS; i++) if (is(this.go.mem.load8(group + i))) n++;
    return n;
  }

  /** Makes deleted slots empty, where no key's search passes them: if a tenth of the table becomes
   * free that way. */
  private prune(table: number, shape: MapShape): void {
    const { mem } = this.go;
    const mask = mem.load32(table + 24);
    const each = this.groupBytes(shape);
    const groups = mem.load64(table + 16);
    const isNeeded = new Uint8Array(mask + 1);
    for (let i = 0; i <= mask; i++) {
      const group = groups + i * each;
      if (this.hasEmpty(group)) isNeeded[i] = 1;
      this.visitGroup(group, shape, (slot) => {
        const hash = shape.hashAt(slot);
        for (let g = h1(hash) & mask, step = 1; g !== i; g = (g + step++) & mask) isNeeded[g] = 1;
      });
    }
    const isDeleted = (control: number): boolean => control === DELETED;
    let free = 0;
    for (let i = 0; i <= mask; i++)
      if (isNeeded[i] === 0) free += this.count(groups + i * each, isDeleted);
    if (free * 10 < mem.load32(table)) return;
    for (let i = 0; i <= mask; i++) {
      if (isNeeded[i] === 1) continue;
      for (let at = groups + i * each; at < groups + i * each + SLOTS; at++)
        if (mem.load8(at) === DELETED) mem.store8(at, EMPTY);
    }
    mem.store32(table + 4, mem.load32(table + 4) + free);
  }

  private take(map: number, group: number, key: number, hash: number, shape: MapShape): number {
    const { mem } = this.go;
    mem.store32(map, this.size(map) + 1);
    const slot = this.place(group, hash, shape);
    shape.storeKey(slot, key);
    return slot;
  }

  /** The first slot of a group that is empty or deleted; the group has one. */
  private place(group: number, hash: number, shape: MapShape): number {
    const { mem } = this.go;
    let i = 0;
    while (mem.load8(group + i) < EMPTY) i++;
    mem.store8(group + i, h2(hash));
    return group + 8 + i * shape.slotBytes;
  }

  /** A table: | capacity | growthLeft | localDepth | index | groups | mask | */
  private newTable(capacity: number, depth: number, index: number, shape: MapShape): number {
    const { go } = this;
    const table = go.new(TABLE_BYTES, shape.tableType);
    go.mem.store32(table, capacity);
    go.mem.store32(table + 4, (capacity * 7) / 8);
    go.mem.store32(table + 8, depth);
    go.mem.store32(table + 12, index);
    go.mem.store32(table + 24, capacity / SLOTS - 1);
    go.storePointer(table + 16, this.newGroups(capacity / SLOTS, shape));
    return table;
  }

  private firstTable(map: number, shape: MapShape): void {
    const { go } = this;
    const { mem } = go;
    const group = mem.load64(map + 16);
    const table = this.newTable(2 * SLOTS, 0, 0, shape);
    this.moveGroup(group, [table], 0, shape);
    const dir = go.new(8, shape.directoryType);
    go.storePointer(dir, table);
    go.storePointer(map + 16, dir);
    mem.store32(map + 24, 1);
  }

  /** Moves a group's entries to the table of `to` that bit `bit` of their hash chooses. */
  private moveGroup(group: number, to: readonly number[], shift: number, shape: MapShape): void {
    const { mem } = this.go;
    for (let i = 0; i < SLOTS; i++) {
      const control = mem.load8(group + i);
      if (control === EMPTY || control === DELETED) continue;
      const from = group + 8 + i * shape.slotBytes;
      const hash = shape.hashAt(from);
      const table = to[to.length === 1 ? 0 : (hash >>> shift) & 1];
      mem.store32(table + 4, mem.load32(table + 4) - 1);
      shape.move(this.place(this.groupWithRoom(table, hash, shape), hash, shape), from);
    }
  }

  private grow(map: number, table: number, shape: MapShape): void {
    const { go } = this;
    const { mem } = go;
    const capacity = mem.load32(table);
    const depth = mem.load32(table + 8);
    if (capacity < MAX_CAPACITY) {
      const bigger = this.newTable(capacity * 2, depth, mem.load32(table + 12), shape);
      this.moveAll(table, [bigger], 0, shape);
      this.replace(map, table, [bigger]);
      return;
    }
    const index = mem.load32(table + 12);
    const left = this.newTable(capacity, depth + 1, index, shape);
    const right = this.newTable(capacity, depth + 1, index, shape);
    this.moveAll(table, [left, right], 31 - depth, shape);
    this.replace(map, table, [left, right]);
  }

  private moveAll(table: number, to: readonly number[], shift: number, shape: MapShape): void {
    const { mem } = this.go;
    const groups = mem.load64(table + 16);
    const count = mem.load32(table) / SLOTS;
    for (let g = 0; g < count; g++)
      this.moveGroup(groups + g * this.groupBytes(shape), to, shift, shape);
  }

  /** Puts one or two tables where `old` was in the directory, doubling it where it is too short. */
  private replace(map: number, old: number, tables: readonly number[]): void {
    const { go } = this;
    const { mem } = go;
    const length = mem.load32(map + 24);
    const depth = mem.load32(old + 8);
    let dir = mem.load64(map + 16);
    if (tables.length === 2 && 2 ** depth === length) {
      const twice = go.new(16 * length, go.types.leading(8, 1));
      for (let i = 0; i < 2 * length; i++)
        go.storePointer(twice + 8 * i, mem.load64(dir + 8 * (i >> 1)));
      go.storePointer(map + 16, twice);
      mem.store32(map + 24, 2 * length);
      dir = twice;
    }
    const now = mem.load32(map + 24);
    const bits = Math.log2(now) - depth - 1;
    for (let i = 0; i < now; i++) {
      if (mem.load64(dir + 8 * i) !== old) continue;
      go.storePointer(dir + 8 * i, tables[tables.length === 1 ? 0 : (i >> bits) & 1]);
    }
  }

  delete(map: number, key: number, shape: MapShape): void {
    const { mem } = this.go;
    const slot = this.find(map, key, shape);
    if (slot === 0) return;
    mem.store32(map, this.size(map) - 1);
    const { group, table, i } = this.placeOf(map, slot, shape.hash(key), shape);
    const reusable = table === 0 || this.hasEmpty(group);
    shape.clear(slot);
    mem.store8(group + i, reusable ? EMPTY : DELETED);
    if (reusable && table !== 0) mem.store32(table + 4, mem.load32(table + 4) + 1);
  }

  private placeOf(
    map: number,
    slot: number,
    hash: number,
    shape: MapShape,
  ): { group: number; table: number; i: number } {
    const { mem } = this.go;
    const dir = mem.load64(map + 16);
    const length = mem.load32(map + 24);
    const table = length === 0 ? 0 : mem.load64(dir + 8 * tableIndex(hash, length));
    const groups = table === 0 ? dir : mem.load64(table + 16);
    const each = this.groupBytes(shape);
    const group = groups + Math.floor((slot - groups) / each) * each;
    return { group, table, i: (slot - group - 8) / shape.slotBytes };
  }

  /** Calls visit with each slot. */
  forEach(map: number, shape: MapShape, visit: (slot: number) => void): void {
    const { mem } = this.go;
    const dir = mem.load64(map + 16);
    if (dir === 0) return;
    const length = mem.load32(map + 24);
    if (length === 0) this.visitGroup(dir, shape, visit);
    let last = 0;
    for (let d = 0; d < length; d++) {
      const table = mem.load64(dir + 8 * d);
      if (table === last) continue;
      last = table;
      const groups = mem.load64(table + 16);
      const count = mem.load32(table) / SLOTS;
      for (let g = 0; g < count; g++)
        this.visitGroup(groups + g * this.groupBytes(shape), shape, visit);
    }
  }

  private visitGroup(group: number, shape: MapShape, visit: (slot: number) => void): void {
    for (let i = 0; i < SLOTS; i++)
      if (this.go.mem.load8(group + i) < EMPTY) visit(group + 8 + i * shape.slotBytes);
  }
}

function powerOfTwo(n: number): number {
  return 2 ** Math.ceil(Math.log2(n));
}
/** Which entry of a directory of `length` tables: the top bits of the hash. */
function tableIndex(hash: number, length: number): number {
  return length === 1 ? 0 : hash >>> (32 - Math.log2(length));
}
function h1(hash: number): number {
  return (hash >>> 7) & 0xffff;
}
function h2(hash: number): number {
  return hash & 0x7f;
}
