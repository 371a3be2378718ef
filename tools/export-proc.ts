// Writes a machine as a /proc tree that unmodified clients read: smem, free, vmstat, ps, pmap.
//
//     DIR/meminfo vmstat zoneinfo buddyinfo pagetypeinfo slabinfo vmallocinfo iomem    text
//     DIR/kpageflags kpagecount                        eight bytes a frame, sparse files
//     DIR/PID/maps smaps smaps_rollup stat statm status cmdline comm pagemap
//     DIR/stat uptime loadavg version swaps mounts cpuinfo       what clients want to see besides
//
//     DIR/cgroup/…/memory.*      the tree of memory groups, as version 2 of cgroups is mounted
//
//     DIR/proc -> .              for clients that look for a /proc below what they are given
//
// pagemap is sparse: eight bytes a page at page number * 8, so its size says nothing.
// Source: Linux 6.18 fs/proc, fs/proc/page.c stable_page_flags(), task_mmu.c pagemap_read(), man 5
// proc.

import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { memoryFiles } from '../kernel/memcg_files.ts';
import { PG_buddy, PG_head, PG_slab, PG_table, PG_tail } from '../kernel/page.ts';
import { procIomem, procSlabinfo, procVmallocinfo } from '../kernel/proc-kernel.ts';
import { procBuddyinfo, procPagetypeinfo, procZoneinfo } from '../kernel/proc-zones.ts';
import { PAGE_SIZE, TASK_SIZE, type Pfn } from '../kernel/types.ts';
import {
  PM_EXCLUSIVE,
  PM_FILE,
  PM_PRESENT,
  PM_SWAP,
  forEachPage,
  kpageCount,
  kpageFlags,
} from '../userspace/pagemap.ts';
import {
  isKernelFrame,
  nodeCounters,
  procMeminfo,
  procPressure,
  procSwaps,
  procVmstat,
} from '../userspace/proc-memory.ts';
import { procSmaps, procSmapsRollup } from '../userspace/proc-smaps.ts';
import { procMaps, procStat, procStatm, procStatus } from '../userspace/proc.ts';
import type { System } from '../userspace/system.ts';
import type { Task } from '../userspace/process.ts';

// Bits of /proc/kpageflags (kernel-page-flags.h) beyond those of mapped pages.
const KPF_SLAB = 7;
const KPF_BUDDY = 10;
const KPF_NOPAGE = 20;
const KPF_COMPOUND_HEAD = 15;
const KPF_COMPOUND_TAIL = 16;
const KPF_PGTABLE = 26;
const KPF_RESERVED = 32;

/** Frames written at once. */
const CHUNK = 1 << 15;

/** Writes the machine's /proc into a folder, which is made if need be. */
export function exportProc(system: System, dir: string): void {
  mkdirSync(dir, { recursive: true });
  const { booted, slab, vmalloc } = system.machine;
  const put = (name: string, text: string): void => writeFileSync(join(dir, name), text);
  put('meminfo', procMeminfo(system));
  put('vmstat', procVmstat(system));
  mkdirSync(join(dir, 'pressure'), { recursive: true });
  put('pressure/memory', procPressure(system));
  put(
    'zoneinfo',
    procZoneinfo(booted, (node) => nodeCounters(system, node)),
  );
  put('buddyinfo', procBuddyinfo(booted));
  put('pagetypeinfo', procPagetypeinfo(booted));
  put('slabinfo', procSlabinfo(slab));
  put('vmallocinfo', procVmallocinfo(vmalloc));
  put('iomem', procIomem(booted, booted.rows));
  for (const [name, text] of otherFiles(system)) put(name, text);
  exportFrames(system, dir);
  for (const task of system.tasks.values()) {
    if (task.pid === task.tgid) exportTask(task, join(dir, String(task.pid)));
  }
  exportGroups(system, join(dir, 'cgroup'));
  link('.', join(dir, 'proc'));
  const first = [...system.tasks.keys()][0];
  if (first !== undefined) link(String(first), join(dir, 'self'));
}

/** Files about time, CPUs and mounts, which clients read to start up. */
function otherFiles(system: System): [string, string][] {
  const { cpus } = system.machine.booted;
  const seconds = (system.machine.trace.timeNs / 1e9).toFixed(2);
  const cpu = ' 0 0 0 0 0 0 0 0 0 0\n';
  const each = Array.from({ length: cpus }, (_, i) => `cpu${i}${cpu}`).join('');
  const faults = `intr 0\nctxt 0\nbtime 0\nprocesses ${system.tasks.size}\n`;
  const info = Array.from(
    { length: cpus },
    (_, i) => `processor\t: ${i}\nvendor_id\t: pagewalk\n\n`,
  );
  return [
    ['stat', `cpu ${cpu}${each}${faults}procs_running 1\nprocs_blocked 0\nsoftirq 0\n`],
    ['uptime', `${seconds} ${seconds}\n`],
    ['loadavg', `0.00 0.00 0.00 1/${system.tasks.size} ${system.tasks.size}\n`],
    ['version', 'Linux version 6.18.0 (pagewalk)\n'],
    ['swaps', procSwaps(system)],
    ['mounts', 'proc /proc proc rw 0 0\n'],
    ['cpuinfo', info.join('')],
    ['filesystems', 'nodev\tproc\n'],
    ['cmdline', 'pagewalk\n'],
  ];
}

