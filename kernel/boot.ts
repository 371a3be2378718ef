// Brings a machine's memory up: from a memory map to a page allocator that hands out frames.
//
//     e820 rows -> RAM ranges -> reserved areas (kernel image, mem_map, per-CPU areas, ...)
//        -> zones of each node -> all unreserved frames freed to the buddy allocator
//        -> watermarks, protection, per-CPU lists
//
// What the kernel keeps for itself is taken out of the same RAM and stays in Memblock as named
// areas. Nothing is written to mem_map for RAM that nobody has used.
// Source: Linux 6.1 arch/x86/kernel/setup.c, mm/page_alloc.c free_area_init(), memblock_free_all().

import { type Buddy } from './buddy.ts';
import { FreeTables, MAX_BLOCK_PAGES, ZONE_FREE_LISTS } from './free_tables.ts';
import { InputError } from './errors.ts';
import { buildKernelSpace, type KernelLayout, type SectionMap } from './kaddr.ts';
import { Memblock } from './memblock.ts';
import {
  type E820Row,
  LEGACY_END,
  type PfnRange,
  SECTION_PAGES,
  e820OfSize,
  ramFrames,
  splitNodes,
} from './memory_map.ts';
import { MemMap, STRUCT_PAGE_SIZE } from './page.ts';
import { PageAllocator } from './page_alloc.ts';
import { PhysMem } from './physmem.ts';
import { MAX_ORDER, PAGE_SIZE, PMD_SIZE, alignDown, type Pfn } from './types.ts';
import { ZONE_DMA, ZONE_MOVABLE, Zone } from './zone.ts';
import { type NodeMap, assignNodes } from './srat.ts';
import { type VmFigures, type VmTunables, mostStackWords, setupWatermarks } from './watermarks.ts';
import { ZoneLists } from './zonelist.ts';

/** Where the kernel image is loaded. */
export const KERNEL_PHYS = 0x1000000;

/** Kernel image with data and bss, unless the configuration says otherwise. */
const KERNEL_IMAGE_BYTES = 40 * 2 ** 20;

/** First frame of each zone from DMA to Normal, and the end of the last. */
const ZONE_LIMITS = [0, 2 ** 12, 2 ** 20, Infinity];

/** What a machine is made of; sizes in bytes. Everything has a default. */
export interface BootConfig {
  /** RAM in one piece; ignored where `e820` is given. 1 GiB by default. */
  readonly ram?: number;
  readonly e820?: readonly E820Row[];
  readonly cpus?: number;
  /** RAM of each node, in order of address; the last has the rest. One node by default. */
  readonly nodes?: readonly number[];
  /** Nodes as the firmware tells them, instead. */
  readonly srat?: NodeMap;
  /** distance[a][b] between nodes; 10 to itself, 20 to others by default. */
  readonly distance?: readonly (readonly number[])[];
  /** Movable memory (movablecore=). */
  readonly movable?: number;
  /** Kernel image with its data and bss. */
  readonly kernelImage?: number;
  readonly initrd?: number;
  readonly logBuffer?: number;
  /** Per-CPU area of each CPU. */
  readonly perCpu?: number;
  /** Frames the allocator is to have by zone name when watermarks are set; else what it has. */
  readonly managed?: Readonly<Record<string, number>>;
  readonly tunables?: VmTunables;
}

/** A machine's memory after boot. */
export interface BootedMemory {
  readonly mem: PhysMem;
  readonly pages: MemMap;
  readonly alloc: PageAllocator;
  readonly memblock: Memblock;
  /** The memory map that it booted from. */
  readonly rows: readonly E820Row[];
  /** What the kernel half maps, and the PGD whose upper half all address spaces share. */
  readonly layout: KernelLayout;
  readonly kernelRoot: Pfn;
  readonly cpus: number;
  readonly nrNodes: number;
  readonly figures: VmFigures;
  /** Frames that each zone is reckoned with in the figures. */
  readonly managedOf: (zone: Zone) => number;
}

/** A zone's extent, before it has an allocator. */
export interface ZoneSpan {
  readonly node: number;
  readonly type: number;
  readonly startPfn: number;
  readonly spanned: number;
  readonly present: number;
}

/**
 * Boots memory. Costs little more than the tables of 4 MiB blocks: 1 TiB in some 10 ms.
 * @throws InputError where the configuration makes no machine.
 */
