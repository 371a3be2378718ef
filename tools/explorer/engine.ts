// The emulator in its worker: holds the session that is open, moves it in time, and answers looks.
//
// A session that opens is first run ahead, as far as AHEAD_MS allow, so that the timeline knows
// what is to come; then it goes back to where most memory was in use, or to a step asked for.

import { transfer } from 'comlink';
import { inspect, type InspectionArgs, type InspectionName } from '../inspect/index.ts';
import type { InspectionResult } from '../inspect/index.ts';
import { openSession, openWorkload } from '../session/open.ts';
import type { Detail } from '../session/probes.ts';
import type { BreakPoint, Session } from '../session/session.ts';
import { whyFault } from '../session/why-fault.ts';
import { whyFrame } from '../session/why-frame.ts';
import { whyPinned } from '../session/why-pinned.ts';
import { whyRss } from '../session/why-rss.ts';
import type { Why } from '../session/why.ts';
import { timelineOf, type Timeline } from './timeline-data.ts';

export interface ProcessStatus {
  readonly pid: number;
  readonly name: string;
  readonly runtime: 'go' | 'python' | undefined;
}

/** Where the session stands. */
export interface Status {
  readonly name: string;
  readonly kind: string;
  readonly position: number;
  readonly length: number;
  /** No step is left. */
  readonly ended: boolean;
  /** The step that was just done, what came of it, and the next. */
  readonly done: string;
  readonly outcome: string;
  readonly next: string;
  readonly line: number;
  /** Details of the next step that have happened; 0 between two steps. */
  readonly inside: number;
  readonly processes: readonly ProcessStatus[];
  /** Counts the states that were shown: snapshots of an older one are stale. */
  readonly version: number;
  /** False where a break was not met, or where there was no step to make. */
  readonly met: boolean;
}

export type Move =
  | { readonly to: number }
  | { readonly by: number }
  | { readonly until: BreakPoint }
  /** Within a step: so many details on, or back. */
  | { readonly details: number }
  | 'fault'
  | 'end';

/** What to open: a file's bytes, or a workload by its name. */
export type Source =
  | { readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly workload: string; readonly case: string; readonly scale: number };

/** A question after causes. */
export type Question =
  | { readonly what: 'fault'; readonly pid: number; readonly va: number }
  | { readonly what: 'rss'; readonly pid: number }
  | { readonly what: 'frame'; readonly pfn: number }
  /** With pid 0 a physical address. */
  | { readonly what: 'pinned'; readonly pid: number; readonly address: number };

const AHEAD_MS = 1500;

export class Engine {
  private session: Session | undefined;
  /** What the sessions are called. */
  private readonly names = new WeakMap<Session, string>();
  private other: Session | undefined;
  private version = 0;

  /** Opens a session. @param at step to go to; where most memory is in use if not given. */
  async open(source: Source, at?: number): Promise<Status> {
    this.session = await this.opening(source, at);
    this.other = undefined;
    return this.status();
  }

  /** Opens a second one beside it, to compare. */
  async openOther(source: Source): Promise<Status> {
    this.other = await this.opening(source);
    return this.status(true, this.other);
  }

  move(move: Move): Status {
    const s = this.opened();
    let met = true;
    if (move === 'fault') met = s.toNextFault();
    else if (move === 'end') s.run();
    else if ('to' in move) s.seek(move.to);
    else if ('details' in move) met = moveWithin(s, move.details);
    else if ('until' in move) met = s.runUntil(move.until);
    else if (move.by === 1) met = s.step();
    else s.seek(Math.max(0, s.position + move.by));
    return this.status(met);
  }

  /** The hash of the whole machine. */
  hash(): string {
    return this.opened().hash();
  }

  inspect<K extends InspectionName>(name: K, args: InspectionArgs<K>): InspectionResult<K> {
    const found = inspect(this.opened(), name, args);
    if (name !== 'frames') return found;
    const { classes, counts } = found as InspectionResult<'frames'>;
    return transfer(found as object, [classes.buffer, counts.buffer]) as InspectionResult<K>;
  }

