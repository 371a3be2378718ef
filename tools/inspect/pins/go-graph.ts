// A Go heap as a graph: from the stacks' and globals' words through the pointers of each slot.
//
// Which words of an object are pointers the runtime's own bits say. Where the roots of a program
// are not known (a saved machine keeps no running program), every word of the stack spans is taken.

import { MANUAL } from '../../../runtime/go/mspan.ts';
import type { GoRuntime } from '../../../runtime/go/runtime.ts';
import { PAGE_BYTES } from '../../../runtime/go/sys.ts';
import type { Mm } from '../../../userspace/mm.ts';
import { pointerTest } from '../go-object.ts';
import { type GoSpan, goHeapEnd, goSpan, SLOT_ALLOCATED } from '../go.ts';
import { Peek } from '../peek.ts';
import type { HeapGraph } from './retention.ts';

/** The runtime's own: global variables, and what finalizers and cleanups hold. */
const OWN_ROOTS = 2;

export class GoGraph implements HeapGraph {
  private readonly go: GoRuntime;
  private readonly mm: Mm;
  private readonly peek: Peek;
  private readonly end: number;
  private readonly spans = new Map<number, GoSpan>();

  constructor(go: GoRuntime, mm: Mm) {
    this.go = go;
    this.mm = mm;
    this.peek = new Peek(mm);
    this.end = goHeapEnd(go);
  }

  roots(visit: (root: string, object: number) => void): void {
    const { go, peek } = this;
    const load = (va: number): number => peek.load64(va);
    const named = go.gc.roots.filter((r) => r.forEachRoot !== undefined);
    for (const scanner of named) {
      scanner.forEachRoot?.(load, (root, pointer) => {
        const object = this.objectAt(pointer);
        if (object !== 0) visit(root, object);
      });
    }
    if (named.length <= OWN_ROOTS) this.stackWords(visit);
  }

  /** Every word of a stack span that lies in an object. */
  private stackWords(visit: (root: string, object: number) => void): void {
    const { spans } = this.go.heap;
    for (let s = 1; s < spans.count; s++) {
      if (spans.state[s] !== MANUAL) continue;
      const start = this.go.sys.addressOf(spans.start[s] ?? 0);
      const end = start + (spans.npages[s] ?? 0) * PAGE_BYTES;
      for (let at = start; at < end; at += 8) {
        const object = this.objectAt(this.peek.load64(at));
        if (object !== 0) visit('a word of a stack', object);
      }
    }
  }

  /** The span that holds an address; undefined for none. Read once: the machine stands still. */
  spanAt(va: number): GoSpan | undefined {
    const base = this.go.sys.heapBase;
    if (!(va >= base && va < this.end)) return undefined;
    const number = this.go.heap.pageSpan[Math.floor((va - base) / PAGE_BYTES)] ?? 0;
    if (number === 0) return undefined;
    let span = this.spans.get(number);
    if (span === undefined) {
      span = goSpan(this.go, this.mm, number);
      this.spans.set(number, span);
    }
    return span;
  }

  /** The object that an address points into; 0 for none. */
  objectAt(va: number): number {
    const span = this.spanAt(va);
    if (span?.state !== 'in use' || span.size === 0) return 0;
    const slot = Math.floor((va - span.start) / span.size);
    if (slot >= span.nelems || ((span.slots[slot] ?? 0) & SLOT_ALLOCATED) === 0) return 0;
    return span.start + slot * span.size;
  }

  references(object: number, visit: (to: number) => void): void {
    const span = this.spanAt(object);
    if (span === undefined || span.noscan) return;
    const isPointer = pointerTest(this.go, this.peek, span, object);
    for (let offset = 0; offset < span.size; offset += 8) {
      if (!isPointer(offset / 8)) continue;
      const to = this.objectAt(this.peek.load64(object + offset));
      if (to !== 0) visit(to);
    }
  }

  describe(object: number): string {
    const span = this.spanAt(object);
    if (span === undefined) return 'an object';
    const pointers = span.noscan ? ', no pointers' : '';
    return `object of ${span.size} bytes at 0x${object.toString(16)}${pointers}`;
  }
}
