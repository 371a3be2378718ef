// Kernel recordings, `# memtrace 1`: every system call that touches memory and every page fault
// of a real run, in order.
//
//     file "PATH" size=BYTES [cached=N/M] [folios=F+P,…] [created]
//     1 execve("/usr/bin/true", ["/usr/bin/true"], 0x7ffe7db51810) = 0
//     1 map 555555554000-555555556000 r--p 00000000 /usr/bin/true
//     1 fault 0x7fffffffe000 w gup minor anon+1 pt+12288
//     1 gup 3 minor 0 major anon+3
//     1 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7ffff7fc0000  pt+4096
//     1 --- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_ACCERR, si_addr=0x7ffff7ca2000} ---
//     1 +++ exited with 0 +++
//
// What the real kernel changed (the end of a line) may be missing; nothing here needs it. A line
// that is none of these is refused with its column; where it is the last one and has no newline,
// the error says that the recording is cut short.

import { InputError } from '../../kernel/index.ts';
import type { TextInput } from '../text-input.ts';
import {
  LineCursor,
  splitArgs,
  stringEnd,
  unquote,
  type CallRecord,
  type FileRecord,
  type Recording,
  type TraceRecord,
} from './record.ts';

const EFFECT =
  /^(?:(?:anon|file|shmem|swap|pt)[+-]\d+|zero|special|copy|reuse|around=\d+-\d+|order=\d+|child:)$/;
const FAULT =
  /^(\d+) fault (0x[0-9a-f]{1,16}) ([rwx]) (user|kernel|gup)(?: (minor|major))?((?: .*)?)$/;
const GUP = /^(\d+) gup (\d+) minor (\d+) major((?: .*)?)$/;
const MAP =
  /^(\d+) map ([0-9a-f]{1,16})-([0-9a-f]{1,16}) ([r-][w-][x-][ps]) ([0-9a-f]{1,16})(?: (.*))?$/;
const SIGNAL = /^(\d+) --- (SIG[A-Z0-9_+]+) \{(.*)\} ---$/;
const ENDED = /^(\d+) \+\+\+ (?:exited with (\d+)|killed by (?:signal )?(\S+).*) \+\+\+$/;
const CALL = /^(\d+) ([a-z_][a-z_0-9]*)\(/;

interface Parts {
  task: number;
  minor: number;
  major: number;
}

/** Reads a whole kernel recording. @throws InputError on a malformed line or a damaged file. */
export async function readMemtrace(input: TextInput): Promise<Recording> {
  const records: TraceRecord[] = [];
  const notListed: Record<string, number> = {};
  let command = '';
  let machine = '';
  let last: LineCursor | undefined;
  let held: InputError | undefined; // of the last line seen: is it the file's last?
  await input.lines((text, line) => {
    if (held !== undefined) throw held;
    last = new LineCursor(input.path, text, line);
    if (text.startsWith('#')) {
      if (text.startsWith('# command: ')) command = text.slice(11);
      else if (text.startsWith('# machine: ')) machine = text.slice(11);
      else if (text.startsWith('# not listed')) countNotListed(text, notListed);
      return true;
    }
    if (text === '') return true;
    try {
      records.push(parseLine(last));
    } catch (e) {
      if (!(e instanceof InputError)) throw e;
      held = e;
    }
    return true;
  });
  if (held !== undefined) {
    // Complete lines end in a newline, so lines() counts one less for the cut one.
    if (last !== undefined && input.linesRead < last.line) {
      const detail = held.message.slice(held.message.indexOf(': ') + 2);
      throw new InputError(
        `${input.path}:${last.line}:${last.text.length + 1}`,
        `the recording is cut short: its last line is incomplete (${detail})`,
      );
    }
    throw held;
  }
  if (records.length === 0) {
    throw new InputError(`${input.path}:${input.linesRead + 1}`, 'the recording holds no events');
  }
  return {
    path: input.path,
    kind: 'memtrace',
    command,
    machine,
    records,
    lines: last?.line ?? 0,
    notListed,
    hasFaults: true,
  };
}

/** One line that is neither empty nor a comment. @throws InputError. */
export function parseLine(at: LineCursor): TraceRecord {
  const { text, line } = at;
  if (text.startsWith('file ')) return fileLine(at);
  const fault = FAULT.exec(text);
  if (fault !== null) {
    return {
      type: 'fault',
      line,
      task: Number(fault[1]),
      address: address(fault[2]!),
      access: fault[3] as 'r' | 'w' | 'x',
      by: fault[4] as 'user' | 'kernel' | 'gup',
      kind: fault[5] as 'minor' | 'major' | undefined,
      effect: effectOf(at, fault[6]!),
    };
  }
  const gup = GUP.exec(text);
  if (gup !== null) {
    const parts: Parts = { task: Number(gup[1]), minor: Number(gup[2]), major: Number(gup[3]) };
    return { type: 'gup', line, ...parts, effect: effectOf(at, gup[4]!) };
  }
  const map = MAP.exec(text);
  if (map !== null) return mapLine(at, map);
  const signal = SIGNAL.exec(text);
  if (signal !== null) return { type: 'signal', line, ...signalFields(signal), access: undefined };
  const ended = ENDED.exec(text);
  if (ended !== null) {
    return {
      type: 'exit',
      line,
      task: Number(ended[1]),
      status: ended[2] === undefined ? -1 : Number(ended[2]),
      signal: ended[3],
    };
  }
  const call = CALL.exec(text);
  if (call !== null) return callLine(at, call);
  return unknownLine(at);
}

function callLine(at: LineCursor, head: RegExpExecArray): CallRecord {
  const { text, line } = at;
  const { args, end } = splitArgs(text, head[0].length);
  if (end < 0) at.fail(text.length, 'the end of the arguments, ")"');
  const tail = /^ +(?:\)? *)= (0x[0-9a-f]+|-?\d+|\?)(.*)$/.exec(text.slice(end));
  if (tail === null) at.fail(end, 'a blank, "=" and the result');
  let rest = tail[2]!;
  let errno: string | undefined;
  const error = /^ (E[A-Z0-9]+)(?: \([^)]*\))?/.exec(rest);
  if (error !== null && tail[1] === '-1') {
    errno = error[1];
    rest = rest.slice(error[0].length);
  }
  const file = /^<.*?>(?:\(deleted\))?(?= {2}|$)/.exec(rest);
  if (file !== null) rest = rest.slice(file[0].length);
  if (rest !== '' && !rest.startsWith('  ')) at.fail(text.length - rest.length, 'the line to end');
  return {
    type: 'call',
    line,
    task: Number(head[1]),
    name: head[2]!,
    args,
    result: tail[1]!,
    errno,
    effect: effectOf(at, rest),
  };
}

