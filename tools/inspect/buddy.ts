// The page allocator as plain data: zones with watermarks, free lists, pageblocks.

import { PAGEBLOCK_PAGES } from '../../kernel/free_tables.ts';
import { MIGRATE_NAMES, MIGRATE_TYPES } from '../../kernel/migrate_type.ts';
import { MAX_ORDER } from '../../kernel/types.ts';
import type { Subject } from './subject.ts';

export interface ZoneView {
  readonly name: string;
  readonly node: number;
  readonly start: number;
  readonly end: number;
  /** Frames. */
  readonly managed: number;
  readonly free: number;
  readonly min: number;
  readonly low: number;
  readonly high: number;
  /** Blocks by type, then by order. */
  readonly lists: readonly (readonly number[])[];
  /** First frame of the first block of each list, by type and order; -1 for none. */
  readonly heads: readonly (readonly number[])[];
  /** Frames on each CPU's own lists. */
  readonly pcp: readonly number[];
}

export interface BuddyView {
  readonly types: readonly string[];
  readonly zones: readonly ZoneView[];
  /** Of each pageblock: its type, and from bit 3 on how much of it is free, 0…15; 255 for no RAM. */
  readonly pageblocks: Uint8Array<ArrayBuffer>;
}

/** O(free blocks + pageblocks · 512 for those that are partly free). */
export function buddyView(subject: Subject): BuddyView {
  const { alloc } = subject.system.machine;
  return {
    types: MIGRATE_NAMES,
    zones: alloc.zones
      .filter((zone) => zone.managed > 0)
      .map((zone) => {
        const [min = 0, low = 0, high = 0] = zone.watermark;
        const orders = [...Array(MAX_ORDER + 1).keys()];
        const types = [...Array(MIGRATE_TYPES).keys()];
        return {
          name: zone.name,
          node: zone.node,
          start: zone.startPfn,
          end: zone.endPfn,
          managed: zone.managed,
          free: zone.free,
          min: min + zone.boost,
          low: low + zone.boost,
          high: high + zone.boost,
          lists: types.map((t) => orders.map((order) => zone.buddy.countOf(order, t))),
          heads: types.map((t) => orders.map((order) => zone.buddy.first(order, t) as number)),
          pcp: zone.pcp.map((cpu) => cpu.count),
        };
      }),
    pageblocks: pageblocks(subject),
  };
}

function pageblocks(subject: Subject): Uint8Array<ArrayBuffer> {
  const { alloc, pages } = subject.system.machine;
  const { tables } = alloc;
  const out = new Uint8Array(Math.ceil(pages.nrFrames / PAGEBLOCK_PAGES)).fill(255);
  for (let block = 0; block < out.length; block++) {
    const first = block * PAGEBLOCK_PAGES;
    if (tables.zoneAt(first) < 0) continue;
    const free = freeFrames(subject, first);
    const share = free === 0 ? 0 : Math.max(1, Math.floor((free * 15) / PAGEBLOCK_PAGES));
    out[block] = tables.typeOf(first) | (share << 3);
  }
  return out;
}

function freeFrames(subject: Subject, first: number): number {
  const { tables } = subject.system.machine.alloc;
  const around = tables.freeBlockOf(first);
  if (around >= 0 && tables.freeOrder(around) >= MAX_ORDER - 1) return PAGEBLOCK_PAGES;
  let free = 0;
  for (let pfn = first; pfn < first + PAGEBLOCK_PAGES;) {
    const order = tables.freeOrder(pfn);
    if (order >= 0) free += 1 << order;
    pfn += order < 0 ? 1 : 1 << order;
  }
  return free;
}

/** First frames of the blocks on one list, `most` at the most, in the list's order. */
export function freeList(
  subject: Subject,
  zoneName: string,
  type: number,
  order: number,
  most = 64,
): number[] {
  const { zones } = subject.system.machine.alloc;
  const zone = zones.find((z) => z.name === zoneName);
  const found: number[] = [];
  zone?.buddy.forEach(order, type, (pfn) => found.push(pfn) < most);
  return found;
}
