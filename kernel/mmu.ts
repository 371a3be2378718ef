// MMU: what one CPU does with an address.
//
//     load32(lo, hi) -> front -> TLB levels -> walk in RAM -> #PF, handleFault() -> retry
//
// An access names a 64-bit address as two int32 words (lo, hi) and yields data, or sets `fault`.
// The first line of each load and store is the front (tlb.ts): one compare of the page, one of the
// high word, one load. Its tags also refuse what is not aligned, not canonical, not allowed or not
// yet dirty; all that goes the long way, resolve():
//
//   1. canonical?      bits 63..47 are equal, else #GP
//   2. TLB levels      where the CPU has them: an entry that allows the access answers; one that
//                      does not is dropped
//   3. walk            walker.ts; the page it finds enters the TLB
//   4. #PF             CR2 and the error code are set, and the space's handleFault() is asked;
//                      while it says FAULT_OK, back to 2
//
// What fails stays visible: `fault` keeps the FAULT_* of the last failed access until takeFault().
// A failed load yields 0, a failed store writes nothing, also where it spans two pages.
//
// The kernel of this machine does not fault on its own half: an access there that no entry maps is
// FAULT_MAPERR, as the SIGSEGV of a program that tries it.
// Source: Intel SDM volume 3, 4.7 (error code), 4.10 (caches); 6.15, vector 14. Where a TLB entry
// forbids what the tables allow, this CPU walks again rather than fault (4.10.4.3 allows both), so
// that there are no spurious faults.

import { CpuState } from './cpu.ts';
import { KernelBug } from './errors.ts';
import type { PhysMem } from './physmem.ts';
import {
  FAULT_GP,
  FAULT_OK,
  FAULT_SIGBUS,
  PF_INSTR,
  PF_USER,
  PF_WRITE,
  type FaultResult,
} from './ports.ts';
import {
  _PAGE_ACCESSED,
  _PAGE_DIRTY,
  _PAGE_PRESENT,
  _PAGE_RW,
  _PAGE_USER,
  PFN_HI_MASK,
  RSVD_HI_MASK,
} from './pte.ts';
import {
  DIRECT_TLB,
  FETCH_MASK,
  FRONT_EMPTY,
  FRONT_MASK,
  FRONT_WORDS,
  type TlbConfig,
} from './tlb.ts';
import { SIZE_PAGES_MASK } from './tlb-array.ts';
import { hiOf, type VirtAddr } from './types.ts';
import { WALK_OK } from './walker.ts';

/** Times that one access may fault and be retried before it is a bug of the handler. */
export const MAX_FAULT_RETRIES = 16;

/** Bits of `lo` that a front tag is compared with: the page, and those that alignment wants 0. */
const TAG_8 = ~0xfff;
const TAG_16 = ~0xffe;
const TAG_32 = ~0xffc;
const TAG_64 = ~0xff8;
const WRITABLE = _PAGE_RW | _PAGE_DIRTY;

export class Cpu extends CpuState {
  private readonly slotOf: Int32Array;
  private readonly levels: boolean; // of the TLB
  // The PDE cache, which miss() reads.
  private readonly pde: Int32Array;
  private readonly pdeMask: number;

  constructor(id: number, mem: PhysMem, tlb: TlbConfig = DIRECT_TLB) {
    super(id, mem, tlb);
    this.slotOf = mem.slotOf;
    this.levels = tlb.levels !== null;
    this.pde = this.walker.pde.rec;
    this.pdeMask = this.walker.pde.mask;
  }

  // ---- loads and stores, in the current mode, at any alignment ----

  /** A signed 32-bit word; 0 and `fault` where it fails. */
  load32(lo: number, hi: number): number {
    const { front } = this;
    const k = (lo >>> 10) & FRONT_MASK;
    if (front[k] === (lo & TAG_32) && front[k + 2] === hi) {
      return this.words[front[k + 3] + ((lo >>> 2) & 1023)];
    }
    if ((lo & 3) !== 0) return this.slowLoad(lo, hi, 4);
    const at = this.miss(lo, hi, this.mode);
    return at < 0 ? 0 : this.words[at + ((lo >>> 2) & 1023)];
  }

  store32(lo: number, hi: number, value: number): void {
    const { front } = this;
    const k = (lo >>> 10) & FRONT_MASK;
    if (front[k + 1] === (lo & TAG_32) && front[k + 2] === hi) {
      this.words[front[k + 3] + ((lo >>> 2) & 1023)] = value;
    } else if ((lo & 3) === 0) {
      const at = this.miss(lo, hi, this.mode | PF_WRITE);
      if (at >= 0) this.words[at + ((lo >>> 2) & 1023)] = value;
    } else this.slowStore(lo, hi, 4, value, 0);
  }

