// A session's run as a Perfetto trace (TrackEvent protobuf): ui.perfetto.dev and trace_processor
// read it.
//
//     track "steps"        a slice a step: what the source says, what came of it
//     a process's track    its events, fields and all
//     counter tracks       resident pages, free, page tables, … after each step
//     flows                the life of a frame: allocated -> mapped, copied, cached -> freed
//
// Time is order: the machine has no clock that a trace could show, so each event, and each end of a
// step, takes a microsecond.
// Source: Perfetto protos/perfetto/trace/track_event/*.proto, docs "Synthetic TrackEvent".

import { mm_fault_copy, mm_page_alloc, mm_page_free, TRACEPOINTS } from '../../kernel/trace.ts';
import { type CounterName, COUNTERS } from '../session/events.ts';
import type { Session } from '../session/session.ts';
import { Message } from './protobuf.ts';

// Field numbers of the messages, as the .proto files give them.
const TRACE = { packet: 1 } as const;
const PACKET = {
  timestamp: 8,
  sequence: 10,
  event: 11,
  interned: 12,
  flags: 13,
  track: 60,
} as const;
const TRACK = { uuid: 1, name: 2, process: 3, parent: 5, counter: 8 } as const;
const PROCESS = { pid: 1, name: 6 } as const;
const COUNTER = { unit: 3, unitName: 6 } as const;
const EVENT = {
  annotations: 4,
  type: 9,
  nameIid: 10,
  track: 11,
  name: 23,
  category: 22,
  value: 30,
  flows: 47,
  ending: 48,
} as const;
const ANNOTATION = { nameIid: 1, int: 4, text: 6, pointer: 7 } as const;
const INTERNED = { names: 2, annotations: 3 } as const;
const INTERNED_NAME = { iid: 1, name: 2 } as const;

const SLICE_BEGIN = 1;
const SLICE_END = 2;
const INSTANT = 3;
const COUNT = 4;
const UNIT_COUNT = 2;
const STATE_CLEARED = 1;
const NEEDS_STATE = 2;
/** All packets are one writer's. */
const SEQUENCE = 1;
const TICK_NS = 1000;

// Tracks: the root, the steps, then the counters; processes by pid from PROCESS_TRACKS on.
const STEPS_TRACK = 1;
const COUNTER_TRACKS = 16;
const PROCESS_TRACKS = 4096;

/** Annotations of a step, before the fields of tracepoints. */
const STEP_NOTES = ['line', 'outcome', 'step'] as const;
/** Fields that hold an address. */
const ADDRESSES: readonly string[] = ['address', 'ptr'];

/** What a trace holds, for the command's last line. */
export interface PerfettoSummary {
  readonly steps: number;
  readonly events: number;
  readonly flows: number;
  /** Events that the session had no room for. */
  readonly dropped: number;
}

/** The session's run up to the furthest position it reached, as a trace's bytes. */
export function perfettoTrace(session: Session): { bytes: Uint8Array; summary: PerfettoSummary } {
  return new TraceWriter(session).write();
}

class TraceWriter {
  private readonly session: Session;
  private readonly trace = new Message();
  private readonly annotations = new Map<string, number>();
  private readonly processes = new Set<number>();
  /** Flow of each frame that was allocated and not freed yet. */
  private readonly flowOf = new Map<number, number>();
  private flows = 0;
  private timeNs = 0;

  constructor(session: Session) {
    this.session = session;
  }

  write(): { bytes: Uint8Array; summary: PerfettoSummary } {
    const { counters, events } = this.session;
    this.describe();
    const columns = COUNTERS.map((name) => counters.column(name));
    const steps = counters.count - 1;
    let n = 0;
    this.sample(columns, 0);
    for (let step = 0; step < steps; step++) {
      this.tick();
      this.beginStep(step);
      for (; n < events.count && events.stepOf(n) === step; n++) {
        this.tick();
        this.instant(n);
      }
      this.tick();
      this.emit(this.event(SLICE_END, STEPS_TRACK));
      this.sample(columns, step + 1);
    }
    const summary = { steps, events: n, flows: this.flows, dropped: events.dropped };
    return { bytes: this.trace.bytes, summary };
  }

  /** The names that packets refer to by number, and the tracks that are there from the start. */
  private describe(): void {
    const interned = new Message();
    TRACEPOINTS.forEach(({ name }, point) => {
      interned.message(INTERNED.names, internedName(point + 1, name));
    });
    const notes = new Set<string>([...STEP_NOTES, ...TRACEPOINTS.flatMap((t) => t.fields)]);
    for (const name of notes) {
      const iid = this.annotations.size + 1;
      this.annotations.set(name, iid);
      interned.message(INTERNED.annotations, internedName(iid, name));
    }
    const first = new Message().int(PACKET.sequence, SEQUENCE).int(PACKET.flags, STATE_CLEARED);
    this.trace.message(TRACE.packet, first.message(PACKET.interned, interned));
    const steps = `${this.session.kind} ${this.session.name}`;
    this.track(new Message().int(TRACK.uuid, STEPS_TRACK).text(TRACK.name, steps));
    COUNTERS.forEach((name, i) => {
      const counter = new Message()
        .int(COUNTER.unit, UNIT_COUNT)
        .text(COUNTER.unitName, unitOf(name));
      this.track(
        new Message()
          .int(TRACK.uuid, COUNTER_TRACKS + i)
          .text(TRACK.name, name)
          .message(TRACK.counter, counter),
      );
    });
  }

