// The text of `perf script`: system calls by number, hardware page faults, mappings.
//
//     PID/TID TIME: raw_syscalls:sys_enter: NR 9 (0, 2000, 3, 22, ffffffff, 0)
//     PID/TID TIME: PERF_RECORD_MMAP2 PID/TID: [0x7f…(0x2000) @ 0x7f… 00:00 0 0]: rw-p //anon
//     PID/TID TIME: raw_syscalls:sys_exit: NR 9 = 140625036120064
//     PID/TID TIME: exceptions:page_fault_user: address=0x7f… ip=0x7f… error_code=0x6
//     PID/TID TIME: minor-faults: 7f…
//
// A call is taken when it returns; the MMAP2 event inside it names the file that its descriptor
// stands for. Between `COMM exec` and the return of execve the events are the new address space:
// mappings first, then the faults that the kernel took in them. A fault begins with the exception
// and was resolved if its task's next event is minor-faults or major-faults; otherwise it was
// refused. Threads are tasks by their TID.
// Not in such a recording: file sizes, get_user_pages faults, the pages of the argument list.

import type { TextInput } from '../text-input.ts';
import { address } from './memtrace.ts';
import { LineCursor, type Recording, type TraceRecord } from './record.ts';
import { SYSCALLS } from './syscalls.ts';
import { readWhole } from './whole.ts';

const LINE = /^ *(-?\d+)\/(-?\d+) +\d+\.\d+: +(PERF_RECORD_\w+|[\w:.-]+:(?= |$))(.*)$/;
const ENTER = /^NR (-?\d+) \(([0-9a-f, ]*)\)/;
const EXIT = /^NR (-?\d+) = (-?\d+)/;
const FAULT = /^address=(0x[0-9a-f]+|\(nil\)) ip=(\S+) error_code=(0x[0-9a-f]+)/;
const MMAP2 =
  /^-?\d+\/-?\d+: \[(0x[0-9a-f]+)\((0x[0-9a-f]+)\) @ (0x[0-9a-f]+|0) [^\]]*\]: ([r-][w-][x-][ps]) ?(.*)$/;
const FORK = /^\((\d+):(\d+)\):\((\d+):(\d+)\)$/;
const PIDS = /^\((\d+):(\d+)\)/;

const CLONE_VM = 0x100;
const CLONE_VFORK = 0x4000;
const CLONE_THREAD = 0x10000;

interface Mapping {
  readonly line: number;
  readonly start: number;
  readonly length: number;
  readonly offset: number;
  readonly perms: string;
  readonly path: string;
}

/** What is known of a task between its events. */
interface TaskState {
  number: number;
  args: string[];
  mapped: Mapping | undefined;
  /** In execve after its point of no return: faults wait behind the mappings. */
  exec: { line: number; name: string; faults: TraceRecord[]; maps: Mapping[] } | undefined;
  pending: { line: number; address: number; code: number; user: boolean } | undefined;
}

class PerfParser {
  readonly records: TraceRecord[] = [];
  command = '';
  private readonly tasks = new Map<number, TaskState>();
  private readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  line(text: string, line: number): void {
    if (text.trim() === '' || text.startsWith('#')) return;
    const at = new LineCursor(this.path, text, line);
    const m = LINE.exec(text.trimEnd());
    if (m === null) {
      at.fail(0, 'PID/TID TIME: EVENT: …');
      return;
    }
    const tid = Number(m[2]);
    if (tid <= 0) return;
    const state = this.state(tid);
    const event = m[3]!.replace(/:$/, '');
    const rest = m[4]!.replace(/^:/, '').trim();
    if (event === 'minor-faults' || event === 'major-faults')
      this.resolved(state, tid, event, rest);
    else {
      // A stack that grows in a fault tells its new mapping before the fault is resolved.
      if (event !== 'PERF_RECORD_MMAP2') this.refused(state, tid);
      this.event(at, tid, state, event, rest);
    }
  }

  /** A task is done at the end of the text: faults that never were resolved. */
  finish(): void {
    for (const [tid, state] of this.tasks) this.refused(state, tid);
  }

  private state(tid: number): TaskState {
    let state = this.tasks.get(tid);
    if (state === undefined) {
      state = { number: -1, args: [], mapped: undefined, exec: undefined, pending: undefined };
      this.tasks.set(tid, state);
    }
    return state;
  }

