// A slow and obvious x86-64 MMU to compare with: no caches, one 64-bit entry at a time as a BigInt,
// the rules of the Intel SDM volume 3, 4.5 to 4.8, written down once more.

import type { PhysMem } from '../../kernel/physmem.ts';
import { PF_INSTR, PF_PROT, PF_RSVD, PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import type { CpuFeatures } from '../../kernel/walker.ts';

const P = 1n;
const RW = 2n;
const US = 4n;
const A = 0x20n;
const D = 0x40n;
const PS = 0x80n;
const NX = 1n << 63n;
const ADDRESS = 0x000f_ffff_ffff_f000n;

export interface ModelAccess {
  /** The error code of the #PF, or -1. */
  readonly errorCode: number;
  /** The physical address, where there is no fault. */
  readonly physical: bigint;
}

function entryAt(mem: PhysMem, physical: bigint): bigint {
  const pfn = Number(physical >> 12n);
  if (pfn >= mem.nrFrames) return (1n << 64n) - 1n;
  const at = mem.readable(pfn) + Number((physical & 0xfffn) / 4n);
  const word = (i: number): bigint => BigInt.asUintN(32, BigInt(mem.words[at + i] ?? 0));
  return word(0) | (word(1) << 32n);
}

function setBits(mem: PhysMem, physical: bigint, bits: bigint): void {
  const at = mem.writable(Number(physical >> 12n)) + Number((physical & 0xfffn) / 4n);
  mem.words[at] = (mem.words[at] ?? 0) | Number(bits);
}

/** Translates one access through the tables of `mem` and sets A and D in them. */
export function modelAccess(
  mem: PhysMem,
  root: number,
  va: number,
  access: number,
  features: CpuFeatures,
  ac: boolean,
): ModelAccess {
  const address = BigInt.asUintN(64, BigInt(va));
  const fault = (code: number): ModelAccess => ({ errorCode: code | access, physical: 0n });
  let table = BigInt(root) << 12n;
  let writable = true;
  let user = true;
  let executable = true;
  for (let level = 4; ; level--) {
    const shift = BigInt(12 + 9 * (level - 1));
    const where = table + ((address >> shift) & 511n) * 8n;
    const entry = entryAt(mem, where);
    if ((entry & P) === 0n) return fault(0);
    const leaf = level === 1 || (entry & PS) !== 0n;
    let reserved = 0x000f_f800_0000_0000n; // above 43 bits
    if (!features.nxe) reserved |= NX;
    if (level === 4) reserved |= PS;
    if (leaf && level > 1) reserved |= ((1n << shift) - 1n) & ~0x1fffn & ADDRESS;
    if ((entry & reserved) !== 0n) return fault(PF_PROT | PF_RSVD);
    writable &&= (entry & RW) !== 0n;
    user &&= (entry & US) !== 0n;
    executable &&= (entry & NX) === 0n;
    if (!leaf) {
      setBits(mem, where, A);
      table = entry & ADDRESS;
      continue;
    }
    if (!modelAllows(writable, user, executable, access, features, ac)) return fault(PF_PROT);
    setBits(mem, where, (access & PF_WRITE) !== 0 ? A | D : A);
    const offset = (1n << shift) - 1n;
    return { errorCode: -1, physical: (entry & ADDRESS & ~offset) | (address & offset) };
  }
}

function modelAllows(
  writable: boolean,
  user: boolean,
  executable: boolean,
  access: number,
  features: CpuFeatures,
  ac: boolean,
): boolean {
  const byUser = (access & PF_USER) !== 0;
  if (byUser && !user) return false;
  if ((access & PF_INSTR) !== 0) return executable && !(!byUser && user && features.smep);
  if (!byUser && user && features.smap && !ac) return false;
  if ((access & PF_WRITE) === 0) return true;
  return writable || (!byUser && !features.wp);
}
