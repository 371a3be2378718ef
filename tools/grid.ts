// What if: a workload under every combination of settings, on all cores.
//
//     --vary ram=64M..1G   sizes double        gogc=25..400   numbers double
//     --vary thp=always|never                  gc=disable|freeze   profile=3.11|3.13
//
// Each cell is a run of its own in a worker thread; which thread does not matter to its result.

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { InputError } from '../kernel/errors.ts';
import { parseSize } from './replay/open.ts';
import type { CaseResult, RunOptions } from './run-case.ts';

/** Settings of the machine; all others are of the runtime. */
const SIZES = ['ram', 'limit', 'swap', 'gomemlimit'];
const RUNTIME: Readonly<Record<string, string>> = {
  gogc: 'GOGC=',
  gomemlimit: 'GOMEMLIMIT=',
  gc: 'gc=',
  profile: '',
};

export type Setting = readonly [name: string, value: string];

export interface Cell {
  readonly case: string;
  readonly settings: readonly Setting[];
  readonly options: RunOptions;
}

/** One axis of `--vary`: its name and values. @throws InputError */
function axisOf(text: string): [string, string[]] {
  const [name = '', rest = ''] = text.split(/=(.*)/s);
  if (!SIZES.includes(name) && !(name in RUNTIME) && name !== 'thp')
    throw new InputError(
      '',
      `--vary ${text}: expected ram, limit, swap, thp, ${Object.keys(RUNTIME).join(', ')}`,
    );
  const range = /^(.+)\.\.(.+)$/.exec(rest);
  if (range === null) {
    if (rest === '') throw new InputError('', `--vary ${text}: expected ${name}=A..B or A|B`);
    return [name, rest.split('|')];
  }
  const isSize = SIZES.includes(name);
  const read = (t: string): number => (isSize ? parseSize(t) : Number(t));
  const [from, to] = [read(range[1] ?? ''), read(range[2] ?? '')];
  if (!(from > 0 && to >= from))
    throw new InputError('', `--vary ${text}: expected a range that goes up from above 0`);
  const values: string[] = [];
  for (let v = from; v < to; v *= 2) values.push(isSize ? sizeText(v) : String(v));
  values.push(isSize ? sizeText(to) : String(to));
  return [name, values];
}

function sizeText(bytes: number): string {
  if (bytes % 2 ** 30 === 0) return `${String(bytes / 2 ** 30)}G`;
  if (bytes % 2 ** 20 === 0) return `${String(bytes / 2 ** 20)}M`;
  return `${String(Math.ceil(bytes / 1024))}K`;
}

/** All cells of `--vary`'s axes, for each case; settings of the other runtime are left out. */
export function cellsOf(vary: string, cases: readonly string[], base: RunOptions): Cell[] {
  let rows: Setting[][] = [[]];
  for (const axis of vary.split(',')) {
    const [name, values] = axisOf(axis);
    rows = rows.flatMap((row) => values.map((v): Setting[] => [...row, [name, v]]));
  }
  const cells = new Map<string, Cell>();
  for (const name of cases)
    for (const row of rows) {
      const isGo = name.startsWith('go');
      const settings = row.filter(([n]) => !(isGo ? ['gc'] : ['gogc', 'gomemlimit']).includes(n));
      const cell = cellOf(name, settings, base);
      cells.set(`${cell.case} ${JSON.stringify(cell.options)}`, cell);
    }
  return [...cells.values()];
}

function cellOf(name: string, settings: readonly Setting[], base: RunOptions): Cell {
  const extra: string[] = [];
  const options: Record<string, unknown> = { ...base };
  for (const [n, v] of settings) {
    if (n in RUNTIME) extra.push(`${RUNTIME[n] ?? ''}${v}`);
    else if (n === 'thp') {
      if (!['always', 'madvise', 'never'].includes(v))
        throw new InputError('', `--vary thp: expected always, madvise or never, found '${v}'`);
      options[n] = v;
    } else options[n] = parseSize(v);
  }
  const joined = extra.length === 0 ? '' : `${name.includes(':') ? ',' : ':'}${extra.join(',')}`;
  return { case: name + joined, settings, options: options as unknown as RunOptions };
}

/** Runs all cells. @param told how many are done. */
export async function runGrid(
  program: string,
  cells: readonly Cell[],
  told: (done: number) => void,
): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  let next = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    const thread = new Worker(new URL('./grid-worker.js', import.meta.url), {
      workerData: program,
    });
    try {
      while (next < cells.length) {
        const at = next++;
        results[at] = await ask(thread, cells[at]);
        told(++done);
      }
    } finally {
      await thread.terminate();
    }
  };
  const threads = Math.min(availableParallelism(), cells.length);
  await Promise.all(Array.from({ length: threads }, worker));
  return results;
}

function ask(thread: Worker, cell: Cell | undefined): Promise<CaseResult> {
  return new Promise((resolve, reject) => {
    thread.once('error', reject);
    thread.once('message', (m: { result?: CaseResult; error?: string }) => {
      thread.removeListener('error', reject);
      if (m.result !== undefined) resolve(m.result);
      else reject(new InputError('', m.error ?? 'a run failed'));
    });
    thread.postMessage(cell);
  });
}
