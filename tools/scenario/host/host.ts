// A scenario's target that is the host's real Linux kernel: statements go to the worker, what is
// observed comes from /proc/PID/{smaps,maps,pagemap,status} and /proc/kpage{flags,count}.

import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { AccessResult, CallResult, Faults, MapLine } from '../observe.ts';
import { FrameLabels, ProcessKilled, type MemoryUse } from '../observe.ts';
import type { PageLine, Target } from '../observe.ts';
import { hex } from '../run.ts';
import type { Scenario } from '../syntax.ts';
import { Driver } from './driver.ts';
import { Environment } from './environment.ts';
import { parseSmaps, type Smap } from './smaps.ts';

const NR: Readonly<Record<string, number>> = {
  mmap: 9,
  mprotect: 10,
  munmap: 11,
  brk: 12,
  pread: 17,
  pwrite: 18,
  mremap: 25,
  msync: 26,
  mincore: 27,
  madvise: 28,
  open: 2,
  close: 3,
  ftruncate: 77,
  mlock: 149,
  munlock: 150,
  mlockall: 151,
  munlockall: 152,
  memfd_create: 319,
  mlock2: 325,
};
const DATA = 0x410000n;
const DATA_SIZE = 0x30000n;
const BRK0 = 0x440000n;
const TASK_SIZE = 0x7ffffffff000n;
const MASK = (1n << 64n) - 1n;
/** Bits of /proc/kpageflags by name, sorted (include/uapi/linux/kernel-page-flags.h). */
const KPF: readonly (readonly [string, bigint])[] = [
  ['ANON', 12n],
  ['COMPOUND_HEAD', 15n],
  ['COMPOUND_TAIL', 16n],
  ['KSM', 21n],
  ['MMAP', 11n],
  ['SWAPBACKED', 14n],
  ['THP', 22n],
  ['UNEVICTABLE', 18n],
  ['ZERO_PAGE', 24n],
];
const KPF_BUDDY = 1n << 10n;
const SIGNAL_CODES: Readonly<Record<string, AccessResult['refused']>> = {
  '11 1': { signal: 'SIGSEGV', code: 'SEGV_MAPERR', addr: 0n },
  '11 2': { signal: 'SIGSEGV', code: 'SEGV_ACCERR', addr: 0n },
  '11 128': { signal: 'SIGSEGV', code: 'SI_KERNEL', addr: 0n },
  '7 2': { signal: 'SIGBUS', code: 'BUS_ADRERR', addr: 0n },
};

export class HostTarget implements Target {
  readonly environment = new Environment();
  private readonly driver = new Driver();
  private readonly kpageflags = openSync('/proc/kpageflags', 'r');
  private readonly kpagecount = openSync('/proc/kpagecount', 'r');
  private readonly image: string;
  private pids: number[] = [];
  private counts: Faults[] = [];
  private atFork: Faults = { minflt: 0, majflt: 0 };
  private labels = new FrameLabels();
  private usesStack = false;
  private dir = '';
  private pte0 = 0;

  constructor() {
    this.image = join(this.environment.scratch, 'image');
    this.driver.ask(`image ${this.image}`);
  }

  start(scenario: Scenario): { brk0: bigint; stack: bigint } {
    this.finish();
    const { dir, tasks } = this.environment.prepare(scenario.machine);
    this.dir = dir;
    this.usesStack = scenario.usesStack;
    this.labels = new FrameLabels();
    const [, pid] = this.driver.ask(`new ${this.image} ${dir} ${tasks}`).split(' ');
    this.pids = [Number(pid)];
    this.counts = [{ minflt: 0, majflt: 0 }];
    this.number(0, `sys 0 ${NR['munmap']} 1 1 0 0 0 0`); // EINVAL; reads the counters
    this.pte0 = this.status(0, 'VmPTE');
    return { brk0: BRK0, stack: 0x7fffffffe000n };
  }

  /** Ends the scenario's processes and removes its files. */
  finish(): void {
    if (this.dir === '') return;
    this.driver.ask('end');
    this.environment.clean(this.dir);
    this.dir = '';
  }

  close(): void {
    this.finish();
    this.driver.close();
    closeSync(this.kpageflags);
    closeSync(this.kpagecount);
    this.environment.restore();
  }

  faults(proc: number): Faults {
    return this.counts[proc] ?? { minflt: 0, majflt: 0 };
  }

  forkFaults(): Faults {
    return this.atFork;
  }

  /** Sends an order whose answer is `RET … MINFLT MAJFLT`. @returns the words. */
  private number(proc: number, order: string): string[] {
    const words = this.driver.ask(order).split(' ');
    const [minflt, majflt] = words.slice(-2).map(Number);
    this.counts[proc] = { minflt: minflt ?? 0, majflt: majflt ?? 0 };
    this.labels.forget((pfn) => this.isFree(pfn));
    return words;
  }

