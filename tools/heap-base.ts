// The state in which heap scripts start: a Go program that has just begun (bare), or one whose heap
// was filled up so that the next page it needs makes the heap grow.
//
// The figures come from base.json, or are those of the profile. The filled heap is made by running
// the allocator: full spans of every class, then single pages, up to a multiple of 4 MiB; objects
// of it live for ever. What the figures say beyond that (bytes marked, mapped) is taken over as it
// is.

import { InputError } from '../kernel/index.ts';
import type { GoRuntime } from '../runtime/go/runtime.ts';
import { S_FREE, S_INUSE, S_RELEASED } from '../runtime/go/sys.ts';

export interface HeapBase {
  readonly bare: boolean;
  /** Objects that live for ever; where the first page of a script lies in the first arena. */
  readonly fillers: number;
  readonly first_page_offset: number;
  readonly heap_alloc: number;
  readonly heap_sys: number;
  readonly heap_inuse: number;
  readonly stack_inuse: number;
  /** Before any collection: live bytes, mapped bytes. */
  readonly live: number;
  readonly marked: number;
  readonly mapped_ready: number;
  readonly total_alloc: number;
  readonly total_free: number;
  /** Marked by a collection when the script has no objects. */
  readonly marked_after_gc: number;
  readonly stack_scan: number;
  readonly globals_scan: number;
}

const FIELDS: readonly (readonly [keyof HeapBase, string])[] = [
  ['heap_alloc', 'heap_alloc'],
  ['heap_sys', 'heap_sys'],
  ['heap_inuse', 'heap_inuse'],
  ['stack_inuse', 'stack_inuse'],
  ['live', 'start.near.live'],
  ['marked', 'start.near.marked'],
  ['mapped_ready', 'start.abs.mapped_ready'],
  ['total_alloc', 'start.abs.total_alloc'],
  ['total_free', 'start.abs.total_free'],
  ['marked_after_gc', 'after_gc.near.marked'],
  ['stack_scan', 'after_gc.abs.stack_scan'],
  ['globals_scan', 'after_gc.abs.globals_scan'],
];

/** Reads one state of a base.json. @param mode full, stw or bare. */
export function parseHeapBase(text: string, file: string, mode: 'full' | 'stw' | 'bare'): HeapBase {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new InputError(file, 'expected JSON: the state in which scripts start');
  }
  const numberAt = (path: string, missing?: number): number => {
    let at: unknown = json;
    for (const key of [mode, ...path.split('.')])
      at = typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[key] : undefined;
    if (typeof at === 'number') return at;
    if (missing !== undefined) return missing;
    throw new InputError(file, `expected a number at ${mode}.${path}`);
  };
  const figures = Object.fromEntries(FIELDS.map(([field, path]) => [field, numberAt(path)]));
  return {
    ...(figures as unknown as HeapBase),
    bare: mode === 'bare',
    fillers: numberAt('fillers', 0),
    first_page_offset: numberAt('first_page_offset', 0),
  };
}

const PAGE = 8192;

/** Brings a runtime that has just booted into the state that `base` describes. */
export function prepareHeap(go: GoRuntime, base: HeapBase): void {
  go.setGcPercent(-1);
  go.heap.persistent.haveProcessor();
  // The program collected before, with some objects: all generations of mark bitmaps are in use.
  for (let i = 0; i < 4; i++) keep(go, PAGE, 0);
  for (let i = 0; i < 3; i++) go.collect();
  const stackPages = base.stack_inuse / PAGE;
  for (let left = stackPages; left > 0; left -= 4) go.newStack(Math.min(4, left));
  if (base.bare) fillBare(go, base);
  else fillHeap(go, base);
  go.flushCaches();
  takeOver(go, base);
}

function inUsePages(go: GoRuntime): number {
  return (go.sys.stat[S_INUSE] ?? 0) / PAGE;
}

/** A small heap: some full spans, and free pages that were never used. */
function fillBare(go: GoRuntime, base: HeapBase): void {
  const pages = base.heap_inuse / PAGE;
  while (inUsePages(go) < pages) keep(go, PAGE, 0);
}

/** An object that a global variable holds for ever. */
function keep(go: GoRuntime, bytes: number, ptrWords: number): void {
  const type = go.types.leading(bytes, ptrWords);
  const at = go.new(bytes, type);
  go.storePointer(go.newGlobal(), at);
}

/**
 * Full spans of every class, more of a small class up to the number of objects, then single
 * pages.
 */
function fillHeap(go: GoRuntime, base: HeapBase): void {
  const { profile, heap } = go;
  const { classes } = profile;
  const pages = base.heap_inuse / PAGE;
  let objects = 0;
  const fillSpan = (sizeclass: number, pointers: boolean): void => {
    const size = classes.size[sizeclass] ?? 0;
    const npages = classes.pages[sizeclass] ?? 0;
    const header = pointers && profile.mallocHeaders && size > 512 ? 8 : 0;
    const bytes = Math.min(size - header, profile.maxSmallBytes);
    const spc = sizeclass * 2 + (pointers ? 0 : 1);
    const slots = Math.floor((npages * PAGE - heap.reserved(spc, npages * PAGE)) / size);
    for (let i = 0; i < slots; i++) keep(go, bytes, pointers ? bytes / 8 : 0);
    objects += slots;
  };
  for (let c = 1; c < classes.count; c++) {
    fillSpan(c, true);
    if ((classes.size[c] ?? 0) >= 16) fillSpan(c, false);
  }
  const rest = (): number => pages - inUsePages(go);
  for (let c = 0; base.fillers - objects > rest() && rest() > 0; c++) {
    fillSpan(2, c % 2 === 0);
  }
  while (rest() > 0) {
    keep(go, PAGE, 0);
    objects++;
  }
}

/** The figures that pacing begins with. */
function takeOver(go: GoRuntime, base: HeapBase): void {
  const { pacer, stats, gc, sys } = go;
  gc.immortalBytes = 0;
  const before = { alloc: stats.totalAlloc, free: stats.totalFree };
  const inUse = before.alloc - before.free;
  gc.immortalBytes = base.marked_after_gc - inUse;
  stats.totalAlloc = base.total_alloc;
  stats.totalFree = base.total_free;
  pacer.heapLive = base.live;
  pacer.heapMarked = base.marked;
  pacer.lastStackScan = base.stack_scan;
  pacer.globalsScan = base.globals_scan;
  sys.mappedReady = base.mapped_ready;
  const extra = base.heap_sys - (sys.stat[S_INUSE] ?? 0) - (sys.stat[S_FREE] ?? 0);
  if (!base.bare && extra !== (sys.stat[S_RELEASED] ?? 0))
    throw new InputError('base', 'expected a heap without free pages: heap_sys = heap_inuse');
  // The program's own stacks and globals are not modelled word by word: they cost this much to
  // scan.
  gc.roots = [
    ...gc.roots,
    { prepare: () => 1, scan: () => base.globals_scan },
    { prepare: () => 1, scan: () => -base.stack_scan },
  ];
  go.gc.commit();
}
