// What every Python object has in common: the header, reference counts, and the way to its type.
//
//     | _gc_next | _gc_prev |   collector's head, 16 bytes before containers (gc.ts)
//  op | ob_refcnt | ob_type |   then what the type adds
//
// ob_type leads to a type object in memory, whose tp_dealloc names the code: here an entry point in
// a text section that is never executed, entry i belonging to row i of the table of types. When a
// count falls to 0 the object is deallocated there and then, its members with it.
//
// In C deep nesting would recurse as deep, so containers pass a trashcan: past 50 nested
// deallocations an object is put on a list (threaded through its _gc_prev) and dealt with when the
// stack has unwound. 3.13 counts down from 10,000 levels instead and starts again from 100 levels
// above the bottom. The order in which objects go shows it, so it is kept here; our own stack is an
// array, and needs no such care.
//
// Invariant: an object whose count is at or above 2^31 (3.12: "immortal") never changes it.
// Source: CPython 3.11 Include/object.h, Objects/object.c _PyTrash_*; 3.12 Include/object.h.

import { assert } from '../../kernel/errors.ts';
import type { CachedMemory } from '../cached-memory.ts';
import { NR_KINDS, type TypeOps, type Visitor } from './kinds.ts';
import type { Obmalloc } from './obmalloc.ts';
import type { Profile } from './profile.ts';
import type { RawAllocator } from './raw-allocator.ts';
import type { StaticData } from './static-data.ts';

/** What objects ask of the collector. */
export interface GcAllocator {
  alloc(bytes: number, presize?: number): number;
  del(op: number, presize?: number): void;
  track(op: number): void;
  untrack(op: number): void;
  isTracked(op: number): boolean;
  mayBeTracked(op: number): boolean;
  isFinalized(op: number): boolean;
  setFinalized(op: number): void;
}

/** Sees every call to the object and memory domains. */
export interface AllocObserver {
  allocated(p: number, bytes: number): void;
  freed(p: number): void;
  reallocated(from: number, to: number, bytes: number): void;
}

const TYPE_BYTES = 416;
export const TP_DEALLOC = 48;
export const TYPE_CACHE_MASK = 63;
/** Where the table of entry points pretends to lie; only its low word is stored and compared. */
export const TEXT_BASE = 0x00401000;
const UNWIND_LEVEL = 50;
const C_RECURSION_LIMIT = 10000;
const HEADROOM = 50;

export class ObjectCore {
  readonly mem: CachedMemory;
  readonly data: StaticData;
  readonly profile: Profile;
  readonly obmalloc: Obmalloc;
  /** What serves the object and memory domains: obmalloc, or debug hooks around it. */
  allocator: RawAllocator;
  /** Set once by the runtime: the C library's allocator. */
  raw!: RawAllocator;
  /** Set once by the runtime; every container needs it. */
  gc!: GcAllocator;
  observer: AllocObserver | null = null;
  /** Rows of the table of types, by kind. */
  readonly ops: TypeOps[] = [];
  readonly knownLo = new Int32Array(TYPE_CACHE_MASK + 1);
  readonly knownHi = new Int32Array(TYPE_CACHE_MASK + 1);
  readonly knownKind = new Uint8Array(TYPE_CACHE_MASK + 1);
  readonly gcKinds = new Uint8Array(NR_KINDS);
  private readonly staticTypes = new Float64Array(NR_KINDS);
  /** Objects that are being taken down, outermost first, and how far each has come. */
  private dying = new Float64Array(64);
  private positions = new Int32Array(64);
  private depth = 0;
  private trashDepth = 0;
  private trashLater = 0;

  constructor(mem: CachedMemory, data: StaticData, profile: Profile, obmalloc: Obmalloc) {
    this.mem = mem;
    this.data = data;
    this.profile = profile;
    this.obmalloc = obmalloc;
    this.allocator = obmalloc;
  }

  // the allocator's two domains, which pymalloc serves alike -----------------------------------

  /** With the 8-byte alignment of 2.7 heads could cross a page: sizes are rounded up to 16 there,
   * so that no object does (a departure; classes of odd multiples of 8 stay unused by objects). */
  private rounded(bytes: number): number {
    return this.profile.alignShift === 4 ? bytes : (bytes + 15) & -16;
  }

