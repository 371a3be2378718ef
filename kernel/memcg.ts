// Memory groups (memory cgroups): who pays for a page, and how much a group may have.
//
//     allocation of a user page or an accounted kernel page
//       --> charge the running process's group and its ancestors
//             over `max`: reclaim of that group's own pages, again and again; then OOM in the group
//             over `high`: reclaim, but the charge stands
//     free --> uncharge
//
// A page that is charged has PG_charged, and `groupOf` names its group. Pages of the root group (0)
// are not charged. Tables made for a fault are charged past the limit: the next page of the program
// pays for them, so that no page is reclaimed while the kernel holds it half made.
// Invariants (check()): usage = charged pages of the group and its descendants.
// Source: Linux 6.18 mm/memcontrol.c: try_charge_memcg(), mem_cgroup_uncharge(), page_counter.c.
// Not modelled: protection (memory.min, low), limits of swap, batches of charges per CPU, dying
// groups, the soft limit of version 1.

import { assert } from './errors.ts';
import { __GFP_ACCOUNT, __GFP_MOVABLE } from './gfp.ts';
import { PG_charged, PG_kmem, type MemMap } from './page.ts';
import type { PageAccounting } from './ports.ts';

const MAX_RECLAIM_RETRIES = 16;

/** What memory.events counts. */
export interface GroupEvents {
  high: number;
  max: number;
  oom: number;
  oom_kill: number;
}

export class MemGroup {
  readonly id: number;
  readonly name: string;
  readonly parent: MemGroup | null;
  /** Limits in pages; Infinity for none. */
  max = Infinity;
  high = Infinity;
  /** Pages charged to it and its descendants; those of them that are the kernel's. */
  usage = 0;
  kernel = 0;
  /** Most pages ever charged. */
  peak = 0;
  swappiness = 60;
  readonly events: GroupEvents = { high: 0, max: 0, oom: 0, oom_kill: 0 };

  constructor(id: number, name: string, parent: MemGroup | null) {
    this.id = id;
    this.name = name;
    this.parent = parent;
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
        group.events.oom++;
        this.oom = group;
        return -1;
      }
    }
    for (let group = current; group !== this.root; group = group.parent ?? this.root) {
      group.usage += nr;
      if (kernel) group.kernel += nr;
      if (group.usage > group.peak) group.peak = group.usage;
      if (group.usage > group.high && !kernel) {
        group.events.high++;
        this.reclaim(group, group.usage - group.high);
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
      group.events.max++;
      this.reclaim(group, nr);
      if (group.usage + nr <= group.max) return true;
    }
    return false;
  }
}
