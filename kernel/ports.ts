// What the kernel needs of the layers above it, declared here and implemented there.
//
// The fault handler and the reverse map reach mappings only through these interfaces; the kernel
// has never seen a VMA.

import type { Pfn, VirtAddr } from './types.ts';
import type { Zone } from './zone.ts';

/** Page-fault error code, as x86 pushes it (Intel SDM volume 3, 4.7; Linux X86_PF_*). */
export const PF_PROT = 1; // the entry was present: protection, not absence
export const PF_WRITE = 2;
export const PF_USER = 4;
export const PF_RSVD = 8;
export const PF_INSTR = 16;

/** What came of a fault or of an access. Numbers, because the access path makes no objects. */
export type FaultResult = number;
/** The page is accessible now: retry the access. */
export const FAULT_OK = 0;
/** No mapping there: SIGSEGV, SEGV_MAPERR. */
export const FAULT_MAPERR = 1;
/** The mapping forbids it: SIGSEGV, SEGV_ACCERR. */
export const FAULT_ACCERR = 2;
/** Beyond the end of the file, or hardware poison: SIGBUS, BUS_ADRERR. */
export const FAULT_SIGBUS = 3;
/** Not canonical: #GP, SIGSEGV with SI_KERNEL and address 0. */
export const FAULT_GP = 4;
/** Nothing left to allocate and nothing to reclaim: the OOM killer decides. */
export const FAULT_OOM = 5;
/** The task sleeps until a userfaultfd's reader has filled the page: try again then. */
export const FAULT_BLOCKED = 6;

/** Whoever owns a page-table root. Implemented by userspace/mm.ts. */
export interface AddressSpace {
  /** The frame that CR3 names. */
  readonly root: Pfn;
  /**
   * Called by the MMU when a walk stops at a user address. Makes `va` accessible and says
   * FAULT_OK, or says why not.
   * @param errorCode PF_* bits as the hardware would push them.
   */
  handleFault(va: VirtAddr, errorCode: number): FaultResult;
  /** Does the entry of `va` map this very frame, by itself or as part of a large page? */
  maps(va: VirtAddr, pfn: Pfn): boolean;
  /**
   * Clears the accessed bit of the present entry of `va`; no TLB is flushed.
   * @returns 0 where it was clear; else 1, with USED_EXEC where the mapping is of code.
   */
  clearYoung(va: VirtAddr): number;
}

/** What frames belong to: an anonymous family or a file. A page's `owner` word holds its id. */
export interface PageOwner {
  readonly id: number;
  /**
   * Visits every place that may map the page with this index, until `visit` returns false. May
   * visit too many: the caller checks each entry.
   */
  forEachMapping(index: number, visit: (space: AddressSpace, va: VirtAddr) => boolean): void;
}

/** Where frames come from. Implemented by kernel/page_alloc.ts. */
export interface FrameAllocator {
  /**
   * @param gfp __GFP_* flags; with __GFP_ZERO the frames are zeroed, with __GFP_COMP (order >= 1)
   *   they are one compound page.
   * @param order log2 of the number of frames, 0..MAX_ORDER.
   * @returns the first frame, its refcount 1; NO_PFN where nothing is left.
   */
  alloc(gfp: number, order: number): Pfn;
  /** Gives back what alloc() returned, whatever its refcount; the record is cleared. */
  free(pfn: Pfn, order: number): void;
}

/** Who pays for frames. Implemented by kernel/memcg.ts. */
export interface PageAccounting {
  /**
   * Charges 2^order frames to whoever runs, before they are looked for.
   * @returns the number of the group that pays, 0 for nobody; -1 where its limit forbids it.
   */
  charge(gfp: number, order: number): number;
  /** The frames that charge() was for. */
  bind(pfn: Pfn, group: number, gfp: number): void;
  /** There were no frames: undoes charge(). */
  giveBack(group: number, order: number, kernel: boolean): void;
  /** Frames with PG_charged are freed. */
  uncharge(pfn: Pfn, order: number): void;
}

/** The page has to stay; it has to be written first; its frame is free. */
export const EVICT_KEPT = 0;
export const EVICT_DIRTY = 1;
export const EVICT_DONE = 2;

/** How pages leave memory. Implemented by the layer that knows mappings, swap and files. */
export interface Evictor {
  /**
   * Takes a page out of all page tables, writes it to swap if need be, and frees it. Calls
   * Lru.evicted() for the page that goes, and keeps the shadow where the page can be found.
   * @returns EVICT_*
   */
  evict(pfn: Pfn): number;
  /** Writes all dirty pages of files, as reclaim meets nothing else. @returns how many. */
  writeDirty(): number;
  /** Pages that swap has room for. */
  swapFree(): number;
}

/** What is done when frames run short. Implemented by reclaim and compaction. */
export interface MemoryPressure {
  /** Frees frames of zones at once, for an allocation that waits. Returns how many. */
  reclaim(zones: readonly Zone[], order: number, gfp: number): number;
  /** Lets kswapd of the zone's node work in the background; `classzone` is the highest usable. */
  wakeKswapd(zone: Zone, order: number, classzone: number): void;
  /** Moves pages until a free block of 2^order frames exists. Returns whether one does. */
  compact(zone: Zone, order: number): boolean;
}

/** Makes pages smaller, for zswap. Implemented by whoever brings a library (tools/). */
export interface PageCompressor {
  readonly name: string;
  /** @returns a new array; of at least a page where the page does not get smaller. */
  compress(page: Uint8Array): Uint8Array;
  /** Writes the page that compress() was given into `page`. */
  decompress(packed: Uint8Array, page: Uint8Array): void;
}

/** Moves pages from frame to frame under their users. Implemented by userspace/migrate.ts. */
export interface PageMigrator {
  /**
   * Whether the page in this frame, a single one, can be moved now: all that refer to it are known.
   */
  isMovable(pfn: Pfn): boolean;
  /**
   * Copies the page, maps it at the new frame wherever it was mapped at the old, and moves its
   * record. `to` is free and belongs to the caller; afterwards `from` does.
   * @returns false where it could not be done; nothing has changed then.
   */
  migrate(from: Pfn, to: Pfn): boolean;
}
