// Object scripts (*.pyobj) as statements: the parser.
//
// The form of a statement is checked as a whole before anything runs; whether its names are bound
// shows when it runs (object-run.ts).

import type { StrKind } from '../../runtime/index.ts';
import type {
  Action,
  Element,
  Expression,
  InstanceOptions,
  Name,
  Observation,
  Operand,
  Statement,
} from './object-ast.ts';
import { Cursor, rangeOf, withoutComment } from './cursor.ts';

const observations: readonly string[] = [
  'refcount',
  'sizeof',
  'len',
  'tracked',
  'generation',
  'alive',
];
const kinds: readonly string[] = ['ascii', 'latin1', 'ucs2', 'ucs4'];

/** Parses a script; InputError where it is not of the form. */
export function parseObjects(file: string, text: string): Statement[] {
  const statements: Statement[] = [];
  text.split('\n').forEach((raw, i) => {
    const line = withoutComment(raw.replace(/\r$/, ''));
    if (line.trim() === '') return;
    statements.push(new Parser(new Cursor(file, i + 1, line)).statement());
  });
  return statements;
}

class Parser {
  private readonly c: Cursor;
  private readonly names: Name[] = [];

  constructor(c: Cursor) {
    this.c = c;
  }

  statement(): Statement {
    const action = this.action();
    this.c.end();
    const ranges = this.names.filter((n) => n.isRange);
    const times = ranges[0]?.indices?.length ?? 1;
    for (const range of ranges)
      if (range.indices?.length !== times)
        this.c.fail('the ranges of a statement have one length', range.column - 1);
    const name = this.names[0] ?? null;
    return { line: this.c.line, action, name, times, isRange: ranges.length > 0 };
  }

