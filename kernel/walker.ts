// Page walker: finds the entry that maps an address in the tables in RAM, as the hardware does.
//
//     CR3 -> PML4E (hi 15..7) -> PDPTE (29 bits up) -> PDE (21 up) -> PTE (12 up)
//                                 |  PS: 1 GiB page     |  PS: 2 MiB page
//
// Each entry is 8 bytes in RAM, read when the walk gets to it. P clear stops with #PF; a reserved
// bit too, with RSVD and P in the error code. RW and US are and-ed over the levels, NX is or-ed;
// A is set in every entry that was used, and D in the leaf of a write, before walk() returns.
//
// Three paging-structure caches remember tables by the upper bits of the address, with the rights
// so far: a PDE hit leaves one entry to read, a PDPTE hit two, a PML4E hit three. They hold what
// was read, so that software that changes an upper entry must flush, as on hardware.
//
// Source: Intel SDM volume 3, 4.5.4 (tables), 4.6.1 (rights), 4.8 (A and D), 4.10.3 (caches).
// Not modelled: 5 levels, protection keys, memory types. A walk that leaves RAM reads all ones.

import { assert } from './errors.ts';
import { tableIndex } from './pgtable.ts';
import type { PhysMem } from './physmem.ts';
import { PF_INSTR, PF_PROT, PF_RSVD, PF_USER, PF_WRITE } from './ports.ts';
import {
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  _PAGE_GLOBAL,
  _PAGE_NX_HI,
  _PAGE_PRESENT,
  _PAGE_PSE,
  _PAGE_RW,
  _PAGE_USER,
  ptePfn,
  RSVD_HI_MASK,
} from './pte.ts';
import { SIZE_1G, SIZE_2M, SIZE_4K } from './tlb-array.ts';
import { NO_PFN, PAGE_SIZE, type Pfn } from './types.ts';

/** The control bits that decide what an access may do. */
export interface CpuFeatures {
  /** CR0.WP: the supervisor may not write read-only pages. */
  wp: boolean;
  /** EFER.NXE: bit 63 of an entry forbids execution; otherwise it is reserved. */
  nxe: boolean;
  /** CR4.SMEP, CR4.SMAP: the supervisor may not execute, or touch, user pages. */
  smep: boolean;
  smap: boolean;
  /** CR4.PGE: the G bit of a leaf means something. */
  pge: boolean;
  /** CR4.PCIDE: CR3 loads name a PCID. */
  pcide: boolean;
}

/** As Linux sets them on a current CPU. */
export const LINUX_FEATURES: Readonly<CpuFeatures> = {
  wp: true,
  nxe: true,
  smep: true,
  smap: true,
  pge: true,
  pcide: true,
};

/** walk() found the page. */
export const WALK_OK = -1;
/** upper() found a page table. */
const TABLE = -2;

const RIGHTS = _PAGE_RW | _PAGE_USER;
const READ_AND_WRITTEN = _PAGE_ACCESSED | _PAGE_DIRTY;
/** Reserved bits of an entry that maps a large page: the frame's bits below its size, but PAT. */
const RSVD_LO_2M = 0x001fe000;
const RSVD_LO_1G = 0x3fffe000;

/**
 * One paging-structure cache: direct-mapped, from the upper bits of an address to a table. By slot
 * four words: upper bits of lo | stamp, hi, the table's frame, the rights so far. The stamp is the
 * PCID << 1 | 1 and above it a number that changes with each flush, which thus costs nothing.
 */
export class StructureCache {
  readonly rec: Int32Array;
  /** Index of a slot's first word, from the address shifted to leave two bits below the level's. */
  readonly mask: number;
  hits = 0;
  private readonly level: number;
  private generation = 0;

  /** @param level of the entries that it holds: 2 for PDEs, 3 PDPTEs, 4 PML4Es. */
  constructor(entries: number, level: number) {
    assert(entries >= 1 && (entries & (entries - 1)) === 0, 'entries are a power of two');
    this.rec = new Int32Array(entries * 4);
    this.mask = (entries - 1) << 2;
    this.level = level;
  }

  /** Index in `rec` of the entry that answers, or -1. */
  find(lo: number, hi: number, pcid: number): number {
    const r = this.indexOf(lo, hi);
    const { rec } = this;
    return rec[r] === this.tagOf(lo, pcid) && rec[r + 1] === this.keyOf(hi) ? r : -1;
  }

  insert(lo: number, hi: number, pcid: number, table: number, rights: number): void {
    const r = this.indexOf(lo, hi);
    const { rec } = this;
    rec[r] = this.tagOf(lo, pcid);
    rec[r + 1] = this.keyOf(hi);
    rec[r + 2] = table;
    rec[r + 3] = rights;
  }

