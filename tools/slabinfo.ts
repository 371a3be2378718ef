// Reads /proc/slabinfo text: a line a cache, after a version and a heading.

import { InputError } from '../kernel/index.ts';

/** A cache of a slabinfo text. */
export interface SlabLine {
  readonly name: string;
  readonly activeObjects: number;
  readonly objects: number;
  /** Bytes from one object to the next. */
  readonly objsize: number;
  readonly objperslab: number;
  readonly pagesperslab: number;
}

/**
 * The caches of a slabinfo text, in its order.
 * @param path for messages.
 * @throws InputError where the text has no version line, or a line is not a cache.
 */
export function parseSlabinfo(text: string, path: string): SlabLine[] {
  const lines = text.split('\n');
  if (!(lines[0] ?? '').startsWith('slabinfo - version: 2.')) {
    throw new InputError(`${path}:1`, 'expected "slabinfo - version: 2.x", as in /proc/slabinfo');
  }
  const caches: SlabLine[] = [];
  for (const [i, line] of lines.entries()) {
    if (i === 0 || line.startsWith('#') || line.trim() === '') continue;
    const [name, ...words] = line.split(/\s+/);
    const numbers = words.slice(0, 5).map(Number);
    const [activeObjects, objects, objsize, objperslab, pagesperslab] = numbers;
    if (
      name === undefined ||
      activeObjects === undefined ||
      objects === undefined ||
      objsize === undefined ||
      objperslab === undefined ||
      pagesperslab === undefined ||
      numbers.some((n) => !Number.isSafeInteger(n) || n < 0) ||
      objsize === 0
    ) {
      throw new InputError(`${path}:${i + 1}`, 'expected a name and five numbers, objsize above 0');
    }
    caches.push({ name, activeObjects, objects, objsize, objperslab, pagesperslab });
  }
  return caches;
}
