// A program's first mappings where the recording does not hold them (strace).
//
//     text and data       as one mapping below the first brk, from the default address of a
//                         position-independent program, or from 0x400000 below it
//     interpreter, vdso   from the end of the first mapping that the kernel placed up to where it
//                         begins to place, 0x7ffff7fff000, where randomization is off
//     stack               132 KiB below 0x7ffffffff000
//     anything else       that a later call changes and no call has made: put there, writable
//
// Addresses only matter so that what the recording does next finds ground under it.

import { number } from './args.ts';
import type { CallRecord, MapRecord, TraceRecord } from '../trace/record.ts';

const STACK_TOP = 0x7ffffffff000;
const STACK_SIZE = 0x21000;
const PIE_BASE = 0x555555554000;
const MMAP_BASE = 0x7ffff7fff000;

interface Range {
  start: number;
  end: number;
}

/**
 * The mappings of the address space that the execve at `at` makes.
 * @param records all records; those behind `at` of the same task say what must be there.
 */
export function defaultLayout(records: readonly TraceRecord[], at: number): MapRecord[] {
  const exec = records[at] as CallRecord;
  const made: Range[] = [];
  const needed: Range[] = [];
  let brk: number | undefined;
  let firstPlaced: Range | undefined;
  for (let i = at + 1; i < records.length; i++) {
    const r = records[i]!;
    if (!('task' in r) || r.task !== exec.task) continue;
    if (r.type === 'exit' || (r.type === 'call' && r.name === 'execve' && r.result === '0')) break;
    if (r.type !== 'call' || r.result === '-1') continue;
    if (r.name === 'brk') {
      brk ??= address(r.result);
      made.push({ start: brk, end: Math.max(brk, address(r.result)) });
    } else if (/^(mmap|mremap|shmat)$/.test(r.name)) {
      const length = r.name === 'mmap' ? argument(r, 1) : r.name === 'mremap' ? argument(r, 2) : 0;
      const range = pages(address(r.result), Math.max(length, 4096));
      made.push(range);
      if (r.name === 'mmap' && argument(r, 0) === 0) firstPlaced ??= range;
    } else if (/^(mprotect|madvise|munmap|mlock2?)$/.test(r.name)) {
      const range = pages(argument(r, 0), argument(r, 1));
      if (!made.some((m) => m.start < range.end && range.start < m.end)) needed.push(range);
    }
  }
  const brkStart = brk ?? PIE_BASE + 0x100000;
  const base = brkStart >= PIE_BASE && brkStart < PIE_BASE + 2 ** 40 ? PIE_BASE : 0x400000;
  const path = exec.args[0]?.replace(/^"|"$/g, '') ?? '';
  const maps: MapRecord[] = [];
  const add = (start: number, end: number, perms: string, name: string): void => {
    if (start < end && !maps.some((m) => m.start < end && start < m.end)) {
      const line = exec.line;
      maps.push({ type: 'map', line, task: exec.task, start, end, perms, offset: 0, path: name });
    }
  };
  add(Math.min(base, brkStart - 4096), brkStart, 'rw-p', path);
  add(STACK_TOP - STACK_SIZE, STACK_TOP, 'rw-p', '[stack]');
  const gap = MMAP_BASE - (firstPlaced?.end ?? MMAP_BASE);
  if (gap > 0 && gap < 2 ** 24) add(MMAP_BASE - gap, MMAP_BASE, 'r-xp', '');
  for (const range of merged(needed)) add(range.start, range.end, 'rw-p', '');
  return maps.sort((a, b) => a.start - b.start);
}

function argument(call: CallRecord, index: number): number {
  try {
    return number(call.args[index] ?? '0', '');
  } catch {
    return 0;
  }
}

function address(result: string): number {
  return result.startsWith('0x') ? Number(result) : 0;
}

function pages(start: number, length: number): Range {
  const first = Math.floor(start / 4096) * 4096;
  return { start: first, end: Math.ceil((start + length) / 4096) * 4096 };
}

function merged(ranges: readonly Range[]): Range[] {
  const out: Range[] = [];
  for (const r of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = out.at(-1);
    if (last !== undefined && r.start <= last.end) last.end = Math.max(last.end, r.end);
    else out.push({ ...r });
  }
  return out;
}
