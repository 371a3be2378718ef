// Memory groups (memory cgroups): who pays for a page, and how much a group may have.
//
//     allocation of a user page or an accounted kernel page
//       --> charge the running process's group and its ancestors
//             over `max`: reclaim of that group's own pages, again and again; then OOM in the group
//             over `high`: reclaim, but the charge stands, and the program waits (emulated time)
//     free --> uncharge
//
// A page that is charged has PG_charged, and `groupOf` names its group. Pages of the root group (0)
// are not charged. Tables made for a fault are charged past the limit: the next page of the program
// pays for them, so that no page is reclaimed while the kernel holds it half made.
// Invariants (check()): usage = charged pages of the group and its descendants.
// Source: Linux 6.18 mm/memcontrol.c: try_charge_memcg(), mem_cgroup_uncharge(), page_counter.c.
// A slot of swap is charged to the group of its page, against `swapMax`, until it is free again.
// What protects a group from reclaim is in memcg_protection.ts.
// Not modelled: batches of charges per CPU, dying groups, the soft limit of version 1.

import { assert } from './errors.ts';
import { __GFP_ACCOUNT, __GFP_MOVABLE } from './gfp.ts';
import { PG_charged, PG_kmem, type MemMap } from './page.ts';
import type { PageAccounting } from './ports.ts';

const MAX_RECLAIM_RETRIES = 16;

/** The longest that a program waits for being over `high` (MEMCG_MAX_HIGH_DELAY_JIFFIES). */
const MAX_HIGH_DELAY_NS = 2e9;

/** What memory.events counts, for a group and all below it. */
export class GroupEvents {
  low = 0;
  high = 0;
  max = 0;
  oom = 0;
  oom_kill = 0;
  oom_group_kill = 0;
}

/** What memory.swap.events counts: refused by the limit; not swapped for lack of room. */
export class SwapEvents {
  high = 0;
  max = 0;
  fail = 0;
}

export class MemGroup {
  readonly id: number;
  readonly name: string;
  readonly parent: MemGroup | null;
  /** Limits in pages; Infinity for none. */
  max = Infinity;
  high = Infinity;
  /** Pages that reclaim leaves alone: always, or as long as there are others. */
  min = 0;
  low = 0;
  /** Slots of swap that it and its descendants may have, and have. */
  swapMax = Infinity;
  swapUsage = 0;
  swapPeak = 0;
  /** If one of its processes is killed for lack of memory, all are. */
  oomGroup = false;
  /** Pages charged to it and its descendants; those of them that are the kernel's. */
  usage = 0;
  kernel = 0;
  /** Most pages ever charged. */
  peak = 0;
  swappiness = 60;
  readonly events = new GroupEvents();
  /** The same, without what happened below. */
  readonly localEvents = new GroupEvents();
  readonly swapEvents = new SwapEvents();
  readonly children: MemGroup[] = [];
  /** Faults of its processes since it was made. */
  faults = 0;
  majorFaults = 0;

  constructor(id: number, name: string, parent: MemGroup | null) {
    this.id = id;
    this.name = name;
    this.parent = parent;
  }

  /** Where it is in the tree: `/`, `/a`, `/a/b`. */
  get path(): string {
    if (this.parent === null) return '/';
    const above = this.parent.path;
    return `${above === '/' ? '' : above}/${this.name.replace(/^\//, '')}`;
  }

  /** Something happened to it: it counts for it and for all above it. */
  count(event: keyof GroupEvents): void {
    this.localEvents[event]++;
    this.countWithin(event);
  }

  private countWithin(event: keyof GroupEvents): void {
    this.events[event]++;
    this.parent?.countWithin(event);
  }

  /** Slots of swap that its limits leave it (mem_cgroup_get_nr_swap_pages()). */
  get swapRoom(): number {
    const own = this.swapMax - this.swapUsage;
    return this.parent === null ? own : Math.min(own, this.parent.swapRoom);
  }

  /** Is it the group, or below it? */
  isIn(group: MemGroup): boolean {
    return this === group || (this.parent?.isIn(group) ?? false);
  }
}

/** Frees pages of a group. Implemented by reclaim. */
export type GroupReclaim = (group: MemGroup, pages: number) => number;

export class MemGroups implements PageAccounting {
  readonly root = new MemGroup(0, '/', null);
  readonly groups: MemGroup[] = [this.root];
  /** The group of the process that runs. */
  current: MemGroup = this.root;
  /** Group by frame; 0 for pages that are not charged. */
  readonly groupOf: Uint16Array;
  /** The group whose limit stopped the last allocation, until the OOM killer looked at it. */
  oom: MemGroup | null = null;
  /** Unclaimed protection of a group is spread over those below it (memory_recursiveprot). */
  recursiveProtection = false;
  /** Time that programs waited for being over `high`, in ns. */
  highDelayNs = 0;
  private readonly pages: MemMap;
  private readonly reclaim: GroupReclaim;

  constructor(pages: MemMap, reclaim: GroupReclaim) {
    this.pages = pages;
    this.groupOf = new Uint16Array(pages.nrFrames);
    this.reclaim = reclaim;
  }

