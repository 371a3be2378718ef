// The neutral heap interface: a program is written once and runs on Go's heap and on CPython's.
//
//   the program says              Go lays out                      CPython lays out
//   record { id: 'int' … }        a struct, fields in place        an instance and its values
//   list('int')                   a slice of 8-byte integers       a list of pointers to int
//   objects list(Record)                  a slice of structs               a list of pointers to
//   instances map('string', 'int')          a swiss table of key and value   a dict of pointers
//   'ref'                         a pointer                        a pointer
//
// Integers, floats and truth values are JavaScript numbers here: where they live (in place, or each
// an object of its own) is the runtime's business. Everything else is a Ref, the address of what
// it names: never zero but for nil or None. A Ref is held by the scope in which it was
// obtained, as by a local variable, until that scope ends; call() hands one to the scope outside.
//
// A program does its real computation and returns what it prints, so that both forms can be
// checked against each other and against the real programs.

import { InputError } from '../../kernel/errors.ts';

/** Address of an object, or of a Go value; 0 is nil or None. */
export type Ref = number;

export type ScalarKind = 'int' | 'float' | 'bool';
/**
 * What a field, an item or a value is. A RecordType is the record itself, not a reference to it.
 */
export type Kind = ScalarKind | 'string' | 'ref' | ListType | MapType | RecordType;

/** One field of a record. Values are numbers or Refs by the field's kind. */
export interface Field {
  readonly name: string;
  readonly kind: Kind;
  get(record: Ref): number;
  set(record: Ref, value: number): void;
}

export interface RecordType<
  F extends Readonly<Record<string, Kind>> = Readonly<Record<string, Kind>>,
> {
  readonly type: 'record';
  readonly name: string;
  readonly fields: { readonly [K in keyof F]: Field };
  /** A new record; `values` in the order of the fields. */
  make(...values: number[]): Ref;
}

export interface ListType {
  readonly type: 'list';
  readonly of: Kind;
  /** An empty list; with room for `capacity` items where the language can say so. */
  make(capacity?: number): Ref;
  /** A list of `length` zeros or nils. */
  filled(length: number): Ref;
  length(list: Ref): number;
  /** Item i, 0 <= i < length. */
  get(list: Ref, i: number): number;
  set(list: Ref, i: number, value: number): void;
  push(list: Ref, value: number): void;
  /** Appends a new record, its values in the order of its fields; for lists of records. In Go it is
   * made in its place. */
  add(list: Ref, ...values: number[]): void;
  /** Takes the last item out of a list that has one. */
  pop(list: Ref): number;
  /** A loop over the items, each turn a scope of its own. */
  each(list: Ref, turn: (item: number, i: number) => void): void;
}

export interface MapType {
  readonly type: 'map';
  readonly key: 'int' | 'string';
  readonly of: Kind;
  make(): Ref;
  size(map: Ref): number;
  has(map: Ref, key: number): boolean;
  /** The value of a key; 0 if there is none. */
  get(map: Ref, key: number): number;
  set(map: Ref, key: number, value: number): void;
  delete(map: Ref, key: number): void;
  /** A loop over the entries, each turn a scope; the map does not change meanwhile. The order is
   * the runtime's. */
  each(map: Ref, turn: (key: number, value: number) => void): void;
}

export interface Heap {
  readonly runtime: 'go' | 'python';
  record<const F extends Readonly<Record<string, Kind>>>(name: string, fields: F): RecordType<F>;
  list(of: Kind): ListType;
  map(key: 'int' | 'string', of: Kind): MapType;

  /** A block: what it obtains is dropped at its end. */
  scope<T>(body: () => T): T;
  /** A function that returns a Ref: all else that it obtains is dropped. */
  call(body: () => Ref): Ref;
  /** A loop of n turns, each a scope. */
  loop(n: number, turn: (i: number) => void): void;
  /** The local variable that holds `ref` is set to nil or None. */
  drop(ref: Ref): void;

  /** A literal of the program's text, ASCII. */
  string(text: string): Ref;
  /** a + b */
  concat(a: Ref, b: Ref): Ref;
  /** The decimal digits of an integer. */
  digits(n: number): Ref;
  /** s[i:j] */
  slice(s: Ref, from: number, to: number): Ref;
  /** The strings of a list('string') with a separator between them. */
  join(type: ListType, strings: Ref, separator: string): Ref;
  /** The words of a text, split at spaces. */
  words(type: ListType, text: Ref): Ref;
  size(s: Ref): number;
  /** What the string says. */
  text(s: Ref): string;
  /** A buffer of `length` bytes, all zero, that nothing is written to; dropped as any Ref. */
  buffer(length: number): Ref;
  /** Writes every byte of a buffer's range. */
  fill(buffer: Ref, from: number, to: number, byte: number): void;

  /** A comment of the recorded programs that a variant acts on: `gc.freeze` at "built". */
  mark(name: string): void;
}

/** A program: what it prints. `scale` is 1 for the size it was recorded with; less for tests. */
export type Program = (heap: Heap, scale: number) => string;

/** The generator that all programs use: 32 bits, the same in each language. */
export function newRandom(seed = 1): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % n;
  };
}

/** The record type of a list of records. */
export function recordOf(kind: Kind): RecordType {
  if (typeof kind === 'string' || kind.type !== 'record')
    throw new InputError('', 'add() is for lists of records');
  return kind;
}
