// What a frame may be used for, as one byte: see frames.ts. Numbers and names alone, for pages that
// show them.

export const FRAME_HOLE = 0;
export const FRAME_BOOT = 1;
export const FRAME_MEMMAP = 2;
export const FRAME_TABLE = 3;
export const FRAME_SLAB = 4;
export const FRAME_FILE = 5;
export const FRAME_SHMEM = 6;
export const FRAME_ZERO = 7;
export const FRAME_KERNEL = 8;
export const FRAME_PCP = 9;
export const FRAME_GO_SPAN = 10;
export const FRAME_GO_STACK = 11;
export const FRAME_GO_FREE = 12;
export const FRAME_PY_POOL = 13;
export const FRAME_PY_FREE = 14;
/** Anonymous memory whose process is gone, or in the swap cache alone. */
export const FRAME_ANON_NOBODY = 15;
/** Free, by order. */
export const FRAME_FREE = 32;
/** Anonymous, by process: places in Subject.processes, modulo ANON_PROCESSES. */
export const FRAME_ANON = 48;
export const ANON_PROCESSES = 8;

/** What each class is called; classes by order or process are named by frameClassName(). */
const NAMES: Readonly<Record<number, string>> = {
  [FRAME_HOLE]: 'no RAM (hole)',
  [FRAME_BOOT]: 'kernel image and boot',
  [FRAME_MEMMAP]: 'mem_map (struct page)',
  [FRAME_TABLE]: 'page tables',
  [FRAME_SLAB]: 'slab',
  [FRAME_FILE]: 'page cache: files',
  [FRAME_SHMEM]: 'page cache: shared memory',
  [FRAME_ZERO]: 'page of zeros',
  [FRAME_KERNEL]: 'kernel: stacks, vmalloc, other',
  [FRAME_PCP]: 'free, on a per-CPU list',
  [FRAME_GO_SPAN]: 'Go spans',
  [FRAME_GO_STACK]: 'Go stacks and work buffers',
  [FRAME_GO_FREE]: 'Go heap, in no span',
  [FRAME_PY_POOL]: 'Python pools',
  [FRAME_PY_FREE]: 'Python arenas, free pools',
  [FRAME_ANON_NOBODY]: 'anonymous, mapped by nobody',
};

/** A class in words. @param names of the processes, as in FrameMap. */
export function frameClassName(id: number, names: readonly string[]): string {
  if (id >= FRAME_ANON) return `anonymous: ${names[id - FRAME_ANON] ?? 'a process'}`;
  if (id >= FRAME_FREE) return `free, order ${id - FRAME_FREE}`;
  return NAMES[id] ?? '';
}
