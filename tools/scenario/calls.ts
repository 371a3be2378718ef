// The words of a scenario: its calls with the arguments they take, and the C constants it may use.
//
// One table behind the parser, the runner, the host's worker and the random generator: a call is
// added here, and the other files look its form up. Argument kinds:
//
//     n  a number: a sum of numbers, constants and names, or flags joined by `|`
//     s  a name in double quotes, without `/`
//
// Source: the man pages of section 2; values from userspace/mman.ts (Linux 6.18 headers) and
// include/uapi/asm-generic/fcntl.h for O_*.

import * as mman from '../../userspace/mman.ts';

export interface CallForm {
  /** Argument kinds, one letter each; those from `required` on may be left out. */
  readonly kinds: string;
  readonly required: number;
  /** What the arguments are called, for messages. */
  readonly usage: string;
  /** A system call of this process (the others are accesses and observations). */
  readonly syscall: boolean;
  /** `name =` may stand before it. */
  readonly binds: boolean;
}

function call(kinds: string, usage: string, required = kinds.length): CallForm {
  return { kinds, required, usage, syscall: true, binds: true };
}

function act(kinds: string, usage: string, required = kinds.length): CallForm {
  return { kinds, required, usage, syscall: false, binds: false };
}

/** Every call but machine(), whose arguments are `key=value`. */
export const CALLS: ReadonlyMap<string, CallForm> = new Map<string, CallForm>([
  ['mmap', call('nnnnnn', 'address, length, prot, flags, fd, offset')],
  ['munmap', call('nn', 'address, length')],
  ['mprotect', call('nnn', 'address, length, prot')],
  ['mremap', call('nnnnn', 'address, old length, new length, flags[, new address]', 4)],
  ['madvise', call('nnn', 'address, length, advice')],
  ['brk', call('n', 'address')],
  ['mlock', call('nn', 'address, length')],
  ['mlock2', call('nnn', 'address, length, flags')],
  ['munlock', call('nn', 'address, length')],
  ['mlockall', call('n', 'flags')],
  ['munlockall', call('', '')],
  ['msync', call('nnn', 'address, length, flags')],
  ['mincore', call('nn', 'address, length')],
  ['memfd_create', call('sn', '"name", flags')],
  ['open', call('sn', '"path", flags')],
  ['ftruncate', call('nn', 'fd, length')],
  ['close', call('n', 'fd')],
  ['pwrite', call('nnnn', 'fd, length, offset, byte')],
  ['pread', call('nnn', 'fd, length, offset')],
  ['fork', call('', '')],
  ['exit', { ...call('n', 'status'), binds: false }],
  ['load', act('nnn', 'address[, length[, step]]', 1)],
  ['store', act('nnn', 'address[, length[, step]]', 1)],
  ['peek', act('n', 'address')],
  ['poke', act('nn', 'address, byte')],
  ['maps', act('', '')],
  ['pages', act('nn', 'address, length')],
  ['usage', act('', '')],
]);

/** The keys of machine(): a size or a count, but for `thp`. */
export const MACHINE_KEYS: readonly string[] = ['ram', 'swap', 'limit', 'cpus', 'thp'];
export const THP_MODES = ['always', 'madvise', 'never'] as const;
export type ThpMode = (typeof THP_MODES)[number];

const OPEN_FLAGS: readonly (readonly [string, number])[] = [
  ['O_RDONLY', 0],
  ['O_WRONLY', 1],
  ['O_RDWR', 2],
  ['O_CREAT', 0o100],
  ['O_EXCL', 0o200],
  ['O_NOCTTY', 0o400],
  ['O_TRUNC', 0o1000],
  ['O_APPEND', 0o2000],
  ['O_NONBLOCK', 0o4000],
  ['O_DSYNC', 0o10000],
  ['O_DIRECT', 0o40000],
  ['O_LARGEFILE', 0o100000],
  ['O_DIRECTORY', 0o200000],
  ['O_NOFOLLOW', 0o400000],
  ['O_NOATIME', 0o1000000],
  ['O_CLOEXEC', 0o2000000],
  ['O_SYNC', 0o4010000],
  ['O_PATH', 0o10000000],
  ['O_TMPFILE', 0o20200000],
];

/** Every C constant that a scenario may name, with its value. */
export const CONSTANTS: ReadonlyMap<string, bigint> = new Map<string, bigint>([
  ['NULL', 0n],
  ...Object.entries(mman).map(([name, value]) => [name, BigInt(value)] as const),
  ...OPEN_FLAGS.map(([name, value]) => [name, BigInt(value)] as const),
]);
