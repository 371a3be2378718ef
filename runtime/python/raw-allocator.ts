// The raw domain's allocator (PyMem_RawMalloc and its family), as obmalloc sees it.
//
// Source: CPython 3.11 Include/cpython/pymem.h PyMemAllocatorEx. By default it is the C library's.

/** What serves requests that pools do not: the C library's malloc family. 0 is NULL. */
export interface RawAllocator {
  malloc(bytes: number): number;
  calloc(count: number, bytes: number): number;
  realloc(p: number, bytes: number): number;
  free(p: number): void;
}
