// Generates runtime/go/sizeclasses.ts and proves every line of it.
//
// A size class is a slot size and a number of 8 KiB pages. Sizes are tried upwards in steps that
// grow with the size; the span is made long enough that its unused tail is at most an eighth;
// a size whose span holds as many slots as that of the size before replaces it; at last every
// class grows into its own tail, as far as the lookup table's step of 128 bytes allows.
// Proved by trying all: every request has a class that holds it and the one before does not, the
// tail bound holds, and division by multiplication is exact for every offset in a span.
//
//     node dist/tools/mksizeclasses.js > runtime/go/sizeclasses.ts
//
// Source: Go 1.26.8 src/runtime/_mkmalloc/mksizeclasses.go; Go 1.9 src/runtime/mksizeclasses.go.

import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { assert } from '../kernel/index.ts';

export const PAGE_BYTES = 8192;
export const MAX_SMALL_BYTES = 32768;
/** Steps of the two lookup tables: by 8 bytes up to 1024, by 128 above. */
export const SMALL_DIV = 8;
export const SMALL_MAX = 1024;
export const LARGE_DIV = 128;

export interface SizeClass {
  size: number;
  readonly pages: number;
}

/**
 * The classes, smallest first; the first is a dummy for large objects.
 * @param step16From from which size on slots are multiples of 16: 32, before Go 1.16: 16.
 */
export function makeClasses(step16From: number): SizeClass[] {
  const classes: SizeClass[] = [{ size: 0, pages: 0 }];
  let step = 8;
  for (let size = step; size <= MAX_SMALL_BYTES; size += step) {
    if ((size & (size - 1)) === 0) {
      if (size >= 2048) step = 256;
      else if (size >= 128) step = size / 8;
      else if (size >= step16From) step = 16;
    }
    let bytes = PAGE_BYTES;
    while (bytes % size > bytes / 8) bytes += PAGE_BYTES;
    const last = classes.at(-1)!;
    const slots = Math.floor(bytes / size);
    if (
      last.size > 0 &&
      last.pages * PAGE_BYTES === bytes &&
      Math.floor(bytes / last.size) === slots
    )
      last.size = size;
    else classes.push({ size, pages: bytes / PAGE_BYTES });
  }
  for (const c of classes.slice(1)) {
    const bytes = c.pages * PAGE_BYTES;
    const grown = Math.floor(bytes / Math.floor(bytes / c.size));
    c.size = Math.max(c.size, grown - (grown % LARGE_DIV));
  }
  return classes;
}

/** The multiplier that divides by `size`: floor(n * magic / 2^32) = floor(n / size). */
export function divMagic(size: number): number {
  return size === 0 ? 0 : Math.floor(0xffffffff / size) + 1;
}

/** Class by request: one table in steps of 8 bytes up to 1024, one in steps of 128 above. */
export function lookupTables(classes: readonly SizeClass[]): { by8: number[]; by128: number[] } {
  const find = (bytes: number): number => classes.findIndex((c, i) => i > 0 && c.size >= bytes);
  const by8 = Array.from({ length: SMALL_MAX / SMALL_DIV + 1 }, (_, i) =>
    i === 0 ? 0 : find(i * SMALL_DIV),
  );
  const by128 = Array.from({ length: (MAX_SMALL_BYTES - SMALL_MAX) / LARGE_DIV + 1 }, (_, i) =>
    find(SMALL_MAX + i * LARGE_DIV),
  );
  return { by8, by128 };
}

