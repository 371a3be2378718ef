// The package's public face: `import { … } from 'pagewalk'`.
export * from '../kernel/index.ts';
export * from '../userspace/index.ts';
export type { Memory } from './memory.ts';
export { GuestSignal } from './memory.ts';
export { Malloc } from './libc/malloc.ts';
export { type ArenaAllocator, MmapArenas, type RawAllocator } from './python/arena.ts';
export { Obmalloc, POOL_OVERHEAD } from './python/obmalloc.ts';
export { type MallocStats, mallocStats } from './python/obmalloc-stats.ts';
export { type Profile, type ProfileName, profiles } from './python/profile.ts';
export { StaticData } from './python/static-data.ts';
