// Runs a heap script on an emulated Go runtime and observes what a real one would show: where each
// object lies, what a collection freed, which pages came back, the figures of MemStats.

import { InputError } from '../kernel/index.ts';
import type { GoRuntime } from '../runtime/go/runtime.ts';
import { S_FREE, S_INSTACKS, S_INUSE, S_RELEASED } from '../runtime/go/sys.ts';
import type { HeapBase } from './heap-base.ts';
import { countOf, nameAt, type HeapScript, type Ref, type Statement } from './heap-script.ts';

/** An observation: one JSON object. */
export type Observation = Record<string, unknown>;

/** Entries of MemStats.BySize: larger classes are not in it. */
const BY_SIZE = 61;

interface Figures {
  mallocs: number;
  frees: number;
  totalAlloc: number;
  heapAlloc: number;
  heapInuse: number;
  heapSys: number;
  heapIdle: number;
  heapReleased: number;
  numGc: number;
  bySize: [number, number][];
}

/** Objects of a span that are still in use, by slot. */
type Residents = Map<number, number[]>;

export class HeapScriptRunner {
  private readonly go: GoRuntime;
  private readonly base: HeapBase;
  private readonly script: HeapScript;
  private readonly file: string;
  private readonly emit: (o: Observation) => void;
  /** Address of the global variable of each name. */
  private readonly slots = new Map<string, number>();
  private readonly spanNumber = new Map<number, number>();
  private readonly residents = new Map<number, Residents>();
  private nextSpan = 0;
  private nextObject = 0;
  private died: number[] = [];
  private freedSpans: number[] = [];
  private readonly start: Figures;

  constructor(
    go: GoRuntime,
    base: HeapBase,
    script: HeapScript,
    file: string,
    emit: (o: Observation) => void,
  ) {
    this.go = go;
    this.base = base;
    this.script = script;
    this.file = file;
    this.emit = emit;
    go.gc.stopTheWorld = script.modes.stw;
    go.heap.spanFreed = (s) => {
      this.spanFreed(s);
    };
    go.sweep.hooks = {
      sweeping: (s) => {
        this.sweeping(s);
      },
    };
    this.start = this.figures();
  }

  run(): void {
    for (const statement of this.script.statements) this.step(statement);
  }

  // What the runtime tells.

  private sweeping(s: number): void {
    const slots = this.residents.get(s);
    if (slots === undefined) return;
    const { spans } = this.go.heap;
    const { mem } = this.go;
    for (const [slot, objects] of slots) {
      const byte = mem.load8((spans.markBits[s] ?? 0) + (slot >>> 3));
      if ((byte & (1 << (slot & 7))) !== 0) continue;
      this.died.push(...objects);
      slots.delete(slot);
    }
  }

  private spanFreed(s: number): void {
    const n = this.spanNumber.get(s);
    if (n !== undefined) this.freedSpans.push(n);
    this.spanNumber.delete(s);
    this.residents.delete(s);
  }

  private figures(): Figures {
    const { stats, sys, gc, profile } = this.go;
    let mallocs = stats.largeAllocCount + stats.tinyAllocs;
    let frees = stats.largeFreeCount + stats.tinyAllocs;
    let totalAlloc = stats.largeAlloc;
    let totalFree = stats.largeFree;
    const bySize: [number, number][] = [];
    for (let c = 0; c < profile.classes.count; c++) {
      const a = stats.smallAlloc[c] ?? 0;
      const f = stats.smallFree[c] ?? 0;
      const size = profile.classes.size[c] ?? 0;
      mallocs += a;
      frees += f;
      totalAlloc += a * size;
      totalFree += f * size;
      bySize.push([a, f]);
    }
    const stat = (i: number): number => sys.stat[i] ?? 0;
    return {
      mallocs,
      frees,
      totalAlloc,
      heapAlloc: totalAlloc - totalFree,
      heapInuse: stat(S_INUSE),
      heapSys: stat(S_INUSE) + stat(S_FREE) + stat(S_RELEASED),
      heapIdle: stat(S_FREE) + stat(S_RELEASED),
      heapReleased: stat(S_RELEASED),
      numGc: gc.numGc,
      bySize,
    };
  }

  // Statements.

  step(st: Statement): void {
    switch (st.op) {
      case 'new':
        this.newObjects(st);
        return;
      case 'alias':
        this.alias(st);
        return;
      case 'store':
        this.store(st);
        return;
      case 'drop':
        for (const ref of st.targets)
          for (let i = 0; i < countOf(ref); i++) this.setName(nameAt(ref, i), 0);
        return;
      default:
        this.call(st);
    }
  }