  private event(at: LineCursor, tid: number, state: TaskState, event: string, rest: string): void {
    const need = <T>(found: T | null, expected: string): T =>
      found ?? at.fail(at.text.indexOf(rest), expected);
    switch (event) {
      case 'raw_syscalls:sys_enter': {
        const m = need(ENTER.exec(rest), 'NR n (six arguments)');
        state.number = Number(m[1]);
        state.args = m[2]!.split(',').map((a) => `0x${a.trim()}`);
        state.mapped = undefined;
        if (/^(60|231)$/.test(m[1]!)) this.call(at.line, tid, state, '?');
        return;
      }
      case 'raw_syscalls:sys_exit':
        this.returned(at, tid, state, need(EXIT.exec(rest), 'NR n = result'));
        return;
      case 'exceptions:page_fault_user':
      case 'exceptions:page_fault_kernel': {
        const m = need(FAULT.exec(rest), 'address=0x… ip=… error_code=0x…');
        state.pending = {
          line: at.line,
          address: m[1] === '(nil)' ? 0 : address(m[1]!),
          code: Number(m[3]),
          user: event.endsWith('user'),
        };
        return;
      }
      case 'PERF_RECORD_MMAP2':
        this.mapping(at.line, state, need(MMAP2.exec(rest), 'PID/TID: [START(LENGTH) @ …]: …'));
        return;
      case 'PERF_RECORD_COMM':
        if (rest.startsWith('exec: ')) {
          const name = rest.slice(6).replace(/:\d+\/\d+$/, '');
          // The first is the one that only switches randomization off.
          if (this.command === '' || this.command === 'setarch') this.command = name;
          state.exec = { line: at.line, name, faults: [], maps: [] };
        }
        return;
      case 'PERF_RECORD_FORK': {
        const m = need(FORK.exec(rest), '(child:tid):(parent:tid)');
        this.forked(at.line, m.slice(1).map(Number) as [number, number, number, number]);
        return;
      }
      case 'PERF_RECORD_EXIT': {
        const m = need(PIDS.exec(rest), '(pid:tid):(parent:tid)');
        const task = Number(m[2]);
        this.records.push({ type: 'exit', line: at.line, task, status: 0, signal: undefined });
        this.tasks.delete(task);
        return;
      }
    }
  }

  private mapping(line: number, state: TaskState, m: RegExpExecArray): void {
    const path = m[5]!.trim();
    const named = path.startsWith('//anon') ? '' : path;
    const found: Mapping = {
      line,
      start: address(m[1]!),
      length: Number(m[2]),
      offset: named.startsWith('/') ? Number(m[3]) : 0,
      perms: m[4]!,
      path: named,
    };
    if (state.exec !== undefined) state.exec.maps.push(found);
    else state.mapped = found;
  }

  private resolved(state: TaskState, tid: number, event: string, rest: string): void {
    const p = state.pending;
    state.pending = undefined;
    if (p === undefined) return; // a get_user_pages fault, or the start of the recording
    const record: TraceRecord = {
      type: 'fault',
      line: p.line,
      task: tid,
      address: rest === '' ? p.address : address(rest.split(' ')[0]!),
      access: accessOf(p.code),
      by: p.user ? 'user' : 'kernel',
      kind: event === 'minor-faults' ? 'minor' : 'major',
      effect: '',
    };
    (state.exec?.faults ?? this.records).push(record);
  }

  private refused(state: TaskState, tid: number): void {
    const p = state.pending;
    state.pending = undefined;
    if (!p?.user) return;
    this.records.push({
      type: 'signal',
      line: p.line,
      task: tid,
      signal: 'SIGSEGV',
      code: '',
      address: p.address,
      access: accessOf(p.code),
    });
  }

  private returned(at: LineCursor, tid: number, state: TaskState, m: RegExpExecArray): void {
    const number = Number(m[1]);
    const result = Number(m[2]);
    if (state.exec !== undefined) {
      this.executed(tid, state);
      return;
    }
    if (number !== state.number || state.args.length === 0) return; // entered before the recording
    if (number >= 56 && number <= 58 && result > 0) return; // stands where the child began
    if (number === 435 && result > 0) return;
    this.call(at.line, tid, state, m[2]!);
  }