/** Tries everything that the runtime relies on; throws KernelBug at the first that fails. */
export function prove(classes: readonly SizeClass[]): void {
  const { by8, by128 } = lookupTables(classes);
  for (let bytes = 1; bytes <= MAX_SMALL_BYTES; bytes++) {
    const small = bytes <= SMALL_MAX - 8;
    const c =
      (small
        ? by8[Math.ceil(bytes / SMALL_DIV)]
        : by128[Math.max(0, Math.ceil((bytes - SMALL_MAX) / LARGE_DIV))]) ?? -1;
    const { size } = classes[c] ?? { size: 0 };
    assert(size >= bytes && (classes[c - 1]?.size ?? 0) < bytes, `class of ${String(bytes)} bytes`);
  }
  for (const { size, pages } of classes.slice(1)) {
    const bytes = pages * PAGE_BYTES;
    assert(bytes % size <= bytes / 8, `tail of class ${String(size)} is at most an eighth`);
    const magic = BigInt(divMagic(size));
    for (let n = 0; n <= bytes; n++) {
      const quotient = Number((BigInt(n) * magic) >> 32n);
      assert(quotient === Math.floor(n / size), `${String(n)} / ${String(size)} by multiplication`);
    }
  }
}

/** The comment line of a class: slot, span, slots, tail, worst waste, alignment. */
function describe(c: SizeClass, i: number, previous: number): string {
  const bytes = c.pages * PAGE_BYTES;
  const slots = Math.floor(bytes / c.size);
  const tail = bytes % c.size;
  const waste = ((c.size - previous - 1) * slots + tail) / bytes;
  const cells = [i, c.size, bytes, slots, tail].map((n) => String(n).padStart(7));
  return `// ${cells.join('  ')}  ${(waste * 100).toFixed(2).padStart(6)}%`;
}

function table(name: string, from: string, step16From: number): string[] {
  const classes = makeClasses(step16From);
  prove(classes);
  const { by8, by128 } = lookupTables(classes);
  const list = (values: readonly number[]): string => wrap(values.join(', '));
  return [
    `// ${from}`,
    '//   class  bytes/slot  bytes/span  slots  tail waste  max waste',
    ...classes.slice(1).map((c, i) => describe(c, i + 1, classes[i]?.size ?? 0)),
    '// prettier-ignore',
    `export const ${name}: SizeClassTable = {`,
    `  count: ${String(classes.length)},`,
    `  size: Int32Array.of(${list(classes.map((c) => c.size))}),`,
    `  pages: Uint8Array.of(${list(classes.map((c) => c.pages))}),`,
    `  divMagic: Uint32Array.of(${list(classes.map((c) => divMagic(c.size)))}),`,
    `  by8: Uint8Array.of(${list(by8)}),`,
    `  by128: Uint8Array.of(${list(by128)}),`,
    '};',
    '',
  ];
}

/** A list broken into lines of at most 96 columns. */
function wrap(text: string): string {
  return `\n${text.replace(/(.{1,92})(?: |$)/g, '    $1\n')}  `;
}

/** The whole generated file, before formatting. */
export function generate(): string {
  return [
    '// Generated by tools/mksizeclasses.ts, which proves it: do not edit.',
    "// Go's size classes: which slots a span is divided into, and which class holds a request.",
    '',
    '/** Class 0 stands for large objects, a span of their own. */',
    'export interface SizeClassTable {',
    '  readonly count: number;',
    '  /** Slot size in bytes. */',
    '  readonly size: Int32Array;',
    '  /** Pages of 8 KiB in a span. */',
    '  readonly pages: Uint8Array;',
    '  /** offset * divMagic / 2^32 is the slot that an offset into a span lies in. */',
    '  readonly divMagic: Uint32Array;',
    '  /** Class of a request of up to 1016 bytes, by ceil(bytes / 8). */',
    '  readonly by8: Uint8Array;',
    '  /** Class of a larger request, by ceil((bytes - 1024) / 128). */',
    '  readonly by128: Uint8Array;',
    '}',
    '',
    ...table('classesSince16', 'Since Go 1.16: with a class of 24 bytes.', 32),
    ...table('classesBefore16', 'Before Go 1.16: 66 small classes, none of 24 bytes.', 16),
  ].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.stdout.write(generate());
