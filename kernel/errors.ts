// How things fail, and the errno numbers.
//
// Four kinds, never mixed: exhaustion is a sentinel (NO_PFN); a guest's bad access is a fault
// result; what a man page describes is a SysError, turned into -errno at the system-call border
// (userspace/syscall.ts) and nowhere else; our own bug is a KernelBug, caught nowhere. Input that
// is refused (a file, a flag, a size) is an InputError and says where and what was expected.
// Source: Linux 6.18 include/uapi/asm-generic/errno-base.h, errno.h.

/** An invariant of the emulator does not hold: a bug of ours, never the guest's doing. */
export class KernelBug extends Error {
  override readonly name = 'KernelBug';
}

/** A system call's documented failure; `errno` is positive, as in errno.h. */
export class SysError extends Error {
  override readonly name = 'SysError';
  readonly errno: number;
  constructor(errno: number) {
    super(errnoName(errno));
    this.errno = errno;
  }
}

/** Refused input: a file, a flag, an address or a size. The command line exits with 2. */
export class InputError extends Error {
  override readonly name = 'InputError';
  /** @param where `file`, `file:line` or `file:line:column`; empty where there is no file. */
  constructor(where: string, problem: string) {
    super(where === '' ? problem : `${where}: ${problem}`);
  }
}

/** Throws KernelBug unless `condition` holds. `what` names the invariant. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new KernelBug(what);
}

export const EPERM = 1;
export const ENOENT = 2;
export const EINTR = 4;
export const EIO = 5;
export const ENXIO = 6;
export const E2BIG = 7;
export const EBADF = 9;
export const ECHILD = 10;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EFAULT = 14;
export const EBUSY = 16;
export const EEXIST = 17;
export const ENODEV = 19;
export const ENOTDIR = 20;
export const EISDIR = 21;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const ETXTBSY = 26;
export const EFBIG = 27;
export const ENOSPC = 28;
export const ESPIPE = 29;
export const EROFS = 30;
export const EPIPE = 32;
export const ERANGE = 34;
export const ENOSYS = 38;
export const EOVERFLOW = 75;
export const EOPNOTSUPP = 95;

const names: Readonly<Record<number, string>> = {
  [EPERM]: 'EPERM',
  [ENOENT]: 'ENOENT',
  [EINTR]: 'EINTR',
  [EIO]: 'EIO',
  [ENXIO]: 'ENXIO',
  [E2BIG]: 'E2BIG',
  [EBADF]: 'EBADF',
  [ECHILD]: 'ECHILD',
  [EAGAIN]: 'EAGAIN',
  [ENOMEM]: 'ENOMEM',
  [EACCES]: 'EACCES',
  [EFAULT]: 'EFAULT',
  [EBUSY]: 'EBUSY',
  [EEXIST]: 'EEXIST',
  [ENODEV]: 'ENODEV',
  [ENOTDIR]: 'ENOTDIR',
  [EISDIR]: 'EISDIR',
  [EINVAL]: 'EINVAL',
  [ENFILE]: 'ENFILE',
  [EMFILE]: 'EMFILE',
  [ETXTBSY]: 'ETXTBSY',
  [EFBIG]: 'EFBIG',
  [ENOSPC]: 'ENOSPC',
  [ESPIPE]: 'ESPIPE',
  [EROFS]: 'EROFS',
  [EPIPE]: 'EPIPE',
  [ERANGE]: 'ERANGE',
  [ENOSYS]: 'ENOSYS',
  [EOVERFLOW]: 'EOVERFLOW',
  [EOPNOTSUPP]: 'EOPNOTSUPP',
};

/** `EINVAL` for 22, and so on; `errno N` for a number that is not in the table. */
export function errnoName(errno: number): string {
  return names[errno] ?? `errno ${errno}`;
}
