// The lists that reclaim works on, as plain data.

import { PG_dirty, PG_referenced } from '../../kernel/page.ts';
import { PGACTIVATE, PGDEACTIVATE, PGREFILL } from '../../kernel/reclaim/page_events.ts';
import { TwoList } from '../../kernel/reclaim/two-list.ts';
import type { Subject } from './subject.ts';

export interface LruList {
  readonly name: string;
  readonly length: number;
  /** First frames from the head (newest) on, MOST_PAGES at the most. */
  readonly frames: readonly number[];
  /** Of each: bit 0 referenced, bit 1 dirty. */
  readonly marks: readonly number[];
}

export interface LruPool {
  readonly policy: string;
  readonly node: number;
  readonly group: number;
  readonly size: number;
  /** By list; empty where the policy keeps no lists of this kind. */
  readonly lists: readonly LruList[];
  readonly figures: readonly (readonly [string, number])[];
}

const NAMES = ['inactive, anonymous', 'active, anonymous', 'inactive, file', 'active, file'];
const MOST_PAGES = 512;

/** Every pool of reclaimable pages. */
export function lruView(subject: Subject): LruPool[] {
  const { lru, stat } = subject.system.machine;
  const counted = [...stat.entries()].filter(([name]) => /^(pgscan|pgsteal|pswp|oom)/.test(name));
  return lru.pools.map(({ node, group, policy, events }) => {
    const isTwo = policy instanceof TwoList;
    const figures: (readonly [string, number])[] = isTwo
      ? [
          ['pgactivate', events[PGACTIVATE]!],
          ['pgdeactivate', events[PGDEACTIVATE]!],
          ['pgrefill', events[PGREFILL]!],
        ]
      : [];
    return {
      policy: policy.name,
      node,
      group,
      size: policy.size,
      lists: isTwo ? NAMES.map((name, i) => listOf(subject, policy, i, name)) : [],
      figures: [...figures, ...counted],
    };
  });
}

function listOf(subject: Subject, policy: TwoList, lru: number, name: string): LruList {
  const { pages } = subject.system.machine;
  const list = policy.first + lru;
  const frames: number[] = [];
  const marks: number[] = [];
  let pfn = policy.lists.head[list] ?? -1;
  while (pfn >= 0 && frames.length < MOST_PAGES) {
    frames.push(pfn);
    const flags = pages.flags(pfn);
    marks.push(((flags & PG_referenced) !== 0 ? 1 : 0) | ((flags & PG_dirty) !== 0 ? 2 : 0));
    pfn = policy.lists.next(pfn);
  }
  return { name, length: policy.lists.length[list] ?? 0, frames, marks };
}
