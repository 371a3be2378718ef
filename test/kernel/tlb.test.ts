import seedrandom from 'seedrandom';
import { describe, expect, test } from 'vitest';
import { FAULT_MAPERR, type AddressSpace } from '../../kernel/ports.ts';
import { DIRECT_TLB, SKYLAKE_TLB } from '../../kernel/tlb.ts';
import { hiOf, type Pfn } from '../../kernel/types.ts';
import { P, RW, US, PS, G, USER_PAGE, FORMS, Rig } from '../support/mmu-rig.ts';

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
    clearYoung: () => 0,
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

test.each([
  ['direct', DIRECT_TLB],
  ['levels', SKYLAKE_TLB],
])('touchAll() is touch() many times, %s', (_, config) => {
  const random = seedrandom.alea('touchAll');
  const refs = new Int32Array(2 * 5000);
  for (let i = 0; i < 5000; i++) {
    const page = Math.floor(random.quick() ** 4 * 3000);
    const va = USER_PAGE + page * 4096 + Math.floor(random.quick() * 1024) * 4;
    const repeat = i > 0 && random.quick() < 0.6;
    refs[2 * i] = repeat ? (refs[2 * i - 2] & ~1) ^ 64 : va | 0;
    refs[2 * i] = refs[2 * i] | (random.quick() < 0.3 ? 1 : 0);
    refs[2 * i + 1] = repeat ? refs[2 * i - 1] : hiOf(va);
  }
  const counts = [true, false].map((atOnce) => {
    const rig = new Rig(config);
    for (let i = 0; i < 3000; i++) rig.map(USER_PAGE + i * 4096, 100 + (i % 50), P | RW | US);
    const { cpu } = rig;
    if (atOnce) expect(cpu.touchAll(refs, 5000)).toBe(5000);
    else
      for (let i = 0; i < 5000; i++) cpu.touch(refs[2 * i], refs[2 * i + 1], (refs[2 * i] & 1) > 0);
    cpu.tlb.check();
    return cpu.counters();
  });
  expect(counts[0]).toEqual(counts[1]);
  expect(counts[0].misses).toBeGreaterThan(100);
});

test('touchAll() stops at the access that faults', () => {
  const rig = new Rig(SKYLAKE_TLB);
  rig.map(USER_PAGE, 100, P | US);
  const [lo, hi] = [USER_PAGE | 0, hiOf(USER_PAGE)];
  expect(rig.cpu.touchAll(Int32Array.of(lo, hi, lo + 8, hi, lo + 1, hi, lo, hi), 4)).toBe(2);
  expect(rig.cpu.takeFault()).toBe(FAULT_MAPERR);
});
