// The text of strace: system calls as a user records them, without special rights.
//
//     19034 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7ffff7fc0000
//     19034 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>
//     19040 getpid( <unfinished ...>
//     19034 <... clone resumed>, child_tidptr=0x7ffff7d9ba10) = 19040
//
// A call that was interrupted in the text is put together again. It stands where it returned,
// except those that make a task, which stand where they began: the child may speak before its
// maker hears of it. Task numbers are the real ids, or 1 where strace ran without -f.
//
// Understood beside the plain form: `[pid N]`, times (-t, -tt, -ttt, -r) and durations (-T).
// Not in such a recording: faults, and the mappings that execve makes (see replay/layout.ts).

import type { TextInput } from '../text-input.ts';
import { address } from './memtrace.ts';
import { LineCursor, splitArgs, type Recording, type TraceRecord } from './record.ts';
import { readWhole } from './whole.ts';

const PREFIX = /^(?:\[pid +(\d+)\] |(\d+) +)?(?:\d+:\d+:\d+(?:\.\d+)? +|\d+\.\d+ +)?/;
const CALL = /^([a-z_][a-z_0-9]*)\(/;
const RESUMED = /^<\.\.\. ([a-z_0-9]+) resumed>(.*)$/;
const RESULT = /^\s*= (0x[0-9a-f]+|-?\d+|\?)(.*)$/;
const SIGNAL = /^--- (SIG[A-Z0-9_+]+) \{(.*)\} ---$/;
const ENDED = /^\+\+\+ (?:exited with (\d+)|killed by (\S+).*) \+\+\+$/;
const PASSED_OVER =
  /^(strace: |--- stopped by |\+\+\+ superseded by |Process \d+ (attached|detached))/;
/** Calls whose arguments must be understood. */
const MEMORY = /^(mmap|munmap|mremap|mprotect|madvise|brk|mlock|clone3?|execve)/;
const MAKES_TASK = /^(clone3?|fork|vfork)$/;

/** A call whose text stopped at `<unfinished ...>`: its text so far, its line, its place. */
interface Unfinished {
  readonly text: string;
  readonly line: number;
  readonly at: number;
}

class StraceParser {
  readonly records: (TraceRecord | undefined)[] = [];
  private readonly unfinished = new Map<number, Unfinished>();
  private readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  line(text: string, line: number): void {
    const at = new LineCursor(this.path, text, line);
    if (text.trim() === '' || PASSED_OVER.test(text)) return;
    const prefix = PREFIX.exec(text)!;
    const task = Number(prefix[1] ?? prefix[2] ?? 1);
    const from = prefix[0].length;
    const body = text.slice(from).trimEnd();
    if (PASSED_OVER.test(body)) return;
    const signal = SIGNAL.exec(body);
    if (signal !== null) {
      const where = /si_addr=(0x[0-9a-f]+|NULL)/.exec(signal[2]!)?.[1];
      this.records.push({
        type: 'signal',
        line,
        task,
        signal: signal[1]!,
        code: /si_code=(\w+)/.exec(signal[2]!)?.[1] ?? '',
        address: where === undefined ? undefined : where === 'NULL' ? 0 : address(where),
        access: undefined,
      });
      return;
    }
    const ended = ENDED.exec(body);
    if (ended !== null) {
      const status = ended[1] === undefined ? -1 : Number(ended[1]);
      this.records.push({ type: 'exit', line, task, status, signal: ended[2] });
      return;
    }
    this.callText(at, task, from, body);
  }

  private callText(at: LineCursor, task: number, from: number, body: string): void {
    const resumed = RESUMED.exec(body);
    if (resumed !== null) {
      const begun = this.unfinished.get(task);
      if (begun === undefined) at.fail(from, 'a call of this task that was unfinished before');
      this.unfinished.delete(task);
      const whole = `${begun.text}${resumed[2]!}`;
      this.call(new LineCursor(this.path, whole, at.line), task, 0, begun);
      return;
    }
    if (!CALL.test(body)) at.fail(from, 'a system call, "<... resumed>", "---" or "+++"');
    const cut = /\s*<unfinished \.\.\.>$/.exec(body);
    if (cut === null) {
      this.call(at, task, from, undefined);
      return;
    }
    const place = this.records.push(undefined) - 1;
    this.unfinished.set(task, { text: body.slice(0, cut.index), line: at.line, at: place });
  }

  private call(at: LineCursor, task: number, from: number, begun: Unfinished | undefined): void {
    const name = CALL.exec(at.text.slice(from))![1]!;
    let { args, end } = splitArgs(at.text, from + name.length + 1);
    if (end < 0 && !MEMORY.test(name)) {
      // Some call that strace prints in a way of its own: its arguments do not matter here.
      args = [];
      end = /\)\s+= (?=[^=]*$)/.exec(at.text)?.index ?? -1;
      if (end >= 0) end++;
    }
    if (end < 0) at.fail(at.text.length, 'the end of the arguments, ")"');
    const result = RESULT.exec(at.text.slice(end));
    if (result === null) at.fail(end, '"=" and the result');
    const early = begun !== undefined && MAKES_TASK.test(name);
    const record: TraceRecord = {
      type: 'call',
      line: early ? begun.line : at.line,
      task,
      name,
      args,
      result: result[1]!,
      errno: result[1] === '-1' ? /^ (E[A-Z0-9]+)/.exec(result[2]!)?.[1] : undefined,
      effect: '',
    };
    if (early) this.records[begun.at] = record;
    else this.records.push(record);
  }
}

/** Reads a whole strace text. @throws InputError on a malformed line or a damaged file. */
export async function readStrace(input: TextInput): Promise<Recording> {
  const parser = new StraceParser(input.path);
  const lines = await readWhole(input, (text, line) => parser.line(text, line));
  const records = parser.records.filter((r) => r !== undefined);
  const first = records.find((r) => r.type === 'call' && r.name === 'execve');
  return {
    path: input.path,
    kind: 'strace',
    command: first?.type === 'call' ? (first.args[1] ?? '') : '',
    machine: '',
    records,
    lines,
    notListed: {},
    hasFaults: false,
  };
}
