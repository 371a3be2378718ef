// Makes a failing scenario as short as it can be while it still fails (delta debugging).
//
// Chunks of lines are left out, large ones first; what a left-out line bound may be missing, and
// then the text does not parse and the attempt simply fails. Every attempt costs two runs, so there
// is a bound on them.

/**
 * @param lines a scenario that fails.
 * @param fails true where the text (of some of the lines) still shows the failure.
 * @param attempts how often `fails` may be asked.
 * @returns the shortest failing lines found.
 */
export function shrink(
  lines: readonly string[],
  fails: (lines: readonly string[]) => boolean,
  attempts = 400,
): string[] {
  let best = [...lines];
  let left = attempts;
  let size = Math.ceil(best.length / 2);
  while (size >= 1) {
    let found = false;
    for (let at = best.length - size; at > -size && left > 0; at -= size) {
      const from = Math.max(0, at);
      const shorter = [...best.slice(0, from), ...best.slice(at + size)];
      if (shorter.length === 0) continue;
      left--;
      if (!fails(shorter)) continue;
      best = shorter;
      found = true;
    }
    if (left <= 0) break;
    if (!found || size > 1) size = size === 1 ? (found ? 1 : 0) : Math.ceil(size / 2);
  }
  return best;
}
