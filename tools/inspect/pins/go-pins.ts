// The spans of a Go heap as places: a span's pages go back when all its slots are free.

import { IN_USE } from '../../../runtime/go/mspan.ts';
import type { GoRuntime } from '../../../runtime/go/runtime.ts';
import type { Mm } from '../../../userspace/mm.ts';
import { type GoSpan, SLOT_ALLOCATED } from '../go.ts';
import { GoGraph } from './go-graph.ts';
import type { HeldBlock, PinnedHeap } from './heap-pins.ts';
import type { Place } from './pin.ts';

export function goPinnedHeap(go: GoRuntime, mm: Mm): PinnedHeap {
  const graph = new GoGraph(go, mm);
  const { spans } = go.heap;
  const places: Place[] = [];
  for (let s = 1; s < spans.count; s++) {
    if (spans.state[s] !== IN_USE) continue;
    const span = graph.spanAt(go.sys.addressOf(spans.start[s] ?? 0));
    if (span === undefined) continue;
    const blocks = slotsInUse(span).length;
    const { start: address, bytes, size } = span;
    if (blocks > 0)
      places.push({
        kind: 'span',
        address,
        bytes,
        blocks,
        usedBytes: blocks * size,
      });
  }
  const blocksOf = (place: Place): HeldBlock[] => {
    const span = graph.spanAt(place.address);
    if (span === undefined) return [];
    return slotsInUse(span).map((slot) => {
      const at = span.start + slot * span.size;
      return { block: at, bytes: span.size, object: at };
    });
  };
  return {
    graph,
    places,
    blocksOf,
    what: (b) => graph.describe(b.object),
    unheld: () => 'nothing: garbage, which the next collection finds or the sweep frees',
  };
}

function slotsInUse(span: GoSpan): number[] {
  const found: number[] = [];
  span.slots.forEach((bits, slot) => {
    if ((bits & SLOT_ALLOCATED) !== 0) found.push(slot);
  });
  return found;
}
