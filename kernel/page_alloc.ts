// Where frames come from: every allocation of frames, from GFP flags to a zone's lists.
//
//     gfp -> highest zone, migrate type, ALLOC_* flags
//     zone list of the node:   Normal -> DMA32 -> DMA,  then the next node's
//     first zone above its `low` watermark:   per-CPU list -> buddy list -> other types (steal.ts)
//     none: wake kswapd, then down to `min`; then compaction, direct reclaim, and last resorts
//
// The fast path is what nearly all calls take: order 0, the preferred zone well above `low`, a
// frame on this CPU's list. It touches one mem_map record and makes no object.
//
// Invariant: a frame handed out has refcount 1 and an otherwise clear record (a compound page has
// its marks); free() clears the record again, so a free frame never keeps an owner.
// Source: Linux 6.18 mm/page_alloc.c, __alloc_frozen_pages_noprof(), get_page_from_freelist(),
// rmqueue(), __alloc_pages_slowpath(). Per-CPU lists as in 6.1 (pcp.ts). Not modelled: cpusets;
// throttling.

import { FAST_WORDS, type FreeTables, PCP_STATE } from './buddy.ts';
import { KernelBug, assert } from './errors.ts';
import { __GFP_ACCOUNT, __GFP_COMP, __GFP_ZERO } from './gfp.ts';
import {
  MIGRATE_HIGHATOMIC,
  MIGRATE_MOVABLE,
  MIGRATE_RECLAIMABLE,
  migrateTypeOf,
} from './migrate_type.ts';
import {
  type MemMap,
  PAGE_FLAGS,
  PAGE_INDEX,
  PAGE_MAPCOUNT,
  PAGE_OWNER,
  PAGE_PRIVATE,
  PAGE_RECORD,
  PAGE_REFCOUNT,
  PG_buddy,
  PG_charged,
  PG_pcp,
  PG_reserved,
  pageFlagNames,
} from './page.ts';
import {
  PCP_HIGH,
  PCP_IN,
  PCP_MASK,
  PCP_OUT,
  PCP_RINGS,
  RING_BASE,
  RING_BOTTOM,
  RING_TOP,
  RING_WORDS,
  isPcpOrder,
} from './pcp.ts';
import type { PhysMem } from './physmem.ts';
import type { FrameAllocator, PageAccounting } from './ports.ts';
import { Trace, mm_page_alloc, mm_page_free } from './trace.ts';
import { NO_PFN, type Pfn } from './types.ts';
import { WMARK_LOW, type Zone } from './zone.ts';
import { ZoneWalk } from './zone_walk.ts';
import { type ZoneLists, gfpZone } from './zonelist.ts';

// What the fast path needs to know of an allocation's lowest five flags.
const FAST = 4;
const FAST_ZONE = 0;
const FAST_LIMIT = 1;
const FAST_STATE = 2;
const FAST_RING = 3;

// The fast paths use copies of these constants: V8 folds a constant of the module itself, while one
// that is imported is a load and a check at each use, which halves their speed.
const RECORD = PAGE_RECORD;
const FLAGS = PAGE_FLAGS;
const REFCOUNT = PAGE_REFCOUNT;
const MAPCOUNT = PAGE_MAPCOUNT;
const OWNER = PAGE_OWNER;
const INDEX = PAGE_INDEX;
const PRIVATE = PAGE_PRIVATE;
const NOT_IN_USE = PG_buddy | PG_pcp | PG_reserved;
const SPECIAL = NOT_IN_USE | PG_charged;
const ON_PCP = PG_pcp;
const ZERO = __GFP_ZERO;
const IN = PCP_IN;
const OUT = PCP_OUT;
const HIGH = PCP_HIGH;
const MASK = PCP_MASK;
const RINGS = PCP_RINGS;
const BASE = RING_BASE;
const TOP = RING_TOP;
const BOTTOM = RING_BOTTOM;

export class PageAllocator implements FrameAllocator {
  readonly mem: PhysMem;
  readonly pages: MemMap;
  readonly tables: FreeTables;
  /** All populated zones, by node and then upwards. */
  readonly zones: readonly Zone[];
  readonly lists: ZoneLists;
  /** Where events go; the machine's own once there is one. */
  trace: Trace = new Trace(1);
  /** The slow path; its `pressure` is where reclaim and compaction are plugged in. */
  readonly walk: ZoneWalk;
  private accounting: PageAccounting | null = null;
  private currentCpu = 0;
  private readonly nodeOfCpu: Int32Array;
  private readonly words: Int32Array;
  private readonly blockInfo: Uint16Array;
  /** FreeTables.hot: FAST words for each value of gfp's lowest five bits, and so on. */
  private readonly hot: Int32Array;
  /** State of the current CPU's lists in zone 0, and the distance to the next zone's. */
  private cpuState = 0;
  private readonly zoneStride: number;
  private readonly pcpBase: number;
  private ring: Int32Array;

