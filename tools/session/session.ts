// A session: a machine at a point of a run, that can be moved forward and back.
//
//     position   0 ---- 1 ---- 2 ---- 3 …        after n steps of the source
//                  step 0  step 1  step 2
//
// Going forward runs steps; going back starts the source anew and runs up to there, since a source
// makes the same run each time. The logs grow with the furthest position reached and stay.
//
// Where a program cannot be held between two steps, a move by one step takes snapshots of those
// that are likely to be asked for next (snapshots.ts).
//
// Within a step there are details (probes.ts): enter() holds the machine in the middle of it, after
// so many of them. Such a machine goes no further: what comes next starts the source anew.
// Isomorphic: it runs in Node and in a page's worker.

import type { Subscriber } from '../../kernel/trace.ts';
import { page_fault_kernel, page_fault_user, TRACEPOINTS } from '../../kernel/trace.ts';
import type { System } from '../../userspace/system.ts';
import { CounterLog, EventLog } from './events.ts';
import { hashSystem } from './hash.ts';
import { type Detail, Probes } from './probes.ts';
import { type Driver, Held, type SessionKind, type SessionProcess } from './source.ts';
import { Snapshots } from './snapshots.ts';
import type { Source } from './source.ts';

/** Where a run is to stop: after the step in which such an event happens. */
export interface BreakPoint {
  /** Names of tracepoints; any where it is empty. */
  readonly points: readonly string[];
  /** Values that the event's fields must have: `{ pfn: 4711 }`. */
  readonly fields?: Readonly<Record<string, number>>;
}

/** Told of a run while it goes. */
export interface Watch {
  /** Something happened in a step (from 0). */
  event(system: System, step: number, point: number, args: readonly [number, number, number]): void;
  /** A step (from 0) was done; -1 once at the start. */
  stepped(system: System, step: number): void;
}

type EventTest = (point: number, args: readonly number[]) => boolean;

/** Steps that are photographed with a move by one step, in its direction. */
const NEAR = 16;
/** Details of one step that are told at most. */
const MOST_DETAILS = 20_000;

const NEXT_FAULT = new Set([page_fault_user, page_fault_kernel]);

export class Session {
  readonly events = new EventLog();
  readonly counters = new CounterLog();
  private readonly source: Source;
  private driver: Driver;
  private at = 0;
  private within = 0;
  private readonly snapshots = new Snapshots();
  /** What happens in the step that is entered, or was asked for last. */
  private seen: { readonly step: number; readonly details: readonly Detail[] } | undefined;
  /** The furthest position reached: the logs know what happened up to there. */
  private furthest = 0;
  private readonly outcomes: string[] = [];
  private watch: Watch | undefined;
  private stop: ((point: number, args: readonly number[]) => void) | undefined;

  constructor(source: Source) {
    this.source = source;
    this.driver = this.begin();
    this.counters.add(this.system);
  }

  get kind(): SessionKind {
    return this.source.kind;
  }
  get name(): string {
    return this.source.name;
  }
  /** The live machine at the present position; another object after going back. */
  get system(): System {
    return this.driver.system;
  }
  get processes(): readonly SessionProcess[] {
    return this.driver.processes();
  }
  /** Steps done. */
  get position(): number {
    return this.at;
  }
  /** Details of the next step that have happened; 0 between two steps. */
  get inside(): number {
    return this.within;
  }
  /** Steps in all, as far as that is known. */
  get length(): number {
    return Math.max(this.source.length, this.furthest);
  }
  /** True where no step is left. */
  get done(): boolean {
    return this.driver.done;
  }

  /** Lines of the source's text; 0 where it has none. */
  get lines(): number {
    return this.source.lines;
  }
  /** True where the next step ends a process. */
  get endsProcess(): boolean {
    return this.driver.endsProcess === true;
  }
  /** Line of the text that the last step ran; 0 where there is none. */
  get line(): number {
    return this.at === 0 ? 0 : this.lineOf(this.at - 1);
  }

