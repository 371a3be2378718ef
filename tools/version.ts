// Where the package lies and what it is called, read from its own package.json.

import { readFileSync } from 'node:fs';

/** True where this file runs compiled, from dist/. */
const built = import.meta.url.endsWith('.js');

/** The package's top folder, as a URL that ends in a slash. */
export const packageRoot = new URL(built ? '../../' : '../', import.meta.url);

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
}

/** This package's package.json. */
export const manifest = JSON.parse(
  readFileSync(new URL('package.json', packageRoot), 'utf8'),
) as Manifest;
