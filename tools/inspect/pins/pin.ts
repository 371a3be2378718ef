// What a pinned place is: memory that its owner cannot give back, because something in it lives.

/** Who holds a block of a place: what it is, and the way from a root to it. */
export interface PinHolder {
  readonly address: number;
  readonly bytes: number;
  readonly what: string;
  /** From the root down to the object; empty where nothing holds it any more. */
  readonly path: readonly string[];
}

/** A root, the blocks of the place that hang on it, and what would be free without it. */
export interface PinRoot {
  readonly root: string;
  /** Not a root of the heap: what blocks without one are. */
  readonly isNone: boolean;
  readonly blocks: number;
  /** Whether the place would be free; and bytes of places of this kind that would, in all. */
  readonly frees: boolean;
  readonly freesBytes: number;
}

export type PinKind = 'arena' | 'pool' | 'span' | 'slab' | 'block of frames';

/** A place that cannot be given back. Addresses of slabs and frames are physical. */
export interface Pin {
  readonly kind: PinKind;
  readonly address: number;
  readonly bytes: number;
  /** In use: blocks of it, and their bytes. */
  readonly blocks: number;
  readonly usedBytes: number;
  /** A few of the blocks. */
  readonly holders: readonly PinHolder[];
  readonly roots: readonly PinRoot[];
}

/** How the places of a kind stand as a whole. */
export interface PinTotal {
  readonly kind: PinKind;
  readonly places: number;
  readonly bytes: number;
  /** Bytes in them that nothing uses, and that cannot be given back. */
  readonly heldBytes: number;
  /** Places of which less than a quarter is used, and the blocks that hold those. */
  readonly sparse: number;
  readonly sparseBlocks: number;
}

export interface Pins {
  readonly totals: readonly PinTotal[];
  /** Those that were asked for, the emptiest first. */
  readonly pins: readonly Pin[];
}

/** A place and its use, before anyone asks who holds it. */
export interface Place {
  readonly kind: PinKind;
  readonly address: number;
  readonly bytes: number;
  readonly blocks: number;
  readonly usedBytes: number;
}

const SPARSE = 1 / 4;

export function totalOf(kind: PinKind, places: readonly Place[]): PinTotal {
  const sparse = places.filter((p) => p.usedBytes < p.bytes * SPARSE);
  const sum = (of: (p: Place) => number, list = places): number =>
    list.reduce((all, p) => all + of(p), 0);
  return {
    kind,
    places: places.length,
    bytes: sum((p) => p.bytes),
    heldBytes: sum((p) => p.bytes - p.usedBytes),
    sparse: sparse.length,
    sparseBlocks: sum((p) => p.blocks, sparse),
  };
}

/** The places that hold back most of what they have, in order. */
export function worstOf(places: readonly Place[], n: number): Place[] {
  const held = (p: Place): number => p.bytes - p.usedBytes;
  return [...places].sort((a, b) => held(b) - held(a) || a.address - b.address).slice(0, n);
}
