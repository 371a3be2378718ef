// One colour for each use of a frame, the same in every view; free memory stands back, by order.

import {
  ANON_PROCESSES,
  FRAME_ANON,
  FRAME_ANON_NOBODY,
  FRAME_BOOT,
  FRAME_FILE,
  FRAME_FREE,
  FRAME_GO_FREE,
  FRAME_GO_SPAN,
  FRAME_GO_STACK,
  FRAME_KERNEL,
  FRAME_MEMMAP,
  FRAME_PCP,
  FRAME_PY_FREE,
  FRAME_PY_POOL,
  FRAME_SHMEM,
  FRAME_SLAB,
  FRAME_TABLE,
  FRAME_ZERO,
} from '../inspect/frame-classes.ts';

const FIXED: Readonly<Record<number, string>> = {
  [FRAME_BOOT]: '#5b6678',
  [FRAME_MEMMAP]: '#7f8a9c',
  [FRAME_TABLE]: '#e0a000',
  [FRAME_SLAB]: '#c2552d',
  [FRAME_FILE]: '#2f8f5b',
  [FRAME_SHMEM]: '#62bf93',
  [FRAME_ZERO]: '#b9a37a',
  [FRAME_KERNEL]: '#8d6a5a',
  [FRAME_GO_SPAN]: '#00a3c7',
  [FRAME_GO_STACK]: '#00708f',
  [FRAME_GO_FREE]: '#8ad5e8',
  [FRAME_PY_POOL]: '#c93f8d',
  [FRAME_PY_FREE]: '#e79cc6',
  [FRAME_ANON_NOBODY]: '#9a8fb0',
};

const PROCESSES = [
  '#4668e8',
  '#7d4fd6',
  '#2b8be0',
  '#a04cc4',
  '#5f7dc9',
  '#8f6ce0',
  '#3f74b5',
  '#b26fd0',
] as const;

/** RGB of every class, as one row of 256 texels of four bytes. */
export function paletteBytes(dark: boolean): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(256 * 4);
  for (let id = 0; id < 256; id++) {
    const n = parseInt(colourOf(id, dark).slice(1), 16);
    bytes.set([n >> 16, (n >> 8) & 255, n & 255, 255], id * 4);
  }
  return bytes;
}

/** The colour of a class, as #rrggbb. */
export function colourOf(id: number, dark: boolean): string {
  if (id >= FRAME_ANON) return PROCESSES[(id - FRAME_ANON) % ANON_PROCESSES] ?? PROCESSES[0];
  if (id >= FRAME_FREE)
    return grey(dark ? 74 - (id - FRAME_FREE) * 3.4 : 196 + (id - FRAME_FREE) * 3.8);
  if (id === FRAME_PCP) return grey(dark ? 88 : 184);
  return FIXED[id] ?? (dark ? '#15181d' : '#ffffff');
}

function grey(level: number): string {
  const n = Math.round(level);
  return `#${[n, n, Math.min(255, n + 4)].map((c) => c.toString(16).padStart(2, '0')).join('')}`;
}
