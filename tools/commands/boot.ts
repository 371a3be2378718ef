// `pagewalk boot`: boots a machine and prints its zones, watermarks and slab layouts.
//
//     pagewalk boot --ram 4G --cpus 2
//     pagewalk boot --e820 dmesg.txt --cpus 8 --slabinfo /proc/slabinfo --json

import { readFileSync } from 'node:fs';
import process from 'node:process';
import Table from 'cli-table3';
import { type Command, InvalidArgumentError } from 'commander';
import {
  type BootConfig,
  type BootedMemory,
  InputError,
  type SlabReport,
  type ZoneReport,
  bootMemory,
  parseE820,
  parseSrat,
  slabReport,
  standardCaches,
  zoneReports,
} from '../../kernel/index.ts';
import { parseSlabinfo } from '../slabinfo.ts';

interface Options {
  readonly ram?: number;
  readonly e820?: string;
  readonly cpus: number;
  readonly nodes?: readonly number[];
  readonly managed?: Readonly<Record<string, number>>;
  readonly slabinfo?: string;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command('boot')
    .description('boot a machine and print its zones, watermarks and slab layouts')
    .option('--ram <size>', 'RAM in one piece, such as 512M, 4G, 1T', parseSize)
    .option('--e820 <file>', 'memory map: lines "BIOS-e820: [mem 0x…-0x…] TYPE" of a boot log')
    .option('--cpus <n>', 'number of CPUs', parseCpus, 1)
    .option('--nodes <sizes>', 'NUMA nodes by their RAM, such as 2G,2G', parseSizes)
    .option('--managed <zone=pages,…>', 'frames that zones are reckoned with', parseManaged)
    .option('--slabinfo <file>', 'lay out the caches of this /proc/slabinfo text')
    .option('--json', 'print one JSON object')
    .action((options: Options) => {
      run(options);
    });
}

function run(options: Options): void {
  if (options.ram !== undefined && options.e820 !== undefined) {
    throw new InputError('', '--ram and --e820 both say how much RAM there is: give one of them');
  }
  const machine = bootMemory(configOf(options));
  const zones = zoneReports(machine);
  const slabs = slabsOf(options);
  const minFree = machine.figures.minFreeKbytes;
  if (options.json === true) {
    process.stdout.write(JSON.stringify({ zones, min_free_kbytes: minFree, slabs }) + '\n');
    return;
  }
  process.stdout.write(
    [
      summary(machine),
      areaTable(machine),
      zoneTable(zones),
      `min_free_kbytes ${minFree}`,
      slabTable(slabs),
    ].join('\n\n') + '\n',
  );
}

function configOf(options: Options): BootConfig {
  const log = options.e820 === undefined ? undefined : readText(options.e820);
  const srat = log === undefined ? undefined : parseSrat(log, options.e820);
  if (srat !== undefined && options.nodes !== undefined) {
    throw new InputError('', `--nodes and ${options.e820} both name nodes: give one of them`);
  }
  return {
    cpus: options.cpus,
    ...(options.ram === undefined ? {} : { ram: options.ram }),
    ...(log === undefined ? {} : { e820: parseE820(log, options.e820) }),
    ...(srat === undefined ? {} : { srat }),
    ...(options.nodes === undefined ? {} : { nodes: options.nodes }),
    ...(options.managed === undefined ? {} : { managed: options.managed }),
  };
}

function slabsOf(options: Options): Record<string, SlabReport> {
  const sizes: readonly { name: string; objsize: number }[] =
    options.slabinfo === undefined
      ? standardCaches()
      : parseSlabinfo(readText(options.slabinfo), options.slabinfo);
  const slabs: Record<string, SlabReport> = {};
  for (const { name, objsize } of sizes) slabs[name] = slabReport(objsize, options.cpus);
  return slabs;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (e) {
    throw new InputError(path, e instanceof Error ? e.message : String(e));
  }
}

