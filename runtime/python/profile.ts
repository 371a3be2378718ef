// What differs between versions of CPython, as one table of constants and switches.
//
// Nothing else in this folder asks for a version: code asks for a property of the profile. Sizes
// are those of 64-bit Linux builds. Sources: Objects/obmalloc.c, Modules/gcmodule.c (Python/gc.c
// from 3.13), Objects/{dict,list,tuple,float,unicode,type}object.c of 2.7.18, 3.8, 3.11.7, 3.12.1,
// 3.13.0 and 3.14; recordings of 3.11, 3.12 and 3.13 decide where they exist.
//
// The border of "256 K" that is often quoted is the size of an arena of old versions. Small objects
// end at 512 bytes (256 before 2.7.4 and 3.3).

export type ProfileName = '2.7' | '3.8' | '3.11' | '3.12' | '3.13' | '3.14' | '3.14.5';

/** Where an instance of a plain class keeps its attributes. */
export type InstanceLayout =
  /** A dict of its own, through a pointer behind the header; keys may be shared (3.3 to 3.10). */
  | 'dict'
  /** Pointers to values and dict before the object; the values are a block of their own. */
  | 'values'
  /** One pre-header word is either values or dict (3.12). */
  | 'dict-or-values'
  /** The values follow the object in one block (3.13). */
  | 'inline';

export interface Profile {
  readonly name: ProfileName;

  // obmalloc
  /** log2 of the block alignment: 3 or 4. */
  readonly alignShift: number;
  /** Largest request that pools serve. */
  readonly smallRequestThreshold: number;
  readonly arenaBits: number;
  readonly poolBits: number;
  /** address_in_range() asks a radix tree (3.10), not the pool header's arenaindex. */
  readonly radixMap: boolean;
  /** An empty arena that is last in usable_arenas is kept (3.8). */
  readonly keepsLastArena: boolean;
  /** usable_arenas is searched through nfp2lasta (3.8); before, arenas slid one by one. */
  readonly nfp2lasta: boolean;

  // debug hooks
  /** What PYTHONMALLOC=debug fills with; whether each block has a serial number. */
  readonly debugBytes: {
    readonly clean: number;
    readonly dead: number;
    readonly forbidden: number;
    readonly hasSerial: boolean;
  };
  /** A fatal error names the function that found it (3.9). */
  readonly fatalNamesFunction: boolean;

  // collector
  readonly gcHeadBytes: number;
  /** Young objects and increments of two old spaces (3.14.0 to 3.14.4), not three generations. */
  readonly incrementalGc: boolean;
  /** A dict is tracked as soon as it is made (3.14), not when it may be in a cycle. */
  readonly tracksDicts: boolean;
  /** Tuples made from values at hand are tracked only if one may be in a cycle (3.14). */
  readonly tracksTuplesLazily: boolean;
  readonly thresholds: readonly [number, number, number];
  /** An allocation only asks for a collection, which runs between bytecodes (3.12). */
  readonly deferredCollection: boolean;
  /** The phase's name is made as a string for gc.callbacks, even if there are none (3.12). */
  readonly phaseStrings: boolean;
  /** There is gc.freeze() and its permanent generation (3.7). */
  readonly freezes: boolean;
  /** Finalizers of a cycle run once by PEP 442 (3.4); before, they made it uncollectable. */
  readonly safeFinalization: boolean;
  /** Reference counts of some objects never change (3.12). */
  readonly immortal: boolean;
  /** Collections take tuples, and full ones dicts, off the lists that hold no containers. */
  readonly untracksTuples: boolean;
  readonly untracksDicts: boolean;
  /** The trashcan counts levels left of 10,000 (3.13), not levels nested up to 50. */
  readonly countsRecursion: boolean;
  /** Clearing weak references makes a tuple of them from this many on. */
  readonly weakrefTupleFrom: number;
  /** Freed tuples of the greatest length that waits are used again (3.13). */
  readonly takesLongestTuple: boolean;
  /** Lists get room in multiples of four items (3.9). */
  readonly listsByFours: boolean;
  /** Full collections free the waiting floats before the tuples (3.13). */
  readonly freesFloatsFirst: boolean;
  /** del list[i] never shrinks the items' block (3.13). */
  readonly deleteKeepsRoom: boolean;
  /** list.extend() takes the items of a set or dict without an iterator (3.13). */
  readonly extendsDirectly: boolean;
  /** An exception is made with its arguments when it is raised (3.12), not when it is caught. */
  readonly eagerExceptions: boolean;
  /** The shared one-character strings hold their UTF-8 form, too (3.12). */
  readonly latin1HasUtf8: boolean;
  /** _debugmallocstats() tells of the waiting key tables (3.13). */
  readonly reportsDictKeys: boolean;
  /** list.pop() of the last item frees the items (3.12), instead of resizing to 0 bytes. */
  readonly popClears: boolean;

