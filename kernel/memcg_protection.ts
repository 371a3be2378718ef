// How much of a memory group's memory is safe from reclaim: memory.min and memory.low as they take
// effect in the hierarchy.
//
//     effective(group) = its own setting, as far as it uses it; where its siblings together claim
//                        more than the parent has effectively, in proportion to their claims
//     usage <= effective min     not reclaimed at all
//     usage <= effective low     reclaimed only when nothing else was left ("low" event)
//     usage above them           the protected part of each list is not counted when a round
//                                decides how many pages it looks at
//
// The group whose limit or whose shortage it is has no protection from itself; groups right below
// it have what they set. Memory that a parent protects and no child claims is spread over children
// by what they use where `recursive` is set (mount option memory_recursiveprot).
// Source: Linux 6.18 mm/page_counter.c: effective_protection(),
// page_counter_calculate_protection(); mm/vmscan.c: shrink_node_memcgs(),
// apply_proportional_protection().

import type { MemGroup } from './memcg.ts';

/** Pages of a group that are effectively protected. */
export interface Protection {
  readonly min: number;
  readonly low: number;
}

/** What share of a setting takes effect (effective_protection()); all in pages. */
export function effectiveProtection(
  usage: number,
  parentUsage: number,
  setting: number,
  parentEffective: number,
  siblingsProtected: number,
  recursive: boolean,
): number {
  const claimed = Math.min(usage, setting);
  if (siblingsProtected > parentEffective) {
    return Math.floor((claimed * parentEffective) / siblingsProtected);
  }
  const spare = parentEffective > siblingsProtected && parentUsage > siblingsProtected;
  if (!recursive || !spare || usage <= claimed) return claimed;
  const unclaimed = parentEffective - siblingsProtected;
  return claimed + Math.floor((unclaimed * (usage - claimed)) / (parentUsage - siblingsProtected));
}

/** What protects a group from reclaim on behalf of `target`, itself or one above it. */
export function protectionOf(group: MemGroup, target: MemGroup, recursive: boolean): Protection {
  const { parent } = group;
  if (group === target || parent === null) return { min: 0, low: 0 };
  if (parent === target) return { min: group.min, low: group.low };
  const above = protectionOf(parent, target, recursive);
  const effective = (what: 'min' | 'low'): number => {
    let siblings = 0;
    for (const child of parent.children) siblings += Math.min(child.usage, child[what]);
    const limit = above[what];
    return effectiveProtection(group.usage, parent.usage, group[what], limit, siblings, recursive);
  };
  return { min: effective('min'), low: effective('low') };
}
