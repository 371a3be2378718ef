// The swap devices of a machine: which one a page goes to.
//
//     priority 5:  A  B      take turns, a cluster of slots each
//     priority 1:  C         when A and B are full
//
// In front of all of them there may be a pool of compressed pages (zswap.ts).
// Source: Linux 6.18 mm/swapfile.c: swap_alloc_slow(), enable_swap_info(), swap_avail_heads.
// Not modelled: a list of devices for each node.

import { assert } from './errors.ts';
import type { MemGroups } from './memcg.ts';
import type { MemMap } from './page.ts';
import type { PhysMem } from './physmem.ts';
import type { FrameAllocator } from './ports.ts';
import { MAX_SWAPFILES } from './pte.ts';
import * as event from './reclaim/page_events.ts';
import type { Lru } from './reclaim/pools.ts';
import {
  NR_VMSCAN_WRITE,
  NR_WRITTEN,
  PSWPIN,
  PSWPOUT,
  SWPIN_ZERO,
  SWPOUT_ZERO,
  type VmStat,
} from './stats.ts';
import { NO_SLOT, SLOT_BITS, SWAP_DEVICE, SWAP_ZERO, SwapArea, type SwapOptions } from './swap.ts';
import { PAGE_SIZE, type Pfn } from './types.ts';
import { Zswap, type ZswapConfig } from './zswap.ts';

/** What memory.stat counts, by SWAP_DEVICE, SWAP_ZERO, SWAP_POOL. */
const IN = [event.PG_SWPIN, event.PG_SWPIN_ZERO, event.PG_ZSWPIN];
const OUT = [event.PG_SWPOUT, event.PG_SWPOUT_ZERO, event.PG_ZSWPOUT];

/** What the devices need of the machine. */
export interface SwapMachine {
  readonly mem: PhysMem;
  readonly pages: MemMap;
  readonly alloc: FrameAllocator;
  readonly stat: VmStat;
  readonly groups: MemGroups | null;
  readonly lru: Lru;
}

export class SwapDevices {
  /** Devices by type; undefined for one that was switched off. */
  readonly areas: (SwapArea | undefined)[] = [];
  /** The compressed pool in front of the devices. */
  pool: Zswap | null = null;
  /** Devices in the order in which they are used. */
  private order: SwapArea[] = [];
  private readonly machine: SwapMachine;
  private readonly ramPages: number;

  /** @param ramPages RAM that the pool may have a part of. */
  constructor(machine: SwapMachine, ramPages: number) {
    this.machine = machine;
    this.ramPages = ramPages;
  }

  /** Slots that are free. */
  get available(): number {
    let n = 0;
    for (const area of this.order) if (!area.closing) n += area.usable - area.used;
    return n;
  }

  /** Throws KernelBug where a device's or the pool's books are not sound. */
  check(): void {
    for (const area of this.order) area.check();
    this.pool?.check();
  }

  /** swapon(2). @param bytes size of the device. */
  add(bytes: number, options: Partial<SwapOptions> = {}): SwapArea {
    const { mem, pages } = this.machine;
    const free = this.areas.indexOf(undefined);
    const type = free < 0 ? this.areas.length : free;
    assert(type < MAX_SWAPFILES, 'no more swap devices than an entry can name');
    const name = options.name ?? `/dev/ram${type}`;
    // Where none is given, each device has a lower priority than those before it.
    const lowest = Math.min(-1, ...this.order.map((area) => area.priority));
    const priority = options.priority ?? lowest - 1;
    const slots = Math.floor(bytes / PAGE_SIZE);
    const area = new SwapArea(mem, pages, slots, { type, priority, name });
    area.pool = this.pool;
    this.areas[type] = area;
    this.order.push(area);
    this.order.sort((a, b) => b.priority - a.priority);
    return area;
  }

  /** A device that is empty and switched off is forgotten. */
  remove(area: SwapArea): void {
    this.areas[area.type] = undefined;
    this.order = this.order.filter((other) => other !== area);
  }

  /** Puts a compressed pool in front of all devices. */
  usePool(config: ZswapConfig): Zswap {
    const write = (number: number, content: Int32Array): void => this.writeBack(number, content);
    this.pool = new Zswap(config, this.machine, this.ramPages, write);
    for (const area of this.order) area.pool = this.pool;
    return this.pool;
  }

  /** A page leaves the pool for its device (zswap_writeback_entry()). */
  private writeBack(number: number, content: Int32Array): void {
    const { lru, stat } = this.machine;
    const area = this.areaOf(number);
    const events = lru.eventsOf(area.groupOf[slotOf(number)]);
    area.writeDevice(slotOf(number), content);
    stat.counts[PSWPOUT]++;
    stat.counts[NR_WRITTEN]++;
    events[event.PG_SWPOUT]++;
    events[event.PG_ZSWPWB]++;
  }

  /** A page was read. @param from SWAP_DEVICE, SWAP_ZERO or SWAP_POOL. */
  protected countIn(pfn: Pfn, from: number): void {
    const { lru, stat } = this.machine;
    if (from === SWAP_DEVICE) stat.counts[PSWPIN]++;
    else if (from === SWAP_ZERO) stat.counts[SWPIN_ZERO]++;
    lru.count(pfn, IN[from]);
  }

  /** A page was written, wherever it went. */
  protected countOut(pfn: Pfn, where: number): void {
    const { lru, stat } = this.machine;
    if (where === SWAP_DEVICE) {
      stat.counts[PSWPOUT]++;
      stat.counts[NR_WRITTEN]++;
    } else if (where === SWAP_ZERO) stat.counts[SWPOUT_ZERO]++;
    stat.counts[NR_VMSCAN_WRITE]++;
    lru.count(pfn, OUT[where]);
  }

  protected areaOf(number: number): SwapArea {
    const area = this.areas[number >>> SLOT_BITS];
    assert(area !== undefined, `slot ${number} is on a device`);
    return area;
  }

  protected device(type: number): SwapArea {
    const area = this.areas[type];
    assert(area !== undefined, `swap device ${type} is on`);
    return area;
  }

  /** A slot for a page, which enters the swap cache; NO_SLOT where there is none. */
  protected allocSlot(pfn: Pfn): number {
    for (const area of this.order) {
      area.groups = this.machine.groups;
      const slot = area.alloc(pfn);
      if (slot === NO_SLOT) continue;
      if (area.clusterDone) this.requeue(area);
      return area.base + slot;
    }
    return NO_SLOT;
  }

  /** The device goes behind the others of its priority. */
  private requeue(area: SwapArea): void {
    const others = this.order.filter((other) => other !== area);
    const behind = others.findIndex((other) => other.priority < area.priority);
    others.splice(behind < 0 ? others.length : behind, 0, area);
    this.order = others;
  }
}

/** Where on its device a slot is. */
export function slotOf(number: number): number {
  return number & ((1 << SLOT_BITS) - 1);
}
