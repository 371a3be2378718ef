// Runs on Node 20's module-hooks thread; see hooks.ts.

import type { InitializeHook, LoadHook, ResolveHook } from 'node:module';
import { createTsService, type TsService, type TsServiceOptions } from './service.ts';

let service: TsService | undefined;

export const initialize: InitializeHook<TsServiceOptions> = (options) => {
  service = createTsService(options);
};

export const resolve: ResolveHook = (specifier, context, next) => {
  const url = service?.resolve(specifier, context.parentURL);
  if (url === undefined) return next(specifier, context);
  return { url, format: 'module', shortCircuit: true };
};

export const load: LoadHook = (url, context, next) => {
  try {
    const source = service?.compile(url);
    if (source === undefined) return next(url, context);
    return { format: 'module', source, shortCircuit: true };
  } catch (e) {
    // ts-node's TSError does not survive the way back to the main thread: say it in a plain Error.
    throw new Error(e instanceof Error ? e.message : String(e), { cause: e });
  }
};
