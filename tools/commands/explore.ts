// `pagewalk explore [FILE]`: serves the explorer's page on this machine, and FILE to it.

import { existsSync, statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { InputError } from '../../kernel/index.ts';
import { programs } from '../../runtime/workload/programs/index.ts';
import { recordingPath } from '../examples.ts';
import { serveSite } from '../site-server.ts';
import { packageRoot } from '../version.ts';

interface Options {
  readonly at?: number;
  readonly case: string;
  readonly scale: string;
  readonly host: string;
  readonly port: number;
}

export function register(program: Command): void {
  program
    .command('explore')
    .description('the explorer: a web page that shows a machine, its memory, its heaps, over time')
    .argument('[file]', 'a recording, scenario, allocation script, saved machine, or a workload')
    .option('--at <step>', 'opens at this step', number('--at', 2 ** 31))
    .option('--case <case>', 'of a workload: go, python:3.12, …', 'go')
    .option('--scale <part>', 'of a workload: part of its size', '0.25')
    .option('--port <port>', 'where to listen (default: any free port)', number('--port', 65535), 0)
    .option('--host <host>', 'address to listen on; only this machine by default', '127.0.0.1')
    .action(async (file: string | undefined, options: Options) => {
      const folder = fileURLToPath(new URL('dist/site/', packageRoot));
      if (!existsSync(folder)) throw new InputError(folder, 'not built: npm run build makes it');
      const workload = file === undefined ? undefined : workloadId(file, options);
      const isFile = file !== undefined && workload === undefined;
      const path = isFile ? checked(recordingPath(file)) : undefined;
      const { host, port } = options;
      const server = await serveSite({ folder, file: path, host, port }).catch((e: unknown) => {
        throw new InputError('', `cannot listen on ${host}:${port}: ${(e as Error).message}`);
      });
      const { port: found } = server.address() as AddressInfo;
      const name = host.includes(':') ? `[${host}]` : host === '0.0.0.0' ? 'localhost' : host;
      const id = workload ?? (path === undefined ? undefined : basename(path));
      const parts = id === undefined ? [] : [`open=${encodeURIComponent(id)}`];
      if (options.at !== undefined) parts.push(`at=${options.at}`);
      const hash = parts.length === 0 ? '' : `#${parts.join('&')}`;
      process.stdout.write(`http://${name}:${found}/${hash}\n`);
      if (process.stdout.isTTY) process.stderr.write('Open it in a browser; Ctrl-C ends it.\n');
    });
}

/** What the page calls a workload that comes with the package; undefined for other names. */
function workloadId(name: string, options: Options): string | undefined {
  const scale = Number(options.scale);
  if (!(scale > 0 && scale <= 1)) {
    throw new InputError('', `--scale ${options.scale}: expected a number above 0, up to 1`);
  }
  if (existsSync(name) || !(name.replace(/-/g, '_') in programs)) return undefined;
  return `workload:${name}:${options.case}:${scale}`;
}

/** @throws InputError where there is no such file */
function checked(path: string): string {
  if (!existsSync(path)) throw new InputError(path, 'no such file');
  if (!statSync(path).isFile()) throw new InputError(path, 'is not a file');
  return path;
}

/** Reads a whole number of an option. @throws InputError */
function number(option: string, most: number): (text: string) => number {
  return (text) => {
    const n = /^\d{1,10}$/.test(text) ? Number(text) : NaN;
    if (n >= 0 && n <= most) return n;
    throw new InputError('', `${option} ${text}: expected a whole number up to ${most}`);
  };
}
