// What one process did to memory, added up as a replay goes: faults by kind, system calls by name,
// the course of its resident memory. For summaries and comparisons.

import {
  DID_ANON,
  DID_AROUND,
  DID_COPY,
  DID_COW_FILE,
  DID_FILE,
  DID_HUGE,
  DID_REUSE,
  DID_SPECIAL,
  DID_ZERO,
  type FaultInfo,
} from '../../userspace/fault-info.ts';
import type { FaultRecord } from '../trace/record.ts';
import type { Counters } from './effects.ts';
import type { FaultKind } from './report.ts';

/** Kinds of fault, each fault in exactly one, in the order in which they are shown. */
export const FAULT_KINDS = [
  'zeroed page',
  'zero page (read)',
  'zero page, written',
  'file, around',
  'file, one page',
  'copied: file page',
  'copied: after fork',
  'reused',
  'huge page',
  'vdso data',
  'was there already',
  'refused',
] as const;
export type FaultName = (typeof FAULT_KINDS)[number];

/** Most samples of the course that are kept; then every second one goes. */
const MAX_SAMPLES = 4096;

export class Tally {
  readonly faults = new Map<FaultName, number>();
  readonly calls = new Map<string, number>();
  minor = 0;
  major = 0;
  /** Faults that the kernel took in system calls, of all. */
  byKernel = 0;
  /** Pages brought in by get_user_pages. */
  gup = 0;
  refused = 0;
  execs = 0;
  status: number | undefined;
  /** File pages that fault-around mapped beside those asked for. */
  aroundPages = 0;
  /** The last counters, and the most resident pages there ever were. */
  last: Counters | undefined;
  peakPages = 0;
  peakTables = 0;
  /** Course of the counters, evenly thinned. */
  readonly course: Counters[] = [];
  private every = 1;
  private skipped = 0;

  fault(
    record: FaultRecord,
    kind: FaultKind,
    info: FaultInfo,
    before: Counters,
    after: Counters,
  ): void {
    if (kind === 'minor') this.minor++;
    if (kind === 'major') this.major++;
    if (record.by !== 'user') this.byKernel++;
    if (record.by === 'gup') this.gup++;
    const name = nameOf(kind, info, after.anon - before.anon, after.file - before.file);
    this.faults.set(name, (this.faults.get(name) ?? 0) + 1);
    if ((info.kinds & DID_AROUND) !== 0) this.aroundPages += Math.max(0, info.mapped - 1);
  }

  /** Faults inside a system call: MAP_POPULATE, mlock. */
  populated(info: FaultInfo): void {
    this.minor += info.minor;
    this.major += info.major;
    this.gup += info.minor + info.major;
  }

  call(name: string): void {
    this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
  }

  sample(counters: Counters): void {
    this.last = counters;
    const pages = counters.anon + counters.file + counters.shmem;
    if (pages > this.peakPages) this.peakPages = pages;
    if (counters.pt > this.peakTables) this.peakTables = counters.pt;
    if (this.skipped++ % this.every !== 0) return;
    this.course.push(counters);
    if (this.course.length < MAX_SAMPLES) return;
    for (let i = 0; i < MAX_SAMPLES / 2; i++) this.course[i] = this.course[2 * i]!;
    this.course.length = MAX_SAMPLES / 2;
    this.every *= 2;
  }

  /** The last counters before the memory went. */
  ended(counters: Counters): void {
    this.last = counters;
  }
}

function nameOf(kind: FaultKind, info: FaultInfo, anon: number, file: number): FaultName {
  if (kind === 'refused' || kind === 'none') return kind === 'none' ? 'was there already' : kind;
  const { kinds } = info;
  if ((kinds & DID_HUGE) !== 0) return 'huge page';
  if ((kinds & DID_ZERO) !== 0) return 'zero page (read)';
  if ((kinds & DID_SPECIAL) !== 0) return 'vdso data';
  if ((kinds & DID_COW_FILE) !== 0 || (anon > 0 && file < 0)) return 'copied: file page';
  if ((kinds & DID_REUSE) !== 0) return 'reused';
  if ((kinds & DID_AROUND) !== 0) return 'file, around';
  if ((kinds & DID_ANON) !== 0) return 'zeroed page';
  if ((kinds & DID_COPY) !== 0) return anon > 0 ? 'zero page, written' : 'copied: after fork';
  if ((kinds & DID_FILE) !== 0) return 'file, one page';
  return anon > 0 ? 'zero page, written' : 'was there already';
}
