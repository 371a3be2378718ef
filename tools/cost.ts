// What things cost on a machine of today, in nanoseconds: for turning counts into time.
//
// The figures are rough and are meant for comparing: `pagewalk calibrate` measures those of the
// host that it runs on, `--costs FILE` takes them from there.

import { readFileSync } from 'node:fs';
import { InputError } from '../kernel/errors.ts';

export interface Cost {
  readonly ns: number;
  readonly what: string;
  readonly source: string;
}

const ESTIMATE = 'an estimate for a server of today; `pagewalk calibrate` measures a host';

export const COSTS = {
  tlb_miss: { ns: 8, what: 'an access that misses the TLB, tables cached', source: ESTIMATE },
  walk_memory: {
    ns: 90,
    what: 'an access that misses TLB and caches',
    source: ESTIMATE,
  },
  fault_zeroed: { ns: 500, what: 'first write to new memory', source: ESTIMATE },
  fault_zero_page: { ns: 300, what: 'first read of new memory', source: ESTIMATE },
  fault_file: { ns: 400, what: 'a page of a cached file, one at a time', source: ESTIMATE },
  fault_copied: { ns: 700, what: 'a write to a page that fork() shared', source: ESTIMATE },
  system_call: { ns: 100, what: 'a system call that does nothing', source: ESTIMATE },
  copy_page: { ns: 150, what: 'copying 4 KiB that are cached', source: ESTIMATE },
  disk: {
    ns: 80000,
    what: 'reading 4 KiB from a disk or from swap',
    source: 'data sheets of NVMe drives: random read latency, queue depth 1',
  },
} as const satisfies Record<string, Cost>;

export type CostName = keyof typeof COSTS;
export type CostTable = Readonly<Record<CostName, number>>;

export const defaultCosts: CostTable = Object.fromEntries(
  Object.entries(COSTS).map(([name, { ns }]) => [name, ns]),
) as Record<CostName, number>;

/**
 * Costs as `calibrate --save` wrote them; the usual ones without a file.
 * @throws InputError where a name or number is none
 */
export function readCosts(path: string | undefined): CostTable {
  if (path === undefined) return defaultCosts;
  let found: unknown;
  try {
    found = JSON.parse(readFileSync(path, 'utf8'));
  } catch (e) {
    throw new InputError(path, `expected JSON: ${String(e)}`);
  }
  const costs: Record<CostName, number> = { ...defaultCosts };
  for (const [name, ns] of Object.entries(found as Record<string, unknown>)) {
    if (!(name in COSTS))
      throw new InputError(path, `expected ${Object.keys(COSTS).join(', ')}, found '${name}'`);
    if (typeof ns !== 'number' || !(ns >= 0))
      throw new InputError(path, `${name}: expected nanoseconds, found ${JSON.stringify(ns)}`);
    costs[name as CostName] = ns;
  }
  return costs;
}

/** What the kernel does for a process, in nanoseconds. */
export function kernelNs(
  costs: CostTable,
  counts: { minorFaults: number; majorFaults: number; systemCalls: number },
): number {
  return (
    counts.minorFaults * costs.fault_zeroed +
    counts.majorFaults * costs.disk +
    counts.systemCalls * costs.system_call
  );
}
