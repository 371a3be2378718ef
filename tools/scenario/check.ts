// What can be known of a scenario's names and processes before it runs.
//
// The statements run in the order of the file and there are no branches, so one pass over them
// knows for each statement which processes live and which names each of them has. A child's names
// are its parent's at the fork. Values are not known: only that there is one.

import { InputError } from '../../kernel/errors.ts';
import type { Scenario, Statement, Term } from './syntax.ts';

type Names = Map<string, 'value' | 'process'>;

/** Refuses a scenario that uses a name or process that is not there. @throws InputError. */
export function check(scenario: Scenario): void {
  new Checker(scenario.file).run(scenario.statements);
}

class Checker {
  private readonly file: string;
  private readonly alive = new Map<string, Names>();
  private readonly used = new Map<string, number>([['p0', 0]]); // process name -> line of its fork
  private readonly ended = new Map<string, number>();

  constructor(file: string) {
    this.file = file;
    this.alive.set(
      'p0',
      new Map([
        ['brk0', 'value'],
        ['stack', 'value'],
      ]),
    );
  }

  run(statements: readonly Statement[]): void {
    for (const s of statements) {
      const names = this.process(s);
      for (const arg of s.args) for (const t of arg.terms) this.term(s, names, t);
      this.constants(s);
      if (s.name !== '') this.bind(s, names);
      if (s.call === 'exit') {
        this.alive.delete(s.proc);
        this.ended.set(s.proc, s.line);
      }
    }
  }

  private refuse(line: number, column: number, problem: string): never {
    throw new InputError(`${this.file}:${line}:${column}`, problem);
  }

  private process(s: Statement): Names {
    const names = this.alive.get(s.proc);
    if (names !== undefined) return names;
    const end = this.ended.get(s.proc);
    const why = end === undefined ? 'is no process here' : `has exited in line ${end}`;
    return this.refuse(s.line, s.column, `expected a living process, but "${s.proc}" ${why}`);
  }

  private term(s: Statement, names: Names, t: Term): void {
    if (t.value !== undefined) return;
    const kind = names.get(t.name);
    if (kind === 'value') return;
    const what =
      kind === 'process' ? `"${t.name}" is a process` : `"${t.name}" is not bound in ${s.proc}`;
    this.refuse(t.line, t.column, `expected an address, size or descriptor, but ${what}`);
  }

  /** Arguments that are wrong whatever happens: a step of zero would never end. */
  private constants(s: Statement): void {
    const step = s.call === 'load' || s.call === 'store' ? s.args[2] : undefined;
    if (step === undefined || step.terms.some((t) => t.value === undefined)) return;
    const total = step.terms.reduce((n, t) => n + BigInt(t.sign) * (t.value ?? 0n), 0n);
    if (BigInt.asUintN(64, total) === 0n) {
      this.refuse(step.line, step.column, 'expected a step other than 0');
    }
  }

  private bind(s: Statement, names: Names): void {
    const line = this.used.get(s.name);
    if (line !== undefined) {
      const whose = line === 0 ? 'the first process' : `the process of line ${line}`;
      this.refuse(s.line, s.column, `expected a new name, but "${s.name}" is ${whose}`);
    }
    if (s.call !== 'fork') {
      names.set(s.name, 'value');
      return;
    }
    this.alive.set(s.name, new Map(names));
    this.used.set(s.name, s.line);
    names.set(s.name, 'process');
  }
}