export function bootMemory(config: BootConfig = {}): BootedMemory {
  const cpus = config.cpus ?? 1;
  if (cpus < 1 || cpus > 4096) throw new InputError('', `${cpus} CPUs: expected 1..4096`);
  const rows = config.e820 ?? e820OfSize(config.ram ?? 2 ** 30);
  const nodes = config.nodes ?? [Infinity];
  const { srat } = config;
  const ram =
    srat === undefined ? splitNodes(ramFrames(rows), nodes) : assignNodes(ramFrames(rows), srat);
  const nrNodes = srat?.nrNodes ?? nodes.length;
  const memblock = new Memblock(ram);
  const memMap = reserveForKernel(memblock, config, cpus, nrNodes);
  const mem = new PhysMem(memblock.endPfn);
  const layout = kernelLayout(ram, memMap, config);
  const allocTable = (): Pfn => memblock.allocate(PAGE_SIZE, PAGE_SIZE, 'page tables') as Pfn;
  const kernelRoot = buildKernelSpace(mem, allocTable, layout);
  const spans = zoneSpans(ram, nrNodes, config.movable ?? 0);
  const pages = new MemMap(memblock.endPfn, spans.length * ZONE_FREE_LISTS);
  const nodeOfCpu = Int32Array.from({ length: cpus }, (_, cpu) => srat?.cpus[cpu] ?? cpu % nrNodes);
  const cpusOfNode = Array.from(
    { length: nrNodes },
    (_, node) => nodeOfCpu.filter((n) => n === node).length,
  );
  const stackWords = mostStackWords(spans, cpusOfNode, config.tunables, config.managed);
  const tables = new FreeTables(pages, spans.length, cpus, stackWords);
  const zones = spans.map((span, number) => new Zone(tables, number, span));
  for (const zone of zones) claimBlocks(tables, zone);
  freeUnreserved(memblock, zones);
  const managedOf = managedFigures(zones, config.managed);
  const figures = setupWatermarks(tables, zones, managedOf, cpusOfNode, config.tunables);
  const lists = new ZoneLists(zones, nrNodes, config.distance);
  const alloc = new PageAllocator(mem, tables, zones, lists, nodeOfCpu);
  return {
    mem,
    pages,
    alloc,
    memblock,
    rows,
    layout,
    kernelRoot,
    cpus,
    nrNodes,
    figures,
    managedOf,
  };
}

/** Frames each zone is reckoned with: as given (`DMA32`, `1/Normal`), or as it has. */
function managedFigures(
  zones: readonly Zone[],
  given: Readonly<Record<string, number>> = {},
): (zone: Zone) => number {
  const byNumber = new Map<number, number>();
  for (const [key, pages] of Object.entries(given)) {
    const [node, name] = key.includes('/') ? key.split('/') : ['0', key];
    const zone = zones.find((z) => String(z.node) === node && z.name === name);
    if (zone === undefined) throw new InputError('', `managed: this machine has no zone ${key}`);
    if (pages > zone.present) {
      throw new InputError('', `managed: zone ${key} has ${zone.present} frames, not ${pages}`);
    }
    byNumber.set(zone.number, pages);
  }
  return (zone) => byNumber.get(zone.number) ?? zone.managed;
}

function kernelLayout(
  ram: readonly PfnRange[],
  memMap: readonly SectionMap[],
  config: BootConfig,
): KernelLayout {
  const imageBytes = config.kernelImage ?? KERNEL_IMAGE_BYTES;
  return { ram, memMap, imageStart: KERNEL_PHYS, imageBytes };
}

/**
 * Everything that is taken before the page allocator starts.
 * @returns where the records of each memory section are.
 */
function reserveForKernel(
  memblock: Memblock,
  config: BootConfig,
  cpus: number,
  nrNodes: number,
): SectionMap[] {
  const image = config.kernelImage ?? KERNEL_IMAGE_BYTES;
  if (memblock.endPfn * PAGE_SIZE < KERNEL_PHYS + image) {
    throw new InputError(
      '',
      `less than ${(KERNEL_PHYS + image) / 2 ** 20} MiB of RAM: no kernel fits`,
    );
  }
  memblock.reserve(0, LEGACY_END, 'low memory');
  memblock.reserve(KERNEL_PHYS, KERNEL_PHYS + image, 'kernel');
  if (config.initrd !== undefined) memblock.allocate(config.initrd, PAGE_SIZE, 'initrd');
  memblock.allocate(config.logBuffer ?? 2 ** 18, PAGE_SIZE, 'log buffer');
  const memMap: SectionMap[] = [];
  for (let node = 0; node < nrNodes; node++) {
    let sections = 0;
    forEachSectionRun(memblock.memory, node, (_, n) => {
      sections += n;
    });
    const bytes = sections * SECTION_PAGES * STRUCT_PAGE_SIZE;
    let pfn = memblock.allocate(bytes, PMD_SIZE, 'mem_map', node);
    forEachSectionRun(memblock.memory, node, (firstSection, n) => {
      memMap.push({ firstSection, sections: n, pfn: pfn as Pfn });
      pfn += (n * SECTION_PAGES * STRUCT_PAGE_SIZE) / PAGE_SIZE;
    });
  }
  memblock.allocate((config.perCpu ?? 256 * 1024) * cpus, PMD_SIZE, 'percpu');
  return memMap;
}

