// What forked children copied, for people.

import { type ForkMoment, type ForkResult, PHASES } from './fork.ts';
import { curve, thinned } from './plot.ts';
import { bytes } from './replay/summary.ts';

const LABEL = 39;
const COLUMN = 14;
const PLOT_COLUMNS = 36;

/** The whole page. */
export function forkText(name: string, results: readonly ForkResult[]): string {
  const column = Math.max(COLUMN, ...results.map((r) => r.name.length + 2));
  const row = (label: string, of: (r: ForkResult) => string): string =>
    (label.padEnd(LABEL) + results.map((r) => of(r).padStart(column)).join('')).trimEnd();
  const children = results[0]?.children ?? 0;
  const lines = [
    `${name}, its warm heap forked ${children === 1 ? 'once' : `${children} times`}; what a child has:`,
    '',
    row('', (r) => r.name),
    row('After fork(): shared with the others', (r) => bytes(r.after.fork.sharedDirty)),
  ];
  PHASES.forEach((phase, i) => {
    const before = (r: ForkResult): ForkMoment => r.after[PHASES[i - 1] ?? 'fork'];
    const own = (r: ForkResult): number => r.after[phase].privateDirty - before(r).privateDirty;
    const lost = (r: ForkResult): number => before(r).sharedDirty - r.after[phase].sharedDirty;
    lines.push(
      row(`${WHAT[i] ?? phase}: its own by then`, (r) => bytes(r.after[phase].privateDirty)),
      row(`  of it from ${phase}`, (r) => bytes(own(r))),
      row('  no longer shared', (r) => bytes(lost(r))),
    );
  });
  lines.push(
    row('Proportional size (PSS) at the end', (r) => bytes(r.after['new objects'].pss)),
    row('All children together: memory more', (r) => bytes(r.grownBytes)),
    '',
    'A child’s own memory over its time, all to one scale:',
    ...plots(results),
  );
  return lines.join('\n');
}

const WHAT = ['Every object read', 'Then a full collection', 'Then 10,000 new objects'] as const;

function plots(results: readonly ForkResult[]): string[] {
  const most = Math.max(...results.flatMap((r) => r.course.map((m) => m.privateDirty)), 1);
  const lines: string[] = [];
  for (let i = 0; i < results.length; i += 2) {
    const pair = results.slice(i, i + 2);
    const curves = pair.map((r) => curve(thinned(evenly(r), PLOT_COLUMNS), 6, most));
    for (let k = 0; k < 6; k++)
      lines.push(` |${curves.map((c) => c[k] ?? '').join('  |')}`.trimEnd());
    lines.push(` +${pair.map(() => '-'.repeat(PLOT_COLUMNS)).join('  +')}`);
    const names = pair.map((r) => `${r.name}: ${((r.course.at(-1)?.ns ?? 0) / 1e6).toFixed(1)} ms`);
    lines.push(`  ${names.map((n) => n.padEnd(PLOT_COLUMNS + 3)).join('')}`.trimEnd());
  }
  return lines;
}

function evenly({ course }: ForkResult): number[] {
  const end = course.at(-1)?.ns ?? 0;
  let at = 0;
  return Array.from({ length: PLOT_COLUMNS }, (_, i) => {
    const ns = ((i + 1) / PLOT_COLUMNS) * end;
    while (at + 1 < course.length && (course[at + 1]?.ns ?? Infinity) <= ns) at++;
    return course[at]?.privateDirty ?? 0;
  });
}
