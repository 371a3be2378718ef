// A CPython heap as plain data: figures, generations, and one object with what it refers to.
//
// The runtime's own code reads the objects, over a PeekMemory: see peek.ts. Where a page that it
// needs is not in memory, less is told.

import { COLLECTING } from '../../runtime/python/gc-list.ts';
import { NUM_GENERATIONS } from '../../runtime/python/gc.ts';
import { forEachReference } from '../../runtime/python/fsck.ts';
import {
  KIND_DICT,
  KIND_FLOAT,
  KIND_INT,
  KIND_LIST,
  KIND_NONE,
  KIND_SET,
  KIND_STR,
  KIND_TUPLE,
  NR_KINDS,
} from '../../runtime/python/kinds.ts';
import { TEXT_BASE, TP_DEALLOC } from '../../runtime/python/object.ts';
import type { PythonRuntime } from '../../runtime/python/runtime.ts';
import { NotPresent, Peek, PeekMemory } from './peek.ts';
import { pythonArenas, pythonBlocksAt, type PythonArena } from './python-arenas.ts';
import type { SubjectProcess } from './subject.ts';

export interface PythonGeneration {
  readonly generation: number;
  readonly objects: number;
  readonly count: number;
  readonly threshold: number;
  readonly collections: number;
  readonly collected: number;
}

export interface PythonView {
  readonly version: string;
  readonly arenas: readonly PythonArena[];
  readonly collecting: boolean;
  readonly generations: readonly PythonGeneration[];
  /** Size class by size: pools, blocks in use, blocks. */
  readonly classes: readonly {
    size: number;
    pools: number;
    used: number;
    blocks: number;
  }[];
}

/** Runs `look` with the runtime reading from outside; undefined where it needs an absent page. */
export function asideOf<T>(p: SubjectProcess, look: (py: PythonRuntime) => T): T | undefined {
  if (p.heap?.runtime !== 'python') return undefined;
  const { py } = p.heap;
  try {
    return py.mem.aside(new PeekMemory(p.task.mm, py.mem.epoch), () => look(py));
  } catch (e) {
    if (e instanceof NotPresent) return undefined;
    throw e;
  }
}

/** The heap as a whole. O(pools + tracked objects). */
export function pythonView(p: SubjectProcess): PythonView | undefined {
  if (p.heap?.runtime !== 'python') return undefined;
  const { py } = p.heap;
  const arenas = pythonArenas(p);
  const classes = new Map<number, { size: number; pools: number; used: number; blocks: number }>();
  for (const pool of arenas.flatMap((a) => a.pools)) {
    if (pool.used === 0) continue;
    const c = classes.get(pool.size) ?? {
      size: pool.size,
      pools: 0,
      used: 0,
      blocks: 0,
    };
    classes.set(pool.size, c);
    c.pools++;
    c.used += pool.used;
    c.blocks += pool.blocks;
  }
  const generations: PythonGeneration[] = [];
  for (let g = 0; g < NUM_GENERATIONS; g++) {
    const found = asideOf(p, () => ({
      objects: py.gc.lists.size(py.gc.head(g)),
      count: py.gc.count(g),
      threshold: py.gc.threshold(g),
    }));
    const stats = py.gc.stats[g];
    generations.push({
      generation: g,
      objects: found?.objects ?? 0,
      count: found?.count ?? 0,
      threshold: found?.threshold ?? 0,
      collections: stats?.collections ?? 0,
      collected: stats?.collected ?? 0,
    });
  }
  return {
    version: py.profile.name,
    arenas,
    collecting: py.gc.collecting,
    generations,
    classes: [...classes.values()].sort((a, b) => a.size - b.size),
  };
}

export interface PythonReference {
  readonly address: number;
  readonly type: string;
  readonly text: string;
  readonly refcount: number;
}

export interface PythonObject {
  readonly address: number;
  readonly type: string;
  /** What it holds, where that is short to say. */
  readonly text: string;
  readonly refcount: number;
  readonly size: number;
  readonly tracked: boolean;
  /** 0…2, 3 for permanent, -1 for an object that the collector does not track. */
  readonly generation: number;
  /** References not accounted for, while a collection runs; -1 otherwise. */
  readonly gcRefs: number;
  /** What it refers to, MOST_REFERENCES at most, and how many there are. */
  readonly references: readonly PythonReference[];
  readonly nrReferences: number;
}

const MOST_REFERENCES = 64;