  /** execve is done: the call, its mappings, then the faults in them. */
  private executed(tid: number, state: TaskState): void {
    const exec = state.exec!;
    state.exec = undefined;
    this.records.push({
      type: 'call',
      line: exec.line,
      task: tid,
      name: 'execve',
      args: [`"${exec.name}"`, `["${exec.name}"]`, '0'],
      result: '0',
      errno: undefined,
      effect: '',
    });
    for (const m of overlaid(exec.maps)) {
      const end = m.start + m.length;
      this.records.push({
        type: 'map',
        line: m.line,
        task: tid,
        start: m.start,
        end,
        perms: m.perms,
        offset: m.offset,
        path: m.path,
      });
    }
    this.records.push(...exec.faults);
    state.args = [];
    state.number = -1;
  }

  private call(line: number, task: number, state: TaskState, result: string): void {
    const [name, count] = SYSCALLS.get(state.number) ?? [`syscall_${state.number}`, 0];
    const args = state.args.slice(0, count);
    const value = Number(result);
    // Descriptors are ints: 0xffffffff is -1, whose upper half is not printed.
    if (name === 'mmap') {
      const fd = Number(args[4]) | 0;
      const path = state.mapped?.path ?? '';
      args[4] = fd >= 0 && path.startsWith('/') ? `${fd}<${path}>` : String(fd);
    }
    this.records.push({
      type: 'call',
      line,
      task,
      name,
      args,
      result: value < 0 && value >= -4095 ? '-1' : addressCall(name) ? hex(result) : result,
      errno: undefined,
      effect: '',
    });
    state.args = [];
  }

  private forked(line: number, ids: [number, number, number, number]): void {
    const [pid, tid, parentPid, parentTid] = ids;
    const maker = this.state(parentTid);
    const name = SYSCALLS.get(maker.number)?.[0] ?? 'clone';
    let flags = pid === parentPid ? CLONE_VM | CLONE_THREAD : 0;
    if (name === 'clone') flags |= Number(maker.args[0] ?? 0);
    if (name === 'vfork') flags |= CLONE_VM | CLONE_VFORK;
    this.records.push({
      type: 'call',
      line,
      task: parentTid,
      name: 'clone',
      args: [`flags=0x${flags.toString(16)}`],
      result: String(tid),
      errno: undefined,
      effect: '',
    });
  }
}

function addressCall(name: string): boolean {
  return name === 'mmap' || name === 'mremap' || name === 'brk' || name === 'shmat';
}

function hex(decimal: string): string {
  return `0x${BigInt.asUintN(64, BigInt(decimal)).toString(16)}`;
}

function accessOf(code: number): 'r' | 'w' | 'x' {
  return (code & 0x10) !== 0 ? 'x' : (code & 2) !== 0 ? 'w' : 'r';
}

/** Mappings as they lie in the end, a later one over those before it, in order of address. */
function overlaid(maps: readonly Mapping[]): Mapping[] {
  let out: Mapping[] = [];
  for (const m of maps) {
    const end = m.start + m.length;
    const left: Mapping[] = [];
    for (const old of out) {
      const oldEnd = old.start + old.length;
      if (oldEnd <= m.start || old.start >= end) {
        left.push(old);
        continue;
      }
      if (old.start < m.start) left.push({ ...old, length: m.start - old.start });
      if (oldEnd > end) {
        const skip = end - old.start;
        const offset = old.path.startsWith('/') ? old.offset + skip : 0;
        left.push({ ...old, start: end, length: oldEnd - end, offset });
      }
    }
    left.push(m);
    out = left;
  }
  return out.sort((a, b) => a.start - b.start);
}

/** Reads a whole perf script text. @throws InputError on a malformed line or a damaged file. */
export async function readPerf(input: TextInput): Promise<Recording> {
  const parser = new PerfParser(input.path);
  const lines = await readWhole(input, (text, line) => parser.line(text, line));
  parser.finish();
  return {
    path: input.path,
    kind: 'perf',
    command: parser.command,
    machine: '',
    records: parser.records,
    lines,
    notListed: {},
    hasFaults: true,
  };
}