  /** @param lists zones of each node in the order of fallback. */
  constructor(
    mem: PhysMem,
    tables: FreeTables,
    zones: readonly Zone[],
    lists: ZoneLists,
    nodeOfCpu: Int32Array,
  ) {
    this.mem = mem;
    this.pages = tables.pages;
    this.tables = tables;
    this.zones = zones;
    this.lists = lists;
    this.nodeOfCpu = nodeOfCpu;
    this.words = tables.pages.words;
    this.blockInfo = tables.blockInfo;
    this.hot = tables.hot;
    this.pcpBase = tables.hot.length - tables.pcpState.length;
    this.ring = tables.ring;
    this.walk = new ZoneWalk(zones, lists, () => this.updateLimits());
    this.zoneStride = tables.nrCpus * PCP_STATE;
    this.updateLimits();
  }

  /** The CPU whose page lists are used; its node's memory is preferred. */
  get cpu(): number {
    return this.currentCpu;
  }
  set cpu(cpu: number) {
    assert(cpu >= 0 && cpu < this.nodeOfCpu.length, `CPU ${cpu} exists`);
    this.currentCpu = cpu;
    this.walk.cpu = cpu;
    this.walk.node = this.nodeOfCpu[cpu];
    this.updateLimits();
  }

  /** The node of the current CPU. */
  get currentNode(): number {
    return this.nodeOfCpu[this.currentCpu];
  }

  /** The zone that a frame of RAM belongs to. */
  zoneOf(pfn: number): Zone {
    const number = this.tables.zoneAt(pfn);
    if (number < 0) throw new KernelBug(`frame ${pfn} is in no zone`);
    return this.zones[number];
  }

  /** Frames a zone handed out and took back since boot. */
  eventsOf(zone: Zone): { allocated: number; freed: number } {
    let { allocated, freed } = zone;
    for (const pcp of zone.pcp) {
      allocated += pcp.handedOut;
      freed += pcp.takenBack;
    }
    return { allocated, freed };
  }

  /** Recomputes the fast path's limits: after watermarks, boosts or the CPU have changed. */
  updateLimits(): void {
    const cpu = this.currentCpu;
    const node = this.nodeOfCpu[cpu];
    this.cpuState = this.pcpBase + cpu * PCP_STATE;
    this.ring = this.tables.ring;
    for (let bits = 0; bits < 32; bits++) {
      const at = bits * FAST;
      const classzone = gfpZone(bits);
      const zone = this.lists.of(node, classzone).at(0);
      this.hot[at + FAST_LIMIT] = 2 ** 31 - 1;
      if (zone === undefined) continue;
      const type = Math.min(migrateTypeOf(bits), MIGRATE_RECLAIMABLE);
      this.hot[at + FAST_ZONE] = FAST_WORDS + zone.number;
      const pcp = this.pcpBase + zone.pcp[cpu].at;
      this.hot[at + FAST_STATE] = pcp;
      this.hot[at + FAST_RING] = pcp + PCP_RINGS + type * RING_WORDS;
      if (this.accounting !== null) continue; // charged on the slow path
      if (zone.node !== node) continue; // remote memory is counted on the slow path
      const reserved = zone.protection[classzone] + zone.highAtomic + zone.cma;
      this.hot[at + FAST_LIMIT] = zone.mark(WMARK_LOW) + reserved;
    }
  }

  /**
   * 2^order frames. O(1) from a per-CPU list, O(MAX_ORDER) from the buddy lists.
   * @returns the first frame, its refcount 1; NO_PFN where nothing is left.
   */
  alloc(gfp: number, order: number): Pfn {
    if (order === 0) {
      const hot = this.hot;
      const key = (gfp & 31) * FAST;
      const ring = hot[key + FAST_RING];
      const top = hot[ring + TOP];
      if (
        top !== hot[ring + BOTTOM] &&
        !this.trace.on &&
        hot[hot[key + FAST_ZONE]] > hot[key + FAST_LIMIT]
      ) {
        // PerCpuPages.pop() and prepare() by hand
        const pcp = hot[key + FAST_STATE];
        const pfn = this.ring[hot[ring + BASE] + ((top - 1) & hot[pcp + MASK])];
        hot[ring + TOP] = top - 1;
        hot[pcp + OUT]++;
        const at = pfn * RECORD;
        this.words[at + FLAGS] = 0;
        this.words[at + REFCOUNT] = 1;
        if ((gfp & ZERO) !== 0) this.mem.zeroFrame(pfn);
        return pfn as Pfn;
      }
    }
    if (this.accounting !== null) return this.allocCharged(this.accounting, gfp, order);
    return this.prepare(this.walk.find(gfp, order), gfp, order);
  }

