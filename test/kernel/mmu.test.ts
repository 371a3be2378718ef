import seedrandom from 'seedrandom';
import { describe, expect, test } from 'vitest';
import { MAX_FAULT_RETRIES, Cpu } from '../../kernel/mmu.ts';
import { tableIndex } from '../../kernel/pgtable.ts';
import { PhysMem } from '../../kernel/physmem.ts';
import {
  FAULT_ACCERR,
  FAULT_GP,
  FAULT_MAPERR,
  FAULT_OK,
  FAULT_SIGBUS,
  PF_INSTR,
  PF_PROT,
  PF_RSVD,
  PF_USER,
  PF_WRITE,
  type AddressSpace,
} from '../../kernel/ports.ts';
import { DIRECT_TLB, SKYLAKE_TLB, type TlbConfig } from '../../kernel/tlb.ts';
import { addressOf, hiOf, type Pfn, type VirtAddr } from '../../kernel/types.ts';
import { LINUX_FEATURES, type CpuFeatures } from '../../kernel/walker.ts';
import { modelAccess } from '../support/model-mmu.ts';

const P = 1;
const RW = 2;
const US = 4;
const A = 0x20;
const D = 0x40;
const PS = 0x80;
const G = 0x100;
const NX = 1 << 31;
const USER_PAGE = 0x7f12_3456_7000;
const FORMS: readonly (readonly [string, TlbConfig])[] = [
  ['direct', DIRECT_TLB],
  ['levels', SKYLAKE_TLB],
];

