// Which zones an allocation may use, and in which order.
//
// GFP flags name the highest zone; all below it will do as well, from the highest down, because
// low memory is scarce. On a machine of several nodes the nearest node's zones come first
// ("node order"): Normal of this node, DMA32 of this node, ..., Normal of the next.
// Source: Linux 6.18 include/linux/gfp.h gfp_zone(), mm/page_alloc.c build_zonelists(),
// find_next_best_node().

import { __GFP_DMA, __GFP_DMA32, __GFP_HIGHMEM, __GFP_MOVABLE } from './gfp.ts';
import {
  MAX_NR_ZONES,
  ZONE_DMA,
  ZONE_DMA32,
  ZONE_MOVABLE,
  ZONE_NORMAL,
  type Zone,
} from './zone.ts';

const GFP_ZONES = Uint8Array.from({ length: 16 }, (_, bits) => {
  if ((bits & __GFP_DMA) !== 0) return ZONE_DMA;
  if ((bits & __GFP_DMA32) !== 0) return ZONE_DMA32;
  const movable = __GFP_MOVABLE | __GFP_HIGHMEM;
  return (bits & movable) === movable ? ZONE_MOVABLE : ZONE_NORMAL;
});

/** Type of the highest zone that an allocation with these flags may use. */
export function gfpZone(gfp: number): number {
  return GFP_ZONES[gfp & 15];
}

/** Distance of a node to itself and, where nothing else is configured, to any other. */
export const LOCAL_DISTANCE = 10;
export const REMOTE_DISTANCE = 20;

export class ZoneLists {
  /** By node * MAX_NR_ZONES + highest zone. */
  private readonly lists: (readonly Zone[])[] = [];
  /** Other nodes in the order in which each node falls back to them, itself first. */
  readonly nodeOrder: readonly (readonly number[])[];

  /** @param distance distance[a][b] between nodes as the firmware (SLIT) gives it. */
  constructor(
    zones: readonly Zone[],
    nrNodes: number,
    distance: readonly (readonly number[])[] = defaultDistance(nrNodes),
  ) {
    const load = new Int32Array(nrNodes);
    const orders: number[][] = [];
    for (let node = 0; node < nrNodes; node++) {
      const order = fallbackOrder(node, nrNodes, distance, load);
      orders.push(order);
      for (let highest = 0; highest < MAX_NR_ZONES; highest++) {
        const list: Zone[] = [];
        for (const other of order) {
          for (let type = highest; type >= 0; type--) {
            const zone = zones.find((z) => z.node === other && z.type === type);
            if (zone !== undefined && zone.managed > 0) list.push(zone);
          }
        }
        this.lists.push(list);
      }
    }
    this.nodeOrder = orders;
  }

  /** Zones to try, best first. */
  of(node: number, highest: number): readonly Zone[] {
    return this.lists[node * MAX_NR_ZONES + highest];
  }
}

function defaultDistance(nrNodes: number): number[][] {
  return Array.from({ length: nrNodes }, (_, a) =>
    Array.from({ length: nrNodes }, (_, b) => (a === b ? LOCAL_DISTANCE : REMOTE_DISTANCE)),
  );
}

/** Nearest first; among equals the next in number, and one that few have chosen already. */
function fallbackOrder(
  node: number,
  nrNodes: number,
  distance: readonly (readonly number[])[],
  load: Int32Array,
): number[] {
  const order = [node];
  let previous = node;
  while (order.length < nrNodes) {
    let best = -1;
    let bestCost = Infinity;
    for (let n = 0; n < nrNodes; n++) {
      if (order.includes(n)) continue;
      // nodes after this one are slightly preferred, so that not all fall back to node 0
      const cost = (distance[node][n] + (n < node ? 1 : 0)) * nrNodes + load[n];
      if (cost < bestCost) [best, bestCost] = [n, cost];
    }
    // first of a group at a new distance: others will find it loaded
    if (distance[node][best] !== distance[node][previous]) load[best] += 1;
    order.push(best);
    previous = best;
  }
  return order;
}