  /** The same look at the session that was opened beside. */
  inspectOther<K extends InspectionName>(
    name: K,
    args: InspectionArgs<K>,
  ): InspectionResult<K> | undefined {
    return this.other === undefined ? undefined : inspect(this.other, name, args);
  }

  /** The chain of causes behind an access, a process's memory, or a frame in use. */
  why(question: Question): Why {
    const s = this.opened();
    if (question.what === 'frame') return whyFrame(s, question.pfn);
    if (question.what === 'pinned') return whyPinned(s, question.pid, question.address);
    if (question.what === 'rss') return whyRss(s, question.pid);
    return whyFault(s, question.pid, question.va);
  }

  timeline(columns: number): Timeline {
    return timelineOf(this.opened(), columns);
  }

  timelineOther(columns: number): Timeline | undefined {
    return this.other === undefined ? undefined : timelineOf(this.other, columns);
  }

  /** Events of the steps [from, to), as texts. */
  events(from: number, to: number, most: number): EventText[] {
    return this.opened()
      .events.range(from, to, most)
      .map((e) => ({ step: e.step, name: e.name, args: e.args }));
  }

  /** What happens in the next step, up to `most`. */
  details(most: number): Detail[] {
    const s = this.opened();
    return s.done && s.inside === 0 ? [] : s.details(s.position).slice(0, most);
  }

  private status(met = true, s = this.opened()): Status {
    return {
      name: this.names.get(s) ?? s.name,
      kind: s.kind,
      position: s.position,
      length: s.length,
      ended: s.done,
      done: s.position === 0 ? '' : s.label(s.position - 1),
      outcome: s.position === 0 ? '' : s.outcome(s.position - 1),
      next: s.done ? '' : s.label(s.position),
      line: s.position === 0 ? 0 : s.lineOf(s.position - 1),
      inside: s.inside,
      processes: s.processes.map((p) => ({
        pid: p.task.pid,
        name: p.name,
        runtime: p.heap?.runtime,
      })),
      version: ++this.version,
      met,
    };
  }

  private async opening(source: Source, at?: number): Promise<Session> {
    const session = await opened(source, at);
    if ('workload' in source) this.names.set(session, `${session.name}, ${source.case}`);
    return session;
  }

  private opened(): Session {
    if (this.session === undefined) throw new Error('no session is open');
    return this.session;
  }
}

export interface EventText {
  readonly step: number;
  readonly name: string;
  readonly args: Readonly<Record<string, number>>;
}

/** One or more details on, or back; back from between two steps leads to the end of the last. */
function moveWithin(s: Session, by: number): boolean {
  const to = s.inside + by;
  if (to >= 0) return s.enter(to);
  if (s.position === 0) return false;
  const before = s.position - 1;
  const last = s.details(before).length;
  s.seek(before);
  return s.enter(Math.max(0, last + to + 1));
}

async function opened(source: Source, at?: number): Promise<Session> {
  const session =
    'workload' in source
      ? openWorkload(source.workload, { case: source.case, scale: source.scale })
      : await openSession(source.name, await plain(source.bytes));
  runAhead(session);
  session.seek(at ?? fullest(session));
  return session;
}

/** Runs to the end; a session that can be held between two steps only for AHEAD_MS. */
function runAhead(session: Session): void {
  if (session.kind === 'workload') {
    session.run();
    return;
  }
  const stop = performance.now() + AHEAD_MS;
  for (let n = 1; session.step(); n++) {
    if (n % 64 === 0 && performance.now() > stop) return;
  }
}

/** The last position at which most memory was resident. */
function fullest(session: Session): number {
  const resident = session.counters.column('resident');
  let best = 0;
  for (let n = 0; n < resident.length; n++) {
    if ((resident[n] ?? 0) >= (resident[best] ?? 0)) best = n;
  }
  return best;
}

/** The bytes without gzip, told by the first two. */
async function plain(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
