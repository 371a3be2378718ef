// Runs a scenario on a target, emulated or real: evaluates arguments, binds names, counts faults
// statement by statement, and puts the observations into the format's form.

import { errnoName } from '../../kernel/errors.ts';
import type { CallResult, Faults, Observation, Target } from './observe.ts';
import { evaluate, type Scenario, type Statement } from './syntax.ts';

const MASK = (1n << 64n) - 1n;
/** A system call's result from here up is -errno. */
const MAX_ERRNO = 4095n;
/** pread() goes through a buffer of this size, so read-ahead sees a sequence of small reads. */
const PREAD_BUFFER = 512n;
/** Calls whose result is an address. */
const ADDRESS_RESULT = new Set(['mmap', 'mremap', 'brk']);

interface Proc {
  readonly id: number;
  readonly names: Map<string, bigint>;
  minflt: number;
  majflt: number;
}

/** One executed statement: told to the printer before and after. */
export interface Watcher {
  before?(statement: Statement, proc: number): void;
  after(observation: Observation, statement: Statement | undefined, proc: number): void;
}

export class Runner {
  private readonly target: Target;
  private readonly scenario: Scenario;
  private readonly procs = new Map<string, Proc>();
  private nprocs = 0;
  /** Statements that were executed. */
  private executed = 0;

  constructor(scenario: Scenario, target: Target) {
    this.scenario = scenario;
    this.target = target;
  }

  /** Runs all statements. @returns the observations. */
  run(watcher?: Watcher): Observation[] {
    const out: Observation[] = [];
    for (const observation of this.steps(watcher)) out.push(observation);
    return out;
  }

  /** Runs statement by statement: each turn executes one. */
  *steps(watcher?: Watcher): Generator<Observation> {
    yield this.begin(watcher);
    while (!this.done) {
      const observation = this.next(watcher);
      if (observation !== undefined) yield observation;
    }
  }

  /** Makes the machine and its first process. */
  begin(watcher?: Watcher): Observation {
    const { brk0, stack } = this.target.start(this.scenario);
    this.addProc('p0', [
      ['brk0', brk0],
      ['stack', stack],
    ]);
    const start = { line: 0, proc: 'p0', call: 'start', brk0: hex(brk0), stack: hex(stack) };
    watcher?.after(start, undefined, 0);
    return start;
  }

  /** True where all statements have run. */
  get done(): boolean {
    return this.executed >= this.scenario.statements.length;
  }

  /** Executes the next statement. @returns undefined where its process is gone or never was. */
  next(watcher?: Watcher): Observation | undefined {
    const s = this.scenario.statements[this.executed++]!;
    const proc = this.procs.get(s.proc);
    if (proc === undefined) return undefined; // its fork failed, or the kernel killed it
    watcher?.before?.(s, proc.id);
    const observation = this.execute(s, proc);
    watcher?.after(observation, s, proc.id);
    return observation;
  }

  /** An address as `name + offset`, where a name of the process is at most 1 GiB below; else ''. */
  nameOf(proc: string, va: bigint): string {
    let best = '';
    let distance = 1n << 30n;
    for (const [name, value] of this.procs.get(proc)?.names ?? []) {
      if (value < 4096n || va < value || va - value >= distance) continue;
      distance = va - value;
      best = name;
    }
    if (best === '' || distance === 0n) return best;
    return `${best} + ${distance % 1024n === 0n ? `${distance / 1024n}K` : String(distance)}`;
  }

  private addProc(name: string, names: Iterable<readonly [string, bigint]>): void {
    this.procs.set(name, { id: this.nprocs++, names: new Map(names), minflt: 0, majflt: 0 });
  }

