// Which Go: one table of constants and switches for each version. Code asks a switch, never a
// version.
//
// Sources: Go 1.9, Go 1.19.8 and Go 1.26.8 src/runtime (malloc.go, mheap.go, mbitmap.go,
// mgcpacer.go, mgcscavenge.go, mem_linux.go), linux/amd64.

import { classesBefore16, classesSince16, type SizeClassTable } from './sizeclasses.ts';

export interface GoProfile {
  readonly name: string;
  readonly classes: SizeClassTable;

  // Layout of objects and spans.
  /**
   * Objects with pointers over 512 bytes begin with a type word; smaller ones' bitmap is in the
   * span.
   */
  readonly mallocHeaders: boolean;
  /** Spans of slots from 16 to 512 bytes carry their mark bits at the end and are marked whole. */
  readonly inlineMarks: boolean;
  /** Two bits a word for the whole heap, kept with each arena. */
  readonly arenaBitmap: boolean;
  /**
   * One arena of 512 GiB with its spans and bitmap before it, pages in lists of free spans, central
   * lists linked through the spans; instead of arenas of 64 MiB, a radix tree and span sets.
   */
  readonly linearArena: boolean;
  /** Where heap words count from; a multiple of 4 GiB. Where the heap begins. */
  readonly heapBase: number;
  readonly heapStart: number;
  /** A controller of the trigger's ratio to what is marked, instead of a runway. */
  readonly triggerRatio: boolean;
  /** Largest request that is not an object with a span of its own. */
  readonly maxSmallBytes: number;

  // Sizes of the runtime's own records, in bytes.
  readonly mspanBytes: number;
  readonly mcacheBytes: number;
  readonly heapArenaBytes: number;
  /** Header of a block of 512 spans in a span set; blocks are aligned to it, to 64 at least. */
  readonly setBlockHeader: number;
  /** Header of a channel. */
  readonly chanBytes: number;
  /** Offset of heapArena.spans in its record; what follows it is in this order. */
  readonly heapArenaSpans: number;

  // The system.
  /** Reserved for the index of what can be scavenged. */
  readonly scavIndexBytes: number;
  /** Free pages counted for each chunk (1.21 and later) instead of one bit for each chunk. */
  readonly scavCounts: boolean;
  /**
   * Metadata that is sparse asks for no huge pages; the first anonymous mapping is given a name.
   */
  readonly metadataNoHuge: boolean;
  /** Used memory asks for huge pages, released memory's surroundings for none. */
  readonly adviseHuge: boolean;
  /**
   * A fresh span whose pages are all released needs no clearing even where they were used before.
   */
  readonly releasedIsZero: boolean;

  // The collector.
  /** The cycle's starting point for pacing: what is live then, or the trigger. */
  readonly triggeredIsLive: boolean;
  /** Cons/mark ratio: the largest of four cycles, or a PI controller. */
  readonly consMarkMax: boolean;
  /** Headroom under a memory limit, in percent of the goal; 1 MiB at least. */
  readonly limitHeadroomPercent: number;
  /** Spans that the background sweeper sweeps before it yields. */
  readonly sweepBatch: number;
  readonly memoryLimit: boolean;
  readonly swissMaps: boolean;

  // A program that has just started.
  /** Bytes of globals and stacks that marking scans in a small program. */
  readonly globalsScan: number;
  readonly stackScan: number;
  /** Spans of 32 KiB for stacks, and what was allocated: [count, bytes, pointer words, kept]. */
  readonly bootStacks: number;
  /** How many of the kinds of objects below come before the stacks. */
  readonly bootBeforeStacks: number;
  /** How many kinds are allocated before there is a processor. */
  readonly bootWithoutProcessor: number;
  /** Stack spans that come after the objects. */
  readonly bootStacksLate: number;
  readonly bootObjects: readonly (readonly [number, number, number, boolean])[];
  /** The first allocation of a processor is a sample of the heap profile: its table is made. */
  readonly firstSample: boolean;
}

