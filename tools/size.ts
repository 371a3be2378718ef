// The smallest memory limit that a workload's case can live with: found by bisection, each step a
// run of the whole program in a memory group of that size.
//
//     killed, or too many major faults |······· lower ·| upper ·······| runs well
//
// `upper` was run and did well, the step below it (`lower`) was run and did not.

import type { Program } from '../runtime/workload/heap.ts';
import { type CostTable, kernelNs } from './cost.ts';
import { type CaseResult, runCase, type RunOptions } from './run-case.ts';

export interface SizeOptions extends RunOptions {
  /** Major faults a second of virtual time that are borne. */
  readonly faultRate: number;
  /** Bytes that the answer is exact to. */
  readonly step: number;
  readonly costs: CostTable;
  /** Told of each try. */
  readonly onTry?: (t: Try) => void;
}

export interface Try {
  readonly limit: number;
  readonly killed: boolean;
  readonly majorFaults: number;
  readonly faultRate: number;
  readonly isEnough: boolean;
}

export interface Size {
  readonly case: string;
  /** Bytes; the smallest that is enough. */
  readonly limit: number;
  readonly peakWithout: number;
  readonly tries: readonly Try[];
}

export function sizeOf(program: Program, name: string, options: SizeOptions): Size {
  const { step } = options;
  const free = runCase(program, name, { ...options, limit: 0 });
  const tries: Try[] = [];
  const isEnough = (limit: number): boolean => {
    const r = runCase(program, name, { ...options, limit });
    const rate = rateOf(r, options.costs);
    const ok = !r.killed && rate <= options.faultRate;
    const t = {
      limit,
      killed: r.killed,
      majorFaults: r.majorFaults,
      faultRate: rate,
      isEnough: ok,
    };
    tries.push(t);
    options.onTry?.(t);
    return ok;
  };
  // What a run of its own needs and the kernel besides: it is enough, or twice as much is.
  let upper = Math.ceil((free.waterfall.kernel + free.peakBytes) / step);
  while (!isEnough(upper * step)) upper *= 2;
  let lower = 0;
  while (upper - lower > 1) {
    const middle = (upper + lower) >> 1;
    if (isEnough(middle * step)) upper = middle;
    else lower = middle;
  }
  return { case: name, limit: upper * step, peakWithout: free.peakBytes, tries };
}

/** Major faults a second of virtual time, with what the kernel takes. */
export function rateOf(r: CaseResult, costs: CostTable): number {
  const ns = r.virtualNs + kernelNs(costs, r);
  return ns === 0 ? 0 : r.majorFaults / (ns / 1e9);
}