function fileLine(at: LineCursor): FileRecord {
  const { text, line } = at;
  if (text[5] !== '"') at.fail(5, 'a path in quotes');
  const end = stringEnd(text, 5);
  if (end < 0) at.fail(text.length, 'the closing quote of the path');
  const m =
    /^ size=(\d+)(?: cached=(\d+)\/(\d+))?(?: folios=(\d+\+\d+(?:,\d+\+\d+)*))?( created)?$/.exec(
      text.slice(end + 1),
    );
  if (m === null) {
    at.fail(end + 1, 'size=BYTES [cached=N/M] [folios=F+P,…] [created]');
  }
  const size = Number(m[1]);
  const folios = m[4]?.split(',').map((f) => f.split('+').map(Number) as [number, number]) ?? [];
  return {
    type: 'file',
    line,
    path: unquote(text.slice(5, end + 1)),
    size,
    cached: Number(m[2] ?? 0),
    pages: Number(m[3] ?? Math.ceil(size / 4096)),
    folios,
    created: m[5] !== undefined,
  };
}

function mapLine(at: LineCursor, m: RegExpExecArray): TraceRecord {
  const start = address(m[2]!);
  const end = address(m[3]!);
  if (start >= end || start % 4096 !== 0 || end % 4096 !== 0) {
    at.fail(m[1]!.length + 5, 'a range of whole pages, START below END');
  }
  return {
    type: 'map',
    line: at.line,
    task: Number(m[1]),
    start,
    end,
    perms: m[4]!,
    offset: parseInt(m[5]!, 16),
    path: (m[6] ?? '').trim(),
  };
}

function signalFields(m: RegExpExecArray): {
  task: number;
  signal: string;
  code: string;
  address: number | undefined;
} {
  const where = /si_addr=(0x[0-9a-f]+|NULL)/.exec(m[3]!)?.[1];
  return {
    task: Number(m[1]),
    signal: m[2]!,
    code: /si_code=(\w+)/.exec(m[3]!)?.[1] ?? '',
    address: where === undefined ? undefined : where === 'NULL' ? 0 : address(where),
  };
}

/** The change tokens at the end of a line, checked. */
function effectOf(at: LineCursor, rest: string): string {
  const effect = rest.trim();
  if (effect === '') return '';
  for (const token of effect.split(' ')) {
    if (!EFFECT.test(token)) at.fail(at.text.lastIndexOf(token), 'a change such as anon+1');
  }
  return effect;
}

/** A 64-bit address in hexadecimal as the canonical signed number; exact for both halves. */
export function address(hex: string): number {
  return Number(BigInt.asIntN(64, BigInt(hex.startsWith('0x') ? hex : `0x${hex}`)));
}

/** Says what is wrong with a line that no form fits, as near as can be told. */
function unknownLine(at: LineCursor): never {
  const { text } = at;
  const id = /^\d+/.exec(text)?.[0] ?? '';
  if (id === '') at.fail(0, 'a task number, "file" or "#"');
  const word = /^ (\S+)/.exec(text.slice(id.length));
  if (word === null) at.fail(id.length, 'a blank and an event');
  const from = id.length + 1 + word[1]!.length;
  switch (word[1]) {
    case 'fault':
      return at.fail(from, '"0xADDRESS r|w|x user|kernel|gup [minor|major]"');
    case 'gup':
      return at.fail(from, '"N minor M major"');
    case 'map':
      return at.fail(from, '"START-END PERMS OFFSET [PATH]"');
    case '---':
      return at.fail(from, '"SIGNAL {si_signo=…} ---"');
    case '+++':
      return at.fail(from, '"exited with N +++" or "killed by signal N +++"');
    default:
      return at.fail(id.length + 1, 'a system call, fault, gup, map, "---" or "+++"');
  }
}

/** Takes the counts of `# not listed (…): newfstatat 2, access 1`. */
function countNotListed(text: string, into: Record<string, number>): void {
  for (const m of text.slice(text.indexOf(':') + 1).matchAll(/(\w+) (\d+)/g)) {
    into[m[1]!] = (into[m[1]!] ?? 0) + Number(m[2]);
  }
}
