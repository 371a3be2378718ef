// Runs a recording on an emulated machine, record by record.
//
//     record --> the call or access, as the recorded task --> what changed --> a LineReport
//
// What is reported is what happened here. Where a result differs from the recorded one, ours is
// reported and the recorded one holds for what follows, so that one difference does not become
// many. An execve takes effect with the last of the `map` lines behind it. Two recordings may run
// on one machine, each with its own Replayer: their tasks are different processes.

import { errnoName } from '../../kernel/errors.ts';
import { FAULT_OK, PF_INSTR, PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { hex } from '../../kernel/types.ts';
import type { Task } from '../../userspace/process.ts';
import { VM_WRITE } from '../../userspace/vma.ts';
import type {
  CallRecord,
  ExitRecord,
  FaultRecord,
  FileRecord,
  GupRecord,
  MapRecord,
  Recording,
  SignalRecord,
  TraceRecord,
} from '../trace/record.ts';
import { named, number } from './args.ts';
import { Call, followRecorded, HANDLERS } from './calls.ts';
import { changeTokens, countersOf, faultTokens, NO_COUNTERS } from './effects.ts';
import { Descriptors, RecordedFiles, Segments } from './files.ts';
import type { Kernel } from './kernel.ts';
import { defaultLayout } from './layout.ts';
import {
  isAddressCall,
  isMemoryCall,
  type EndReport,
  type FaultKind,
  type LineReport,
} from './report.ts';
import { Tally } from './tally.ts';
import { endReport } from './ends.ts';

const CLONE_VM = 0x100;
const CLONE_FILES = 0x400;
const CLONE_THREAD = 0x10000;

/** A process of the recording: tasks that share a thread group. */
export interface ReplayProcess {
  /** The number of its first task in the recording. */
  readonly id: number;
  readonly parent: number;
  /** Its tasks that live. */
  readonly live: Set<number>;
  files: Descriptors;
  readonly tally: Tally;
  /** Faults of tasks that ended. */
  minflt: number;
  majflt: number;
  /** The program that it runs, as its last execve named it. */
  program: string;
}

/** A task of the recording, and the one that plays it. */
export interface ReplayTask {
  readonly id: number;
  readonly task: Task;
  readonly process: ReplayProcess;
}

/** An execve whose `map` lines are still coming. */
interface PendingExec {
  readonly task: ReplayTask;
  readonly record: CallRecord;
  readonly maps: MapRecord[];
}

export class Replayer {
  readonly kernel: Kernel;
  readonly recording: Recording;
  readonly files: RecordedFiles;
  readonly segments = new Segments();
  readonly tasks = new Map<number, ReplayTask>();
  /** Every process so far, ended ones too, by the number of its first task. */
  readonly processes = new Map<number, ReplayProcess>();
  /** Called for each process that ends. */
  onEnd: ((report: EndReport) => void) | undefined;
  /** Index of the record that step() runs next. */
  next = 0;
  private exec: PendingExec | undefined;

  constructor(kernel: Kernel, recording: Recording, files?: RecordedFiles) {
    this.kernel = kernel;
    this.recording = recording;
    this.files = files ?? new RecordedFiles(kernel);
  }

  /** True where all records have run. */
  get done(): boolean {
    return this.next >= this.recording.records.length;
  }

  /** Lets go of what the recording held open, when nothing more is to run. */
  release(): void {
    this.segments.release(this.kernel);
    this.files.release();
  }

  /** Runs all that is left; `report` gets each line's report. */
  run(report?: (record: TraceRecord, line: LineReport | undefined) => void): void {
    while (!this.done) {
      const record = this.recording.records[this.next]!;
      const line = this.step();
      report?.(record, line);
    }
  }

  /** Runs the records up to and including `line` of the text. */
  runToLine(line: number): void {
    while (!this.done && this.recording.records[this.next]!.line <= line) this.step();
    this.finishExec();
  }

  /** Runs the next record. @returns its report; undefined where nothing is to report. */
  step(): LineReport | undefined {
    const record = this.recording.records[this.next++]!;
    if (record.type === 'file') {
      this.files.add(record satisfies FileRecord);
      return undefined;
    }
    if (record.type === 'map' && this.exec?.task.id === record.task) {
      this.exec.maps.push(record);
      if (this.recording.records[this.next]?.type !== 'map') this.finishExec();
      return undefined;
    }
    this.finishExec();
    const task = this.taskOf(record.task);
    switch (record.type) {
      case 'fault':
        return this.fault(task, record);
      case 'call':
        return this.call(task, record);
      case 'gup':
        return this.gup(record);
      case 'signal': {
        this.signal(task, record);
        return;
      }
      case 'exit': {
        this.exit(task, record);
        return;
      }
      case 'map':
        return undefined;
    }
  }

  /** A task of the recording; the first one seen is the first process. */
  private taskOf(id: number): ReplayTask {
    const known = this.tasks.get(id);
    if (known !== undefined) return known;
    return this.addTask(id, this.kernel.spawn(), undefined, 0);
  }

  private addTask(
    id: number,
    task: Task,
    sharing: ReplayProcess | undefined,
    parent: number,
  ): ReplayTask {
    let process = sharing;
    if (process === undefined) {
      process = {
        id,
        parent,
        live: new Set(),
        files: new Descriptors(),
        tally: new Tally(),
        minflt: 0,
        majflt: 0,
        program: '',
      };
      this.processes.set(id, process);
    }
    process.live.add(id);
    const made: ReplayTask = { id, task, process };
    this.tasks.set(id, made);
    return made;
  }

  private fault(task: ReplayTask, record: FaultRecord): LineReport {
    const { kernel } = this;
    const { mm } = task.task;
    const before = countersOf(mm);
    const write = record.access === 'w';
    const code =
      (record.by === 'user' ? PF_USER : 0) |
      (write ? PF_WRITE : 0) |
      (record.access === 'x' ? PF_INSTR : 0);
    kernel.fault.reset();
    const result =
      record.by === 'gup'
        ? kernel.gup(task.task, record.address)
        : kernel.access(task.task, record.address, code);
    const after = countersOf(mm);
    const { major, minor } = kernel.fault;
    const fault: FaultKind =
      result !== FAULT_OK ? 'refused' : major > 0 ? 'major' : minor > 0 ? 'minor' : 'none';
    const tokens = changeTokens(before, after);
    if (fault === 'minor' || fault === 'major') {
      tokens.push(...faultTokens(kernel.fault, after.anon - before.anon));
    }
    task.process.tally.fault(record, fault, kernel.fault, before, after);
    task.process.tally.sample(after);
    return { line: record.line, fault, effect: tokens.join(' ') };
  }

  private call(task: ReplayTask, record: CallRecord): LineReport | undefined {
    task.process.tally.call(record.name);
    if (/^execve(at)?$/.test(record.name)) {
      this.execve(task, record);
      return;
    }
    if (/^(clone3?|fork|vfork)$/.test(record.name)) return this.clone(task, record);
    const handler = HANDLERS[record.name];
    if (handler === undefined) return undefined;
    const call = new Call(this, task, record);
    const { mm } = task.task;
    const before = countersOf(mm);
    this.kernel.fault.reset();
    this.kernel.enter(task.task);
    const result = handler(call);
    const after = countersOf(mm);
    const effect = changeTokens(before, after).join(' ');
    task.process.tally.sample(after);
    task.process.tally.populated(this.kernel.fault);
    if (result === undefined) return effect === '' ? undefined : { line: record.line, effect };
    const expected = record.result === '?' ? result : call.failed ? -1 : call.result;
    if (result < 0 ? !call.failed : result !== expected) followRecorded(call, result);
    const { name, line } = record;
    if (result < 0) {
      if (!isMemoryCall(name)) return effect === '' ? undefined : { line, effect };
      return { line, ret: -1, errno: errnoName(-result), effect };
    }
    if (isAddressCall(name)) return { line, ret: hex(result), effect };
    return effect === '' && !call.failed ? undefined : { line, effect };
  }

  private execve(task: ReplayTask, record: CallRecord): undefined {
    if (record.result !== '0') return;
    const maps =
      this.recording.kind === 'strace' ? defaultLayout(this.recording.records, this.next - 1) : [];
    this.exec = { task, record, maps };
    if (maps.length > 0 || this.recording.records[this.next]?.type !== 'map') this.finishExec();
  }

  /** The new address space: all its mappings are known. */
  private finishExec(): void {
    const pending = this.exec;
    if (pending === undefined) return;
    this.exec = undefined;
    const { task, record, maps } = pending;
    const program = record.args[0]?.replace(/^"|"$/g, '') ?? '';
    task.process.program = program;
    task.process.tally.execs++;
    this.kernel.exec(task.task, maps, this.files);
    // Without the kernel's view of execve, its argument page is at the stack's top.
    if (this.recording.kind !== 'memtrace') this.kernel.touchStackTop(task.task);
  }

  private clone(task: ReplayTask, record: CallRecord): LineReport | undefined {
    if (record.result === '-1' || record.result === '?') return undefined;
    const id = Number(record.result);
    const flags = this.cloneFlags(record);
    const mm = task.task.mm;
    const before = countersOf(mm);
    const child = this.kernel.clone(task.task, flags);
    const thread = (flags & CLONE_THREAD) !== 0;
    const made = this.addTask(id, child, thread ? task.process : undefined, task.process.id);
    if (!thread) {
      const { files } = task.process;
      made.process.files = (flags & CLONE_FILES) !== 0 ? files : files.copy();
      made.process.program = task.process.program;
    }
    const tokens = changeTokens(before, countersOf(mm));
    if ((flags & CLONE_VM) === 0) {
      const of = changeTokens(NO_COUNTERS, countersOf(child.mm));
      if (of.length > 0) tokens.push('child:', ...of);
      made.process.tally.sample(countersOf(child.mm));
    }
    return { line: record.line, effect: tokens.join(' ') };
  }

  private cloneFlags(record: CallRecord): number {
    if (record.name === 'fork') return 0;
    if (record.name === 'vfork') return CLONE_VM;
    const where = `${this.recording.path}:${record.line}`;
    const text = named(record.args, 'flags');
    if (text !== undefined) return number(text, where) & 0xffffffff;
    // clone3() may show an address alone: a child that calls execve was spawned; else a thread.
    return CLONE_VM | (this.willExec(Number(record.result)) ? 0 : CLONE_THREAD | CLONE_FILES);
  }

  private willExec(id: number): boolean {
    const { records } = this.recording;
    for (let i = this.next; i < records.length; i++) {
      const r = records[i]!;
      if (r.type === 'call' && r.task === id && r.name.startsWith('execve')) return true;
      if (r.type === 'exit' && r.task === id) return false;
    }
    return false;
  }

  /** The faults were taken in the call before: that call's report has what they changed. */
  private gup(record: GupRecord): LineReport {
    return { line: record.line, effect: '' };
  }

  private signal(task: ReplayTask, record: SignalRecord): undefined {
    if (record.address === undefined || !/^SIG(SEGV|BUS)$/.test(record.signal)) return;
    task.process.tally.refused++;
    // An access beyond the end of a file makes tables before it is refused; others make nothing.
    if (record.signal === 'SIGBUS') {
      const writable = ((task.task.mm.vmas.at(record.address)?.flags ?? 0) & VM_WRITE) !== 0;
      this.kernel.fault.reset();
      this.kernel.access(task.task, record.address, PF_USER | (writable ? PF_WRITE : 0));
    }
  }

  private exit(task: ReplayTask, record: ExitRecord): undefined {
    const { process } = task;
    process.tally.status = record.status;
    process.minflt += task.task.minflt;
    process.majflt += task.task.majflt;
    process.live.delete(task.id);
    if (process.live.size === 0) {
      process.tally.ended(countersOf(task.task.mm));
      this.onEnd?.(endReport(process, task.task));
    }
    this.kernel.exit(task.task);
    this.tasks.delete(task.id);
  }
}

/** Is the next record the end of a process's last task? */
export function endsProcess(replayer: Replayer): boolean {
  const record = replayer.recording.records[replayer.next];
  if (record?.type !== 'exit') return false;
  return replayer.tasks.get(record.task)?.process.live.size === 1;
}
