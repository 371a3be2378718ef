// The package's public face: `import { … } from 'pagewalk'`.
export * from '../kernel/index.ts';
export * from '../userspace/index.ts';
export type { Memory } from './memory.ts';
export { GuestSignal } from './memory.ts';
export { DebugHooks, FatalError } from './python/debug-hooks.ts';
export { describe, type PythonPlace } from './python/describe.ts';
export { checkReferences, forEachReference } from './python/fsck.ts';
export { Malloc } from './libc/malloc.ts';
export { type ArenaAllocator, MmapArenas } from './python/arena.ts';
export type { RawAllocator } from './python/raw-allocator.ts';
export type { AllocObserver } from './python/object.ts';
export {
  KIND_BYTES,
  KIND_DICT,
  KIND_FLOAT,
  KIND_INSTANCE,
  KIND_INT,
  KIND_LIST,
  KIND_NONE,
  KIND_SET,
  KIND_STR,
  KIND_TUPLE,
  KIND_WEAKREF,
} from './python/kinds.ts';
export { Obmalloc, POOL_OVERHEAD } from './python/obmalloc.ts';
export { type MallocStats, mallocStats } from './python/obmalloc-stats.ts';
export { PythonRuntime, type FreeLists } from './python/runtime.ts';
export { type Profile, type ProfileName, profiles } from './python/profile.ts';
export { StaticData } from './python/static-data.ts';
export type { StrKind } from './python/scalars.ts';
export type { PyClass } from './python/classes.ts';
export type {
  Builder,
  ClosureType,
  DequeType,
  Field,
  Heap,
  Kind,
  ListType,
  Local,
  MapType,
  Program,
  RecordType,
  Ref,
  SetType,
  StreamType,
  TupleType,
} from './workload/heap.ts';
export { newRandom } from './workload/heap.ts';
