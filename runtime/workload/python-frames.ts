// The local variables of a Python program: a reference each, in the frame that runs.
//
// A scope gives its variables up first to last, as a function's frame does when it ends. A
// generator has a frame of its own, which lives as long as it.

import type { ObjectCore } from '../python/object.ts';

export class PythonFrame {
  top = 0;
  private slots = new Float64Array(16);
  private readonly core: ObjectCore;

  constructor(core: ObjectCore) {
    this.core = core;
  }

  /** A variable takes a reference over. */
  hold(op: number): number {
    if (this.top === this.slots.length) {
      const more = new Float64Array(this.top * 2);
      more.set(this.slots);
      this.slots = more;
    }
    this.slots[this.top++] = op;
    return op;
  }

  at(i: number): number {
    return this.slots[i];
  }

  /** Variable i = op, whose reference it takes over. */
  assign(i: number, op: number): void {
    const old = this.slots[i];
    this.slots[i] = op;
    this.core.xdecref(old);
  }

  release(mark: number): void {
    const end = this.top;
    for (let i = mark; i < end; i++) {
      const op = this.slots[i];
      this.slots[i] = 0;
      if (op !== 0) this.core.decref(op);
    }
    this.top = mark;
  }

  forEachRoot(whose: string, visit: (root: string, object: number) => void): void {
    for (let i = 0; i < this.top; i++) visit(`variable ${i} of ${whose}`, this.slots[i]);
  }

  /** The last variable that holds `op` is set to None. */
  drop(op: number): void {
    for (let i = this.top - 1; i >= 0; i--) {
      if (this.slots[i] !== op) continue;
      this.slots[i] = 0;
      this.core.decref(op);
      return;
    }
  }
}

export class PythonFrames {
  running: PythonFrame;
  private readonly main: PythonFrame;

  constructor(core: ObjectCore) {
    this.main = new PythonFrame(core);
    this.running = this.main;
  }

  forEachRoot(visit: (root: string, object: number) => void): void {
    this.main.forEachRoot('main', visit);
  }
}
