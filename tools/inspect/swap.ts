// The first swap device as plain data: slots in use, who refers to one, what lies in it.

import { PAGE_SIZE } from '../../kernel/types.ts';
import { Swap } from '../../userspace/swap.ts';
import type { SwapArea } from '../../kernel/swap.ts';
import { forEachEntry } from './space.ts';
import { swapSlotOf } from './entry.ts';
import type { Subject } from './subject.ts';

export interface SwapView {
  readonly slots: number;
  readonly used: number;
  /** Of each slot: 0 free, 1 in use, 2 in use and cached, 3 only cached. */
  readonly states: Uint8Array<ArrayBuffer>;
}

export interface SlotInfo {
  readonly slot: number;
  /** Entries that refer to it. */
  readonly references: number;
  /** Frame in the swap cache, or -1. */
  readonly cached: number;
  /** Its first words that are not zero, in hexadecimal. */
  readonly preview: string;
}

function areaOf(subject: Subject): SwapArea | undefined {
  const { swap } = subject.system;
  if (!(swap instanceof Swap)) return undefined;
  return swap.areas.find((area) => area !== undefined);
}

/** All slots; undefined where the machine has no swap. */
export function swapView(subject: Subject): SwapView | undefined {
  const area = areaOf(subject);
  if (area === undefined) return undefined;
  const states = new Uint8Array(area.slots);
  for (let slot = 1; slot < area.slots; slot++) {
    const isUsed = (area.map[slot] ?? 0) > 0;
    const isCached = (area.cached[slot] ?? -1) >= 0;
    states[slot] = isUsed ? (isCached ? 2 : 1) : isCached ? 3 : 0;
  }
  return { slots: area.slots, used: area.used, states };
}

/** One slot; undefined where there is none. */
export function slotInfo(subject: Subject, slot: number): SlotInfo | undefined {
  const area = areaOf(subject);
  if (area === undefined || slot <= 0 || slot >= area.slots) return undefined;
  const words = area.peek(slot);
  const told: string[] = [];
  for (let i = 0; words !== undefined && i < words.length && told.length < 4; i++) {
    const word = words[i] ?? 0;
    if (word !== 0) told.push(`+${i * 4}: 0x${(word >>> 0).toString(16)}`);
  }
  return {
    slot,
    references: area.map[slot] ?? 0,
    cached: area.cached[slot] ?? -1,
    preview: told.length === 0 ? `${PAGE_SIZE} zero bytes` : told.join('  '),
  };
}

/** Addresses whose entries refer to a slot, `most` at the most. O(entries of all processes). */
export function slotUsers(
  subject: Subject,
  slot: number,
  most: number,
): { pid: number; va: number }[] {
  const found: { pid: number; va: number }[] = [];
  for (const { task } of subject.processes) {
    const { mem } = subject.system.machine;
    forEachEntry(mem, task.mm.root, 0, 2 ** 47, (va, lo, hi) => {
      if (found.length < most && swapSlotOf(lo, hi, 1) === slot) found.push({ pid: task.pid, va });
    });
  }
  return found;
}
