// Frames: what a running function has of its own: locals, cells and a stack of values.
//
// From 3.11 on a call takes no object. Its frame is pushed on the thread's data stack:
//
//     chunk (16 KiB, from the allocator of arenas)
//     +0 previous   +8 size   +16 top   +24 | frame | frame | frame |      free        |
//
//     frame  | function … f_code … frame_obj … previous … | locals and cells | stack  |
//            0                                            72 (3.14: 80)
//
// A frame object exists only where somebody asks (sys._getframe(), a traceback). When the call
// returns while the object is still held, the frame moves from the data stack into the object.
// A generator has its frame inside of itself (genobject.ts).
//
// Invariants (check()): frames tile the chunks from the bottom up; `previous` of each is the one
// below. Source: CPython 3.11 Include/internal/pycore_frame.h, Python/pystate.c push_chunk(),
// Python/frame.c take_ownership(). Not modelled: frames before 3.11, an object on the heap for each
// call; the profiles of 2.7 and 3.8 have those of 3.11.

import { assert } from '../../kernel/errors.ts';
import type { ArenaAllocator } from './arena.ts';
import type { Functions } from './funcobject.ts';
import { KIND_FRAME } from './kinds.ts';
import type { ObjectCore } from './object.ts';
import type { Profile } from './profile.ts';
import { Struct, type WeakClearer } from './structs.ts';

/** Where the fields of an interpreter's frame lie; the locals follow it. */
export interface FrameLayout {
  readonly function: number;
  readonly code: number;
  readonly locals: number;
  readonly frameObject: number;
  readonly previous: number;
  /** Locals and stack values in use; in 3.14 the address behind the last (stackpointer). */
  readonly stacktop: number;
  readonly isPointer: boolean;
  readonly bytes: number;
  readonly owner: number;
}

/** By the profile's frameLayout. */
export const frameLayouts: Readonly<Record<Profile['frameLayout'], FrameLayout>> = {
  '3.11': {
    ...{ function: 0, code: 32, locals: 24, frameObject: 40, previous: 48 },
    ...{ stacktop: 64, owner: 69, isPointer: false, bytes: 72 },
  },
  '3.12': {
    ...{ function: 16, code: 0, locals: 40, frameObject: 48, previous: 8 },
    ...{ stacktop: 64, owner: 70, isPointer: false, bytes: 72 },
  },
  '3.14': {
    ...{ function: 16, code: 0, locals: 40, frameObject: 48, previous: 8 },
    ...{ stacktop: 64, owner: 74, isPointer: true, bytes: 80 },
  },
};

const CHUNK_BYTES = 16384;
const CHUNK_HEAD = 24;
/** Slots that a chunk has room for beyond the frame that it is made for. */
const MINIMUM_OVERHEAD = 1000;
export const OWNED_BY_THREAD = 0;
export const OWNED_BY_GENERATOR = 1;
const OWNED_BY_FRAME_OBJECT = 2;
/** f_back and f_frame of a frame object. */
const F_BACK = 16;
const F_FRAME = 24;

export class Frames {
  readonly layout: FrameLayout;
  private readonly core: ObjectCore;
  private readonly functions: Functions;
  private readonly source: () => ArenaAllocator;
  private readonly objects: Struct;
  private readonly objectBytes: number;
  /** The thread state's cframe.current_frame, datastack_chunk, datastack_top, datastack_limit. */
  private readonly vars: number;

  /** @param source where chunks come from: what arenas come from at that time. */
  constructor(
    core: ObjectCore,
    functions: Functions,
    source: () => ArenaAllocator,
    weakrefs: WeakClearer,
  ) {
    this.core = core;
    this.functions = functions;
    this.source = source;
    this.layout = frameLayouts[core.profile.frameLayout];
    this.vars = core.data.variable(32);
    this.objectBytes = core.profile.frameObjectBytes;
    this.objects = new Struct(
      core,
      {
        kind: KIND_FRAME,
        name: 'frame',
        isGc: true,
        bytes: (op) => this.objectSize(op),
        refs: [F_BACK, ...this.heldBy(this.objectBytes)],
        row: (op) => this.ownRow(op),
        clears: [F_BACK],
      },
      weakrefs,
    );
  }

  /** The frame of the function that runs now; 0 for none. */
  get current(): number {
    return this.core.mem.load64(this.vars);
  }
  private get chunk(): number {
    return this.core.mem.load64(this.vars + 8);
  }
  private get top(): number {
    return this.core.mem.load64(this.vars + 16);
  }
  private get limit(): number {
    return this.core.mem.load64(this.vars + 24);
  }

