// Results of replacement policies as a table for people, as CSV, as JSON, and as an SVG plot.

import { anomalies, type Results } from './results.ts';

/** Faults by policy and frames, best first at the largest memory, with miss ratios. */
export function tableText(title: string, results: Results): string {
  const { frames, curves } = results;
  const number = (n: number): string => n.toLocaleString('en-US');
  const width = Math.max(...curves.flatMap((c) => c.faults.map((n) => number(n).length)), 8) + 9;
  const lines = [
    `${title}: ${number(results.references)} references to ${number(results.pages)} pages`,
    '',
    `  ${'faults'.padEnd(14)}${frames.map((n) => `${number(n)} frame${n === 1 ? '' : 's'}`.padStart(width)).join('')}`,
  ];
  for (const { policy, faults } of curves) {
    const cells = faults.map((n) => {
      const ratio = results.references === 0 ? 0 : (100 * n) / results.references;
      return `${number(n)} ${`${ratio.toFixed(ratio < 10 ? 2 : 1)} %`.padStart(7)}`.padStart(width);
    });
    lines.push(`  ${policy.padEnd(14)}${cells.join('')}`);
  }
  const found = anomalies(results);
  if (found.length > 0) {
    lines.push('', "Belady's anomaly: more frames, and more faults");
    for (const a of found) {
      lines.push(
        `  ${a.policy}: ${number(a.faults)} faults with ${a.frames} frames, ` +
          `${number(a.moreFaults)} with ${a.moreFrames}`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

/** One row for each policy and number of frames. */
export function csvText(results: Results): string {
  const rows = ['policy,frames,references,faults,miss_ratio'];
  for (const { policy, faults } of results.curves) {
    faults.forEach((n, i) => {
      const ratio = results.references === 0 ? 0 : n / results.references;
      rows.push(`${policy},${results.frames[i]!},${results.references},${n},${ratio.toFixed(8)}`);
    });
  }
  return `${rows.join('\n')}\n`;
}

/** `faults` by policy and frames, as the counts of lackey traces are written. */
export function jsonText(results: Results): string {
  const faults: Record<string, Record<string, number>> = {};
  for (const curve of results.curves) {
    faults[curve.policy] = Object.fromEntries(
      curve.faults.map((n, i) => [String(results.frames[i]!), n]),
    );
  }
  const { references, pages } = results;
  return `${JSON.stringify({ references, pages, faults, anomalies: anomalies(results) })}\n`;
}