  /** The track of a process, described when its first event comes. */
  private processTrack(pid: number): number {
    const uuid = PROCESS_TRACKS + pid;
    if (!this.processes.has(pid)) {
      this.processes.add(pid);
      const name = pid === 0 ? 'kernel' : (this.session.events.names.get(pid) ?? 'process');
      const process = new Message().int(PROCESS.pid, pid).text(PROCESS.name, name);
      this.track(new Message().int(TRACK.uuid, uuid).message(TRACK.process, process));
    }
    return uuid;
  }

  private beginStep(step: number): void {
    const { session } = this;
    const label = session.label(step);
    const event = this.event(SLICE_BEGIN, STEPS_TRACK)
      .text(EVENT.name, label === '' ? `step ${step + 1}` : label)
      .text(EVENT.category, 'step')
      .message(EVENT.annotations, this.note('step').int(ANNOTATION.int, step + 1));
    const line = session.lineOf(step);
    if (line > 0) event.message(EVENT.annotations, this.note('line').int(ANNOTATION.int, line));
    const outcome = session.outcome(step);
    if (outcome !== '') {
      event.message(EVENT.annotations, this.note('outcome').text(ANNOTATION.text, outcome));
    }
    this.emit(event);
  }

  private instant(n: number): void {
    const { point, name, pid, args } = this.session.events.get(n);
    const event = this.event(INSTANT, this.processTrack(pid))
      .int(EVENT.nameIid, point + 1)
      .text(EVENT.category, name.startsWith('page_fault') ? 'fault' : 'mm');
    for (const [field, value] of Object.entries(args)) {
      const note = this.note(field);
      if (ADDRESSES.includes(field)) note.int(ANNOTATION.pointer, value);
      else note.int(ANNOTATION.int, value);
      event.message(EVENT.annotations, note);
    }
    this.follow(event, point, args);
    this.emit(event);
  }

  /** Ties an event to the lives of the frames it names. */
  private follow(event: Message, point: number, args: Readonly<Record<string, number>>): void {
    const { pfn = -1, order = 0 } = args;
    if (point === mm_page_alloc) {
      const flow = ++this.flows;
      for (let i = 0; i < 2 ** order; i++) this.flowOf.set(pfn + i, flow);
      event.fixed64(EVENT.flows, flow);
      return;
    }
    const named = point === mm_fault_copy ? [args['from'] ?? -1, args['to'] ?? -1] : [pfn];
    for (const frame of named) {
      const flow = this.flowOf.get(frame);
      if (flow !== undefined) {
        event.fixed64(point === mm_page_free ? EVENT.ending : EVENT.flows, flow);
      }
    }
    if (point !== mm_page_free) return;
    for (let i = 0; i < 2 ** order; i++) this.flowOf.delete(pfn + i);
  }

  private sample(columns: readonly Float64Array[], position: number): void {
    columns.forEach((column, i) => {
      const now = column[position] ?? 0;
      if (position > 0 && now === column[position - 1]) return;
      this.emit(this.event(COUNT, COUNTER_TRACKS + i).int(EVENT.value, now));
    });
  }

  private event(type: number, track: number): Message {
    return new Message().int(EVENT.type, type).int(EVENT.track, track);
  }

  private note(name: string): Message {
    return new Message().int(ANNOTATION.nameIid, this.annotations.get(name) ?? 0);
  }

  private tick(): void {
    this.timeNs += TICK_NS;
  }

  private emit(event: Message): void {
    const packet = new Message()
      .int(PACKET.timestamp, this.timeNs)
      .int(PACKET.sequence, SEQUENCE)
      .int(PACKET.flags, NEEDS_STATE);
    this.trace.message(TRACE.packet, packet.message(PACKET.event, event));
  }

  private track(track: Message): void {
    const packet = new Message().int(PACKET.sequence, SEQUENCE);
    this.trace.message(TRACE.packet, packet.message(PACKET.track, track));
  }
}

function internedName(iid: number, name: string): Message {
  return new Message().int(INTERNED_NAME.iid, iid).text(INTERNED_NAME.name, name);
}

function unitOf(name: CounterName): string {
  return name === 'pgfault' || name === 'pgmajfault' ? 'faults' : 'pages';
}