const SHARED = {
  classes: classesSince16,
  memoryLimit: true,
  linearArena: false,
  heapBase: 0xc000000000,
  heapStart: 0xc000000000,
  triggerRatio: false,
} as const;

export const go126: GoProfile = {
  ...SHARED,
  name: 'go1.26',
  mallocHeaders: true,
  inlineMarks: true,
  arenaBitmap: false,
  maxSmallBytes: 32760,
  mspanBytes: 160,
  mcacheBytes: 2296,
  heapArenaBytes: 69648,
  setBlockHeader: 512,
  chanBytes: 112,
  heapArenaSpans: 0,
  scavIndexBytes: 512 << 20,
  scavCounts: true,
  metadataNoHuge: true,
  adviseHuge: false,
  releasedIsZero: true,
  triggeredIsLive: true,
  consMarkMax: true,
  limitHeadroomPercent: 3,
  sweepBatch: 10,
  swissMaps: true,
  globalsScan: 677842,
  stackScan: 2100,
  bootStacks: 8,
  bootBeforeStacks: 4,
  bootWithoutProcessor: 8,
  bootStacksLate: 2,
  bootObjects: [
    [1, 632, 79, false],
    [1, 512, 64, false],
    [6, 8, 1, true],
    [10, 16, 2, true],
    [1, 16384, 0, false],
    [6, 16, 0, true],
    [6, 24, 3, true],
    [4, 32, 4, true],
    [3, 48, 6, true],
    [2, 48, 0, true],
    [6, 64, 8, true],
    [2, 80, 10, true],
    [1, 96, 0, true],
    [2, 112, 14, true],
    [1, 128, 16, true],
    [1, 224, 28, true],
    [1, 256, 32, true],
    [11, 480, 60, true],
    [11, 1144, 0, true],
    [3, 2048, 0, true],
  ],
  firstSample: true,
};

export const go119: GoProfile = {
  ...SHARED,
  name: 'go1.19',
  mallocHeaders: false,
  inlineMarks: false,
  arenaBitmap: true,
  maxSmallBytes: 32768,
  mspanBytes: 144,
  mcacheBytes: 1200,
  heapArenaBytes: 2165776,
  setBlockHeader: 24,
  chanBytes: 96,
  heapArenaSpans: 2 << 20,
  scavIndexBytes: 8 << 20,
  scavCounts: false,
  metadataNoHuge: false,
  adviseHuge: true,
  releasedIsZero: false,
  triggeredIsLive: false,
  consMarkMax: false,
  limitHeadroomPercent: 0,
  sweepBatch: 1,
  swissMaps: false,
  globalsScan: 745808,
  stackScan: 1650,
  bootStacks: 7,
  bootBeforeStacks: 4,
  bootWithoutProcessor: 4,
  bootStacksLate: 0,
  bootObjects: [
    [1, 320, 0, false],
    [1, 576, 0, false],
    [3, 8, 1, true],
    [8, 16, 2, true],
    [1, 1408, 0, false],
    [6, 16, 0, true],
    [6, 24, 3, true],
    [4, 32, 4, true],
    [4, 32, 0, true],
    [3, 48, 6, true],
    [2, 48, 0, true],
    [3, 64, 8, true],
    [3, 64, 0, true],
    [3, 80, 10, true],
    [2, 96, 12, true],
    [1, 112, 14, true],
    [1, 160, 20, true],
    [1, 224, 28, true],
    [9, 416, 52, true],
    [1, 9472, 0, true],
  ],
  firstSample: false,
};

/** Go 1.9: the classic heap, in one linear arena. */
export const go19: GoProfile = {
  ...go119,
  name: 'go1.9',
  classes: classesBefore16,
  linearArena: true,
  heapBase: 0xc400000000,
  heapStart: 0xc420000000,
  triggerRatio: true,
  mspanBytes: 168,
  memoryLimit: false,
};

export const goProfiles: readonly GoProfile[] = [go19, go119, go126];

export function findGoProfile(name: string): GoProfile | undefined {
  return goProfiles.find((p) => p.name === name);
}
