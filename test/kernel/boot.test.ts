// Machines as a real Linux 6.1 booted them: DIR/mMEGABYTEScCPUS with the kernel's own files.
// PAGEWALK_CONFORMANCE/boot, where it is set, is run as well.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type BootedMemory, KERNEL_PHYS, bootMemory } from '../../kernel/boot.ts';
import { slabReport, zoneReports } from '../../kernel/boot_report.ts';
import { GFP_HIGHUSER_MOVABLE, GFP_KERNEL, __GFP_DMA } from '../../kernel/gfp.ts';
import { parseE820, ramFrames, usableRanges } from '../../kernel/memory_map.ts';
import { procPagetypeinfo, procZoneinfo } from '../../kernel/proc-zones.ts';
import { parseSrat } from '../../kernel/srat.ts';
import { parseSlabinfo } from '../../tools/slabinfo.ts';

const own = fileURLToPath(new URL('../conformance/boot', import.meta.url));
const more = join(process.env['PAGEWALK_CONFORMANCE'] ?? '/nowhere', 'boot');
const folders = [own, more]
  .filter((dir) => existsSync(dir))
  .flatMap((dir) => readdirSync(dir).map((name) => join(dir, name)))
  .filter((dir) => /m\d+c\d+$/.test(dir));

interface RealZone {
  readonly key: string;
  readonly managed: number;
  readonly start: number;
  readonly end: number;
}

/** The zones with frames, keyed as `managed` names them. */
function realZones(zoneinfo: string): RealZone[] {
  return zoneinfo
    .split(/^(?=Node \d+, zone)/m)
    .map((text) => {
      const [, node, name] = /^Node (\d+), zone +(\w+)/.exec(text) ?? [];
      const of = (field: string): number =>
        Number(new RegExp(`\\b${field}:? +(\\d+)`).exec(text)?.[1] ?? 0);
      const start = of('start_pfn');
      const key = node === '0' ? name : `${node}/${name}`;
      return { key, managed: of('managed'), start, end: start + of('spanned') };
    })
    .filter((zone) => zone.managed > 0);
}

