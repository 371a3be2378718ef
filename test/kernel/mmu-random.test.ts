import seedrandom from 'seedrandom';
import { describe, expect, test } from 'vitest';
import { FAULT_SIGBUS, PF_INSTR, PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { DIRECT_TLB, SKYLAKE_TLB, type TlbConfig } from '../../kernel/tlb.ts';
import { hiOf } from '../../kernel/types.ts';
import { LINUX_FEATURES } from '../../kernel/walker.ts';
import { modelAccess } from '../support/model-mmu.ts';
import { P, RW, US, A, D, PS, G, NX, Rig } from '../support/mmu-rig.ts';

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
