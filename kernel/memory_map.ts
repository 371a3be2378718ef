// The firmware's memory map (e820) and what Linux makes of it.
//
// Rows come from a boot log or from a plain size. Linux then takes page 0 and 640 KiB..1 MiB away
// (BIOS data, video memory, ROMs) and keeps whole pages only; what is left are the frames of RAM:
//
//     e820   |usable ..9fbff|res|      hole      |f0000 res|100000        usable ..  |res|  ...
//     RAM     1........9e                                   256 .................
//
// Source: Linux 6.1 arch/x86/kernel/e820.c, setup.c trim_bios_range(), mm/memblock.c.

import { InputError } from './errors.ts';
import { PAGE_SIZE, alignUp } from './types.ts';

/** Frames of a memory section: mem_map is made for whole sections (128 MiB). */
export const SECTION_PAGES = 2 ** 15;

/** A row of the map; `end` is exclusive, in bytes. */
export interface E820Row {
  readonly start: number;
  readonly end: number;
  /** `usable`, `reserved`, `ACPI data`, … */
  readonly type: string;
}

/** Frames startPfn..endPfn-1 of RAM on one node. */
export interface PfnRange {
  readonly startPfn: number;
  readonly endPfn: number;
  readonly node: number;
}

/** Video memory and ROMs of a PC. */
const LEGACY_START = 0xa0000;
export const LEGACY_END = 0x100000;

const ROW = /BIOS-e820: \[mem 0x([0-9a-fA-F]+)-0x([0-9a-fA-F]+)\] (\S.*?)\s*$/;

/**
 * Rows of a Linux boot log (`BIOS-e820: [mem 0xSTART-0xEND] TYPE`, END inclusive); other lines are
 * passed over.
 * @param name for messages: the file the text came from.
 * @throws InputError where there is no row, or one ends before it starts.
 */
export function parseE820(text: string, name = 'e820'): E820Row[] {
  const rows: E820Row[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    const match = ROW.exec(line);
    if (match === null) continue;
    const [, first, last, type] = match;
    const start = parseInt(first, 16);
    const end = parseInt(last, 16) + 1;
    if (end <= start)
      throw new InputError(`${name}:${i + 1}`, `the range ${first}-${last} is empty`);
    rows.push({ start, end, type });
  }
  if (rows.length === 0) throw new InputError(name, 'no line "BIOS-e820: [mem 0x…-0x…] usable"');
  return rows;
}

/** The map of a machine of so many bytes of RAM in one piece, but for the legacy hole. */
export function e820OfSize(bytes: number): E820Row[] {
  const rows: E820Row[] = [{ start: 0, end: Math.min(bytes, LEGACY_START), type: 'usable' }];
  if (bytes > LEGACY_START) rows.push({ start: LEGACY_START, end: LEGACY_END, type: 'reserved' });
  if (bytes > LEGACY_END) rows.push({ start: LEGACY_END, end: bytes, type: 'usable' });
  return rows;
}

/** Usable byte ranges after Linux's trimming, sorted, overlaps with other types cut away. */
export function usableRanges(rows: readonly E820Row[]): { start: number; end: number }[] {
  const cuts = rows
    .filter((row) => row.type !== 'usable')
    .concat([
      { start: 0, end: PAGE_SIZE, type: 'reserved' },
      { start: LEGACY_START, end: LEGACY_END, type: 'removed' },
    ]);
  let ranges = rows
    .filter((row) => row.type === 'usable')
    .map(({ start, end }) => ({ start, end }));
  for (const cut of cuts) {
    ranges = ranges.flatMap(({ start, end }) => [
      { start, end: Math.min(end, cut.start) },
      { start: Math.max(start, cut.end), end },
    ]);
    ranges = ranges.filter(({ start, end }) => start < end);
  }
  ranges.sort((a, b) => a.start - b.start);
  const merged: { start: number; end: number }[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && range.start <= last.end) last.end = Math.max(last.end, range.end);
    else merged.push({ ...range });
  }
  return merged;
}

/** Whole frames of RAM (memblock_trim_memory()), on node 0. */
export function ramFrames(rows: readonly E820Row[]): PfnRange[] {
  return usableRanges(rows)
    .map(({ start, end }) => ({
      startPfn: alignUp(start, PAGE_SIZE) / PAGE_SIZE,
      endPfn: Math.floor(end / PAGE_SIZE),
      node: 0,
    }))
    .filter(({ startPfn, endPfn }) => startPfn < endPfn);
}

/** Nodes begin and end at multiples of the largest block, so that no block belongs to two. */
const NODE_ALIGN = 1024;

/** Cuts RAM into nodes of about so many bytes each; the last takes what is left. */
export function splitNodes(ram: readonly PfnRange[], nodeBytes: readonly number[]): PfnRange[] {
  const out: PfnRange[] = [];
  let node = 0;
  let room = nodeBytes[0] / PAGE_SIZE;
  for (const range of ram) {
    let start = range.startPfn;
    while (start < range.endPfn) {
      const last = node === nodeBytes.length - 1;
      const cut = last ? Infinity : Math.round((start + room) / NODE_ALIGN) * NODE_ALIGN;
      const end = Math.min(range.endPfn, cut);
      if (end > start) out.push({ startPfn: start, endPfn: end, node });
      room -= Math.max(0, end - start);
      if (end === cut) room = nodeBytes[++node] / PAGE_SIZE;
      start = Math.max(start, end);
    }
  }
  return out;
}
