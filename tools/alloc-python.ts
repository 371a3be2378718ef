// The Python half of `pagewalk alloc`.

import { InputError } from '../kernel/index.ts';
import type { AllocOptions } from './commands/alloc.ts';

/** Runs an allocation stream on CPython's allocator and prints its observations. */
export function allocPython(file: string, options: AllocOptions): void {
  throw new InputError(file, `the Python runtime ${options.profile ?? '3.11'} is not built yet`);
}
