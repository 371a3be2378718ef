// What the fault handler, fork and unmapping need of swap.

import type { FaultResult } from '../kernel/ports.ts';
import type { Pfn, VirtAddr } from '../kernel/types.ts';
import type { Inode } from './file.ts';
import type { Vma } from './vma.ts';

export interface SwapPort {
  /** Brings the page of the swap entry at `pte` back. */
  swapIn(vma: Vma, pte: number, va: VirtAddr, flags: number): FaultResult;
  /** Brings a swapped page of shared memory back into the file's cache. @returns its frame. */
  shmemIn(inode: Inode, index: number): Pfn;
  /** Reads what is swapped out of [start, end) of the mapping into the swap cache. */
  prefetch(vma: Vma, start: number, end: number): void;
  /** Is a swapped page of shared memory, by its slot's number, in the swap cache? */
  isShmemCached(number: number): boolean;
  /** One entry more refers to the slot. */
  dup(type: number, offset: number): void;
  /** One entry less. */
  free(type: number, offset: number): void;
  /** A page of the swap cache lost a mapping: it goes if nobody needs it any more. */
  unmapped(pfn: Pfn): void;
  /** Takes a page out of the swap cache if no entry refers to its slot. */
  tryToFree(pfn: Pfn): boolean;
  /** Is the slot's page in the swap cache? */
  isCached(type: number, offset: number): boolean;
  /** A slot for an anonymous page that is to go, which enters the swap cache; 0 if full. */
  reserve(pfn: Pfn): number;
  /** Writes a page that reserve() gave a slot and that nobody maps any more. */
  writeOut(pfn: Pfn, slot: number): void;
  /** reserve() was for nothing: somebody still maps the page. */
  cancel(pfn: Pfn): void;
  /** Drops a page of the swap cache that nobody maps: its slot has the content. */
  dropCached(pfn: Pfn): boolean;
  /** Slots that are free. */
  readonly available: number;
  /** Moves a page of shared memory, which nobody maps, from its file's cache to swap. */
  shmemOut(inode: Inode, index: number, pfn: Pfn): boolean;
  /** Drops a swapped page of shared memory. */
  shmemDrop(inode: Inode, index: number): void;
  /** Throws KernelBug where the device's books are not sound. */
  check(): void;
}
