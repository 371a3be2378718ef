// Small plots in text: how something went over a run, 80 columns wide at the most.

const EIGHTHS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/**
 * A filled curve, `rows` lines high, the highest value first.
 * @param values one for each column, 0 or more.
 * @param most the value that fills the whole height.
 */
export function curve(values: readonly number[], rows: number, most: number): string[] {
  const lines: string[] = [];
  for (let row = rows - 1; row >= 0; row--) {
    const line = values.map((value) => {
      const eighths = most <= 0 ? 0 : Math.round((value / most) * rows * 8) - row * 8;
      return EIGHTHS[Math.max(0, Math.min(8, eighths))] ?? ' ';
    });
    lines.push(line.join(''));
  }
  return lines;
}

/** `n` values out of many: the largest of each stretch, so that no peak is lost. */
export function thinned(values: readonly number[], n: number): number[] {
  if (values.length === 0) return new Array<number>(n).fill(0);
  return Array.from({ length: n }, (_, i) => {
    const from = Math.floor((i * values.length) / n);
    const to = Math.max(from + 1, Math.floor(((i + 1) * values.length) / n));
    return Math.max(...values.slice(from, to));
  });
}