  // functions and frames
  /** A dict is one hash table (up to 3.2), not keys apart from their order. */
  readonly dictTables: boolean;
  /** Sets look at the places next to one first (3.4), and grow at three fifths, not two thirds. */
  readonly setProbes: boolean;
  /** PyMem_Malloc() is malloc() (up to 3.5): items of lists, tables of sets and dicts. */
  readonly memIsRaw: boolean;
  /** Which table of fields function objects have. */
  readonly functionLayout: '2.7' | '3.8' | '3.11' | '3.12' | '3.14';
  /** Which table of fields an interpreter's frame has (3.11 on). */
  readonly frameLayout: '3.11' | '3.12' | '3.14';
  /** A frame object without the frame that it may hold. */
  readonly frameObjectBytes: number;
  /** Where in a generator its frame begins. */
  readonly generatorFrame: number;
  /** A code object without its instructions, which follow it (3.11 on) or lie elsewhere. */
  readonly codeHeadBytes: number;
  readonly codeInline: boolean;

  // objects
  /** Bytes before the characters of a compact ASCII string; any other has 24 or 16 more. */
  readonly asciiHeadBytes: number;
  /** bytes before its data; the str of 2.7. */
  readonly bytesHeadBytes: number;
  readonly bytearrayHeadBytes: number;
  readonly compactHeadBytes: number;
  /** A tuple before its items: 3.14 has room for its hash. */
  readonly tupleHeadBytes: number;
  readonly instanceLayout: InstanceLayout;
  /** collections.deque: items of a block, free blocks that wait, whether all deques share them. */
  readonly deque: {
    readonly blockItems: number;
    readonly maxFree: number;
    readonly isShared: boolean;
  };
  /** sys.getsizeof(0) counts a digit (3.11). */
  readonly zeroHasDigit: boolean;
  /** PyWeakReference, with its collector's head. */
  readonly weakrefBytes: number;
  readonly maxFreeLists: {
    readonly list: number;
    readonly dict: number;
    readonly dictKeys: number;
    readonly float: number;
    readonly tuple: number;
    readonly tupleLength: number;
  };
}

const v311: Profile = {
  name: '3.11',
  alignShift: 4,
  smallRequestThreshold: 512,
  arenaBits: 20,
  poolBits: 14,
  radixMap: true,
  keepsLastArena: true,
  nfp2lasta: true,
  debugBytes: { clean: 0xcd, dead: 0xdd, forbidden: 0xfd, hasSerial: false },
  fatalNamesFunction: true,
  gcHeadBytes: 16,
  incrementalGc: false,
  tracksDicts: false,
  tracksTuplesLazily: false,
  thresholds: [700, 10, 10],
  deferredCollection: false,
  phaseStrings: false,
  freezes: true,
  safeFinalization: true,
  immortal: false,
  untracksTuples: true,
  untracksDicts: true,
  countsRecursion: false,
  weakrefTupleFrom: 2,
  takesLongestTuple: false,
  listsByFours: true,
  freesFloatsFirst: false,
  reportsDictKeys: false,
  deleteKeepsRoom: false,
  extendsDirectly: false,
  eagerExceptions: false,
  latin1HasUtf8: false,
  popClears: false,
  dictTables: false,
  setProbes: true,
  memIsRaw: false,
  functionLayout: '3.11',
  frameLayout: '3.11',
  frameObjectBytes: 48,
  generatorFrame: 80,
  codeHeadBytes: 184,
  codeInline: true,
  asciiHeadBytes: 48,
  bytesHeadBytes: 32,
  bytearrayHeadBytes: 56,
  compactHeadBytes: 72,
  tupleHeadBytes: 24,
  instanceLayout: 'values',
  deque: { blockItems: 64, maxFree: 16, isShared: false },
  zeroHasDigit: true,
  weakrefBytes: 80,
  maxFreeLists: { list: 80, dict: 80, dictKeys: 80, float: 100, tuple: 2000, tupleLength: 20 },
};