  /** The low word of 64 bits; the high one is left in `high`. */
  load64(lo: number, hi: number): number {
    const { front } = this;
    const k = (lo >>> 10) & FRONT_MASK;
    if (front[k] === (lo & TAG_64) && front[k + 2] === hi) {
      const at = front[k + 3] + ((lo >>> 2) & 1023);
      this.high = this.words[at + 1];
      return this.words[at];
    }
    return this.slowLoad(lo, hi, 8);
  }

  store64(lo: number, hi: number, valueLo: number, valueHi: number): void {
    const { front } = this;
    const k = (lo >>> 10) & FRONT_MASK;
    if (front[k + 1] === (lo & TAG_64) && front[k + 2] === hi) {
      const at = front[k + 3] + ((lo >>> 2) & 1023);
      this.words[at] = valueLo;
      this.words[at + 1] = valueHi;
    } else this.slowStore(lo, hi, 8, valueLo, valueHi);
  }

  /** An unsigned byte. */
  load8(lo: number, hi: number): number {
    const { front } = this;
    const k = (lo >>> 10) & FRONT_MASK;
    if (front[k] === (lo & TAG_8) && front[k + 2] === hi) {
      return (this.words[front[k + 3] + ((lo >>> 2) & 1023)] >>> ((lo & 3) << 3)) & 0xff;
    }
    return this.slowLoad(lo, hi, 1);
  }

  store8(lo: number, hi: number, value: number): void {
    const { front } = this;
    const k = (lo >>> 10) & FRONT_MASK;
    if (front[k + 1] === (lo & TAG_8) && front[k + 2] === hi) {
      this.putBits(front[k + 3] + ((lo >>> 2) & 1023), (lo & 3) << 3, 0xff, value);
    } else this.slowStore(lo, hi, 1, value, 0);
  }

  /** An unsigned 16-bit word. */
  load16(lo: number, hi: number): number {
    const { front } = this;
    const k = (lo >>> 10) & FRONT_MASK;
    if (front[k] === (lo & TAG_16) && front[k + 2] === hi) {
      return (this.words[front[k + 3] + ((lo >>> 2) & 1023)] >>> ((lo & 2) << 3)) & 0xffff;
    }
    return this.slowLoad(lo, hi, 2);
  }

  store16(lo: number, hi: number, value: number): void {
    const { front } = this;
    const k = (lo >>> 10) & FRONT_MASK;
    if (front[k + 1] === (lo & TAG_16) && front[k + 2] === hi) {
      this.putBits(front[k + 3] + ((lo >>> 2) & 1023), (lo & 2) << 3, 0xffff, value);
    } else this.slowStore(lo, hi, 2, value, 0);
  }

  /**
   * Makes the page of an address accessible, for reading or with `write` for writing (its entry
   * dirty), and returns the index in `words` of the word that holds it; -1 and `fault` where it is
   * refused. Words up to the end of the 4 KiB page follow. Holds until the mapping changes; for a
   * read, until the page is written for the first time.
   */
  touch(lo: number, hi: number, write: boolean): number {
    const { front } = this;
    const k = (lo >>> 10) & FRONT_MASK;
    if (front[write ? k + 1 : k] === (lo & TAG_8) && front[k + 2] === hi) {
      return front[k + 3] + ((lo >>> 2) & 1023);
    }
    const at = this.miss(lo, hi, write ? this.mode | PF_WRITE : this.mode);
    return at < 0 ? -1 : at + ((lo >>> 2) & 1023);
  }

  /**
   * Many data accesses in a row, as a replay makes them: pairs of words lo, hi; bit 0 of lo says
   * that it is a write. @returns how many were made: fewer than `count` where one faulted.
   */
  touchAll(refs: Int32Array, count: number): number {
    const { mode, tlb } = this;
    let again = 0;
    let done = 0;
    for (; done < count; done++) {
      const lo = refs[done << 1];
      const hi = refs[(done << 1) + 1];
      const access = mode | ((lo & 1) << 1); // PF_WRITE
      const last = tlb.lastPage === (lo & TAG_8) && tlb.lastHi === hi;
      if (last && (access & ~tlb.lastAllows) === 0) again++;
      else if (this.touch(lo, hi, (lo & 1) !== 0) < 0) break;
    }
    tlb.l1Hits += again;
    return done;
  }

