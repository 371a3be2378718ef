// Cases of a workload side by side, as one page of HTML with nothing outside it: figures, resident
// memory over virtual time, and where the memory is at the end. Light or dark as the reader has it.

import type { CaseResult } from './run-case.ts';
import type { Together } from './together.ts';
import { number } from './replay/summary.ts';
import { STEPS } from './waterfall.ts';

const STYLE = `
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#667;--line:#d8dde3;--card:#f6f8fa}
@media(prefers-color-scheme:dark){
:root{--bg:#0f1318;--fg:#e6e9ed;--dim:#98a2ad;--line:#2b323b;--card:#171c23}}
body{font:15px/1.5 system-ui,sans-serif;background:var(--bg);color:var(--fg);
margin:0 auto;max-width:1040px;padding:2rem 1.25rem}
h1{font-size:1.7rem;margin:0 0 .2rem}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}
p.sub,figcaption{color:var(--dim);margin:.2rem 0 .8rem}figure{margin:0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.32rem .7rem;text-align:right;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left;padding-left:0}th{font-weight:600}
.wrap{overflow-x:auto}svg{display:block;width:100%;height:auto}
svg text{font:12px system-ui,sans-serif;fill:var(--dim)}
svg .grid{stroke:var(--line)}svg .name{fill:var(--fg);font-weight:600}
ul.legend{list-style:none;padding:0;margin:.4rem 0;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem}
ul.legend i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}
code{background:var(--card);padding:.15em .4em;border-radius:4px}`;

const COLOURS = ['#0c8599', '#e8590c', '#7048e8', '#2f9e44', '#d6336c', '#b08900'];
const STEP_COLOURS = [
  '#1971c2', '#4dabf7', '#a5d8ff', '#d0ebff', '#f08c00', '#ffd43b', '#94a3b1', '#5c6b7a', '#9775fa',
  '#e599f7',
]; // prettier-ignore

const WIDTH = 1000;
const LEFT = 70;

interface Curve {
  readonly name: string;
  readonly colour: string;
  readonly dashed?: boolean;
  /** Nanoseconds and bytes. */
  readonly points: readonly (readonly [number, number])[];
}

export interface Page {
  readonly name: string;
  readonly command: string;
  readonly results: readonly CaseResult[];
  readonly together?: Together | undefined;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${String(c.charCodeAt(0))};`);
}
function colourOf(i: number): string {
  return COLOURS[i % COLOURS.length] ?? '';
}
function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 2 : 1);
}

/** The page. */
export function workloadHtml({ name, command, results, together }: Page): string {
  const curves = results.map((r, i) => ({ name: r.name, colour: colourOf(i), points: r.course }));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escape(name)}: ${escape(results.map((r) => r.name).join(', '))}</title>
<style>${STYLE}</style></head><body>
<h1>${escape(name)}</h1>
<p class="sub">One program, written once, on each heap; each on an emulated machine of its own.</p>
<h2>Figures</h2><div class="wrap">${table(results)}</div>
<h2>Resident memory over virtual time</h2>
<figure>${plot(curves)}${legend(curves)}</figure>
<h2>Where the memory is at the end</h2>
<figure>${bars(results)}<figcaption>Each bar adds up, to the byte, to what is resident and what the
kernel spends on the process.</figcaption>${stepLegend()}</figure>
<div class="wrap">${steps(results)}</div>
${together === undefined ? '' : togetherHtml(together)}
<p class="sub">Made by <code>${escape(command)}</code></p>
</body></html>
`;
}

function row(label: string, cells: readonly string[]): string {
  return `<tr><td>${label}</td>${cells.map((c) => `<td>${c}</td>`).join('')}</tr>`;
}
function head(names: readonly string[]): string {
  return `<tr><th></th>${names.map((n) => `<th>${escape(n)}</th>`).join('')}</tr>`;
}

function table(results: readonly CaseResult[]): string {
  const line = (label: string, of: (r: CaseResult) => string): string =>
    row(label, results.map(of));
  return `<table>${head(results.map((r) => r.name))}
${line('Resident at the most, MiB', (r) => mib(r.peakBytes))}
${line('Resident at the end, MiB', (r) => mib(r.endBytes))}
${line('Page faults', (r) => number(r.minorFaults + r.majorFaults))}
${line('Collections', (r) => number(r.collections))}
${line('System calls on memory', (r) => number(r.systemCalls))}
${line('Virtual time, ms', (r) => (r.virtualNs / 1e6).toFixed(1))}
${line('Prints', (r) => escape(r.output.slice(0, 60)))}</table>`;
}

function steps(results: readonly CaseResult[]): string {
  const kib = (bytes: number): string => number(Math.round(bytes / 1024));
  const rows = STEPS.filter((s) => results.some((r) => r.waterfall.bytes[s] !== 0)).map((s) =>
    row(
      escape(s),
      results.map((r) => kib(r.waterfall.bytes[s])),
    ),
  );
  const total = row(
    'together, KiB',
    results.map((r) => kib(r.waterfall.total)),
  );
  return `<table>${head(results.map((r) => r.name))}${rows.join('')}${total}</table>`;
}

/** A round step of an axis that has about `n` of them. */
function stepOf(most: number, n: number): number {
  const rough = most / n;
  const ten = 10 ** Math.floor(Math.log10(rough));
  return ten * ([1, 2, 5, 10].find((f) => f * ten >= rough) ?? 10);
}

