// gc.set_debug(): its flags, and the lines that they print on standard error.
//
// Source: CPython 3.11 Modules/gcmodule.c show_stats_each_generations(), debug_cycle(),
// gc_collect_main().

export const DEBUG_STATS = 1;
export const DEBUG_COLLECTABLE = 2;
export const DEBUG_UNCOLLECTABLE = 4;
export const DEBUG_SAVEALL = 32;
/** What looks for leaks sets. */
export const DEBUG_LEAK = DEBUG_COLLECTABLE | DEBUG_UNCOLLECTABLE | DEBUG_SAVEALL;

/** The lines at the start. @param sizes of the generations, youngest first.
 * @param permanent objects that gc.freeze() set apart; null before 3.7. */
export function startLines(
  generation: number,
  sizes: readonly number[],
  permanent: number | null,
): string[] {
  const lines = [
    `gc: collecting generation ${generation}...`,
    `gc: objects in each generation: ${sizes.join(' ')}`,
  ];
  if (permanent !== null) lines.push(`gc: objects in permanent generation: ${permanent}`);
  return lines;
}

/** The line of an object that was found; `type` is the name of its type. */
export function objectLine(what: string, type: string, op: number): string {
  return `gc: ${what} <${type} 0x${op.toString(16)}>`;
}

/** The line at the end. */
export function doneLine(collected: number, uncollectable: number, seconds: number): string {
  return `gc: done, ${foundWords(collected, uncollectable)}, ${seconds.toFixed(4)}s elapsed`;
}

/** The line at the end, as versions before 3.7 have it. */
export function oldDoneLine(collected: number, uncollectable: number, seconds: number): string {
  const isNone = collected + uncollectable === 0;
  const found = isNone ? '' : `, ${foundWords(collected, uncollectable)}`;
  return `gc: done${found}, ${seconds.toFixed(4)}s elapsed.`;
}

function foundWords(collected: number, uncollectable: number): string {
  return `${collected + uncollectable} unreachable, ${uncollectable} uncollectable`;
}
