// What happened in a session: tracepoints with the step they belong to, and counters after each
// step. Both grow in typed arrays, and both know one past: a step that is run again adds nothing.

import { NR_FILE_PAGES, NR_PAGETABLE, PGFAULT, PGMAJFAULT } from '../../kernel/stats.ts';
import { TRACEPOINTS } from '../../kernel/trace.ts';
import { MM_SWAPENTS } from '../../userspace/rss.ts';
import type { Task } from '../../userspace/process.ts';
import type { System } from '../../userspace/system.ts';

/** Numbers of one event: step, tracepoint, emulated ns, three arguments, task. */
const FIELDS = 7;
/** Events that are kept at most; later ones are counted alone. */
const MAX_EVENTS = 500_000;

export interface SessionEvent {
  /** The step during which it happened, from 0. */
  readonly step: number;
  readonly point: number;
  readonly name: string;
  /** The task that ran; 0 for none. */
  readonly pid: number;
  readonly args: Readonly<Record<string, number>>;
}

export class EventLog {
  /** Events kept. */
  count = 0;
  /** Events that found no room any more. */
  dropped = 0;
  /** Names of the tasks that were seen, by pid: the last one of each. */
  readonly names = new Map<number, string>();
  private data = new Float64Array(1024 * FIELDS);

  add(
    step: number,
    point: number,
    timeNs: number,
    a: number,
    b: number,
    c: number,
    task: Task | null,
  ): void {
    if (task !== null) this.names.set(task.pid, task.comm);
    if (this.count === MAX_EVENTS) {
      this.dropped++;
      return;
    }
    const at = this.count++ * FIELDS;
    if (at === this.data.length) {
      const more = new Float64Array(this.data.length * 2);
      more.set(this.data);
      this.data = more;
    }
    const { data } = this;
    data[at] = step;
    data[at + 1] = point;
    data[at + 2] = timeNs;
    data[at + 3] = a;
    data[at + 4] = b;
    data[at + 5] = c;
    data[at + 6] = task?.pid ?? 0;
  }

  /** Event n, 0 <= n < count. */
  get(n: number): SessionEvent {
    const at = n * FIELDS;
    const point = this.data[at + 1] ?? 0;
    const { name, fields } = TRACEPOINTS[point]!;
    const args = Object.fromEntries(fields.map((f, i) => [f, this.data[at + 3 + i] ?? 0]));
    return { step: this.data[at] ?? 0, point, name, pid: this.data[at + 6] ?? 0, args };
  }

  /** The step of event n. */
  stepOf(n: number): number {
    return this.data[n * FIELDS] ?? 0;
  }

  /** Index of the first event of a step at or behind `step`; `count` where there is none. */
  firstOf(step: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.data[middle * FIELDS] ?? 0) < step) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The events of steps [from, to), `most` at the most. */
  range(from: number, to: number, most = 1000): SessionEvent[] {
    const out: SessionEvent[] = [];
    const first = this.firstOf(from);
    for (let n = first; n < this.count && out.length < most; n++) {
      const event = this.get(n);
      if (event.step >= to) break;
      out.push(event);
    }
    return out;
  }
}

/** What CounterLog samples, in this order; memory in pages. */
export const COUNTERS = [
  'resident',
  'free',
  'page_tables',
  'page_cache',
  'swapped',
  'pgfault',
  'pgmajfault',
] as const;
export type CounterName = (typeof COUNTERS)[number];

export class CounterLog {
  /** Samples taken: sample n is the state after n steps. */
  count = 0;
  private data = new Float64Array(1024 * COUNTERS.length);

  /** Samples the machine. */
  add(system: System): void {
    const width = COUNTERS.length;
    const at = this.count++ * width;
    if (at === this.data.length) {
      const more = new Float64Array(this.data.length * 2);
      more.set(this.data);
      this.data = more;
    }
    let resident = 0;
    let swapped = 0;
    for (const mm of system.mms) {
      resident += mm.rssPages;
      swapped += mm.rss[MM_SWAPENTS] ?? 0;
    }
    const { node, counts } = system.machine.stat;
    this.data.set(
      [
        resident,
        system.machine.alloc.freePages,
        node[NR_PAGETABLE] ?? 0,
        node[NR_FILE_PAGES] ?? 0,
        swapped,
        counts[PGFAULT] ?? 0,
        counts[PGMAJFAULT] ?? 0,
      ],
      at,
    );
  }

  /** One counter after each of the steps so far. */
  column(name: CounterName): Float64Array<ArrayBuffer> {
    const out = new Float64Array(this.count);
    const width = COUNTERS.length;
    for (let n = 0, at = COUNTERS.indexOf(name); n < this.count; n++, at += width) {
      out[n] = this.data[at] ?? 0;
    }
    return out;
  }
}
