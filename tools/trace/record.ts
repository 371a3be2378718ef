// What recordings of every format become: plain records, in order, each with its line.
//
// A parser (memtrace.ts, strace.ts, perf.ts) knows its format and no machine; the replayer
// (replay/) knows a machine and no format. Arguments of a system call stay text until the
// replayer wants them as numbers (args.ts), as each call reads them in its own way.

import { InputError } from '../../kernel/index.ts';
import type { TraceKind } from './detect.ts';

/** A file of the recorded machine, as its page cache was at the start. */
export interface FileRecord {
  readonly type: 'file';
  readonly line: number;
  readonly path: string;
  readonly size: number;
  /** Pages in the page cache at the start, of `pages`. */
  readonly cached: number;
  readonly pages: number;
  /** Folios of more than one page: first page and number of pages. */
  readonly folios: readonly (readonly [number, number])[];
  /** Made during the run: its size is that at its first mmap. */
  readonly created: boolean;
}

export interface CallRecord {
  readonly type: 'call';
  readonly line: number;
  readonly task: number;
  readonly name: string;
  /** The arguments' text, as strace prints them, outermost commas apart. */
  readonly args: readonly string[];
  /** The result's text: `0x7f…`, `0`, `?`; for a failure `-1`. */
  readonly result: string;
  /** Name of the error of a failed call, if it was recorded. */
  readonly errno: string | undefined;
  /** What the real kernel's counters changed by; empty where it is not recorded. */
  readonly effect: string;
}

/** One mapping of the address space that an execve made. */
export interface MapRecord {
  readonly type: 'map';
  readonly line: number;
  readonly task: number;
  readonly start: number;
  readonly end: number;
  /** `rwxp`, as in /proc/PID/maps. */
  readonly perms: string;
  readonly offset: number;
  readonly path: string;
}

export interface FaultRecord {
  readonly type: 'fault';
  readonly line: number;
  readonly task: number;
  readonly address: number;
  readonly access: 'r' | 'w' | 'x';
  readonly by: 'user' | 'kernel' | 'gup';
  readonly kind: 'minor' | 'major' | undefined;
  readonly effect: string;
}

/** So many more get_user_pages faults in the call before it. */
export interface GupRecord {
  readonly type: 'gup';
  readonly line: number;
  readonly task: number;
  readonly minor: number;
  readonly major: number;
  readonly effect: string;
}

/** A signal. For SIGSEGV and SIGBUS of an access that was refused, with its address. */
export interface SignalRecord {
  readonly type: 'signal';
  readonly line: number;
  readonly task: number;
  readonly signal: string;
  readonly code: string;
  readonly address: number | undefined;
  /** What kind of access it was, where the recording says (perf does). */
  readonly access: 'r' | 'w' | 'x' | undefined;
}

export interface ExitRecord {
  readonly type: 'exit';
  readonly line: number;
  readonly task: number;
  /** The exit code; -1 where a signal killed the task. */
  readonly status: number;
  readonly signal: string | undefined;
}

export type TraceRecord =
  FileRecord | CallRecord | MapRecord | FaultRecord | GupRecord | SignalRecord | ExitRecord;

/** A whole recording. */
export interface Recording {
  readonly path: string;
  readonly kind: Exclude<TraceKind, 'lackey'>;
  /** The recorded command, where the recording says. */
  readonly command: string;
  /** What the recording says of the machine it was made on; empty where it says nothing. */
  readonly machine: string;
  readonly records: readonly TraceRecord[];
  readonly lines: number;
  /** Calls that were counted and not listed: they do not touch memory. */
  readonly notListed: Readonly<Record<string, number>>;
  /** Does it hold faults (memtrace, perf), or calls alone (strace)? */
  readonly hasFaults: boolean;
}

/** A place in a line, for errors. Columns count from 1. */
export class LineCursor {
  readonly path: string;
  readonly text: string;
  readonly line: number;

  constructor(path: string, text: string, line: number) {
    this.path = path;
    this.text = text;
    this.line = line;
  }

  /** Refuses the line: what was expected at `index` (from 0) of the text. */
  fail(index: number, expected: string): never {
    const rest = this.text.slice(index, index + 32);
    const found = rest === '' ? 'the line ends' : `found "${rest}"`;
    throw new InputError(
      `${this.path}:${this.line}:${Math.max(index, 0) + 1}`,
      `expected ${expected}, ${found}`,
    );
  }
}

const CLOSERS: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/**
 * Splits `text` from `from` at its outermost commas, up to the `)` that closes the call. Knows
 * strings with escapes, brackets, and `<…>` behind a descriptor.
 * @returns the arguments and the index behind the `)`; index -1 where it never closes.
 */
export function splitArgs(text: string, from: number): { args: string[]; end: number } {
  const args: string[] = [];
  const open: string[] = [];
  let start = from;
  const take = (end: number): void => {
    const arg = text.slice(start, end).trim();
    if (arg !== '' || args.length > 0) args.push(arg);
  };
  for (let i = from; i < text.length; i++) {
    const c = text[i]!;
    if (c === '"') {
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++;
    } else if (c === '<' && text[i + 1] !== '<' && /[0-9D]/.test(text[i - 1] ?? '')) {
      // A descriptor's file: 3</etc/passwd>, AT_FDCWD</>; the name ends at `>` and , ) or blank.
      const end = fileNameEnd(text, i);
      if (end < 0) return { args, end: -1 };
      i = end;
    } else if (c in CLOSERS) open.push(CLOSERS[c]!);
    else if (open.length > 0 && c === open.at(-1)) open.pop();
    else if (open.length === 0 && c === ',') {
      take(i);
      start = i + 1;
    } else if (open.length === 0 && c === ')') {
      take(i);
      return { args, end: i + 1 };
    }
  }
  return { args, end: -1 };
}

/** Index of the `>` that ends the file name which `<` at `at` begins; -1 where there is none. */
function fileNameEnd(text: string, at: number): number {
  for (let i = text.indexOf('>', at); i >= 0; i = text.indexOf('>', i + 1)) {
    if (/^>(\(deleted\))?([,)\] }]|$)/.test(text.slice(i, i + 12))) {
      return text.startsWith('>(deleted)', i) ? i + 9 : i;
    }
  }
  return -1;
}

/** The index of a string literal's closing quote, from its opening one; -1 where it never ends. */
export function stringEnd(text: string, open: number): number {
  for (let i = open + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i;
  }
  return -1;
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  v: '\v',
  f: '\f',
};

const ENCODER = new TextEncoder();

/** The text of a C string literal with its quotes: `"a\"b"` is a"b. A trailing `...` is cut. */
export function unquote(literal: string): string {
  const end = stringEnd(literal, 0);
  const body = literal.slice(1, end < 0 ? undefined : end);
  if (!body.includes('\\')) return body;
  const bytes: number[] = [];
  const text = body.replace(
    /\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|(.))|([^\\]+)/gs,
    (_all, hex?: string, oct?: string, one?: string, plain?: string) => {
      if (hex !== undefined) bytes.push(parseInt(hex, 16));
      else if (oct !== undefined) bytes.push(parseInt(oct, 8) & 0xff);
      else bytes.push(...ENCODER.encode(one === undefined ? plain! : (ESCAPES[one] ?? one)));
      return '';
    },
  );
  return text + new TextDecoder().decode(Uint8Array.from(bytes));
}
