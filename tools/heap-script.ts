// Reads heap scripts (*.heap): short programs for Go's allocator and collector.
//
//   statement = mode | new | alias | store | drop | call          one a line, # begins a comment
//
// A script is read and checked as a whole before anything runs; what is not of the grammar is
// refused with its line and what was expected there.

import { InputError } from '../kernel/index.ts';

/** One name or a range of them; `by` steps. A plain name has from = to = -1. */
export interface Ref {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly by: number;
}

interface At {
  readonly line: number;
}

export type CallOp = 'gc' | 'scavenge' | 'stats' | 'pacer' | 'setgcpercent' | 'setmemorylimit';

export type Statement =
  | (At & { op: 'new'; target: Ref; bytes: number; ptrWords: number })
  | (At & { op: 'alias'; target: Ref; source: Ref; offset: number })
  | (At & { op: 'store'; target: Ref; word: number; source: Ref | null; offset: number })
  | (At & { op: 'drop'; targets: Ref[] })
  | (At & { op: CallOp; argument: number });

export interface HeapScript {
  readonly modes: { readonly stw: boolean; readonly bare: boolean; readonly lazy: boolean };
  readonly statements: Statement[];
}

const TOKEN = /\s*(?:(0[xX][0-9a-fA-F]+[KMG]?|\d+[KMG]?)|([A-Za-z_]\w*)|(\.\.)|([^\s]))/y;
const UNITS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** Number of names that a reference stands for. */
export function countOf(ref: Ref): number {
  return ref.from < 0 ? 1 : Math.floor((ref.to - ref.from) / ref.by) + 1;
}

/** The i-th name that a reference stands for. */
export function nameAt(ref: Ref, i: number): string {
  return ref.from < 0 ? ref.name : `${ref.name}.${String(ref.from + i * ref.by)}`;
}

/** One line's tokens, and what may come next. */
class Line {
  private readonly tokens: { text: string; column: number }[] = [];
  private next = 0;
  private readonly where: string;

  constructor(text: string, where: string) {
    this.where = where;
    TOKEN.lastIndex = 0;
    for (let at = 0; at < text.length && text.slice(at).trim() !== ''; at = TOKEN.lastIndex) {
      const m = TOKEN.exec(text);
      if (m === null) break;
      const token = m[0].trim();
      this.tokens.push({ text: token, column: TOKEN.lastIndex - token.length + 1 });
    }
  }

  fail(expected: string): never {
    const token = this.tokens[this.next];
    const found = token === undefined ? 'the end of the line' : `'${token.text}'`;
    const column = token === undefined ? '' : `:${String(token.column)}`;
    throw new InputError(`${this.where}${column}`, `expected ${expected}, found ${found}`);
  }

  get empty(): boolean {
    return this.next >= this.tokens.length;
  }

  peek(text: string): boolean {
    return this.tokens[this.next]?.text === text;
  }

  accept(text: string): boolean {
    if (!this.peek(text)) return false;
    this.next++;
    return true;
  }

  expect(text: string): void {
    if (!this.accept(text)) this.fail(`'${text}'`);
  }

  name(expected: string): string {
    const token = this.tokens[this.next]?.text ?? '';
    if (!/^[A-Za-z_]\w*$/.test(token)) this.fail(expected);
    this.next++;
    return token;
  }

  number(expected: string): number {
    const sign = this.accept('-') ? -1 : 1;
    const token = this.tokens[this.next]?.text ?? '';
    const m = /^(0[xX][0-9a-fA-F]+|\d+)([KMG]?)$/.exec(token);
    if (m === null) this.fail(expected);
    this.next++;
    return sign * Number(m[1]) * (UNITS[m[2] ?? ''] ?? 1);
  }

  /** A number of at least `min` and at most `max`. */
  range(expected: string, min: number, max: number): number {
    const at = this.next;
    const value = this.number(expected);
    if (value >= min && value <= max) return value;
    this.next = at;
    this.fail(expected);
  }

  end(): void {
    if (!this.empty) this.fail('the end of the line');
  }

  ref(expected: string): Ref {
    const name = this.name(expected);
    if (!this.accept('.')) return { name, from: -1, to: -1, by: 1 };
    const index = 'an index (a number of at least 0)';
    const from = this.range(index, 0, 2 ** 31);
    if (!this.accept('..')) return { name, from, to: from, by: 1 };
    const to = this.range(`an index of at least ${String(from)}`, from, 2 ** 31);
    const by = this.accept('by') ? this.range('a step of at least 1', 1, 2 ** 31) : 1;
    return { name, from, to, by };
  }
}

const CALLS: Readonly<Record<string, boolean>> = {
  gc: false,
  scavenge: false,
  stats: false,
  pacer: false,
  setgcpercent: true,
  setmemorylimit: true,
};

