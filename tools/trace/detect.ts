// Which kind of recording a text is, told from its first lines, never from its name.
//
//     # memtrace 1                               kernel recording    memtrace.ts
//     ==17407== Lackey…   I  0401ab70,3          valgrind lackey     lackey.ts
//     21317/21317  3371.604667: EVENT: …         perf script         perf.ts
//     19034 execve("/usr/bin/bash", …) = 0       strace              strace.ts
//
// Anything else is refused with the reason that helps: a binary perf.data wants `perf script`
// first, a later memtrace version a later pagewalk.

import { InputError } from '../../kernel/index.ts';
import type { TextInput } from '../text-input.ts';

export type TraceKind = 'memtrace' | 'lackey' | 'perf' | 'strace';

const HEAD = 4096;

const LACKEY =
  /^(==\d+== |--\d+-- |I {2}[0-9a-f]+,\d+$| [LSM] [0-9a-f]+,\d+$|SYSCALL\[\d+,\d+\]\()/;
const PERF = /^ *-?\d+\/-?\d+ +\d+\.\d+: +[\w:-]+:/;
const STRACE =
  /^(\[pid +)?(\d+\]? +)?(\d+:\d+:\d+(\.\d+)? +|\d+\.\d+ +)?([a-z_][a-z_0-9]*\(|<\.\.\. [a-z_0-9]+ resumed>|--- SIG|\+\+\+ )/;

/**
 * @returns the kind of recording.
 * @throws InputError with file:1 where it is none that is known.
 */
export async function detect(input: TextInput): Promise<TraceKind> {
  const head = await input.head(HEAD);
  const at = `${input.path}:1`;
  if (head === '') throw new InputError(at, 'the file is empty');
  if (head.startsWith('PERFILE2')) {
    throw new InputError(at, 'perf.data is binary: convert it with `perf script` (see README)');
  }
  const first = head.split('\n', 1)[0] ?? '';
  const memtrace = /^# memtrace (\S+)\r?$/.exec(first);
  if (memtrace !== null) {
    if (memtrace[1] === '1') return 'memtrace';
    throw new InputError(`${at}:12`, `memtrace version ${memtrace[1] ?? ''}: version 1 is known`);
  }
  // eslint-disable-next-line no-control-regex
  const binary = /[\0-\x08\x0e-\x1a\x1c-\x1f]/.exec(head);
  if (binary !== null) {
    const line = head.slice(0, binary.index).split('\n').length;
    throw new InputError(`${input.path}:${line}`, 'binary data, not a recording in text');
  }
  // The head may end inside a line: the last one counts only where it is the only one.
  const lines = head.split('\n').filter((l) => l.trim() !== '');
  for (const line of lines.slice(0, 5)) {
    if (LACKEY.test(line)) return 'lackey';
    if (PERF.test(line)) return 'perf';
    if (STRACE.test(line)) return 'strace';
  }
  throw new InputError(
    at,
    'not a recording: expected a memtrace file, or the text of strace, perf script or lackey',
  );
}
