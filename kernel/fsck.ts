// Proof that the kernel's memory is sound: every frame has exactly one owner, and all counts agree.
//
//     not RAM | reserved at boot | free in a buddy block | free on a CPU's list | in use
//
// A frame in use has references, is a tail of a compound page that has, or belongs to what the
// kernel allocated (slab, page table, vmalloc). A frame that is none of all this is lost; one that
// is two of it is corrupt. What the frames in use are used for is counted; users (fsckSystem() for
// processes) compare their own numbers with it.
// Source: what Linux's mm/page_alloc.c bad_page() and CONFIG_DEBUG_VM look for, and more.

import { assert } from './errors.ts';
import type { Machine } from './machine.ts';
import {
  PG_buddy,
  PG_head,
  PG_pcp,
  PG_reserved,
  PG_slab,
  PG_table,
  PG_tail,
  PG_vmalloc,
} from './page.ts';
import { MAX_ORDER } from './types.ts';

/** Frames by owner; they add up to all RAM of the zones. */
export interface FrameCensus {
  reserved: number;
  free: number;
  pcp: number;
  slab: number;
  table: number;
  vmalloc: number;
  /** Referred to by anyone else: processes, the page cache, the kernel's single pages. */
  used: number;
}

/** Throws KernelBug with the first thing that is wrong. O(frames not in free 4 MiB blocks). */
export function fsckKernel(machine: Machine): FrameCensus {
  const { alloc, booted, slab, vmalloc } = machine;
  booted.memblock.check();
  alloc.check();
  slab.check();
  vmalloc.check();
  const census = frameCensus(machine);
  let pcp = 0;
  for (const zone of alloc.zones) for (const cpu of zone.pcp) pcp += cpu.count;
  const slabPages = slab.reclaimablePages + slab.unreclaimablePages;
  const pairs: [string, number, number][] = [
    ['free', census.free, alloc.freePages],
    ['per-CPU', census.pcp, pcp],
    ['slab', census.slab, slabPages],
    ['vmalloc', census.vmalloc, vmalloc.nrPages],
  ];
  for (const [name, found, counted] of pairs) {
    assert(found === counted, `${name} frames: ${found} found, ${counted} counted`);
  }
  let total = 0;
  for (const n of Object.values(census)) total += n as number;
  const present = alloc.zones.reduce((sum, zone) => sum + zone.present, 0);
  assert(total === present, `frames: ${total} have an owner, ${present} are there`);
  return census;
}

/** Whose each frame of RAM is. Throws KernelBug for one that has no owner, or two. */
export function frameCensus(machine: Machine): FrameCensus {
  const census = { reserved: 0, free: 0, pcp: 0, slab: 0, table: 0, vmalloc: 0, used: 0 };
  const onPcp = pcpFrames(machine);
  const { memblock } = machine.booted;
  for (const range of memblock.memory) {
    let pfn: number = range.startPfn;
    while (pfn < range.endPfn) {
      const area = memblock.areaOf(pfn);
      if (area !== undefined) {
        const end = Math.min(area.endPfn, range.endPfn);
        census.reserved += end - pfn;
        pfn = end;
        continue;
      }
      pfn += countFrame(machine, pfn, onPcp, census);
    }
  }
  return census;
}

/** Counts the frame, or the free block that starts there; returns how many frames that was. */
function countFrame(
  machine: Machine,
  pfn: number,
  onPcp: ReadonlySet<number>,
  census: FrameCensus,
): number {
  const { alloc, pages } = machine;
  const order = alloc.tables.freeOrder(pfn);
  if (order >= 0) {
    for (let p = pfn; order < MAX_ORDER && p < pfn + (1 << order); p++) {
      assert(pages.refcount(p) === 0, `frame ${p} is free and has references`);
      assert(pages.mapcount(p) === 0, `frame ${p} is free and mapped`);
      assert(!onPcp.has(p), `frame ${p} is in a free block and on a CPU's list`);
    }
    census.free += 1 << order;
    return 1 << order;
  }
  if (onPcp.has(pfn)) {
    assert(pages.refcount(pfn) === 0, `frame ${pfn} is on a CPU's list and has references`);
    census.pcp++;
    return 1;
  }
  const flags = pages.flags(pfn);
  assert((flags & (PG_buddy | PG_pcp)) === 0, `frame ${pfn} is marked as free and on no list`);
  const head = pages.head(pfn);
  const headFlags = pages.flags(head);
  if ((flags & PG_tail) !== 0) {
    assert((headFlags & PG_head) !== 0, `frame ${pfn} is the tail of ${head}, which is no head`);
    const inside = pfn > head && pfn < head + (1 << pages.compoundOrder(head));
    assert(inside, `frame ${pfn} is a tail outside its compound page ${head}`);
  }
  const types = headFlags & (PG_slab | PG_table | PG_vmalloc);
  assert((types & (types - 1)) === 0, `frame ${pfn} is of two kinds at once`);
  if (types === PG_slab) census.slab++;
  else if (types === PG_table) census.table++;
  else if (types === PG_vmalloc) census.vmalloc++;
  else {
    const owned = pages.refcount(head) > 0 || (headFlags & PG_reserved) !== 0;
    assert(owned, `frame ${pfn} is lost: neither free nor referred to by anyone`);
    census.used++;
  }
  return 1;
}

/** All frames on per-CPU lists. */
function pcpFrames(machine: Machine): Set<number> {
  const frames = new Set<number>();
  for (const zone of machine.alloc.zones) {
    for (const pcp of zone.pcp) {
      pcp.forEach((pfn, order) => {
        for (let p: number = pfn; p < pfn + (1 << order); p++) {
          assert(!frames.has(p), `frame ${p} is on two per-CPU lists`);
          frames.add(p);
        }
      });
    }
  }
  return frames;
}
