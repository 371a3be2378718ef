// What a parsed scenario is: plain data, with the places in the file that messages need.

import type { ThpMode } from './calls.ts';

/** Where something stands: both counted from 1, columns in characters. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** One operand of an argument. */
export interface Term extends Place {
  readonly sign: 1 | -1;
  /** The value of a number or constant; undefined for a name. */
  readonly value: bigint | undefined;
  /** A constant's or name's spelling; '' for a number. */
  readonly name: string;
}

/** An argument that is a number: its terms added, or or-ed together where they are flags. */
export interface Sum extends Place {
  readonly op: '+' | '|';
  readonly terms: readonly Term[];
}

export interface Statement extends Place {
  /** The process it belongs to. */
  readonly proc: string;
  /** What `name =` binds; '' without one. */
  readonly name: string;
  readonly call: string;
  readonly args: readonly Sum[];
  /** The quoted first argument of memfd_create and open. */
  readonly path: string;
  /** The line's text without comment, for people. */
  readonly text: string;
}

/** machine(): what the scenario asks of the machine. Sizes in bytes. */
export interface MachineOptions {
  readonly ram?: number;
  readonly swap?: number;
  readonly limit?: number;
  readonly cpus?: number;
  readonly thp: ThpMode;
}

export interface Scenario {
  readonly file: string;
  readonly machine: MachineOptions;
  readonly statements: readonly Statement[];
  /** The name `stack` is used somewhere, so observations show the stack's mapping. */
  readonly usesStack: boolean;
}

const MASK = (1n << 64n) - 1n;

/** The value of an argument modulo 2^64. @param lookup gives the value that a name is bound to. */
export function evaluate(sum: Sum, lookup: (name: string) => bigint): bigint {
  let total = 0n;
  for (const t of sum.terms) {
    const v = t.value ?? lookup(t.name);
    if (sum.op === '|') total |= v;
    else total += t.sign === 1 ? v : -v;
  }
  return total & MASK;
}
