// What a line of a recording changed: counters before and after, as the tokens of formats/trace.md.
//
//     anon+1 file-1 shmem+2 swap+1 pt+4096 | zero special copy reuse around=0-15 order=4
//          counters of the address space   |            what the fault did
//
// `copy` is said only of an anonymous page that was copied: a copy of a file page or of the zero
// page is seen in the counters.

import {
  DID_AROUND,
  DID_COPY,
  DID_REUSE,
  DID_SPECIAL,
  DID_ZERO,
  type FaultInfo,
} from '../../userspace/fault-info.ts';
import type { Mm } from '../../userspace/mm.ts';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES, MM_SWAPENTS } from '../../userspace/rss.ts';

/** The counters of an address space that a line can change. */
export interface Counters {
  readonly anon: number;
  readonly file: number;
  readonly shmem: number;
  readonly swap: number;
  /** Bytes of page tables, as VmPTE counts. */
  readonly pt: number;
}

export const NO_COUNTERS: Counters = { anon: 0, file: 0, shmem: 0, swap: 0, pt: 0 };

export function countersOf(mm: Mm): Counters {
  return {
    anon: mm.rss[MM_ANONPAGES] ?? 0,
    file: mm.rss[MM_FILEPAGES] ?? 0,
    shmem: mm.rss[MM_SHMEMPAGES] ?? 0,
    swap: mm.rss[MM_SWAPENTS] ?? 0,
    pt: 4096 * (mm.pgt.nrPtes + mm.pgt.nrPmds + mm.pgt.nrPuds),
  };
}

/** `anon+1 pt+12288`: what changed from `before` to `after`; empty for nothing. */
export function changeTokens(before: Counters, after: Counters): string[] {
  const tokens: string[] = [];
  for (const name of ['anon', 'file', 'shmem', 'swap', 'pt'] as const) {
    const change = after[name] - before[name];
    if (change !== 0) tokens.push(`${name}${change > 0 ? '+' : ''}${change}`);
  }
  return tokens;
}

/** The tokens of what a fault did, without the counters. */
export function faultTokens(info: FaultInfo, anonChange: number): string[] {
  const { kinds } = info;
  const tokens: string[] = [];
  if ((kinds & DID_ZERO) !== 0) tokens.push('zero');
  if ((kinds & DID_SPECIAL) !== 0) tokens.push('special');
  if ((kinds & DID_COPY) !== 0 && anonChange === 0) tokens.push('copy');
  if ((kinds & DID_REUSE) !== 0) tokens.push('reuse');
  if ((kinds & DID_AROUND) !== 0) tokens.push(`around=${info.aroundFirst}-${info.aroundLast}`);
  if (info.order > 0) tokens.push(`order=${info.order}`);
  return tokens;
}

/** Two effects are the same set of tokens; `pt+0` is none. Child tokens are kept apart. */
export function sameEffect(a: string, b: string): boolean {
  return canonical(a) === canonical(b);
}

function canonical(effect: string): string {
  const [own = '', child = ''] = effect.split('child:');
  const sorted = (part: string): string =>
    part
      .split(' ')
      .filter((t) => t !== '' && !/^pt[+-]0$/.test(t))
      .sort()
      .join(' ');
  return `${sorted(own)}|${sorted(child)}`;
}
