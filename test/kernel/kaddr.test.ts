import { describe, expect, test } from 'vitest';
import {
  PAGE_OFFSET,
  START_KERNEL_MAP,
  VMALLOC_START,
  checkKernelSpace,
  directMap,
  directMapPfn,
  imageParts,
  structPage,
} from '../../kernel/kaddr.ts';
import { KERNEL_PHYS } from '../../kernel/boot.ts';
import { Machine } from '../../kernel/machine.ts';
import { Cpu } from '../../kernel/mmu.ts';
import { FAULT_MAPERR, FAULT_OK, PF_INSTR, PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { SIZE_1G, SIZE_2M, SIZE_4K } from '../../kernel/tlb-array.ts';
import { hex, type VirtAddr } from '../../kernel/types.ts';

const GIB = 2 ** 30;

function cpuOf(machine: Machine): Cpu {
  const cpu = new Cpu(0, machine.mem);
  cpu.loadSpace({
    root: machine.kernelRoot,
    handleFault: () => FAULT_MAPERR,
    maps: () => false,
    clearYoung: () => 0,
  });
  cpu.userMode = false;
  return cpu;
}

test('the addresses are those of Documentation/arch/x86/x86_64/mm.rst', () => {
  expect(hex(PAGE_OFFSET)).toBe('0xffff888000000000');
  expect(hex(VMALLOC_START)).toBe('0xffffc90000000000');
  expect(hex(structPage(0))).toBe('0xffffea0000000000');
  expect(hex(START_KERNEL_MAP + KERNEL_PHYS)).toBe('0xffffffff81000000');
  expect(directMapPfn(directMap(123456) + 4095)).toBe(123456);
});

describe.each([
  ['128 MiB', { ram: GIB / 8 }],
  ['1 GiB', { ram: GIB }],
  ['64 GiB', { ram: 64 * GIB }],
  ['1 TiB', { ram: 1024 * GIB }],
  ['two nodes', { ram: 4 * GIB, nodes: [2 * GIB - 97 * 4096, Infinity] }],
  [
    'holes',
    {
      e820: [
        { start: 0x1000, end: 0x9fc00, type: 'usable' },
        { start: 0x100000, end: 0xbffe0000, type: 'usable' },
        { start: 0x1_0000_0000, end: 0x1_4000_5000, type: 'usable' },
      ],
    },
  ],
])('kernel half of a machine: %s', (_, config) => {
  const machine = new Machine(config);
  const { layout } = machine.booted;

  test('RAM and its records are mapped', () => {
    checkKernelSpace(machine.mem, machine.kernelRoot, layout);
  });

  test('every edge of RAM is where it should be, and what is no RAM is not mapped', () => {
    const cpu = cpuOf(machine);
    for (const { startPfn, endPfn } of layout.ram) {
      expect(cpu.peek(directMap(startPfn))).toBe(startPfn * 4096);
      expect(cpu.peek(directMap(endPfn) - 1)).toBe(endPfn * 4096 - 1);
      const isRam = (pfn: number): boolean =>
        layout.ram.some((r) => pfn >= r.startPfn && pfn < r.endPfn);
      if (!isRam(startPfn - 1)) expect(cpu.peek(directMap(startPfn) - 1)).toBe(-1);
      if (!isRam(endPfn)) expect(cpu.peek(directMap(endPfn))).toBe(-1);
    }
    expect(cpu.peek(directMap(0xa0))).toBe(-1); // the video memory's hole
  });

  test('the supervisor may read and write RAM, execute text alone, and write no text', () => {
    const cpu = cpuOf(machine);
    const { rodata, data } = imageParts(layout.imageStart, layout.imageBytes);
    const free = layout.ram[layout.ram.length - 1].endPfn - 1;
    const at = (va: number, access: number): number => cpu.access(va as VirtAddr, access);
    expect(at(directMap(free), PF_WRITE)).toBe(FAULT_OK);
    expect(at(directMap(free), PF_INSTR)).toBe(FAULT_MAPERR);
    expect(at(directMap(free), PF_USER)).toBe(FAULT_MAPERR);
    for (const [place, readOnly, text] of [
      [KERNEL_PHYS, true, true],
      [rodata, true, false],
      [data, false, false],
    ] as const) {
      const write = readOnly ? FAULT_MAPERR : FAULT_OK;
      expect(at(START_KERNEL_MAP + place, 0)).toBe(FAULT_OK);
      expect(at(START_KERNEL_MAP + place, PF_WRITE)).toBe(write);
      expect(at(directMap(place / 4096), PF_WRITE)).toBe(write);
      expect(at(START_KERNEL_MAP + place, PF_INSTR)).toBe(text ? FAULT_OK : FAULT_MAPERR);
      expect(at(START_KERNEL_MAP + place, PF_USER)).toBe(FAULT_MAPERR);
    }
  });

  test('the largest pages that fit', () => {
    const cpu = cpuOf(machine);
    const size = (va: number): number => {
      expect(cpu.access(va as VirtAddr, 0)).toBe(FAULT_OK);
      return cpu.walker.size;
    };
    expect(size(directMap(1))).toBe(SIZE_4K);
    expect(size(directMap(0x1000))).toBe(SIZE_2M);
    expect(size(structPage(0x1000))).toBe(SIZE_2M);
    if (layout.ram[layout.ram.length - 1].endPfn >= 2 ** 19) {
      expect(size(directMap(2 ** 18))).toBe(SIZE_1G);
    }
  });
});

test('tables of a large machine are few, and its frames are accounted for', () => {
  const machine = new Machine({ ram: 1024 * GIB });
  const { memblock } = machine.booted;
  const tables = memblock.reserved.filter((area) => area.name === 'page tables');
  const frames = tables.reduce((sum, area) => sum + area.endPfn - area.startPfn, 0);
  expect(frames).toBeLessThan(128);
  expect(machine.mem.touchedFrames).toBeLessThan(32);
  expect(memblock.areaOf(machine.kernelRoot)?.name).toBe('page tables');
});

test('a check that can fail: a direct map that lacks a page', () => {
  const machine = new Machine({ ram: GIB });
  const { mem, kernelRoot, booted } = machine;
  const at = mem.readable(kernelRoot) + 273 * 2; // PGD entry of the direct map
  mem.words[at] = 0;
  expect(() => {
    checkKernelSpace(mem, kernelRoot, booted.layout);
  }).toThrow(/direct map/);
});
