// A Go heap as plain data: arenas, spans by class, slots with their bits, what waits where.
//
// The collector's columns are read as they are; bitmaps from the process's memory, without effect.

import { GC_MARK } from '../../runtime/go/mgc.ts';
import { FREE, IN_USE, MANUAL } from '../../runtime/go/mspan.ts';
import type { GoRuntime } from '../../runtime/go/runtime.ts';
import { ARENA_BYTES, PAGE_BYTES, STAT_NAMES } from '../../runtime/go/sys.ts';
import type { Mm } from '../../userspace/mm.ts';
import { Peek } from './peek.ts';

/** One past the last byte of the arenas that were reserved. */
export function goHeapEnd(go: GoRuntime): number {
  return go.sys.heapBase + go.heap.arenas.list.length * ARENA_BYTES;
}

/** A page of the heap: free, in a span of small or large objects, in a stack or work buffer. */
export const GO_PAGE_FREE = 0;
export const GO_PAGE_SMALL = 1;
export const GO_PAGE_LARGE = 2;
export const GO_PAGE_MANUAL = 3;

export interface GoArena {
  readonly address: number;
  /** GO_PAGE_* and, from bit 2 on, sixteenths of the span's slots in use, of each 8 KiB page. */
  readonly pages: Uint8Array<ArrayBuffer>;
  /** Pages up to the last that was ever used. */
  readonly used: number;
}

/** Spans of one class: a size, with pointers or without. */
export interface GoClass {
  readonly spanclass: number;
  readonly size: number;
  readonly noscan: boolean;
  readonly spans: number;
  readonly objects: number;
  readonly slots: number;
  /** Spans in processors' caches. */
  readonly mcache: number;
  /** Spans in the central lists. */
  readonly partialSwept: number;
  readonly partialUnswept: number;
  readonly fullSwept: number;
  readonly fullUnswept: number;
}

export interface GoView {
  readonly profile: string;
  /** 'off', 'marking' or 'sweeping'. */
  readonly phase: string;
  readonly collections: number;
  readonly sweepgen: number;
  readonly arenas: readonly GoArena[];
  readonly classes: readonly GoClass[];
  /** Bytes, as MemStats and the pacer have them. */
  readonly figures: readonly (readonly [string, number])[];
}

/** The heap as a whole. O(spans + pages). */
export function goView(go: GoRuntime): GoView {
  const { heap, gc, pacer, sys } = go;
  const figures: [string, number][] = [
    ['heap live', pacer.heapLive],
    ['heap marked', pacer.heapMarked],
    ['heap goal', pacer.heapGoal],
    ['trigger', pacer.trigger],
    ['heap scan', pacer.heapScan],
    ['mapped, ready', sys.mappedReady],
  ];
  STAT_NAMES.forEach((name, i) => figures.push([name, sys.stat[i] ?? 0]));
  return {
    profile: go.profile.name,
    phase: gc.phase === GC_MARK ? 'marking' : go.sweep.drained ? 'off' : 'sweeping',
    collections: gc.numGc,
    sweepgen: heap.sweepgen,
    arenas: heap.arenas.list.map((i) => arenaOf(go, i)),
    classes: classesOf(go),
    figures,
  };
}

function arenaOf(go: GoRuntime, number: number): GoArena {
  const { spans, pageSpan } = go.heap;
  const perArena = ARENA_BYTES / PAGE_BYTES;
  const pages = new Uint8Array(perArena);
  let used = 0;
  for (let i = 0; i < perArena; i++) {
    const s = pageSpan[number * perArena + i] ?? 0;
    if (s === 0 || spans.state[s] === FREE) continue;
    used = i + 1;
    const kind =
      spans.state[s] === MANUAL
        ? GO_PAGE_MANUAL
        : (spans.spanclass[s] ?? 0) < 2
          ? GO_PAGE_LARGE
          : GO_PAGE_SMALL;
    const share = (spans.allocCount[s] ?? 0) / Math.max(1, spans.nelems[s] ?? 1);
    pages[i] = kind | (Math.min(15, Math.round(share * 15)) << 2);
  }
  return { address: go.sys.heapBase + number * ARENA_BYTES, pages, used };
}

const NO_SPANS = { partialSwept: 0, partialUnswept: 0, fullSwept: 0, fullUnswept: 0 };