/** Frames of each zone without those that Linux gave back after it had set its watermarks. */
function managedThen(dmesg: string, zoneinfo: string): Record<string, number> {
  const zones = realZones(zoneinfo);
  const managed = Object.fromEntries(zones.map(({ key, managed: frames }) => [key, frames]));
  const initrd = parseInt(/RAMDISK: \[mem 0x([0-9a-f]+)/.exec(dmesg)?.[1] ?? '1000000', 16) / 4096;
  for (const [, what, kib] of dmesg.matchAll(/Freeing (initrd|unused [^:]*) ?memory: (\d+)K/g)) {
    const pfn = what === 'initrd' ? initrd : KERNEL_PHYS / 4096;
    const zone = zones.find((z) => z.start <= pfn && pfn < z.end);
    if (zone !== undefined) managed[zone.key] -= Number(kib) / 4;
  }
  return managed;
}

function bootCase(folder: string): BootedMemory {
  const dmesg = readFileSync(join(folder, 'dmesg.txt'), 'utf8');
  const zoneinfo = readFileSync(join(folder, 'zoneinfo.txt'), 'utf8');
  const cpus = Number(/c(\d+)$/.exec(folder)?.[1]);
  const srat = parseSrat(dmesg);
  const distances = join(folder, 'distance.txt');
  return bootMemory({
    e820: parseE820(dmesg),
    cpus,
    managed: managedThen(dmesg, zoneinfo),
    ...(srat === undefined ? {} : { srat }),
    ...(existsSync(distances)
      ? { distance: readFileSync(distances, 'utf8').trim().split('\n').map(numbers) }
      : {}),
  });
}

function numbers(text: string): number[] {
  return text.trim().split(/\s+/).map(Number);
}

describe.each(folders)('%s', (folder) => {
  const machine = bootCase(folder);
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

  test('watermarks, spans, protection and per-CPU lists are the real kernel’s', () => {
    const ours = procZoneinfo(machine, () => []);
    const pick = (text: string): string[] =>
      text
        .split('\n')
        .map((line) => line.trim().replace(/\s+/g, ' '))
        .filter((l) => /^(Node|boost|min|low|high|spanned|present|protection|start_pfn)\b/.test(l))
        .filter((l) => !/^high (0|\d+)$/.test(l) || !l.startsWith('high:'));
    expect(pick(ours)).toEqual(pick(read('zoneinfo.txt')));
    const sets = (text: string): string[] => text.match(/(high|batch|threshold): +\d+/g) ?? [];
    const squeeze = (rows: string[]): string[] => rows.map((row) => row.replace(/ +/g, ' '));
    expect(squeeze(sets(ours))).toEqual(squeeze(sets(read('zoneinfo.txt'))));
    const minFree = Number(read('sys_vm_min_free_kbytes.txt'));
    expect(machine.figures.minFreeKbytes).toBe(minFree);
  });

  test('nodes fall back to each other in its order', () => {
    const real = [...read('dmesg.txt').matchAll(/Fallback order for Node \d+: ([\d ]+)/g)];
    if (real.length === 0) expect(machine.nrNodes).toBe(1);
    else expect(machine.alloc.lists.nodeOrder).toEqual(real.map(([, order]) => numbers(order)));
  });

  test('pageblocks are', () => {
    const sums = (text: string): number[] =>
      [...text.matchAll(/^Node \d+, zone +\w+((?: +\d+)+) *$/gm)].map((m) =>
        m[1]
          .trim()
          .split(/ +/)
          .reduce((a, b) => a + Number(b), 0),
      );
    expect(sums(procPagetypeinfo(machine))).toEqual(sums(read('pagetypeinfo.txt')));
  });

  test('every slab cache is laid out as the real one', () => {
    for (const cache of parseSlabinfo(read('slabinfo.txt'), 'slabinfo')) {
      const { objperslab, pagesperslab } = slabReport(cache.objsize, machine.cpus);
      const real = [cache.objperslab, cache.pagesperslab];
      expect([objperslab, pagesperslab], cache.name).toEqual(real);
    }
  });
});

describe('memory maps', () => {
  test('partial pages, page 0 and the legacy hole are cut away', () => {
    const rows = parseE820(
      'BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable\n' +
        'noise\nBIOS-e820: [mem 0x00000000000e0000-0x0000000000200fff] usable\n' +
        '[ 0.1] BIOS-e820: [mem 0x0000000000180800-0x00000000001807ff1] ACPI data\n',
    );
    expect(usableRanges(rows)[0]).toEqual({ start: 0x1000, end: 0x9fc00 });
    expect(ramFrames(rows).map((r) => [r.startPfn, r.endPfn])).toEqual([
      [1, 0x9f],
      [0x100, 0x180],
    ]);
  });

  test.each([
    ['', 'e820: no line'],
    ['BIOS-e820: [mem 0x2000-0x1000] usable', 'e820:1: the range'],
  ])('%j is refused', (text, message) => {
    expect(() => parseE820(text)).toThrow(message);
  });

  test.each([
    ['ACPI: SRAT: Node 0 PXM 0 [mem 0x2000-0x1000]', 'srat:1: the range 2000-1000 is empty'],
    [
      'SRAT: Node 0 PXM 0 [mem 0x0-0xfff]\nSRAT: Node 1 PXM 1 [mem 0x800-0x1fff]',
      'srat:2: the range 800-1fff belongs to another node as well',
    ],
  ])('nodes %j are refused', (text, message) => {
    expect(() => parseSrat(text)).toThrow(message);
  });

  test('too little RAM for a kernel is refused', () => {
    expect(() => bootMemory({ ram: 2 ** 20 })).toThrow('no kernel fits');
  });
});

describe('several nodes', () => {
  const machine = bootMemory({
    ram: 8 * 2 ** 30,
    cpus: 4,
    nodes: [2 ** 32, 2 ** 31, 2 ** 31],
    distance: [
      [10, 20, 30],
      [20, 10, 15],
      [30, 15, 10],
    ],
  });
  const { alloc } = machine;

  test('each has its zones', () => {
    const zones = zoneReports(machine);
    expect(Object.entries(zones).flatMap(([name, z]) => (z.present > 0 ? [name] : []))).toEqual(
      ['DMA', 'DMA32', 'Normal', '1/Normal', '2/Normal'].filter(
        (name) => name !== 'Normal' || zones['Normal'].present > 0,
      ),
    );
  });

  test('falls back to the nearest first', () => {
    expect(alloc.lists.nodeOrder).toEqual([
      [0, 1, 2],
      [1, 2, 0],
      [2, 1, 0],
    ]);
  });

  test('a CPU gets memory of its own node, and of the nearest when that is full', () => {
    alloc.cpu = 1;
    const first = alloc.alloc(GFP_HIGHUSER_MOVABLE, 0);
    expect(alloc.zoneOf(first).node).toBe(1);
    let pfn = first;
    let n = 0;
    while (alloc.zoneOf(pfn).node === 1) {
      pfn = alloc.alloc(GFP_HIGHUSER_MOVABLE, 10);
      n++;
    }
    expect(alloc.zoneOf(pfn).node).toBe(2);
    expect(n).toBeGreaterThan(400);
    const dma = alloc.alloc(GFP_KERNEL | __GFP_DMA, 0);
    expect(alloc.zoneOf(dma).name).toBe('DMA');
  });
});
