// A graph of objects as plain data: what a saved machine holds, besides its header.
//
// Every object that can be reached from the roots is a node; its fields are values or references to
// nodes. Typed arrays are views on buffers, of which the pieces that are not all zeros are kept:
// most of a machine's RAM and of its mem_map is.
//
// Functions are not data. A machine's are the wiring that its constructors make, so a graph is read
// into a machine of the same make: a saved object takes the place of the object that is there under
// the same path, and that one's functions stay. What has no counterpart is made from its class's
// prototype. An object with functions that has no counterpart was the running program's own (its
// stack, a listener): it is left out, as null or from its array; a program's course is no data.
//
// Invariants: but for that, reading what was written gives the same graph, identities included;
// constants of the program (tables of profiles) are named, not copied.

import { InputError } from '../../kernel/errors.ts';

/** A number, string, boolean or null; `[n]` refers to node n; `{ v }` names what JSON lacks. */
export type Value = number | string | boolean | null | readonly [number] | { readonly v: string };

export type Node =
  /** Number n of the program's constants. */
  | { readonly k: number }
  | { readonly array: readonly Value[] }
  | { readonly map: readonly (readonly [Value, Value])[] }
  | { readonly set: readonly Value[] }
  /** A typed array: its kind, its buffer, offset in bytes, length in items. */
  | { readonly view: string; readonly b: number; readonly o: number; readonly n: number }
  /** An object: its class, its fields, the names of those that are functions. */
  | {
      readonly c: string;
      readonly f: Readonly<Record<string, Value>>;
      readonly fn: readonly string[];
    };

export interface Buffer {
  readonly bytes: number;
  readonly shared: boolean;
  /** [offset in the buffer, length] of each piece; their bytes lie one behind the other. */
  readonly pieces: readonly (readonly [number, number])[];
}

export interface Graph {
  readonly root: Value;
  readonly nodes: readonly Node[];
  readonly buffers: readonly Buffer[];
  readonly data: Uint8Array;
}

/** Stands for an object that has no place in the machine it is read into. */
const LEFT_OUT = Symbol('left out');

type Anything = Record<string, unknown>;
type View = Int32Array;

const PIECE = 4096;
const SPECIAL = new Map<string, unknown>([
  ['undefined', undefined],
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
  ['-0', -0],
]);
const VIEWS = {
  Int8Array,
  Uint8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float64Array,
} as const;

/** The objects below the program's constants, in an order that is the same in every run. */
export function constantObjects(constants: readonly object[]): object[] {
  const found = new Set<object>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || found.has(value)) return;
    found.add(value);
    if (!ArrayBuffer.isView(value)) Object.values(value).forEach(visit);
  };
  constants.forEach(visit);
  return [...found];
}

export interface GraphOptions {
  /** What constantObjects() gave. */
  readonly constants: readonly object[];
  /** Prototypes of the classes of which objects come and go, by name. */
  readonly classes: ReadonlyMap<string, object>;
  /** Bytes of a buffer that hold anything, where that is less than all. */
  readonly used: (buffer: ArrayBufferLike) => number;
}

/** Writes the graph below `root`. */
export function writeGraph(root: object, options: GraphOptions): Graph {
  return new Writer(options).write(root);
}

class Writer {
  private readonly ids = new Map<object, number>();
  private readonly queue: object[] = [];
  private readonly nodes: Node[] = [];
  private readonly bufferIds = new Map<ArrayBufferLike, number>();
  private readonly buffers: Buffer[] = [];
  private readonly parts: Uint8Array[] = [];
  private readonly constants: Map<object, number>;
  private readonly options: GraphOptions;

  constructor(options: GraphOptions) {
    this.options = options;
    this.constants = new Map(options.constants.map((o, i) => [o, i]));
  }

  write(root: object): Graph {
    const first = this.value(root);
    for (let i = 0; i < this.queue.length; i++) this.nodes.push(this.node(this.queue[i]!));
    const data = new Uint8Array(this.parts.reduce((sum, p) => sum + p.length, 0));
    let at = 0;
    for (const part of this.parts) {
      data.set(part, at);
      at += part.length;
    }
    return { root: first, nodes: this.nodes, buffers: this.buffers, data };
  }