const MAX_BYTES = 2 ** 33;

class Parser {
  readonly statements: Statement[] = [];
  readonly modes = { stw: false, bare: false, lazy: false };
  private readonly indexed = new Map<string, boolean>();
  private line = 0;
  private first = true;

  parse(text: string, file: string): void {
    for (const raw of text.split('\n')) {
      this.line++;
      const body = raw.replace(/#.*$/, '');
      if (body.trim() === '') continue;
      const line = new Line(body, `${file}:${String(this.line)}`);
      this.statement(line);
      line.end();
      this.first = false;
    }
  }

  private statement(line: Line): void {
    const { line: at } = this;
    const target = line.ref('a statement: a name, or mode, drop, gc, scavenge, stats, pacer, …');
    if (target.from < 0 && line.peek('(')) {
      this.call(line, target.name);
      return;
    }
    this.use(line, target);
    if (line.accept('[')) {
      const word = line.range('the number of a word', 0, MAX_BYTES / 8);
      line.expect(']');
      line.expect('=');
      if (line.accept('nil')) {
        this.statements.push({ line: at, op: 'store', target, word, source: null, offset: 0 });
        return;
      }
      const { source, offset } = this.source(line, target);
      this.statements.push({ line: at, op: 'store', target, word, source, offset });
      return;
    }
    if (!line.accept('=')) line.fail("'=', '[' or '('");
    const source = line.ref('new(…) or a name');
    if (source.name === 'new' && source.from < 0 && line.accept('(')) {
      this.newObject(line, target);
      return;
    }
    this.use(line, source);
    this.pair(line, target, source);
    const offset = line.accept('+') ? line.range('a number of bytes', 0, MAX_BYTES) : 0;
    this.statements.push({ line: at, op: 'alias', target, source, offset });
  }

  private source(line: Line, target: Ref): { source: Ref; offset: number } {
    const source = line.ref('a name or nil');
    this.use(line, source);
    this.pair(line, target, source);
    const offset = line.accept('+') ? line.range('a number of bytes', 0, MAX_BYTES) : 0;
    return { source, offset };
  }

  private pair(line: Line, target: Ref, source: Ref): void {
    const n = countOf(source);
    if (n !== 1 && n !== countOf(target))
      line.fail(`a single name or a range of ${String(countOf(target))} on the right side`);
  }

  /** A name is plain or indexed in a whole script, never both. */
  private use(line: Line, ref: Ref): void {
    const indexed = ref.from >= 0;
    const before = this.indexed.get(ref.name);
    if (before !== undefined && before !== indexed)
      line.fail(`${ref.name} to be ${before ? 'indexed' : 'plain'}, as before`);
    this.indexed.set(ref.name, indexed);
  }

  private newObject(line: Line, target: Ref): void {
    const bytes = line.range('a size from 0 to 8G', 0, MAX_BYTES);
    let ptrWords = 0;
    if (line.accept(',')) {
      line.expect('pointers');
      if (bytes % 8 !== 0) line.fail('no pointers in a size that is not a multiple of 8');
      const words = bytes / 8;
      ptrWords = line.accept('=')
        ? line.range(`a number of pointers from 0 to ${String(words)}`, 0, words)
        : words;
    }
    line.expect(')');
    this.statements.push({ line: this.line, op: 'new', target, bytes, ptrWords });
  }

  private call(line: Line, name: string): void {
    line.expect('(');
    if (name === 'mode') {
      this.mode(line);
      return;
    }
    if (name === 'drop') {
      const targets: Ref[] = [];
      do {
        const ref = line.ref('a name');
        this.use(line, ref);
        targets.push(ref);
      } while (line.accept(','));
      line.expect(')');
      this.statements.push({ line: this.line, op: 'drop', targets });
      return;
    }
    const takes = CALLS[name];
    if (takes === undefined)
      line.fail('drop, gc, scavenge, stats, pacer, setgcpercent, setmemorylimit or mode before it');
    const argument = takes ? line.number('a number') : 0;
    line.expect(')');
    this.statements.push({ line: this.line, op: name as CallOp, argument });
  }

  private mode(line: Line): void {
    if (!this.first) line.fail('mode only as the first statement, not here');
    do {
      const key = line.name('stw, bare or lazy');
      if (key !== 'stw' && key !== 'bare' && key !== 'lazy')
        line.fail('stw, bare or lazy before it');
      line.expect('=');
      this.modes[key] = line.range('0 or 1', 0, 1) === 1;
    } while (line.accept(','));
    line.expect(')');
  }
}

/** Reads a script; throws InputError with file:line:column and what was expected. */
export function parseHeapScript(text: string, file: string): HeapScript {
  const parser = new Parser();
  parser.parse(text, file);
  return { modes: parser.modes, statements: parser.statements };
}
