// Arguments of recorded system calls as numbers: strace's words back into bits.
//
//     "PROT_READ|PROT_WRITE" -> 3        "0x7ffff7fc0000" -> 140737353875456
//     "3</etc/ld.so.cache>"  -> 3        "NULL" -> 0        "8192*1024" -> 8388608
//
// A register is 64 bits; it becomes a signed number as the system call layer wants it: exact up to
// 2^53 in magnitude, beyond that saturated with its low 12 bits kept (so that alignment survives).

import { InputError } from '../../kernel/index.ts';
import * as mman from '../../userspace/mman.ts';

/** Constants that recordings spell as words and userspace/mman.ts does not hold. */
const OTHERS: Readonly<Record<string, number>> = {
  NULL: 0,
  CLONE_VM: 0x100,
  CLONE_FS: 0x200,
  CLONE_FILES: 0x400,
  CLONE_SIGHAND: 0x800,
  CLONE_PIDFD: 0x1000,
  CLONE_PTRACE: 0x2000,
  CLONE_VFORK: 0x4000,
  CLONE_PARENT: 0x8000,
  CLONE_THREAD: 0x10000,
  CLONE_NEWNS: 0x20000,
  CLONE_SYSVSEM: 0x40000,
  CLONE_SETTLS: 0x80000,
  CLONE_PARENT_SETTID: 0x100000,
  CLONE_CHILD_CLEARTID: 0x200000,
  CLONE_DETACHED: 0x400000,
  CLONE_UNTRACED: 0x800000,
  CLONE_CHILD_SETTID: 0x1000000,
  CLONE_NEWCGROUP: 0x2000000,
  CLONE_NEWUTS: 0x4000000,
  CLONE_NEWIPC: 0x8000000,
  CLONE_NEWUSER: 0x10000000,
  CLONE_NEWPID: 0x20000000,
  CLONE_NEWNET: 0x40000000,
  CLONE_IO: 0x80000000,
  CLONE_CLEAR_SIGHAND: 0x100000000,
  SIGCHLD: 17,
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_NOCTTY: 0o400,
  O_TRUNC: 0o1000,
  O_APPEND: 0o2000,
  O_NONBLOCK: 0o4000,
  O_DSYNC: 0o10000,
  O_DIRECT: 0o40000,
  O_LARGEFILE: 0o100000,
  O_DIRECTORY: 0o200000,
  O_NOFOLLOW: 0o400000,
  O_NOATIME: 0o1000000,
  O_CLOEXEC: 0o2000000,
  O_PATH: 0o10000000,
  O_TMPFILE: 0o20200000,
  O_SYNC: 0o4010000,
  MAP_FILE: 0,
  MAP_ANON: 0x20,
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIM64_INFINITY: -1,
  RLIM_INFINITY: -1,
  SHM_RDONLY: 0o10000,
  SHM_RND: 0o20000,
  SHM_REMAP: 0o40000,
  SHM_EXEC: 0o100000,
  SHM_HUGETLB: 0o4000,
  SHM_NORESERVE: 0o10000,
  IPC_PRIVATE: 0,
  IPC_CREAT: 0o1000,
  IPC_EXCL: 0o2000,
  IPC_RMID: 0,
  IPC_SET: 1,
  IPC_STAT: 2,
  FALLOC_FL_KEEP_SIZE: 1,
  FALLOC_FL_PUNCH_HOLE: 2,
  FALLOC_FL_COLLAPSE_RANGE: 8,
  FALLOC_FL_ZERO_RANGE: 16,
  SEEK_SET: 0,
  SEEK_CUR: 1,
  SEEK_END: 2,
};

const CONSTANTS: ReadonlyMap<string, number> = new Map([
  ...Object.entries<number>(mman),
  ...Object.entries(OTHERS),
]);

const EXACT = 2 ** 53;

/** A 64-bit value as a signed number, saturated beyond 2^53 with the low 12 bits kept. */
export function register(value: bigint): number {
  const signed = BigInt.asIntN(64, value);
  if (signed >= -EXACT && signed <= EXACT) return Number(signed);
  const low = Number(signed & 0xfffn);
  return signed > 0n ? EXACT - 4096 + low : -EXACT + low;
}

/**
 * One argument as a number: decimal, hexadecimal, octal (a leading 0), words joined by `|`,
 * products, NULL; what `<…>` or a comment adds is left away.
 * @throws InputError at `where` for anything else.
 */
export function number(text: string, where: string): number {
  const bare = text
    .replace(/<(?!<)(?<!<<).*$/s, '')
    .replace(/\/\*.*?\*\//g, '')
    .trim();
  let sum = 0n;
  for (const part of bare.split('|')) sum |= term(part.trim(), where, text);
  return register(sum);
}

function term(part: string, where: string, whole: string): bigint {
  const known = CONSTANTS.get(part);
  if (known !== undefined) return BigInt(known);
  if (/^-?\d+$/.test(part)) {
    return /^0[0-7]+$/.test(part) ? BigInt(`0o${part.slice(1)}`) : BigInt(part);
  }
  if (/^0x[0-9a-fA-F]{1,16}$/.test(part)) return BigInt(part);
  const product = /^(\d+)\*(\d+)$/.exec(part);
  if (product !== null) return BigInt(product[1]!) * BigInt(product[2]!);
  const shifted = /^(\d+)<<(\w+)$/.exec(part);
  if (shifted !== null) return BigInt(shifted[1]!) << term(shifted[2]!, where, whole);
  throw new InputError(where, `expected a number or known constants, found "${whole}"`);
}

/** The file of a descriptor such as `3</etc/passwd>` or `3</tmp/x>(deleted)`; empty for none. */
export function filePath(descriptor: string): string {
  const m = /^-?\w+<(.*)>(\(deleted\))?$/s.exec(descriptor);
  return m === null ? '' : m[1]!.replace(/ \(deleted\)$/, '');
}

/** A `name=value` argument's value, as clone() prints them; undefined where it has none. */
export function named(args: readonly string[], name: string): string | undefined {
  for (const arg of args) {
    const m = new RegExp(`(?:^|[{ ])${name}=([^,}]*)`).exec(arg);
    if (m !== null) return m[1]!.trim();
  }
  return undefined;
}
