// /proc/PID: maps, status, statm and stat in their real formats.
// Source: Linux 6.18 fs/proc/task_mmu.c, fs/proc/array.c; man 5 proc.

import { PAGE_SIZE } from '../kernel/types.ts';
import type { Mm } from './mm.ts';
import type { Task } from './process.ts';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES, MM_SWAPENTS } from './rss.ts';
import { permsOf, type Vma } from './vma.ts';

/** The name of a mapping: its file, what the kernel made it for, or nothing. */
export function vmaName(vma: Vma): string {
  if (vma.file !== null) {
    const { inode } = vma.file;
    // Shared anonymous memory and memfds have no name in a directory.
    return inode.unlinked ? `${inode.path} (deleted)` : inode.path;
  }
  if (vma.special !== '') return vma.special;
  const { mm } = vma;
  if (vma.start < mm.brk && vma.end > mm.startBrk) return '[heap]';
  return vma.start <= mm.startStack && vma.end >= mm.startStack ? '[stack]' : '';
}

/** One line of /proc/PID/maps, without its newline. */
export function mapsLine(vma: Vma): string {
  const range = `${address(vma.start)}-${address(vma.end)}`;
  const { file } = vma;
  const offset = file === null ? 0 : vma.pgoff * PAGE_SIZE;
  const device = file === null ? '00:00' : file.inode.kind === 'disk' ? '08:01' : '00:01';
  const inode = file === null ? 0 : file.inode.id;
  const head = `${range} ${permsOf(vma.flags)} ${address(offset)} ${device} ${inode}`;
  const name = vmaName(vma);
  return name === '' ? `${head} ` : `${head.padEnd(72)} ${name}`;
}

/** /proc/PID/maps. */
export function procMaps(mm: Mm): string {
  return [...mm.vmas].map((vma) => mapsLine(vma) + '\n').join('');
}

/** /proc/PID/statm: size, resident, shared, text, lib, data, dt, in pages. */
export function procStatm(mm: Mm): string {
  const shared = mm.rss[MM_FILEPAGES] + mm.rss[MM_SHMEMPAGES];
  const data = mm.dataVm + mm.stackVm;
  return `${mm.totalVm} ${mm.rssPages} ${shared} ${mm.execVm} 0 ${data} 0\n`;
}

/** The memory part of /proc/PID/status. */
export function procStatus(task: Task): string {
  const { mm } = task;
  const kib = (pages: number): number => pages * (PAGE_SIZE / 1024);
  const rows: [string, number][] = [
    ['VmPeak', kib(Math.max(mm.hiwaterVm, mm.totalVm))],
    ['VmSize', kib(mm.totalVm)],
    ['VmLck', kib(mm.lockedVm)],
    ['VmPin', 0],
    ['VmHWM', kib(Math.max(mm.hiwaterRss, mm.rssPages))],
    ['VmRSS', kib(mm.rssPages)],
    ['RssAnon', kib(mm.rss[MM_ANONPAGES])],
    ['RssFile', kib(mm.rss[MM_FILEPAGES])],
    ['RssShmem', kib(mm.rss[MM_SHMEMPAGES])],
    ['VmData', kib(mm.dataVm)],
    ['VmStk', kib(mm.stackVm)],
    ['VmExe', kib(mm.execVm)],
    ['VmLib', 0],
    ['VmPTE', mm.pgt.bytes / 1024],
    ['VmSwap', kib(mm.rss[MM_SWAPENTS])],
    ['HugetlbPages', 0],
  ];
  const threads = [...mm.system.tasks.values()].filter((t) => t.tgid === task.tgid).length;
  return (
    `Name:\t${task.comm}\nState:\tS (sleeping)\nTgid:\t${task.tgid}\nPid:\t${task.pid}\n` +
    `PPid:\t${task.parent?.tgid ?? 0}\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n` +
    rows.map(([name, n]) => `${name}:\t${String(n).padStart(8)} kB\n`).join('') +
    `Threads:\t${threads}\n`
  );
}

/** /proc/PID/stat: 52 numbers, of which those about memory and faults are filled. */
export function procStat(task: Task): string {
  const { mm } = task;
  const fields = new Array<number | string>(52).fill(0);
  const set = (n: number, value: number | string): void => void (fields[n - 1] = value);
  set(1, task.pid);
  set(2, `(${task.comm.slice(0, 15)})`);
  set(3, 'S');
  set(4, task.parent?.tgid ?? 0);
  set(5, task.tgid);
  set(6, task.tgid);
  set(10, task.minflt);
  set(12, task.majflt);
  set(18, 20); // priority
  set(20, 1); // threads
  set(23, mm.totalVm * PAGE_SIZE);
  set(24, mm.rssPages);
  set(25, '18446744073709551615');
  set(28, mm.startStack);
  set(38, 17); // exit signal: SIGCHLD
  set(47, mm.startBrk);
  return fields.join(' ') + '\n';
}

function address(n: number): string {
  return n.toString(16).padStart(8, '0');
}
