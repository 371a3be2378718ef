// The kinds of objects that the table of types knows, and what it holds for each.
//
// A kind stands for the C code of a type (its tp_dealloc, tp_traverse …); the classes of a program
// share one. The lowest file of the object layer: it knows no other.

/** Called for every object that an object refers to, its address in two words. */
export interface Visitor {
  visit(lo: number, hi: number): void;
  /** Visits what `count` pointers refer to, NULLs left out, that lie within one page: at word
   * `index` of the store, and every `step` words from there. */
  visitRow(index: number, count: number, step: number): void;
}

/** What the table of types holds for each kind of object. */
export interface TypeOps {
  readonly name: string;
  /** Has a collector's head before it. */
  readonly isGc: boolean;
  /**
   * Tears the object down, its count being 0. What it refers to it gives up with core.drop(); where
   * that says that a member has died as well, dealloc() returns a position of its own choice above
   * 0, and is called with it again once the member is gone. @returns 0 when all is done.
   */
  dealloc(op: number, position: number): number;
  traverse?(op: number, visitor: Visitor): void;
  clear?(op: number): void;
  /** sys.getsizeof() without the collector's head. */
  sizeOf(op: number): number;
  /** type(op).__name__ where the kind has several. */
  nameOf?(op: number): string;
  /** Whether the object has a tp_finalize (before 3.4: a __del__). */
  hasFinalizer?(op: number): boolean;
  /** Calls it. The caller sees to it that this happens once. */
  finalize?(op: number): void;
  /** Where the list of weak references starts; 0 if the object supports none. */
  weakrefs?(op: number): number;
}

export const KIND_NONE = 0;
export const KIND_INT = 1;
export const KIND_FLOAT = 2;
export const KIND_STR = 3;
export const KIND_BYTES = 4;
export const KIND_TUPLE = 5;
export const KIND_LIST = 6;
export const KIND_DICT = 7;
export const KIND_SET = 8;
export const KIND_WEAKREF = 9;
export const KIND_INSTANCE = 10;
export const KIND_FUNCTION = 11;
export const KIND_GENERATOR = 12;
export const KIND_CELL = 13;
export const KIND_METHOD = 14;
export const KIND_FRAME = 15;
export const KIND_SLICE = 16;
export const KIND_RANGE = 17;
export const KIND_ITERATOR = 18;
export const KIND_CODE = 19;
export const KIND_BYTEARRAY = 20;
export const KIND_DEQUE = 21;
export const NR_KINDS = 22;
