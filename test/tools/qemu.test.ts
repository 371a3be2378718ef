// Another x86 MMU walks our RAM: every translation of QEMU's is ours, mapped and unmapped.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import seedrandom from 'seedrandom';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { directMap, structPage } from '../../kernel/kaddr.ts';
import { PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { addressOf, hex } from '../../kernel/types.ts';
import { peekWalk } from '../../kernel/walker.ts';
import { presentPages, writeRamImage, type PresentPage } from '../../tools/image.ts';
import { System, Syscalls, access, type Task } from '../../userspace/index.ts';
import { Qemu, hasQemu } from '../support/qemu.ts';

const RAM = 2.5 * 2 ** 30; // the direct map has a page of 1 GiB
const HUGE = 2 ** 21;
const PRIVATE = 0x22;
const SHARED = 0x21;
const MADV_HUGEPAGE = 14;

const available = hasQemu();
if (!available) console.warn('qemu-system-x86_64 is not installed: its MMU is not asked.');

/** Three processes with small, huge, shared, copied and forgotten pages. */
function populate(system: System): Task[] {
  const sys = new Syscalls(system);
  const random = seedrandom.alea('qemu');
  const first = system.spawn('first');
  const touch = (task: Task, va: number, write: boolean): void => {
    expect(access(task, va, write ? PF_USER | PF_WRITE : PF_USER)).toBe(0);
  };
  for (const [at, pages, flags] of [
    [0x40_0000, 300, PRIVATE],
    [0x7f00_0000_0000, 700, PRIVATE],
    [0x5555_5555_4000, 40, SHARED],
    [0x7fff_f7ff_0000, 8, PRIVATE],
  ] as const) {
    expect(sys.mmap(first, at, pages * 4096, 3, flags | 0x10, -1, 0)).toBe(at);
    for (let i = 0; i < pages; i++) {
      if (random.quick() < 0.7) touch(first, at + i * 4096, random.quick() < 0.6);
    }
  }
  const huge = sys.mmap(first, 0x7000_0000_0000, 8 * HUGE, 3, PRIVATE | 0x10, -1, 0);
  expect(sys.madvise(first, huge, 8 * HUGE, MADV_HUGEPAGE)).toBe(0);
  for (let i = 0; i < 8; i += 2) touch(first, huge + i * HUGE + 12345, true);
  const second = sys.fork(first) as Task;
  for (let i = 0; i < 300; i += 3) touch(second, 0x40_0000 + i * 4096, true);
  expect(sys.munmap(second, 0x7f00_0000_0000, 100 * 4096)).toBe(0);
  expect(sys.mprotect(second, 0x7f00_0010_0000, 100 * 4096, 0)).toBe(0);
  return [first, second, system.spawn('empty')];
}

describe.skipIf(!available)("QEMU's MMU walks the image of our RAM", () => {
  const system = new System({ ram: RAM });
  const { machine } = system;
  const folder = mkdtempSync(join(tmpdir(), 'pagewalk-image-'));
  const image = join(folder, 'ram.bin');
  const tasks = populate(system);
  const random = seedrandom.alea('addresses');
  let qemu: Qemu;

  beforeAll(async () => {
    writeRamImage(machine, image);
    qemu = await Qemu.start(image, machine.mem.nrFrames * 4096);
  }, 60_000);

  afterAll(() => {
    qemu.stop();
    rmSync(folder, { recursive: true });
  });

  async function compare(addresses: readonly number[], root: number): Promise<number> {
    await qemu.setRoot(root * 4096);
    let mapped = 0;
    for (const va of addresses) {
      const ours = peekWalk(machine.mem, root, va);
      expect(await qemu.translate(hex(va)), hex(va)).toBe(ours);
      if (ours >= 0) mapped++;
    }
    return mapped;
  }

  const inside = ([va, , size]: PresentPage): number => va + Math.floor(random.quick() * size);

  test.each([0, 1, 2])('every page of process %i', async (i) => {
    const root = tasks[i].mm.root;
    const user = [...presentPages(machine, root)].filter(([va]) => va >= 0);
    const mapped = await compare(user.map(inside), root);
    expect(mapped).toBe(user.length);
    if (i === 0) expect(user.filter(([, , size]) => size === HUGE)).toHaveLength(4);
    expect(user.length > 500).toBe(i < 2);
    // The neighbours of each page and random addresses: mostly unmapped.
    const near = user.slice(0, 300).flatMap(([va, , size]) => [va - 1, va + size]);
    const anywhere = Array.from({ length: 300 }, () =>
      addressOf(random.int32(), Math.floor(random.quick() * 0x8000)),
    );
    await compare([...near.filter((va) => va >= 0), ...anywhere], root);
  });

  test('the kernel half: pages of all three sizes, and holes', async () => {
    const root = tasks[0].mm.root;
    const kernel = [...presentPages(machine, root)].filter(([va]) => va < 0);
    const sizes = new Map<number, number>();
    for (const [, , size] of kernel) sizes.set(size, (sizes.get(size) ?? 0) + 1);
    expect([...sizes.keys()].sort((a, b) => a - b)).toEqual([4096, HUGE, 2 ** 30]);
    const sample = kernel.filter(([, , size], i) => size === 2 ** 30 || i % 3 === 0);
    expect(await compare(sample.map(inside), root)).toBe(sample.length);
    const edges = machine.booted.layout.ram.flatMap(({ startPfn, endPfn }) => [
      directMap(startPfn),
      directMap(startPfn) - 1,
      directMap(endPfn),
      directMap(endPfn) - 1,
      structPage(startPfn),
      structPage(endPfn),
    ]);
    const anywhere = Array.from({ length: 300 }, () =>
      addressOf(random.int32(), -1 - Math.floor(random.quick() * 0x8000)),
    );
    await compare([...edges, ...anywhere], root);
    expect(await compare(sample.slice(0, 100).map(inside), tasks[2].mm.root)).toBe(100);
  });
});
