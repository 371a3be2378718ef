// setrlimit(2), getrlimit(2): the limits of a process that concern its memory.
//
//     RLIMIT_DATA, RLIMIT_AS   asked by every new mapping (Mm.mayExpand()) and by brk()
//     RLIMIT_STACK             asked when a stack grows, and by exec for the gap above mmap_base
//     RLIMIT_MEMLOCK           asked by mlock() and its kin, unless the process is privileged
//
// A limit is a soft value, which holds, and a hard one, which the soft one may not exceed. The hard
// one only falls: the process has no CAP_SYS_RESOURCE, as those that were recorded had none.
// Source: Linux 6.18 kernel/sys.c: do_prlimit().
// Not modelled: the other resources; asking for them is EINVAL here.

import { EINVAL, EPERM, SysError } from '../kernel/errors.ts';
import type { Limits, Mm } from './mm.ts';

export const RLIMIT_DATA = 2;
export const RLIMIT_STACK = 3;
export const RLIMIT_MEMLOCK = 8;
export const RLIMIT_AS = 9;
/** No limit, as a register has it. */
export const RLIM_INFINITY = -1;

export interface Rlimit {
  /** Bytes; Infinity where there is none. */
  readonly soft: number;
  readonly hard: number;
}

/** setrlimit(2). @throws SysError EINVAL the soft above the hard, or no such resource; EPERM */
export function setLimit(mm: Mm, resource: number, soft: number, hard: number): void {
  const key = keyOf(resource);
  const [wanted, most] = [bytesOf(soft), bytesOf(hard)];
  if (wanted > most) throw new SysError(EINVAL);
  if (most > mm.hardLimits[key]) throw new SysError(EPERM);
  mm.limits[key] = wanted;
  mm.hardLimits[key] = most;
}

/** getrlimit(2). @throws SysError EINVAL */
export function getLimit(mm: Mm, resource: number): Rlimit {
  const key = keyOf(resource);
  return { soft: mm.limits[key], hard: mm.hardLimits[key] };
}

function keyOf(resource: number): keyof Limits {
  switch (resource) {
    case RLIMIT_DATA:
      return 'data';
    case RLIMIT_STACK:
      return 'stack';
    case RLIMIT_MEMLOCK:
      return 'memlock';
    case RLIMIT_AS:
      return 'as';
    default:
      throw new SysError(EINVAL);
  }
}

/** An unsigned 64-bit value, given as a signed register. */
function bytesOf(value: number): number {
  if (value === RLIM_INFINITY) return Infinity;
  return value < 0 ? value + 2 ** 64 : value;
}
