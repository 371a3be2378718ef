// A CPython process's heap: allocator, types and collector of one version, put together.
//
// The parts know each other only through what is handed to them here. Objects are named by their
// addresses; functions that make one return a new reference, which the caller owns.

import { CachedMemory } from '../cached-memory.ts';
import type { Memory } from '../memory.ts';
import { Malloc } from '../libc/malloc.ts';
import type { ArenaAllocator } from './arena.ts';
import { TableDicts } from './dict-table.ts';
import { DictKeys, type KeyOps } from './dict-keys.ts';
import { Dicts } from './dictobject.ts';
import { DictValues } from './dict-values.ts';
import { Frames } from './frame.ts';
import { Functions } from './funcobject.ts';
import { Collector } from './gc.ts';
import { IncrementalCollector } from './gc-incremental.ts';
import { Generators } from './genobject.ts';
import { DebugHooks } from './debug-hooks.ts';
import { debugMallocStats } from './debug-malloc-stats.ts';
import { Lists } from './listobject.ts';
import {
  KIND_BYTES,
  KIND_DICT,
  KIND_FLOAT,
  KIND_INT,
  KIND_LIST,
  KIND_NONE,
  KIND_SET,
  KIND_STR,
  KIND_TUPLE,
} from './kinds.ts';
import { ObjectCore } from './object.ts';
import { Obmalloc } from './obmalloc.ts';
import { type MallocStats, mallocStats } from './obmalloc-stats.ts';
import { type Profile, type ProfileName, profiles } from './profile.ts';
import { Scalars } from './scalars.ts';
import { Sets } from './setobject.ts';
import { StaticData } from './static-data.ts';
import { Tuples } from './tupleobject.ts';
import { Instances } from './typeobject.ts';
import { Weakrefs } from './weakrefobject.ts';

const DATA_BYTES = 1 << 20;

/** Number of objects that each free list holds; tuples by length. */
export interface FreeLists {
  list: number;
  dict: number;
  dict_keys: number;
  float: number;
  tuple: Record<string, number>;
}

/** How the interpreter is started. */
export interface PythonOptions {
  /** PYTHONMALLOC=debug: marks around each block, looked at when it is freed. */
  readonly debug?: boolean;
}

export class PythonRuntime {
  readonly mem: CachedMemory;
  readonly profile: Profile;
  readonly data: StaticData;
  readonly libc: Malloc;
  readonly obmalloc: Obmalloc;
  readonly core: ObjectCore;
  readonly gc: Collector;
  readonly scalars: Scalars;
  readonly tuples: Tuples;
  readonly lists: Lists;
  readonly dicts: Dicts;
  readonly sets: Sets;
  readonly weakrefs: Weakrefs;
  readonly instances: Instances;
  readonly functions: Functions;
  readonly frames: Frames;
  readonly generators: Generators;
  /** gc.garbage, a list; made when first needed. */
  garbage = 0;

  /** @param memory the memory of an empty process. */
  constructor(memory: Memory, version: ProfileName = '3.11', options: PythonOptions = {}) {
    const mem = new CachedMemory(memory);
    this.mem = mem;
    this.profile = profiles[version];
    this.data = new StaticData(mem, DATA_BYTES);
    this.libc = new Malloc(mem, this.data.variable(Malloc.stateBytes));
    this.obmalloc = new Obmalloc(mem, this.libc, this.data, this.profile);
    const core = new ObjectCore(mem, this.data, this.profile, this.obmalloc);
    this.core = core;
    core.raw = this.libc;
    if (options.debug === true)
      core.allocator = new DebugHooks(mem, this.obmalloc, 'o', this.profile);
    this.gc = this.profile.incrementalGc ? new IncrementalCollector(core) : new Collector(core);
    core.gc = this.gc;
    this.scalars = new Scalars(core);
    this.tuples = new Tuples(core);
    this.lists = new Lists(core);
    this.weakrefs = new Weakrefs(core, this.tuples, this.scalars.none);
    const keyOps: KeyOps = {
      hash: (op) => this.hash(op),
      equal: (a, b) => this.equal(a, b),
    };
    const keys = new DictKeys(core, this.scalars, keyOps);
    const values = new DictValues(core);
    this.dicts = this.profile.dictTables
      ? new TableDicts(core, keys, values, keyOps, this.scalars.hash)
      : new Dicts(core, keys, values, keyOps);
    this.sets = new Sets(core, keyOps, this.scalars.hash, this.weakrefs);
    this.instances = new Instances(core, this.dicts, this.scalars, this.weakrefs);
    this.functions = new Functions(core, this.scalars.none, this.weakrefs);
    const chunks = (): ArenaAllocator => this.obmalloc.arenas.source;
    this.frames = new Frames(core, this.functions, chunks, this.weakrefs);
    this.generators = new Generators(core, this.frames, this.weakrefs);
    this.gc.forEachRoot = (visit) => this.frames.forEachRoot(visit);
    this.gc.help = {
      maybeUntrackTuple: (op) => this.tuples.maybeUntrack(op),
      maybeUntrackDict: (op) => this.dicts.maybeUntrack(op),
      clearRef: (ref) => this.weakrefs.clearRef(ref),
      callbackOf: (ref) => this.weakrefs.callbackOf(ref),
      callback: (ref) => this.weakrefs.call(this.weakrefs.callbackOf(ref), ref),
      clearFreeLists: () => this.clearFreeLists(),
      saveGarbage: (op) => this.saveGarbage(op),
    };
  }