/** Curves over one time axis in milliseconds and one of MiB. */
function plot(curves: readonly Curve[]): string {
  const height = 340;
  const bottom = height - 46;
  const all = curves.flatMap((c) => c.points);
  const longest = Math.max(...all.map(([ns]) => ns), 1) / 1e6;
  const most = (Math.max(...all.map(([, b]) => b), 1) / 2 ** 20) * 1.05;
  const x = (ms: number): string => (LEFT + (ms / longest) * (WIDTH - LEFT - 12)).toFixed(1);
  const y = (m: number): string => (bottom - (m / most) * (bottom - 12)).toFixed(1);
  const parts: string[] = [];
  const up = stepOf(most, 5);
  for (let m = 0; m <= most; m += up) {
    parts.push(`<path class="grid" d="M${String(LEFT)} ${y(m)}H${String(WIDTH - 12)}"/>`);
    const label = `${String(Number(m.toFixed(3)))} MiB`;
    parts.push(
      `<text x="${String(LEFT - 8)}" y="${y(m)}" dy="4" text-anchor="end">${label}</text>`,
    );
  }
  const right = stepOf(longest, 8);
  for (let ms = 0; ms <= longest; ms += right)
    parts.push(
      `<text x="${x(ms)}" y="${String(bottom + 18)}" text-anchor="middle">` +
        `${String(Number(ms.toFixed(3)))}</text>`,
    );
  parts.push(
    `<text x="${String((LEFT + WIDTH) / 2)}" y="${String(height - 8)}" text-anchor="middle">` +
      'virtual time, ms</text>',
  );
  for (const c of curves) {
    const points = c.points.map(([ns, b]) => `${x(ns / 1e6)},${y(b / 2 ** 20)}`).join(' ');
    const dash = c.dashed === true ? ' stroke-dasharray="5 4"' : '';
    parts.push(
      `<polyline fill="none" stroke="${c.colour}" stroke-width="2"${dash} points="${points}">` +
        `<title>${escape(c.name)}</title></polyline>`,
    );
  }
  const box = `viewBox="0 0 ${String(WIDTH)} ${String(height)}"`;
  return `<svg ${box} role="img" aria-label="memory over time">${parts.join('')}</svg>`;
}

function legend(curves: readonly { name: string; colour: string }[]): string {
  const items = curves.map(
    (c) => `<li><i style="background:${c.colour}"></i>${escape(c.name)}</li>`,
  );
  return `<ul class="legend">${items.join('')}</ul>`;
}
function stepLegend(): string {
  return legend(STEPS.map((name, i) => ({ name, colour: STEP_COLOURS[i] ?? '' })));
}

function bars(results: readonly CaseResult[]): string {
  const most = Math.max(...results.map((r) => r.waterfall.total), 1);
  const each = 58;
  const parts = results.map((r, k) => {
    let x = 0;
    const y = k * each;
    const rects = STEPS.map((s, i) => {
      const width = (r.waterfall.bytes[s] / most) * WIDTH;
      const place =
        `x="${x.toFixed(1)}" y="${String(y + 20)}" ` + `width="${width.toFixed(1)}" height="28"`;
      x += width;
      const title = `${escape(s)}: ${number(r.waterfall.bytes[s])} bytes`;
      return `<rect ${place} fill="${STEP_COLOURS[i] ?? ''}"><title>${title}</title></rect>`;
    });
    const label = `${escape(r.name)}: ${mib(r.waterfall.total)} MiB`;
    return `<text class="name" x="0" y="${String(y + 14)}">${label}</text>${rects.join('')}`;
  });
  const box = `viewBox="0 0 ${String(WIDTH)} ${String(results.length * each)}"`;
  return `<svg ${box} role="img" aria-label="where the memory is">${parts.join('')}</svg>`;
}

function togetherHtml(t: Together): string {
  const curves: Curve[] = t.cases.flatMap((c, i) => {
    const base = { colour: colourOf(i) };
    const resident = c.course.map(([ns, bytes]): [number, number] => [ns, bytes]);
    const swapped = c.course.map(([ns, , bytes]): [number, number] => [ns, bytes]);
    const list: Curve[] = [{ ...base, name: `${c.name}, resident`, points: resident }];
    if (swapped.some(([, b]) => b > 0))
      list.push({ ...base, name: `${c.name}, swapped (dashed)`, points: swapped, dashed: true });
    return list;
  });
  const line = (label: string, of: (c: Together['cases'][number]) => string): string =>
    row(label, t.cases.map(of));
  const stat = Object.entries(t.vmstat).map(([k, v]) => row(`<code>${k}</code>`, [number(v)]));
  return `<h2>Together, in one machine</h2>
<figure>${plot(curves)}${legend(curves)}</figure>
<div class="wrap"><table>${head(t.cases.map((c) => c.name))}
${line('Ends', (c) => (c.killed ? 'killed' : 'well'))}
${line('Resident at the most, MiB', (c) => mib(c.peakBytes))}
${line('Minor faults', (c) => number(c.minorFaults))}
${line('Major faults', (c) => number(c.majorFaults))}</table>
<h2>The machine’s counters</h2><table>${stat.join('')}</table></div>`;
}
