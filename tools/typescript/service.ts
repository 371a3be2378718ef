// The user's own TypeScript files (workloads, scenarios), compiled by ts-node as they are imported.
//
// `import … from 'pagewalk'` in such a file means this very package, wherever the file lies; the
// compiler is this package's too, never the one of the file's folder. A type error comes out as
// one plain Error. Used by both kinds of Node module hooks: hooks.ts.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type * as TsNode from 'ts-node';
import { manifest, packageRoot } from '../version.ts';

export interface TsServiceOptions {
  readonly typeCheck: boolean;
}

/** What the two kinds of Node module hooks share. */
export interface TsService {
  /** Maps a specifier to a URL that this package answers for, or undefined. */
  resolve(specifier: string, parentURL: string | undefined): string | undefined;
  /** ES module text for a TypeScript file URL, or undefined where the URL is not one. */
  compile(url: string): string | undefined;
}

const require = createRequire(import.meta.url);
const built = import.meta.url.endsWith('.js');

/** Sub-paths that a user's file may import, as in package.json "exports". */
const LAYERS: Readonly<Record<string, string>> = {
  '': 'runtime/index',
  '/kernel': 'kernel/index',
  '/userspace': 'userspace/index',
  '/runtime': 'runtime/index',
};

function layerUrl(layer: string, js: boolean): URL {
  return new URL(js ? `dist/${layer}.js` : `${layer}.ts`, packageRoot);
}

export function createTsService(options: TsServiceOptions): TsService {
  const { create } = require('ts-node') as typeof TsNode;
  const paths: Record<string, string[]> = {};
  for (const [sub, layer] of Object.entries(LAYERS)) {
    const url = built ? new URL(`dist/${layer}.d.ts`, packageRoot) : layerUrl(layer, false);
    paths[manifest.name + sub] = [fileURLToPath(url)];
  }
  const service = create({
    compiler: require.resolve('typescript'),
    skipProject: true,
    skipIgnore: true,
    transpileOnly: !options.typeCheck,
    compilerOptions: {
      target: 'ES2023',
      lib: ['ES2023', 'DOM'], // DOM: a user's file may use console
      types: [],
      module: 'ESNext',
      moduleResolution: 'Bundler',
      moduleDetection: 'force',
      strict: true,
      skipLibCheck: true,
      isolatedModules: true,
      esModuleInterop: true,
      allowImportingTsExtensions: true,
      rewriteRelativeImportExtensions: false,
      noEmit: false,
      paths,
    },
  });
  return {
    resolve(specifier, parentURL) {
      if (specifier === manifest.name || specifier.startsWith(`${manifest.name}/`)) {
        const layer = LAYERS[specifier.slice(manifest.name.length)];
        return layer === undefined ? undefined : layerUrl(layer, built).href;
      }
      // './x.js' in a .ts file may mean './x.ts'; './x' may mean './x.ts'.
      if (parentURL?.startsWith('file:') === true && /^\.\.?\//.test(specifier)) {
        const url = new URL(specifier, parentURL);
        if (existsSync(fileURLToPath(url))) return undefined;
        for (const candidate of [url.href.replace(/\.js$/, '.ts'), `${url.href}.ts`]) {
          if (candidate.endsWith('.ts') && existsSync(fileURLToPath(candidate))) return candidate;
        }
      }
      return undefined;
    },
    compile(url) {
      if (!url.startsWith('file:') || !/\.m?ts$/.test(new URL(url).pathname)) return undefined;
      const file = fileURLToPath(url);
      return service.compile(readFileSync(file, 'utf8'), file);
    },
  };
}
