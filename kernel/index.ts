// The kernel layer's public face.
export * from './types.ts';
export * from './errors.ts';
export * from './ports.ts';
export { PhysMem } from './physmem.ts';
export { MemMap, pageFlagNames } from './page.ts';
export { type BootConfig, type BootedMemory, bootMemory } from './boot.ts';
export { PageAllocator } from './page_alloc.ts';
export { type SlabReport, type ZoneReport, slabReport, zoneReports } from './boot_report.ts';
export { standardCaches } from './caches.ts';
export { parseE820 } from './memory_map.ts';
export { parseSrat } from './srat.ts';
export { Kmalloc } from './kmalloc.ts';
export { SlabHeap } from './slab_common.ts';
