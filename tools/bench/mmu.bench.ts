// What an access costs: a hit of the TLB, a miss with its walk, and a simulated two-level TLB.
//
// The tables, frames and addresses are those of yardstick/machine.c: pages at 0x7f1234400000 in
// shuffled frames, 8192 random addresses among them.

import { Cpu } from '../../kernel/mmu.ts';
import { PhysMem } from '../../kernel/physmem.ts';
import { FAULT_MAPERR, FAULT_OK, type AddressSpace } from '../../kernel/ports.ts';
import { tableIndex } from '../../kernel/pgtable.ts';
import { DIRECT_TLB, SKYLAKE_TLB, type TlbConfig } from '../../kernel/tlb.ts';
import { hiOf, type Pfn } from '../../kernel/types.ts';
import type { BenchCase, Subject } from './bench.ts';
import { Xorshift } from './xorshift.ts';

const BASE = 0x7f12_3440_0000;
const ADDRESSES = 8192;
const DATA = 8192;
const ROOT = 1 as Pfn;

/** Page tables written by hand, so that nothing but the MMU is measured. */
class Space implements AddressSpace {
  readonly mem = new PhysMem(2 ** 18);
  readonly root = ROOT;
  private nextTable = 2;
  private nextFrame = DATA + 16;

  map(va: number, pfn: number): void {
    const { mem } = this;
    let table: number = ROOT;
    for (let level = 4; level > 1; level--) {
      const at = mem.writable(table) + tableIndex(va, level) * 2;
      if (mem.words[at] === 0) mem.words[at] = (this.nextTable++ << 12) | 7;
      table = (mem.words[at] ?? 0) >>> 12;
    }
    const at = mem.writable(table) + tableIndex(va, 1) * 2;
    mem.words[at] = (pfn << 12) | 0x67;
    mem.words[at + 1] = 1 << 31;
    mem.writable(pfn);
  }

  handleFault(va: number): number {
    if (this.nextFrame >= this.mem.nrFrames) return FAULT_MAPERR;
    this.map(va, this.nextFrame++);
    return FAULT_OK;
  }

  clearYoung(): number {
    return 0;
  }
  maps(): boolean {
    return false;
  }
}

function loads(pages: number, config: TlbConfig): Subject {
  const space = new Space();
  for (let p = 0; p < pages; p++) {
    space.map(BASE + p * 4096, DATA + ((Math.imul(p, 40503) + 17) & (pages - 1)));
  }
  const random = new Xorshift(99);
  const halves = new Int32Array(2 * ADDRESSES);
  for (let i = 0; i < ADDRESSES; i++) {
    const page = random.next() % pages;
    const va = BASE + page * 4096 + (random.next() % 1024) * 4;
    halves[2 * i] = va | 0;
    halves[2 * i + 1] = hiOf(va);
  }
  const cpu = new Cpu(0, space.mem, config);
  cpu.loadSpace(space);
  return {
    ops: ADDRESSES,
    run: () => {
      let sum = 0;
      for (let i = 0; i < 2 * ADDRESSES; i += 2) {
        sum = (sum + cpu.load32(halves[i] ?? 0, halves[i + 1] ?? 0)) | 0;
      }
      return sum + cpu.takeFault();
    },
  };
}

/**
 * References in runs of eight, pages by Zipf's law, every fourth a write; faults fill the tables.
 */
function replay(references: number): Subject {
  const pages = 65536;
  const below = new Float64Array(pages);
  let sum = 0;
  for (let i = 0; i < pages; i++) below[i] = sum += 1 / (i + 1);
  const random = new Xorshift(4711);
  const trace = new Int32Array(2 * references);
  for (let i = 0; i < references; i += 8) {
    const rank = rankOf(below, (random.next() / 2 ** 32) * sum);
    const page = Math.imul(rank, 40503) & (pages - 1);
    const offset = random.next() & 4032;
    for (let k = 0; k < 8; k++) {
      const va = BASE + 2 ** 28 + page * 4096 + ((offset + k * 8) & 4095);
      trace[2 * (i + k)] = va | ((k & 3) === 3 ? 1 : 0); // bit 0: a write
      trace[2 * (i + k) + 1] = hiOf(va);
    }
  }
  const space = new Space();
  const cpu = new Cpu(0, space.mem, SKYLAKE_TLB);
  cpu.loadSpace(space);
  const run = (): number => {
    cpu.flushAll();
    const { misses } = cpu.counters();
    if (cpu.touchAll(trace, references) !== references) throw new Error('a reference faulted');
    return cpu.counters().misses - misses;
  };
  run(); // the pages are faulted in
  return { ops: references, run };
}

function rankOf(below: Float64Array, u: number): number {
  let low = 0;
  let high = below.length - 1;
  while (low < high) {
    const mid = (low + high) >> 1;
    if ((below[mid] ?? 0) < u) low = mid + 1;
    else high = mid;
  }
  return low;
}

export const cases: readonly BenchCase[] = [
  {
    name: 'tlb.hit',
    what: '32-bit load on a TLB hit, 4 MiB of pages',
    unit: 'loads/s',
    yardstick: 'machine:tlb.hit',
    goal: 0.25,
    stretch: 0.35,
    make: (size) => loads(size === 'small' ? 16 : 1024, DIRECT_TLB),
  },
  {
    name: 'tlb.miss',
    what: 'TLB miss: walk, refill, 32-bit load; 256 MiB of pages',
    unit: 'loads/s',
    yardstick: 'machine:tlb.miss',
    goal: 0.35,
    stretch: 0.5,
    make: (size) => loads(size === 'small' ? 2048 : 65536, DIRECT_TLB),
  },
  {
    name: 'tlb.levels.hit',
    what: 'the same loads through simulated L1 and L2, 4 MiB',
    unit: 'loads/s',
    yardstick: 'machine:tlb.hit',
    make: (size) => loads(size === 'small' ? 16 : 1024, SKYLAKE_TLB),
  },
  {
    name: 'replay.tlb',
    what: 'access trace through simulated L1 and L2, decoded, with walks',
    unit: 'refs/s',
    yardstick: 'machine:replay.tlb',
    goal: 0.33,
    stretch: 0.5,
    make: (size) => replay(size === 'small' ? 8000 : 1_000_000),
  },
];
