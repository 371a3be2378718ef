// The neutral heap interface: a program is written once and runs on Go's heap and on CPython's.
//
//   the program says              Go lays out                      CPython lays out
//   record { id: 'int' … }        a struct, fields in place        an instance and its values
//   tuple('int', 'int')           a struct, by value               a tuple of objects
//   list('int')                   a slice of 8-byte integers       a list of pointers to int
//   list(Record)                  a slice of structs               a list of pointers to instances
//   list(list('float'))           a slice of slices                a list of lists
//   map('string', 'int')          a swiss table of key and value   a dict of pointers
//   set(Point)                    map[Point]struct{}               a set of pointers
//   deque('ref')                  a slice: append(q, x), q[1:]     collections.deque
//   closure { n: 'int' }          a func value with what it        a function, a tuple, and a cell
//                                 captures                         for each captured variable
//   stream(of, room, body)        a goroutine and a channel        a generator
//   builder()                     strings.Builder                  a list of pieces, "".join
//   bytes(n)                      make([]byte, n)                  bytearray(n)
//   'ref'                         a pointer                        a pointer
//
// Integers, floats and truth values are JavaScript numbers here: where they live (in place, or each
// an object of its own) is the runtime's business. Everything else is a Ref, the address of what
// it names: never zero but for nil or None. A Ref is held by the scope in which it was
// obtained, as by a local variable, until that scope ends; call() hands one to the scope outside,
// local() makes a variable that is assigned to. Where a programmer would write it differently in
// the two languages, a program asks `heap.runtime === 'go'`.
//
// A program does its real computation and returns what it prints, so that both forms can be
// checked against each other and against the real programs.

import { InputError } from '../../kernel/errors.ts';

/** Address of an object, or of a Go value; 0 is nil or None. */
export type Ref = number;

/** Numbers: `int` is Go's int (64 bits), `byte` its uint8; all whole ones are Python's int. */
export type IntKind = 'int' | 'int32' | 'int16' | 'byte';
export type ScalarKind = IntKind | 'float' | 'float32' | 'bool';
/**
 * What a field, an item or a value is. A RecordType is the record itself, not a reference to it.
 */
export type Kind = ScalarKind | 'string' | 'ref' | ListType | MapType | TupleType | RecordType;

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

/** A value of several parts: a small struct in Go, passed by value; a tuple in Python. */
export interface TupleType {
  readonly type: 'tuple';
  readonly kinds: readonly Kind[];
  make(...values: number[]): Ref;
  /** Part i, 0 <= i < kinds.length. */
  get(tuple: Ref, i: number): number;
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
  /** list[from:to]: in Go the same array, in Python a copy. */
  slice(list: Ref, from: number, to: number): Ref;
  /** A list of its own with the same items: copy(), list(). */
  copy(list: Ref): Ref;
  /** Appends all items of another: append(a, b...), a.extend(b). */
  extend(list: Ref, other: Ref): void;
  /** Puts an item before index i; takes the item at i out. */
  insert(list: Ref, i: number, value: number): void;
  remove(list: Ref, i: number): void;
  /** Takes the items from..to-1 out: slices.Delete(), del list[from:to]. */
  removeRange(list: Ref, from: number, to: number): void;
  /**
   * Sorts in place, equal items in their order: sort.SliceStable, list.sort(key=).
   * @param key what a Python programmer would give as the key: a number or a text.
   */
  sort(list: Ref, key: (item: number) => number | string): void;
}

