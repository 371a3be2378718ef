// The OOM killer: nothing is left to reclaim, so one process must go.
//
//     badness = resident pages + swapped pages + pages of page tables
//               + oom_score_adj thousandths of all memory there is;  -1000: never
//
// The worst is killed, the first of equals. What it had comes back with its address space.
// Source: Linux 6.18 mm/oom_kill.c: oom_badness(), oom_evaluate_task(), dump_tasks(),
// __oom_kill_process(). Not modelled: the stack of who asked, unreclaimable slabs in the log, the
// reaper: it comes after two seconds, and a victim here is gone at once.

/** A process as the OOM killer sees it; memory in pages. */
export interface OomCandidate {
  readonly pid: number;
  readonly tgid: number;
  readonly uid: number;
  readonly comm: string;
  readonly totalVm: number;
  readonly rssAnon: number;
  readonly rssFile: number;
  readonly rssShmem: number;
  readonly swapEntries: number;
  readonly pageTableBytes: number;
  /** Its memory group; the root group where not given. */
  readonly groupPath?: string;
  /** -1000 (never) .. 1000 (first). */
  readonly scoreAdj: number;
}

export const OOM_SCORE_ADJ_MIN = -1000;

/**
 * Points of a process; NaN where it must not be killed. @param totalPages RAM and swap in pages.
 */
export function badness(task: OomCandidate, totalPages: number): number {
  if (task.scoreAdj === OOM_SCORE_ADJ_MIN) return NaN;
  const points =
    task.rssAnon +
    task.rssFile +
    task.rssShmem +
    task.swapEntries +
    Math.floor(task.pageTableBytes / 4096);
  return points + task.scoreAdj * Math.trunc(totalPages / 1000);
}

/** Who is to be killed; undefined where nobody may be. */
export function selectVictim(
  tasks: readonly OomCandidate[],
  totalPages: number,
): OomCandidate | undefined {
  let worst: OomCandidate | undefined;
  let most = -Infinity;
  for (const task of tasks) {
    const points = badness(task, totalPages);
    if (points > most) {
      most = points;
      worst = task;
    }
  }
  return worst;
}

/** Why there is an OOM: who asked for what, and within which limit. */
export interface OomCause {
  readonly comm: string;
  readonly gfpText: string;
  readonly order: number;
  readonly scoreAdj: number;
  /** The group whose limit it is; undefined where all memory is used up. */
  readonly group: OomGroup | undefined;
  /** Where all memory is used up: what there is of it, line by line (Mem-Info). */
  readonly memory?: readonly string[];
  /** Nodes of the machine; 1 where not given. */
  readonly nodes?: number;
}

/** A memory group whose limit is reached, as the log shows it; sizes in pages. */
export interface OomGroup {
  readonly path: string;
  readonly usage: number;
  readonly max: number;
  readonly failures: number;
  readonly swapUsage: number;
  readonly swapMax: number;
  readonly swapFailures: number;
  /** memory.stat, line by line. */
  readonly stat: readonly string[];
}

/** What the log prints for no limit: PAGE_COUNTER_MAX in KiB. */
const NO_LIMIT_KB = '9007199254740988';

/** The kernel's log of an OOM kill, line by line. */
export function oomReport(
  cause: OomCause,
  tasks: readonly OomCandidate[],
  victim: OomCandidate | undefined,
): string[] {
  const { group } = cause;
  const lines = [
    `${cause.comm} invoked oom-killer: gfp_mask=${cause.gfpText}, order=${cause.order}, ` +
      `oom_score_adj=${cause.scoreAdj}`,
  ];
  if (group !== undefined) {
    const limit = (pages: number): string => (pages === Infinity ? NO_LIMIT_KB : `${pages * 4}`);
    const line = (what: string, usage: number, max: number, failures: number): string =>
      `${what}: usage ${usage * 4}kB, limit ${limit(max)}kB, failcnt ${failures}`;
    lines.push(
      line('memory', group.usage, group.max, group.failures),
      line('swap', group.swapUsage, group.swapMax, group.swapFailures),
      `Memory cgroup stats for ${group.path}:`,
      ...group.stat,
    );
  }
  lines.push(
    ...(group === undefined ? (cause.memory ?? []) : []),
    'Tasks state (memory values in pages):',
    '[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes ' +
      'swapents oom_score_adj name',
    ...tasks.map(taskLine),
  );
  if (victim === undefined) return [...lines, 'Out of memory and no killable processes...'];
  const constraint = group === undefined ? 'CONSTRAINT_NONE' : 'CONSTRAINT_MEMCG';
  const domain = group === undefined ? 'global_oom' : `oom_memcg=${group.path}`;
  const nodes = cause.nodes ?? 1;
  const allowed = nodes === 1 ? '0' : `0-${nodes - 1}`;
  const where = `${domain},task_memcg=${victim.groupPath ?? '/'}`;
  lines.push(
    `oom-kill:constraint=${constraint},nodemask=(null),cpuset=/,mems_allowed=${allowed},${where},` +
      `task=${victim.comm},pid=${victim.pid},uid=${victim.uid}`,
    `${group === undefined ? 'Out of memory' : 'Memory cgroup out of memory'}: ` +
      `Killed process ${victim.pid} (${victim.comm}) total-vm:${victim.totalVm * 4}kB, ` +
      `anon-rss:${victim.rssAnon * 4}kB, file-rss:${victim.rssFile * 4}kB, ` +
      `shmem-rss:${victim.rssShmem * 4}kB, UID:${victim.uid} ` +
      `pgtables:${victim.pageTableBytes / 1024}kB oom_score_adj:${victim.scoreAdj}`,
  );
  return lines;
}

function taskLine(task: OomCandidate): string {
  const right = (value: number | string, width: number): string => String(value).padStart(width);
  const rss = task.rssAnon + task.rssFile + task.rssShmem;
  return (
    `[${right(task.pid, 7)}] ${right(task.uid, 5)} ${right(task.tgid, 5)} ` +
    `${right(task.totalVm, 8)} ${right(rss, 8)} ${right(task.rssAnon, 8)} ` +
    `${right(task.rssFile, 8)} ${right(task.rssShmem, 9)} ${right(task.pageTableBytes, 8)} ` +
    `${right(task.swapEntries, 8)}         ${right(task.scoreAdj, 5)} ${task.comm}`
  );
}