  /** What step n (from 0) does, as its source says it. */
  label(step: number): string {
    return this.source.label(step);
  }
  /** Line of the source's text that step n runs; 0 where there is none. */
  lineOf(step: number): number {
    return this.source.lineOf(step);
  }
  /** What came of step n, where it was run. */
  outcome(step: number): string {
    return this.outcomes[step] ?? '';
  }

  /** Runs one step. @returns false at the end */
  step(): boolean {
    if (this.within > 0) {
      this.seek(this.at + 1);
      return true;
    }
    const { driver } = this;
    if (driver.done) return false;
    if (driver.seek !== undefined) {
      const wanted = this.at + 1;
      this.runTo(driver, wanted);
      return this.at === wanted;
    }
    this.outcomes[this.at] = driver.step();
    this.stepped();
    return true;
  }

  /** Undoes one step, or what was done of it. @returns false at the start */
  back(): boolean {
    if (this.within > 0) {
      this.seek(this.at);
      return true;
    }
    if (this.at === 0) return false;
    this.seek(this.at - 1);
    return true;
  }

  /** Goes to a position, or to the end where that comes first. */
  seek(position: number): void {
    const wanted = Math.max(0, Math.floor(position));
    if (this.driver.seek !== undefined) {
      if (wanted !== this.at || this.within > 0) this.runTo(this.driver, wanted);
      return;
    }
    if (wanted < this.at || this.within > 0) this.driver = this.begin();
    while (this.at < wanted && this.step());
  }

  /**
   * What happens in a step (from 0), in order, as closely as probes see it; MOST_DETAILS at most.
   * The session itself stays where it is.
   */
  details(step: number): readonly Detail[] {
    if (this.seen?.step === step) return this.seen.details;
    const details: Detail[] = [];
    const again = new Session(this.source);
    again.hold(step, (detail) => {
      details.push(detail);
      return details.length >= MOST_DETAILS;
    });
    this.seen = { step, details };
    return details;
  }

  /**
   * Goes into the next step, to where `count` of its details have happened; where there are fewer,
   * to its end. @returns false where no step is left
   */
  enter(count: number): boolean {
    const step = this.at;
    if (count <= 0) {
      this.seek(step);
      return true;
    }
    if (this.furthest <= step) {
      // once to its end: the logs know what they tell of
      if (!this.step()) return false;
      this.seek(step);
    }
    if (count > this.details(step).length) {
      this.seek(step + 1);
      return true;
    }
    let told = 0;
    this.hold(step, () => ++told === count);
    this.within = count;
    return true;
  }

  /** Goes to the end. */
  run(): void {
    this.seek(Infinity);
  }

  /** Goes on to where the next step ends a process, or to the end. */
  runToEndOfProcess(): void {
    if (this.driver.seek !== undefined) this.run();
    else while (!this.endsProcess && this.step());
  }

  /** Runs the steps up to and including those of `line` of the text. */
  seekLine(line: number): void {
    while (!this.done && this.lineOf(this.at) <= line && this.step());
  }

  /** Runs until a page fault happened. @returns false where none did before the end */
  toNextFault(): boolean {
    return this.until((point) => NEXT_FAULT.has(point));
  }

  /** Runs until such an event happened. @returns false where none did before the end */
  runUntil({ points, fields = {} }: BreakPoint): boolean {
    return this.until((point, args) => {
      const trace = TRACEPOINTS[point]!;
      if (points.length > 0 && !points.includes(trace.name)) return false;
      return Object.entries(fields).every(([k, v]) => args[trace.fields.indexOf(k)] === v);
    });
  }

  /** Runs the source anew up to this position, watched; this session itself stays as it is. */
  watchAgain(watch: Watch): void {
    this.watchTo(this.position, watch);
  }

  /** The hash of the whole machine. */
  hash(): string {
    return hashSystem(this.system);
  }

