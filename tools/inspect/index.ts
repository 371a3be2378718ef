// The inspection API: every look that a view, a prompt or an exporter may take at a machine, by
// name. See subject.ts for its rule: no effect, plain data.

import { waterfall, type Waterfall } from '../waterfall.ts';
import { buddyView, freeList } from './buddy.ts';
import { byteRows } from './bytes.ts';
import { chainOf, tellingOf } from './chain.ts';
import { frameMap } from './frames.ts';
import { goObjectAt } from './go-object.ts';
import { goView } from './go.ts';
import { lruView } from './lru.ts';
import { pythonBlocksAt } from './python-arenas.ts';
import { pinsAt, worstPins } from './pins/index.ts';
import { asideOf, pythonObjectAt, pythonView } from './python.ts';
import type { Selection } from './selection.ts';
import { slabDetail, slabView } from './slab.ts';
import { spaceView } from './space.ts';
import { processOf, type Subject } from './subject.ts';
import { swapView } from './swap.ts';
import { tlbView } from './tlb.ts';

/** All inspections, each a function of the subject and plain arguments. */
export const inspections = {
  /** The chain of a selection, down and up. */
  chain: (s: Subject, selection: Selection) => chainOf(s, selection),
  /** Something of a process that is worth selecting. */
  telling: (s: Subject, pid: number) => tellingOf(s, pid),
  /** The use of every frame. */
  frames: (s: Subject) => frameMap(s),
  /** Mappings of a process, and the state of their pages. */
  space: (s: Subject, pid: number) => spaceView(s, pid),
  /** Zones, free lists, pageblocks; and one free list. */
  buddy: (s: Subject) => buddyView(s),
  freeList: (s: Subject, zone: string, type: number, order: number) =>
    freeList(s, zone, type, order),
  /** Slab caches; and the slabs of one. */
  slab: (s: Subject) => slabView(s),
  slabs: (s: Subject, cache: string) => slabDetail(s, cache),
  tlb: (s: Subject) => tlbView(s),
  lru: (s: Subject) => lruView(s),
  swap: (s: Subject) => swapView(s),
  /** The heap of a process as a whole; undefined where its runtime is another. */
  go: (s: Subject, pid: number) => {
    const heap = processOf(s, pid)?.heap;
    return heap?.runtime === 'go' ? goView(heap.go) : undefined;
  },
  python: (s: Subject, pid: number) => {
    const p = processOf(s, pid);
    return p === undefined ? undefined : pythonView(p);
  },
  /** What lies at an address of a heap: an object in its span, or in its pool. */
  goObject: (s: Subject, pid: number, va: number) => {
    const p = processOf(s, pid);
    return p?.heap?.runtime === 'go' ? goObjectAt(p.heap.go, p.task.mm, va) : undefined;
  },
  pythonObject: (s: Subject, pid: number, va: number) => {
    const p = processOf(s, pid);
    if (p?.heap?.runtime !== 'python') return undefined;
    return { place: pythonBlocksAt(p, va), object: pythonObjectAt(p, va) };
  },
  /** Rows of 16 bytes of a process (or, with pid 0, of RAM). */
  bytes: (s: Subject, pid: number, from: number, rows: number) => byteRows(s, pid, from, rows),
  /** What cannot be given back, and who holds it: the worst places, or those at an address. */
  worstPins: (s: Subject, pid: number, n: number) => worstPins(s, pid, n),
  pinsAt: (s: Subject, pid: number, address: number) => pinsAt(s, pid, address),
  /** Where all memory of a process with a heap is. */
  waterfall: (s: Subject, pid: number): Waterfall | undefined => {
    const p = processOf(s, pid);
    if (p?.heap?.runtime === 'go') return waterfall(p.task, p.heap.go);
    return p === undefined ? undefined : asideOf(p, (py) => waterfall(p.task, py));
  },
};

export type Inspections = typeof inspections;
export type InspectionName = keyof Inspections;
type Rest<F> = F extends (s: Subject, ...args: infer A) => unknown ? A : never;
export type InspectionArgs<K extends InspectionName> = Rest<Inspections[K]>;
export type InspectionResult<K extends InspectionName> = ReturnType<Inspections[K]>;

/** Takes one look. */
export function inspect<K extends InspectionName>(
  subject: Subject,
  name: K,
  args: InspectionArgs<K>,
): InspectionResult<K> {
  const look = inspections[name] as unknown as (
    s: Subject,
    ...args: InspectionArgs<K>
  ) => InspectionResult<K>;
  return look(subject, ...args);
}
