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
  /** One entry more refers to the slot. */
  dup(type: number, offset: number): void;
  /** One entry less. */
  free(type: number, offset: number): void;
  /** Writes an anonymous page out and replaces its one entry by a swap entry; false if full. */
  swapOut(vma: Vma, pte: number, pfn: Pfn): boolean;
}
