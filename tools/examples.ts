// The recordings that come with the package, by name.

import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { InputError } from '../kernel/index.ts';
import { packageRoot } from './version.ts';

const folder = new URL('tools/examples/', packageRoot);

/** Names of the programs that are there in Go and in Python. */
export function pairNames(): string[] {
  return readdirSync(fileURLToPath(folder))
    .map((f) => /^pair-(.*)-go\.trace\.gz$/.exec(f)?.[1])
    .filter((name) => name !== undefined)
    .sort();
}

/** The two recordings of a pair: one that comes with the package, or `FOLDER/pair-NAME`. */
export function pairFiles(name: string): [go: string, python: string] {
  const base = name.includes('/')
    ? name
    : fileURLToPath(new URL(`pair-${name.replace(/-/g, '_')}`, folder));
  const files: [string, string] = [`${base}-go.trace.gz`, `${base}-python.trace.gz`];
  if (files.every((f) => existsSync(f))) return files;
  throw new InputError('', `no pair "${name}"; there are: ${pairNames().join(', ')}`);
}

/** Path of an example as a user may type it: a file, or the name of one that is here. */
export function recordingPath(name: string): string {
  if (existsSync(name)) return name;
  if (name.includes('/')) return name;
  for (const kind of ['trace', 'lackey']) {
    const here = fileURLToPath(new URL(`${name}.${kind}.gz`, folder));
    if (existsSync(here)) return here;
  }
  return name;
}
