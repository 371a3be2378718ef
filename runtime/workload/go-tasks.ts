// Goroutines that send to a channel, closures and small structs by value, as a Go program has them.
//
//   stream    g 480 bytes, stack 2 KiB, func value; hchan 104 bytes, its buffer apart where items
//             have pointers, else behind it
//   closure   | code | captured values, or pointers to variables that are assigned to |
//
// With one processor a goroutine that is wanted runs until its channel is full. A captured variable
// that is assigned to after it was captured lives in the heap by itself.
// Source: Go 1.26 src/runtime/chan.go makechan(), proc.go malg(), newproc1(); escape analysis.
// Not modelled: the scheduler, unbuffered hand-over from stack to stack (a room of one).

import { NO_POINTERS } from '../go/types.ts';
import { ACCESS_NS, ALLOC_NS } from './go-clock.ts';
import { layoutOf, structOf } from './go-layout.ts';
import type { GoParts } from './go-lists.ts';
import type { GoStack } from './go-locals.ts';
import { isInPlace, isPointer } from './go-values.ts';
import type { ClosureType, Field, Kind, Ref, StreamType, TupleType } from './heap.ts';

const G_BYTES = 480;
const HCHAN_BYTES = 104;
const BUFFER_AT = 16;

interface Task {
  readonly channel: number;
  readonly stack: GoStack;
  /** Global variable by which allgs holds the g, and the goroutine its channel. */
  readonly g: number;
  readonly body: () => () => number | undefined;
  next: (() => number | undefined) | null;
  first: number;
  count: number;
  ended: boolean;
}

/** What goroutines of a program share. */
export class GoTasks {
  readonly parts: GoParts;
  private readonly byChannel = new Map<number, Task>();
  private readonly freeGs: number[] = [];

  constructor(parts: GoParts) {
    this.parts = parts;
  }

  start(channel: number, body: Task['body']): void {
    const { go, locals } = this.parts;
    let g = this.freeGs.pop();
    if (g === undefined) {
      g = go.newGlobal();
      go.storePointer(g, go.new(G_BYTES, go.types.leading(G_BYTES, G_BYTES / 8)));
    }
    const stack = locals.newTask();
    const task = { channel, stack, g, body, next: null, first: 0, count: 0, ended: false };
    this.byChannel.set(channel, task);
    this.on(task, () => locals.hold(channel));
    locals.hold(go.new(16, go.types.leading(16, 2))); // the func value
  }

  task(channel: number): Task | undefined {
    return this.byChannel.get(channel);
  }

  /** Runs something as the goroutine. */
  on<T>(task: Task, body: () => T): T {
    const before = this.parts.locals.switchTo(task.stack);
    try {
      return body();
    } finally {
      this.parts.locals.switchTo(before);
    }
  }

  end(task: Task): void {
    task.ended = true;
    this.parts.locals.endTask(task.stack);
    this.freeGs.push(task.g);
  }

  forget(task: Task): void {
    this.byChannel.delete(task.channel);
  }
}

export class GoStream implements StreamType {
  readonly of: Kind;
  private readonly tasks: GoTasks;
  private readonly room: number;
  private readonly itemBytes: number;
  private readonly elemType: number;

  constructor(tasks: GoTasks, of: Kind, room: number) {
    this.tasks = tasks;
    this.of = of;
    this.room = Math.max(1, room);
    const { bytes, pointers } = layoutOf(of);
    this.itemBytes = bytes;
    this.elemType = tasks.parts.values.typeWith('item', bytes, pointers);
  }

  make(body: () => () => number | undefined): Ref {
    const { go, locals, clock } = this.tasks.parts;
    clock.run(10 * ALLOC_NS);
    const bytes = this.room * this.itemBytes;
    const isFlat = this.elemType === NO_POINTERS;
    const channelBytes = HCHAN_BYTES + (isFlat ? bytes : 0);
    const at = locals.hold(go.new(channelBytes, isFlat ? NO_POINTERS : go.types.leading(104, 13)));
    const buffer = isFlat ? at + HCHAN_BYTES : go.new(bytes, this.elemType);
    go.storePointer(at + BUFFER_AT, buffer);
    this.tasks.start(at, body);
    return at;
  }

  private slot(task: Task, i: number): number {
    const { mem } = this.tasks.parts.go;
    return mem.load64(task.channel + BUFFER_AT) + (i % this.room) * this.itemBytes;
  }

  /** The goroutine runs until its channel is full or it ends. */
  private fill(task: Task): void {
    const { parts } = this.tasks;
    this.tasks.on(task, () => {
      task.next ??= task.body();
      const { next } = task;
      while (task.count < this.room && !task.ended) {
        parts.scope(() => {
          const value = next();
          parts.clock.run(20 * ACCESS_NS);
          if (value === undefined) task.ended = true;
          else parts.values.store(this.of, this.slot(task, task.first + task.count++), value);
        });
      }
    });
    if (task.ended) this.tasks.end(task);
  }

