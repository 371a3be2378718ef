// What else there is to say of a workload's cases: the spread over seeds, how they fared together
// in one machine, a grid of settings.

import type { Program } from '../runtime/workload/heap.ts';
import type { Cell } from './grid.ts';
import { bytes, number } from './replay/summary.ts';
import type { Together } from './together.ts';
import { type CaseResult, runCase, type RunOptions } from './run-case.ts';

export interface Spread {
  readonly name: string;
  readonly seeds: number;
  /** Least, middle and most. */
  readonly peakBytes: readonly [number, number, number];
  readonly faults: readonly [number, number, number];
  readonly collections: readonly [number, number, number];
}

/**
 * Runs each case with seeds 1 to n: another course of Go's clock, and other addresses (ASLR), by
 * which pools, huge pages and page tables lie otherwise. Hash seeds of strings are not varied.
 */
export function spreadOf(
  program: Program,
  cases: readonly string[],
  options: RunOptions,
  n: number,
): Spread[] {
  return cases.map((name) => {
    const runs = Array.from({ length: n }, (_, i) =>
      runCase(program, name, { ...options, seed: i + 1, aslr: String(i + 1) }),
    );
    return {
      name,
      seeds: n,
      peakBytes: spread(runs.map((r) => r.peakBytes)),
      faults: spread(runs.map((r) => r.minorFaults + r.majorFaults)),
      collections: spread(runs.map((r) => r.collections)),
    };
  });
}

function spread(values: number[]): [number, number, number] {
  values.sort((a, b) => a - b);
  const at = (part: number): number => values[Math.round(part * (values.length - 1))] ?? 0;
  return [at(0), at(0.5), at(1)];
}

/** The spread as a table for people. */
export function spreadText(spreads: readonly Spread[]): string {
  const three = (values: readonly [number, number, number], as: (n: number) => string): string =>
    values.map((v) => as(v).padStart(12)).join('');
  const lines = [`Over ${number(spreads[0]?.seeds ?? 0)} seeds: least, middle, most`];
  for (const s of spreads)
    lines.push(
      `  ${s.name}`,
      `    resident at the most${three(s.peakBytes, bytes)}`,
      `    page faults         ${three(s.faults, number)}`,
      `    collections         ${three(s.collections, number)}`,
    );
  return lines.join('\n');
}

/** How the cases fared together, for people. */
export function togetherText(t: Together): string {
  const lines = ['All in one machine, competing for its memory:', ''];
  const row = (label: string, of: (c: Together['cases'][number]) => string): void => {
    lines.push(label.padEnd(31) + t.cases.map((c) => of(c).padStart(16)).join(''));
  };
  row('', (c) => c.name);
  row('Ends', (c) => (c.killed ? 'killed' : 'well'));
  row('Resident at the most', (c) => bytes(c.peakBytes));
  row('Swapped at the most', (c) => bytes(Math.max(...c.course.map(([, , s]) => s), 0)));
  row('Minor faults', (c) => number(c.minorFaults));
  row('Major faults', (c) => number(c.majorFaults));
  lines.push('', 'The machine’s counters, as in /proc/vmstat:');
  const moved = Object.entries(t.vmstat);
  if (moved.length === 0) lines.push('  nothing was reclaimed: there was room for all');
  for (const [name, value] of moved)
    lines.push(`  ${name.padEnd(29)}${number(value).padStart(16)}`);
  return lines.join('\n');
}

/** A grid as a table, a line a cell. */
export function gridText(
  name: string,
  cells: readonly Cell[],
  results: readonly CaseResult[],
): string {
  const settings = (c: Cell): string =>
    c.settings
      .filter(([n]) => ['ram', 'limit', 'swap', 'thp'].includes(n))
      .map(([n, v]) => `${n}=${v}`)
      .join(' ');
  const width = Math.max(...cells.map((c) => `${c.case} ${settings(c)}`.length), 10) + 2;
  const lines = [
    `${name}, every combination:`,
    '',
    `${''.padEnd(width)}${'peak'.padStart(13)}${'minor'.padStart(10)}${'major'.padStart(9)}` +
      'collections'.padStart(13),
  ];
  cells.forEach((c, i) => {
    const r = results[i];
    if (r === undefined) return;
    const peak = r.killed ? 'killed' : bytes(r.peakBytes);
    lines.push(
      `${`${c.case} ${settings(c)}`.trim().padEnd(width)}${peak.padStart(13)}` +
        `${number(r.minorFaults).padStart(10)}${number(r.majorFaults).padStart(9)}` +
        number(r.collections).padStart(13),
    );
  });
  return lines.join('\n');
}
