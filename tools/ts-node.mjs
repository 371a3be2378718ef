// `node --import ./tools/ts-node.mjs FILE.ts` (npm run ts -- FILE.ts) runs this repository's
// TypeScript through ts-node, without a build and without type-checking.
//
// ts-node's own ESM loader fails on Node 18.19 and later; its compiler inside Node's module hooks
// works on all of them: synchronous hooks where Node has them (22.15), the hooks thread on Node 20.

import * as nodeModule from 'node:module';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.setSourceMapsEnabled(true);
if (nodeModule.registerHooks) {
  const { create } = nodeModule.createRequire(import.meta.url)('ts-node');
  const service = create({
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    transpileOnly: true,
  });
  nodeModule.registerHooks({
    load(url, context, next) {
      if (!/^file:.*(?<!\.d)\.ts$/.test(url) || url.includes('/node_modules/')) {
        return next(url, context);
      }
      const file = fileURLToPath(url);
      const source = service.compile(readFileSync(file, 'utf8'), file);
      return { format: 'module', source, shortCircuit: true };
    },
    resolve(specifier, context, next) {
      if (/^\.\.?\/.*\.js$/.test(specifier) && context.parentURL?.startsWith('file:')) {
        const ts = new URL(specifier.replace(/\.js$/, '.ts'), context.parentURL);
        if (existsSync(fileURLToPath(ts))) {
          return { url: ts.href, format: 'module', shortCircuit: true };
        }
      }
      return next(specifier, context);
    },
  });
} else {
  nodeModule.register('ts-node/esm/transpile-only', import.meta.url);
}