export interface MapType {
  readonly type: 'map';
  readonly key: Kind;
  readonly of: Kind;
  /** An empty map; with room for `capacity` entries where the language can say so. */
  make(capacity?: number): Ref;
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

/** A set of numbers, strings or tuples. */
export interface SetType {
  readonly key: Kind;
  make(): Ref;
  size(set: Ref): number;
  has(set: Ref, key: number): boolean;
  add(set: Ref, key: number): void;
  delete(set: Ref, key: number): void;
  each(set: Ref, turn: (key: number) => void): void;
}

/** A queue that grows at its end and is taken from at its front. */
export interface DequeType {
  readonly of: Kind;
  make(): Ref;
  length(deque: Ref): number;
  push(deque: Ref, value: number): void;
  /** Takes the first item out of a deque that has one. */
  shift(deque: Ref): number;
}

/** A function with the variables that it captures, which it may assign to. */
export interface ClosureType<F extends string = string> {
  readonly captured: Readonly<Record<F, Field>>;
  /** A new closure; `values` in the order of the captured variables. */
  make(...values: number[]): Ref;
}

/** Values made one after the other by a task of its own. */
export interface StreamType {
  readonly of: Kind;
  /**
   * Starts a stream: `go func() { … ch <- v … }()`, a generator. `body` runs when the first value
   * is wanted; what it obtains lives as long as the stream. The function that it returns makes the
   * next value, in a scope of its own; undefined ends the stream.
   */
  make(body: () => () => number | undefined): Ref;
  /** Takes the next value; undefined where there is none any more. */
  next(stream: Ref): number | undefined;
  /** A loop over all values, each turn a scope. */
  each(stream: Ref, turn: (value: number) => void): void;
}

/** Bytes that are added at the end and dropped at the front: a []byte, a bytearray. */
export interface ByteQueue {
  length(): number;
  /** Adds `count` bytes. */
  write(count: number): void;
  /** Drops the first `count`. */
  drop(count: number): void;
}

/** How records of a type are laid out, where a language has a choice. */
export interface RecordOptions {
  /** Python: __slots__, and no dict. */
  readonly slots?: boolean;
}

/** Pieces of text that become one string. */
export interface Builder {
  write(s: Ref): void;
  /** The string. */
  done(): Ref;
}

/** A local variable that is assigned to; it holds what it was given last. */
export interface Local {
  get(): number;
  set(value: number): void;
}

export interface Heap {
  readonly runtime: 'go' | 'python';
  /** Lines that print() was given. */
  readonly printed: string[];
  record<const F extends Readonly<Record<string, Kind>>>(
    name: string,
    fields: F,
    options?: RecordOptions,
  ): RecordType<F>;
  list(of: Kind): ListType;
  map(key: Kind, of: Kind): MapType;
  tuple(...kinds: Kind[]): TupleType;
  set(key: Kind): SetType;
  deque(of: Kind): DequeType;
  /** `assigned`: captured variables that change after they were captured. */
  closure<F extends string>(
    captured: Readonly<Record<F, Kind>>,
    assigned?: readonly NoInfer<F>[],
  ): ClosureType<F>;
  /** @param room values that a channel holds; a generator makes one at a time. */
  stream(of: Kind, room: number): StreamType;
  /** A bound method of `self` as a value: `self.method`. */
  method(self: Ref): Ref;
  /** A value of any kind where an `any` is wanted: an interface's data, an object. */
  boxed(kind: Kind, value: number): Ref;
  /** The value in what boxed() made. */
  unboxed(kind: Kind, ref: Ref): number;
  /** A variable of the function that runs. */
  local(kind: Kind, value?: number): Local;

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
  /** The parts of a text between separators: strings.Split, str.split(sep). */
  split(type: ListType, text: Ref, separator: string): Ref;
  /** A new string that says `text`: the result of any function on strings. */
  computed(text: string): Ref;
  builder(): Builder;
  size(s: Ref): number;
  /** What the string says. */
  text(s: Ref): string;
  /** A buffer of `length` bytes, all zero, that nothing is written to; dropped as any Ref. */
  buffer(length: number): Ref;
  /** Writes every byte of a buffer's range. */
  fill(buffer: Ref, from: number, to: number, byte: number): void;
  /** A byte array of zeros, and its bytes. */
  bytes(length: number): Ref;
  byteQueue(): ByteQueue;
  byteAt(bytes: Ref, i: number): number;
  setByte(bytes: Ref, i: number, value: number): void;

  /** `import name` of the standard library, when it runs: a Go program has it linked. */
  imports(name: string): void;
  /** Prints a line. */
  print(text: string): void;
  /** A comment of the recorded programs that a variant acts on: `gc.freeze` at "built". */
  mark(name: string): void;
}

/** A program: its last line, after what print() was given. `scale` is 1 for the size it was
 * recorded with; less for tests. */
export type Program = (heap: Heap, scale: number) => string | undefined;

/** Runs a program as a process's main. @returns all that it prints. */
export function runProgram(heap: Heap, program: Program, scale: number): string {
  heap.printed.length = 0;
  const last = program(heap, scale);
  return [...heap.printed, ...(typeof last === 'string' ? [last] : [])].join('\n');
}

/** The generator that all programs use: 32 bits, the same in each language. */
export function newRandom(seed = 1): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % n;
  };
}

/** The generator of the programs whose allocator calls were recorded: 31 bits. */
export function newRandom31(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) % n;
  };
}

/** The record type of a list of records. */
export function recordOf(kind: Kind): RecordType {
  if (typeof kind === 'string' || kind.type !== 'record')
    throw new InputError('', 'add() is for lists of records');
  return kind;
}

export function isInt(kind: Kind): kind is IntKind | 'bool' {
  return typeof kind === 'string' && ['int', 'int32', 'int16', 'byte', 'bool'].includes(kind);
}
export function isFloat(kind: Kind): kind is 'float' | 'float32' {
  return kind === 'float' || kind === 'float32';
}

/** Which item comes to each place when items with these keys are sorted, equals in their order. */
export function sortedOrder(keys: readonly (number | string)[]): number[] {
  const order = keys.map((_, i) => i);
  return order.sort((a, b) => {
    const [x, y] = [keys[a], keys[b]];
    return x < y ? -1 : x > y ? 1 : a - b;
  });
}
