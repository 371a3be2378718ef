// `pagewalk why fault|rss|frame|pinned MACHINE …`: the chain of causes; who holds memory.

import { type Command, Argument } from 'commander';
import { InputError } from '../../kernel/index.ts';
import { PAGE_SIZE } from '../../kernel/types.ts';
import { type MachineOptions, openMachine, parseProcess, placeOf } from '../open-machine.ts';
import { processOf, withMachine } from '../open-machine.ts';
import { inspect } from '../inspect/index.ts';
import { pinsText } from '../pins-text.ts';
import { parseAddress } from '../replay/open.ts';
import type { Session } from '../session/session.ts';
import { whyFault } from '../session/why-fault.ts';
import { whyFrame } from '../session/why-frame.ts';
import { whyRss } from '../session/why-rss.ts';
import { type Why, whyText } from '../session/why.ts';

interface Options extends MachineOptions {
  readonly json: boolean;
  readonly process?: number;
  readonly worst?: number;
  readonly kernel: boolean;
}

const WHAT = ['fault', 'rss', 'frame', 'pinned'] as const;
type What = (typeof WHAT)[number];

export function register(program: Command): void {
  const command = program
    .command('why')
    .description(
      'causes: why did this access fault, why is RSS this high, why is a frame not free, ' +
        'who pins an arena, a pool, a span, a slab, a block of frames',
    )
    .addArgument(new Argument('<what>', 'what to explain').choices(WHAT))
    .argument('<machine>', 'a recording, scenario, script, workload or saved machine')
    .argument(
      '[address]',
      'fault: virtual (default: the last one); frame: physical; pinned: of a heap, or physical ' +
        '(default: the worst places); hexadecimal',
    )
    .option('--worst <n>', 'pinned: how many places of each kind (default 3)', parseWorst)
    .option('--kernel', 'pinned: the slabs of the kernel', false)
    .option('--process <id>', 'a process of it (default: its first)', parseProcess)
    .option('--json', 'one JSON object on standard output', false);
  withMachine(command).action(
    async (what: What, path: string, where: string | undefined, options: Options) => {
      const session = await openMachine(path, options);
      if (what === 'pinned') {
        pinned(session, path, where, options);
        return;
      }
      const why = ask(session, what, path, where, options.process);
      if (options.json) process.stdout.write(`${JSON.stringify(why)}\n`);
      else process.stdout.write(`${placeOf(session, path)}:\n${whyText(why).join('\n')}\n`);
    },
  );
}

function ask(
  session: Session,
  what: Exclude<What, 'pinned'>,
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

function parseWorst(text: string): number {
  const n = Number(text);
  if (Number.isInteger(n) && n >= 1 && n <= 1000) return n;
  throw new InputError('', `--worst ${text}: expected 1 to 1000`);
}

function pinned(
  session: Session,
  path: string,
  where: string | undefined,
  { json, process: id, worst = 3, kernel }: Options,
): void {
  const pid = kernel ? 0 : processOf(session, path, id).task.pid;
  const found =
    where === undefined
      ? inspect(session, 'worstPins', [pid, worst])
      : inspect(session, 'pinsAt', [pid, parseAddress(where)]);
  if (found.pins.length === 0) {
    const what =
      where === undefined
        ? 'this process has no heap of Go or Python here; --kernel shows the slabs'
        : `nothing that could be given back lies at ${where}`;
    throw new InputError(path, what);
  }
  const text = [`${placeOf(session, path)}:`, ...pinsText(found)].join('\n');
  process.stdout.write(`${json ? JSON.stringify(found) : text}\n`);
}
