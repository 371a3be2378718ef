// `pagewalk explain MACHINE [ADDRESS]`: the chain down from an address of a process.

import type { Command } from 'commander';
import { hex } from '../../kernel/types.ts';
import { explain, explanationText, telling } from '../explain.ts';
import { type MachineOptions, openMachine, parseProcess, placeOf } from '../open-machine.ts';
import { cr3Of, processOf, withMachine } from '../open-machine.ts';
import { parseAddress } from '../replay/open.ts';
import type { Mm } from '../../userspace/mm.ts';

interface Options extends MachineOptions {
  readonly json: boolean;
  readonly process?: number;
}

export function register(program: Command): void {
  const command = program
    .command('explain')
    .description('from an address down: mapping, four table levels, frame, struct page, owner')
    .argument('<machine>', 'a recording, scenario, script, workload or saved machine')
    .argument('[address]', 'hexadecimal; [heap], [stack]; default: one that tells something')
    .option('--process <id>', 'a process of it (default: its first)', parseProcess)
    .option('--json', 'one JSON object on standard output', false);
  withMachine(command).action(async (path: string, where: string | undefined, options: Options) => {
    const session = await openMachine(path, options);
    const owner = processOf(session, path, options.process);
    const { id, task } = owner;
    const va = addressOf(task.mm, where);
    const found = explain(task.mm, va);
    if (options.json) {
      const line = session.line;
      process.stdout.write(
        `${JSON.stringify({ process: id, line, cr3: cr3Of(owner), ...found })}\n`,
      );
      return;
    }
    const head = `${hex(va)} in process ${id} (${owner.name}),\n${placeOf(session, path)}:`;
    process.stdout.write(`${head}\n${explanationText(found, task.mm.root).join('\n')}\n`);
  });
}

function addressOf(mm: Mm, where: string | undefined): number {
  if (where === undefined) return telling(mm) ?? mm.startStack;
  if (where === '[heap]' || where === 'heap') return mm.startBrk;
  if (where === '[stack]' || where === 'stack') return mm.startStack;
  return parseAddress(where);
}