const v312: Profile = {
  ...v311,
  name: '3.12',
  deferredCollection: true,
  phaseStrings: true,
  immortal: true,
  eagerExceptions: true,
  latin1HasUtf8: true,
  popClears: true,
  functionLayout: '3.12',
  frameLayout: '3.12',
  generatorFrame: 72,
  codeHeadBytes: 192,
  asciiHeadBytes: 40,
  compactHeadBytes: 56,
  instanceLayout: 'dict-or-values',
};

const v313: Profile = {
  ...v312,
  name: '3.13',
  thresholds: [2000, 10, 10],
  countsRecursion: true,
  freesFloatsFirst: true,
  reportsDictKeys: true,
  deleteKeepsRoom: true,
  extendsDirectly: true,
  weakrefTupleFrom: 1,
  takesLongestTuple: true,
  frameObjectBytes: 64,
  codeHeadBytes: 200,
  instanceLayout: 'inline',
};

const v38: Profile = {
  ...v311,
  name: '3.8',
  arenaBits: 18,
  poolBits: 12,
  radixMap: false,
  fatalNamesFunction: false,
  listsByFours: false,
  functionLayout: '3.8',
  codeHeadBytes: 176,
  codeInline: false,
  instanceLayout: 'dict',
  deque: { blockItems: 64, maxFree: 16, isShared: true },
  zeroHasDigit: false,
  weakrefBytes: 72,
};

const v314: Profile = {
  ...v313,
  name: '3.14',
  incrementalGc: true,
  tracksDicts: true,
  tracksTuplesLazily: true,
  untracksDicts: false,
  thresholds: [2000, 10, 0],
  tupleHeadBytes: 32,
  functionLayout: '3.14',
  frameLayout: '3.14',
};

/** What arenas, pools and small objects are, in words. */
export function sizesText(profile: Profile): string {
  const arena = 2 ** (profile.arenaBits - 10);
  const pool = 2 ** (profile.poolBits - 10);
  const sizes = arena < 1024 ? `${arena} KiB` : `${arena / 1024} MiB`;
  const border = profile.smallRequestThreshold;
  return (
    `arenas of ${sizes}, pools of ${pool} KiB; small objects end at ${border} bytes ` +
    '(256 in old versions); the "256 K" that is often quoted is the arena of versions before 3.10'
  );
}

/** Every profile by its name. */
export const profiles: Readonly<Record<ProfileName, Profile>> = {
  '2.7': {
    ...v38,
    name: '2.7',
    alignShift: 3,
    keepsLastArena: false,
    nfp2lasta: false,
    debugBytes: { clean: 0xcb, dead: 0xdb, forbidden: 0xfb, hasSerial: true },
    gcHeadBytes: 32,
    freezes: false,
    safeFinalization: false,
    dictTables: true,
    setProbes: false,
    memIsRaw: true,
    functionLayout: '2.7',
    codeHeadBytes: 128,
    asciiHeadBytes: 36,
    bytesHeadBytes: 36,
    bytearrayHeadBytes: 48,
    compactHeadBytes: 36,
    deque: { blockItems: 62, maxFree: 10, isShared: true },
    weakrefBytes: 88,
  },
  '3.8': v38,
  '3.11': v311,
  '3.12': v312,
  '3.13': v313,
  '3.14': v314,
  // The incremental collector was taken out again; all else is as before.
  '3.14.5': { ...v314, name: '3.14.5', incrementalGc: false, thresholds: [2000, 10, 10] },
};
