// What is looked at besides a script's observations, where `pagewalk alloc` was asked for it: lines
// of gc.set_debug(), the steps of collections, and who holds the memory at the end.

import { InputError } from '../../kernel/errors.ts';
import type { PythonRuntime } from '../../runtime/index.ts';
import {
  DEBUG_COLLECTABLE,
  DEBUG_SAVEALL,
  DEBUG_STATS,
  DEBUG_UNCOLLECTABLE,
} from '../../runtime/python/gc-debug.ts';
import { AllocationTop } from './allocation-top.ts';
import { gcStepData } from './gc-steps.ts';

const FLAGS: Readonly<Record<string, number>> = {
  stats: DEBUG_STATS,
  collectable: DEBUG_COLLECTABLE,
  uncollectable: DEBUG_UNCOLLECTABLE,
  saveall: DEBUG_SAVEALL,
};

export interface WatchOptions {
  readonly debug?: boolean;
  readonly gcDebug?: string;
  readonly steps?: boolean;
  readonly top?: string;
}

export class Watched {
  readonly isDebug: boolean;
  private readonly flags: number;
  private readonly steps: boolean;
  /** Rows of the top lists; 0 for none. */
  private readonly rows: number;
  private said: string[] = [];
  private done: object[] = [];
  private top: AllocationTop | undefined;
  private py: PythonRuntime | undefined;
  private file = '';

  /** @throws InputError where an option says what there is not */
  constructor(options: WatchOptions) {
    this.isDebug = options.debug === true;
    this.steps = options.steps === true;
    this.flags = flagsOf(options.gcDebug ?? '');
    this.rows = options.top === undefined ? 0 : rowsOf(options.top);
  }

  /** @throws InputError where an option is given that only `what` has */
  refuse(file: string, what: string): void {
    const asked = this.steps || this.flags !== 0 || this.rows > 0;
    if (asked)
      throw new InputError(file, `--steps, --gc-debug and --top are for ${what} (*.pyobj)`);
  }

  /** Looks at a heap from now on. */
  watch(py: PythonRuntime, file: string): void {
    this.py = py;
    this.file = file.replace(/^.*[/\\]/, '');
    py.gc.debug = this.flags;
    py.gc.log = (line) => {
      this.said.push(line);
    };
    if (this.steps)
      py.gc.onStep = (step, generation) => {
        this.done.push(gcStepData(py, step, generation));
      };
    if (this.rows === 0) return;
    this.top = new AllocationTop(py.core.observer);
    py.core.observer = this.top;
  }

  /** A line of the script is about to run. */
  line(line: number): void {
    if (this.top !== undefined) this.top.line = line;
  }

  /** An observation with what else was seen since the last. */
  take(observation: object): object {
    const { said, done } = this;
    this.said = [];
    this.done = [];
    return {
      ...observation,
      ...(said.length > 0 ? { debug: said } : {}),
      ...(done.length > 0 ? { steps: done } : {}),
    };
  }

  /** What is known at the end; null where nobody asked. */
  last(): object | null {
    if (this.top === undefined || this.py === undefined) return null;
    return { top: this.top.top(this.py, this.file, this.rows) };
  }
}

function flagsOf(text: string): number {
  let flags = 0;
  for (const word of text.split(',').filter(Boolean)) {
    const flag = FLAGS[word];
    if (flag === undefined) {
      const known = Object.keys(FLAGS).join(', ');
      throw new InputError('', `--gc-debug: expected some of ${known}, found '${word}'`);
    }
    flags |= flag;
  }
  return flags;
}

function rowsOf(text: string): number {
  const rows = Number(text);
  if (!Number.isInteger(rows) || rows < 1)
    throw new InputError('', `--top: expected a number of rows from 1 on, found '${text}'`);
  return rows;
}