  private action(): Action {
    const { c } = this;
    c.blanks();
    const call = c.match(/(gc\.)?([a-z_]+)\s*\(/y);
    if (call !== null) {
      const word = (call[1] ?? '') + (call[2] ?? '');
      const done = this.call(word);
      if (done !== null) {
        c.expect(')');
        return done;
      }
      c.at -= call[0].length;
    }
    if (c.match(/del\s+/y) !== null) return this.deletion();
    const name = this.parseName('a statement');
    if (c.match(/is\s+/y) !== null) return { is: 'is', of: name, other: this.operand() };
    if (c.take('[')) {
      const key = this.operand();
      c.expect(']');
      c.expect('=');
      return { is: 'setitem', of: name, key, value: this.operand() };
    }
    if (c.take('.')) return this.method(name);
    c.expect('=');
    return { is: 'bind', to: name, value: this.expression() };
  }

  private call(word: string): Action | null {
    const { c } = this;
    switch (word) {
      case 'collect': {
        const at = c.at;
        c.blanks();
        const generation = c.text[c.at] === ')' ? 2 : c.size('a generation');
        if (generation > 2) c.fail('a generation is 0, 1 or 2', at);
        return { is: 'collect', generation };
      }
      case 'stats':
      case 'gc.disable':
      case 'gc.enable':
      case 'gc.freeze':
        return { is: word };
      case 'gc.set_threshold': {
        const values = [this.integer('a threshold')];
        while (c.take(',')) values.push(this.integer('a threshold'));
        if (values.length > 3) c.fail('there are three thresholds');
        return { is: word, values };
      }
      case 'grow': {
        const of = this.parseName('a list');
        c.expect(',');
        const value = this.operand();
        c.expect(',');
        return { is: word, of, value, times: c.size('how often') };
      }
      case 'fill':
        return this.fill();
      case 'drain':
        return this.drain();
      default:
        if (!observations.includes(word)) return null;
        return { is: word as Observation, of: this.parseName('a name') };
    }
  }

  private fill(): Action {
    const { c } = this;
    const of = this.parseName('a name');
    c.expect(',');
    const prefix = this.prefix();
    const first = this.integer('the first key');
    c.expect(',');
    const last = this.integer('the last key');
    const value = c.take(',') ? this.operand() : null;
    return { is: 'fill', of, prefix, first, last, value };
  }

  private drain(): Action {
    const { c } = this;
    const of = this.parseName('a name');
    c.expect(',');
    const prefix = this.prefix();
    const first = this.integer('a number');
    if (prefix === null && !c.take(','))
      return { is: 'drain', of, times: first, prefix, first: 0, last: 0 };
    if (prefix !== null) c.expect(',');
    const last = this.integer('the last key');
    return { is: 'drain', of, times: null, prefix, first, last };
  }

  private prefix(): string | null {
    this.c.blanks();
    if (this.c.text[this.c.at] !== '"') return null;
    const text = this.string();
    this.c.expect(',');
    return text;
  }

  private deletion(): Action {
    const { c } = this;
    const of = this.parseName('a name');
    if (c.take('[')) {
      const key = this.operand();
      c.expect(']');
      return { is: 'delitem', of, key };
    }
    if (c.take('.')) return { is: 'delattr', of, attribute: c.name('an attribute') };
    return { is: 'del', of };
  }

  private method(of: Name): Action {
    const { c } = this;
    const at = c.at;
    const word = c.name('a method or an attribute');
    if (!c.take('(')) {
      c.expect('=');
      return { is: 'setattr', of, attribute: word, value: this.operand() };
    }
    const done = this.methodCall(of, word, at);
    c.expect(')');
    return done;
  }

  private methodCall(of: Name, word: string, at: number): Action {
    const { c } = this;
    switch (word) {
      case 'append':
      case 'extend':
      case 'add':
      case 'discard':
        return { is: word, of, value: this.operand() };
      case 'insert': {
        const where = this.integer('an index');
        c.expect(',');
        return { is: word, of, at: where, value: this.operand() };
      }
      case 'pop':
      case 'clear':
        return { is: word, of };
      default:
        return c.fail(`expected a method of a list, dict or set, found '${word}'`, at);
    }
  }

  // expressions --------------------------------------------------------------------------------

  private expression(): Expression {
    const { c } = this;
    c.blanks();
    const call = c.match(/([a-z]+)\s*\(/y);
    if (call !== null) {
      const made = this.make(call[1] ?? '');
      if (made !== null) {
        c.expect(')');
        return made;
      }
      c.at -= call[0].length;
    }
    const of = this.operand();
    if (of.is !== 'name') return { is: 'alias', of };
    if (c.take('[')) {
      const key = this.operand();
      c.expect(']');
      return { is: 'getitem', of, key };
    }
    if (c.take('(')) {
      c.expect(')');
      return { is: 'deref', of };
    }
    if (!c.take('.')) return { is: 'alias', of };
    const attribute = c.name('an attribute');
    if (attribute !== 'pop' || !c.take('(')) return { is: 'getattr', of, attribute };
    c.expect(')');
    return { is: 'pop', of };
  }

  private make(word: string): Expression | null {
    const { c } = this;
    switch (word) {
      case 'list':
      case 'tuple':
        return this.display(word);
      case 'dict':
      case 'set':
        return { is: word };
      case 'int':
        return { is: word, literal: (c.match(/-?[0-9]+/y) ?? c.refuse('an integer'))[0] };
      case 'float': {
        const found = c.match(/-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?/y);
        return { is: word, value: Number((found ?? c.refuse('a number'))[0]) };
      }
      case 'str': {
        const length = c.size('a length');
        const kind = c.take(',') ? c.match(/[a-z0-9]+/y)?.[0] : 'ascii';
        if (kind === undefined || !kinds.includes(kind)) c.refuse('ascii, latin1, ucs2 or ucs4');
        return { is: word, length, kind: kind as StrKind };
      }
      case 'bytes':
        return { is: word, length: c.size('a length') };
      case 'instance':
        return { is: word, options: this.instanceOptions() };
      case 'ref': {
        const of = this.operand();
        const callback = c.take(',');
        if (callback && c.match(/callback\b/y) === null) c.refuse("'callback'");
        return { is: word, of, callback };
      }
      default:
        return null;
    }
  }

  private display(is: 'list' | 'tuple'): Expression {
    const { c } = this;
    c.blanks();
    const items: Element[] = [];
    if (c.text[c.at] === ')') return { is, length: 0, items };
    do {
      if (c.take('*')) {
        const at = this.names.length;
        const name = this.parseName('a range');
        this.names.splice(at, 1); // it stands for all its names at once
        if (!name.isRange) c.fail('expected a range after *', name.column - 1);
        items.push({ is: 'star', name });
      } else items.push(this.operand());
    } while (c.take(','));
    const only = items[0];
    if (items.length === 1 && only?.is === 'int') {
      if (only.value < 0) c.fail('a length is not negative');
      return { is, length: only.value, items: [] };
    }
    return { is, length: null, items };
  }

  private instanceOptions(): InstanceOptions {
    const { c } = this;
    const options = {
      class: 'C',
      slots: null as number | null,
      weakref: false,
      finalizer: false,
      resurrect: null as string | null,
    };
    c.blanks();
    if (c.text[c.at] === ')') return options;
    do {
      c.blanks();
      const at = c.at;
      const word = c.name('an option');
      if (word === 'class') {
        c.expect('=');
        options.class = c.name('a class');
      } else if (word === 'slots') {
        c.expect('=');
        options.slots = c.size('a number of slots');
      } else if (word === 'weakref') options.weakref = true;
      else if (word === 'finalizer') options.finalizer = true;
      else if (word === 'resurrect') {
        c.expect('=');
        const before = this.names.length;
        const name = this.parseName('a name');
        this.names.splice(before, 1);
        if (name.isRange) c.fail('resurrect binds one name', name.column - 1);
        options.resurrect = name.text;
      } else c.fail(`expected class, slots, weakref, finalizer or resurrect, found '${word}'`, at);
    } while (c.take(','));
    return options;
  }

  // words --------------------------------------------------------------------------------------

  private operand(): Operand {
    const { c } = this;
    c.blanks();
    if (c.text[c.at] === '"') return { is: 'string', text: this.string() };
    const number = c.match(/-?[0-9]+/y);
    if (number !== null) {
      const value = Number(number[0]);
      if (!Number.isSafeInteger(value)) c.fail('the number is too large', c.at - number[0].length);
      return { is: 'int', value };
    }
    if (c.match(/None\b/y) !== null) return { is: 'none' };
    return this.parseName('a name, None, an integer or a string');
  }

  private integer(what: string): number {
    const found = this.c.match(/-?[0-9]+/y) ?? this.c.refuse(what);
    return Number(found[0]);
  }

  private string(): string {
    const { c } = this;
    const at = c.at;
    const found = c.match(/"(?:[^"\\]|\\.)*"/y) ?? c.refuse('the end of the string');
    try {
      return JSON.parse(found[0]) as string;
    } catch {
      return c.fail('the string has an escape that is none', at);
    }
  }

  private parseName(what: string): Name {
    const { c } = this;
    c.blanks();
    const start = c.at;
    const base = c.name(what);
    let indices: Int32Array | null = null;
    let isRange = false;
    if (c.text[c.at] === '@') {
      c.at++;
      const from = c.size('an index');
      let to = from;
      let step = 1;
      if (c.text.startsWith('..', c.at)) {
        c.at += 2;
        isRange = true;
        to = c.size('an index');
        if (c.text[c.at] === ':') {
          c.at++;
          step = c.size('a step');
          if (step === 0) c.fail('a step is positive');
        }
      }
      indices = rangeOf(from, to, step);
    }
    const text = c.text.slice(start, c.at);
    const name: Name = {
      is: 'name',
      text,
      base,
      indices,
      isRange,
      line: c.line,
      column: start + 1,
    };
    this.names.push(name);
    return name;
  }
}