/** The files of all memory groups, a folder each; none where there are no groups. */
function exportGroups(system: System, dir: string): void {
  const { groups } = system.machine;
  if (groups === null) return;
  for (const group of groups.groups) {
    const folder = join(dir, group.path);
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of memoryFiles(group, system.machine)) {
      writeFileSync(join(folder, name), text);
    }
    const members = [...system.tasks.values()].filter(
      (task) => task.pid === task.tgid && (task.mm.group ?? groups.root) === group,
    );
    writeFileSync(join(folder, 'cgroup.procs'), members.map((t) => `${t.pid}\n`).join(''));
  }
}

function exportTask(task: Task, dir: string): void {
  mkdirSync(dir, { recursive: true });
  const put = (name: string, text: string): void => writeFileSync(join(dir, name), text);
  const { mm } = task;
  put('maps', procMaps(mm));
  put('smaps', procSmaps(mm));
  put('smaps_rollup', procSmapsRollup(mm));
  put('stat', procStat(task));
  put('statm', procStatm(mm));
  put('status', procStatus(task));
  put('comm', `${task.comm.slice(0, 15)}\n`);
  put('cmdline', `${task.comm}\0`);
  put('environ', '');
  put('wchan', '0');
  put('cgroup', `0::${mm.group?.path ?? '/'}\n`);
  exportPagemap(task, join(dir, 'pagemap'));
}

/** /proc/PID/pagemap: frame in bits 0-54, then soft dirty, exclusive, file, swapped, present. */
function exportPagemap(task: Task, path: string): void {
  const file = openSync(path, 'w');
  try {
    ftruncateSync(file, (TASK_SIZE / PAGE_SIZE) * 8);
    let first = -1;
    let run: bigint[] = [];
    const flush = (): void => {
      if (run.length > 0)
        writeSync(file, Buffer.from(BigUint64Array.from(run).buffer), 0, run.length * 8, first * 8);
      run = [];
    };
    forEachPage(task.mm, 0, TASK_SIZE, (va, bits, pfn) => {
      const page = va / PAGE_SIZE;
      if (page !== first + run.length || run.length >= CHUNK) {
        flush();
        first = page;
      }
      run.push(pagemapEntry(bits, pfn));
    });
    flush();
  } finally {
    closeSync(file);
  }
}

function pagemapEntry(bits: number, pfn: Pfn): bigint {
  let entry = (bits & PM_PRESENT) !== 0 ? BigInt(pfn) : 0n;
  if ((bits & PM_EXCLUSIVE) !== 0) entry |= 1n << 56n;
  if ((bits & PM_FILE) !== 0) entry |= 1n << 61n;
  if ((bits & PM_SWAP) !== 0) entry |= 1n << 62n;
  if ((bits & PM_PRESENT) !== 0) entry |= 1n << 63n;
  return entry;
}

/** /proc/kpageflags and /proc/kpagecount; chunks of nothing but zeros stay holes. */
function exportFrames(system: System, dir: string): void {
  const { nrFrames } = system.machine.pages;
  const flags = openSync(join(dir, 'kpageflags'), 'w');
  const counts = openSync(join(dir, 'kpagecount'), 'w');
  try {
    ftruncateSync(flags, nrFrames * 8);
    ftruncateSync(counts, nrFrames * 8);
    for (let start = 0; start < nrFrames; start += CHUNK) {
      const n = Math.min(CHUNK, nrFrames - start);
      const bits = new Float64Array(n);
      const mapped = new Float64Array(n);
      for (let i = 0; i < n; i++) {
        bits[i] = frameFlags(system, (start + i) as Pfn);
        mapped[i] = kpageCount(system, (start + i) as Pfn);
      }
      writeNumbers(flags, bits, start);
      writeNumbers(counts, mapped, start);
    }
  } finally {
    closeSync(flags);
    closeSync(counts);
  }
}

/** Bits of /proc/kpageflags of any frame, as 2^bit summed. */
export function frameFlags(system: System, pfn: Pfn): number {
  const { booted, pages, alloc } = system.machine;
  if (!booted.memblock.isRam(pfn)) return 2 ** KPF_NOPAGE;
  if (alloc.tables.freeOrder(pfn) >= 0) return 2 ** KPF_BUDDY;
  const own = pages.flags(pfn);
  if (own === 0) return isKernelFrame(system, pfn) ? 2 ** KPF_RESERVED : kpageFlags(system, pfn);
  const head = pages.flags(pages.head(pfn));
  if ((head & (PG_slab | PG_table)) === 0) {
    if ((own & PG_buddy) !== 0) return 2 ** KPF_BUDDY;
    const reserved = isKernelFrame(system, pfn) ? 2 ** KPF_RESERVED : 0;
    return kpageFlags(system, pfn) + reserved;
  }
  let bits = (head & PG_slab) !== 0 ? 2 ** KPF_SLAB : 2 ** KPF_PGTABLE;
  if ((own & PG_head) !== 0) bits += 2 ** KPF_COMPOUND_HEAD;
  if ((own & PG_tail) !== 0) bits += 2 ** KPF_COMPOUND_TAIL;
  return bits;
}

function writeNumbers(file: number, values: Float64Array, first: number): void {
  if (values.every((v) => v === 0)) return;
  const words = BigUint64Array.from(values, (v) => BigInt(v));
  writeSync(file, new Uint8Array(words.buffer), 0, words.byteLength, first * 8);
}

function link(target: string, path: string): void {
  try {
    symlinkSync(target, path);
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'EEXIST') throw e;
  }
}
