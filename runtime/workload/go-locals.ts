// The local variables of a Go program: words on the stacks of its goroutines, which the collector
// scans.
//
//   stack span  | slots of the outer scopes | slots of this scope | free |
//                                            mark                 top
//
// A scope takes slots upwards and gives them back at its end. Every word that lies in the heap is
// taken for a pointer: numbers that are kept here are small. Stores need no barrier: the stack is
// scanned after the cycle has begun, when the collector first gets to run. Goroutines besides main
// have stacks of 2 KiB, cut from spans of 32 KiB; `top` is of the one that runs. Not modelled:
// frames, growth by copying (main's span is as large as it gets).
// Source: Go 1.26 src/runtime/stack.go stackalloc().

import { InputError } from '../../kernel/errors.ts';
import type { RootScanner } from '../go/mgc.ts';
import type { GoRuntime } from '../go/runtime.ts';

const STACK_PAGES = 8;
const PAGE = 8192;

const TASK_BYTES = 2048;
const TASK_SPAN_PAGES = 4;

/** A goroutine's stack. */
export interface GoStack {
  readonly base: number;
  readonly end: number;
  top: number;
}

export class GoLocals {
  /** Of the goroutine that runs. */
  top: number;
  private running: GoStack;
  private readonly main: GoStack;
  private readonly tasks = new Set<GoStack>();
  private readonly freeStacks: number[] = [];
  private readonly go: GoRuntime;

  constructor(go: GoRuntime) {
    this.go = go;
    const span = go.newStack(STACK_PAGES);
    const base = go.sys.addressOf(go.heap.spans.start[span]);
    this.main = { base, top: base, end: base + STACK_PAGES * PAGE };
    this.running = this.main;
    this.top = base;
    const own: RootScanner = {
      prepare: () => 1,
      scan: () => this.scan(),
      forEachRoot: (load, visit) => {
        const stack = (whose: string, of: GoStack): void => {
          const top = of === this.running ? this.top : of.top;
          for (let at = of.base; at < top; at += 8)
            visit(`variable ${(at - of.base) / 8} of ${whose}`, load(at));
        };
        stack('main', this.main);
        for (const task of this.tasks) stack('a goroutine', task);
      },
    };
    go.gc.roots = [...go.gc.roots, own];
  }

  /** Where main's stack begins. */
  get base(): number {
    return this.main.base;
  }

  /** A stack for a new goroutine. */
  newTask(): GoStack {
    if (this.freeStacks.length === 0) {
      const span = this.go.newStack(TASK_SPAN_PAGES);
      const base = this.go.sys.addressOf(this.go.heap.spans.start[span]);
      for (let at = TASK_SPAN_PAGES * PAGE - TASK_BYTES; at >= 0; at -= TASK_BYTES) {
        this.go.mem.store64(base + at, 0); // the link to the next free stack
        this.freeStacks.push(base + at);
      }
    }
    const base = this.freeStacks.pop() ?? 0;
    const stack = { base, top: base, end: base + TASK_BYTES };
    this.tasks.add(stack);
    return stack;
  }

  endTask(stack: GoStack): void {
    this.tasks.delete(stack);
    this.freeStacks.push(stack.base);
  }

  /** Another goroutine runs. @returns the one that ran. */
  switchTo(stack: GoStack): GoStack {
    const before = this.running;
    before.top = this.top;
    this.running = stack;
    this.top = stack.top;
    return before;
  }

  /** Takes `bytes` for a variable. @returns its address; what it holds is of before. */
  take(bytes: number): number {
    const at = this.top;
    this.top += Math.ceil(bytes / 8) * 8;
    if (this.top > this.running.end)
      throw new InputError('', 'the program has too many local variables at once: use scope()');
    return at;
  }

  /** A variable that holds a pointer. @returns the pointer. */
  hold(pointer: number): number {
    this.go.mem.store64(this.take(8), pointer);
    return pointer;
  }

  isLocal(ref: number): boolean {
    if (ref >= this.main.base && ref < this.main.end) return true;
    for (const s of this.tasks) if (ref >= s.base && ref < s.end) return true;
    return false;
  }

  /** Sets the last variable that holds `ref`, or the one at `ref`, to nil. */
  drop(ref: number): void {
    const { mem } = this.go;
    if (this.isLocal(ref)) {
      mem.store64(ref, 0);
      return;
    }
    for (let at = this.top - 8; at >= this.running.base; at -= 8) {
      if (mem.load64(at) !== ref) continue;
      mem.store64(at, 0);
      return;
    }
  }

  /** @returns bytes scanned, negative: stacks'. */
  private scan(): number {
    this.running.top = this.top;
    let bytes = this.scanStack(this.main);
    for (const stack of this.tasks) bytes += this.scanStack(stack);
    return -bytes;
  }

  private scanStack({ base, top }: GoStack): number {
    const { mem } = this.go;
    for (let at = base; at < top; at += 8) {
      const i = mem.touch(at, false);
      this.go.marker.grey(mem.words[i], mem.words[i + 1]);
    }
    return top - base;
  }
}
