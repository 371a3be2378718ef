// The field's terms, each in a sentence or two, with where it is defined.

export interface Entry {
  readonly name: string;
  readonly text: string;
  /** Where to read on: a manual, a file of the real source. */
  readonly source: string;
}

export const glossary: Readonly<Record<string, Entry>> = {
  frame: {
    name: 'page frame',
    text:
      'A 4 KiB piece of physical memory at an aligned address. The kernel hands memory out in ' +
      'frames; a frame’s number (PFN) is its physical address divided by 4096.',
    source: 'Linux include/linux/mm.h; Intel SDM vol. 3, ch. 4',
  },
  'struct-page': {
    name: 'struct page',
    text:
      'What the kernel knows about one frame: flags, how often it is referenced and mapped, ' +
      'what it belongs to. 64 bytes for every frame, all together called mem_map.',
    source: 'Linux include/linux/mm_types.h',
  },
  zone: {
    name: 'zone',
    text:
      'A range of frames that the same devices can reach: DMA below 16 MiB, DMA32 below 4 ' +
      'GiB, Normal above. Each has its own free lists and watermarks.',
    source: 'Linux include/linux/mmzone.h',
  },
  watermark: {
    name: 'watermarks',
    text:
      'Three thresholds on a zone’s free frames. Below “low” kswapd starts to reclaim and ' +
      'works until “high”; below “min” an ordinary allocation has to reclaim itself.',
    source: 'Linux mm/page_alloc.c, __zone_watermark_ok()',
  },
  buddy: {
    name: 'buddy allocator',
    text:
      'Keeps free memory as blocks of 2^n frames, aligned to their size. A block is split in ' +
      'halves when a smaller one is wanted; two free halves (buddies) are merged again.',
    source: 'Linux mm/page_alloc.c; Knuth, TAOCP vol. 1, 2.5',
  },
  pageblock: {
    name: 'pageblock and migrate type',
    text:
      'A 2 MiB range that is kept for one kind of page: movable ones, ones that cannot move, ' +
      'reclaimable ones. It keeps pages that pin memory from scattering everywhere.',
    source: 'Linux include/linux/mmzone.h, enum migratetype',
  },
  pcp: {
    name: 'per-CPU lists',
    text: 'A few free frames that each CPU keeps at hand, so that most allocations take no lock.',
    source: 'Linux mm/page_alloc.c, struct per_cpu_pages',
  },
  slab: {
    name: 'slab cache',
    text:
      'Cuts one or more frames into equal slots for the kernel’s own small objects. The list ' +
      'of free slots lies inside the free slots themselves.',
    source: 'Linux mm/slub.c; Bonwick, “The Slab Allocator” (1994)',
  },
  tlb: {
    name: 'TLB',
    text:
      'The CPU’s memory of recent translations from virtual to physical addresses. A miss ' +
      'costs a walk through four tables; a change of a table entry must be flushed out of it.',
    source: 'Intel SDM vol. 3, 4.10',
  },
  lru: {
    name: 'LRU lists',
    text:
      'Pages that can be reclaimed, roughly by age: active and inactive, of files and ' +
      'anonymous. Reclaim takes from the tail of the inactive lists.',
    source: 'Linux mm/vmscan.c, mm/swap.c',
  },
  swap: {
    name: 'swap slot',
    text:
      'A page’s place on the swap device. The page-table entry of a page that was swapped out ' +
      'is not present and holds the slot’s number.',
    source: 'Linux mm/swapfile.c, include/linux/swapops.h',
  },
  vma: {
    name: 'mapping (VMA)',
    text:
      'A range of a process’s addresses with one protection and one thing behind it: a file, ' +
      'or nothing (anonymous). It promises memory; frames come with the first access.',
    source: 'Linux include/linux/mm_types.h, struct vm_area_struct; mmap(2)',
  },
  rss: {
    name: 'resident set (RSS)',
    text: 'Pages of a process that are in memory now, shared ones included.',
    source: 'proc(5), /proc/PID/statm',
  },
  'page-table': {
    name: 'page table',
    text:
      'A frame with 512 entries of 8 bytes. Four levels (PGD, PUD, PMD, PTE) of 9 address ' +
      'bits each lead from CR3 to the frame; the last 12 bits are the offset in it.',
    source: 'Intel SDM vol. 3, 4.5',
  },
  cr3: {
    name: 'CR3',
    text:
      'The register that holds the physical address of the top table: it says which address ' +
      'space the CPU runs in.',
    source: 'Intel SDM vol. 3, 4.5',
  },
  pte: {
    name: 'page-table entry',
    text:
      'Eight bytes: a frame’s number and bits. P present, RW writable, US user may access, A ' +
      'was accessed, D was written, PS maps a large page, G kept over CR3 loads, NX not ' +
      'executable.',
    source: 'Intel SDM vol. 3, table 4-20',
  },
  fault: {
    name: 'page fault',
    text:
      'The CPU could not translate an access, or it was not allowed. The kernel makes the ' +
      'page present and lets the access run again (minor; major where it had to read a ' +
      'device), or sends SIGSEGV.',
    source: 'Linux mm/memory.c, handle_mm_fault()',
  },
  'page-cache': {
    name: 'page cache',
    text:
      'Pages of files that are in memory, whether mapped or read; kept until the memory is ' +
      'wanted for something else.',
    source: 'Linux mm/filemap.c',
  },
  anon: {
    name: 'anonymous memory',
    text:
      'Memory with no file behind it: heaps, stacks. It reads as zeros until written; to ' +
      'leave memory it must go to swap.',
    source: 'Linux mm/memory.c, do_anonymous_page()',
  },
  rmap: {
    name: 'reverse map',
    text:
      'The way from a frame to all page-table entries that map it, by the mapping’s family ' +
      '(anon_vma) or the file.',
    source: 'Linux mm/rmap.c',
  },
  'go-object': {
    name: 'Go object',
    text:
      'A value on Go’s heap. It has no header: its size is its slot’s, and which of its words ' +
      'are pointers lies in a bitmap or a type word.',
    source: 'Go src/runtime/malloc.go, mbitmap.go',
  },
  'go-span': {
    name: 'mspan',
    text:
      'A run of 8 KiB heap pages cut into slots of one size class. allocBits say which slots ' +
      'are in use, gcmarkBits which the collector has found reachable.',
    source: 'Go src/runtime/mheap.go',
  },
  'go-central': {
    name: 'mcache, mcentral, mheap',
    text:
      'Each processor (P) allocates from one cached span a class without a lock; when it is ' +
      'full it exchanges it at the class’s mcentral, which gets pages from the mheap.',
    source: 'Go src/runtime/malloc.go',
  },
  'go-gc': {
    name: 'Go’s collector',
    text:
      'Concurrent mark and sweep: marks what is reachable while the program runs, then frees ' +
      'unmarked slots span by span as spans are needed. Starts when the heap nears its goal.',
    source: 'Go src/runtime/mgc.go, mgcpacer.go',
  },
  'go-arena': {
    name: 'heap arena',
    text:
      '64 MiB of address space that Go reserves at once; pages in it become memory when spans ' +
      'use them.',
    source: 'Go src/runtime/malloc.go',
  },
  'py-object': {
    name: 'Python object',
    text:
      'Begins with its reference count and a pointer to its type; containers have a 16-byte ' +
      'collector’s head before that. It is freed when its count falls to 0.',
    source: 'CPython Include/object.h',
  },
  'py-block': {
    name: 'block',
    text:
      'A piece of a pool, 16 to 512 bytes in steps of 16. Free blocks are linked through ' +
      'their own first 8 bytes.',
    source: 'CPython Objects/obmalloc.c',
  },
  'py-pool': {
    name: 'pool',
    text:
      '16 KiB (before 3.10: 4 KiB) of an arena, with blocks of one size. Used, full, or empty ' +
      'and back with its arena.',
    source: 'CPython Include/internal/pycore_obmalloc.h',
  },
  'py-arena': {
    name: 'arena',
    text:
      '1 MiB (before 3.10: 256 KiB) from mmap, cut into pools. New pools come from the ' +
      'fullest arena, so that others can empty and be given back.',
    source: 'CPython Objects/obmalloc.c',
  },
  'py-gc': {
    name: 'generations and gc_refs',
    text:
      'Containers are in three generations by age. A collection copies each count into ' +
      'gc_refs and subtracts references from within the generation: what stays above 0 is ' +
      'held from outside.',
    source: 'CPython Modules/gcmodule.c',
  },
  bytes: {
    name: 'bytes of memory',
    text: 'What lies in the emulated RAM, byte by byte, as hardware would read it.',
    source: '',
  },
  waterfall: {
    name: 'waterfall',
    text:
      'Every resident byte of a process counted once: objects, free slots, the runtime’s own ' +
      'structures, files, and what the kernel spends on it.',
    source: 'pagewalk tools/waterfall.ts',
  },
  heat: {
    name: 'heat map',
    text:
      'Addresses over time: each row a part of the address space, each column some steps of ' +
      'the run; the darker, the more page faults fell there.',
    source: '',
  },
  probes: {
    name: 'within a step',
    text:
      'What the machine does inside one operation: the page-table entries that the hardware ' +
      'reads, entries that change, frames that move from list to list, blocks that split and ' +
      'merge. The machine can be held after each; all that is shown is as it was then.',
    source: 'Intel SDM vol. 3, 4.5; Linux mm/page_alloc.c, mm/swap.c; as kprobes see them',
  },
  events: {
    name: 'tracepoints',
    text:
      'Events of the kernel with Linux’s names: page faults, allocations and frees of frames ' +
      'and slab objects, reclaim, TLB flushes.',
    source: 'Linux include/trace/events/kmem.h, exceptions.h, vmscan.h',
  },
};