  malloc(bytes: number): number {
    const p = this.allocator.malloc(this.rounded(bytes));
    assert(p !== 0, 'MemoryError: the process has no memory left');
    if (this.observer !== null) this.observer.allocated(p, bytes);
    return p;
  }
  calloc(bytes: number): number {
    const p = this.allocator.calloc(1, this.rounded(bytes));
    assert(p !== 0, 'MemoryError: the process has no memory left');
    if (this.observer !== null) this.observer.allocated(p, bytes);
    return p;
  }
  realloc(p: number, bytes: number): number {
    const q = this.allocator.realloc(p, this.rounded(bytes));
    assert(q !== 0, 'MemoryError: the process has no memory left');
    if (this.observer !== null) {
      if (p === 0) this.observer.allocated(q, bytes);
      else this.observer.reallocated(p, q, bytes);
    }
    return q;
  }
  free(p: number): void {
    if (this.observer !== null && p !== 0) this.observer.freed(p);
    this.allocator.free(p);
  }

  // PyMem_Malloc() and its like: up to 3.5 these are the C library's own -----

  memMalloc(bytes: number): number {
    return this.profile.memIsRaw ? this.raw.malloc(bytes) : this.malloc(bytes);
  }
  memCalloc(bytes: number): number {
    return this.profile.memIsRaw ? this.raw.calloc(1, bytes) : this.calloc(bytes);
  }
  memRealloc(p: number, bytes: number): number {
    return this.profile.memIsRaw ? this.raw.realloc(p, bytes) : this.realloc(p, bytes);
  }
  memFree(p: number): void {
    if (this.profile.memIsRaw) this.raw.free(p);
    else this.free(p);
  }

  // types ------------------------------------------------------------------------------------

  /** Enters a built-in type: its row, and its type object in the data section. */
  register(kind: number, ops: TypeOps): number {
    this.ops[kind] = ops;
    this.gcKinds[kind] = ops.isGc ? 1 : 0;
    const type = this.data.variable(TYPE_BYTES, 32);
    this.initType(type, kind);
    this.staticTypes[kind] = type;
    return type;
  }

  /** Fills in a type object whose instances are of a kind. */
  initType(type: number, kind: number): void {
    this.mem.store32(type, this.profile.immortal ? -1 : 1);
    this.mem.store64(type + TP_DEALLOC, TEXT_BASE + kind * 16);
  }

  /** Address of a built-in type. */
  typeOfKind(kind: number): number {
    return this.staticTypes[kind];
  }
  /** Address of an object's type. */
  typeOf(op: number): number {
    return this.mem.load64(op + 8);
  }
  kindOf(op: number): number {
    const i = this.mem.touch(op + 8, false);
    return this.kindOfType(this.mem.words[i], this.mem.words[i + 1]);
  }
  /** The kind of a type's objects; the types that were asked for last are remembered. */
  kindOfType(lo: number, hi: number): number {
    const k = (lo >>> 5) & TYPE_CACHE_MASK;
    if (this.knownLo[k] === lo && this.knownHi[k] === hi) return this.knownKind[k];
    const kind = (this.mem.load32(hi * 4294967296 + (lo >>> 0) + TP_DEALLOC) - TEXT_BASE) >> 4;
    this.knownLo[k] = lo;
    this.knownHi[k] = hi;
    this.knownKind[k] = kind;
    return kind;
  }
  /** kindOf() for an address in two words. */
  kindAt(lo: number, hi: number): number {
    const m = this.mem;
    // An address of the old 8-byte alignment can have its type on the next page.
    const isSplit = (lo & 0xfff) === 0xff8;
    const i = isSplit ? m.touchWords(lo + 8, hi, false) - 2 : m.touchWords(lo, hi, false);
    return this.kindOfType(m.words[i + 2], m.words[i + 3]);
  }
  /** Whether objects of a kind have a collector's head. */
  isGcKind(kind: number): boolean {
    return this.gcKinds[kind] !== 0;
  }

  /** Visits `count` references that lie in a row from `at` on, last to first if `backwards`; NULLs
   * are left out. Looks a page up once. */
  visitArray(at: number, count: number, backwards: boolean, visitor: Visitor): void {
    const m = this.mem;
    for (let done = 0; done < count;) {
      const from = backwards ? at + 8 * (count - done - 1) : at + 8 * done;
      const offset = from & 0xfff;
      const inPage = backwards ? (offset >>> 3) + 1 : (4096 - offset) >>> 3;
      const n = count - done < inPage ? count - done : inPage;
      visitor.visitRow(m.touch(from, false), n, backwards ? -2 : 2);
      done += n;
    }
  }

