// Cases of a workload side by side: as a page of text, and as one self-contained page of HTML.

import { curve, thinned } from './plot.ts';
import { bytes, number } from './replay/summary.ts';
import { STEPS } from './waterfall.ts';
import type { CaseResult } from './workload.ts';

const LABEL = 31;
const COLUMN = 16;
const PLOT_COLUMNS = 36;

function row(label: string, cells: readonly string[]): string {
  return (label.padEnd(LABEL) + cells.map((c) => c.padStart(COLUMN)).join('')).trimEnd();
}

/** The whole page. */
export function workloadText(name: string, results: readonly CaseResult[]): string {
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
    '',
    'Where the memory is at the end, to the byte:',
    ...steps.map((s) => line(`  ${s}`, (r) => number(r.waterfall.bytes[s]))),
    line('  together', (r) => number(r.waterfall.total)),
    line('  = resident', (r) => number(r.waterfall.rss)),
    line('  + the kernel for it', (r) => number(r.waterfall.kernel)),
    '',
    ...plots(results),
    '',
    ...outputs(results),
  ].join('\n');
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

const COLOURS = ['#0b7285', '#d9480f', '#5f3dc4', '#2b8a3e', '#c2255c', '#846200'];
const STEP_COLOURS = [
  '#1864ab', '#4dabf7', '#99e9f2', '#c3fae8', '#e8590c', '#ffd43b', '#adb5bd', '#868e96', '#5c3d99',
  '#343a40',
]; // prettier-ignore

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${String(c.charCodeAt(0))};`);
}

/** One page with nothing outside it: the table, a curve for each case, the waterfall as bars. */
export function workloadHtml(name: string, results: readonly CaseResult[]): string {
  const text = escape(workloadText(name, results));
  const most = Math.max(...results.map((r) => r.waterfall.total), 1);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(name)}</title>
<style>body{font:15px system-ui;margin:2em auto;max-width:960px;padding:0 1em}
pre{overflow:auto;background:#f6f6f6;padding:1em}svg{width:100%;height:auto}</style>
<h1>${escape(name)}</h1><h2>Resident memory over virtual time</h2>${courseSvg(results)}
<h2>Where the memory is at the end</h2>${results.map((r) => barSvg(r, most)).join('')}
<p>${legend()}</p>
<h2>All figures</h2><pre>${text}</pre></html>
`;
}

function courseSvg(results: readonly CaseResult[]): string {
  const most = Math.max(...results.map((r) => r.peakBytes), 1);
  const longest = Math.max(...results.map((r) => r.virtualNs), 1);
  const lines = results.map((r, i) => {
    const points = r.course.map(
      ([ns, b]) => `${((ns / longest) * 900).toFixed(1)},${(280 - (b / most) * 260).toFixed(1)}`,
    );
    const colour = COLOURS[i % COLOURS.length] ?? '';
    const label = `${escape(r.name)}: up to ${bytes(r.peakBytes)}`;
    return `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${points.join(' ')}"/>
<text x="8" y="${String(18 + i * 18)}" fill="${colour}">${label}</text>`;
  });
  const axis = '<path d="M0 280H900" stroke="#999"/>';
  return `<svg viewBox="0 0 900 300" role="img">${lines.join('')}${axis}</svg>`;
}

function barSvg(r: CaseResult, most: number): string {
  let x = 0;
  const bars = STEPS.map((s, i) => {
    const width = (r.waterfall.bytes[s] / most) * 900;
    const place = `x="${x.toFixed(1)}" y="20" width="${width.toFixed(1)}" height="24"`;
    const title = `<title>${escape(s)}: ${number(r.waterfall.bytes[s])}</title>`;
    const bar = `<rect ${place} fill="${STEP_COLOURS[i] ?? ''}">${title}</rect>`;
    x += width;
    return bar;
  });
  const title = `${escape(r.name)}: ${number(r.waterfall.total)} bytes`;
  const head = `<text x="0" y="14">${title}</text>`;
  return `<svg viewBox="0 0 900 50" role="img">${head}${bars.join('')}</svg>`;
}

function legend(): string {
  const entry = (s: string, i: number): string =>
    `<span style="color:${STEP_COLOURS[i] ?? ''}">■</span> ${escape(s)}`;
  return STEPS.map(entry).join(' ');
}