  private value(value: unknown): Value {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value;
      case 'number':
        if (Object.is(value, -0)) return { v: '-0' };
        return Number.isFinite(value) ? value : { v: String(value) };
      case 'object':
        if (value === null) return null;
        return [this.id(value)];
      case 'undefined':
        return { v: 'undefined' };
      default:
        throw new InputError('', `cannot save a ${typeof value}`);
    }
  }

  private id(object: object): number {
    let id = this.ids.get(object);
    if (id === undefined) {
      id = this.ids.size;
      this.ids.set(object, id);
      this.queue.push(object);
    }
    return id;
  }

  private node(object: object): Node {
    const constant = this.constants.get(object);
    if (constant !== undefined) return { k: constant };
    if (Array.isArray(object)) {
      return { array: Array.from(object, (v) => this.value(typeof v === 'function' ? null : v)) };
    }
    if (object instanceof Map) {
      return { map: Array.from(object, ([k, v]) => [this.value(k), this.value(v)] as const) };
    }
    if (object instanceof Set) return { set: Array.from(object, (v) => this.value(v)) };
    const name = className(object);
    if (ArrayBuffer.isView(object)) {
      const view = object as View;
      const b = this.buffer(view.buffer);
      return { view: name, b, o: view.byteOffset, n: view.length };
    }
    const f: Record<string, Value> = {};
    const fn: string[] = [];
    for (const [key, value] of Object.entries(object as Anything)) {
      if (typeof value === 'function') fn.push(key);
      else f[key] = this.value(value);
    }
    return { c: name, f, fn };
  }

  private buffer(buffer: ArrayBufferLike): number {
    const known = this.bufferIds.get(buffer);
    if (known !== undefined) return known;
    const id = this.buffers.length;
    this.bufferIds.set(buffer, id);
    const used = Math.min(buffer.byteLength, this.options.used(buffer));
    const pieces: [number, number][] = [];
    const bytes = new Uint8Array(buffer);
    for (let at = 0; at < used; at += PIECE) {
      const length = Math.min(PIECE, used - at);
      if (isZero(buffer, at, length)) continue;
      const last = pieces.at(-1);
      if (last !== undefined && last[0] + last[1] === at) last[1] += length;
      else pieces.push([at, length]);
    }
    for (const [at, length] of pieces) this.parts.push(bytes.slice(at, at + length));
    const shared = !(buffer instanceof ArrayBuffer);
    this.buffers.push({ bytes: buffer.byteLength, shared, pieces });
    return id;
  }
}

function isZero(buffer: ArrayBufferLike, at: number, length: number): boolean {
  const words = new Int32Array(buffer, at, length >> 2);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  const rest = new Uint8Array(buffer, at + (length & ~3), length & 3);
  return rest.every((b) => b === 0);
}

function className(object: object): string {
  const prototype = Object.getPrototypeOf(object) as { constructor: { name: string } } | null;
  return prototype === null ? 'Object' : prototype.constructor.name;
}

/**
 * Reads a graph into the objects below `live`, a root of the same make.
 * @returns the root with everything as it was written
 * @throws InputError where the graph does not hang together
 */
export function readGraph(graph: Graph, live: object, options: GraphOptions): object {
  return new Reader(graph, options).read(live);
}

class Reader {
  private readonly graph: Graph;
  private readonly options: GraphOptions;
  private readonly made: (object | undefined)[];
  private readonly taken = new Set<object>();
  private readonly buffers: (ArrayBufferLike | undefined)[] = [];
  private readonly offsets: number[] = [];
  /** Nodes whose contents are still to be read, each with the counterpart that was there. */
  private readonly queue: [id: number, there: unknown][] = [];

  constructor(graph: Graph, options: GraphOptions) {
    this.graph = graph;
    this.options = options;
    this.made = new Array<object | undefined>(graph.nodes.length);
    let at = 0;
    for (const buffer of graph.buffers) {
      this.offsets.push(at);
      for (const [, length] of buffer.pieces) at += length;
    }
  }

  read(live: object): object {
    const root = this.value(this.graph.root, live) as object;
    for (let i = 0; i < this.queue.length; i++) this.fill(...this.queue[i]!);
    return root;
  }

  private value(value: Value, there: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value;
    if ('v' in value) return SPECIAL.get(value.v);
    const id = value[0];
    const known = this.made[id];
    if (known !== undefined) return known;
    const node = this.graph.nodes[id];
    if (node === undefined) throw new InputError('', `node ${id} is missing`);
    const counterpart = this.counterpart(node, there);
    if (counterpart === undefined && 'fn' in node && node.fn.length > 0) return LEFT_OUT;
    const object = this.make(node, counterpart);
    this.made[id] = object;
    this.taken.add(object);
    this.queue.push([id, there]);
    return object;
  }

