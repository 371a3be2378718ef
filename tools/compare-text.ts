// A comparison as a page for people: 80 columns, nothing to look up.

import { hex } from '../kernel/types.ts';
import { faultsOf, sum, type Comparison, type Side } from './compare.ts';
import { explanationText } from './explain.ts';
import { mib } from './frames.ts';
import { curve, thinned } from './plot.ts';
import { bytes, number } from './replay/summary.ts';
import { FAULT_KINDS, type FaultName } from './replay/tally.ts';

const WIDTH = 80;
const LABEL = 26;
const COLUMN = 12;

/** What each kind of fault is, in a few words. */
const MEANING: Readonly<Partial<Record<FaultName, string>>> = {
  'zeroed page': 'first write to new memory',
  'zero page (read)': 'first read of new memory',
  'zero page, written': 'first write after that',
  'file, around': 'program text and data, read',
  'file, one page': 'shared file page, written',
  'copied: file page': 'program data, first written',
  'copied: after fork': 'parent and child part',
  reused: 'the last sharer writes',
  'huge page': '2 MiB at once',
  'vdso data': 'the clock',
};

function row(label: string, left: string, right: string, note = ''): string {
  const cells = label.padEnd(LABEL) + left.padStart(COLUMN) + right.padStart(COLUMN);
  return `${cells}  ${note}`.trimEnd().slice(0, WIDTH);
}

function counts(c: Comparison): string[] {
  const { left, right } = c;
  const lines: string[] = [];
  const add = (label: string, of: (s: Side) => number, note?: string): void => {
    const [a, b] = [of(left), of(right)];
    if (a !== 0 || b !== 0) lines.push(row(label, number(a), number(b), note));
  };
  const all = (s: Side): number => sum(s, (t) => t.minor + t.major);
  lines.push(row('', left.label, right.label));
  add('Page faults', all, 'times the kernel stepped in');
  for (const kind of FAULT_KINDS) add(`  ${kind}`, (s) => faultsOf(s, kind), MEANING[kind]);
  add('  taken by the kernel', (s) => sum(s, (t) => t.byKernel), 'of these, in system calls');
  add('  waited for the disk', (s) => sum(s, (t) => t.major), 'major faults');
  lines.push('');
  const size = (label: string, of: (s: Side) => number, note?: string): void => {
    lines.push(row(label, bytes(of(left)), bytes(of(right)), note));
  };
  size('Resident at the most', (s) => s.tally.peakPages * 4096, 'RAM that it held at once');
  size('  at the end: own memory', (s) => (s.tally.last?.anon ?? 0) * 4096, 'heap, stacks');
  size('  at the end: from files', fileBytes, 'program and libraries');
  size('  page tables', (s) => s.tally.last?.pt ?? 0, 'RAM spent on translation');
  lines.push('');
  add('Mappings at the end', (s) => s.mappings, 'lines of /proc/PID/maps');
  add('System calls on memory', (s) => sum(s, memoryCalls), topCalls(left, right));
  return lines;
}

function fileBytes(s: Side): number {
  return ((s.tally.last?.file ?? 0) + (s.tally.last?.shmem ?? 0)) * 4096;
}

const MEMORY_CALLS = /^(mmap|munmap|mremap|mprotect|madvise|brk)$/;

function memoryCalls(tally: Side['tally']): number {
  let total = 0;
  for (const [name, n] of tally.calls) if (MEMORY_CALLS.test(name)) total += n;
  return total;
}

function topCalls(left: Side, right: Side): string {
  const top = (s: Side): string =>
    [...s.tally.calls]
      .filter(([name]) => MEMORY_CALLS.test(name))
      .sort((a, b) => b[1] - a[1])[0]?.[0] ?? 'none';
  const [a, b] = [top(left), top(right)];
  return a === b ? `most: ${a}` : `most: ${a}; ${b}`;
}

function plots(c: Comparison): string[] {
  const columns = 36;
  const rows = 6;
  const pages = (s: Side): number[] =>
    thinned(
      s.tally.course.map((x) => x.anon + x.file + x.shmem),
      columns,
    );
  const [a, b] = [pages(c.left), pages(c.right)];
  const most = Math.max(...a, ...b, 1);
  const lines = ['Resident memory over the run, start to end, both to one scale:'];
  const left = curve(a, rows, most);
  const right = curve(b, rows, most);
  left.forEach((line, i) => lines.push(` |${line}  |${right[i] ?? ''}`.trimEnd()));
  const axis = '-'.repeat(columns);
  lines.push(` +${axis}  +${axis}`);
  const name = (s: Side): string => `${s.label}: up to ${bytes(s.tally.peakPages * 4096)}`;
  lines.push(`  ${name(c.left).padEnd(columns + 3)}${name(c.right)}`);
  return lines;
}

function machine(c: Comparison): string[] {
  const f = c.frames;
  const ok = c.lost === 0 ? 'all came back' : `${number(c.lost)} frames were lost`;
  return [
    `The machine: ${bytes(c.ramBytes)} of RAM; with both programs in it, its frames are`,
    `  ${mib(f.anonymous)} the programs' own, ${mib(f.files)} pages of files, ` +
      `${mib(f.tables)} page tables,`,
    `  ${mib(f.boot + f.kernel + f.slab)} the kernel's, ${mib(f.free)} free. When both had ended, ${ok}.`,
  ];
}

function chain(side: Side): string[] {
  const e = side.explanation;
  if (e === undefined) return [];
  return [`${side.label}, address ${hex(e.va)}:`, ...explanationText(e, side.root)];
}

/** A path as short as it can be said: from the current folder, or a name that comes along. */
function shortPath(path: string): string {
  const example = /tools\/examples\/([^/]+)\.trace\.gz$/.exec(path)?.[1];
  return example ?? path;
}

/** The whole page. */
export function comparisonText(c: Comparison, other: string): string {
  const title = (s: Side): string => `  ${s.label.padEnd(8)}${s.recording.command}`.slice(0, WIDTH);
  const { left, right } = c;
  const next = [
    `  npx pagewalk compare ${other}`,
    `  npx pagewalk explain ${shortPath(right.path)} ${hex(right.explanation?.va ?? 0)}`,
    `  npx pagewalk replay ${shortPath(left.path)}`,
  ];
  return [
    'Two programs that ran on a real Linux, run again on one emulated machine:',
    title(left),
    title(right),
    '',
    ...counts(c),
    '',
    ...plots(c),
    '',
    ...machine(c),
    '',
    'One address of each, from the mapping down to the frame of RAM:',
    ...chain(left),
    ...chain(right),
    '',
    'Try next:',
    ...next,
  ]
    .map((line) => line.trimEnd())
    .join('\n');
}