/** A machine of 4096 frames with a few tables; frame 1 is the root. */
class Rig {
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

describe.each(FORMS)('rights, %s TLB', (_, config) => {
  const R = PF_USER;
  const W = PF_USER | PF_WRITE;
  const X = PF_USER | PF_INSTR;
  type Row = [string, number, number, number, Partial<CpuFeatures>, boolean, number];
  // name, low flags, high word, access, features, AC, error code or -1
  const rows: Row[] = [
    ['a program reads its page', P | US, 0, R, {}, false, -1],
    ['P clear: absent', US, 0, R, {}, false, PF_USER],
    ['a program reads a supervisor page', P, 0, R, {}, false, PF_PROT | R],
    ['a program writes a read-only page', P | US, 0, W, {}, false, PF_PROT | W],
    ['a program writes, RW set', P | US | RW, 0, W, {}, false, -1],
    ['WP clear does not help a program', P | US, 0, W, { wp: false }, false, PF_PROT | W],
    ['a program executes', P | US, 0, X, {}, false, -1],
    ['NX', P | US, NX, X, {}, false, PF_PROT | X],
    ['NX does not stop reads', P | US, NX, R, {}, false, -1],
    ['bit 63 without NXE is reserved', P | US, NX, R, { nxe: false }, false, PF_RSVD | PF_PROT | R],
    ['bit 51 is reserved', P | US, 1 << 19, R, {}, false, PF_RSVD | PF_PROT | R],
    ['the supervisor reads its page', P, 0, 0, {}, false, -1],
    ['the supervisor writes read-only', P, 0, PF_WRITE, {}, false, PF_PROT | PF_WRITE],
    ['the same with WP clear', P, 0, PF_WRITE, { wp: false }, false, -1],
    ['SMAP', P | US | RW, 0, 0, {}, false, PF_PROT],
    ['SMAP with AC set', P | US | RW, 0, PF_WRITE, {}, true, -1],
    ['SMAP off', P | US | RW, 0, PF_WRITE, { smap: false }, false, -1],
    ['SMEP, AC does not matter', P | US, 0, PF_INSTR, {}, true, PF_PROT | PF_INSTR],
    ['SMEP off', P | US, 0, PF_INSTR, { smep: false }, false, -1],
    ['the supervisor executes NX', P, NX, PF_INSTR, {}, false, PF_PROT | PF_INSTR],
    [
      'without NXE and SMEP a fetch is not told apart',
      US,
      0,
      X,
      { nxe: false, smep: false },
      false,
      PF_USER,
    ],
  ];
  test.each(rows)('%s', (_name, flags, hi, access, features, ac, code) => {
    const rig = new Rig(config);
    rig.cpu.control(features);
    rig.cpu.ac = ac;
    const at = rig.map(USER_PAGE, 100, flags, hi);
    const before = rig.mem.words[at];
    const result = rig.cpu.access(USER_PAGE as VirtAddr, access);
    if (code < 0) {
      expect(result).toBe(FAULT_OK);
      expect(rig.cpu.pageFaults).toBe(0);
      expect(rig.mem.words[at]).toBe(before | A | ((access & PF_WRITE) !== 0 ? D : 0));
    } else {
      expect(result).toBe(FAULT_MAPERR);
      expect(rig.faults).toEqual([[USER_PAGE, code]]);
      expect(rig.cpu.errorCode).toBe(code);
      expect(rig.cpu.cr2).toBe(USER_PAGE);
      expect(rig.mem.words[at]).toBe(before); // no A, no D
    }
  });

  test.each([
    ['PML4E with PS', 4, P | US | PS, 0],
    ['PDPTE with PS, bit 29', 3, P | US | PS | (1 << 29), 0],
    ['PDPTE with PS, bit 13', 3, P | US | PS | (1 << 13), 0],
    ['PDE with PS, bit 20', 2, P | US | PS | (1 << 20), 0],
  ])('reserved bits: %s', (_name, level, lo, hi) => {
    const rig = new Rig(config);
    rig.map(USER_PAGE, 0, lo, hi, level);
    rig.load(USER_PAGE);
    expect(rig.faults).toEqual([[USER_PAGE, PF_RSVD | PF_PROT | PF_USER]]);
    expect(rig.cpu.takeFault()).toBe(FAULT_MAPERR);
  });

  test('rights of all levels are and-ed, NX or-ed', () => {
    for (const level of [2, 3, 4]) {
      const rig = new Rig(config);
      rig.map(USER_PAGE, 100, P | RW | US);
      const at = rig.entry(USER_PAGE, level);
      rig.mem.words[at] = rig.mem.words[at] & ~RW;
      rig.mem.words[at + 1] = NX;
      expect(rig.cpu.access(USER_PAGE as VirtAddr, PF_USER)).toBe(FAULT_OK);
      expect(rig.cpu.access(USER_PAGE as VirtAddr, PF_USER | PF_WRITE)).toBe(FAULT_MAPERR);
      expect(rig.cpu.errorCode).toBe(PF_PROT | PF_USER | PF_WRITE);
      expect(rig.cpu.access(USER_PAGE as VirtAddr, PF_USER | PF_INSTR)).toBe(FAULT_MAPERR);
    }
  });
});

describe.each(FORMS)('accesses, %s TLB', (_, config) => {
  test('loads and stores of each width at each alignment, also across pages', () => {
    const rig = new Rig(config);
    const { cpu } = rig;
    rig.map(USER_PAGE, 100, P | RW | US);
    rig.map(USER_PAGE + 4096, 7, P | RW | US);
    const bytes = new DataView(new ArrayBuffer(8192));
    const random = seedrandom.alea('widths');
    for (let i = 0; i < 4000; i++) {
      const near = random.quick() < 0.3 ? 4090 : Math.floor(random.quick() * 8180);
      const at = near + Math.floor(random.quick() * 8);
      const [lo, hi] = [(USER_PAGE + at) | 0, hiOf(USER_PAGE + at)];
      const [v, w] = [random.int32(), random.int32()];
      const width = Math.floor(random.quick() * 4);
      if (random.quick() < 0.5) {
        if (width === 0) cpu.store8(lo, hi, v);
        else if (width === 1) cpu.store16(lo, hi, v);
        else if (width === 2) cpu.store32(lo, hi, v);
        else cpu.store64(lo, hi, v, w);
        if (width === 0) bytes.setInt8(at, v);
        else if (width === 1) bytes.setInt16(at, v, true);
        else bytes.setInt32(at, v, true);
        if (width === 3) bytes.setInt32(at + 4, w, true);
      } else if (width === 0) expect(cpu.load8(lo, hi)).toBe(bytes.getUint8(at));
      else if (width === 1) expect(cpu.load16(lo, hi)).toBe(bytes.getUint16(at, true));
      else if (width === 2) expect(cpu.load32(lo, hi)).toBe(bytes.getInt32(at, true));
      else {
        expect(cpu.load64(lo, hi)).toBe(bytes.getInt32(at, true));
        expect(cpu.high).toBe(bytes.getInt32(at + 4, true));
      }
    }
    expect(cpu.fault).toBe(FAULT_OK);
    expect(rig.faults).toEqual([]);
  });

  test('a store across pages writes nothing where the second page refuses', () => {
    const rig = new Rig(config);
    rig.map(USER_PAGE, 100, P | RW | US);
    rig.map(USER_PAGE + 4096, 101, P | US);
    rig.store(USER_PAGE + 4094, -1);
    expect(rig.faults).toEqual([[USER_PAGE + 4096, PF_PROT | PF_WRITE | PF_USER]]);
    expect(rig.cpu.takeFault()).toBe(FAULT_MAPERR);
    expect(rig.load(USER_PAGE + 4092)).toBe(0);
  });

  test('the faulting address is the first byte that faults', () => {
    const rig = new Rig(config);
    rig.map(USER_PAGE + 4096, 101, P | US);
    rig.load(USER_PAGE + 4094);
    expect(rig.cpu.cr2).toBe(USER_PAGE + 4094);
    expect(rig.cpu.load64((USER_PAGE + 4092) | 0, hiOf(USER_PAGE))).toBe(0);
    expect(rig.cpu.high).toBe(0);
  });

  test('an address that is not canonical is #GP, whatever the TLB holds', () => {
    const rig = new Rig(config);
    const page = 0x12_3400_0000;
    rig.map(page, 100, P | RW | US);
    rig.store(page, 42);
    const [lo, hi] = [page | 0, hiOf(page)];
    expect(rig.load(page)).toBe(42);
    for (const bad of [hi | (1 << 15), hi | (1 << 16), hi | (1 << 22), hi | (1 << 31)]) {
      expect(rig.cpu.load32(lo, bad)).toBe(0);
      expect(rig.cpu.takeFault()).toBe(FAULT_GP);
      rig.cpu.store32(lo, bad, 1);
      expect(rig.cpu.takeFault()).toBe(FAULT_GP);
      expect(rig.cpu.fetch(lo, bad)).toBe(false);
      expect(rig.cpu.takeFault()).toBe(FAULT_GP);
    }
    expect(rig.cpu.pageFaults).toBe(0);
  });

  test('a handled fault is retried; a handler that never helps is a bug', () => {
    const rig = new Rig(config);
    let calls = 0;
    rig.onFault = (va) => {
      if (++calls === 3) rig.map(va, 100, P | RW | US);
      return FAULT_OK;
    };
    rig.store(USER_PAGE, 7);
    expect(calls).toBe(3);
    expect(rig.cpu.takeFault()).toBe(FAULT_OK);
    expect(rig.load(USER_PAGE)).toBe(7);
    rig.onFault = () => FAULT_OK;
    expect(() => rig.load(USER_PAGE + 4096)).toThrow(/faults/);
    expect(rig.faults.length).toBe(3 + MAX_FAULT_RETRIES + 1);
  });

  test('the result of the handler is what the access reports, until it is taken', () => {
    const rig = new Rig(config);
    rig.map(USER_PAGE + 4096, 100, P | US);
    rig.onFault = () => FAULT_ACCERR;
    expect(rig.load(USER_PAGE)).toBe(0);
    rig.load(USER_PAGE + 4096);
    expect(rig.cpu.fault).toBe(FAULT_ACCERR);
    expect(rig.cpu.takeFault()).toBe(FAULT_ACCERR);
    expect(rig.cpu.takeFault()).toBe(FAULT_OK);
  });

  test('the kernel half is refused without asking; a frame outside RAM is a bus error', () => {
    const rig = new Rig(config);
    const kernel = addressOf(0, -0x7780);
    rig.map(kernel, 100, P | RW);
    rig.map(USER_PAGE, 5000, P | RW | US);
    rig.load(kernel);
    expect(rig.cpu.takeFault()).toBe(FAULT_MAPERR);
    expect(rig.cpu.errorCode).toBe(PF_PROT | PF_USER);
    expect(rig.faults).toEqual([]);
    rig.cpu.userMode = false;
    rig.store(kernel, 3);
    expect(rig.load(kernel)).toBe(3);
    expect(rig.cpu.takeFault()).toBe(FAULT_OK);
    rig.cpu.userMode = true;
    rig.load(USER_PAGE);
    expect(rig.cpu.takeFault()).toBe(FAULT_SIGBUS);
  });

  test('a page that was only read shows its first write', () => {
    const rig = new Rig(config);
    rig.map(USER_PAGE, 100, P | RW | US);
    expect(rig.load(USER_PAGE)).toBe(0);
    expect(rig.mem.touchedFrames).toBe(4); // the tables alone
    rig.mem.words[rig.mem.writable(100)] = 9;
    expect(rig.load(USER_PAGE)).toBe(9);
  });

  test('fetches keep to their own right', () => {
    const rig = new Rig(config);
    rig.map(USER_PAGE, 100, P | US);
    rig.map(USER_PAGE + 2 ** 38, 101, P | US, NX); // the same low word
    expect(rig.cpu.fetch(USER_PAGE | 0, hiOf(USER_PAGE))).toBe(true);
    rig.load(USER_PAGE + 2 ** 38);
    expect(rig.cpu.fetch(USER_PAGE | 0, hiOf(USER_PAGE + 2 ** 38))).toBe(false);
    expect(rig.cpu.takeFault()).toBe(FAULT_MAPERR);
    expect(rig.cpu.fetch(USER_PAGE | 0, hiOf(USER_PAGE))).toBe(true);
  });

  test('D is set by the first write, though a read cached the page', () => {
    const rig = new Rig(config);
    const at = rig.map(USER_PAGE, 100, P | RW | US);
    rig.load(USER_PAGE);
    expect(rig.mem.words[at] & (A | D)).toBe(A);
    rig.store(USER_PAGE, 1);
    expect(rig.mem.words[at] & (A | D)).toBe(A | D);
  });
});

describe.each(FORMS)('what software must flush, %s TLB', (name, config) => {
  const [LO, HI] = [USER_PAGE | 0, hiOf(USER_PAGE)];
  /** Two spaces that differ at USER_PAGE: 1 in frame 100, 2 in frame 101. */
  function twoSpaces(flags = P | RW | US): Rig {
    const rig = new Rig(config);
    rig.mem.words[rig.mem.writable(100)] = 1;
    rig.mem.words[rig.mem.writable(101)] = 2;
    rig.map(USER_PAGE, 100, flags);
    rig.mem.writable(50);
    rig.root = 50;
    rig.map(USER_PAGE, 101, flags);
    rig.root = 1;
    return rig;
  }
  const space = (root: number): AddressSpace => ({
    root: root as Pfn,
    handleFault: () => FAULT_MAPERR,
    maps: () => false,
  });

  test('a changed entry is seen after INVLPG', () => {
    const rig = twoSpaces();
    expect(rig.load(USER_PAGE)).toBe(1);
    rig.map(USER_PAGE, 101, P | RW | US);
    expect(rig.load(USER_PAGE)).toBe(1); // stale: that is what a TLB is
    rig.cpu.invlpg(USER_PAGE + 8);
    expect(rig.load(USER_PAGE)).toBe(2);
    rig.map(USER_PAGE, 101, 0);
    rig.cpu.flushAll();
    rig.load(USER_PAGE);
    expect(rig.cpu.takeFault()).toBe(FAULT_MAPERR);
  });

  test('INVLPG drops a large page as a whole', () => {
    const rig = twoSpaces();
    const huge = 0x4000_0000;
    rig.map(huge, 512, P | RW | US | PS, 0, 2);
    for (let i = 0; i < 512; i++) rig.store(huge + i * 4096, i);
    rig.map(huge, 1024, P | RW | US | PS, 0, 2);
    expect(rig.load(huge + 7 * 4096)).toBe(7);
    rig.cpu.invlpg(huge + 300 * 4096);
    for (let i = 0; i < 512; i++) expect(rig.load(huge + i * 4096)).toBe(0);
  });

  test('paging-structure caches keep an upper entry until INVLPG of any address', () => {
    const rig = twoSpaces();
    rig.map(USER_PAGE + 4096, 101, P | US);
    expect(rig.load(USER_PAGE)).toBe(1);
    rig.mem.words[rig.entry(USER_PAGE, 2)] &= ~P;
    expect(rig.load(USER_PAGE + 4096)).toBe(2); // through the cached PDE
    rig.cpu.invlpg(0x1000);
    rig.cpu.invlpg(USER_PAGE + 4096);
    rig.load(USER_PAGE + 4096);
    expect(rig.cpu.takeFault()).toBe(FAULT_MAPERR);
  });

  test('CR3 loads: each space sees its own, with PCIDs kept or without', () => {
    const rig = twoSpaces();
    const { cpu } = rig;
    const [one, two] = [space(1), space(50)];
    for (const [pcid1, pcid2, keep] of [
      [0, 0, false],
      [1, 2, false],
      [1, 2, true],
    ] as const) {
      for (let i = 0; i < 4; i++) {
        cpu.loadSpace(one, pcid1, keep);
        expect(cpu.load32(LO, HI)).toBe(1);
        cpu.loadSpace(two, pcid2, keep);
        expect(cpu.load32(LO, HI)).toBe(2);
        cpu.tlb.check();
      }
    }
    if (name === 'direct') return;
    const misses = cpu.counters().misses;
    cpu.loadSpace(one, 1, true);
    cpu.load32(LO, HI);
    expect(cpu.counters().misses).toBe(misses); // kept under its PCID
    cpu.loadSpace(one, 1);
    cpu.load32(LO, HI);
    expect(cpu.counters().misses).toBe(misses + 1);
  });

  test('global entries outlive a CR3 load, but not INVLPG or a full flush', () => {
    const rig = twoSpaces(P | RW | US | G);
    const { cpu } = rig;
    cpu.loadSpace(space(1), 1);
    expect(cpu.load32(LO, HI)).toBe(1);
    cpu.loadSpace(space(50), 2);
    const kept = cpu.load32(LO, HI);
    expect(kept).toBe(name === 'direct' ? 2 : 1); // the direct form may forget, and does
    cpu.invpcid(3, 0);
    expect(cpu.load32(LO, HI)).toBe(kept);
    cpu.invlpg(USER_PAGE);
    expect(cpu.load32(LO, HI)).toBe(2);
    cpu.loadSpace(space(1), 3);
    cpu.invpcid(2, 0);
    expect(cpu.load32(LO, HI)).toBe(1);
    cpu.control({ pge: false });
    cpu.load32(LO, HI);
    cpu.loadSpace(space(50), 3);
    expect(cpu.load32(LO, HI)).toBe(2); // G means nothing without PGE
  });

  test('INVPCID reaches another PCID, and only it', () => {
    const rig = twoSpaces();
    const { cpu } = rig;
    cpu.loadSpace(space(1), 1);
    cpu.load32(LO, HI);
    cpu.loadSpace(space(50), 2);
    cpu.load32(LO, HI);
    rig.map(USER_PAGE, 101, P | US); // in space 1
    cpu.invpcid(0, 1, USER_PAGE);
    const { misses } = cpu.counters();
    expect(cpu.load32(LO, HI)).toBe(2);
    if (name === 'levels') expect(cpu.counters().misses).toBe(misses);
    cpu.loadSpace(space(1), 1, true);
    expect(cpu.load32(LO, HI)).toBe(2);
    rig.map(USER_PAGE, 100, P | US);
    cpu.loadSpace(space(50), 2, true);
    cpu.invpcid(1, 1);
    cpu.loadSpace(space(1), 1, true);
    expect(cpu.load32(LO, HI)).toBe(1);
  });
});

test('levels count hits and misses, and keep what a set can hold', () => {
  const rig = new Rig(SKYLAKE_TLB);
  for (let i = 0; i < 2000; i++) rig.map(USER_PAGE + i * 4096, 100, P | US);
  const touch = (from: number, to: number): void => {
    for (let i = from; i < to; i++) rig.load(USER_PAGE + i * 4096);
  };
  touch(0, 64);
  touch(0, 64);
  expect(rig.cpu.counters()).toMatchObject({ misses: 64, l1Hits: 64, l2Hits: 0 });
  touch(0, 1536);
  expect(rig.cpu.counters()).toMatchObject({ misses: 1536, l1Hits: 128, evictions: 0 });
  touch(0, 1536);
  const { l1Hits, l2Hits, misses } = rig.cpu.counters();
  expect([l1Hits + l2Hits, misses]).toEqual([64 + 64 + 1536, 1536]);
  touch(1536, 2000);
  expect(rig.cpu.counters()).toMatchObject({ misses: 2000, evictions: 464 });
  rig.cpu.tlb.check();
});

const TINY: TlbConfig = {
  levels: {
    l1: [
      { entries: 4, ways: 2 },
      { entries: 2, ways: 1 },
      { entries: 1, ways: 1 },
    ],
    l2: { entries: 8, ways: 4 },
  },
  structure: [2, 1, 1],
};

// Random tables, random accesses, random flushes: after each step the CPU and the model agree on
// the result, and every table has the same A and D bits.
const RANDOM_FORMS: readonly (readonly [string, TlbConfig, boolean])[] = [
  ['direct', DIRECT_TLB, true],
  ['direct, small pages alone', DIRECT_TLB, false],
  ['levels', SKYLAKE_TLB, true],
  ['tiny levels', TINY, true],
];
describe.each(RANDOM_FORMS)('random tables, %s', (_, config, large) => {
  const PLACES = [
    0x1000, 0x20_0000, 0x4000_0000, 0x7f00_0000_0000, -0x8000_0000_0000, -0x1000_0000,
  ];

  test.each(['a', 'b', 'c'])('seed %s', (seed) => {
    const random = seedrandom.alea(`${seed} mmu`);
    const pick = (n: number): number => Math.floor(random.quick() * n);
    const rig = new Rig(config);
    const other = new Rig(config);
    const { cpu } = rig;
    const model = other.mem;
    let features = { ...LINUX_FEATURES };
    let ac = false;
    const address = (): number => PLACES[pick(PLACES.length)] + pick(4) * 4096 + pick(2) * 2 ** 21;
    const mutate = (): void => {
      const va = address();
      const level = [1, 1, 1, 1, 2, 2, 3, 4][pick(8)];
      const lowest = large && level > 1 && random.quick() < 0.5;
      for (const r of [rig, other]) r.entry(va, lowest ? level : 1);
      const at = [rig, other].map((r) => r.entry(va, level));
      let [lo, hi] = [rig.mem.words[at[0]], rig.mem.words[at[0] + 1]];
      if (level === 1 || lowest) {
        lo =
          ((pick(20) === 0 ? pick(5000) : 1000 + pick(16)) << 12) |
          (random.quick() < 0.9 ? P : 0) |
          (pick(4) * RW) |
          (pick(2) * G);
        hi = pick(3) === 0 ? NX : 0;
        if (random.quick() < 0.04) hi |= 1 << (11 + pick(9));
        if (level > 1) lo = (lo & ~(((1 << (9 * (level - 1))) - 1) << 12)) | PS;
      } else lo ^= [RW, US, A][pick(3)];
      if (pick(4) === 0) lo &= ~(A | D);
      for (const [i, r] of [rig, other].entries()) {
        // A leaf over a table: the table's entries stay as they are, for when it comes back.
        r.mem.words[at[i]] = lo;
        r.mem.words[at[i] + 1] = hi;
      }
      if (level === 1 && random.quick() < 0.7) cpu.invlpg(va);
      else cpu.flushAll();
    };
    for (let step = 0; step < 3000; step++) {
      const what = random.quick();
      if (what < 0.1) mutate();
      else if (what < 0.11) {
        features = {
          wp: pick(2) > 0,
          nxe: pick(4) > 0,
          smep: pick(2) > 0,
          smap: pick(2) > 0,
          pge: true,
          pcide: true,
        };
        cpu.control(features);
      } else if (what < 0.13) cpu.ac = ac = !ac;
      else {
        const va = address() + pick(1024) * 4;
        const access = pick(2) * PF_USER + [0, PF_WRITE, PF_INSTR][pick(3)];
        const expected = modelAccess(model, 1, va, access, features, ac);
        cpu.userMode = (access & PF_USER) !== 0;
        const before = cpu.pageFaults;
        const isFetch = (access & PF_INSTR) !== 0;
        const word = isFetch ? 0 : cpu.touch(va | 0, hiOf(va), (access & PF_WRITE) !== 0);
        const ok = isFetch ? cpu.fetch(va | 0, hiOf(va)) : word >= 0;
        const inRam = Number(expected.physical >> 12n) < rig.mem.nrFrames;
        const fault = cpu.takeFault();
        expect(ok, `step ${step}: ${va.toString(16)} ${access}`).toBe(
          expected.errorCode < 0 && inRam,
        );
        if (expected.errorCode >= 0) {
          const code = features.nxe || features.smep ? -1 : ~PF_INSTR;
          expect(cpu.pageFaults).toBe(before + 1);
          expect(cpu.errorCode, `step ${step}`).toBe(expected.errorCode & code);
        } else if (!inRam) expect(fault).toBe(FAULT_SIGBUS);
        else if (!isFetch) {
          const pfn = Number(expected.physical >> 12n);
          const slot = rig.mem.readable(pfn) + ((va & 0xfff) >> 2);
          expect(word, `step ${step}`).toBe(slot);
          expect(cpu.peek(va)).toBe(Number(expected.physical));
        }
      }
      if (step % 4 === 0) cpu.tlb.check();
      if (step % 50 === 0) {
        for (let pfn = 1; pfn < 60; pfn++) {
          const [a, b] = [rig.mem.readable(pfn), model.readable(pfn)];
          const same = Array.from(
            { length: 1024 },
            (_, i) => rig.mem.words[a + i] === model.words[b + i],
          );
          expect(same.every(Boolean), `step ${step}: table ${pfn}`).toBe(true);
        }
      }
    }
  });
});