  /** Puts the hash of any object into scalars.hash. @returns false if it has none. */
  private hash(op: number): boolean {
    const { scalars, tuples } = this;
    const kind = this.core.kindOf(op);
    if (kind === KIND_LIST || kind === KIND_DICT || kind === KIND_SET) return false;
    if (kind !== KIND_TUPLE) {
      scalars.hashOf(op, kind);
      return true;
    }
    return this.hashTuple(op, tuples.length(op));
  }

  private hashTuple(op: number, length: number): boolean {
    const { hash } = this.scalars;
    const items: [number, number][] = [];
    for (let i = 0; i < length; i++) {
      if (!this.hash(this.tuples.item(op, i))) return false;
      items.push([hash.lo, hash.hi]);
    }
    hash.beginTuple();
    for (const [lo, hi] of items) {
      hash.lo = lo;
      hash.hi = hi;
      hash.mixTuple();
    }
    hash.endTuple(length);
    return true;
  }

  /** a == b. Containers other than tuples are equal only to themselves: they are no keys. */
  equal(a: number, b: number): boolean {
    if (a === b) return true;
    const kindA = this.core.kindOf(a);
    const kindB = this.core.kindOf(b);
    if (kindA !== KIND_TUPLE || kindB !== KIND_TUPLE) return this.scalars.equal(a, b, kindA, kindB);
    const { tuples } = this;
    const n = tuples.length(a);
    if (n !== tuples.length(b)) return false;
    for (let i = 0; i < n; i++) if (!this.equal(tuples.item(a, i), tuples.item(b, i))) return false;
    return true;
  }

  /** sys.getsizeof() */
  sizeof(op: number): number {
    const ops = this.core.ops[this.core.kindOf(op)];
    return ops.sizeOf(op) + (ops.isGc ? this.profile.gcHeadBytes : 0);
  }

  /**
   * Whether an object was there before any program: None, small integers, one-character strings.
   */
  isShared(op: number): boolean {
    return this.scalars.isShared(op);
  }

  /** The kinds that refer to nothing. */
  isScalar(op: number): boolean {
    const kind = this.core.kindOf(op);
    const scalars = [KIND_NONE, KIND_INT, KIND_FLOAT, KIND_STR, KIND_BYTES];
    return scalars.includes(kind);
  }

  /** What full collections do: free lists go back to the allocator. */
  clearFreeLists(): void {
    if (this.profile.freesFloatsFirst) this.scalars.clearFloats();
    this.tuples.clearFree();
    if (!this.profile.freesFloatsFirst) this.scalars.clearFloats();
    this.lists.clearFree();
    this.dicts.clearFree();
  }

  freeLists(): FreeLists {
    return {
      list: this.lists.free,
      dict: this.dicts.free,
      dict_keys: this.dicts.keys.freeTables,
      float: this.scalars.freeFloats,
      tuple: this.tuples.freeLists(),
    };
  }

  private saveGarbage(op: number): void {
    if (this.garbage === 0) this.garbage = this.lists.make(0);
    this.lists.append(this.garbage, op);
  }

  mallocStats(): MallocStats {
    return mallocStats(this.mem, this.obmalloc);
  }

  /** sys._debugmallocstats(): its text. */
  debugMallocStats(): string {
    return debugMallocStats(this.profile, this.mallocStats(), this.freeLists());
  }

  /** Throws KernelBug where a structure is not sound. O(heap). */
  check(): void {
    this.obmalloc.check();
    this.libc.check();
    this.gc.check();
    this.frames.check();
  }
}