  /**
   * Gives back what alloc() returned; the records are cleared.
   * @param order as it was given to alloc().
   */
  free(pfn: Pfn, order: number): void {
    const words = this.words;
    const hot = this.hot;
    const at = pfn * RECORD;
    const info = this.blockInfo[pfn >> 9];
    const zone = (info >> 3) - 1;
    if ((words[at] & SPECIAL) !== 0 || zone < 0) this.freeSpecial(pfn, order, zone);
    const type = info & 7;
    if (order > 0 || type > 2 || this.trace.on) {
      this.freeSlow(pfn, order, type, this.zones[zone]);
      return;
    }
    // PerCpuPages.push() by hand
    const pcp = this.cpuState + zone * this.zoneStride;
    const ring = pcp + RINGS + type * 3;
    const top = hot[ring + TOP];
    this.ring[hot[ring + BASE] + (top & hot[pcp + MASK])] = pfn;
    hot[ring + TOP] = top + 1;
    const into = (hot[pcp + IN] + 1) | 0;
    hot[pcp + IN] = into;
    words[at + FLAGS] = ON_PCP;
    words[at + REFCOUNT] = 0;
    words[at + MAPCOUNT] = 0;
    words[at + OWNER] = 0;
    words[at + INDEX] = 0;
    words[at + PRIVATE] = 0;
    if (((into - hot[pcp + OUT]) | 0) >= hot[pcp + HIGH]) {
      this.zones[zone].pcp[this.currentCpu].shrink();
    }
  }

  /**
   * Allocates up to `count` single frames at once into `into` (alloc_pages_bulk()).
   * @returns how many there were.
   */
  allocBulk(gfp: number, count: number, into: Int32Array): number {
    let n = 0;
    while (n < count) {
      const pfn = this.alloc(gfp, 0);
      if (pfn < 0) break;
      into[n++] = pfn;
    }
    return n;
  }

  /** Gives all frames on per-CPU lists back to the buddy lists (drain_all_pages()). */
  drainAll(): void {
    for (const zone of this.zones) zone.drain();
  }

  /** Free frames in all zones; those on per-CPU lists are not counted. */
  get freePages(): number {
    let n = 0;
    for (const zone of this.zones) n += zone.free;
    return n;
  }

  /** Frames that the allocator was given in all zones (totalram_pages()). */
  get managedPages(): number {
    let n = 0;
    for (const zone of this.zones) n += zone.managed;
    return n;
  }

  /** Throws KernelBug where a list, a count or a watermark is wrong. */
  check(): void {
    for (const zone of this.zones) zone.check();
  }

  /** Lets memory groups pay for frames from now on. */
  account(accounting: PageAccounting): void {
    this.accounting = accounting;
    this.updateLimits();
  }

  private allocCharged(accounting: PageAccounting, gfp: number, order: number): Pfn {
    const group = accounting.charge(gfp, order);
    if (group < 0) return NO_PFN;
    const pfn = this.prepare(this.walk.find(gfp, order), gfp, order);
    if (group === 0) return pfn;
    if (pfn >= 0) accounting.bind(pfn, group, gfp);
    else accounting.giveBack(group, order, (gfp & __GFP_ACCOUNT) !== 0);
    return pfn;
  }

  /** Frees what is not simply in use: a charged page, or none that may be freed. */
  private freeSpecial(pfn: Pfn, order: number, zone: number): void {
    if ((this.words[pfn * PAGE_RECORD] & NOT_IN_USE) !== 0 || zone < 0) badFree(this.pages, pfn);
    this.accounting?.uncharge(pfn, order);
  }

  private freeSlow(pfn: Pfn, order: number, type: number, zone: Zone): void {
    const at = pfn * PAGE_RECORD;
    if (this.trace.on) this.trace.emit(mm_page_free, pfn, order);
    this.words.fill(0, at, at + (PAGE_RECORD << order));
    zone.freed += 1 << order;
    if (type > MIGRATE_HIGHATOMIC || !isPcpOrder(order)) {
      zone.buddy.release(pfn, order);
      return;
    }
    // HighAtomic frames go to the Movable list, to be handed out from there once
    const listType = type === MIGRATE_HIGHATOMIC ? MIGRATE_MOVABLE : type;
    zone.pcp[this.currentCpu].push(pfn, order, listType);
  }

  /** Sets up the records of the frames that were found (prep_new_page()). */
  private prepare(pfn: Pfn, gfp: number, order: number): Pfn {
    if (this.trace.on) this.trace.emit(mm_page_alloc, pfn, order, gfp);
    if (pfn < 0) return NO_PFN;
    const at = pfn * PAGE_RECORD;
    this.words[at + PAGE_FLAGS] = 0;
    this.words[at + PAGE_REFCOUNT] = 1;
    this.words[at + PAGE_INDEX] = 0;
    this.words[at + PAGE_PRIVATE] = 0;
    if ((gfp & __GFP_ZERO) !== 0) {
      for (let p = pfn; p < pfn + (1 << order); p++) this.mem.zeroFrame(p);
    }
    if (order > 0 && (gfp & __GFP_COMP) !== 0) this.pages.makeCompound(pfn, order);
    return pfn;
  }
}

function badFree(pages: MemMap, pfn: number): never {
  const flags = pageFlagNames(pages.flags(pfn)).join(' ');
  throw new KernelBug(`free: frame ${pfn} is not in use (${flags === '' ? 'no RAM' : flags})`);
}