  /** Forgets everything: of all PCIDs, which is more than some flushes ask for. */
  flush(): void {
    this.generation = (this.generation + 1) & 0xff;
    if (this.generation === 0) this.rec.fill(0); // the number comes around
  }

  /** The low bits of the tags that are good now under a PCID. */
  stamp(pcid: number): number {
    return (this.generation << 13) | (pcid << 1) | 1;
  }

  private indexOf(lo: number, hi: number): number {
    if (this.level === 2) return (lo >>> 19) & this.mask;
    return (this.level === 3 ? ((lo >>> 30) | (hi << 2)) << 2 : hi >> 5) & this.mask;
  }

  private tagOf(lo: number, pcid: number): number {
    const upper = this.level === 2 ? lo & -0x200000 : this.level === 3 ? lo & -0x40000000 : 0;
    return upper | this.stamp(pcid);
  }

  private keyOf(hi: number): number {
    return this.level === 4 ? hi & ~0x7f : hi;
  }
}

export class Walker {
  /** CR3: the frame of the top table, and the PCID. */
  root: Pfn = NO_PFN;
  pcid = 0;
  /** EFLAGS.AC: the supervisor may touch user pages in spite of SMAP. */
  ac = false;
  readonly features: CpuFeatures = { ...LINUX_FEATURES };
  readonly pde: StructureCache;
  readonly pdpte: StructureCache;
  readonly pml4e: StructureCache;

  // What walk() found, where it returned WALK_OK.
  /** First frame of the page. */
  pfn = 0;
  /** Combined RW, US and NX, and the leaf's D and (where PGE is on) G. */
  flags = 0;
  /** SIZE_4K, SIZE_2M or SIZE_1G. */
  size = SIZE_4K;

  private readonly mem: PhysMem;
  private table = 0;
  private rights = 0;
  private rsvdHi = RSVD_HI_MASK;

  /** @param entries of the PDE, PDPTE and PML4E caches, powers of two. */
  constructor(mem: PhysMem, entries: readonly [number, number, number]) {
    this.mem = mem;
    this.pde = new StructureCache(entries[0], 2);
    this.pdpte = new StructureCache(entries[1], 3);
    this.pml4e = new StructureCache(entries[2], 4);
  }

  /** Changes control bits; the caller flushes. */
  control(bits: Partial<CpuFeatures>): void {
    Object.assign(this.features, bits);
    this.rsvdHi = this.features.nxe ? RSVD_HI_MASK : RSVD_HI_MASK | _PAGE_NX_HI;
  }

  /** Empties the paging-structure caches. */
  flush(): void {
    this.pde.flush();
    this.pdpte.flush();
    this.pml4e.flush();
  }

  /**
   * Walks to the page of a canonical address and checks the access.
   * @param access PF_WRITE, PF_USER, PF_INSTR bits.
   * @returns WALK_OK with pfn, flags and size; or the error code of the #PF.
   */
  walk(lo: number, hi: number, access: number): number {
    const pde = this.pde;
    const r = pde.find(lo, hi, this.pcid);
    if (r >= 0) {
      pde.hits++;
      return this.last(pde.rec[r + 2], pde.rec[r + 3], lo, access);
    }
    const result = this.upper(lo, hi, access);
    return result === TABLE ? this.last(this.table, this.rights, lo, access) : result;
  }

  /** Rights of all levels against an access (SDM volume 3, 4.6.1). */
  allowed(rights: number, access: number): boolean {
    if ((access & PF_USER) !== 0) {
      // PF_WRITE and PF_USER are the same bits as RW and US.
      if ((access & RIGHTS & ~rights) !== 0) return false;
      return (access & PF_INSTR) === 0 || rights >= 0;
    }
    const f = this.features;
    const user = (rights & _PAGE_USER) !== 0;
    if ((access & PF_INSTR) !== 0) return rights >= 0 && !(user && f.smep);
    if (user && f.smap && !this.ac) return false;
    return (access & PF_WRITE) === 0 || (rights & _PAGE_RW) !== 0 || !f.wp;
  }

  /** The physical address that `va` is mapped to, or -1; touches neither tables nor caches. */
  peek(va: number): number {
    return peekWalk(this.mem, this.root, va);
  }

  /** The level of PTEs. */
  private last(table: number, rights: number, lo: number, access: number): number {
    const { words, slotOf } = this.mem;
    const at = (slotOf[table] << 10) + ((lo >>> 11) & 1022);
    const elo = words[at];
    const ehi = words[at + 1];
    if ((elo & _PAGE_PRESENT) === 0) return access;
    if ((ehi & this.rsvdHi) !== 0) return PF_RSVD | PF_PROT | access;
    rights = (rights & elo & RIGHTS) | ((rights | ehi) & _PAGE_NX_HI);
    this.size = SIZE_4K;
    return this.leaf(at, elo, ehi, rights, access);
  }

