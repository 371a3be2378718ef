// Out of memory: which process goes, and what the kernel says about it.
//
//     a fault finds no frame      nothing can be reclaimed, or the group's limit forbids it
//       --> the worst process of the group (or of all) is killed, its memory comes back
//       --> the fault is tried again, unless it was the victim's own
//
// Source: Linux 6.18 mm/oom_kill.c: out_of_memory(); mm/memcontrol.c: mem_cgroup_out_of_memory().
// Not modelled: oom_kill_allocating_task, panic_on_oom.

import type { MemGroup } from '../kernel/memcg.ts';
import { oomReport, selectVictim, type OomCandidate } from '../kernel/reclaim/oom.ts';
import { OOM_KILL } from '../kernel/stats.ts';
import { mark_victim } from '../kernel/trace.ts';
import type { Mm } from './mm.ts';
import type { Task } from './process.ts';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES, MM_SWAPENTS } from './rss.ts';
import type { System } from './system.ts';

const GFP_TEXT = '0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP)';

/**
 * Kills a process, as a fault in `mm` found no frame.
 * @returns true where the fault is worth another try: another process went.
 */
export function outOfMemory(system: System, mm: Mm): boolean {
  const { groups, stat, trace } = system.machine;
  const limit = groups?.oom ?? null;
  if (groups !== null) groups.oom = null;
  const tasks = leaders(system, limit);
  const candidates = tasks.map(candidate);
  const total = limit?.max ?? system.totalRamPages + system.totalSwapPages;
  const victim = selectVictim(candidates, total);
  const cause = {
    comm: system.current?.comm ?? 'swapper',
    gfpText: GFP_TEXT,
    order: 0,
    scoreAdj: system.current?.oomScoreAdj ?? 0,
    group: limit === null ? undefined : { name: limit.name, usage: limit.usage, max: limit.max },
  };
  system.log.push(...oomReport(cause, candidates, victim));
  if (victim === undefined) return false;
  stat.counts[OOM_KILL]++;
  if (limit !== null) limit.events.oom_kill++;
  if (trace.on) trace.emit(mark_victim, victim.pid);
  const killed = tasks[candidates.indexOf(victim)];
  const own = killed.mm === mm;
  const dead = [...system.tasks.values()].filter(
    (task) => task.tgid === killed.tgid || task.mm === killed.mm,
  );
  for (const task of dead) system.exit(task);
  return !own;
}

/** One task for each process that the limit concerns. */
function leaders(system: System, limit: MemGroup | null): Task[] {
  const found: Task[] = [];
  for (const task of system.tasks.values()) {
    if (limit !== null && task.mm.group?.isIn(limit) !== true) continue;
    if (!found.some((other) => other.tgid === task.tgid)) found.push(task);
  }
  return found;
}

function candidate(task: Task): OomCandidate {
  const { mm } = task;
  return {
    pid: task.pid,
    tgid: task.tgid,
    uid: 0,
    comm: task.comm,
    totalVm: mm.totalVm,
    rssAnon: mm.rss[MM_ANONPAGES],
    rssFile: mm.rss[MM_FILEPAGES],
    rssShmem: mm.rss[MM_SHMEMPAGES],
    swapEntries: mm.rss[MM_SWAPENTS],
    pageTableBytes: mm.pgt.bytes,
    scoreAdj: task.oomScoreAdj,
  };
}
