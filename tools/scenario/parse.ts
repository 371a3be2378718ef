// Scenario text -> statements. Everything that can be known without running is checked here, so
// that a scenario is refused whole, before its first statement has run.
//
//     statement := [process ':'] [name '='] call '(' [argument {',' argument}] ')'
//     argument  := sum | flags | '"' characters '"'
//     sum       := ['-'] operand { ('+' | '-') operand }        operand := number | CONSTANT | name
//     flags     := flag { '|' flag }                            flag    := number | CONSTANT
//     number    := (decimal | '0x' hex) ['K' | 'M' | 'G' | 'T']
//
// The text is read once, left to right, one line at a time, with a cursor in characters; check.ts
// then follows the names and the processes through the statements.

import { InputError } from '../../kernel/errors.ts';
import { CALLS, CONSTANTS, MACHINE_KEYS, THP_MODES, type ThpMode } from './calls.ts';
import { check } from './check.ts';
import type { MachineOptions, Scenario, Statement, Sum, Term } from './syntax.ts';

const SUFFIX: Readonly<Record<string, bigint>> = {
  K: 1n << 10n,
  M: 1n << 20n,
  G: 1n << 30n,
  T: 1n << 40n,
};
const LETTER = /[A-Za-z0-9_]/;

/** One line under a cursor. Positions count characters, not UTF-16 units. */
class Cursor {
  readonly line: number;
  readonly chars: readonly string[];
  at = 0;
  private readonly file: string;

  constructor(file: string, line: number, text: string) {
    this.file = file;
    this.line = line;
    this.chars = Array.from(text);
  }

  /** The character under the cursor; '' at the end of the line. */
  get here(): string {
    return this.chars[this.at] ?? '';
  }

  skipBlanks(): void {
    while (this.here === ' ' || this.here === '\t' || this.here === '\r') this.at++;
  }

  /** At the end of the line, or at a comment. */
  atEnd(): boolean {
    this.skipBlanks();
    return this.here === '' || this.here === '#';
  }

  take(char: string): boolean {
    this.skipBlanks();
    if (this.here !== char) return false;
    this.at++;
    return true;
  }

  expect(char: string, what = `"${char}"`): void {
    if (!this.take(char)) this.refuse(what);
  }

  /** A run of letters, digits and `_`; '' where there is none. */
  word(): string {
    this.skipBlanks();
    const from = this.at;
    while (this.here !== '' && LETTER.test(this.here)) this.at++;
    return this.chars.slice(from, this.at).join('');
  }

  /** Throws: `expected` was expected at `at`, and what stands there is not it. */
  refuse(expected: string, at = this.at): never {
    const found = this.chars.slice(at).join('').trim();
    const shown = found === '' ? 'the end of the line' : `"${found.slice(0, 24)}"`;
    throw new InputError(
      `${this.file}:${this.line}:${at + 1}`,
      `expected ${expected}, found ${shown}`,
    );
  }
}

/**
 * Parses and checks a scenario.
 * @param file its name, for messages.
 * @param bytes its contents, which must be UTF-8.
 * @throws InputError with file:line:column and what was expected.
 */
export function parseScenario(file: string, bytes: Uint8Array | string): Scenario {
  const text = typeof bytes === 'string' ? bytes : decode(file, bytes);
  let machine: MachineOptions | undefined;
  const statements: Statement[] = [];
  text.split('\n').forEach((lineText, i) => {
    const c = new Cursor(file, i + 1, lineText);
    if (c.atEnd()) return;
    const start = c.at;
    if (isMachine(c)) {
      if (machine !== undefined || statements.length > 0) {
        c.refuse('machine() as the first statement only', start);
      }
      machine = machineStatement(c);
    } else statements.push(statement(c));
  });
  const usesStack = statements.some(
    (s) => s.name === 'stack' || s.args.some((a) => a.terms.some((t) => t.name === 'stack')),
  );
  const scenario = { file, machine: machine ?? { thp: 'never' }, statements, usesStack };
  check(scenario);
  return scenario;
}