/** The object whose block, or whose memory in the data section, holds the address. */
export function pythonObjectAt(p: SubjectProcess, va: number): PythonObject | undefined {
  if (p.heap?.runtime !== 'python') return undefined;
  const op = objectStart(p, p.heap.py, va);
  if (op === 0) return undefined;
  return asideOf(p, (py) => objectOf(py, op));
}

/** Where the object begins in its block; 0 where the block holds none. */
function objectStart(p: SubjectProcess, py: PythonRuntime, va: number): number {
  const place = pythonBlocksAt(p, va);
  const peek = new Peek(p.task.mm);
  if (place === undefined) return kindAt(peek, va - (va & 7)) < 0 ? 0 : va - (va & 7);
  const { pool, first, blocks } = place;
  const n = Math.floor((va - first) / pool.size);
  if (va < first || blocks[n] !== 2) return 0;
  return objectIn(py, peek, first + n * pool.size, pool.size);
}

/** What may lie in a block before its object: the collector's head, a dict and weak references. */
const PRESIZES = [0, 16, 24, 32] as const;

/** Where the object begins in a block that is in use; 0 where the block holds none. */
export function objectIn(py: PythonRuntime, peek: Peek, block: number, bytes: number): number {
  for (const presize of PRESIZES) {
    const op = block + presize;
    if (presize + 16 > bytes) break;
    const kind = kindAt(peek, op);
    if (kind >= 0 && presize > 0 === py.core.isGcKind(kind)) return op;
  }
  return 0;
}

/** Whether a block in use holds an object that was freed: it waits in its type's free list. */
export function freedObjectIn(
  py: PythonRuntime,
  peek: Peek,
  block: number,
  bytes: number,
): boolean {
  return PRESIZES.some((presize) => {
    if (presize + 16 > bytes) return false;
    const kind = typeKindAt(peek, block + presize);
    return kind >= 0 && presize > 0 === py.core.isGcKind(kind);
  });
}

/** The kind that an object at `op` would have; -1 where its type word leads to no type. */
function kindAt(peek: Peek, op: number): number {
  return peek.load32(op) === 0 ? -1 : typeKindAt(peek, op);
}

function typeKindAt(peek: Peek, op: number): number {
  const type = peek.load64(op + 8);
  if (type <= 0 || (type & 7) !== 0 || peek.at(type) < 0) return -1;
  const entry = peek.load32(type + TP_DEALLOC) - TEXT_BASE;
  const kind = entry / 16;
  return Number.isInteger(kind) && kind >= 0 && kind < NR_KINDS ? kind : -1;
}

function objectOf(py: PythonRuntime, op: number): PythonObject {
  const { core, gc } = py;
  const ops = core.ops[core.kindOf(op)];
  const isGc = core.isGc(op);
  const tracked = isGc && gc.isTracked(op);
  const head = op - 16;
  const isCollecting = tracked && (gc.lists.flags(head) & COLLECTING) !== 0;
  const references: PythonReference[] = [];
  let nrReferences = 0;
  forEachReference(py, op, (to) => {
    if (to === 0 || ++nrReferences > MOST_REFERENCES) return;
    references.push({
      address: to,
      type: typeName(py, to),
      text: textOf(py, to),
      refcount: core.refcount(to),
    });
  });
  return {
    address: op,
    type: typeName(py, op),
    text: textOf(py, op),
    refcount: core.refcount(op),
    size: ops?.sizeOf(op) ?? 0,
    tracked,
    generation: tracked && !gc.collecting ? gc.generationOf(op) : -1,
    gcRefs: isCollecting ? Math.floor(core.mem.load64(head + 8) / 4) : -1,
    references,
    nrReferences,
  };
}

/** `list`, the name of a class. */
export function typeName(py: PythonRuntime, op: number): string {
  const ops = py.core.ops[py.core.kindOf(op)];
  return ops?.nameOf?.(op) ?? ops?.name ?? 'object';
}

/** The value of a scalar, the length of a container. */
export function textOf(py: PythonRuntime, op: number): string {
  switch (py.core.kindOf(op)) {
    case KIND_NONE:
      return 'None';
    case KIND_INT:
      return String(py.scalars.intValue(op));
    case KIND_FLOAT:
      return String(py.scalars.floatValue(op));
    case KIND_STR:
      return JSON.stringify(py.scalars.text(op).slice(0, 40));
    case KIND_LIST:
      return `${py.lists.length(op)} items`;
    case KIND_TUPLE:
      return `${py.tuples.length(op)} items`;
    case KIND_DICT:
      return `${py.dicts.length(op)} entries`;
    case KIND_SET:
      return `${py.sets.length(op)} items`;
    default:
      return '';
  }
}