  private execute(s: Statement, proc: Proc): Observation {
    const args = s.args.map((a) => evaluate(a, (name) => proc.names.get(name) ?? MASK));
    const head = { line: s.line, proc: s.proc, call: s.call };
    switch (s.call) {
      case 'maps':
        return { ...head, maps: this.target.maps(proc.id) };
      case 'pages':
        return { ...head, pages: this.target.pages(proc.id, args[0] ?? 0n, args[1] ?? 0n) };
      case 'usage': {
        const { minflt, majflt } = proc;
        return { ...head, usage: { minflt, majflt, ...this.target.use(proc.id) } };
      }
      case 'exit': {
        const ret = this.target.exit(proc.id, args[0] ?? 0n);
        this.procs.delete(s.proc);
        return { ...head, ret };
      }
      default:
        break;
    }
    const before = this.target.faults(proc.id);
    const result = CALL_IS_ACCESS.has(s.call)
      ? this.access(s, proc, args)
      : this.syscall(s, proc, args, before);
    const faults = this.counted ?? since(before, this.target.faults(proc.id));
    this.counted = undefined;
    proc.minflt += faults.minflt;
    proc.majflt += faults.majflt;
    const name = s.name === '' ? {} : { name: s.name };
    const { refused, ...rest } = result;
    return { ...head, ...name, ...rest, ...faults, ...refused };
  }

  /** The faults of a fork, which end where the child begins. */
  private counted: Faults | undefined;

  private access(s: Statement, proc: Proc, args: readonly bigint[]): Outcome {
    const write = s.call === 'store' || s.call === 'poke';
    const value = s.call === 'poke' ? Number((args[1] ?? 0n) & 255n) : s.line % 256;
    const ranged = s.call === 'load' || s.call === 'store' ? args[1] : undefined;
    const step = args[2] ?? 4096n;
    let count = 1n;
    if (ranged !== undefined) count = step === 0n ? 1n : (ranged + step - 1n) / step;
    if (count === 0n) return {};
    const r = this.target.access(proc.id, write, args[0] ?? 0n, count, step, value);
    if (r.refused !== undefined) {
      const { signal, code, addr } = r.refused;
      return { refused: { signal, code, addr: hex(addr) } };
    }
    return s.call === 'peek' ? { value: r.value } : {};
  }

  private syscall(s: Statement, proc: Proc, args: readonly bigint[], before: Faults): Outcome {
    if (s.call === 'fork') return this.fork(s, proc, before);
    const { ret, vec, value } =
      s.call === 'pread'
        ? this.pread(proc, args)
        : this.target.syscall(proc.id, s.call, args, s.path);
    const error = s.call !== 'brk' && ret < 0n && ret >= -MAX_ERRNO;
    if (s.name !== '') proc.names.set(s.name, error ? MASK : ret & MASK);
    if (error) return { ret: -1, errno: errnoName(Number(-ret)) };
    return {
      ret: ADDRESS_RESULT.has(s.call) ? hex(ret) : Number(ret),
      ...(vec === undefined || vec === '' ? {} : { vec }),
      ...(value === undefined || ret <= 0n ? {} : { value }),
    };
  }

  private pread(proc: Proc, args: readonly bigint[]): CallResult {
    const [fd = 0n, length = 0n, offset = 0n] = args;
    let total = 0n;
    let last: CallResult = { ret: 0n };
    do {
      const left = length - total;
      const size = left < PREAD_BUFFER ? left : PREAD_BUFFER;
      const part = this.target.syscall(proc.id, 'pread', [fd, size, (offset + total) & MASK], '');
      if (part.ret < 0n && total === 0n) return part;
      if (part.ret <= 0n) break;
      last = part;
      total += part.ret;
      if (part.ret < size) break;
    } while (total < length);
    return { ...last, ret: total };
  }

  private fork(s: Statement, proc: Proc, before: Faults): Outcome {
    const ret = this.target.fork(proc.id);
    this.counted = this.target.forkFaults ? since(before, this.target.forkFaults()) : undefined;
    if (ret < 0n) return { ret: -1, errno: errnoName(Number(-ret)) };
    const ordinal = this.nprocs;
    this.addProc(s.name === '' ? `#${ordinal}` : s.name, proc.names);
    return { ret: ordinal };
  }
}

const CALL_IS_ACCESS = new Set(['load', 'store', 'peek', 'poke']);

interface Outcome {
  readonly ret?: number | string;
  readonly errno?: string;
  readonly vec?: string;
  readonly value?: number;
  readonly refused?: { readonly signal: string; readonly code: string; readonly addr: string };
}

function since(before: Faults, now: Faults): Faults {
  return { minflt: now.minflt - before.minflt, majflt: now.majflt - before.majflt };
}

/** A 64-bit value as `0x…` text. */
export function hex(value: bigint): string {
  return '0x' + (value & MASK).toString(16);
}