  private leaf(at: number, elo: number, ehi: number, rights: number, access: number): number {
    if (!this.allowed(rights, access)) return PF_PROT | access;
    const need = (access & PF_WRITE) !== 0 ? READ_AND_WRITTEN : _PAGE_ACCESSED;
    if ((elo & need) !== need) {
      elo |= need;
      this.mem.words[at] = elo;
    }
    const global = this.features.pge ? _PAGE_DIRTY | _PAGE_GLOBAL : _PAGE_DIRTY;
    this.pfn = ptePfn(elo, ehi);
    this.flags = rights | (elo & global);
    return WALK_OK;
  }

  /** The levels above: a table of PTEs (TABLE), a large page (WALK_OK), or an error code. */
  private upper(lo: number, hi: number, access: number): number {
    const { words, slotOf } = this.mem;
    let level = this.start(lo, hi);
    let { table, rights } = this;
    for (; level > 1; level--) {
      const index = level === 4 ? hi >> 7 : level === 3 ? (lo >>> 30) | (hi << 2) : lo >>> 21;
      const at = (slotOf[table] << 10) + ((index & 511) << 1);
      const elo = words[at];
      const ehi = words[at + 1];
      if ((elo & _PAGE_PRESENT) === 0) return access;
      if ((ehi & this.rsvdHi) !== 0) return PF_RSVD | PF_PROT | access;
      rights = (rights & elo & RIGHTS) | ((rights | ehi) & _PAGE_NX_HI);
      if ((elo & _PAGE_PSE) !== 0) return this.large(at, elo, ehi, rights, level, access);
      table = ptePfn(elo, ehi);
      if ((elo & _PAGE_ACCESSED) === 0) words[at] = elo | _PAGE_ACCESSED;
      if (table >= slotOf.length) return PF_RSVD | PF_PROT | access;
      const cache = level === 4 ? this.pml4e : level === 3 ? this.pdpte : this.pde;
      cache.insert(lo, hi, this.pcid, table, rights);
    }
    this.table = table;
    this.rights = rights;
    return TABLE;
  }

  /** Leaves the deepest table that is known in `table` and `rights`; returns its level. */
  private start(lo: number, hi: number): number {
    const { pdpte, pml4e, pcid } = this;
    let r = pdpte.find(lo, hi, pcid);
    if (r >= 0) return this.startFrom(pdpte, r, 2);
    r = pml4e.find(lo, hi, pcid);
    if (r >= 0) return this.startFrom(pml4e, r, 3);
    this.table = this.root;
    this.rights = RIGHTS;
    return 4;
  }

  private startFrom(cache: StructureCache, r: number, level: number): number {
    cache.hits++;
    this.table = cache.rec[r + 2];
    this.rights = cache.rec[r + 3];
    return level;
  }

  private large(
    at: number,
    elo: number,
    ehi: number,
    rights: number,
    level: number,
    access: number,
  ): number {
    const reserved = level === 2 ? RSVD_LO_2M : level === 3 ? RSVD_LO_1G : _PAGE_PSE;
    if ((elo & reserved) !== 0) return PF_RSVD | PF_PROT | access;
    this.size = level === 2 ? SIZE_2M : SIZE_1G;
    const result = this.leaf(at, elo, ehi, rights, access);
    this.pfn &= level === 2 ? ~0x1ff : ~0x3ffff; // bit 12 is PAT
    return result;
  }
}

/** The physical address that `va` is mapped to by the tables under `root`, or -1. No effects. */
export function peekWalk(mem: PhysMem, root: number, va: number): number {
  let table = root;
  for (let level = 4; level > 0; level--) {
    if (table >= mem.nrFrames) return -1;
    const at = mem.readable(table) + tableIndex(va, level) * 2;
    const lo = mem.words[at];
    const hi = mem.words[at + 1];
    if ((lo & _PAGE_PRESENT) === 0 || (hi & RSVD_HI_MASK) !== 0) return -1;
    const pfn = ptePfn(lo, hi);
    if (level === 1) return pfn * PAGE_SIZE + (va & 0xfff);
    if ((lo & _PAGE_PSE) !== 0) {
      if (level === 4 || (lo & (level === 2 ? RSVD_LO_2M : RSVD_LO_1G)) !== 0) return -1;
      const mask = level === 2 ? 0x1ff : 0x3ffff;
      return ((pfn & ~mask) + ((va >>> 12) & mask)) * PAGE_SIZE + (va & 0xfff);
    }
    table = pfn;
  }
  return -1;
}
