// The local variables of a Go program: words on the stack of its goroutine, which the collector
// scans.
//
//   stack span  | slots of the outer scopes | slots of this scope | free |
//                                            mark                 top
//
// A scope takes slots upwards and gives them back at its end. Every word that lies in the heap is
// taken for a pointer: numbers that are kept here are small. Stores need no barrier: the stack is
// scanned after the cycle has begun, when the collector first gets to run. Not modelled: frames,
// growth by copying (the span is as large as it gets).

import { InputError } from '../../kernel/errors.ts';
import type { GoRuntime } from '../go/runtime.ts';

const STACK_PAGES = 16;
const PAGE = 8192;

export class GoLocals {
  top: number;
  readonly base: number;
  private readonly end: number;
  private readonly go: GoRuntime;

  constructor(go: GoRuntime) {
    this.go = go;
    const span = go.newStack(STACK_PAGES);
    this.base = go.sys.addressOf(go.heap.spans.start[span]);
    this.top = this.base;
    this.end = this.base + STACK_PAGES * PAGE;
    const own = { prepare: () => 1, scan: () => this.scan() };
    go.gc.roots = [...go.gc.roots, own];
  }

  /** Takes `bytes` for a variable. @returns its address; what it holds is of before. */
  take(bytes: number): number {
    const at = this.top;
    this.top += bytes;
    if (this.top > this.end)
      throw new InputError('', 'the program has too many local variables at once: use scope()');
    return at;
  }

  /** A variable that holds a pointer. @returns the pointer. */
  hold(pointer: number): number {
    this.go.mem.store64(this.take(8), pointer);
    return pointer;
  }

  isLocal(ref: number): boolean {
    return ref >= this.base && ref < this.end;
  }

  /** Sets the last variable that holds `ref`, or the one at `ref`, to nil. */
  drop(ref: number): void {
    const { mem } = this.go;
    if (this.isLocal(ref)) {
      mem.store64(ref, 0);
      return;
    }
    for (let at = this.top - 8; at >= this.base; at -= 8) {
      if (mem.load64(at) !== ref) continue;
      mem.store64(at, 0);
      return;
    }
  }

  /** @returns bytes scanned, negative: a stack's. */
  private scan(): number {
    const { mem } = this.go;
    for (let at = this.base; at < this.top; at += 8) {
      const i = mem.touch(at, false);
      this.go.marker.grey(mem.words[i], mem.words[i + 1]);
    }
    return this.base - this.top;
  }
}
