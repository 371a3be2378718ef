// A small machine for tests of the MMU: RAM, hand-made tables, and one CPU.

import { Cpu } from '../../kernel/mmu.ts';
import { tableIndex } from '../../kernel/pgtable.ts';
import { PhysMem } from '../../kernel/physmem.ts';
import { FAULT_MAPERR } from '../../kernel/ports.ts';
import { DIRECT_TLB, SKYLAKE_TLB, type TlbConfig } from '../../kernel/tlb.ts';
import { hiOf, type Pfn, type VirtAddr } from '../../kernel/types.ts';

export const P = 1;
export const RW = 2;
export const US = 4;
export const A = 0x20;
export const D = 0x40;
export const PS = 0x80;
export const G = 0x100;
export const NX = 1 << 31;
export const USER_PAGE = 0x7f12_3456_7000;
export const FORMS: readonly (readonly [string, TlbConfig])[] = [
  ['direct', DIRECT_TLB],
  ['levels', SKYLAKE_TLB],
];

/** A machine of 4096 frames with a few tables; frame 1 is the root. */
export class Rig {
  readonly mem = new PhysMem(4096);
  readonly cpu: Cpu;
  faults: [VirtAddr, number][] = [];
  /** What handleFault() does; refuses by default. */
  onFault: (va: VirtAddr, code: number) => number = () => FAULT_MAPERR;
  root = 1;
  private nextTable = 2;

  constructor(config: TlbConfig = DIRECT_TLB) {
    this.mem.writable(1);
    this.cpu = new Cpu(0, this.mem, config);
    this.cpu.loadSpace({
      root: 1 as Pfn,
      handleFault: (va, code) => {
        this.faults.push([va, code]);
        return this.onFault(va, code);
      },
      maps: () => false,
      clearYoung: () => 0,
    });
  }

  /** Word index of the entry of a level (4 the top); tables above it are made, all rights. */
  entry(va: number, level: number): number {
    let table = this.root;
    for (let l = 4; l > level; l--) {
      const at = this.mem.writable(table) + tableIndex(va, l) * 2;
      if ((this.mem.words[at] & P) === 0) {
        this.mem.writable(this.nextTable);
        this.mem.words[at] = (this.nextTable++ << 12) | P | RW | US;
      }
      table = this.mem.words[at] >>> 12;
    }
    return this.mem.writable(table) + tableIndex(va, level) * 2;
  }

  map(va: number, pfn: number, flags: number, hi = 0, level = 1): number {
    const at = this.entry(va, level);
    this.mem.words[at] = (pfn << 12) | flags;
    this.mem.words[at + 1] = hi;
    return at;
  }

  load(va: number): number {
    return this.cpu.load32(va | 0, hiOf(va));
  }

  store(va: number, value: number): void {
    this.cpu.store32(va | 0, hiOf(va), value);
  }
}
