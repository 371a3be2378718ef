// What a replay reports, line by line and process by process, and how it compares with what was
// recorded. The shapes are those of formats/trace.md, "What a replay reports".

import type { TraceRecord } from '../trace/record.ts';
import { sameEffect } from './effects.ts';

export type FaultKind = 'minor' | 'major' | 'none' | 'refused';

export interface LineReport {
  readonly line: number;
  readonly fault?: FaultKind;
  /** `0x…`, or -1 with `errno`. */
  readonly ret?: string | number;
  readonly errno?: string;
  readonly effect: string;
}

export interface MapReport {
  readonly start: string;
  readonly end: string;
  readonly perms: string;
  readonly offset: number;
  readonly path: string;
}

export interface EndReport {
  readonly end: number;
  readonly minflt: number;
  readonly majflt: number;
  /** KiB, as /proc/PID/status counts. */
  readonly rss_anon: number;
  readonly rss_file: number;
  readonly rss_shmem: number;
  readonly vm_pte: number;
  readonly maps: readonly MapReport[];
  /** `0xADDRESS+N file|anon [zero] [huge]`. */
  readonly pages: readonly string[];
}

/** One thing in which a line's report and its record differ. */
export interface LineDifference {
  readonly what: 'fault' | 'ret' | 'errno' | 'effect';
  readonly ours: string;
  readonly recorded: string;
}

const ADDRESS_CALL = /^(mmap|mremap|brk|shmat)$/;
const MEMORY_CALL =
  /^(mmap|munmap|mremap|mprotect|pkey_mprotect|madvise|brk|mlock2?|munlock|mlockall|munlockall|msync|mincore|shmat|shmdt)$/;

export function isAddressCall(name: string): boolean {
  return ADDRESS_CALL.test(name);
}

/** Calls whose failure is reported with its errno. */
export function isMemoryCall(name: string): boolean {
  return MEMORY_CALL.test(name);
}

/**
 * Does the recording say anything of this line that a report can agree with? In a recording
 * without effects, results of calls and kinds of faults alone count.
 */
export function isComparable(record: TraceRecord): boolean {
  if (record.type === 'fault') return true;
  if (record.type === 'gup') return record.effect !== '';
  if (record.type !== 'call') return false;
  if (record.effect !== '') return true;
  if (isAddressCall(record.name) && record.result.startsWith('0x')) return true;
  return isMemoryCall(record.name) && record.result === '-1';
}

/**
 * Compares a report with its record.
 * @param effects false where the recording does not hold effects: they are not compared then.
 */
export function differences(
  record: TraceRecord,
  report: LineReport | undefined,
  effects: boolean,
): LineDifference[] {
  const found: LineDifference[] = [];
  if (record.type === 'fault') {
    const ours = report?.fault ?? 'none';
    const recorded = record.kind ?? 'minor or major';
    const same = record.kind === undefined ? ours.startsWith('m') : ours === record.kind;
    if (!same) found.push({ what: 'fault', ours, recorded });
  }
  if (record.type === 'call') {
    if (isAddressCall(record.name) && record.result.startsWith('0x')) {
      const ours = String(report?.ret ?? 'nothing');
      const same = report?.errno === undefined && sameNumber(ours, record.result);
      if (!same) found.push({ what: 'ret', ours: report?.errno ?? ours, recorded: record.result });
    }
    if (isMemoryCall(record.name) && record.result === '-1') {
      const ours = report?.errno ?? 'success';
      const recorded = record.errno ?? 'an error';
      const same = record.errno === undefined ? ours !== 'success' : ours === record.errno;
      if (!same) found.push({ what: 'errno', ours, recorded });
    }
  }
  if (effects && 'effect' in record && !sameEffect(report?.effect ?? '', record.effect)) {
    const show = (e: string): string => (e === '' ? 'nothing' : e);
    found.push({ what: 'effect', ours: show(report?.effect ?? ''), recorded: show(record.effect) });
  }
  return found;
}

function sameNumber(a: string, b: string): boolean {
  try {
    return BigInt(a) === BigInt(b);
  } catch {
    return false;
  }
}
