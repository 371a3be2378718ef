// How fragmented a zone's free memory is, as /sys/kernel/debug/extfrag shows it, in thousandths.
//
//     unusable index   share of the free memory that is in blocks too small for an order
//     fragmentation    why an allocation of that order would fail: towards 0 because memory is
//                      short, towards 1000 because it is in small pieces; -1000: it would not fail
//
// Source: Linux 6.18 mm/vmstat.c fill_contig_page_info(), unusable_free_index(),
// __fragmentation_index().

import { MAX_ORDER } from './types.ts';
import type { Zone } from './zone.ts';

interface ContigInfo {
  readonly pages: number;
  readonly blocks: number;
  /** Blocks of the wanted order that the free ones could be split into. */
  readonly suitable: number;
}

function contigInfo(zone: Zone, order: number): ContigInfo {
  let pages = 0;
  let blocks = 0;
  let suitable = 0;
  for (let o = 0; o <= MAX_ORDER; o++) {
    const n = zone.buddy.nrFree(o);
    blocks += n;
    pages += n * 2 ** o;
    if (o >= order) suitable += n * 2 ** (o - order);
  }
  return { pages, blocks, suitable };
}

/** 0..1000. */
export function unusableFreeIndex(zone: Zone, order: number): number {
  const { pages, suitable } = contigInfo(zone, order);
  if (pages === 0) return 1000;
  return Math.floor(((pages - suitable * 2 ** order) * 1000) / pages);
}

/** 0..1000, or -1000 where a block of that order is free. */
export function fragmentationIndex(zone: Zone, order: number): number {
  const { pages, blocks, suitable } = contigInfo(zone, order);
  if (blocks === 0) return 0;
  if (suitable > 0) return -1000;
  return 1000 - Math.floor((1000 + Math.floor((pages * 1000) / 2 ** order)) / blocks);
}
