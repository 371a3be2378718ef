// What random scenarios are made of: the topics with the weights of their calls, and the values
// that arguments are drawn from; a value that stands twice comes twice as often.

/** What a scenario is about: which calls come how often. */
export const TOPICS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  anon: { map: 8, unmap: 4, protect: 6, advise: 5, access: 12, look: 3 },
  madvise: { map: 4, unmap: 1, protect: 2, advise: 14, access: 12, look: 3, fork: 1 },
  mremap: { map: 6, unmap: 2, protect: 3, move: 10, access: 8, advise: 2, look: 3 },
  place: { map: 14, unmap: 8, move: 4, protect: 3, look: 3, access: 3 },
  heap: { brk: 10, map: 3, unmap: 2, protect: 3, access: 10, advise: 3, look: 3, move: 2, fork: 1 },
  mlock: { map: 5, lock: 10, unmap: 2, protect: 3, access: 8, advise: 2, look: 3, fork: 1 },
  fork: { map: 4, fork: 3, exit: 1, access: 14, protect: 4, unmap: 2, advise: 3, move: 2, look: 3 },
  file: {
    map: 3,
    file: 8,
    fileio: 5,
    access: 12,
    protect: 2,
    unmap: 2,
    sync: 2,
    advise: 2,
    look: 3,
  },
  stack: { stack: 8, map: 3, protect: 2, access: 3, look: 3, grow: 6, unmap: 2, lock: 1, fork: 1 },
  guard: {
    map: 4,
    guard: 10,
    access: 10,
    unmap: 2,
    protect: 3,
    advise: 3,
    look: 3,
    fork: 1,
    move: 2,
  },
  swap: { map: 4, advise: 8, access: 12, fork: 2, exit: 1, protect: 2, move: 2, look: 3, file: 1 },
  thp: { map: 6, access: 10, advise: 6, fork: 1, exit: 1, protect: 3, unmap: 3, move: 3, look: 3 },
  thpswap: { map: 5, access: 10, advise: 8, fork: 1, exit: 1, protect: 2, unmap: 2, move: 2, look: 3 },
  thpmixed: {
    map: 6,
    access: 12,
    advise: 6,
    fork: 2,
    exit: 1,
    protect: 3,
    unmap: 3,
    move: 3,
    lock: 3,
    guard: 1,
    look: 3,
  },
  swapmixed: {
    map: 5,
    access: 12,
    advise: 8,
    fork: 2,
    exit: 1,
    protect: 3,
    unmap: 2,
    move: 3,
    lock: 2,
    guard: 1,
    file: 3,
    fileio: 2,
    sync: 1,
    look: 3,
  },
  readahead: { file: 5, fileio: 5, access: 14, advise: 4, sync: 1, unmap: 1, look: 2 },
  odd: { odd: 16, map: 4, access: 5, unmap: 1, protect: 2, file: 3, look: 3, move: 1, fork: 1 },
  mixed: {
    map: 6,
    unmap: 3,
    protect: 4,
    advise: 5,
    access: 14,
    move: 4,
    brk: 2,
    lock: 3,
    fork: 2,
    exit: 1,
    file: 4,
    fileio: 3,
    sync: 1,
    guard: 1,
    stack: 1,
    grow: 1,
    look: 3,
  },
};

/** Topics whose sizes are those of huge pages, and topics with a swap device. */
export const HUGE_TOPICS = new Set(['thp', 'thpswap', 'thpmixed']);
export const SWAP_TOPICS = new Set(['swap', 'thpswap', 'thpmixed', 'swapmixed']);
/** Pages of the files of the topic that reads ahead. */
export const LONG = [64, 100, 200, 300] as const;

export const ADVICE = [
  'DONTNEED',
  'DONTNEED',
  'DONTNEED',
  'FREE',
  'FREE',
  'POPULATE_READ',
  'POPULATE_READ',
  'POPULATE_WRITE',
  'POPULATE_WRITE',
  'WIPEONFORK',
  'KEEPONFORK',
  'DONTFORK',
  'DOFORK',
  'HUGEPAGE',
  'NOHUGEPAGE',
  'REMOVE',
  'WILLNEED',
  'COLD',
  'PAGEOUT',
  'NORMAL',
  'SEQUENTIAL',
  'RANDOM',
  'DONTDUMP',
  'DODUMP',
  'DONTNEED_LOCKED',
  'MERGEABLE',
  'COLLAPSE',
] as const;
export const PROT = [
  'PROT_READ|PROT_WRITE',
  'PROT_READ|PROT_WRITE',
  'PROT_READ',
  'PROT_NONE',
  'PROT_READ|PROT_EXEC',
  'PROT_WRITE',
] as const;
/** First statement: ranges that overshoot are to meet it, and not the vdso above it. */
export const TOP =
  'top = mmap(NULL, 65540K, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE, -1, 0)';
export const MAP_EXTRA = [
  'MAP_NORESERVE',
  'MAP_STACK',
  'MAP_POPULATE',
  'MAP_LOCKED',
  'MAP_32BIT',
] as const;
export const PAGES = [1, 1, 2, 3, 4, 4, 8, 8, 16, 16, 25, 32, 64] as const;
export const PROCESS_NAMES = ['c', 'd', 'e', 'f', 'g'];
