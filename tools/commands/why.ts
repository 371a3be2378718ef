// `pagewalk why fault|rss|frame MACHINE …`: the chain of causes.

import { type Command, Argument } from 'commander';
import { InputError } from '../../kernel/index.ts';
import { PAGE_SIZE } from '../../kernel/types.ts';
import { type MachineOptions, openMachine, parseProcess, placeOf } from '../open-machine.ts';
import { processOf, withMachine } from '../open-machine.ts';
import { parseAddress } from '../replay/open.ts';
import type { Session } from '../session/session.ts';
import { whyFault } from '../session/why-fault.ts';
import { whyFrame } from '../session/why-frame.ts';
import { whyRss } from '../session/why-rss.ts';
import { type Why, whyText } from '../session/why.ts';

interface Options extends MachineOptions {
  readonly json: boolean;
  readonly process?: number;
}

const WHAT = ['fault', 'rss', 'frame'] as const;
type What = (typeof WHAT)[number];

export function register(program: Command): void {
  const command = program
    .command('why')
    .description('causes: why did this access fault, why is RSS this high, why is a frame not free')
    .addArgument(new Argument('<what>', 'what to explain').choices(WHAT))
    .argument('<machine>', 'a recording, scenario, script, workload or saved machine')
    .argument('[address]', 'fault: virtual (default: the last one); frame: physical; hexadecimal')
    .option('--process <id>', 'a process of it (default: its first)', parseProcess)
    .option('--json', 'one JSON object on standard output', false);
  withMachine(command).action(
    async (what: What, path: string, where: string | undefined, options: Options) => {
      const session = await openMachine(path, options);
      const why = ask(session, what, path, where, options.process);
      if (options.json) process.stdout.write(`${JSON.stringify(why)}\n`);
      else process.stdout.write(`${placeOf(session, path)}:\n${whyText(why).join('\n')}\n`);
    },
  );
}

function ask(
  session: Session,
  what: What,
  path: string,
  where: string | undefined,
  id: number | undefined,
): Why {
  const address = where === undefined ? undefined : parseAddress(where);
  const pid = id === undefined ? undefined : processOf(session, path, id).task.pid;
  switch (what) {
    case 'fault':
      return whyFault(session, pid, address);
    case 'rss':
      return whyRss(session, pid);
    case 'frame':
      if (address === undefined) throw new InputError('', 'why frame: expected a physical address');
      return whyFrame(session, Math.floor(address / PAGE_SIZE));
  }
}
