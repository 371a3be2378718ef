// Runs once before all tests.

import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';

/** The command-line tests run what is shipped: bring dist/ up to date first. */
export default function setup(): void {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-b'], { stdio: 'inherit' });
}
