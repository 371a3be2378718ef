// `pagewalk owner MACHINE PHYSICAL`: the chain up from a physical address.

import type { Command } from 'commander';
import { InputError } from '../../kernel/index.ts';
import { hex, PAGE_SIZE } from '../../kernel/types.ts';
import { pageInfo } from '../inspect.ts';
import { ownerOf } from '../owner.ts';
import { type MachineOptions, openMachine, placeOf, withMachine } from '../open-machine.ts';
import { parseAddress } from '../replay/open.ts';

interface Options extends MachineOptions {
  readonly json: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('owner')
    .description('from a physical address up: frame, struct page, its use, who maps it')
    .argument('<machine>', 'a recording, scenario, script, workload or saved machine')
    .argument('<physical>', 'a physical address, hexadecimal')
    .option('--json', 'one JSON object on standard output', false);
  withMachine(command).action(async (path: string, where: string, options: Options) => {
    const physical = parseAddress(where);
    if (physical < 0) throw new InputError('', `${where}: physical addresses have 43 bits here`);
    const session = await openMachine(path, options);
    const { line, system } = session;
    const pfn = Math.floor(physical / PAGE_SIZE);
    const owner = ownerOf(system, pfn, physical % PAGE_SIZE);
    const page = owner.use === 'nothing' ? undefined : pageInfo(system.machine.pages, pfn);
    if (options.json) {
      process.stdout.write(`${JSON.stringify({ physical, line, pfn, page, ...owner })}\n`);
      return;
    }
    const lines = [`physical address ${hex(physical)}, ${placeOf(session, path)}:`];
    lines.push(`  frame       ${hex(pfn)}`);
    if (page !== undefined) {
      lines.push(`  struct page ${page.flags.length === 0 ? 'no flags' : page.flags.join(' ')}`);
      lines.push(`              references ${page.refcount}, mapped ${page.mapcount} times`);
    }
    lines.push(`  zone        ${owner.zone}`, `  used for    ${owner.text}`);
    for (const m of owner.mappings.slice(0, 20)) {
      lines.push(`  mapped at   ${hex(m.va)} by process ${m.pid} (${m.comm})`);
    }
    const more = owner.mappings.length - 20;
    if (more > 0) lines.push(`              and at ${more} more places`);
    process.stdout.write(`${lines.join('\n')}\n`);
  });
}