  private raw(proc: number, call: string, args: readonly bigint[]): bigint {
    const all = Array.from({ length: 6 }, (_, i) => hex(args[i] ?? 0n)).join(' ');
    return BigInt(this.number(proc, `sys ${proc} ${NR[call] ?? 0} ${all}`)[0] ?? '0');
  }

  syscall(proc: number, call: string, args: readonly bigint[], path: string): CallResult {
    switch (call) {
      case 'memfd_create':
      case 'open': {
        const text = Buffer.from(path + '\0').toString('hex');
        this.driver.ask(`put ${proc} ${hex(DATA)} ${text}`);
        return { ret: this.raw(proc, call, [DATA, args[0] ?? 0n, 0o600n]) };
      }
      case 'pwrite':
      case 'pread':
        return this.file(proc, call, args);
      case 'mincore': {
        const ret = this.raw(proc, call, [args[0] ?? 0n, args[1] ?? 0n, DATA]);
        if (ret !== 0n) return { ret };
        const pages = ((args[1] ?? 0n) + 4095n) / 4096n;
        const bytes = this.driver.ask(`get ${proc} ${hex(DATA)} ${pages}`);
        return { ret, vec: bytes.replace(/(.)(.)/g, (_, __, low: string) => `${+low & 1}`) };
      }
      default:
        return { ret: this.raw(proc, call, args) };
    }
  }

  private file(proc: number, call: string, args: readonly bigint[]): CallResult {
    const [fd = 0n, length = 0n, offset = 0n, byte = 0n] = args;
    if (length > DATA_SIZE && length < 1n << 32n) {
      const kind = call === 'pread' ? 'read' : 'write';
      const order = `copy ${proc} ${kind} ${hex(fd)} ${hex(length)} ${hex(offset)} ${hex(byte)}`;
      const [ret, value] = this.driver.ask(order).split(' ');
      this.labels.forget((pfn) => this.isFree(pfn));
      const result = { ret: BigInt(ret ?? '0') };
      return call === 'pread' ? { ...result, value: Number(value) } : result;
    }
    if (call === 'pwrite') {
      const size = length < DATA_SIZE ? length : DATA_SIZE;
      this.driver.ask(`fill ${proc} ${hex(DATA)} ${hex(size)} ${hex(byte & 255n)}`);
      return { ret: this.raw(proc, call, [fd, DATA, length, offset]) };
    }
    const ret = this.raw(proc, call, [fd, DATA, length, offset]);
    if (ret <= 0n) return { ret };
    const last = this.driver.ask(`get ${proc} ${hex(DATA + ret - 1n)} 1`);
    return { ret, value: parseInt(last, 16) };
  }

  fork(proc: number): bigint {
    const words = this.number(proc, `fork ${proc}`);
    this.atFork = this.faults(proc);
    const ret = BigInt(words[0] ?? '0');
    if (ret < 0n) return ret;
    const child = this.pids.length;
    this.pids.push(Number(words[1]));
    this.number(proc, `sys ${proc} ${NR['munmap']} 1 1 0 0 0 0`);
    this.number(child, `sys ${child} ${NR['munmap']} 1 1 0 0 0 0`);
    return ret;
  }

  exit(proc: number, status: bigint): number {
    const code = Number(this.number(proc, `exit ${proc} ${hex(status)}`)[0]);
    return code;
  }

  access(
    proc: number,
    write: boolean,
    address: bigint,
    count: bigint,
    step: bigint,
    value: number,
  ): AccessResult {
    const verb = write ? 'store' : 'load';
    const words = this.number(
      proc,
      `acc ${proc} ${verb} ${hex(count)} ${hex(address)} ${hex(step)} ${value}`,
    );
    const [signal = '0', code = '0', addr = '0', byte = '0'] = words;
    if (signal === '0') return { value: Number(byte) };
    const refused = SIGNAL_CODES[`${signal} ${code}`];
    const at = BigInt(addr);
    if (at >= 0x400000n && at < BRK0) throw new ProcessKilled('the program image is damaged');
    if (refused === undefined) throw new Error(`an unknown signal: ${signal} code ${code}`);
    return { value: 0, refused: { ...refused, addr: BigInt(addr) & MASK } };
  }

  /** The mappings that the format shows. */
  private smaps(proc: number): Smap[] {
    const text = readFileSync(`/proc/${this.pids[proc] ?? 0}/smaps`, 'utf8');
    return parseSmaps(text, this.dir).filter((m) => {
      if (m.start >= 0x400000n && m.end <= BRK0) return false;
      if (/^\[(vvar|vvar_vclock|vdso|vsyscall)\]$/.test(m.line.path)) return false;
      return this.usesStack || m.line.path !== '[stack]';
    });
  }

