// The emulator in its worker: holds the session that is open, moves it in time, and answers looks.

import { inspect, type InspectionArgs, type InspectionName } from '../inspect/index.ts';
import type { InspectionResult } from '../inspect/index.ts';
import { openStandIn, type StandIn } from './stand-in.ts';

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
  /** The source line of the step that was just done, and of the next. */
  readonly done: string;
  readonly next: string;
  readonly processes: readonly ProcessStatus[];
  /** Counts the states that were shown: snapshots of an older one are stale. */
  readonly version: number;
}

export class Engine {
  private session: StandIn | undefined;
  private version = 0;

  open(name: string): Status {
    this.session = openStandIn(name);
    return this.status();
  }

  status(): Status {
    const s = this.opened();
    return {
      name: s.name,
      kind: s.kind,
      position: s.position,
      length: s.length,
      done: '',
      next: '',
      processes: s.processes.map((p) => ({
        pid: p.task.pid,
        name: p.name,
        runtime: p.heap?.runtime,
      })),
      version: ++this.version,
    };
  }

  inspect<K extends InspectionName>(name: K, args: InspectionArgs<K>): InspectionResult<K> {
    return inspect(this.opened(), name, args);
  }

  private opened(): StandIn {
    if (this.session === undefined) throw new Error('no session is open');
    return this.session;
  }
}