  private slotOf(name: string): number {
    let slot = this.slots.get(name);
    if (slot === undefined) {
      slot = this.go.newGlobal();
      this.slots.set(name, slot);
    }
    return slot;
  }

  private setName(name: string, value: number): void {
    this.go.storePointer(this.slotOf(name), value);
  }

  private valueOf(name: string): number {
    const slot = this.slots.get(name);
    return slot === undefined ? 0 : this.go.loadPointer(slot);
  }

  private alias(st: Statement & { op: 'alias' }): void {
    for (let i = 0; i < countOf(st.target); i++) {
      const value = this.sourceValue(st.source, i);
      this.setName(nameAt(st.target, i), value === 0 ? 0 : value + st.offset);
    }
  }

  private sourceValue(source: Ref, i: number): number {
    return this.valueOf(nameAt(source, countOf(source) === 1 ? 0 : i));
  }

  private store(st: Statement & { op: 'store' }): void {
    for (let i = 0; i < countOf(st.target); i++) {
      const name = nameAt(st.target, i);
      const object = this.valueOf(name);
      if (object === 0) {
        const where = `${this.file}:${String(st.line)}`;
        throw new InputError(where, `expected ${name} to hold an object, but it is nil`);
      }
      let value = 0;
      if (st.source !== null) {
        value = this.sourceValue(st.source, i);
        if (value !== 0) value += st.offset;
      }
      this.go.storePointer(object + st.word * 8, value);
    }
  }

  private newObjects(st: Statement & { op: 'new' }): void {
    const count = countOf(st.target);
    const type = this.go.types.leading(st.bytes, st.ptrWords);
    const o: Observation = { line: st.line, op: 'new' };
    if (count > 1) o['count'] = count;
    const seen = new Places();
    const gcAt: number[] = [];
    for (let i = 0; i < count; i++) {
      const { cycles } = this.go.gc;
      const at = this.go.new(st.bytes, type);
      this.setName(nameAt(st.target, i), at);
      const object = this.nextObject++;
      if (st.bytes === 0) continue;
      if (this.go.gc.cycles !== cycles) {
        gcAt.push(i);
      }
      this.place(object, at, st, seen);
      if (this.go.gc.cycles !== cycles && !this.script.modes.lazy) this.go.gc.sweepAll();
    }
    if (st.bytes === 0) o['zero'] = true;
    else if (!this.script.modes.bare) seen.describe(o);
    if (gcAt.length > 0) o['gc_at'] = gcAt;
    this.finish(o, null);
  }

  /** Notes where an object lies, and the span that it is in when that is new. */
  private place(object: number, at: number, st: Statement & { op: 'new' }, seen: Places): void {
    const { heap } = this.go;
    const { spans } = heap;
    const w = Math.floor((at - this.go.sys.heapBase) / 8);
    const s = heap.pageSpan[w >> 10] ?? 0;
    const offset = at - this.go.sys.addressOf(spans.start[s] ?? 0);
    const elem = spans.elemsize[s] ?? 1;
    const slot = Math.floor(offset / elem);
    let number = this.spanNumber.get(s);
    if (number === undefined) {
      number = this.nextSpan++;
      this.spanNumber.set(s, number);
      const { heapBase, heapStart } = this.go.profile;
      const first = (heapStart - heapBase + this.base.first_page_offset) / 8192;
      const page = ((spans.start[s] ?? 0) >> 10) - first;
      const npages = spans.npages[s] ?? 0;
      seen.spans.push({ span: number, npages, nelems: spans.nelems[s] ?? 0, page });
    }
    const slots = this.residents.get(s) ?? new Map<number, number[]>();
    this.residents.set(s, slots);
    const there = slots.get(slot);
    if (there === undefined) slots.set(slot, [object]);
    else there.push(object);
    const spc = spans.spanclass[s] ?? 0;
    seen.sizeClass = spc >> 1;
    seen.elem = elem;
    seen.noscan = (spc & 1) !== 0;
    seen.tiny = st.ptrWords === 0 && st.bytes < 16;
    seen.add(number, slot, offset - slot * elem);
  }

