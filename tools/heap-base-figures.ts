// The states in which heap scripts start where no file says: what Go 1.19.8 and Go 1.26.11 programs
// were seen to begin with, on linux/amd64 with one processor. Go 1.9 begins as Go 1.19 does.

import type { HeapBase } from './heap-base.ts';

export type BaseMode = 'full' | 'stw' | 'bare';

const go119: Readonly<Record<BaseMode, HeapBase>> = {
  full: {
    bare: false,
    fillers: 10159,
    first_page_offset: 8388608,
    heap_alloc: 7447568,
    heap_sys: 7471104,
    heap_inuse: 7471104,
    stack_inuse: 917504,
    live: 7470816,
    marked: 58648,
    mapped_ready: 17808400,
    total_alloc: 7448744,
    total_free: 1176,
    marked_after_gc: 7447856,
    stack_scan: 1640,
    globals_scan: 745808,
  },
  stw: {
    bare: false,
    fillers: 10116,
    first_page_offset: 8388608,
    heap_alloc: 7447600,
    heap_sys: 7471104,
    heap_inuse: 7471104,
    stack_inuse: 917504,
    live: 7470816,
    marked: 58872,
    mapped_ready: 17808400,
    total_alloc: 7448792,
    total_free: 1192,
    marked_after_gc: 7447888,
    stack_scan: 1760,
    globals_scan: 745808,
  },
  bare: {
    bare: true,
    fillers: 0,
    first_page_offset: 0,
    heap_alloc: 60232,
    heap_sys: 3244032,
    heap_inuse: 245760,
    stack_inuse: 950272,
    live: 60520,
    marked: 60520,
    mapped_ready: 9829392,
    total_alloc: 61424,
    total_free: 1192,
    marked_after_gc: 60520,
    stack_scan: 1760,
    globals_scan: 745808,
  },
};

const go126: Readonly<Record<BaseMode, HeapBase>> = {
  full: {
    bare: false,
    fillers: 9842,
    first_page_offset: 8388608,
    heap_alloc: 7301760,
    heap_sys: 7340032,
    heap_inuse: 7340032,
    stack_inuse: 1048576,
    live: 7338400,
    marked: 103808,
    mapped_ready: 13195528,
    total_alloc: 7305640,
    total_free: 3880,
    marked_after_gc: 7302048,
    stack_scan: 1904,
    globals_scan: 677842,
  },
  stw: {
    bare: false,
    fillers: 9786,
    first_page_offset: 8388608,
    heap_alloc: 7268992,
    heap_sys: 7307264,
    heap_inuse: 7307264,
    stack_inuse: 1081344,
    live: 7305632,
    marked: 109280,
    mapped_ready: 13195528,
    total_alloc: 7272872,
    total_free: 3880,
    marked_after_gc: 7269280,
    stack_scan: 2168,
    globals_scan: 677842,
  },
  bare: {
    bare: true,
    fillers: 0,
    first_page_offset: 0,
    heap_alloc: 103672,
    heap_sys: 3178496,
    heap_inuse: 262144,
    stack_inuse: 1015808,
    live: 103960,
    marked: 103960,
    mapped_ready: 5036296,
    total_alloc: 107552,
    total_free: 3880,
    marked_after_gc: 103960,
    stack_scan: 2168,
    globals_scan: 677842,
  },
};

/** The state in which a profile's scripts start. */
export function defaultBase(profile: string, mode: BaseMode): HeapBase {
  return (profile === 'go1.26' ? go126 : go119)[mode];
}
