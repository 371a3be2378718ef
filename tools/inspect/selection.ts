// What can be selected: an address of a process, a frame of memory, or a slot of swap.
//
// Objects, blocks, spans, mappings and entries are selected by an address in them. As text, a
// selection is `va:PID:HEX`, `pa:HEX` (a physical address) or `slot:N`.

import { PAGE_SIZE } from '../../kernel/types.ts';

export type Selection =
  | { readonly kind: 'address'; readonly pid: number; readonly va: number }
  | { readonly kind: 'frame'; readonly pfn: number; readonly offset: number }
  | { readonly kind: 'slot'; readonly slot: number };

/** The selection as text, for a link. */
export function selectionText(s: Selection): string {
  if (s.kind === 'address') return `va:${s.pid}:${s.va.toString(16)}`;
  if (s.kind === 'frame') return `pa:${(s.pfn * PAGE_SIZE + s.offset).toString(16)}`;
  return `slot:${s.slot}`;
}

/** What selectionText() wrote; undefined for anything else. */
export function parseSelection(text: string): Selection | undefined {
  const address = /^va:(\d{1,9}):(-?[0-9a-f]{1,13})$/.exec(text);
  if (address !== null) {
    return { kind: 'address', pid: Number(address[1]), va: parseInt(address[2] ?? '', 16) };
  }
  const physical = /^pa:([0-9a-f]{1,12})$/.exec(text);
  if (physical !== null) {
    const at = parseInt(physical[1] ?? '', 16);
    return { kind: 'frame', pfn: Math.floor(at / PAGE_SIZE), offset: at % PAGE_SIZE };
  }
  const slot = /^slot:(\d{1,9})$/.exec(text);
  return slot === null ? undefined : { kind: 'slot', slot: Number(slot[1]) };
}
