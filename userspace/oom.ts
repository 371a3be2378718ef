// Out of memory: which process goes, and what the kernel says about it.
//
//     a fault finds no frame      nothing can be reclaimed, or the group's limit forbids it
//       --> the worst process of the group (or of all) is killed, its memory comes back
//       --> the fault is tried again, unless it was the victim's own
//
// Source: Linux 6.18 mm/oom_kill.c: out_of_memory(); mm/memcontrol.c: mem_cgroup_out_of_memory().
// Not modelled: oom_kill_allocating_task, panic_on_oom.

import type { MemGroup } from '../kernel/memcg.ts';
import { memoryFiles } from '../kernel/memcg_files.ts';
import {
  OOM_SCORE_ADJ_MIN,
  oomReport,
  selectVictim,
  type OomCandidate,
  type OomGroup,
} from '../kernel/reclaim/oom.ts';
import { OOM_KILL } from '../kernel/stats.ts';
import { mark_victim } from '../kernel/trace.ts';
import type { Mm } from './mm.ts';
import type { Task } from './process.ts';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES, MM_SWAPENTS } from './rss.ts';
import { showMem } from './show-mem.ts';
import type { System } from './system.ts';

const GFP_TEXT = '0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP)';
/** What a group is charged with. */
const CHARGE_TEXT = '0xcc0(GFP_KERNEL)';

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
    gfpText: limit === null ? GFP_TEXT : CHARGE_TEXT,
    order: 0,
    scoreAdj: system.current?.oomScoreAdj ?? 0,
    group: limit === null ? undefined : oomGroup(system, limit),
    memory: limit === null ? showMem(system) : [],
    nodes: system.machine.booted.nrNodes,
  };
  system.log.push(...oomReport(cause, candidates, victim));
  if (victim === undefined) return false;
  stat.counts[OOM_KILL]++;
  if (trace.on) trace.emit(mark_victim, victim.pid);
  const killed = tasks[candidates.indexOf(victim)];
  const own = killed.mm === mm;
  const whole = oomGroupOf(killed, limit);
  const dead = [...system.tasks.values()].filter(
    (task) => task.tgid === killed.tgid || task.mm === killed.mm || isInGroup(task, whole),
  );
  if (whole !== null) {
    system.log.push(`Tasks in ${whole.path} are going to be killed due to memory.oom.group set`);
    whole.count('oom_group_kill');
  }
  const spaces = new Set(dead.map((task) => task.mm));
  for (const space of spaces) space.group?.count('oom_kill');
  for (const task of dead) system.exit(task);
  return !own && !spaces.has(mm);
}

/**
 * The highest group below the one that is out of memory, with the victim in it, all of whose
 * processes are to go together; null where there is none (mem_cgroup_get_oom_group()).
 */
function oomGroupOf(victim: Task, limit: MemGroup | null): MemGroup | null {
  let found: MemGroup | null = null;
  for (let g = victim.mm.group; g !== null && g.parent !== null; g = g.parent) {
    if (g.oomGroup) found = g;
    if (g === limit) break;
  }
  return found;
}

function isInGroup(task: Task, group: MemGroup | null): boolean {
  if (group === null || task.oomScoreAdj === OOM_SCORE_ADJ_MIN) return false;
  return task.mm.group?.isIn(group) ?? false;
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
    groupPath: mm.group?.path ?? '/',
  };
}

/** The group as the log shows it. */
function oomGroup(system: System, group: MemGroup): OomGroup {
  const stat = memoryFiles(group, system.machine).find(([name]) => name === 'memory.stat');
  return {
    path: group.path,
    usage: group.usage,
    max: group.max,
    failures: group.events.max,
    swapUsage: group.swapUsage,
    swapMax: group.swapMax,
    swapFailures: group.swapEvents.max,
    stat: (stat?.[1] ?? '').trimEnd().split('\n'),
  };
}
