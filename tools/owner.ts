// The chain up from a frame: struct page -> what it is used for -> who maps it.
//
// Every frame of RAM has exactly one use: free (a buddy block, or a CPU's list), taken at boot
// (kernel image, mem_map, …), a page table, a slab, a page of a file, anonymous memory, or
// something that the kernel allocated for itself.

import {
  PG_anon,
  PG_buddy,
  PG_head,
  PG_pcp,
  PG_reserved,
  PG_slab,
  PG_table,
  PG_vmalloc,
  PG_zero,
} from '../kernel/page.ts';
import { _PAGE_PRESENT, _PAGE_PSE, ptePfn } from '../kernel/pte.ts';
import { objectOf } from '../kernel/slab_inspect.ts';
import { hex, NO_PFN, PAGE_SIZE, type Pfn } from '../kernel/types.ts';
import { Inode } from '../userspace/file.ts';
import type { Mm } from '../userspace/mm.ts';
import type { System } from '../userspace/system.ts';
import { LEVEL_NAMES, pageInfo, walk } from './inspect.ts';

export type FrameUse =
  | 'nothing'
  | 'free'
  | 'boot'
  | 'zero page'
  | 'page table'
  | 'slab'
  | 'anonymous'
  | 'file'
  | 'kernel';

/** A place where a process maps the frame. */
export interface FrameMapping {
  readonly pid: number;
  readonly comm: string;
  readonly va: number;
}

export interface FrameOwner {
  readonly use: FrameUse;
  /** In words, at most some 66 characters. */
  readonly text: string;
  /** The zone, its node and its block. */
  readonly zone: string;
  readonly mappings: readonly FrameMapping[];
}

/** What a frame is used for, and by whom. @param offset of the byte in it that is asked about. */
export function ownerOf(system: System, pfn: number, offset = 0): FrameOwner {
  const { machine } = system;
  const { alloc, pages } = machine;
  const { memblock } = machine.booted;
  const zone = zoneText(system, pfn);
  const owner = (use: FrameUse, text: string, mappings: FrameMapping[] = []): FrameOwner => ({
    use,
    text,
    zone,
    mappings,
  });
  if (pfn < 0 || pfn >= pages.nrFrames || !memblock.isRam(pfn)) {
    return owner('nothing', 'no RAM there: a hole of the physical address space');
  }
  const area = memblock.areaOf(pfn);
  if (area !== undefined) return owner('boot', `taken at boot: ${area.name}`);
  const block = alloc.tables.freeBlockOf(pfn);
  if (block !== NO_PFN) {
    const order = alloc.tables.freeOrder(block);
    const at = `block of 2^${order} frames from ${hex(block)}`;
    return owner('free', `nobody: free, in a ${at}`);
  }
  const head = pages.head(pfn);
  const flags = pages.flags(head);
  if ((flags & PG_buddy) !== 0) return owner('free', 'nobody: free');
  if ((flags & PG_pcp) !== 0) return owner('free', "nobody: free, on a CPU's own list");
  if ((flags & PG_zero) !== 0) return owner('zero page', 'all processes: the shared page of zeros');
  if ((flags & PG_table) !== 0) return owner('page table', tableText(system, pfn));
  if ((flags & PG_slab) !== 0) return owner('slab', slabText(system, pfn, offset));
  if ((flags & PG_vmalloc) !== 0) return owner('kernel', 'the kernel: vmalloc');
  if ((flags & PG_reserved) !== 0) return owner('kernel', 'the kernel: [vdso], [vvar] or such');
  const info = pageInfo(pages, pfn);
  const mappings = mappingsOf(system, pfn as Pfn);
  const compound =
    (pages.flags(head) & PG_head) !== 0 ? `, folio of ${1 << pages.compoundOrder(head)}` : '';
  if ((flags & PG_anon) !== 0) {
    const text = `anonymous memory of family ${info.owner} (anon_vma)${compound}`;
    return owner('anonymous', text, mappings);
  }
  const inode = machine.rmap.owners.get(info.owner);
  if (inode instanceof Inode) {
    const path = inode.path.length > 40 ? `…${inode.path.slice(-39)}` : inode.path;
    return owner('file', `page ${info.index} of ${path}${compound}`, mappings);
  }
  return owner('kernel', 'the kernel, for itself');
}

