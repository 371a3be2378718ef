// `pagewalk size PROGRAM`: the smallest memory limit that a workload can live with.

import type { Command } from 'commander';
import { InputError } from '../../kernel/errors.ts';
import { readCosts } from '../cost.ts';
import { bytes, number } from '../replay/summary.ts';
import { parseSize } from '../replay/open.ts';
import type { Size } from '../size.ts';

interface Options {
  readonly json: boolean;
  readonly case?: string[];
  readonly faultRate: string;
  readonly step: number;
  readonly swap?: number;
  readonly zswap?: boolean;
  readonly ram?: number;
  readonly scale: string;
  readonly costs?: string;
}

export function register(program: Command): void {
  program
    .command('size')
    .description('the smallest memory limit that a workload can live with, by bisection')
    .argument('<program>', 'a workload by name or as a file *.ts')
    .option('--json', 'one JSON object on standard output', false)
    .option('--case <runtime[:settings]>', 'as for compare; go and python where not given', more)
    .option('--fault-rate <r>', 'major faults a second of virtual time that are borne', '0')
    .option('--step <size>', 'bytes that the answer is exact to', parseSize, 65536)
    .option('--swap <size>', 'swap of the machine (default none)', parseSize)
    .option('--zswap', 'a pool of compressed pages in RAM, in front of the swap')
    .option('--ram <size>', 'RAM of the machine (default 4G)', parseSize)
    .option('--scale <part>', 'part of the program’s size, above 0 and up to 1', '1')
    .option('--costs <file>', 'costs as calibrate --save wrote them')
    .action(async (name: string, options: Options) => {
      const { loadWorkload } = await import('../workload.ts');
      const { sizeOf } = await import('../size.ts');
      const faultRate = Number(options.faultRate);
      const scale = Number(options.scale);
      if (!(faultRate >= 0))
        throw new InputError('', `--fault-rate: expected 0 or more, found ${options.faultRate}`);
      if (!(scale > 0 && scale <= 1))
        throw new InputError('', `--scale: expected above 0 and up to 1, found ${options.scale}`);
      const workload = await loadWorkload(name);
      const sizes = (options.case ?? ['go', 'python']).map((c) =>
        sizeOf(workload, c, {
          ram: options.ram ?? 4 * 2 ** 30,
          scale,
          swap: options.swap ?? 0,
          zswap: options.zswap === true,
          faultRate,
          step: options.step,
          costs: readCosts(options.costs),
          onTry: (t) => {
            if (process.stderr.isTTY)
              process.stderr.write(`\r${c}: ${bytes(t.limit)} ${t.isEnough ? '+' : '-'}\x1b[K`);
          },
        }),
      );
      if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
      process.stdout.write(
        options.json ? `${JSON.stringify({ name, faultRate, sizes })}\n` : text(name, sizes),
      );
    });
}

function more(text: string, before: string[] | undefined): string[] {
  return [...(before ?? []), text];
}

function text(name: string, sizes: readonly Size[]): string {
  const lines = [`${name}: the smallest memory limit that is enough, page tables and all:`, ''];
  for (const s of sizes) {
    const below = s.tries.filter((t) => !t.isEnough).sort((a, b) => b.limit - a.limit)[0];
    const why =
      below === undefined
        ? ''
        : `; with ${bytes(below.limit)} ${
            below.killed
              ? 'it is killed'
              : `it waits for the disk ${number(Math.round(below.faultRate))} times a second`
          }`;
    const free = `${bytes(s.peakWithout)} resident without a limit`;
    lines.push(`  ${s.case.padEnd(22)}${bytes(s.limit).padStart(12)}   (${free}${why})`);
  }
  return `${lines.join('\n')}\n`;
}