  next(stream: Ref): number | undefined {
    const { parts } = this.tasks;
    const task = this.tasks.task(stream);
    if (task === undefined) return undefined;
    if (task.count === 0 && !task.ended) this.fill(task);
    if (task.count === 0) {
      this.tasks.forget(task);
      return undefined;
    }
    const from = this.slot(task, task.first);
    task.first = (task.first + 1) % this.room;
    task.count--;
    parts.clock.run(20 * ACCESS_NS);
    let value = parts.values.load(this.of, from);
    if (isInPlace(this.of)) {
      value = parts.locals.take(this.itemBytes);
      parts.go.mem.copy(value, from, this.itemBytes);
    } else if (isPointer(this.of)) parts.locals.hold(value);
    parts.values.store(this.of, from, 0);
    return value;
  }

  each(stream: Ref, turn: (value: number) => void): void {
    for (let more = true; more;) {
      this.tasks.parts.scope(() => {
        const value = this.next(stream);
        if (value === undefined) more = false;
        else turn(value);
      });
    }
  }
}

/** A func value and what it captures. */
export class GoClosure implements ClosureType {
  readonly captured: Readonly<Record<string, Field>>;
  private readonly parts: GoParts;
  private readonly kinds: readonly Kind[];
  private readonly offsets: readonly number[];
  private readonly bytes: number;
  private readonly type: number;
  private readonly apart: readonly boolean[];

  constructor(parts: GoParts, captured: Readonly<Record<string, Kind>>, assigned: Set<string>) {
    this.parts = parts;
    const names = Object.keys(captured);
    this.kinds = Object.values(captured);
    this.apart = names.map((n) => assigned.has(n));
    const laid = this.kinds.map((k, i): Kind => (this.apart[i] ? 'ref' : k));
    const { bytes, offsets } = structOf(['int', ...laid]);
    this.bytes = bytes;
    this.offsets = offsets.slice(1);
    this.type = parts.values.typeOf('func', ['int', ...laid]);
    this.captured = Object.fromEntries(names.map((n, i) => [n, this.field(n, i)]));
  }

  private at(closure: Ref, i: number): number {
    const at = closure + (this.offsets[i] ?? 0);
    return this.apart[i] ? this.parts.go.mem.load64(at) : at;
  }

  private field(name: string, i: number): Field {
    const { clock, locals, values, go } = this.parts;
    const kind = this.kinds[i] ?? 'int';
    const get = (closure: Ref): number => {
      clock.run(ACCESS_NS);
      const at = this.at(closure, i);
      if (isInPlace(kind)) {
        const copy = locals.take(layoutOf(kind).bytes);
        go.mem.copy(copy, at, layoutOf(kind).bytes);
        return copy;
      }
      const value = values.load(kind, at);
      return isPointer(kind) ? locals.hold(value) : value;
    };
    const set = (closure: Ref, value: number): void => {
      clock.run(ACCESS_NS);
      values.store(kind, this.at(closure, i), value);
    };
    return { name, kind, get, set };
  }

  make(...given: number[]): Ref {
    const { go, clock, locals, values } = this.parts;
    clock.run(ALLOC_NS);
    const variables = this.kinds.map((kind, i) => {
      if (!this.apart[i]) return 0;
      const { bytes } = layoutOf(kind);
      const at = locals.hold(go.new(bytes, values.typeOf('variable', [kind])));
      values.store(kind, at, given[i] ?? 0);
      return at;
    });
    const closure = locals.hold(go.new(this.bytes, this.type));
    this.kinds.forEach((kind, i) => {
      const at = closure + (this.offsets[i] ?? 0);
      if (this.apart[i]) go.storePointer(at, variables[i] ?? 0);
      else values.store(kind, at, given[i] ?? 0);
    });
    return closure;
  }
}

/** A struct in a variable, passed by value. */
export class GoTuple implements TupleType {
  readonly type = 'tuple';
  readonly kinds: readonly Kind[];
  private readonly parts: GoParts;
  private readonly offsets: readonly number[];
  private readonly bytes: number;

  constructor(parts: GoParts, kinds: readonly Kind[]) {
    this.parts = parts;
    this.kinds = kinds;
    ({ offsets: this.offsets, bytes: this.bytes } = structOf(kinds));
  }

  make(...given: number[]): Ref {
    const { locals, values, go } = this.parts;
    const at = locals.take(this.bytes);
    go.mem.zero(at, Math.ceil(this.bytes / 8) * 8);
    this.kinds.forEach((kind, i) => {
      values.store(kind, at + (this.offsets[i] ?? 0), given[i] ?? 0);
    });
    return at;
  }

  get(tuple: Ref, i: number): number {
    const { values, locals } = this.parts;
    const kind = this.kinds[i] ?? 'int';
    const at = tuple + (this.offsets[i] ?? 0);
    if (isInPlace(kind)) return at;
    const value = values.load(kind, at);
    return isPointer(kind) ? locals.hold(value) : value;
  }
}
