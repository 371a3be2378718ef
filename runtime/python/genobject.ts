// Generators and coroutines: calls that can wait, their frames embedded (3.11 on).
//
//     generator | weaklist | name | qualname | exc state | origin | flags | frame: locals … stack |
//               16                                                       72 or 80
//
// While it runs its frame is linked into the thread's; while it waits only the generator refers to
// what the frame holds. A generator that ends, or dies waiting, clears its frame.
// Source: CPython 3.11 Include/cpython/genobject.h, Objects/genobject.c gen_dealloc(),
// gen_traverse(). Not modelled: `finally` blocks of a generator that dies waiting, asynchronous
// generators; the generators of versions before 3.11, which refer to a frame object.

import { assert } from '../../kernel/errors.ts';
import { type Frames, OWNED_BY_GENERATOR } from './frame.ts';
import { KIND_GENERATOR } from './kinds.ts';
import type { ObjectCore } from './object.ts';
import { Struct, type WeakClearer } from './structs.ts';

/** gi_frame_state */
const FRAME_CREATED = 0xfe; // -2
const FRAME_SUSPENDED = 0xff; // -1
const FRAME_EXECUTING = 0;
const FRAME_CLEARED = 4;

export class Generators {
  private readonly core: ObjectCore;
  private readonly frames: Frames;
  private readonly struct: Struct;
  /** Where gi_iframe and gi_frame_state lie. */
  private readonly iframe: number;
  private readonly state: number;

  constructor(core: ObjectCore, frames: Frames, weakrefs: WeakClearer) {
    this.core = core;
    this.frames = frames;
    const { generatorFrame } = core.profile;
    this.iframe = generatorFrame;
    this.state = generatorFrame - 5;
    // gi_name, gi_qualname; in 3.11 gi_code besides that of the frame.
    const names = generatorFrame === 80 ? [32, 40, 16] : [24, 32];
    this.struct = new Struct(
      core,
      {
        kind: KIND_GENERATOR,
        name: 'generator',
        isGc: true,
        bytes: (op) => this.bytesOf(op),
        refs: [...names, ...frames.heldBy(generatorFrame)],
        weaklist: generatorFrame === 80 ? 24 : 16,
        row: (op) => this.row(op),
        dying: (op) => this.end(op),
        clears: [],
      },
      weakrefs,
    );
  }

  frameOf(gen: number): number {
    return gen + this.iframe;
  }
  private stateOf(gen: number): number {
    return this.core.mem.load8(gen + this.state);
  }
  private setState(gen: number, state: number): void {
    this.core.mem.store8(gen + this.state, state);
  }

  private bytesOf(op: number): number {
    return this.iframe + this.frames.bytesOf(this.frames.codeOf(this.frameOf(op)));
  }

  /** The variables, if the frame is not cleared. */
  private row(op: number): readonly [number, number] {
    if (this.stateOf(op) === FRAME_CLEARED) return [0, 0];
    const frame = this.frameOf(op);
    return [this.frames.rowAt(frame), this.frames.used(frame)];
  }

  /** Calling a generator function (or `async def`): nothing of it runs yet. */
  make(fn: number, name: number): number {
    const { core, frames, struct } = this;
    const code = frames.codeOfFunction(fn);
    const op = struct.make(this.iframe + frames.bytesOf(code));
    const [first = 0, second = 0, giCode = 0] = struct.spec.refs;
    struct.set(op, first, name);
    struct.set(op, second, name);
    if (this.iframe === 80) struct.set(op, giCode, code);
    frames.init(this.frameOf(op), fn, OWNED_BY_GENERATOR);
    this.setState(op, FRAME_CREATED);
    core.gc.track(op);
    return op;
  }

  /** next(): the generator runs until yield_() or finish(). */
  resume(gen: number): void {
    const state = this.stateOf(gen);
    const waits = state === FRAME_CREATED || state === FRAME_SUSPENDED;
    assert(waits, 'resume: the generator waits');
    this.core.incref(gen);
    this.setState(gen, FRAME_EXECUTING);
    this.frames.enter(this.frameOf(gen));
  }
  /** `yield`: back to whoever called next(). */
  yield_(gen: number): void {
    this.frames.leave(this.frameOf(gen));
    this.setState(gen, FRAME_SUSPENDED);
    this.core.decref(gen);
  }
  /** `return`: StopIteration; the frame is cleared. */
  finish(gen: number): void {
    this.frames.leave(this.frameOf(gen));
    this.end(gen);
    this.core.decref(gen);
  }

  /** Whether next() can still run it. */
  isAlive(gen: number): boolean {
    return this.stateOf(gen) !== FRAME_CLEARED;
  }

  private end(gen: number): void {
    if (!this.isAlive(gen)) return;
    this.setState(gen, FRAME_CLEARED);
    this.frames.clearButCode(this.frameOf(gen));
  }
}