  /** A new group below another. */
  create(name: string, parent: MemGroup = this.root): MemGroup {
    const group = new MemGroup(this.groups.length, name, parent);
    this.groups.push(group);
    parent.children.push(group);
    return group;
  }

  /** Whose pages are charged from now on; null for the root group. */
  run(group: MemGroup | null): void {
    this.current = group ?? this.root;
  }

  charge(gfp: number, order: number): number {
    const { current } = this;
    const kernel = (gfp & __GFP_ACCOUNT) !== 0;
    if (current === this.root || (!kernel && (gfp & __GFP_MOVABLE) === 0)) return 0;
    const nr = 1 << order;
    for (let group = current; group !== this.root; group = group.parent ?? this.root) {
      if (kernel || group.usage + nr <= group.max) continue;
      if (!this.makeRoom(group, nr)) {
        group.count('oom');
        this.oom = group;
        return -1;
      }
    }
    for (let group = current; group !== this.root; group = group.parent ?? this.root) {
      group.usage += nr;
      if (kernel) group.kernel += nr;
      if (group.usage > group.peak) group.peak = group.usage;
      if (group.usage > group.high && !kernel) {
        group.count('high');
        this.reclaim(group, group.usage - group.high);
        this.highDelayNs += highDelay(group, nr);
      }
    }
    return current.id;
  }

  bind(pfn: number, group: number, gfp: number): void {
    this.pages.setFlags(pfn, PG_charged);
    this.groupOf[pfn] = group;
    if ((gfp & __GFP_ACCOUNT) !== 0) this.pages.setFlags(pfn, PG_kmem);
  }

  /** The pages of a compound page that is split are charged one by one from now on. */
  split(head: number, order: number): void {
    if (!this.pages.hasFlags(head, PG_charged)) return;
    for (let i = 1; i < 1 << order; i++) this.bind(head + i, this.groupOf[head], 0);
  }

  /** The page of one frame is in another now, its record with it. */
  migrate(from: number, to: number): void {
    this.groupOf[to] = this.groupOf[from];
    this.groupOf[from] = 0;
  }

  uncharge(pfn: number, order: number): void {
    this.giveBack(this.groupOf[pfn], order, this.pages.hasFlags(pfn, PG_kmem));
    this.groupOf[pfn] = 0;
    this.pages.clearFlags(pfn, PG_charged | PG_kmem);
  }

  /** Undoes charge() of an allocation that found no frame. */
  giveBack(id: number, order: number, kernel = false): void {
    const nr = 1 << order;
    for (let g: MemGroup | null = this.groups[id]; g !== null && g !== this.root; g = g.parent) {
      g.usage -= nr;
      if (kernel) g.kernel -= nr;
      assert(g.usage >= 0, `group ${g.name}: usage is not negative`);
    }
  }

  /** Charges a slot of swap to the group of a page. @returns false where a limit forbids it. */
  chargeSwap(pfn: number): boolean {
    const payer = this.groups[this.groupOf[pfn]];
    for (let g: MemGroup | null = payer; g !== null; g = g.parent) {
      if (g.swapUsage < g.swapMax) continue;
      g.swapEvents.max++;
      g.swapEvents.fail++;
      return false;
    }
    for (let g: MemGroup | null = payer; g !== null; g = g.parent) {
      g.swapUsage++;
      g.swapPeak = Math.max(g.swapPeak, g.swapUsage);
    }
    return true;
  }

  /** A slot that chargeSwap() charged to a group is free. */
  unchargeSwap(id: number): void {
    for (let g: MemGroup | null = this.groups[id]; g !== null; g = g.parent) {
      g.swapUsage--;
      assert(g.swapUsage >= 0, `group ${g.name}: swap usage is not negative`);
    }
  }

  /** Throws KernelBug where usage and charged pages differ. */
  check(): void {
    const counted = new Float64Array(this.groups.length);
    for (let pfn = 0; pfn < this.pages.nrFrames; pfn++) {
      if (!this.pages.hasFlags(pfn, PG_charged)) {
        assert(this.groupOf[pfn] === 0, `frame ${pfn} has a group and is not charged`);
        continue;
      }
      const nr = 1 << this.pages.compoundOrder(pfn);
      let group: MemGroup | null = this.groups[this.groupOf[pfn]];
      for (; group !== null; group = group.parent) counted[group.id] += nr;
    }
    for (const group of this.groups.slice(1)) {
      const { id, name, usage } = group;
      assert(counted[id] === usage, `group ${name}: usage ${usage}, ${counted[id]} pages charged`);
    }
  }

  private makeRoom(group: MemGroup, nr: number): boolean {
    for (let round = 0; round < MAX_RECLAIM_RETRIES; round++) {
      group.count('max');
      this.reclaim(group, nr);
      if (group.usage + nr <= group.max) return true;
    }
    return false;
  }
}

/**
 * How long who charged `nr` pages over `high` has to wait (calculate_high_delay()): by the square
 * of the part by which the group is over it.
 */
function highDelay(group: MemGroup, nr: number): number {
  if (group.usage <= group.high) return 0;
  const over = (group.usage - group.high) / Math.max(group.high, 1);
  const delay = over * over * 64e9 * (nr / 64);
  return delay < 1e7 ? 0 : Math.min(delay, MAX_HIGH_DELAY_NS);
}
