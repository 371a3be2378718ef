// `pagewalk owner RECORDING PHYSICAL`: the chain up from a physical address.

import type { Command } from 'commander';
import { InputError } from '../../kernel/index.ts';
import { hex, PAGE_SIZE } from '../../kernel/types.ts';
import { recordingPath } from '../examples.ts';
import { pageInfo } from '../inspect.ts';
import { ownerOf } from '../owner.ts';
import {
  lineReached,
  openReplay,
  parseAddress,
  parseLineNumber,
  parseSize,
  runTo,
} from '../replay/open.ts';

interface Options {
  readonly at?: number;
  readonly json: boolean;
  readonly ram?: number;
}

export function register(program: Command): void {
  program
    .command('owner')
    .description('from a physical address up: frame, struct page, its use, who maps it')
    .argument('<recording>', 'a recording, or the name of an example')
    .argument('<physical>', 'a physical address, hexadecimal')
    .option('--at <line>', 'after this line (default: just before a process ends)', parseLineNumber)
    .option('--ram <size>', 'RAM of the machine (default: as the recording says)', parseSize)
    .option('--json', 'one JSON object on standard output', false)
    .action(async (path: string, where: string, options: Options) => {
      const physical = parseAddress(where);
      if (physical < 0) throw new InputError('', `${where}: physical addresses have 43 bits here`);
      const replayer = await openReplay(recordingPath(path), options.ram);
      runTo(replayer, options.at);
      const { system } = replayer.kernel;
      const pfn = Math.floor(physical / PAGE_SIZE);
      const owner = ownerOf(system, pfn, physical % PAGE_SIZE);
      const page = owner.use === 'nothing' ? undefined : pageInfo(system.machine.pages, pfn);
      const line = lineReached(replayer);
      if (options.json) {
        process.stdout.write(`${JSON.stringify({ physical, line, pfn, page, ...owner })}\n`);
        return;
      }
      const lines = [`physical address ${hex(physical)}, after line ${line} of ${path}:`];
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
