// Where frames come from: every allocation of frames, from GFP flags to a zone's lists.
//
//     gfp -> highest zone, migrate type, ALLOC_* flags
//     zone list of the node:   Normal -> DMA32 -> DMA,  then the next node's
//     first zone above its `low` watermark:   per-CPU list -> buddy list -> other types (steal.ts)
//     none: wake kswapd, then down to `min`; then compaction, direct reclaim, and last resorts
//
// The fast path is what nearly all calls take: order 0, the preferred zone well above `low`, a
// frame on this CPU's list. It touches one mem_map record and makes no object. Whether the zone is
// above `low` is seen where its free frames are counted (Buddy.fastOpen): while it is not, the
// table of the fast path leads to a list that is always empty.
//
// Invariant: a frame handed out has refcount 1 and an otherwise clear record (a compound page has
// its marks); free() clears the record again, so a free frame never keeps an owner.
// Source: Linux 6.18 mm/page_alloc.c, __alloc_frozen_pages_noprof(), get_page_from_freelist(),
// rmqueue(), __alloc_pages_slowpath(). Per-CPU lists as in 6.1 (pcp.ts). Not modelled: cpusets;
// throttling.

import { FAST_WORDS, type FreeTables, PAGEBLOCK_ORDER, STACK_WORDS } from './free_tables.ts';
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
  PAGE_PRIVATE,
  PAGE_RECORD,
  PAGE_REFCOUNT,
  PG_buddy,
  PG_charged,
  PG_pcp,
  PG_reserved,
  pageFlagNames,
} from './page.ts';
import { STACK_BOTTOM, STACK_FREED, STACK_LIMIT, isPcpOrder } from './pcp.ts';
import type { PhysMem } from './physmem.ts';
import type { FrameAllocator, PageAccounting } from './ports.ts';
import { Trace, mm_page_alloc, mm_page_free } from './trace.ts';
import { NO_PFN, type Pfn } from './types.ts';
import { MAX_NR_ZONES, WMARK_LOW, type Zone } from './zone.ts';
import { ZoneWalk } from './zone_walk.ts';
import { type ZoneLists, gfpZone } from './zonelist.ts';

// The fast paths use copies of these constants: V8 folds a constant of the module itself, while one
// that is imported is a load and a check at each use, which halves their speed. Indices are put
// together with | where the lower bits are clear: V8 checks a sum for overflow.
const SHIFT = 31 - Math.clz32(PAGE_RECORD);
const BLOCK = PAGEBLOCK_ORDER;
const NOT_IN_USE = PG_buddy | PG_pcp | PG_reserved;
const SPECIAL = NOT_IN_USE | PG_charged;
const ZERO = __GFP_ZERO;
const FAST = FAST_WORDS;
const BOTTOM = STACK_BOTTOM;
const LIMIT = STACK_LIMIT;
const FREED = STACK_FREED;