/** Every process and address that maps the frame, found through the reverse map. */
export function mappingsOf(system: System, pfn: Pfn): FrameMapping[] {
  const found: FrameMapping[] = [];
  system.machine.rmap.walk(pfn, (space, va) => {
    // Threads share it; the process is named once, also where its first thread has ended.
    const task = [...system.tasks.values()].find((t) => t.mm.root === space.root);
    if (task !== undefined) found.push({ pid: task.tgid, comm: task.comm, va });
    return true;
  });
  return found;
}

function zoneText(system: System, pfn: number): string {
  const { alloc, pages } = system.machine;
  if (pfn < 0 || pfn >= pages.nrFrames) return 'none';
  const zone = alloc.zones.find((z) => pfn >= z.startPfn && pfn < z.endPfn);
  if (zone === undefined) return 'none';
  const mib = (frames: number): number => Math.round((frames * PAGE_SIZE) / 2 ** 20);
  return `${zone.name}, node ${zone.node}: ${mib(zone.free)} of ${mib(zone.managed)} MiB are free`;
}

/** The cache of a slab's frame, and the object that a byte of it lies in. */
function slabText(system: System, pfn: number, offset: number): string {
  const cache = system.machine.slab.cacheOf(pfn);
  if (cache === undefined) return 'the kernel: a slab';
  const object = objectOf(cache, pfn * PAGE_SIZE + offset);
  if (object === undefined) return `the kernel: slab of cache ${cache.name}`;
  const state = object.allocated ? 'in use' : 'free';
  return `the kernel: cache ${cache.name}, object ${object.index} of its slab, ${state}`;
}

/** Whose page table a frame is, its level, and the addresses that it serves. */
function tableText(system: System, pfn: number): string {
  const id = system.machine.pages.owner(pfn);
  const mm = [...system.mms].find((m) => m.id === id);
  if (mm === undefined) return 'a page table of the kernel';
  const task = [...system.tasks.values()].find((t) => t.mm === mm);
  const who = task === undefined ? 'an address space' : `process ${task.pid} (${task.comm})`;
  if (mm.root === pfn) return `page table of ${who}: the top one, which CR3 names`;
  const place = findTable(system, mm, pfn);
  if (place === undefined) return `page table of ${who}`;
  const name = LEVEL_NAMES[place.level] ?? '';
  return `page table of ${who}: ${name}s from ${hex(place.va)} on`;
}

/** The level of a table of `mm`, and the first address that it translates. */
function findTable(system: System, mm: Mm, pfn: number): { level: number; va: number } | undefined {
  const { mem } = system.machine;
  const down = (
    table: Pfn,
    level: number,
    base: number,
  ): { level: number; va: number } | undefined => {
    const first = mem.readable(table);
    const size = 2 ** (12 + 9 * (level - 1));
    for (let i = 0; i < (level === 4 ? 256 : 512); i++) {
      const lo = mem.words[first + 2 * i] ?? 0;
      if ((lo & _PAGE_PRESENT) === 0 || (lo & _PAGE_PSE) !== 0) continue;
      const next = ptePfn(lo, mem.words[first + 2 * i + 1] ?? 0);
      const va = base + i * size;
      if (next === pfn) return { level: level - 1, va };
      const found = level > 2 ? down(next, level - 1, va) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return down(mm.root, 4, 0);
}

/** The frame that a virtual address of a process lies in, or NO_PFN. */
export function frameOf(mm: Mm, va: number): Pfn {
  return walk(mm.system.machine.mem, mm.root, va).pfn;
}
