// The allocator of early boot: which parts of RAM are taken before the buddy allocator exists.
//
// Two lists: memory (frames of RAM) and reserved areas, each with a name: `kernel`, `mem_map`,
// `percpu`. allocate() takes the highest fitting address, as Linux does, so low memory stays free.
// At the end of boot every frame of RAM outside a reserved area goes to the buddy allocator, and
// the areas remain as the record of who has the others: PG_reserved frames are these, and no
// mem_map record is written for them (booting 1 TiB reserves 16 GiB of mem_map without touching
// it).
//
// Invariant (check()): areas are sorted and do not overlap, and lie in RAM.
// Source: Linux 6.1 mm/memblock.c.

import { assert, InputError } from './errors.ts';
import type { PfnRange } from './memory_map.ts';
import { PAGE_SIZE, alignDown, alignUp } from './types.ts';

/** A reserved area: frames startPfn..endPfn-1. */
export interface ReservedArea {
  readonly startPfn: number;
  readonly endPfn: number;
  readonly name: string;
}

export class Memblock {
  /** RAM, sorted. */
  readonly memory: readonly PfnRange[];
  private areas: ReservedArea[] = [];

  constructor(memory: readonly PfnRange[]) {
    this.memory = memory;
  }

  /** Reserved areas in ascending order. */
  get reserved(): readonly ReservedArea[] {
    return this.areas;
  }

  /** One past the last frame of RAM. */
  get endPfn(): number {
    return this.memory.at(-1)?.endPfn ?? 0;
  }

  /** Reserves what is RAM and still free in bytes start..end-1; partial pages whole. */
  reserve(start: number, end: number, name: string): void {
    const startPfn = Math.floor(start / PAGE_SIZE);
    const endPfn = Math.ceil(end / PAGE_SIZE);
    for (const range of this.memory) {
      this.add(Math.max(startPfn, range.startPfn), Math.min(endPfn, range.endPfn), name);
    }
  }

  /**
   * Reserves `bytes` at the highest free address.
   * @param align in bytes, a multiple of the page size.
   * @param node where the memory should be; another node's where that one is full.
   * @returns the first frame.
   */
  allocate(bytes: number, align: number, name: string, node = -1, belowPfn = Infinity): number {
    const frames = Math.ceil(bytes / PAGE_SIZE);
    const step = align / PAGE_SIZE;
    for (const anyNode of [false, true]) {
      for (let i = this.memory.length - 1; i >= 0; i--) {
        const range = this.memory[i];
        if (!anyNode && node >= 0 && range.node !== node) continue;
        const start = this.highestGap(range, frames, step, belowPfn);
        if (start < 0) continue;
        this.add(start, start + frames, name);
        return start;
      }
    }
    throw new InputError('', `${name}: no room for ${Math.ceil(bytes / 1024)} KiB: too little RAM`);
  }

  /** The area that a frame lies in; undefined for a frame the buddy allocator has, or no RAM. */
  areaOf(pfn: number): ReservedArea | undefined {
    let low = 0;
    let high = this.areas.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (this.areas[mid].endPfn <= pfn) low = mid + 1;
      else high = mid;
    }
    const area = this.areas.at(low);
    return area !== undefined && area.startPfn <= pfn ? area : undefined;
  }

  /** Whether a frame is RAM at all. */
  isRam(pfn: number): boolean {
    return this.memory.some((range) => pfn >= range.startPfn && pfn < range.endPfn);
  }

  /** Ends a reservation of boot (free_initmem(), the initrd): returns the frames it had. */
  release(name: string): ReservedArea[] {
    const freed = this.areas.filter((area) => area.name === name);
    this.areas = this.areas.filter((area) => area.name !== name);
    return freed;
  }

  /** Calls `visit` for each run of RAM frames that nothing has reserved, in ascending order. */
  forEachFree(visit: (startPfn: number, endPfn: number, node: number) => void): void {
    let i = 0;
    for (const range of this.memory) {
      let start = range.startPfn;
      while (i < this.areas.length && this.areas[i].startPfn < range.endPfn) {
        const area = this.areas[i++];
        if (start < area.startPfn) visit(start, area.startPfn, range.node);
        start = area.endPfn;
      }
      if (start < range.endPfn) visit(start, range.endPfn, range.node);
    }
  }

  /** Frames in reserved areas within startPfn..endPfn-1. */
  reservedFrames(startPfn: number, endPfn: number): number {
    let n = 0;
    for (const area of this.areas) {
      n += Math.max(0, Math.min(area.endPfn, endPfn) - Math.max(area.startPfn, startPfn));
    }
    return n;
  }

  /** Throws KernelBug where the areas are out of order or not RAM. */
  check(): void {
    let last = 0;
    for (const area of this.areas) {
      assert(area.startPfn >= last && area.startPfn < area.endPfn, `area ${area.name} in order`);
      assert(this.isRam(area.startPfn) && this.isRam(area.endPfn - 1), `area ${area.name} in RAM`);
      last = area.endPfn;
    }
  }

  /** Adds frames to the reserved areas, those left out that are reserved already. */
  private add(startPfn: number, endPfn: number, name: string): void {
    let start = startPfn;
    const pieces: ReservedArea[] = [];
    for (const area of this.areas) {
      if (area.endPfn <= start) continue;
      if (area.startPfn >= endPfn) break;
      if (start < area.startPfn) pieces.push({ startPfn: start, endPfn: area.startPfn, name });
      start = area.endPfn;
    }
    if (start < endPfn) pieces.push({ startPfn: start, endPfn, name });
    const areas = this.areas.concat(pieces).sort((a, b) => a.startPfn - b.startPfn);
    const merged: ReservedArea[] = [];
    for (const area of areas) {
      const last = merged.at(-1);
      if (last?.endPfn === area.startPfn && last.name === area.name) {
        merged[merged.length - 1] = { ...last, endPfn: area.endPfn };
      } else merged.push(area);
    }
    this.areas = merged;
  }

  private highestGap(range: PfnRange, frames: number, step: number, belowPfn: number): number {
    let end = Math.min(range.endPfn, belowPfn);
    for (let i = this.areas.length - 1; i >= -1; i--) {
      const area = i < 0 ? undefined : this.areas[i];
      if (area !== undefined && area.startPfn >= end) continue;
      const floor = Math.max(range.startPfn, area === undefined ? 0 : area.endPfn);
      const start = alignDown(end - frames, step);
      if (start >= floor && alignUp(start, step) === start) return start;
      if (area === undefined || area.startPfn <= range.startPfn) return -1;
      end = area.startPfn;
    }
    return -1;
  }
}
