// Lets this process import TypeScript files: Node's synchronous module hooks where it has them
// (22.15 and later), its hooks thread otherwise (hooks-thread.ts).

import * as nodeModule from 'node:module';
import { pathToFileURL } from 'node:url';
import { resolve as resolvePath } from 'node:path';
import { InputError } from '../../kernel/index.ts';
import { createTsService, type TsServiceOptions } from './service.ts';

interface Resolved {
  url: string;
  format?: string | null | undefined;
  shortCircuit?: boolean;
}
interface Loaded {
  format: string;
  source: string;
  shortCircuit?: boolean;
}
interface SyncHooks {
  resolve(
    specifier: string,
    context: { parentURL?: string },
    next: (s: string, c: unknown) => Resolved,
  ): Resolved;
  load(url: string, context: unknown, next: (u: string, c: unknown) => Loaded): Loaded;
}

// Not in Node 20, nor in its types.
const { registerHooks } = nodeModule as unknown as { registerHooks?: (h: SyncHooks) => void };

let installed = false;

function installTypeScriptHooks(options: TsServiceOptions): void {
  if (installed) return;
  installed = true;
  process.setSourceMapsEnabled(true);
  if (registerHooks === undefined) {
    const extension = import.meta.url.endsWith('.js') ? 'js' : 'ts';
    const parentURL = import.meta.url;
    nodeModule.register(`./hooks-thread.${extension}`, { parentURL, data: options });
    return;
  }
  const service = createTsService(options);
  registerHooks({
    resolve(specifier, context, next) {
      const url = service.resolve(specifier, context.parentURL);
      if (url === undefined) return next(specifier, context);
      return { url, format: 'module', shortCircuit: true };
    },
    load(url, context, next) {
      const source = service.compile(url);
      if (source === undefined) return next(url, context);
      return { format: 'module', source, shortCircuit: true };
    },
  });
}

/**
 * Imports a user's TypeScript (or JavaScript) file, type-checked.
 * @throws InputError with the compiler's message where it does not type-check or does not load.
 */
export async function importUserFile(path: string): Promise<Readonly<Record<string, unknown>>> {
  installTypeScriptHooks({ typeCheck: true });
  try {
    const url = pathToFileURL(resolvePath(path)).href;
    return (await import(url)) as Readonly<Record<string, unknown>>;
  } catch (e) {
    throw new InputError(path, e instanceof Error ? e.message : String(e));
  }
}