function decode(file: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // Find the place: lines are split at 0x0a, which is never part of another character.
    let line = 1;
    let from = 0;
    for (;;) {
      const end = bytes.indexOf(10, from);
      const part = bytes.subarray(from, end < 0 ? bytes.length : end);
      const column = badColumn(part);
      if (column > 0 || end < 0) {
        throw new InputError(`${file}:${line}:${Math.max(1, column)}`, 'expected UTF-8 text');
      }
      from = end + 1;
      line++;
    }
  }
}

/** The column of the first character that is not UTF-8; 0 where all are. */
function badColumn(part: Uint8Array): number {
  const good = (n: number): boolean => {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(part.subarray(0, n), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  if (good(part.length)) {
    const tail = new TextDecoder('utf-8').decode(part);
    return tail.endsWith('�') ? Array.from(tail).length : 0;
  }
  let lo = 0; // a prefix that is good
  let hi = part.length; // one that is not
  while (hi - lo > 1) {
    const mid = (lo + hi) >>> 1;
    if (good(mid)) lo = mid;
    else hi = mid;
  }
  return Array.from(new TextDecoder('utf-8').decode(part.subarray(0, lo))).length + 1;
}

function isMachine(c: Cursor): boolean {
  const at = c.at;
  const found = c.word() === 'machine' && c.take('(');
  c.at = at;
  return found;
}

function machineStatement(c: Cursor): MachineOptions {
  c.word();
  c.expect('(');
  const sizes: Record<string, number> = {};
  let thp: ThpMode | undefined;
  if (!c.take(')')) {
    do {
      c.skipBlanks();
      const at = c.at;
      const key = c.word();
      if (!MACHINE_KEYS.includes(key)) c.refuse(`one of ${MACHINE_KEYS.join(', ')}`, at);
      if (key in sizes || (key === 'thp' && thp !== undefined)) c.refuse(`${key} once`, at);
      c.expect('=');
      c.skipBlanks();
      const valueAt = c.at;
      if (key === 'thp') {
        const mode = c.word();
        thp = THP_MODES.find((m) => m === mode) ?? c.refuse('always, madvise or never', valueAt);
      } else sizes[key] = machineNumber(c, key, valueAt);
    } while (c.take(','));
    c.expect(')', '"," or ")"');
  }
  if (!c.atEnd()) c.refuse('the end of the line');
  return { ...sizes, thp: thp ?? 'never' };
}

function machineNumber(c: Cursor, key: string, at: number): number {
  const value = number(c) ?? c.refuse('a number', at);
  if (key === 'cpus') {
    if (value < 1n || value > 64n) c.refuse('1 to 64 processors', at);
  } else if (value >= 1n << 46n) c.refuse('a size below 64T', at);
  else if (key === 'ram' && value < 1n << 24n) c.refuse('ram of at least 16M', at);
  else if (key === 'limit' && value < 1n << 19n) c.refuse('a limit of at least 512K', at);
  return Number(value);
}

function statement(c: Cursor): Statement {
  const column = c.at + 1;
  const from = c.at;
  let proc = 'p0';
  let name = '';
  let at = c.at;
  let word = c.word();
  if (word === '') c.refuse('a statement: [process:] [name =] call(arguments)', at);
  if (c.take(':')) {
    proc = lowerName(c, word, at, 'the name of a process');
    c.skipBlanks();
    at = c.at;
    word = c.word();
    if (word === '') c.refuse('[name =] call(arguments)', at);
  }
  if (c.take('=')) {
    name = lowerName(c, word, at, 'a name');
    c.skipBlanks();
    at = c.at;
    word = c.word();
    if (word === '') c.refuse('call(arguments)', at);
  }
  const form = CALLS.get(word);
  if (form === undefined || word === 'machine') c.refuse('a call', at);
  if (name !== '' && !form.binds) c.refuse(`a call with a result after "${name} ="`, at);
  c.expect('(');
  const { args, path } = callArguments(c, word, form.kinds, form.required, form.usage);
  const text = c.chars.slice(from, c.at).join('');
  if (!c.atEnd()) c.refuse('the end of the line');
  return { line: c.line, column, proc, name, call: word, args, path, text };
}

function lowerName(c: Cursor, word: string, at: number, what: string): string {
  if (!/^[a-z_]/.test(word)) c.refuse(`${what}, beginning with a small letter or _`, at);
  return word;
}

function callArguments(
  c: Cursor,
  call: string,
  kinds: string,
  required: number,
  usage: string,
): { args: Sum[]; path: string } {
  const args: Sum[] = [];
  let path = '';
  let n = 0;
  const wanted = usage === '' ? 'no argument' : usage;
  if (!c.take(')')) {
    do {
      c.skipBlanks();
      if (n >= kinds.length) c.refuse(`")": ${call}(${usage}) takes ${wanted}`);
      if (kinds[n] === 's') path = quoted(c);
      else args.push(sum(c));
      n++;
    } while (c.take(','));
    if (c.here !== ')') {
      c.refuse(n < kinds.length ? '",", ")" or an operator' : '")" or an operator');
    }
    c.at++;
  }
  if (n < required) c.refuse(`${required} arguments: ${call}(${usage})`, c.at - 1);
  return { args, path };
}

function quoted(c: Cursor): string {
  c.expect('"', 'a name in double quotes');
  const from = c.at;
  while (c.here !== '"') {
    if (c.here === '') c.refuse('a closing double quote');
    if (c.here === '/') c.refuse('a name without "/"');
    if (c.here < ' ' || c.here === '\x7f') c.refuse('a name of printable characters');
    c.at++;
  }
  const name = c.chars.slice(from, c.at).join('');
  if (name === '.' || name === '..') c.refuse('the name of a file', from);
  c.at++;
  return name;
}

function sum(c: Cursor): Sum {
  const place = { line: c.line, column: c.at + 1 };
  const terms: Term[] = [operand(c, c.take('-') ? -1 : 1)];
  let op: '+' | '|' | '' = '';
  for (;;) {
    c.skipBlanks();
    const next = c.here;
    if (next !== '+' && next !== '-' && next !== '|') break;
    const kind = next === '|' ? '|' : '+';
    if (op !== '' && op !== kind) c.refuse('either a sum or flags joined by "|"');
    op = kind;
    c.at++;
    terms.push(operand(c, next === '-' ? -1 : 1));
    if (kind === '|') {
      const odd = terms.find((t) => t.value === undefined || t.sign === -1);
      if (odd) c.refuse('a constant or a number as a flag', odd.column - 1);
    }
  }
  return { ...place, op: op === '' ? '+' : op, terms };
}

function operand(c: Cursor, sign: 1 | -1): Term {
  c.skipBlanks();
  const at = c.at;
  const place = { line: c.line, column: at + 1 };
  const value = number(c);
  if (value !== undefined) return { ...place, sign, value, name: '' };
  const name = c.word();
  if (name === '') c.refuse('a number, a constant or a name', at);
  if (!/^[A-Z]/.test(name)) return { ...place, sign, value: undefined, name };
  const constant = CONSTANTS.get(name) ?? c.refuse('a constant of <sys/mman.h> or <fcntl.h>', at);
  return { ...place, sign, value: constant, name };
}

/** A number under the cursor, or undefined where none begins. */
function number(c: Cursor): bigint | undefined {
  c.skipBlanks();
  const at = c.at;
  if (!/[0-9]/.test(c.here)) return undefined;
  const word = c.word();
  const m = /^(0x[0-9a-fA-F]+|[0-9]+)([KMGT]?)$/.exec(word);
  if (m === null) c.refuse('a number: decimal or 0x…, with K, M, G or T', at);
  const digits = m[1] ?? '';
  if (digits.length > 40) c.refuse('a number below 2^64', at);
  const value = BigInt(digits) * (SUFFIX[m[2] ?? ''] ?? 1n);
  if (value >= 1n << 64n) c.refuse('a number below 2^64', at);
  return value;
}