function classesOf(go: GoRuntime): GoClass[] {
  const { spans } = go.heap;
  const found = new Map<number, { spans: number; objects: number; slots: number }>();
  for (let s = 1; s < spans.count; s++) {
    if (spans.state[s] !== IN_USE) continue;
    const spanclass = spans.spanclass[s] ?? 0;
    const c = found.get(spanclass) ?? { spans: 0, objects: 0, slots: 0 };
    found.set(spanclass, c);
    c.spans++;
    c.objects += spans.allocCount[s] ?? 0;
    c.slots += spans.nelems[s] ?? 0;
  }
  return [...found]
    .sort(([a], [b]) => a - b)
    .map(([spanclass, c]) => {
      const central = go.central[spanclass];
      return {
        spanclass,
        size: go.profile.classes.size[spanclass >> 1] ?? 0,
        noscan: (spanclass & 1) !== 0,
        ...c,
        mcache: go.procs.filter((p) => (p.alloc[spanclass] ?? 0) !== 0).length,
        ...(central?.counts() ?? NO_SPANS),
      };
    });
}

/** Bits of a slot in GoSpan.slots. */
export const SLOT_ALLOCATED = 1;
export const SLOT_MARKED = 2;

export interface GoSpan {
  readonly number: number;
  readonly start: number;
  readonly bytes: number;
  readonly record: number;
  readonly state: string;
  readonly spanclass: number;
  readonly size: number;
  readonly noscan: boolean;
  readonly nelems: number;
  readonly allocCount: number;
  readonly freeindex: number;
  readonly sweepgen: number;
  /** Where it waits. */
  readonly place: string;
  /** SLOT_* of each slot. */
  readonly slots: Uint8Array<ArrayBuffer>;
  readonly allocBits: number;
  readonly markBits: number;
}

/** The span that holds an address of the heap; undefined where none does. */
export function goSpanAt(go: GoRuntime, mm: Mm, va: number): GoSpan | undefined {
  const base = go.sys.heapBase;
  if (va < base || va >= goHeapEnd(go)) return undefined;
  const number = go.heap.pageSpan[Math.floor((va - base) / PAGE_BYTES)] ?? 0;
  return number === 0 ? undefined : goSpan(go, mm, number);
}

/** One span with all its slots. O(slots). */
export function goSpan(go: GoRuntime, mm: Mm, s: number): GoSpan {
  const { spans, sweepgen } = go.heap;
  const of = (column: ArrayLike<number>): number => column[s] ?? 0;
  const nelems = of(spans.nelems);
  const state = of(spans.state) === IN_USE ? 'in use' : of(spans.state) === MANUAL ? 'manual' : '';
  return {
    number: s,
    start: go.sys.addressOf(of(spans.start)),
    bytes: of(spans.npages) * PAGE_BYTES,
    record: of(spans.record),
    state,
    spanclass: of(spans.spanclass),
    size: of(spans.elemsize),
    noscan: (of(spans.spanclass) & 1) !== 0,
    nelems,
    allocCount: of(spans.allocCount),
    freeindex: of(spans.freeindex),
    sweepgen: of(spans.sweepgen),
    place: placeOf(go, s, sweepgen),
    slots: slotsOf(go, new Peek(mm), s, nelems),
    allocBits: of(spans.allocBits),
    markBits: of(spans.markBits),
  };
}

/** Where a span waits: a processor's cache, or the central list that its sweepgen says. */
function placeOf(go: GoRuntime, s: number, heapGen: number): string {
  const { spans } = go.heap;
  if (spans.state[s] === MANUAL) return 'a stack or a work buffer';
  const spanclass = spans.spanclass[s] ?? 0;
  const proc = go.procs.find((p) => p.alloc[spanclass] === s);
  if (proc !== undefined) return `mcache of P ${proc.id}`;
  const swept = (spans.sweepgen[s] ?? 0) === heapGen ? 'swept' : 'not yet swept';
  if (spanclass < 2) return `a large object, ${swept}`;
  const full = (spans.allocCount[s] ?? 0) >= (spans.nelems[s] ?? 0) ? 'full' : 'partial';
  return `mcentral, ${full}, ${swept}`;
}

function slotsOf(go: GoRuntime, peek: Peek, s: number, nelems: number): Uint8Array<ArrayBuffer> {
  const { spans } = go.heap;
  const slots = new Uint8Array(nelems);
  const size = spans.elemsize[s] ?? 0;
  const start = go.sys.addressOf(spans.start[s] ?? 0);
  const bits = go.heap.usesInlineMarks(size)
    ? start + PAGE_BYTES - 128 + 64
    : (spans.markBits[s] ?? 0);
  // what a processor has taken out of its cached span, the bits do not say yet: freeindex does
  const free = Math.max(spans.freeindex[s] ?? 0, spans.freeIndexForScan[s] ?? 0);
  const alloc = spans.allocBits[s] ?? 0;
  for (let i = 0; i < nelems; i++) {
    const bit = 1 << (i & 7);
    if (i < free || (peek.load8(alloc + (i >> 3)) & bit) !== 0) slots[i] = SLOT_ALLOCATED;
    if ((peek.load8(bits + (i >> 3)) & bit) !== 0) slots[i]! |= SLOT_MARKED;
  }
  return slots;
}
