// What a replacement policy is: the decision alone which page leaves memory.
//
// A kernel does not see accesses. It knows when a page comes and goes, and may ask whether it was
// used since it last asked (the accessed bits). A policy that decides by that is a
// ReplacementPolicy; reclaim.ts drives it with real frames, the laboratory with the frames of a
// reference string:
//
//     fault --> onAdd(frame, shadow)
//     memory is short --> pick(): some frames leave the policy's lists and are tried, best first
//          gone:      onEvict(frame) --> a shadow, remembered where the page was
//          not gone:  onKeep(frame): dirty without swap, pinned, locked
//     unmapped, freed, locked --> onRemove(frame)
//
// A policy of the literature that has to see each access (LRU, ARC, …) or the future (OPT) is a
// ReferencePolicy: a function from a reference string to its faults.
// States of a frame: unknown to the policy, listed, picked (between pick() and onKeep/onEvict).

import type { PageLists } from '../list.ts';
import type { MemMap } from '../page.ts';
import type { Prng } from '../prng.ts';

/** Frames that one round may pick at most (SWAP_CLUSTER_MAX). */
export const SWAP_CLUSTER_MAX = 32;
/** The first round of reclaim looks at 1/2^12 of the pages, the last (0) at all (DEF_PRIORITY). */
export const DEF_PRIORITY = 12;

/** wasUsed(): some mapping that used the page maps it as a program's code. */
export const USED_EXEC = 1 << 30;

/** What a policy may ask while it picks, and how hard it is to try. */
export interface ScanControl {
  /** A round looks at 1/2^priority of the frames: 12 is gentle, 0 looks at all. */
  readonly priority: number;
  /** What swapping costs against dropping file pages: 0..200, 100 is the same. */
  readonly swappiness: number;
  /** False where there is no room in swap: anonymous pages are left alone. */
  readonly maySwap: boolean;
  /** Everything in this machine is short, not one group's limit. */
  readonly global: boolean;
  /** Frames that the round is to free; 0: all that it looked at. */
  readonly wanted: number;
  /** Part of the pages that is protected and not counted (memory.min, memory.low): 0..1. */
  readonly protectedShare?: number;
  /** How many entries used the frame since the last call, with USED_EXEC; clears their bits. */
  wasUsed(pfn: number): number;
  /** Would the frame have to be written before it can go? */
  isDirty(pfn: number): boolean;
}

/** Decides by accessed bits. One instance for each pool of frames that compete. */
export interface ReplacementPolicy {
  readonly name: string;
  /** Frames on the policy's lists. */
  readonly size: number;
  /** Reclaimable from now on; `shadow` as onEvict() gave it when the page went, or 0. */
  onAdd(pfn: number, shadow: number): void;
  /** Freed, or locked in memory: no longer the policy's. */
  onRemove(pfn: number): void;
  /** A round begins: says how much it may look at, by control.priority. */
  begin(control: ScanControl): void;
  /**
   * Takes frames off the lists, best victims first.
   * @param victims room for what is picked, SWAP_CLUSTER_MAX at most.
   * @returns how many; 0 where this look found none; -1 where the round has looked at enough.
   */
  pick(victims: Int32Array, control: ScanControl): number;
  /** Picked, but could not go. */
  onKeep(pfn: number): void;
  /** Picked, and going. @returns what to remember of it, not 0. */
  onEvict(pfn: number): number;
  /** Throws KernelBug where a list or a count is wrong. */
  check(): void;
}

/** What a ReplacementPolicy is built on. */
export interface PolicyContext {
  readonly pages: MemMap;
  /** Lists threaded through `pages`; the policy makes its own. */
  readonly lists: PageLists;
  /** One byte a frame for the policy to use. */
  readonly note: Uint8Array;
  readonly prng: Prng;
  /** What happens to the pool's pages is counted here (page_events.ts). */
  readonly events: Float64Array;
}

/** @param group the memory group whose pages the policy is for; 0 is the root group. */
export type MakePolicy = (context: PolicyContext, group: number) => ReplacementPolicy;

/** A reference string: pages are small integers, numbered by first use. */
export interface References {
  readonly pages: Int32Array;
  /** A byte a reference: REF_READ or REF_WRITE. */
  readonly kinds: Uint8Array;
  /** Different pages. */
  readonly nrPages: number;
}

export const REF_READ = 1;
export const REF_WRITE = 3;

/** Decides by each access: faults of a reference string in `frames` frames, empty at the start. */
export type ReferencePolicy = (refs: References, frames: number) => number;
