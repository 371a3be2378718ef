// The Go half of `pagewalk alloc`.

import { InputError } from '../kernel/index.ts';
import type { AllocOptions } from './commands/alloc.ts';

/** Runs a heap script on the Go runtime and prints its observations. */
export function allocGo(file: string, options: AllocOptions): void {
  throw new InputError(file, `the Go runtime ${options.profile ?? 'go1.26'} is not built yet`);
}
