// What a word of the prompt is, and what it works on.

import { InputError } from '../../kernel/errors.ts';
import { TRACEPOINTS } from '../../kernel/trace.ts';
import { addressOf, hex, PAGE_SIZE } from '../../kernel/types.ts';
import type { Session, BreakPoint } from '../session/session.ts';
import type { SessionEvent } from '../session/events.ts';
import type { SessionProcess } from '../session/source.ts';

/** Where `continue` is to stop. */
export interface Stop {
  readonly text: string;
  readonly point?: BreakPoint;
  /** A page whose entry is to turn dirty. */
  readonly dirty?: { readonly pid: number; readonly va: number };
}

/** What the words work on: a session, and which of its processes is looked at. */
export class Prompt {
  readonly session: Session;
  readonly stops: Stop[] = [];
  /** The process that was chosen; the first that lives where it has gone. */
  private chosen: number | undefined;

  constructor(session: Session) {
    this.session = session;
  }

  /** The process that addresses belong to. @throws InputError where none lives */
  get process(): SessionProcess {
    const { processes } = this.session;
    const found = processes.find((p) => p.id === this.chosen) ?? processes[0];
    if (found === undefined)
      throw new InputError('', 'no process lives here; try `next` or `back`');
    return found;
  }

  /** @throws InputError where there is no such process */
  choose(id: number): void {
    const { processes } = this.session;
    if (!processes.some((p) => p.id === id)) {
      const alive = processes.map((p) => p.id).join(', ');
      throw new InputError('', `no process ${id}; these live here: ${alive}`);
    }
    this.chosen = id;
  }
}

export interface Word {
  readonly name: string;
  /** Its arguments, as help shows them. */
  readonly usage: string;
  readonly what: string;
  readonly examples: readonly string[];
  /** Does it. @throws InputError */
  readonly run: (prompt: Prompt, args: readonly string[]) => readonly string[];
  /** What may stand as its first argument, for completion. */
  readonly completions?: (prompt: Prompt) => readonly string[];
}

/** Hexadecimal with 0x or without, or `[heap]`, `[stack]`, `brk`. @throws InputError */
export function addressArg(prompt: Prompt, text: string | undefined): number {
  if (text === undefined) throw new InputError('', 'expected an address');
  const { mm } = prompt.process.task;
  if (text === '[heap]' || text === 'heap') return mm.startBrk;
  if (text === '[stack]' || text === 'stack') {
    // A stack that nothing was put on begins where its mapping ends.
    return mm.vmas.at(mm.startStack) === undefined ? mm.startStack - PAGE_SIZE : mm.startStack;
  }
  if (text === 'brk') return mm.brk;
  return hexArg(text, 'an address: hexadecimal, [heap], [stack] or brk');
}

/** A number in hexadecimal, up to 64 bits; signed as addresses are. @throws InputError */
export function hexArg(text: string | undefined, expected: string): number {
  const m = /^(?:0x)?([0-9a-f]{1,16})$/i.exec(text ?? '');
  if (m === null) throw new InputError('', `expected ${expected}, found '${text ?? ''}'`);
  const digits = (m[1] ?? '').padStart(16, '0');
  return addressOf(parseInt(digits.slice(8), 16), parseInt(digits.slice(0, 8), 16) | 0);
}

/** A count, decimal; `otherwise` where it is not given. @throws InputError */
export function countArg(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InputError('', `expected a number, found '${text}'`);
}

/** The tracepoint of this name. @throws InputError */
export function pointArg(name: string | undefined): string {
  if (name !== undefined && TRACEPOINTS.some((t) => t.name === name)) return name;
  const some = 'page_fault_user, mm_page_free; `events -l` lists them';
  throw new InputError('', `expected an event such as ${some}, found '${name ?? ''}'`);
}

/** An event on a line. */
export function eventText(event: SessionEvent): string {
  const args = Object.entries(event.args).map(
    ([field, value]) => `${field}=${fieldText(field, value)}`,
  );
  const who = event.pid === 0 ? '' : `${event.pid}: `;
  return `${String(event.step + 1).padStart(6)}  ${who}${event.name}(${args.join(' ')})`;
}

const PLAIN: readonly string[] = ['order', 'nid', 'zid', 'pid', 'owner', 'cache', 'index', 'pages'];

function fieldText(field: string, value: number): string {
  if (PLAIN.includes(field) || field.startsWith('nr_') || (value >= 0 && value < 10))
    return String(value);
  return hex(value);
}
