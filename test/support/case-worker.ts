// A worker that runs a case of a workload: for a browser, in which compare has no command line.

import { programs } from '../../runtime/workload/programs/index.ts';
import { runCase, type RunOptions } from '../../tools/run-case.ts';

interface Asked {
  readonly program: string;
  readonly name: string;
  readonly options: RunOptions;
}

const worker = globalThis as unknown as {
  onmessage: (event: { data: Asked }) => void;
  postMessage(result: unknown): void;
};

worker.onmessage = ({ data: { program, name, options } }) => {
  worker.postMessage(runCase(programs[program], name, options));
};