  /** An instruction fetch: true where it succeeds, else false and `fault`. */
  fetch(lo: number, hi: number): boolean {
    const { front } = this;
    const k = FRONT_WORDS + ((lo >>> 11) & FETCH_MASK);
    if (front[k] === (lo & TAG_8) && front[k + 1] === hi) return true;
    return this.resolve(lo, hi, this.mode | PF_INSTR) >= 0;
  }

  /**
   * An access without data, in the mode that it names rather than the current one.
   * @param access PF_WRITE, PF_USER, PF_INSTR bits, as in an error code.
   * @returns FAULT_*; `fault` is left as it was.
   */
  access(va: VirtAddr, access: number): FaultResult {
    const [lo, hi] = [va | 0, hiOf(va)];
    const front = (access & PF_USER) !== 0 ? this.tlb.userFront : this.tlb.kernelFront;
    const fetch = (access & PF_INSTR) !== 0;
    const k = fetch ? FRONT_WORDS + ((lo >>> 11) & FETCH_MASK) : (lo >>> 10) & FRONT_MASK;
    const tag = fetch ? k : (access & PF_WRITE) !== 0 ? k + 1 : k;
    if (front[tag] === (lo & TAG_8) && front[fetch ? k + 1 : k + 2] === hi) return FAULT_OK;
    const before = this.fault;
    this.fault = FAULT_OK;
    this.resolve(lo, hi, access);
    const result = this.fault;
    this.fault = before;
    return result;
  }

  // ---- the long way ----

  /**
   * What the front did not answer. The usual case in one straight line, resolve() for the rest:
   * a program's data access, a PDE in the paging-structure cache, a PTE that allows it.
   * @returns the index of the frame's first word, which for a read may be the shared page of
   *   zeros; -1 and `fault` where the access fails.
   */
  private miss(lo: number, hi: number, access: number): number {
    const { pde, slotOf, words } = this;
    const r = (lo >>> 19) & this.pdeMask;
    if (pde[r] === ((lo & -0x200000) | this.pdeTag) && pde[r + 1] === hi && access >= PF_USER) {
      const w = (slotOf[pde[r + 2]] << 10) + ((lo >>> 11) & 1022);
      let elo = words[w];
      const ehi = words[w + 1];
      const pfn = ((ehi & PFN_HI_MASK) << 20) | (elo >>> 12);
      const rights = pde[r + 3] & elo;
      const lacks = (access & ~rights) | (~elo & _PAGE_PRESENT) | (ehi & RSVD_HI_MASK);
      const slot = lacks === 0 && pfn < slotOf.length ? slotOf[pfn] : 0;
      if (slot !== 0) {
        const need = (access & PF_WRITE) !== 0 ? _PAGE_ACCESSED | _PAGE_DIRTY : _PAGE_ACCESSED;
        if ((elo & need) !== need) {
          elo |= need;
          words[w] = elo;
        }
        const { front } = this;
        const k = (lo >>> 10) & FRONT_MASK;
        const page = lo & -0x1000;
        front[k] = page;
        front[k + 1] = (rights & elo & WRITABLE) === WRITABLE ? page : FRONT_EMPTY;
        front[k + 2] = hi;
        front[k + 3] = slot << 10;
        this.quickWalks++;
        return slot << 10;
      }
    }
    return this.levels ? this.again(lo, hi, access) : this.resolve(lo, hi, access);
  }

  /**
   * Index of the first word of the frame behind an address, which for a read may be the shared page
   * of zeros; -1 and `fault` where the access fails.
   */
  private resolve(lo: number, hi: number, access: number): number {
    if ((hi << 16) >> 16 !== hi) {
      this.fault = FAULT_GP;
      return -1;
    }
    const { tlb, walker } = this;
    if (this.levels && this.lookup(lo, hi, access)) {
      return this.arrive(lo, hi, tlb.pfn, tlb.flags, access);
    }
    if (!this.levels) tlb.misses++;
    for (let tries = 0; tries <= MAX_FAULT_RETRIES; tries++) {
      const errorCode = walker.walk(lo, hi, access);
      if (errorCode === WALK_OK) {
        tlb.insert(lo, hi, walker.pcid, walker.size, walker.pfn, walker.flags);
        const pfn = walker.pfn + ((lo >>> 12) & SIZE_PAGES_MASK[walker.size]);
        return this.arrive(lo, hi, pfn, walker.flags, access);
      }
      const result = this.pageFault(lo, hi, errorCode);
      if (result !== FAULT_OK) {
        this.fault = result;
        return -1;
      }
    }
    throw new KernelBug(`${MAX_FAULT_RETRIES} faults handled at one address, and it still faults`);
  }

