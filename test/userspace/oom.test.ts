// The log of a global OOM: its lines are those of Linux 6.18, and each figure is the machine's.

import { expect, test } from 'vitest';
import { PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { System, Syscalls, access } from '../../userspace/index.ts';
import { procMeminfo, procVmstat } from '../../userspace/proc-memory.ts';
import { procBuddyinfo } from '../../kernel/proc-zones.ts';
import { showMem } from '../../userspace/show-mem.ts';
import { addSwap } from '../../userspace/swap.ts';

const PAGE = 4096;
const M = 1 << 20;
const BASE = 0x10000000;

function used(): System {
  const system = new System({ ram: 128 * M, sysctl: { thp: 'never' } });
  addSwap(system, 8 * M);
  const sys = new Syscalls(system);
  const task = system.spawn('user');
  sys.mmap(task, BASE, 40 * M, 3, 0x32, -1, 0);
  sys.mmap(task, BASE + 64 * M, 8 * M, 3, 0x31, -1, 0);
  const fd = sys.open(task, 'f', 0o102);
  sys.ftruncate(task, fd, 4 * M);
  sys.mmap(task, BASE + 96 * M, 4 * M, 3, 0x11, fd, 0);
  for (const [at, length] of [
    [BASE, 40 * M],
    [BASE + 64 * M, 8 * M],
    [BASE + 96 * M, 2 * M],
  ]) {
    for (let va = at; va < at + length; va += PAGE) access(task, va, PF_USER | PF_WRITE);
  }
  sys.mlock(task, BASE, M);
  return system;
}

function row(text: string, name: string): number {
  return Number(new RegExp(`^${name}:? +(\\d+)`, 'm').exec(text)?.[1]);
}

/** The value of `name:` in the lines that match. */
function field(lines: readonly string[], which: RegExp, name: string): number {
  const value = new RegExp(`(?:^| )${name}:(\\d+)`);
  const found = lines.filter((line) => which.test(line) && value.test(line));
  expect(found.length).toBeGreaterThan(0);
  return found.reduce((n, line) => n + Number(value.exec(line)![1]), 0);
}

test('Mem-Info says what meminfo, vmstat and buddyinfo say', () => {
  const system = used();
  const lines = showMem(system);
  const [meminfo, vmstat] = [procMeminfo(system), procVmstat(system)];
  const pages: [string, string][] = [
    ['active_anon', 'nr_active_anon'],
    ['inactive_anon', 'nr_inactive_anon'],
    ['active_file', 'nr_active_file'],
    ['inactive_file', 'nr_inactive_file'],
    ['unevictable', 'nr_unevictable'],
    ['dirty', 'nr_dirty'],
    ['slab_reclaimable', 'nr_slab_reclaimable'],
    ['slab_unreclaimable', 'nr_slab_unreclaimable'],
    ['mapped', 'nr_mapped'],
    ['shmem', 'nr_shmem'],
    ['pagetables', 'nr_page_table_pages'],
    ['free', 'nr_free_pages'],
  ];
  const head = lines.slice(1, 9);
  for (const [name, in_vmstat] of pages) {
    expect([name, field(head, /./, name)]).toEqual([name, row(vmstat, in_vmstat)]);
  }
  const kB: [RegExp, string, string][] = [
    [/^Node 0 \w+ free/, 'free', 'MemFree'],
    [/^Node 0 \w+ free/, 'managed', 'MemTotal'],
    [/^Node 0 \w+ free/, 'mlocked', 'Mlocked'],
    [/^Node 0 \w+ free/, 'active_anon', 'Active\\(anon\\)'],
    [/^Node 0 \w+ free/, 'inactive_anon', 'Inactive\\(anon\\)'],
    [/^Node 0 active/, 'shmem', 'Shmem'],
    [/^Node 0 active/, 'kernel_stack', 'KernelStack'],
  ];
  for (const [which, name, in_meminfo] of kB) {
    expect([name, field(lines, which, name)]).toEqual([name, row(meminfo, in_meminfo)]);
  }
  const free = lines.filter((line) => /^Node 0 \w+: /.test(line));
  const info = procBuddyinfo(system.machine.booted).trim().split('\n');
  expect(free.map((line) => [...line.matchAll(/(\d+)\*/g)].map((m) => Number(m[1])))).toEqual(
    info.map((line) => line.trim().split(/ +/).slice(4).map(Number)),
  );
  for (const line of free) {
    const blocks = [...line.matchAll(/(\d+)\*(\d+)kB/g)];
    const total = blocks.reduce((n, [, count, size]) => n + Number(count) * Number(size), 0);
    expect(line).toMatch(new RegExp(`= ${total}kB$`));
  }
  expect(lines.slice(-9)).toEqual([
    `${(row(meminfo, 'Cached') + row(meminfo, 'SwapCached')) / 4} total pagecache pages`,
    `${row(meminfo, 'SwapCached') / 4} pages in swap cache`,
    `Free swap  = ${row(meminfo, 'SwapFree')}kB`,
    `Total swap = ${row(meminfo, 'SwapTotal')}kB`,
    expect.stringMatching(/^\d+ pages RAM$/),
    '0 pages HighMem/MovableOnly',
    expect.stringMatching(/^\d+ pages reserved$/),
    '0 pages cma reserved',
    '0 pages hwpoisoned',
  ]);
});

test('all memory is used up: the whole report, in the order of the kernel', () => {
  const system = new System({ ram: 64 * M, sysctl: { thp: 'never' } });
  const sys = new Syscalls(system);
  const task = system.spawn('greedy');
  system.current = task;
  sys.mmap(task, BASE, 256 * M, 3, 0x4032, -1, 0);
  for (let i = 0; i < 65536 && task.alive; i++) access(task, BASE + i * PAGE, PF_USER | PF_WRITE);
  expect(task.alive).toBe(false);
  const forms = [
    /^greedy invoked oom-killer: gfp_mask=0x140cca\(GFP_HIGHUSER_MOVABLE\|__GFP_COMP\), order=0, /,
    /^Mem-Info:$/,
    /^active_anon:\d+ inactive_anon:\d+ isolated_anon:0$/,
    /^ active_file:0 inactive_file:0 isolated_file:0$/,
    /^ unevictable:0 dirty:0 writeback:0$/,
    /^ slab_reclaimable:\d+ slab_unreclaimable:\d+$/,
    /^ mapped:0 shmem:0 pagetables:\d+$/,
    /^ sec_pagetables:0 bounce:0$/,
    /^ kernel_misc_reclaimable:0$/,
    /^ free:\d+ free_pcp:\d+ free_cma:0$/,
    /^Node 0 active_anon:\d+kB .* all_unreclaimable\? no Balloon:0kB$/,
    /^Node 0 DMA free:\d+kB boost:\d+kB min:\d+kB low:\d+kB high:\d+kB reserved_highatomic:0kB /,
    /^lowmem_reserve\[\]: 0 \d+ \d+ \d+ \d+$/,
    /^Node 0 DMA32 free:\d+kB .* local_pcp:\d+kB free_cma:0kB$/,
    /^lowmem_reserve\[\]: 0 0 0 0 0$/,
    /^Node 0 DMA: \d+\*4kB .*= \d+kB$/,
    /^Node 0 DMA32: \d+\*4kB .*\d+\*4096kB .*= \d+kB$/,
    /^Node 0 hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size=1048576kB$/,
    /^Node 0 hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size=2048kB$/,
    /^\d+ total pagecache pages$/,
    /^0 pages in swap cache$/,
    /^Free swap {2}= 0kB$/,
    /^Total swap = 0kB$/,
    /^\d+ pages RAM$/,
    /^0 pages HighMem\/MovableOnly$/,
    /^\d+ pages reserved$/,
    /^0 pages cma reserved$/,
    /^0 pages hwpoisoned$/,
    /^Tasks state \(memory values in pages\):$/,
    /^\[ {2}pid {2}\] {3}uid {2}tgid total_vm {6}rss rss_anon rss_file rss_shmem pgtables_bytes /,
    /^\[ {6}1\] {5}0 {5}1 {4}65536 .* greedy$/,
    /^oom-kill:constraint=CONSTRAINT_NONE,nodemask=\(null\),cpuset=\/,mems_allowed=0,global_oom,/,
    /^Out of memory: Killed process 1 \(greedy\) total-vm:262144kB, anon-rss:\d+kB, file-rss:0kB, /,
  ];
  expect(system.log.length).toBe(forms.length);
  forms.forEach((form, i) => expect(system.log[i]).toMatch(form));
});
