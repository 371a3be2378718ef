// /proc/slabinfo, /proc/vmallocinfo and /proc/iomem: the kernel's own memory as text.
// Source: Linux 6.18 mm/slab_common.c slab_show(), mm/vmalloc.c vmalloc_info_show(),
// kernel/resource.c r_show().

import type { BootedMemory } from './boot.ts';
import { PAGE_OFFSET, imageParts } from './kaddr.ts';
import type { E820Row } from './memory_map.ts';
import type { SlabHeap } from './slab_common.ts';
import { freeInPartial } from './slab_inspect.ts';
import { tableIndex } from './pgtable.ts';
import { _PAGE_PRESENT, _PAGE_PSE, ptePfn } from './pte.ts';
import { PAGE_SIZE, PMD_SIZE, PUD_SIZE, alignDown, hex } from './types.ts';
import type { Vmalloc } from './vmalloc.ts';

const SLABINFO_HEAD =
  'slabinfo - version: 2.1\n' +
  '# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> ' +
  ': tunables <limit> <batchcount> <sharedfactor> ' +
  ': slabdata <active_slabs> <num_slabs> <sharedavail>\n';

/** /proc/slabinfo, newest cache first, as Linux lists them. */
export function procSlabinfo(heap: SlabHeap): string {
  let text = SLABINFO_HEAD;
  for (const cache of heap.caches.reverse()) {
    const { layout, nrObjects, nrSlabs } = cache;
    const active = nrObjects - freeInPartial(cache);
    text +=
      `${cache.name.padEnd(17)} ${pad(active, 6)} ${pad(nrObjects, 6)} ${pad(layout.size, 6)} ` +
      `${pad(layout.objects, 4)} ${pad(2 ** layout.order, 4)} : tunables    0    0    0 ` +
      `: slabdata ${pad(nrSlabs, 6)} ${pad(nrSlabs, 6)} ${pad(0, 6)}\n`;
  }
  return text;
}

/** /proc/vmallocinfo, in ascending order. */
export function procVmallocinfo(vmalloc: Vmalloc): string {
  return vmalloc.areas
    .map((area) => {
      const range = `${hex(area.start)}-${hex(area.start + area.size)}`;
      let line = `${range} ${pad(area.size, 7)} ${area.caller}`;
      if (area.kind === 'vmalloc') line += ` pages=${area.pages.length} vmalloc`;
      else if (area.kind === 'ioremap') line += ` phys=0x${hex16(area.phys)} ioremap`;
      else line += ' vmap';
      return line + '\n';
    })
    .join('');
}

/** A line of /proc/iomem; `end` is inclusive. */
interface Resource {
  readonly start: number;
  readonly end: number;
  readonly name: string;
  readonly level: number;
}

/** /proc/iomem: the memory map with the kernel's place in it. */
export function procIomem(machine: BootedMemory, rows: readonly E820Row[]): string {
  const resources: Resource[] = [];
  for (const row of rows) {
    const name = row.type === 'usable' ? 'System RAM' : capital(row.type);
    // page 0 is the firmware's
    const start = row.start === 0 && row.type === 'usable' ? PAGE_SIZE : row.start;
    if (start !== row.start)
      resources.push({ start: 0, end: start - 1, name: 'Reserved', level: 0 });
    if (start < row.end) resources.push({ start, end: row.end - 1, name, level: 0 });
  }
  const { imageStart, imageBytes } = machine.layout;
  const parts = imageParts(imageStart, imageBytes);
  const image: [string, number, number][] = [
    ['Kernel code', imageStart, parts.rodata],
    ['Kernel rodata', parts.rodata, parts.data],
    ['Kernel data', parts.data, parts.end],
  ];
  for (const [name, start, end] of image) {
    if (start < end) resources.push({ start, end: end - 1, name, level: 1 });
  }
  resources.sort((a, b) => a.start - b.start || a.level - b.level);
  return resources
    .map(
      ({ start, end, name, level }) =>
        `${'  '.repeat(level)}${hex8(start)}-${hex8(end)} : ${name}\n`,
    )
    .join('');
}

/** Bytes of RAM that the direct map has in pages of 4 KiB, 2 MiB and 1 GiB. */
export function directMapBytes(machine: BootedMemory): [number, number, number] {
  const sums = new Map([PAGE_SIZE, PMD_SIZE, PUD_SIZE].map((size) => [size, 0]));
  for (const range of machine.memblock.memory) {
    const end = PAGE_OFFSET + range.endPfn * PAGE_SIZE;
    for (let va: number = PAGE_OFFSET + range.startPfn * PAGE_SIZE; va < end;) {
      const size = leafSize(machine, va);
      const next = Math.min(end, alignDown(va, size) + size);
      sums.set(size, (sums.get(size) ?? 0) + (next - va));
      va = next;
    }
  }
  return [sums.get(PAGE_SIZE) ?? 0, sums.get(PMD_SIZE) ?? 0, sums.get(PUD_SIZE) ?? 0];
}

/** Size of the page that maps a kernel address. */
function leafSize(machine: BootedMemory, va: number): number {
  const { words } = machine.mem;
  let table = machine.kernelRoot;
  for (const [level, size] of [
    [4, 0],
    [3, PUD_SIZE],
    [2, PMD_SIZE],
  ] as const) {
    const at = machine.mem.readable(table) + tableIndex(va, level) * 2;
    if ((words[at] & _PAGE_PRESENT) === 0) return PAGE_SIZE;
    if (size > 0 && (words[at] & _PAGE_PSE) !== 0) return size;
    table = ptePfn(words[at], words[at + 1]);
  }
  return PAGE_SIZE;
}

function pad(n: number, width: number): string {
  return String(n).padStart(width);
}

function hex8(n: number): string {
  return n.toString(16).padStart(8, '0');
}

function hex16(n: number): string {
  return n.toString(16).padStart(16, '0');
}

function capital(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