// Flags and refcount of a frame, as one number of eight bytes: handed out, and on a CPU's list.
const IN_USE = twoWords(0, 1);
const ON_PCP = twoWords(PG_pcp, 0);

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
  /** The same records, two words at a time. */
  private readonly pairs: Float64Array;
  /** FreeTables.hot, and where the pageblocks and the current CPU's part start in it. */
  private readonly hot: Int32Array;
  private readonly blocksAt: number;
  private cpuAt = 0;

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
    this.hot = tables.hot;
    this.blocksAt = tables.blocksAt;
    this.pairs = new Float64Array(this.words.buffer);
    this.walk = new ZoneWalk(zones, lists, () => this.updateLimits());
    tables.onFastOpen = () => this.setFast();
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
    this.cpuAt = this.tables.cpuAt(this.currentCpu);
    for (const zone of this.zones) {
      let most = 0;
      for (let classzone = zone.type; classzone < MAX_NR_ZONES; classzone++) {
        if (this.lists.of(zone.node, classzone).at(0) !== zone) continue;
        most = Math.max(most, zone.protection[classzone]);
      }
      const limit = zone.mark(WMARK_LOW) + most + zone.highAtomic + zone.cma;
      zone.buddy.setFastLimit(limit);
    }
    this.setFast();
  }

  /** Says where the fast path finds frames for each value of gfp's lowest five bits. */
  private setFast(): void {
    const { hot } = this;
    const node = this.nodeOfCpu[this.currentCpu];
    for (let bits = 0; bits < FAST_WORDS; bits++) {
      const zone = this.lists.of(node, gfpZone(bits)).at(0);
      hot[this.cpuAt + bits] = this.cpuAt + FAST_WORDS; // a stack of no zone: always empty
      // what is charged, and remote memory, are counted on the slow path
      if (zone === undefined || this.accounting !== null || zone.node !== node) continue;
      if (!zone.buddy.fastOpen) continue;
      const type = Math.min(migrateTypeOf(bits), MIGRATE_RECLAIMABLE);
      hot[this.cpuAt + bits] = zone.pcp[this.currentCpu].at + type * STACK_WORDS;
    }
  }

  /**
   * 2^order frames. O(1) from a per-CPU list, O(MAX_ORDER) from the buddy lists.
   * @returns the first frame, its refcount 1; NO_PFN where nothing is left.
   */
  alloc(gfp: number, order: number): Pfn {
    if (order === 0 && this.trace.listeners === 0) {
      const { hot } = this;
      const stack = hot[(this.cpuAt + (gfp & (FAST - 1))) | 0];
      const top = hot[stack];
      if (top !== hot[stack | BOTTOM]) {
        // PerCpuPages.pop() and prepare() by hand
        const pfn = hot[(top - 1) | 0];
        hot[stack] = top - 1;
        this.pairs[pfn << 2] = IN_USE;
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
    const { hot, pairs } = this;
    const stack = (this.cpuAt + FAST + (hot[(this.blocksAt + (pfn >>> BLOCK)) | 0] << 2)) | 0;
    const top = hot[stack];
    const special = (this.words[pfn << SHIFT] & SPECIAL) | this.trace.listeners | order;
    if (special !== 0 || top >= hot[stack | LIMIT]) {
      this.freeSlow(pfn, order);
      return;
    }
    // PerCpuPages.push() by hand; the links are left as they are
    hot[top] = pfn;
    hot[stack] = (top + 1) | 0;
    hot[stack | FREED] = (hot[stack | FREED] + 1) | 0;
    const at = pfn << 2;
    pairs[at] = ON_PCP;
    pairs[at | 1] = 0;
    pairs[at | 2] = 0;
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

  /** Frees a larger block, a charged page, while events are traced; or none that may be freed. */
  private freeSlow(pfn: Pfn, order: number): void {
    const at = pfn * PAGE_RECORD;
    const number = this.tables.zoneAt(pfn);
    if ((this.words[at] & NOT_IN_USE) !== 0 || number < 0) badFree(this.pages, pfn);
    if ((this.words[at] & PG_charged) !== 0) this.accounting?.uncharge(pfn, order);
    if (this.trace.on) this.trace.emit(mm_page_free, pfn, order);
    this.words.fill(0, at, at + (PAGE_RECORD << order));
    const zone = this.zones[number];
    const type = this.tables.typeOf(pfn);
    if (type > MIGRATE_HIGHATOMIC || !isPcpOrder(order)) {
      zone.freed += 1 << order;
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

/** Two words of a record as the number that has both as its bytes. */
function twoWords(first: number, second: number): number {
  return new Float64Array(Int32Array.of(first, second).buffer)[0];
}

function badFree(pages: MemMap, pfn: number): never {
  const flags = pageFlagNames(pages.flags(pfn)).join(' ');
  throw new KernelBug(`free: frame ${pfn} is not in use (${flags === '' ? 'no RAM' : flags})`);
}