  /** Bytes of a frame for a code object. */
  bytesOf(code: number): number {
    return this.layout.bytes + 8 * (this.functions.localsOf(code) + this.functions.stackOf(code));
  }
  codeOf(frame: number): number {
    return this.core.mem.load64(frame + this.layout.code);
  }
  codeOfFunction(fn: number): number {
    return this.functions.codeOf(fn);
  }
  previous(frame: number): number {
    return this.core.mem.load64(frame + this.layout.previous);
  }

  // calls ----------------------------------------------------------------------------------------

  /** Calls a function: its frame, all variables unbound, is the current one. */
  call(fn: number): number {
    const code = this.functions.codeOf(fn);
    const frame = this.reserve(this.bytesOf(code));
    this.init(frame, fn, OWNED_BY_THREAD);
    this.enter(frame);
    return frame;
  }

  /** Fills in a frame, wherever it lies. */
  init(frame: number, fn: number, owner: number): void {
    const { core, layout } = this;
    const code = this.functions.codeOf(fn);
    core.mem.zero(frame, this.bytesOf(code));
    core.incref(fn);
    core.incref(code);
    core.mem.store64(frame + layout.function, fn);
    core.mem.store64(frame + layout.code, code);
    this.setUsed(frame, this.functions.localsOf(code));
    core.mem.store8(frame + layout.owner, owner);
  }

  /** Locals and stack values of a frame that are in use. */
  used(frame: number): number {
    const { mem } = this.core;
    const { bytes, isPointer, stacktop } = this.layout;
    if (!isPointer) return mem.load32(frame + stacktop);
    return (mem.load64(frame + stacktop) - frame - bytes) / 8;
  }
  private setUsed(frame: number, count: number): void {
    const { mem } = this.core;
    const { bytes, isPointer, stacktop } = this.layout;
    if (isPointer) mem.store64(frame + stacktop, frame + bytes + 8 * count);
    else mem.store32(frame + stacktop, count);
  }
  /** Where the locals of a frame begin. */
  rowAt(frame: number): number {
    return frame + this.layout.bytes;
  }

  /** Makes a frame the current one. */
  enter(frame: number): void {
    this.core.mem.store64(frame + this.layout.previous, this.current);
    this.core.mem.store64(this.vars, frame);
  }
  /** Goes back to the caller without giving anything up: a generator yields. */
  leave(frame: number): void {
    assert(this.current === frame, 'leave: the frame is the current one');
    this.core.mem.store64(this.vars, this.previous(frame));
    this.core.mem.store64(frame + this.layout.previous, 0);
  }

  /** A local variable; 0 if unbound. */
  local(frame: number, i: number): number {
    return this.core.mem.load64(this.rowAt(frame) + 8 * i);
  }
  /** Binds a local variable to a reference that the frame takes over. */
  setLocal(frame: number, i: number, value: number): void {
    const { core } = this;
    const at = this.rowAt(frame) + 8 * i;
    const old = core.mem.load64(at);
    core.mem.store64(at, value);
    core.xdecref(old);
  }

  /** Returns from the current call. A frame object that somebody holds takes the frame over. */
  ret(): void {
    const { core, layout } = this;
    const frame = this.current;
    assert(frame !== 0, 'ret: a function runs');
    const bytes = this.bytesOf(this.codeOf(frame));
    core.mem.store64(this.vars, this.previous(frame));
    const object = core.mem.load64(frame + layout.frameObject);
    if (object !== 0 && core.refcount(object) > 1) this.takeOwnership(object, frame, bytes);
    else {
      this.clearButCode(frame);
      core.decref(this.codeOf(frame));
    }
    core.xdecref(object);
    this.release(frame);
  }

  /** Gives up the variables of a frame, in order, and its function; the code stays. */
  clearButCode(frame: number): void {
    const { core, layout } = this;
    const n = this.used(frame);
    for (let i = 0; i < n; i++) this.setLocal(frame, i, 0);
    const fn = core.mem.load64(frame + layout.function);
    core.mem.store64(frame + layout.function, 0);
    core.xdecref(fn);
  }

  /** Offsets of function and code in an object whose frame begins at `frame`. */
  heldBy(frame: number): number[] {
    return [frame + this.layout.function, frame + this.layout.code];
  }

  // frame objects --------------------------------------------------------------------------------

  /** sys._getframe(): the object of a frame, borrowed; made when it is first asked for. */
  object(frame: number): number {
    const { core, layout } = this;
    let op = core.mem.load64(frame + layout.frameObject);
    if (op !== 0) return op;
    op = this.objects.make(this.objectBytes + this.bytesOf(this.codeOf(frame)));
    core.mem.store64(op + F_FRAME, frame);
    core.mem.store64(frame + layout.frameObject, op);
    return op;
  }