  /** Visits one object by its address. */
  visitOne(op: number, visitor: Visitor): void {
    visitor.visit(op | 0, (op / 4294967296) | 0);
  }
  isGc(op: number): boolean {
    return this.gcKinds[this.kindOf(op)] !== 0;
  }

  /** type(op).__name__ */
  typeName(op: number): string {
    const ops = this.ops[this.kindOf(op)];
    return ops.nameOf?.(op) ?? ops.name;
  }

  // reference counts -------------------------------------------------------------------------

  /** Makes a header: one reference, of a type. */
  init(op: number, type: number): void {
    const m = this.mem;
    const i = m.touch(op, true);
    const w = m.words;
    w[i] = 1;
    w[i + 1] = 0;
    m.store64(op + 8, type);
  }
  refcount(op: number): number {
    return this.mem.load32(op);
  }
  isImmortal(op: number): boolean {
    return this.mem.load32(op) < 0;
  }
  incref(op: number): void {
    const m = this.mem;
    const i = m.touch(op, true);
    if (m.words[i] >= 0) m.words[i]++;
  }
  decref(op: number): void {
    const m = this.mem;
    const i = m.touch(op, true);
    const n = m.words[i];
    if (n < 0) return;
    m.words[i] = n - 1;
    if (n === 1) this.dealloc(op);
    else assert(n > 0, 'decref: the object is alive');
  }
  /** decref() of what may be NULL. */
  xdecref(op: number): void {
    if (op !== 0) this.decref(op);
  }
  /** decref() for dealloc(): a member that dies is taken down by the loop in dealloc(), not by a
   * call in a call. @returns whether it died and has to be waited for. */
  drop(op: number): boolean {
    const m = this.mem;
    const i = m.touch(op, true);
    const w = m.words;
    const n = w[i];
    if (n < 0) return false;
    w[i] = n - 1;
    if (n !== 1) return false;
    const isSplit = (op & 0xfff) === 0xff8;
    const kind = isSplit ? this.kindOf(op) : this.kindOfType(w[i + 2], w[i + 3]);
    if (this.gcKinds[kind] === 0) {
      this.ops[kind].dealloc(op, 0);
      return false;
    }
    this.push(op);
    return true;
  }

  private push(op: number): void {
    if (this.depth === this.dying.length) {
      const more = new Float64Array(this.depth * 2);
      more.set(this.dying);
      this.dying = more;
      const positions = new Int32Array(this.depth * 2);
      positions.set(this.positions);
      this.positions = positions;
    }
    this.dying[this.depth] = op;
    this.positions[this.depth++] = 0;
  }

  /** Takes an object down whose count is 0, and all that dies with it, members before the rest of
   * their container, at any depth of nesting. */
  dealloc(op: number): void {
    const bottom = this.depth;
    this.push(op);
    while (this.depth > bottom) {
      const at = this.depth - 1;
      const top = this.dying[at];
      const next = this.ops[this.kindOf(top)].dealloc(top, this.positions[at]);
      if (next !== 0) this.positions[at] = next;
      else this.depth = at;
    }
  }

  // the trashcan -----------------------------------------------------------------------------

  /** Opens a container's deallocation. @returns false if it was put off: the caller returns. */
  trashBegin(op: number): boolean {
    const limit = this.profile.countsRecursion ? C_RECURSION_LIMIT - HEADROOM : UNWIND_LEVEL;
    if (this.trashDepth >= limit) {
      // Bit 0 of _gc_prev, "finalized", is not ours to lose.
      this.mem.store64(op - 8, this.trashLater + (this.mem.load32(op - 8) & 1));
      this.trashLater = op;
      return false;
    }
    this.trashDepth++;
    return true;
  }

  trashEnd(): void {
    this.trashDepth--;
    if (this.trashLater === 0) return;
    if (this.profile.countsRecursion) {
      if (this.trashDepth >= C_RECURSION_LIMIT - 2 * HEADROOM) return;
    } else if (this.trashDepth > 0) return;
    this.trashDepth++;
    while (this.trashLater !== 0) {
      const op = this.trashLater;
      const link = this.mem.load64(op - 8);
      this.trashLater = link - (link & 1);
      this.mem.store64(op - 8, link & 1);
      this.dealloc(op);
    }
    this.trashDepth--;
  }
}
