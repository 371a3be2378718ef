import seedrandom from 'seedrandom';
import { describe, expect, test } from 'vitest';
import { MAX_FAULT_RETRIES } from '../../kernel/mmu.ts';
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
} from '../../kernel/ports.ts';
import { addressOf, hiOf, type VirtAddr } from '../../kernel/types.ts';
import { type CpuFeatures } from '../../kernel/walker.ts';
import { P, RW, US, A, D, PS, NX, USER_PAGE, FORMS, Rig } from '../support/mmu-rig.ts';

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
