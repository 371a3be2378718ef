// The /proc tree, read by the programs that it is for. Those that are not installed, or that need
// rights which are not there, are named and passed over.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { fsckKernel } from '../../kernel/fsck.ts';
import { exportProc } from '../../tools/export-proc.ts';
import { memoryUse, procMeminfo } from '../../userspace/proc-memory.ts';
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
  Syscalls,
  System,
  access,
} from '../../userspace/index.ts';
import { PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { PAGE_SIZE } from '../../kernel/types.ts';

const PAGES = 300;
const system = new System({ ram: 2 ** 28, cpus: 2 });
const sys = new Syscalls(system);
const task = system.spawn('shell');
const at = sys.mmap(
  task,
  0,
  PAGES * PAGE_SIZE,
  PROT_READ | PROT_WRITE,
  MAP_PRIVATE | MAP_ANONYMOUS,
  -1,
  0,
);
for (let i = 0; i < PAGES; i++) access(task, at + i * PAGE_SIZE, PF_USER | PF_WRITE);
const child = system.fork(task);
access(child, at, PF_USER | PF_WRITE);

const dir = mkdtempSync(join(tmpdir(), 'pagewalk-proc-'));
exportProc(system, dir);
afterAll(() => rmSync(dir, { recursive: true }));

const inNamespace = (command: string): ReturnType<typeof spawnSync> =>
  spawnSync('unshare', ['-mpf', 'sh', '-c', `mount --bind ${dir} /proc && exec ${command}`], {
    encoding: 'utf8',
  });
const mayUnshare = inNamespace('true').status === 0;
const has = (program: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
/** Programs that have read the tree and printed something. */
const clientsRun: string[] = [];

/** What a program of procps prints, with the tree as its /proc. */
function ask(program: string, args: string): string {
  const { status, stdout, stderr } = inNamespace(`${program} ${args}`);
  expect(status, String(stderr)).toBe(0);
  expect(String(stdout)).not.toBe('');
  clientsRun.push(program);
  return String(stdout);
}

function values(text: string): Map<string, number> {
  const rows = text.matchAll(/^(\S+?):? +(\d+)/gm);
  return new Map([...rows].map((m) => [m[1], Number(m[2])]));
}

describe('meminfo', () => {
  test('adds up to the last page', () => {
    const use = memoryUse(system);
    const census = fsckKernel(system.machine);
    // the zero page, two pages of vvar and vdso each: nobody's but the kernel's
    const kernelOwn = census.used - use.anon - use.file;
    expect(use.other - (census.vmalloc - use.stacks)).toBe(kernelOwn);
    expect(kernelOwn).toBe(4);
    expect(use.pageTables).toBe(census.table);
    expect(use.slab).toBe(census.slab);
    expect(use.anon).toBe(PAGES + 1);
  });

  test('says what the structures say, in KiB', () => {
    const info = values(procMeminfo(system));
    const use = memoryUse(system);
    expect(info.get('MemTotal')).toBe(use.total * 4);
    expect(info.get('MemFree')).toBe(use.free * 4);
    expect(info.get('AnonPages')).toBe((PAGES + 1) * 4);
    expect(info.get('KernelStack')).toBe(2 * 16);
    const ram = system.machine.booted.memblock.memory;
    const kib = ram.reduce((sum, r) => sum + (r.endPfn - r.startPfn) * 4, 0);
    const mapped = ['DirectMap4k', 'DirectMap2M', 'DirectMap1G'].map((n) => info.get(n) ?? 0);
    expect(mapped.reduce((a, b) => a + b)).toBe(kib);
    expect(mapped[1]).toBeGreaterThan(200 * 1024);
  });
});

test('kpageflags and kpagecount say what each frame is', () => {
  const { pages } = system.machine;
  const flags = readFileSync(join(dir, 'kpageflags'));
  const counts = readFileSync(join(dir, 'kpagecount'));
  expect(flags.length).toBe(pages.nrFrames * 8);
  const bits = (pfn: number): bigint => flags.readBigUInt64LE(pfn * 8);
  let anon = 0;
  let slab = 0;
  let mapped = 0n;
  for (let pfn = 0; pfn < pages.nrFrames; pfn++) {
    if ((bits(pfn) & (1n << 12n)) !== 0n) anon++;
    if ((bits(pfn) & (1n << 7n)) !== 0n) slab++;
    mapped += counts.readBigUInt64LE(pfn * 8);
  }
  expect(anon).toBe(PAGES + 1);
  expect(slab).toBe(memoryUse(system).slab);
  expect(mapped).toBe(BigInt(2 * PAGES));
  expect(bits(0xa0)).toBe(1n << 20n); // no page: video memory
  expect(bits(4096)).toBe(1n << 32n); // the kernel image
});

test('pagemap has each mapped page at its place', () => {
  const file = join(dir, String(task.pid), 'pagemap');
  expect(statSync(file).blocks * 512).toBeLessThan(2 ** 20); // sparse
  const out = spawnSync('dd', [`if=${file}`, 'bs=8', 'count=1', `skip=${at / PAGE_SIZE}`]);
  const entry = out.stdout.readBigUInt64LE(0);
  expect(entry >> 63n).toBe(1n);
  expect(Number(entry & ((1n << 55n) - 1n))).toBeGreaterThan(0);
});

describe('real clients', () => {
  test.skipIf(!has('smem'))('smem: proportional sizes', () => {
    const out = spawnSync('smem', ['-H', '-S', dir, '-c', 'pid uss pss rss'], { encoding: 'utf8' });
    expect(out.status, out.stderr).toBe(0);
    clientsRun.push('smem');
    const rows = out.stdout
      .trim()
      .split('\n')
      .map((row) => row.trim().split(/ +/).map(Number));
    // 299 pages are shared by two, one is each one's own
    const pss = (PAGES - 1) * 2 + 4;
    expect(rows.sort()).toEqual([
      [task.pid, 4, pss, PAGES * 4],
      [child.pid, 4, pss, PAGES * 4],
    ]);
  });

  test.skipIf(!mayUnshare || !has('free'))('free: total and free', () => {
    const [, row] = ask('free', '-k').split('\n');
    const use = memoryUse(system);
    expect(row.split(/ +/).slice(1, 2).map(Number)).toEqual([use.total * 4]);
    expect(Number(row.split(/ +/)[3])).toBe(use.free * 4);
  });

  test.skipIf(!mayUnshare || !has('vmstat'))('vmstat -m: slab caches', () => {
    const text = ask('vmstat', '-m');
    const cache = system.machine.slab.cache('vm_area_struct');
    const row = text.split('\n').find((l) => l.startsWith('vm_area_struct'));
    expect(row?.trim().split(/ +/).slice(2).map(Number)).toEqual([cache.nrObjects, 192, 21]);
  });

  test.skipIf(!mayUnshare || !has('slabtop'))('slabtop -o: objects and slabs', () => {
    const text = ask('slabtop', '-o');
    expect(text).toMatch(/Active \/ Total Slabs.*: \d+ \/ \d+/);
    const { nrObjects } = system.machine.slab.cache('task_struct');
    expect(text).toMatch(new RegExp(`^ *${nrObjects} .* task_struct *$`, 'm'));
  });

  test.skipIf(!mayUnshare || !has('ps'))('ps: resident sizes', () => {
    const text = ask('ps', '-e -o pid,ppid,rss,comm');
    const rows = text
      .trim()
      .split('\n')
      .slice(1)
      .map((row) => row.trim().split(/ +/));
    const rss = String(PAGES * 4);
    expect(rows).toContainEqual([String(task.pid), '0', rss, 'shell']);
    expect(rows).toContainEqual([String(child.pid), String(task.pid), rss, 'shell']);
  });

  test.skipIf(!mayUnshare || !has('pmap'))('pmap -X: the mapping', () => {
    const text = ask('pmap', `-X ${task.pid}`);
    const row = text.split('\n').find((l) => l.trim().startsWith(at.toString(16)));
    expect(row?.trim().split(/ +/).slice(1, 7)).toEqual([
      'rw-p',
      '00000000',
      '00:00',
      '0',
      String(PAGES * 4),
      String(PAGES * 4),
    ]);
  });

  test('all that are here have run', () => {
    const clients = ['smem', 'free', 'vmstat', 'slabtop', 'ps', 'pmap'];
    const missing = clients.filter((name) => !has(name));
    if (missing.length > 0)
      process.stderr.write(`not installed, not tried: ${missing.join(' ')}\n`);
    if (!mayUnshare) process.stderr.write('no right to a mount namespace: procps not tried\n');
    const able = clients.filter((name) => has(name) && (name === 'smem' || mayUnshare));
    expect(clientsRun).toEqual(able);
  });
});