  /** The object that is there, if it can stand for the node. */
  private counterpart(node: Node, there: unknown): object | undefined {
    if (typeof there !== 'object' || there === null || this.taken.has(there)) return undefined;
    if ('k' in node) return undefined;
    if ('view' in node) {
      const view = there as View;
      const same = ArrayBuffer.isView(there) && className(there) === node.view;
      if (!same) return undefined;
      const buffer = this.buffers[node.b];
      if (buffer !== undefined) {
        return view.buffer === buffer && view.byteOffset === node.o ? there : undefined;
      }
      const whole = this.graph.buffers[node.b]!;
      const last = whole.pieces.at(-1) ?? [0, 0];
      const fits = view.buffer.byteLength === whole.bytes || whole.bytes > 2 ** 28;
      return fits && view.byteOffset === node.o && last[0] + last[1] <= view.buffer.byteLength
        ? there
        : undefined;
    }
    if ('array' in node) return Array.isArray(there) && hasFunctions(there) ? there : undefined;
    if ('map' in node) return there instanceof Map ? there : undefined;
    if ('set' in node) return there instanceof Set ? there : undefined;
    if (className(there) !== node.c) return undefined;
    return node.c !== 'Object' || hasFunctions(there) ? there : undefined;
  }

  private make(node: Node, there: object | undefined): object {
    if ('k' in node) {
      const constant = this.options.constants[node.k];
      if (constant === undefined) throw new InputError('', `constant ${node.k} is missing`);
      return constant;
    }
    if ('view' in node) return this.makeView(node, there as View | undefined);
    if (there !== undefined) return there;
    if ('array' in node) return [];
    if ('map' in node) return new Map();
    if ('set' in node) return new Set();
    if (node.c === 'Object') return {};
    const prototype = this.options.classes.get(node.c);
    if (prototype === undefined) throw new InputError('', `class ${node.c} is not known`);
    return Object.create(prototype) as object;
  }

  private makeView(node: Extract<Node, { view: string }>, there: View | undefined): object {
    let buffer = this.buffers[node.b];
    if (buffer === undefined) {
      const { bytes, shared, pieces } = this.graph.buffers[node.b]!;
      const canShare = shared && typeof SharedArrayBuffer !== 'undefined';
      buffer = there?.buffer ?? (canShare ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes));
      this.buffers[node.b] = buffer;
      const target = new Uint8Array(buffer);
      if (there !== undefined) target.fill(0, 0, this.options.used(buffer));
      let from = this.offsets[node.b]!;
      for (const [at, length] of pieces) {
        target.set(this.graph.data.subarray(from, from + length), at);
        from += length;
      }
    }
    if (there !== undefined) return there;
    const View = VIEWS[node.view as keyof typeof VIEWS];
    return new View(buffer as ArrayBuffer, node.o, node.n);
  }

  private fill(id: number, there: unknown): void {
    const node = this.graph.nodes[id]!;
    const object = this.made[id]!;
    if ('k' in node || 'view' in node) return;
    const kept = typeof there === 'object' && there !== null ? there : {};
    if ('array' in node) {
      const array = object as unknown[];
      const old = Array.isArray(kept) ? (kept as unknown[]).slice() : [];
      array.length = node.array.length;
      node.array.forEach((value, i) => {
        if (value === null && typeof old[i] === 'function') array[i] = old[i];
        else array[i] = this.value(value, old[i]);
      });
      if (array.includes(LEFT_OUT)) {
        array.splice(0, array.length, ...array.filter((v) => v !== LEFT_OUT));
      }
      return;
    }
    if ('map' in node) {
      const map = object as Map<unknown, unknown>;
      const old = kept instanceof Map ? new Map(kept as Map<unknown, unknown>) : new Map();
      map.clear();
      for (const [key, value] of node.map) {
        const k = this.value(key, undefined);
        map.set(k, this.value(value, old.get(k)));
      }
      return;
    }
    if ('set' in node) {
      const set = object as Set<unknown>;
      const old = kept instanceof Set ? [...(kept as Set<unknown>)] : [];
      set.clear();
      node.set.forEach((value, i) => set.add(this.value(value, old[i])));
      return;
    }
    const target = object as Anything;
    const from = kept as Anything;
    const old = { ...from };
    for (const [key, value] of Object.entries(node.f)) {
      const read = this.value(value, old[key]);
      target[key] = read === LEFT_OUT ? null : read;
    }
    for (const key of Object.keys(target)) {
      const isKept = key in node.f || typeof target[key] === 'function';
      if (!isKept) Reflect.deleteProperty(target, key);
    }
  }
}

/** Does an array or a plain object hold functions, a level or two down? */
function hasFunctions(object: object, depth = 2): boolean {
  return Object.values(object).some((value: unknown) => {
    if (typeof value === 'function') return true;
    if (depth === 0 || typeof value !== 'object' || value === null) return false;
    return (
      (Array.isArray(value) || className(value) === 'Object') && hasFunctions(value, depth - 1)
    );
  });
}
