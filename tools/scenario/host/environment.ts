// What the host must be made to look like for a scenario, and put back afterwards:
//
//     scratch   an ext4 file system of our own on a loop device, with 128 KiB read-ahead and made
//               with the `encrypt` feature: that turns large page-cache folios off
//     thp       /sys/kernel/mm/transparent_hugepage/enabled, khugepaged asleep
//     swap      a zram device of our own, which is synchronous
//     limit     a memory cgroup (version 1 or 2)
//
// All of it needs root. Without, scenarios run where they can and what is missing is said.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { InputError } from '../../../kernel/errors.ts';
import type { MachineOptions } from '../syntax.ts';

const THP = '/sys/kernel/mm/transparent_hugepage';
const ZRAM_CONTROL = '/sys/class/zram-control';
const MEMCG = '/sys/fs/cgroup/memory';
const SCRATCH_SIZE = '512M';

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** The value in brackets of a sysfs file of choices. */
function chosen(file: string): string {
  return /\[(\w+)\]/.exec(readFileSync(file, 'utf8'))?.[1] ?? '';
}

export class Environment {
  /** A directory on the scratch file system. */
  readonly scratch: string;
  readonly notes: string[] = [];
  private readonly undo: (() => void)[] = [];
  private swapSize = 0;
  /** Number of the zram device; -1 until swap is asked for. */
  private zram = -1;
  private thp: string;
  private serial = 0;

  constructor() {
    this.thp = existsSync(`${THP}/enabled`) ? chosen(`${THP}/enabled`) : 'never';
    this.scratch = this.makeScratch();
    this.remember(`${THP}/enabled`, this.thp);
    const sleep = `${THP}/khugepaged/scan_sleep_millisecs`;
    if (this.root && existsSync(sleep)) {
      this.remember(sleep, readFileSync(sleep, 'utf8').trim());
      writeFileSync(sleep, '1000000000');
    }
    process.on('exit', () => this.restore());
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => process.exit(1));
    }
  }

  private get root(): boolean {
    return process.getuid?.() === 0;
  }

  private remember(file: string, value: string): void {
    this.undo.push(() => writeFileSync(file, value));
  }

  private makeScratch(): string {
    const dir = mkdtempSync(join(tmpdir(), 'pagewalk-scratch-'));
    this.undo.push(() => rmSync(dir, { recursive: true, force: true }));
    const image = join(dir, 'image');
    const mount = join(dir, 'fs');
    mkdirSync(mount);
    try {
      run('truncate', '-s', SCRATCH_SIZE, image);
      run('mkfs.ext4', '-q', '-O', 'encrypt', '-b', '4096', image);
      const loop = run('losetup', '-f', '--show', image).trim();
      this.undo.push(() => run('losetup', '-d', loop));
      writeFileSync(`/sys/block/${basename(loop)}/queue/read_ahead_kb`, '128');
      run('mount', loop, mount);
      this.undo.push(() => run('umount', mount));
    } catch {
      this.notes.push('no scratch file system of our own: open() uses the temporary directory');
    }
    return mount;
  }

  /** Makes the host fit a scenario. @returns an empty directory, and the cgroup's file or '-'. */
  prepare(machine: MachineOptions): { dir: string; tasks: string } {
    this.setThp(machine.thp);
    this.setSwap(machine.swap ?? 0);
    const n = ++this.serial;
    const dir = join(this.scratch, `s${n}`);
    mkdirSync(dir);
    return { dir, tasks: machine.limit === undefined ? '-' : this.setLimit(machine.limit, n) };
  }

  private setThp(mode: string): void {
    if (mode === this.thp) return;
    if (!this.root) throw new InputError('', `thp=${mode} needs root: the host has ${this.thp}`);
    writeFileSync(`${THP}/enabled`, mode);
    this.thp = mode;
  }

  private setSwap(bytes: number): void {
    if (bytes === this.swapSize) return;
    if (!this.root || !existsSync(ZRAM_CONTROL)) {
      throw new InputError('', 'swap needs root and zram');
    }
    if (this.zram < 0) {
      this.zram = Number(readFileSync(`${ZRAM_CONTROL}/hot_add`, 'utf8'));
      this.undo.push(() => {
        if (this.swapSize > 0) run('swapoff', `/dev/zram${this.zram}`);
        writeFileSync(`${ZRAM_CONTROL}/hot_remove`, String(this.zram));
      });
    }
    const device = `/dev/zram${this.zram}`;
    if (this.swapSize > 0) run('swapoff', device);
    writeFileSync(`/sys/block/zram${this.zram}/reset`, '1');
    this.swapSize = bytes;
    if (bytes === 0) return;
    writeFileSync(`/sys/block/zram${this.zram}/disksize`, String(bytes));
    run('mkswap', device);
    run('swapon', device);
  }

  private setLimit(bytes: number, n: number): string {
    if (!this.root) throw new InputError('', 'a memory limit needs root');
    const v1 = existsSync(`${MEMCG}/memory.limit_in_bytes`);
    const dir = join(v1 ? MEMCG : '/sys/fs/cgroup', `pagewalk-${process.pid}-${n}`);
    mkdirSync(dir);
    this.undo.push(() => run('rmdir', dir));
    writeFileSync(join(dir, v1 ? 'memory.limit_in_bytes' : 'memory.max'), String(bytes));
    return join(dir, v1 ? 'tasks' : 'cgroup.procs');
  }

  /** Removes what a scenario left in its directory. */
  clean(dir: string): void {
    rmSync(dir, { recursive: true, force: true });
  }

  /** Puts the host back as it was. Safe to call twice. */
  restore(): void {
    for (const step of this.undo.splice(0).reverse()) {
      try {
        step();
      } catch (e) {
        process.stderr.write(`pagewalk: ${String(e)}\n`);
      }
    }
  }
}
