// Snapshots: machines of a run as they were after some of its steps, kept in memory.
//
// For programs that cannot be held between two steps: to show one step more or less such a program
// runs anew from its start. While it passes the steps around the wanted one it is photographed, and
// the next moves find their machine here. A machine from a snapshot can be looked at, saved and
// hashed like the one that ran; it goes no further itself.
//
// A snapshot is what a saved machine holds, in pieces of a page: a piece that is as it was in the
// snapshot before is kept once. Invariant: machineAt() gives what put() was shown.

import type { Graph } from './graph.ts';
import { type MachineState, restoreState, type Roots, stateOf } from './save.ts';

const PIECE = 4096;

interface Snapshot {
  readonly make: MachineState['make'];
  readonly graph: Omit<Graph, 'data'>;
  /** The graph's data, one behind the other. */
  readonly pieces: readonly Uint8Array[];
  /** By buffer and offset: what the next snapshot compares with. */
  readonly byPlace: ReadonlyMap<number, Uint8Array>;
}

export class Snapshots {
  private readonly kept = new Map<number, Snapshot>();
  private last: Snapshot | undefined;
  /** Bytes of pieces that are kept; shared ones count once. */
  bytes = 0;

  /** Positions that are kept. */
  get size(): number {
    return this.kept.size;
  }

  clear(): void {
    this.kept.clear();
    this.last = undefined;
    this.bytes = 0;
  }

  has(position: number): boolean {
    return this.kept.has(position);
  }

  /** Keeps the machine as it is now, as that of `position`. */
  put(position: number, roots: Roots): void {
    const { make, graph } = stateOf(roots);
    const { data, ...rest } = graph;
    const pieces: Uint8Array[] = [];
    const byPlace = new Map<number, Uint8Array>();
    let from = 0;
    graph.buffers.forEach(({ pieces: places }, b) => {
      for (const [at, length] of places) {
        for (let done = 0; done < length; done += PIECE) {
          const now = data.subarray(from, from + Math.min(PIECE, length - done));
          const place = b * 2 ** 40 + at + done;
          const piece = this.shared(place, now);
          pieces.push(piece);
          byPlace.set(place, piece);
          from += now.length;
        }
      }
    });
    this.last = { make, graph: rest, pieces, byPlace };
    this.kept.set(position, this.last);
  }

  /** The machine after `position` steps, made anew; undefined where it was not kept. */
  machineAt(position: number): Roots | undefined {
    const snapshot = this.kept.get(position);
    if (snapshot === undefined) return undefined;
    const { make, graph, pieces } = snapshot;
    const data = new Uint8Array(pieces.reduce((sum, p) => sum + p.length, 0));
    let at = 0;
    for (const piece of pieces) {
      data.set(piece, at);
      at += piece.length;
    }
    return restoreState({ make, graph: { ...graph, data } });
  }

  private shared(place: number, now: Uint8Array): Uint8Array {
    const before = this.last?.byPlace.get(place);
    if (before !== undefined && isSame(before, now)) return before;
    this.bytes += now.length;
    return now.slice();
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