  private objectSize(op: number): number {
    return this.objectBytes + this.bytesOf(this.codeOf(this.core.mem.load64(op + F_FRAME)));
  }

  private ownsFrame(op: number): boolean {
    return this.core.mem.load64(op + F_FRAME) === op + this.objectBytes;
  }

  /** The variables of a frame that has moved into its object. */
  private ownRow(op: number): readonly [number, number] {
    if (!this.ownsFrame(op)) return [0, 0];
    const frame = op + this.objectBytes;
    return [this.rowAt(frame), this.used(frame)];
  }

  private takeOwnership(op: number, frame: number, bytes: number): void {
    const { core, layout } = this;
    const own = op + this.objectBytes;
    const used = this.used(frame);
    core.mem.copy(own, frame, bytes);
    this.setUsed(own, used);
    core.mem.store64(op + F_FRAME, own);
    core.mem.store8(own + layout.owner, OWNED_BY_FRAME_OBJECT);
    core.mem.store64(own + layout.previous, 0);
    core.gc.track(op);
    const caller = this.current;
    if (caller !== 0) this.objects.set(op, F_BACK, this.object(caller));
  }

  // the data stack -------------------------------------------------------------------------------

  /** Takes `bytes` from the data stack; a new chunk where the last one has no room. */
  private reserve(bytes: number): number {
    const { mem } = this.core;
    let at = this.top;
    if (at === 0 || at + bytes > this.limit) at = this.pushChunk(bytes);
    mem.store64(this.vars + 16, at + bytes);
    return at;
  }

  private pushChunk(bytes: number): number {
    const { mem } = this.core;
    let size = CHUNK_BYTES;
    while (size < bytes + 8 * MINIMUM_OVERHEAD) size *= 2;
    const last = this.chunk;
    const chunk = this.source().alloc(size);
    assert(chunk !== 0, 'MemoryError: the process has no memory left');
    if (last !== 0) mem.store64(last + 16, (this.top - last - CHUNK_HEAD) / 8);
    mem.store64(chunk, last);
    mem.store64(chunk + 8, size);
    mem.store64(chunk + 16, 0);
    mem.store64(this.vars + 8, chunk);
    mem.store64(this.vars + 24, chunk + size);
    // The first slot of the root stays free, so that no frame begins where it does: it is kept.
    return chunk + CHUNK_HEAD + (last === 0 ? 8 : 0);
  }

  private release(frame: number): void {
    const { mem } = this.core;
    const { chunk } = this;
    if (frame !== chunk + CHUNK_HEAD) {
      mem.store64(this.vars + 16, frame);
      return;
    }
    const before = mem.load64(chunk);
    const size = mem.load64(chunk + 8);
    mem.store64(this.vars + 8, before);
    mem.store64(this.vars + 16, before + CHUNK_HEAD + 8 * mem.load64(before + 16));
    mem.store64(this.vars + 24, before + mem.load64(before + 8));
    this.source().free(chunk, size);
  }

  /** Calls visit for each reference that running frames hold: roots of the collector. */
  forEachRoot(visit: (op: number) => void): void {
    const { core, layout } = this;
    for (let frame = this.current; frame !== 0; frame = this.previous(frame)) {
      if (core.mem.load8(frame + layout.owner) !== OWNED_BY_THREAD) {
        visit(frame - core.profile.generatorFrame); // the call holds the generator
        continue;
      }
      visit(core.mem.load64(frame + layout.function));
      visit(core.mem.load64(frame + layout.code));
      const object = core.mem.load64(frame + layout.frameObject);
      if (object !== 0) visit(object);
      for (let i = this.used(frame); i > 0; i--)
        if (this.local(frame, i - 1) !== 0) visit(this.local(frame, i - 1));
    }
  }

  /** Throws KernelBug where frames do not lie in order. O(frames). */
  check(): void {
    const { mem } = this.core;
    let [chunk, top] = [this.chunk, this.top];
    for (let frame = this.current; frame !== 0; frame = this.previous(frame)) {
      if (mem.load8(frame + this.layout.owner) !== OWNED_BY_THREAD) continue;
      if (top === chunk + CHUNK_HEAD) {
        chunk = mem.load64(chunk);
        top = chunk + CHUNK_HEAD + 8 * mem.load64(chunk + 16);
      }
      assert(frame + this.bytesOf(this.codeOf(frame)) === top, 'frames tile the data stack');
      top = frame;
    }
  }
}