  maps(proc: number): MapLine[] {
    return this.smaps(proc).map((m) => m.line);
  }

  private status(proc: number, key: string): number {
    const text = readFileSync(`/proc/${this.pids[proc] ?? 0}/status`, 'utf8');
    return Number(new RegExp(`^${key}:\\s*(\\d+) kB`, 'm').exec(text)?.[1] ?? '0');
  }

  use(proc: number): MemoryUse {
    const all = this.smaps(proc);
    const sum = (value: (m: Smap) => number): number => all.reduce((n, m) => n + value(m), 0);
    const rss_anon = sum((m) => m.line.anonymous);
    const shmem = (m: Smap): boolean => /^\/memfd:|^\/dev\/zero$|^\/SYSV/.test(m.line.path);
    const pageCache = (m: Smap): number => m.line.rss - m.line.anonymous;
    return {
      vm_size: sum((m) => m.size),
      vm_rss: sum((m) => m.line.rss),
      rss_anon,
      rss_file: sum((m) => (shmem(m) ? 0 : pageCache(m))),
      rss_shmem: sum((m) => (shmem(m) ? pageCache(m) : 0)),
      vm_data: sum((m) => (/^.w.p$/.test(m.line.perms) && !m.growsDown ? m.size : 0)),
      vm_lck: sum((m) => (m.isLocked ? m.size : 0)),
      vm_pte: this.status(proc, 'VmPTE') - this.pte0,
      vm_swap: this.status(proc, 'VmSwap'),
    };
  }

  pages(proc: number, address: bigint, length: bigint): PageLine[] {
    const from = address & ~4095n;
    const to = length === 0n ? from : (address + length + 4095n) & ~4095n;
    const out: PageLine[] = [];
    const file = `/proc/${this.pids[proc] ?? 0}/pagemap`;
    if (!existsSync(file)) return out;
    this.driver.ask('drain');
    const fd = openSync(file, 'r');
    for (const m of this.everyMapping(proc)) {
      const start = m.start > from ? m.start : from;
      const end = m.end < to ? m.end : to;
      if (start < end) this.readPages(fd, start, end < TASK_SIZE ? end : TASK_SIZE, out);
    }
    closeSync(fd);
    return out;
  }

  private *everyMapping(proc: number): Generator<{ start: bigint; end: bigint }> {
    const text = readFileSync(`/proc/${this.pids[proc] ?? 0}/maps`, 'utf8');
    for (const m of text.matchAll(/^([0-9a-f]+)-([0-9a-f]+) /gm)) {
      yield { start: BigInt('0x' + (m[1] ?? '0')), end: BigInt('0x' + (m[2] ?? '0')) };
    }
  }

  private readPages(fd: number, start: bigint, end: bigint, out: PageLine[]): void {
    const buffer = Buffer.alloc(1 << 16);
    for (let at = start; at < end;) {
      const want = Math.min(buffer.length, Number((end - at) / 4096n) * 8);
      const n = readSync(fd, buffer, 0, want, Number((at / 4096n) * 8n));
      if (n === 0) break;
      for (let i = 0; i < n; i += 8, at += 4096n) {
        const entry = buffer.readBigUInt64LE(i);
        if (entry >> 62n !== 0n) out.push(this.page(at, entry));
      }
    }
  }

  private page(addr: bigint, entry: bigint): PageLine {
    const bit = (n: bigint): number => Number((entry >> n) & 1n);
    const line = {
      addr: hex(addr),
      present: bit(63n),
      swapped: bit(62n),
      file: bit(61n),
      exclusive: bit(56n),
    };
    if (line.present === 0) return line;
    const pfn = Number(entry & ((1n << 55n) - 1n));
    const flags = this.word(this.kpageflags, pfn);
    return {
      ...line,
      frame: this.labels.label(pfn),
      mapcount: Number(this.word(this.kpagecount, pfn)),
      flags: KPF.filter(([, n]) => (flags >> n) & 1n).map(([name]) => name),
    };
  }

  private readonly wordBuffer = Buffer.alloc(8);

  private word(fd: number, pfn: number): bigint {
    readSync(fd, this.wordBuffer, 0, 8, pfn * 8);
    return this.wordBuffer.readBigUInt64LE(0);
  }

  /** A frame that has no flag at all, or lies in the buddy lists, is nobody's. */
  private isFree(pfn: number): boolean {
    const flags = this.word(this.kpageflags, pfn);
    return flags === 0n || (flags & KPF_BUDDY) !== 0n;
  }
}
