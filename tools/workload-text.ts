// Cases of a workload side by side, as a page of text.

import { type CostTable, defaultCosts, kernelNs } from './cost.ts';
import { pinText, rootLines, totalText } from './pins-text.ts';
import { curve, thinned } from './plot.ts';
import { bytes, number } from './replay/summary.ts';
import { STEPS } from './waterfall.ts';
import type { CaseResult } from './run-case.ts';

const LABEL = 31;
const COLUMN = 16;
const PLOT_COLUMNS = 36;

function row(label: string, cells: readonly string[]): string {
  return (label.padEnd(LABEL) + cells.map((c) => c.padStart(COLUMN)).join('')).trimEnd();
}

/** The whole page. */
export function workloadText(
  name: string,
  results: readonly CaseResult[],
  costs: CostTable = defaultCosts,
): string {
  const line = (label: string, of: (r: CaseResult) => string): string =>
    row(label, results.map(of));
  const steps = STEPS.filter((s) => results.some((r) => r.waterfall.bytes[s] !== 0));
  return [
    `${name}, written once, run on each heap; each on a machine of its own:`,
    '',
    line('', (r) => r.name),
    line('Resident at the most', (r) => bytes(r.peakBytes)),
    line('  at the end', (r) => bytes(r.endBytes)),
    line('Page faults', (r) => number(r.minorFaults + r.majorFaults)),
    line('Collections', (r) => number(r.collections)),
    line('System calls on memory', (r) => number(r.systemCalls)),
    line('Virtual time', (r) => `${(r.virtualNs / 1e6).toFixed(1)} ms`),
    line("  the kernel's besides", (r) => `${(kernelNs(costs, r) / 1e6).toFixed(1)} ms`),
    '',
    'Where the memory is at the end, to the byte:',
    ...steps.map((s) => line(`  ${s}`, (r) => number(r.waterfall.bytes[s]))),
    line('  together', (r) => number(r.waterfall.total)),
    line('  = resident', (r) => number(r.waterfall.rss)),
    line('  + the kernel for it', (r) => number(r.waterfall.kernel)),
    '',
    ...pinned(results),
    ...plots(results),
    '',
    ...outputs(results),
  ].join('\n');
}

/** What cannot be given back, and the roots that hold the worst place of each kind. */
function pinned(results: readonly CaseResult[]): string[] {
  const lines: string[] = [];
  for (const { name, pins } of results) {
    if (pins === undefined || pins.totals.length === 0) continue;
    lines.push(`  ${name}`);
    for (const total of pins.totals) {
      lines.push(`    ${totalText(total)}`);
      const worst = pins.pins.find((p) => p.kind === total.kind);
      if (worst === undefined) continue;
      const [head = ''] = pinText(worst);
      lines.push(`      the worst: ${head}`, ...rootLines(worst).map((l) => `        ${l}`));
    }
  }
  if (lines.length === 0) return lines;
  return ['What cannot be given back, and who holds it (more: `why pinned`):', ...lines, ''];
}

function outputs(results: readonly CaseResult[]): string[] {
  const [first] = results;
  if (first !== undefined && results.every((r) => r.output === first.output))
    return [`All print: ${first.output}`];
  return ['They print different things:', ...results.map((r) => `  ${r.name}: ${r.output}`)];
}

/** Resident memory at even steps of virtual time. */
function evenly(r: CaseResult, columns: number): number[] {
  let at = 0;
  return Array.from({ length: columns }, (_, i) => {
    const ns = ((i + 1) / columns) * r.virtualNs;
    while (at + 1 < r.course.length && (r.course[at + 1]?.[0] ?? Infinity) <= ns) at++;
    return r.course[at]?.[1] ?? 0;
  });
}

function plots(results: readonly CaseResult[]): string[] {
  const most = Math.max(...results.map((r) => r.peakBytes), 1);
  const lines = ['Resident memory over virtual time, all to one scale:'];
  for (let i = 0; i < results.length; i += 2) {
    const pair = results.slice(i, i + 2);
    const curves = pair.map((r) => curve(thinned(evenly(r, PLOT_COLUMNS), PLOT_COLUMNS), 6, most));
    for (let k = 0; k < 6; k++)
      lines.push(` |${curves.map((c) => c[k] ?? '').join('  |')}`.trimEnd());
    lines.push(` +${pair.map(() => '-'.repeat(PLOT_COLUMNS)).join('  +')}`);
    const names = pair.map((r) => `${r.name}: ${(r.virtualNs / 1e6).toFixed(1)} ms`);
    lines.push(`  ${names.map((n) => n.padEnd(PLOT_COLUMNS + 3)).join('')}`.trimEnd());
  }
  return lines;
}