function summary(machine: BootedMemory): string {
  const { alloc, memblock } = machine;
  const ram = memblock.memory.reduce((n, r) => n + (r.endPfn - r.startPfn), 0);
  const nodes = machine.nrNodes === 1 ? '' : `, ${machine.nrNodes} nodes`;
  const cpus = machine.cpus === 1 ? '1 CPU' : `${machine.cpus} CPUs`;
  return (
    `Memory: ${alloc.managedPages * 4}K/${ram * 4}K available ` +
    `(${(ram - alloc.managedPages) * 4}K reserved), ${cpus}${nodes}`
  );
}

function areaTable(machine: BootedMemory): string {
  const table = new Table({
    head: ['reserved for', 'physical address', 'KiB'],
    colAligns: ['left', 'left', 'right'],
    style: plain(),
  });
  for (const area of machine.memblock.reserved) {
    const end = area.endPfn * 4096 - 1;
    const range = `${hex(area.startPfn * 4096)}-${hex(end)}`;
    table.push([area.name, range, (area.endPfn - area.startPfn) * 4]);
  }
  return table.toString();
}

function zoneTable(zones: Readonly<Record<string, ZoneReport>>): string {
  const head =
    'zone start_pfn spanned present managed min low high protection pcp batch stat blocks';
  const table = new Table({
    head: head.split(' '),
    colAligns: head.split(' ').map((name) => (name === 'zone' ? 'left' : 'right')),
    style: plain(),
  });
  for (const [name, z] of Object.entries(zones)) {
    table.push([
      name,
      z.start_pfn,
      z.spanned,
      z.present,
      z.managed,
      z.min,
      z.low,
      z.high,
      z.protection.join(' '),
      z.pageset.high,
      z.pageset.batch,
      z.stat_threshold,
      z.pageblocks,
    ]);
  }
  return table.toString();
}

function slabTable(slabs: Readonly<Record<string, SlabReport>>): string {
  const table = new Table({
    head: ['cache', 'objsize', 'objperslab', 'pagesperslab', 'wasted %'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style: plain(),
  });
  for (const [name, s] of Object.entries(slabs)) {
    const wasted = 1 - (s.objsize * s.objperslab) / (s.pagesperslab * 4096);
    table.push([name, s.objsize, s.objperslab, s.pagesperslab, (wasted * 100).toFixed(1)]);
  }
  return table.toString();
}

function hex(address: number): string {
  return '0x' + address.toString(16).padStart(9, '0');
}

/** Colours only on a terminal, and never against NO_COLOR. */
function plain(): { head: string[]; border: string[]; compact: boolean } {
  const colour = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
  return { head: colour ? ['bold'] : [], border: colour ? ['grey'] : [], compact: true };
}

const UNITS = ['', 'K', 'M', 'G', 'T'];

function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(text);
  const unit = UNITS.indexOf((match?.[2] ?? '').toUpperCase());
  const bytes = Number(match?.[1] ?? NaN) * 1024 ** unit;
  if (match === null || !Number.isSafeInteger(bytes) || bytes < 1) {
    throw new InvalidArgumentError('expected a size such as 512M, 4G or 1T');
  }
  if (bytes > 2 ** 40) throw new InvalidArgumentError('at most 1T of RAM');
  return bytes;
}

function parseSizes(text: string): number[] {
  return text.split(',').map(parseSize);
}

function parseCpus(text: string): number {
  const n = Number(text);
  if (!/^\d+$/.test(text) || n < 1 || n > 4096) {
    throw new InvalidArgumentError('expected a number from 1 to 4096');
  }
  return n;
}

function parseManaged(text: string): Record<string, number> {
  const managed: Record<string, number> = {};
  for (const item of text.split(',').filter((part) => part !== '')) {
    const match = /^([\w/]+)=(\d+)$/.exec(item);
    if (match?.[1] === undefined) {
      throw new InvalidArgumentError(`expected ZONE=PAGES, such as DMA=3840, not "${item}"`);
    }
    managed[match[1]] = Number(match[2]);
  }
  return managed;
}
