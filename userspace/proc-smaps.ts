// /proc/PID/smaps and smaps_rollup as text.
// Source: Linux 6.18 fs/proc/task_mmu.c show_smap(), __show_smap(), show_smap_vma_flags().

import { PAGE_SIZE } from '../kernel/types.ts';
import type { Mm } from './mm.ts';
import { mapsLine } from './proc.ts';
import { Smaps, smapsOf } from './smaps.ts';
import * as flag from './vma.ts';

/** Mnemonics of VmFlags, in the order of their bits. */
const MNEMONICS: readonly (readonly [number, string])[] = [
  [flag.VM_READ, 'rd'],
  [flag.VM_WRITE, 'wr'],
  [flag.VM_EXEC, 'ex'],
  [flag.VM_SHARED, 'sh'],
  [flag.VM_MAYREAD, 'mr'],
  [flag.VM_MAYWRITE, 'mw'],
  [flag.VM_MAYEXEC, 'me'],
  [flag.VM_MAYSHARE, 'ms'],
  [flag.VM_GROWSDOWN, 'gd'],
  [flag.VM_PFNMAP, 'pf'],
  [flag.VM_MAYBE_GUARD, 'gu'],
  [flag.VM_LOCKED, 'lo'],
  [flag.VM_IO, 'io'],
  [flag.VM_SEQ_READ, 'sr'],
  [flag.VM_RAND_READ, 'rr'],
  [flag.VM_DONTCOPY, 'dc'],
  [flag.VM_DONTEXPAND, 'de'],
  [flag.VM_LOCKONFAULT, 'lf'],
  [flag.VM_ACCOUNT, 'ac'],
  [flag.VM_NORESERVE, 'nr'],
  [flag.VM_WIPEONFORK, 'wf'],
  [flag.VM_DONTDUMP, 'dd'],
  [flag.VM_SOFTDIRTY, 'sd'],
  [flag.VM_MIXEDMAP, 'mm'],
  [flag.VM_HUGEPAGE, 'hg'],
];

/** /proc/PID/smaps: each mapping's line of maps and what it has of memory. */
export function procSmaps(mm: Mm): string {
  let text = '';
  for (const vma of mm.vmas) {
    const size = vma.end - vma.start;
    text += `${mapsLine(vma)}\n${row('Size', size)}${row('KernelPageSize', PAGE_SIZE)}`;
    text += row('MMUPageSize', PAGE_SIZE) + counts(smapsOf(vma));
    const names = MNEMONICS.filter(([bit]) => (vma.flags & bit) !== 0).map(([, name]) => name);
    text += `THPeligible:           0\nVmFlags: ${names.map((name) => `${name} `).join('')}\n`;
  }
  return text;
}

/** /proc/PID/smaps_rollup: the sums over all mappings. */
export function procSmapsRollup(mm: Mm): string {
  const sum = new Smaps();
  let first = 0;
  let last = 0;
  for (const vma of mm.vmas) {
    if (last === 0) first = vma.start;
    last = vma.end;
    const own = smapsOf(vma);
    for (const key of Object.keys(sum) as (keyof Smaps)[]) sum[key] += own[key];
  }
  const range = `${address(first)}-${address(last)} ---p 00000000 00:00 0`;
  return `${range.padEnd(72)} [rollup]\n${counts(sum)}`;
}

function counts(s: Smaps): string {
  const kib = (pss: number): number => Smaps.kib(pss) * 1024;
  const rows: [string, number][] = [
    ['Rss', s.rss],
    ['Pss', kib(s.pss)],
    ['Pss_Dirty', kib(s.pssDirty)],
    ['Shared_Clean', s.sharedClean],
    ['Shared_Dirty', s.sharedDirty],
    ['Private_Clean', s.privateClean],
    ['Private_Dirty', s.privateDirty],
    ['Referenced', s.rss],
    ['Anonymous', s.anonymous],
    ['KSM', 0],
    ['LazyFree', s.lazyFree],
    ['AnonHugePages', s.anonHuge],
    ['ShmemPmdMapped', 0],
    ['FilePmdMapped', 0],
    ['Shared_Hugetlb', 0],
    ['Private_Hugetlb', 0],
    ['Swap', s.swap],
    ['SwapPss', s.swap],
    ['Locked', kib(s.pssLocked)],
  ];
  return rows.map(([name, bytes]) => row(name, bytes)).join('');
}

function row(name: string, bytes: number): string {
  return `${`${name}:`.padEnd(16)} ${String(bytes / 1024).padStart(11)} kB\n`;
}

function address(n: number): string {
  return n.toString(16).padStart(8, '0');
}
