// One thread of a grid: loads the workload once, runs the cells that it is sent.

import { parentPort, workerData } from 'node:worker_threads';
import type { Cell } from './grid.ts';
import { runCase } from './run-case.ts';
import { loadWorkload } from './workload.ts';

const program = loadWorkload(workerData as string);

parentPort?.on('message', (cell: Cell) => {
  program
    .then((main) => ({ result: runCase(main, cell.case, cell.options) }))
    .catch((e: unknown) => ({ error: e instanceof Error ? e.message : String(e) }))
    .then((answer) => parentPort?.postMessage(answer))
    .catch(() => undefined);
});
