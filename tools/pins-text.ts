// Who pins it, for people.

import { hex } from '../kernel/types.ts';
import type { Pin, PinHolder, PinKind, PinRoot, Pins, PinTotal } from './inspect/pins/pin.ts';
import { bytes, number } from './replay/summary.ts';

function count(n: number, one: string, many = `${one}s`): string {
  return `${number(n)} ${n === 1 ? one : many}`;
}

function many(kind: PinKind): string {
  return kind === 'block of frames' ? 'blocks of frames' : `${kind}s`;
}

/** Small sizes to the byte. */
function size(n: number): string {
  return n < 10240 ? `${number(n)} bytes` : bytes(n);
}

/** `3 arenas of 3.0 MiB: 40 % of it is free and cannot be given back; 1 is held by 5 blocks`. */
export function totalText({ kind, places, ...t }: PinTotal): string {
  const share = ((100 * t.heldBytes) / Math.max(1, t.bytes)).toFixed(0);
  const sparse =
    t.sparse === 0
      ? ''
      : `; ${number(t.sparse)} of them, less than a quarter full, ` +
        `${t.sparse === 1 ? 'is' : 'are'} held by ${count(t.sparseBlocks, 'block')}`;
  const held = `${bytes(t.heldBytes)} in them (${share} %) are free and cannot be given back`;
  return `${count(places, kind, many(kind))}, ${bytes(t.bytes)}: ${held}${sparse}`;
}

/** One place with those who hold it. */
export function pinText(pin: Pin): string[] {
  const used = `${size(pin.usedBytes)} in ${count(pin.blocks, 'block')}`;
  const lines = [`${pin.kind} ${hex(pin.address)}, ${size(pin.bytes)}: held by ${used}`];
  for (const h of pin.holders) lines.push(...holderText(h));
  if (pin.blocks > pin.holders.length)
    lines.push(`    and ${count(pin.blocks - pin.holders.length, 'block')} more`);
  return [...lines, ...rootLines(pin).map((line) => `  ${line}`)];
}

/** What would be free without each of the roots that hold most of it. */
export function rootLines(pin: Pin): string[] {
  return pin.roots.map((r) => rootText(pin, r));
}

function rootText(pin: Pin, r: PinRoot): string {
  const blocks = count(r.blocks, 'block');
  const inAll =
    r.freesBytes > pin.bytes ? ` (${size(r.freesBytes)} of ${many(pin.kind)} in all)` : '';
  const frees = r.frees ? `this ${pin.kind} would be free${inAll}` : '';
  if (r.isNone) return `${blocks}: ${r.root}${r.frees ? `; then ${frees}` : ''}`;
  const others =
    r.freesBytes > 0
      ? `this ${pin.kind} stays, ${size(r.freesBytes)} of others would be free`
      : `nothing would be free`;
  return `without ${r.root} (${blocks}): ${r.frees ? frees : others}`;
}

function holderText({ address, bytes: n, what, path }: PinHolder): string[] {
  const line = `    ${hex(address)} ${number(n)} bytes: ${what}`;
  return path.length === 0 ? [line] : [line, `      ${path.join(' → ')}`];
}

/** The whole answer. */
export function pinsText({ totals, pins }: Pins): string[] {
  const lines = totals.map(totalText);
  for (const pin of pins) lines.push('', ...pinText(pin));
  return lines;
}