/** Visits each run of memory sections of which a node has some RAM, none twice. */
function forEachSectionRun(
  memory: readonly PfnRange[],
  node: number,
  visit: (firstSection: number, sections: number) => void,
): void {
  let last = -1;
  for (const range of memory) {
    if (range.node !== node) continue;
    const first = Math.max(Math.floor(range.startPfn / SECTION_PAGES), last + 1);
    last = Math.floor((range.endPfn - 1) / SECTION_PAGES);
    if (last >= first) visit(first, last - first + 1);
  }
}

/** Extent of each zone (zone_spanned_pages_in_node()): what its limits and the node share. */
export function zoneSpans(ram: readonly PfnRange[], nrNodes: number, movable: number): ZoneSpan[] {
  const perNode = Math.floor(movable / PAGE_SIZE / nrNodes);
  const spans: ZoneSpan[] = [];
  for (let node = 0; node < nrNodes; node++) {
    const own = ram.filter((range) => range.node === node);
    if (own.length === 0) continue;
    const nodeStart = own[0].startPfn;
    const nodeEnd = own[own.length - 1].endPfn;
    const movableStart = perNode === 0 ? nodeEnd : alignDown(nodeEnd - perNode, MAX_BLOCK_PAGES);
    for (let type = ZONE_DMA; type <= ZONE_MOVABLE; type++) {
      const low = type === ZONE_MOVABLE ? movableStart : ZONE_LIMITS[type];
      const high = type === ZONE_MOVABLE ? nodeEnd : Math.min(ZONE_LIMITS[type + 1], movableStart);
      const startPfn = Math.max(nodeStart, low);
      const endPfn = Math.min(nodeEnd, high);
      if (startPfn >= endPfn) continue;
      const present = own.reduce(
        (sum, r) => sum + Math.max(0, Math.min(r.endPfn, endPfn) - Math.max(r.startPfn, startPfn)),
        0,
      );
      spans.push({ node, type, startPfn, spanned: endPfn - startPfn, present });
    }
  }
  return spans;
}

/** Notes for each 4 MiB block which zone has it. Zones can only meet in their outermost blocks. */
function claimBlocks(tables: FreeTables, zone: Zone): void {
  const first = Math.floor(zone.startPfn / MAX_BLOCK_PAGES);
  const last = Math.floor((zone.endPfn - 1) / MAX_BLOCK_PAGES);
  if (tables.zoneAt(first * MAX_BLOCK_PAGES) >= 0 || tables.zoneAt(last * MAX_BLOCK_PAGES) >= 0) {
    throw new InputError('', 'nodes must start and end at multiples of 4 MiB');
  }
  tables.setZone(first * MAX_BLOCK_PAGES, (last + 1 - first) * 2, zone.number);
}

/** Gives unreserved RAM to the zones, low addresses first (memblock_free_all()). */
function freeUnreserved(memblock: Memblock, zones: readonly Zone[]): void {
  memblock.forEachFree((startPfn, endPfn, node) => {
    for (const zone of zones) {
      const start = Math.max(startPfn, zone.startPfn);
      const end = Math.min(endPfn, zone.endPfn);
      if (zone.node !== node || start >= end) continue;
      zone.managed += end - start;
      freeRange(zone.buddy, start, end);
    }
  });
}

/** Frees a run of frames as the largest aligned blocks that fit. */
export function freeRange(buddy: Buddy, startPfn: number, endPfn: number): void {
  let pfn = startPfn;
  while (pfn < endPfn) {
    let order = MAX_ORDER;
    while ((pfn & ((1 << order) - 1)) !== 0 || pfn + (1 << order) > endPfn) order--;
    if (order === MAX_ORDER) {
      const blocks = Math.floor((endPfn - pfn) / MAX_BLOCK_PAGES);
      buddy.linkRun(pfn, blocks);
      pfn += blocks * MAX_BLOCK_PAGES;
    } else {
      buddy.release(pfn, order, true);
      pfn += 1 << order;
    }
  }
}