  /**
   * Goes on until the machine is in a state, after at least one step.
   * @returns false where it was in none before the end
   */
  runUntilState(test: (system: System) => boolean): boolean {
    if (this.driver.seek === undefined) {
      while (this.step()) if (test(this.system)) return true;
      return false;
    }
    return this.goToFirst(() => false, test);
  }

  private until(stop: EventTest): boolean {
    if (this.driver.seek !== undefined) {
      return this.goToFirst(stop, () => false);
    }
    const hits: number[] = [];
    this.stop = (point, args) => {
      if (hits.length === 0 && stop(point, args)) hits.push(point);
    };
    while (hits.length === 0 && this.step());
    this.stop = undefined;
    return hits.length > 0;
  }

  private watchTo(position: number, watch: Watch): void {
    const again = new Session(this.source);
    watch.stepped(again.system, -1);
    again.watch = watch;
    again.seek(position);
  }

  /** Of a driver that cannot be held: one run to the end finds the step, a second goes there. */
  private goToFirst(stop: EventTest, test: (system: System) => boolean): boolean {
    let found = false;
    let position = Infinity;
    this.watchTo(Infinity, {
      event: (_system, step, point, args) => {
        if (step >= this.at && !found) found = stop(point, args);
      },
      stepped: (system, step) => {
        if (step < this.at || position !== Infinity) return;
        found ||= test(system);
        if (found) position = step + 1;
      },
    });
    this.seek(position);
    return found;
  }

  /** Goes through a step with probes on, until `heard` says that it is enough, and stays there. */
  private hold(step: number, heard: (detail: Detail) => boolean): void {
    let probes: Probes | undefined;
    const put = (): void => {
      probes = new Probes(this.system, this.processes, (detail) => {
        if (heard(detail)) throw new Held('within a step');
      });
    };
    const { driver } = this;
    try {
      if (driver.seek === undefined) {
        this.seek(step);
        put();
        if (!this.driver.done) this.driver.step();
      } else this.runTo(driver, step + 1, (at) => at === step && put());
    } catch (e) {
      if (!(e instanceof Held)) throw e;
    } finally {
      probes?.remove();
    }
    this.at = step;
  }

  private begin(): Driver {
    this.at = this.within = 0;
    const driver = this.source.start();
    driver.system.machine.trace.subscribe(this.heard);
    return driver;
  }

  /** Moves a driver that cannot be held between two steps. */
  private runTo(driver: Driver, position: number, reached?: (position: number) => void): void {
    if (reached === undefined && this.showSnapshot(driver, position)) return;
    const by = reached === undefined && this.within === 0 ? position - this.at : 0;
    const first = by === -1 ? position - NEAR : position;
    const last = by === 1 ? position + NEAR : position;
    if (Math.abs(by) === 1) this.snapshots.clear();
    this.at = this.within = 0;
    driver.seek?.(last, {
      started: (system) => {
        system.machine.trace.subscribe(this.heard);
        reached?.(0);
      },
      stepped: () => {
        this.stepped();
        reached?.(this.at);
        if (Math.abs(by) !== 1 || this.at < first || this.at > last) return;
        this.snapshots.put(this.at, { system: driver.system, processes: driver.processes() });
      },
    });
    if (this.at > position) this.showSnapshot(driver, position);
  }

  private showSnapshot(driver: Driver, position: number): boolean {
    if (position === this.source.length) return false; // the end is reached, not shown
    const machine = this.snapshots.machineAt(position);
    if (machine === undefined || driver.show === undefined) return false;
    driver.show(machine);
    this.at = position;
    this.within = 0;
    return true;
  }

  private stepped(): void {
    this.at++;
    this.watch?.stepped(this.system, this.at - 1);
    if (this.at <= this.furthest) return;
    this.furthest = this.at;
    this.counters.add(this.system);
  }

  private readonly heard: Subscriber = (point, timeNs, a, b, c) => {
    if (this.at >= this.furthest) {
      this.events.add(this.at, point, timeNs, a, b, c, this.system.current);
    }
    this.stop?.(point, [a, b, c]);
    this.watch?.event(this.system, this.at, point, [a, b, c]);
  };
}
