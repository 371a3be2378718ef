// ELF cores: their headers and bytes, and what drgn reads and translates with them.

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { directMap, START_KERNEL_MAP } from '../../kernel/kaddr.ts';
import { hex, PAGE_SIZE } from '../../kernel/types.ts';
import { writeVmcore } from '../../tools/export-vmcore.ts';
import { presentPages } from '../../tools/image.ts';
import { newProcess, ProcessMemory } from '../../runtime/process-memory.ts';
import { System } from '../../userspace/system.ts';

const system = new System({ ram: 2 ** 28 });
const { machine } = system;
const { mem } = machine;
const folder = mkdtempSync(join(tmpdir(), 'pagewalk-core-'));
const path = join(folder, 'vmcore');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const task = newProcess(system, 'written');
const memory = new ProcessMemory(system, task);
const at = memory.mmap(0, 64 * PAGE_SIZE, 3, 0x22);
for (let i = 0; i < 64; i += 3) memory.store32(at + i * PAGE_SIZE + 4 * i, 0x1000 + i);
const segments = writeVmcore(machine, path);

/** A frame's bytes, as the machine has them. */
function frame(pfn: number): Buffer {
  const from = mem.readable(pfn) * 4;
  return Buffer.from(mem.bytes.subarray(from, from + PAGE_SIZE));
}

test('each byte of RAM lies where a program header says', () => {
  const file = readFileSync(path);
  expect(file.subarray(0, 6)).toEqual(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]));
  expect(file.readUInt16LE(16)).toBe(4); // ET_CORE
  const loads = [];
  for (let i = 0; i < file.readUInt16LE(56); i++) {
    const h = file.subarray(64 + 56 * i, 120 + 56 * i);
    const [offset, va, pa, bytes] = [8, 16, 24, 32].map((n) => Number(h.readBigInt64LE(n)));
    if (h.readUInt32LE(0) === 1) loads.push({ va: va, pa: pa, bytes: bytes, offset: offset });
    else expect(file.toString('latin1', offset, offset + bytes)).toContain('swapper_pg_dir');
  }
  expect(loads).toEqual(segments);
  for (const range of machine.booted.memblock.memory) {
    for (let pfn = range.startPfn; pfn < range.endPfn; pfn++) {
      if (mem.slotOf[pfn] === 0) continue;
      const load = loads.find((s) => s.pa <= pfn * PAGE_SIZE && pfn * PAGE_SIZE < s.pa + s.bytes)!;
      expect(load.va - load.pa).toBe(directMap(0));
      const from = load.offset + pfn * PAGE_SIZE - load.pa;
      expect(file.subarray(from, from + PAGE_SIZE).equals(frame(pfn))).toBe(true);
    }
  }
  expect(loads.some((s) => s.va - s.pa === START_KERNEL_MAP)).toBe(true);
});

const python = process.env['PAGEWALK_PYTHON'] ?? 'python3';
const hasDrgn = spawnSync(python, ['-c', 'import drgn']).status === 0;
if (!hasDrgn) console.warn('skipped: drgn is not installed (pip install drgn)');

const DRGN = `
import _drgn, drgn, hashlib, json, sys
prog = drgn.Program()
prog.set_core_dump(sys.argv[1])
asked = json.load(sys.stdin)
sha = lambda data: hashlib.sha1(data).hexdigest()
follow = getattr(_drgn, '_linux_helper_follow_phys', None)
answers = []
for va, pa in asked['pages']:
    va, pa = int(va, 16), int(pa, 16)
    through = sha(_drgn._linux_helper_read_vm(prog, int(asked['pgd'], 16), va, 4096))
    to = follow(prog, int(asked['pgd'], 16), va) if follow else pa
    answers.append([sha(prog.read(pa, 4096, physical=True)), through, hex(to)])
kernel = [sha(prog.read(int(va, 16), 4096)) for va in asked['kernel']]
print(json.dumps({'pages': answers, 'kernel': kernel}))
`;

test.skipIf(!hasDrgn)("drgn's reads and translations agree with ours", () => {
  const { root } = task.mm;
  const present = [...presentPages(machine, root)].filter(([va]) => va >= 0);
  const pages = present.map(([va, pa]) => [hex(va), hex(pa)]);
  // Through swapper_pg_dir and the core's own headers: the image, the direct map, a vmemmap page.
  const kernelPages = [...presentPages(machine, machine.kernelRoot)].filter(([va]) => va < 0);
  const some = kernelPages.filter((_, i) => i % 7 === 0).slice(0, 300);
  const input = JSON.stringify({
    pgd: hex(directMap(root)),
    pages,
    kernel: some.map(([va]) => hex(va)),
  });
  const out = execFileSync(python, ['-c', DRGN, path], { input, encoding: 'utf8' });
  const got = JSON.parse(out) as { pages: string[][]; kernel: string[] };
  const sha = (pfn: number): string => createHash('sha1').update(frame(pfn)).digest('hex');
  expect(got.pages).toHaveLength(present.length);
  expect(present.length).toBeGreaterThan(20);
  present.forEach(([, pa], i) => {
    expect(got.pages[i]).toEqual([sha(pa / PAGE_SIZE), sha(pa / PAGE_SIZE), hex(pa)]);
  });
  expect(got.kernel).toEqual(some.map(([, pa]) => sha(pa / PAGE_SIZE)));
});