  private call(st: Statement & { argument: number }): void {
    const { go } = this;
    const o: Observation = { line: st.line, op: st.op };
    const near: Observation = {};
    switch (st.op) {
      case 'gc':
        go.collect();
        this.report(o);
        break;
      case 'scavenge':
        go.freeOSMemory();
        this.report(o);
        break;
      case 'setgcpercent':
        o['old'] = go.setGcPercent(st.argument);
        break;
      case 'setmemorylimit':
        o['old'] = go.setMemoryLimit(st.argument);
        break;
      case 'stats':
        this.stats(o, near);
        break;
      default:
        near['live'] = go.pacer.heapLive;
        near['marked'] = go.pacer.heapMarked;
        if (go.pacer.heapGoal !== Infinity) {
          near['trigger'] = go.pacer.trigger;
          near['goal'] = go.pacer.heapGoal;
        }
    }
    if (st.op !== 'pacer' && go.pacer.heapGoal !== Infinity) near['next_gc'] = go.pacer.heapGoal;
    this.finish(o, near);
  }

  private report(o: Observation): void {
    if (this.script.modes.bare) return;
    o['died'] = ranges(this.died);
    o['freed_spans'] = this.freedSpans.sort((a, b) => a - b);
    this.died = [];
    this.freedSpans = [];
  }

  private stats(o: Observation, near: Observation): void {
    this.go.flushCaches();
    const { start } = this;
    const now = this.figures();
    o['mallocs'] = now.mallocs - start.mallocs;
    o['frees'] = now.frees - start.frees;
    o['heap_objects'] = now.mallocs - now.frees - (start.mallocs - start.frees);
    o['total_alloc'] = now.totalAlloc - start.totalAlloc;
    o['heap_alloc'] = now.heapAlloc - start.heapAlloc;
    if (!this.script.modes.bare) o['heap_inuse'] = now.heapInuse - start.heapInuse;
    o['num_gc'] = now.numGc - start.numGc;
    const bySize: number[][] = [];
    now.bySize.forEach(([a, f], c) => {
      const [a0, f0] = start.bySize[c] ?? [0, 0];
      if (c < BY_SIZE && (a !== a0 || f !== f0))
        bySize.push([this.go.profile.classes.size[c] ?? 0, a - a0, f - f0]);
    });
    o['by_size'] = bySize;
    near['heap_sys'] = now.heapSys - start.heapSys;
    near['heap_idle'] = now.heapIdle - start.heapIdle;
    near['heap_released'] = now.heapReleased - start.heapReleased;
  }

  private finish(o: Observation, near: Observation | null): void {
    if (near !== null && Object.keys(near).length > 0) o['near'] = near;
    const { pacer, sys } = this.go;
    o['abs'] = {
      marked: pacer.heapMarked,
      stack_scan: pacer.lastStackScan,
      globals_scan: pacer.globalsScan,
      sweep_min_trigger: pacer.sweepMinTrigger,
      runway: pacer.runway,
      mapped_ready: sys.mappedReady,
      heap_free: sys.stat[S_FREE],
      heap_released: sys.stat[S_RELEASED],
      heap_inuse: sys.stat[S_INUSE],
      stack_inuse: sys.stat[S_INSTACKS],
    };
    this.emit(o);
  }
}

/** Where the objects of one statement lie, in runs. */
class Places {
  readonly spans: { span: number; npages: number; nelems: number; page: number }[] = [];
  sizeClass = 0;
  elem = 0;
  noscan = false;
  tiny = false;
  private shift = 0;
  private readonly runs: [number, number, number][] = [];

  add(span: number, slot: number, offset: number): void {
    if (this.tiny) {
      this.runs.push([span, slot, offset]);
      return;
    }
    this.shift = offset;
    const last = this.runs.at(-1);
    if (last?.[0] === span && last[1] + last[2] === slot) last[2]++;
    else this.runs.push([span, slot, 1]);
  }

  describe(o: Observation): void {
    o['class'] = this.sizeClass;
    o['elem'] = this.elem;
    o['noscan'] = this.noscan;
    if (this.shift !== 0) o['shift'] = this.shift;
    o[this.tiny ? 'tiny' : 'at'] = this.runs;
    if (this.spans.length > 0) o['spans'] = this.spans;
  }
}

/** Sorted numbers as [first, last] pairs. */
function ranges(numbers: number[]): [number, number][] {
  const result: [number, number][] = [];
  for (const n of [...numbers].sort((a, b) => a - b)) {
    const last = result.at(-1);
    if (last !== undefined && n <= last[1] + 1) last[1] = n;
    else result.push([n, n]);
  }
  return result;
}