  /** With levels: the page that was used last, or resolve(). */
  private again(lo: number, hi: number, access: number): number {
    const { tlb } = this;
    if (tlb.lastPage !== (lo & TAG_8) || tlb.lastHi !== hi || (access & ~tlb.lastAllows) !== 0) {
      return this.resolve(lo, hi, access);
    }
    tlb.l1Hits++;
    return tlb.lastAt;
  }

  /** Asks the levels; an entry that does not allow the access is dropped. */
  private lookup(lo: number, hi: number, access: number): boolean {
    const { tlb, walker } = this;
    if (!tlb.lookup(lo, hi, walker.pcid)) return false;
    const clean = (tlb.flags & _PAGE_DIRTY) === 0;
    if (!(clean && (access & PF_WRITE) !== 0) && walker.allowed(tlb.flags, access)) return true;
    tlb.rewalks++;
    tlb.dropPage(lo, hi, walker.pcid);
    return false;
  }

  /** The frame is known: where it lies in the store; in direct form the front learns it. */
  private arrive(lo: number, hi: number, pfn: number, flags: number, access: number): number {
    const { mem, tlb, walker } = this;
    tlb.lastPage = FRONT_EMPTY;
    if (pfn >= mem.nrFrames) {
      this.fault = FAULT_SIGBUS; // nothing answers on the bus
      return -1;
    }
    // A front holds pages of its own privilege alone: no control bit changes what they allow.
    const toFront = !this.levels && ((flags ^ access) & _PAGE_USER) === 0;
    const front = (access & PF_USER) !== 0 ? tlb.userFront : tlb.kernelFront;
    if (toFront && (access & PF_INSTR) !== 0) tlb.fillFetch(front, lo, hi, walker.size);
    const slot = mem.slotOf[pfn];
    if (slot === 0 && (access & PF_WRITE) === 0) return 0;
    const at = slot === 0 ? mem.writable(pfn) : slot << 10;
    if (toFront) tlb.fillFront(front, lo, hi, at, flags, walker.size);
    else if (this.levels && (flags & access & PF_USER) !== 0) {
      tlb.lastPage = lo & TAG_8;
      tlb.lastHi = hi;
      tlb.lastAt = at;
      tlb.lastAllows = (flags & WRITABLE) === WRITABLE ? PF_USER | PF_WRITE : PF_USER;
    }
    return at;
  }

  /** A load that the front does not answer, of 1, 2, 4 or 8 bytes at any alignment. */
  private slowLoad(lo: number, hi: number, bytes: number): number {
    const first = this.page(lo, hi, false);
    const second = first < 0 ? -1 : this.lastPage(lo, hi, bytes, first, false);
    this.high = 0;
    if (second < 0) return 0;
    let value = 0;
    for (let i = 0; i < bytes; i++) {
      const at = (lo + i) | 0;
      const page = (at & -0x1000) === (lo & -0x1000) ? first : second;
      const byte = (this.words[page + ((at >>> 2) & 1023)] >>> ((at & 3) << 3)) & 0xff;
      if (i < 4) value |= byte << (i << 3);
      else this.high |= byte << ((i - 4) << 3);
    }
    return value;
  }

  /**
   * A store that the front does not answer. All of its bytes are writable before one is written.
   */
  private slowStore(lo: number, hi: number, bytes: number, value: number, high: number): void {
    const first = this.page(lo, hi, true);
    const second = first < 0 ? -1 : this.lastPage(lo, hi, bytes, first, true);
    if (second < 0) return;
    for (let i = 0; i < bytes; i++) {
      const at = (lo + i) | 0;
      const page = (at & -0x1000) === (lo & -0x1000) ? first : second;
      const byte = (i < 4 ? value >>> (i << 3) : high >>> ((i - 4) << 3)) & 0xff;
      this.putBits(page + ((at >>> 2) & 1023), (at & 3) << 3, 0xff, byte);
    }
  }

  /** touch(), but for the index of the page's first word. */
  private page(lo: number, hi: number, write: boolean): number {
    const at = this.touch(lo, hi, write);
    return at < 0 ? -1 : at - ((lo >>> 2) & 1023);
  }

  /** page() for the page of an access's last byte; `first` where that is the first page. */
  private lastPage(lo: number, hi: number, bytes: number, first: number, write: boolean): number {
    const page = (lo + bytes - 1) & -0x1000;
    if (page === (lo & -0x1000)) return first;
    return this.page(page, lo < 0 && page >= 0 ? (hi + 1) | 0 : hi, write);
  }

  private putBits(at: number, shift: number, mask: number, value: number): void {
    this.words[at] = (this.words[at] & ~(mask << shift)) | ((value & mask) << shift);
  }
}
