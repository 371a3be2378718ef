// A session's logs in as many columns as the screen has: counters, and events by kind.

import { TRACEPOINTS } from '../../kernel/trace.ts';
import { COUNTERS, type CounterName } from '../session/events.ts';
import type { Session } from '../session/session.ts';

export interface Timeline {
  /** Steps that the logs know, and steps a column. */
  readonly known: number;
  readonly perColumn: number;
  /** Each counter at the end of each column. */
  readonly counters: Readonly<Record<CounterName, Float64Array<ArrayBuffer>>>;
  /** Events by tracepoint, in each column; only of those that happened. */
  readonly events: readonly { readonly name: string; readonly counts: Float64Array<ArrayBuffer> }[];
  readonly nrEvents: number;
  /** Address of every page fault and its column, as many as MOST_FAULTS. */
  readonly faults: readonly (readonly [column: number, address: number])[];
}

const MOST_FAULTS = 20_000;

/** @param columns at most */
export function timelineOf(session: Session, columns: number): Timeline {
  const known = Math.max(1, session.counters.count - 1);
  const perColumn = Math.max(1, Math.ceil(known / columns));
  const n = Math.ceil(known / perColumn);
  const counters = Object.fromEntries(
    COUNTERS.map((name) => {
      const all = session.counters.column(name);
      const out = new Float64Array(n + 1);
      for (let i = 0; i <= n; i++) out[i] = all[Math.min(all.length - 1, i * perColumn)] ?? 0;
      return [name, out];
    }),
  ) as Record<CounterName, Float64Array<ArrayBuffer>>;
  const byPoint = new Map<number, Float64Array<ArrayBuffer>>();
  const faults: [number, number][] = [];
  const { events } = session;
  for (let i = 0; i < events.count; i++) {
    const { step, point, name, args } = events.get(i);
    let counts = byPoint.get(point);
    if (counts === undefined) byPoint.set(point, (counts = new Float64Array(n)));
    const column = Math.min(n - 1, Math.floor(step / perColumn));
    counts[column]!++;
    if (name === 'page_fault_user' && faults.length < MOST_FAULTS) {
      faults.push([column, args['address'] ?? 0]);
    }
  }
  return {
    known,
    perColumn,
    counters,
    events: [...byPoint]
      .sort(([a], [b]) => a - b)
      .map(([point, counts]) => ({ name: TRACEPOINTS[point]?.name ?? '', counts })),
    nrEvents: events.count + events.dropped,
    faults,
  };
}
