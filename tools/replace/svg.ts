// Miss-ratio curves as an SVG picture: frames to the right on a logarithmic scale, misses upwards.

import { anomalies, type Results } from './results.ts';

const WIDTH = 860;
const HEIGHT = 480;
const LEFT = 70;
const RIGHT = 160;
const TOP = 44;
const BOTTOM = 56;
const COLOURS = [
  '#4269d0', '#efb118', '#ff725c', '#6cc5b0', '#3ca951', '#ff8ab7', '#a463f2', '#97bbf5',
  '#9c6b4e', '#9498a0', '#1f77b4', '#000000', '#bcbd22',
]; // prettier-ignore

/** Places on the picture for the curves' points. */
interface Scale {
  x(frames: number): number;
  y(ratio: number): number;
}

/** The plot as a document of its own. */
export function svgText(title: string, results: Results): string {
  const scale = scaleOf(results);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" ` +
      `viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${LEFT}" y="24" font-size="15">Miss ratio: ${escaped(title)}</text>`,
    ...axes(results, scale),
    ...curves(results, scale),
    ...anomalyMarks(results, scale),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

function ratioOf(results: Results, faults: number): number {
  return results.references === 0 ? 0 : faults / results.references;
}

function scaleOf(results: Results): Scale {
  const { frames, curves } = results;
  const low = Math.log2(frames[0] ?? 1);
  const span = Math.log2(frames.at(-1) ?? 1) - low || 1;
  const most = Math.max(...curves.flatMap((c) => c.faults.map((n) => ratioOf(results, n)))) || 1;
  return {
    x: (n) => LEFT + ((Math.log2(n) - low) / span) * (WIDTH - LEFT - RIGHT),
    y: (ratio) => HEIGHT - BOTTOM - (ratio / most) * (HEIGHT - TOP - BOTTOM),
  };
}

function axes(results: Results, scale: Scale): string[] {
  const out: string[] = [];
  const most = Math.max(...results.curves.flatMap((c) => c.faults.map((n) => ratioOf(results, n))));
  for (let i = 0; i <= 5; i++) {
    const ratio = ((most || 1) * i) / 5;
    const y = scale.y(ratio).toFixed(1);
    out.push(
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}" stroke="#ddd"/>`,
      `<text x="${LEFT - 8}" y="${y}" dy="4" text-anchor="end">${(100 * ratio).toPrecision(3)} %</text>`,
    );
  }
  const step = Math.ceil(results.frames.length / 12);
  results.frames.forEach((n, i) => {
    if (i % step !== 0) return;
    const x = scale.x(n).toFixed(1);
    out.push(`<text x="${x}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${n}</text>`);
  });
  const middle = (LEFT + WIDTH - RIGHT) / 2;
  out.push(`<text x="${middle}" y="${HEIGHT - 14}" text-anchor="middle">frames</text>`);
  return out;
}

function curves(results: Results, scale: Scale): string[] {
  return results.curves.flatMap(({ policy, faults }, k) => {
    const colour = COLOURS[k % COLOURS.length]!;
    const points = faults.map((n, i) => {
      return `${scale.x(results.frames[i]!).toFixed(1)},${scale.y(ratioOf(results, n)).toFixed(1)}`;
    });
    const y = TOP + 18 * k;
    return [
      `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="1.8"/>`,
      ...points.map((p) => {
        const [x, at] = p.split(',');
        return `<circle cx="${x!}" cy="${at!}" r="2.4" fill="${colour}"/>`;
      }),
      `<line x1="${WIDTH - RIGHT + 16}" x2="${WIDTH - RIGHT + 36}" y1="${y}" y2="${y}" ` +
        `stroke="${colour}" stroke-width="3"/>`,
      `<text x="${WIDTH - RIGHT + 42}" y="${y}" dy="4">${policy}</text>`,
    ];
  });
}

/** A ring around each point where more frames brought more faults. */
function anomalyMarks(results: Results, scale: Scale): string[] {
  return anomalies(results).map((a) => {
    const x = scale.x(a.moreFrames).toFixed(1);
    const y = scale.y(ratioOf(results, a.moreFaults)).toFixed(1);
    return (
      `<circle cx="${x}" cy="${y}" r="7" fill="none" stroke="#d00"><title>` +
      `Belady's anomaly: ${a.policy}, ${a.faults} faults with ${a.frames} frames, ` +
      `${a.moreFaults} with ${a.moreFrames}</title></circle>`
    );
  });
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
